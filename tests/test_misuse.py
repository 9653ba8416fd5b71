"""Whatever a public function gets, it works or says what is wrong, in words of its caller's."""

import itertools
import socket
import warnings

import pytest

import microgrannd as mg
from microgrannd import Value
from tests import public_calls

CALLS = 400  # of each seed


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A folder of its own for what is written, and no network."""

    def refused(*_):
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refused)


def faults(seed, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, function, draw in itertools.islice(public_calls.calls(seed), count):
            found = public_calls.tried(function, draw)
            if found not in ("right", "refused", "too long"):
                yield f"{name}: {found}"


@pytest.mark.parametrize("seed", range(5))
def test_a_call_with_anything_at_all_ends_well_or_says_what_is_wrong(seed, apart):
    found = list(faults(seed, CALLS))
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_tens_of_thousands_of_calls_end_well_or_say_what_is_wrong(seed, apart):
    found = list(faults(seed, 2_500))
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_the_calls_reach_every_public_function_and_are_often_right(apart):
    """Otherwise the fuzzer would try the first check of each function and nothing beyond it."""
    every = {*public_calls.functions(), *(name for name, *_ in public_calls.methods())}
    drawn = itertools.islice(public_calls.calls(0), 6_000)
    results = [(name.removesuffix(" ="), public_calls.tried(function, draw)) for name, function, draw in drawn]
    assert not every - {name for name, _ in results}
    assert [result for _, result in results].count("right") > 1_500


def network():
    return mg.MLP(2, [2, 1], seed=0)


def looped():
    nest = []
    nest.append(nest)
    return nest


X = Value(2.0, label="x")
WRONG = {
    "sin takes 1 number, got 0": lambda: mg.sin(),
    "sin takes 1 number, got 2": lambda: mg.sin(1.0, 2.0),
    "atan2 takes 2 numbers, got 1": lambda: mg.atan2(X),
    "clamp takes 1 to 3 numbers, got 4": lambda: X.clamp(1, 2, 3),
    "Each root is a Value, got 5": lambda: mg.topological_order(5),
    "What is profiled is a Value, got 5": lambda: mg.profile(5),
    "repeats is a whole number from 1, got 0": lambda: mg.profile(X * X, repeats=0),
    "model is an MLP, or a Layer, got 5": lambda: mg.layer_view(5, X * X),
    "loss is a Value, got 5": lambda: mg.layer_view(network(), 5),
    "values is a list of Values, got one with 1.0": lambda: mg.zero_grad([1.0]),
    "values is a list of Values, got MLP": lambda: mg.zero_grad(network()),
    "label is a str, got 5": lambda: Value(1.0, label=5),
    "label is a str, got None": lambda: Value(1.0, None),
    "label is a str, got b'x'": lambda: setattr(X, "label", b"x"),
    "scope is a str, got None": lambda: X.named(None, "x"),
    "A scope has a name, a str that is not empty; got 5": lambda: mg.scope(5),
    "argnums=2 asks for an argument": lambda: mg.compile(lambda x: x * x, backend="python").hessian(1.0, argnums=2),
    "picture is a Picture, got": lambda: mg.Drawing([X]),
    "highlight is a list of Values, got one with 'x'": lambda: mg.draw(X, highlight=["x"]),
    "path is the path of a file, got 5": lambda: mg.draw(X).save(5),
    "path has a character that no file's name may have": lambda: mg.step(X * X).to_html("a\0.html"),
    "optimizer is one such as SGD(model.parameters(), lr=0.1), got": lambda: mg.compile(lambda x: x * x).fit(
        ([1.0],), [X]
    ),
    "threads is a whole number, got 'two'": lambda: mg.compile(lambda x: x * x, threads="two"),
    "inputs is a list of Values, got": lambda: mg.compile(graph=X * X, inputs=X),
    "labels is a list of classes, got 5": lambda: mg.accuracy(5, [1]),
    "These classes have no order": lambda: mg.ConfusionMatrix(["a", 1], ["a", 1]),
    "The matrix has no samples": lambda: mg.ConfusionMatrix.from_counts([[0, 0], [0, 0]]).accuracy,
    "outputs has a number for each class, got none": lambda: mg.evaluation.argmax([]),
    "n is a whole number, got 2.5": lambda: mg.datasets.moons(2.5),
    "columns is a list of names, got 'sepal_length'": lambda: mg.datasets.iris("sepal_length"),
    "inputs is a Mapping, got": lambda: mg.expressions.evaluate("x", [1.0]),
    "sin takes arrays of numbers, got one of <U1": lambda: mg.sin(__import__("numpy").array(["a"])),
    "add takes 2 numbers, got 3": lambda: mg.add(*[__import__("numpy").ones(2)] * 3),
    "What goes through a layer is": lambda: mg.layers.Affine([[1.0]], [1.0]).forward(5),
    "nested more than 100 deep here, or one holds itself": lambda: mg.grad(lambda x: 1.0)(looped()),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_argument_is_named(message):
    with pytest.raises((TypeError, ValueError)) as error:
        WRONG[message]()
    assert message in str(error.value)
    assert len(str(error.value)) < 300


def test_an_argument_is_shown_in_a_few_words_whatever_it_is():
    class Unspeakable:
        def __repr__(self):
            raise RuntimeError

    for thing in ("x" * 100_000, [[0] * 1000] * 1000, dict.fromkeys(range(1000), "\n" * 100), looped(), Unspeakable()):
        with pytest.raises(TypeError) as error:
            Value(thing)
        assert len(str(error.value)) < 200
        assert str(error.value).isprintable()


def test_a_module_may_hold_a_list_that_holds_itself():
    class Endless(mg.Module):
        def __init__(self):
            self.parts = looped()

    assert Endless().parameters() == []
