"""`draw` and `Drawing`: the pictures of the worked examples, what they promise, files, notebooks, errors."""

import base64
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrannd import Value, operations
from microgrannd.drawing import Drawing, draw
from microgrannd.drawing.write.svg import stylesheet
from microgrannd.engine import Constant
from microgrannd.expressions import evaluate
from microgrannd.nn import MLP
from tests.oracles import example

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
SVG = "{http://www.w3.org/2000/svg}"


EXPRESSIONS = {
    "K-18": "m * x + b",
    "C-01": "(x + y) * z",
    "C-04": "2 * (x * y + max(z, w))",
    "C-06": "1 / (1 + exp(-(w0 * x0 + w1 * x1 + w2)))",
    "S-02": "(apple * apple_num + orange * orange_num) * tax",
    "B-10": "x1 * x2 + exp(x1 * x2) - sin(x2)",
    "K-03": "0.5 * (w4 * sigmoid(w0*x0 + w2*x1 + b0) + w5 * sigmoid(w1*x0 + w3*x1 + b1) + b2 - y) ** 2",
}


def worked(name):
    """The graph of a worked example, after backward()."""
    y = evaluate(EXPRESSIONS[name], flat(example(name)["inputs"]))
    y.backward()
    return y


def flat(numbers):
    """Lists become numbered names: w = [2, -3] is w0 and w1."""
    return {
        f"{name}{i}" if isinstance(entry, list) else name: number
        for name, entry in numbers.items()
        for i, number in enumerate(entry if isinstance(entry, list) else [entry])
    }


def square():
    x = Value(3.0, "x")
    y = x * x
    y.label = "y"
    y.backward()
    return y


def network():
    model = MLP(2, [2, 1], activation="sigmoid", output="linear", seed=0, expand=True)
    for i, parameter in enumerate(model.parameters()):
        parameter.data = (i % 5 - 2) / 4
    loss = 0.5 * (model([Value(0.5, "x0"), Value(-0.25, "x1")]) - 1.0) ** 2
    loss.label = "loss"
    loss.backward()
    return loss


PICTURES = {
    **{name: lambda name=name: draw(worked(name)) for name in EXPRESSIONS},
    "C-01-backward": lambda: draw(worked("C-01"), backward=True),
    "C-06-backward": lambda: draw(worked("C-06"), backward=True),
    "C-01-rules": lambda: draw(worked("C-01"), rules=True, rankdir="TB"),
    "square": lambda: draw(square()),
    "network": lambda: draw(network()),
    "network-folded": lambda: draw(network(), depth=0),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_of_a_worked_example_is_the_golden_one(name):
    """To accept changed pictures, having looked at them, run with GOLDEN=write."""
    path = GOLDEN / f"{name}.svg"
    svg = PICTURES[name]().svg
    if os.environ.get("GOLDEN") == "write":
        path.write_text(svg, encoding="utf-8", newline="\n")
    assert svg == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_leaf_shows_the_gradient_of_the_worked_example(name):
    shown = {_text(group, "label"): _text(group, "gradient") for group in _nodes(ET.fromstring(draw(worked(name)).svg))}
    for leaf, gradient in flat(example(name)["grads"]).items():
        number = float(shown[leaf].removeprefix("∇ ").replace("−", "-"))
        assert number == pytest.approx(gradient, rel=0.5e-3)  # it is shown in four digits


def test_every_node_shows_its_operation_value_and_gradient():
    y = worked("C-01")
    groups = _nodes(ET.fromstring(draw(y).svg))
    assert [_text(group, "symbol") for group in groups] == ["", "", "+", "", "×"]
    assert [_text(group, "value") for group in groups] == ["−2", "5", "3", "−4", "−12"]
    assert [_text(group, "gradient") for group in groups] == ["∇ −4", "∇ −4", "∇ −4", "∇ 3", "∇ 1"]


def test_each_use_of_a_node_is_an_edge_of_its_own():
    edges = _edges(ET.fromstring(draw(square()).svg))
    assert list(edges) == ["e1-0", "e1-1"]
    assert edges["e1-0"].get("d") != edges["e1-1"].get("d")


def test_gradients_are_left_out_before_backward_and_on_request():
    x = Value(2.0, "x")
    assert "∇" not in draw(x * 3).svg
    assert "backward() has not run" in draw(x * 3).svg
    assert "∇" not in draw(square(), gradients=False).svg


def test_values_are_left_out_on_request():
    y = worked("C-01")
    root = ET.fromstring(draw(y, values=False).svg)
    assert not [text for text in root.iter(f"{SVG}text") if text.get("class") == "value"]


def test_precision_is_the_number_of_significant_digits():
    svg = draw(Value(3.14159265, "x") * 1, precision=3).svg
    assert ">3.14<" in svg
    assert ">3.142<" in draw(Value(3.14159265, "x") * 1).svg


def test_rules_show_the_local_gradient_as_formula_and_number():
    x, y = Value(2.0, "x"), Value(5.0, "y")
    t = (x * y).tanh()
    t.label = "t"
    rules = _rules(ET.fromstring(draw(t, rules=True).svg))
    assert rules[:2] == ["∂ y = 5", "∂ x = 2"]
    assert rules[2].startswith("∂ 1 − t * t = ")


def test_what_is_highlighted_is_marked():
    x = Value(2.0, "x")
    root = ET.fromstring(draw(x * 3, highlight=[x]).svg)
    assert ["highlight" in group.get("class") for group in _nodes(root)] == [True, False, False]


def test_edges_through_which_nothing_flows_back_are_idle():
    x, y = Value(-1.0, "x"), Value(2.0, "y")
    z = x.relu() + y
    z.backward()
    edges = _edges(ET.fromstring(draw(z).svg))
    assert {name: "idle" in edge.get("class") for name, edge in edges.items()} == {
        "e1-0": True,
        "e3-0": False,
        "e3-1": False,
    }


def test_a_route_that_is_shut_is_idle_even_under_an_infinite_gradient():
    x = Value(-1.0, "x")
    y = x.relu().sqrt()
    y.backward()
    edges = _edges(ET.fromstring(draw(y).svg))
    assert x.grad == 0.0
    assert {name: "idle" in edge.get("class") for name, edge in edges.items()} == {"e1-0": True, "e2-0": False}


def test_several_outputs_are_drawn_together():
    x = Value(2.0, "x")
    root = ET.fromstring(draw([x + 1, x * 2]).svg)
    assert len([group for group in _nodes(root) if "output" in group.get("class")]) == 2


def test_the_direction_turns_the_picture():
    y = square()
    wide, tall = draw(y), draw(y, rankdir="TB")
    assert wide.geometry.width > wide.geometry.height
    assert tall.geometry.width < tall.geometry.height
    assert draw(y, rankdir="RL").geometry.centres[0] > draw(y, rankdir="RL").geometry.centres[1]


def test_the_picture_says_in_words_what_it_shows():
    root = ET.fromstring(draw(worked("C-01")).svg)
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert "= −12" in title.text
    assert "3 leaves (x, y, z)" in description.text
    assert "x: −4, y: −4, z: 3" in description.text


def test_the_picture_loads_nothing_and_runs_nothing():
    svg = draw(square()).svg
    assert "prefers-color-scheme: dark" in svg
    for forbidden in ("<script", "href", "@import", "http", "onload"):
        assert forbidden not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")


ON_PAPER = [("text", "paper"), ("note", "paper"), ("constant text", "paper"), ("text", "tag")]
IN_BOXES = [("text", "box"), ("text.gradient", "box"), ("note", "box"), ("symbol", "gate"), ("text", "leaf .box")]
IN_OTHERS = [
    ("text.gradient", "leaf .box"),
    ("note", "fold .box"),
    ("text", "gradient .box"),
    ("symbol", "gradient .gate"),
]
LINES = [
    ("edge", "paper"),
    ("edge.gradient", "paper"),
    ("leaf .box", "paper"),
    ("ring", "paper"),
    ("gradient .box", "paper"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_lines_stand_out_from_what_is_behind_them(scheme):
    """At least as the Web Content Accessibility Guidelines want it: 4.5 for text, 3 for lines."""
    colours = _colours(scheme)
    for text, behind in ON_PAPER + IN_BOXES + IN_OTHERS:
        assert _contrast(colours[text, "fill"], colours[behind, "fill"]) >= 4.5, (text, behind)
    for line, behind in LINES:
        assert _contrast(colours[line, "stroke"], colours[behind, "fill"]) >= 3, (line, behind)


def _colours(scheme):
    """(selector without the class that confines it, property) -> colour, as the style sheet has them."""
    light, dark = stylesheet().split("@media (prefers-color-scheme: dark) {")
    colours = {}
    for rules in (light, dark) if scheme == "dark" else (light,):
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]+)\}", rules):
            for name, colour in re.findall(r"(fill|stroke): (#[0-9a-f]{6})", body):
                for selector in selectors.split(","):
                    colours[selector.strip().removeprefix(".microgrannd ").removeprefix("."), name] = colour
    return colours


def _contrast(one, other):
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


HOSTILE = st.text(st.characters(codec=None, exclude_categories=()), max_size=40) | st.sampled_from(
    ["</text><script>alert(1)</script>", "]]>", "&lt;", '" onload="x', "\x00\x1b\ud800", "a\nb\\n\t", "数値", "∇" * 99]
)


@given(st.lists(HOSTILE, min_size=1, max_size=4), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_label_gives_well_formed_xml_and_stays_text(labels, backward, rules):
    y = Value(1.5)
    for label in labels:
        y = y * Value(0.5, label) + y.tanh()
        y.label = label
    drawing = draw(y, backward=backward, rules=rules and not backward, rankdir="TB" if rules else "LR")
    for text in (drawing.svg, drawing.html[drawing.html.index("<svg") : drawing.html.index("</body>")]):
        root = ET.fromstring(text.encode("utf-8"))
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {"svg", "title", "desc", "style", "defs", "marker", "rect", "g", "path", "text"}
        assert not [name for element in root.iter() for name in element.keys() if name.startswith("on")]  # noqa: SIM118
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
    assert str(drawing)


def test_numbers_beyond_numbers_are_shown():
    x = Value(0.0, "x")
    y = x.log() * 0.0 + (-x).exp() * 1e300 * 1e300
    y.backward()
    svg = draw(y).svg
    assert "NaN" in svg
    assert "∞" in svg


CODE = """
from microgrannd import Value, scope
from microgrannd.drawing import draw
from microgrannd.nn import MLP
model = MLP(3, [4, 4, 1], seed=1)
loss = sum((model([Value(i / 4), Value(-i / 8, "b"), 0.5]) - i) ** 2 for i in range(8))
loss.backward()
parts = [draw(loss, fold=fold).svg for fold in ("none", "auto", "all")]
parts += [draw(loss, backward=True, fold="none").svg, draw(loss, backward=True).svg, draw(loss).dot, str(draw(loss))]
import hashlib
print(hashlib.sha256("".join(parts).encode()).hexdigest())
"""


def test_the_same_graph_gives_the_same_bytes_whatever_the_hash_seed():
    digests = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(digests) == 1


# ---- files and notebooks


@pytest.mark.parametrize("suffix", [".svg", ".dot", ".html", ".SVG"])
def test_a_drawing_is_saved_by_the_suffix(tmp_path, suffix):
    drawing = draw(square())
    drawing.save(tmp_path / f"y{suffix}")
    assert os.listdir(tmp_path) == [f"y{suffix}"]
    content = (tmp_path / f"y{suffix}").read_text(encoding="utf-8")
    assert content == getattr(drawing, suffix[1:].lower())


def test_an_unknown_suffix_names_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"saved as \.svg, \.dot or \.html, not as '\.jpg'"):
        draw(square()).save(tmp_path / "y.jpg")
    with pytest.raises(ValueError, match=r'draw\(\.\.\., layout="dot"\)'):
        draw(square()).save(tmp_path / "y.png")
    assert not os.listdir(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere to write y\.svg"):
        draw(square()).save(tmp_path / "nowhere" / "y.svg")


def test_a_page_has_a_policy_that_forbids_everything_but_its_style():
    html = draw(square()).html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "<script" not in html


def test_in_a_notebook_a_drawing_is_an_image_and_a_tree():
    drawing = draw(square())
    bundle = drawing._repr_mimebundle_()
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', bundle["text/html"])
    assert base64.b64decode(data[1]).decode() == drawing.svg
    assert bundle["text/plain"] == "× y 9 (∇ 1)\n├─ x 3 (∇ 6)\n└─ x, as above"
    assert 'alt="Computation graph of y = 9"' in bundle["text/html"]


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_a_sanitised_export_shows_the_tree(template):
    nbconvert, nbformat = pytest.importorskip("nbconvert"), pytest.importorskip("nbformat")
    output = nbformat.v4.new_output("display_data", draw(square())._repr_mimebundle_())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("mg.draw(y)", outputs=[output])])
    shown = {}
    for sanitize in (False, True):
        exporter = nbconvert.HTMLExporter(sanitize_html=sanitize, template_name=template)
        shown[sanitize] = exporter.from_notebook_node(notebook)[0].partition("<main")[2]
    assert '<img alt="Computation graph of y = 9"' in shown[False]
    assert "<pre hidden" in shown[False]
    assert "<img" not in shown[True]
    assert "<pre>× y 9 (∇ 1)\n├─ x 3 (∇ 6)" in shown[True]
    assert '<div class="jp-FileSize-hidden collapse">&lt;img' in shown[True]  # which its style sheet hides


def test_the_tree_of_a_deep_or_wide_graph_is_short():
    y = Value(1.0, "x")
    for _ in range(300):
        y = y.tanh()
    assert len(str(draw(y, fold="none")).splitlines()) < 70
    wide = operations.sum([Value(i) for i in range(1000)])
    assert len(str(draw(wide, fold="none")).splitlines()) < 70


# ---- errors


@pytest.mark.parametrize("what", [None, 3.0, "y", [1.0], object()])
def test_what_is_no_value_is_a_type_error(what):
    with pytest.raises(TypeError, match="draw takes a Value or a list of Values"):
        draw(what)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "neato"}, "layout is one of 'layered', 'dot'; got 'neato'"),
        ({"rankdir": "left"}, "rankdir is one of"),
        ({"fold": True}, "fold is one of 'auto', 'none', 'all'"),
        ({"precision": 0}, "precision is a whole number from 1"),
        ({"depth": -1}, "depth is a whole number from 0"),
    ],
)
def test_an_option_that_is_not_there_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        draw(square(), **options)


def test_an_empty_list_is_an_error():
    with pytest.raises(ValueError, match="an empty list"):
        draw([])


def test_a_single_leaf_can_be_drawn():
    assert isinstance(draw(Value(2.0, "x")), Drawing)
    assert len(_nodes(ET.fromstring(draw(Constant(2.0)).svg))) == 1


def _nodes(root):
    return [group for group in root.iter(f"{SVG}g") if (group.get("class") or "").startswith("node ")]


def _edges(root):
    return {path.get("id"): path for path in root.iter(f"{SVG}path") if (path.get("class") or "").startswith("edge")}


def _rules(root):
    return [group.find(f"{SVG}text").text for group in root.iter(f"{SVG}g") if group.get("class") == "rule"]


def _text(group, kind):
    texts = [text.text for text in group.iter(f"{SVG}text") if kind in text.get("class").split()]
    return texts[0] if texts else ""
