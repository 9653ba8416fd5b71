"""`.dot` text, the hand-off to Graphviz, and what is said where Graphviz is not installed."""

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrannd import Value
from microgrannd.drawing import draw
from microgrannd.ground.errors import LayoutError, MicrogranndError

needs_dot = pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz's dot is not installed")


def square():
    x = Value(3.0, "x")
    y = x * x
    y.backward()
    return y


def test_dot_text_needs_no_graphviz(monkeypatch):
    monkeypatch.setenv("PATH", "")
    text = draw(square()).dot
    assert text.startswith('digraph "Computation graph of output = 9" {')
    assert text.count("n0 -> n1") == 2


def test_without_the_program_one_error_says_what_to_do(monkeypatch):
    pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LayoutError) as caught:
        draw(square(), layout="dot")
    message = str(caught.value)
    assert "apt install graphviz" in message
    assert 'layout="layered"' in message
    assert isinstance(caught.value, MicrogranndError)
    assert isinstance(caught.value, RuntimeError)
    assert draw(square()).svg.startswith("<svg")


def test_without_the_package_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(LayoutError, match="pip install graphviz"):
        draw(square(), layout="dot")


@needs_dot
def test_graphviz_lays_the_same_graph_out(tmp_path):
    pytest.importorskip("graphviz")
    drawing = draw(square(), layout="dot")
    assert "<svg" in drawing.svg
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".html", b"<!doctype html>")):
        drawing.save(tmp_path / f"y{suffix}")
        assert (tmp_path / f"y{suffix}").read_bytes().startswith(magic)


@needs_dot
@given(st.lists(st.text(max_size=30) | st.sampled_from(['a"b', "a\\", "\\N", "&lt;", "<b>x</b>", "\x00"]), min_size=2))
@settings(max_examples=25, deadline=None)
def test_graphviz_reads_any_label(labels):
    y = Value(1.0, labels[0])
    for label in labels[1:]:
        y = y * Value(2.0, label)
    nodes = _plain(draw(y, fold="none", gradients=False).dot)
    assert len(nodes) == 2 * len(labels) - 1


@needs_dot
@pytest.mark.parametrize("label", ["R &amp; D", "<b>", 'say "x"', "back\\slash\\n", "μ∂"])
def test_graphviz_shows_a_label_as_it_is(label):
    pytest.importorskip("graphviz")
    root = ET.fromstring(draw(Value(1.0, label) * 2, layout="dot").svg.encode())
    texts = [text.text.replace("\xa0", " ") for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{label} 1" in texts


@needs_dot
def test_folded_and_backward_pictures_are_dot_too():
    y = sum(Value(float(i), f"x{i}").tanh() for i in range(100))
    for drawing in (draw(y), draw(y, backward=True, fold="none"), draw(square(), rules=True, rankdir="TB")):
        assert len(_plain(drawing.dot)) == len(drawing.picture.nodes)


def _plain(text):
    done = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=True)
    assert not done.stderr
    return [line for line in done.stdout.decode().splitlines() if line.startswith("node ")]
