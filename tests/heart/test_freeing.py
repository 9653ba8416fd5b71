"""Freeing in a loop, which is only there where Python needs it, and is tried here on every Python."""

import gc
import threading
import weakref

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.nodes import freeing

pytestmark = pytest.mark.skipif(
    not hasattr(freeing, "RECURSES"), reason="the compiled build frees in a loop of its own"
)


@pytest.fixture
def deepest(monkeypatch):
    """How many calls of `__del__` there were inside one another, as the only entry of a list."""
    found, inside = [0], [0]

    def counted(node):
        inside[0] += 1
        found[0] = max(found[0], inside[0])
        freeing.let_go_of_parents(node)
        inside[0] -= 1

    monkeypatch.setattr(Value, "__del__", counted, raising=False)
    return found


def chain(size):
    y = Value(1.0)
    for _ in range(size):
        y = y.tanh()
    return y


def ladder(size):
    y = Value(1.0)
    for _ in range(size):
        y = y + y * 0.5
    return y


def sums(size):
    y = Value(1.0)
    for _ in range(size):
        y = mg.sum([y, 1.0, y])
    return y


def choices(size):
    y = Value(1.0)
    for _ in range(size):
        y = mg.where(y, y, mg.hypot(y, 2.0))
    return y


def gradient(size):
    x = Value(1.0)
    y = x
    for _ in range(size):
        y = y.sin()
    return mg.gradients(y, [x])[0]


@pytest.mark.parametrize("deep", [chain, ladder, sums, choices, gradient])
def test_no_call_is_inside_more_than_one_other(deep, deepest):
    y = deep(10_000)
    del y
    assert 1 <= deepest[0] <= 2


@pytest.mark.usefixtures("deepest")
def test_what_somebody_holds_stays_whole():
    x = Value(2.0)
    held = x * x
    below = held + 1
    y = below * held
    del y, below
    assert held.parents == (x, x)
    held.backward()
    assert (held.data, held.inputs, x.grad) == (4.0, (2.0, 2.0), 4.0)


@pytest.mark.usefixtures("deepest")
def test_a_value_that_was_never_made_is_let_go_of_without_a_word(capsys):
    with pytest.raises(TypeError):
        Value("3")
    gc.collect()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("deep", [chain, ladder, sums, choices, gradient])
def test_a_thread_of_64_kilobytes_is_enough(deep):
    held = [deep(10_000)]
    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert held == []


def test_a_million_nodes_are_freed():
    y = chain(1_000_000)
    gone = weakref.ref(y)
    del y
    assert gone() is None


def test_a_million_nodes_are_freed_in_a_thread_of_64_kilobytes():
    held = [chain(1_000_000)]
    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert held == []


def test_the_class_has_a_del_only_where_python_recurses():
    assert hasattr(Value, "__del__") == freeing.RECURSES
