"""Data of every kind train eagerly and compiled to the same parameters: those of the same numbers as floats."""

import warnings
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import EPOCHS, X, Y, agree, error, trained

DTYPES = ["uint8", "int8", "uint16", "uint64", "int64", "bool", "float16", "float32", "float64", ">f8", "object"]

# Arithmetic on the data before they meet a Value, where small integers wrap and short floats round.
ARITHMETIC = {
    "2 * y - 1": lambda y: 2 * y - 1,
    "1 - y": lambda y: 1 - y,
    "y - 1": lambda y: y - 1,
    "-y": lambda y: -y,
    "y * 200": lambda y: y * 200,
    "100 * y + 100 * y": lambda y: (100 * y + 100 * y) / 100,
    "y / 3": lambda y: y / 3,
    "y ** 2 * 0.1": lambda y: (y * 255) ** 2 * 1e-4,
    "y // 2": lambda y: (y + 7) // 2,
    "(y - 1) // 2": lambda y: (y - 1) // 2,
    "y % 2": lambda y: (y - 1) % 2,
    "0.1 * y": lambda y: 0.1 * y,
}


def fitted(arithmetic, data, compiled, **options):
    w, b = Value(0.1, "w"), Value(0.0, "b")
    loss = lambda x, y: mg.tanh(w * x + b - 0.01 * arithmetic(y)) ** 2  # noqa: E731
    mg.fit(loss, data, mg.optim.SGD([w, b], lr=0.1), epochs=EPOCHS, compiled=compiled, **options)
    return [w.data, b.data]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arithmetic", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic_on_labels_of_any_type_is_that_of_their_numbers(arithmetic, dtype):
    wanted = fitted(arithmetic, (X, [float(y) for y in Y]), False)
    y = np.array(Y).astype(dtype)
    for compiled in (False, "auto"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            assert fitted(arithmetic, (X, y), compiled) == pytest.approx(wanted, rel=1e-9), compiled


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_trained_in_batches_as_lists_are(dtype):
    data = (np.array(X), np.array(Y).astype(dtype))
    options = {"batch_size": 64, "seed": 2}
    wanted = fitted(ARITHMETIC["2 * y - 1"], (X, [float(y) for y in Y]), False, **options)
    assert fitted(ARITHMETIC["2 * y - 1"], data, False, **options) == pytest.approx(wanted, rel=1e-9)
    assert fitted(ARITHMETIC["2 * y - 1"], data, "auto", **options) == pytest.approx(wanted, rel=1e-9)


def row_loss(w, b):
    return lambda x, y: mg.tanh(w * ((x[0] * x[1] - 1) / 10_000) + b * ((x[1] - x[0]) / 100) - 0.01 * y) ** 2


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64", "bool", "float16", "float32", "object"])
def test_rows_of_any_type_are_rows_of_their_numbers(dtype):
    rows = np.array([[i % 2, (i // 2) % 2] for i in range(400)])
    if dtype != "bool":
        rows *= 100
    floats = (rows / 3 if "float" in dtype else rows.astype(float)).astype(dtype if "float" in dtype else float)

    def run(data, compiled):
        return trained(row_loss, compiled, rate=0.1, data=(data, Y))

    wanted = run([[float(x) for x in row] for row in floats], False)
    data = floats.astype(dtype)
    assert run(data, False) == pytest.approx(wanted, rel=1e-9)
    agree(lambda compiled: run(data, compiled), None)


NUMBERS = {
    "ints": lambda y: y,
    "bools": bool,
    "floats": float,
    "Fractions": lambda y: Fraction(y, 3),
    "NumPy bytes": np.uint8,
    "NumPy's floats": np.float32,
    "NumPy's bools": np.bool_,
    "ints and floats": lambda y: y if y else 0.0,
    "large ints": lambda y: y * 2**70,
    "nested": lambda y: [y, 1 - y],
    "tuples": lambda y: (y, 1 - y),
    "dicts": lambda y: {"a": y, "b": 1 - y},
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_lists_of_any_numbers_train_as_eager(number):
    def total(y):
        return sum(y.values()) if isinstance(y, dict) else sum(y) if isinstance(y, list | tuple) else y

    def run(compiled):
        data = (X, [number(y) for y in Y])
        return fitted(lambda y: mg.tanh(total(y) * 1.0), data, compiled)

    agree(run, None)


def test_a_memory_mapped_file_of_bytes_trains_as_a_list_of_ints(tmp_path):
    np.save(tmp_path / "y.npy", np.array(Y, dtype="uint8"))
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    for options in ({}, {"batch_size": 64, "seed": 1}):
        wanted = fitted(ARITHMETIC["2 * y - 1"], (X, Y), False, **options)
        assert fitted(ARITHMETIC["2 * y - 1"], (X, mapped), False, **options) == pytest.approx(wanted, rel=1e-9)
        assert fitted(ARITHMETIC["2 * y - 1"], (X, mapped), "auto", **options) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float16"])
@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
def test_a_program_computes_with_numbers_whatever_their_type(dtype, backend):
    y = np.array([0, 1, 1, 0] * 4).astype(dtype)
    program = mg.compile(lambda y: (2 * y - 1) * 200.0, backend=backend)
    assert program(y).tolist() == [-200.0, 200.0, 200.0, -200.0] * 4
    assert program(y[0]) == -200.0


class Sample(NamedTuple):
    x: float
    weight: float


# What rows and samples are in eager mode beyond numbers, and what a trace makes of them.
SAMPLES = {
    "a row is an array": (
        lambda w, b: lambda x, y: error(w, b, (x + x)[0], y),
        lambda: (np.array([[x, 1.0] for x in X]), Y),
    ),
    "a row times two": (
        lambda w, b: lambda x, y: error(w, b, (x * 2)[1], y),
        lambda: (np.array([[1.0, x] for x in X]), Y),
    ),
    "a row's method": (
        lambda w, b: lambda x, y: error(w, b, float(x.mean()), y),
        lambda: (np.array([[x, 2 * x] for x in X]), Y),
    ),
    "a row's method if there is one": (
        lambda w, b: lambda x, y: error(w, b, x.max() if hasattr(x, "max") else x[0], y),
        lambda: (np.array([[x, 1.0] for x in X]), Y),
    ),
    "a row's type": (
        lambda w, b: lambda x, y: error(w, b, x[0] if isinstance(x, list) else x[1], y),
        lambda: (np.array([[1.0, x] for x in X]), Y),
    ),
    "a matrix times a row": (
        lambda w, b: lambda x, y: error(w, b, (np.array([[0.0, 1.0]]) @ x)[0], y),
        lambda: (np.array([[1.0, x] for x in X]), Y),
    ),
    "a named tuple": (
        lambda w, b: lambda x, y: getattr(x, "weight", 1.0) * error(w, b, x[0], y),
        lambda: ([Sample(x, 3.0) for x in X], Y),
    ),
    "an object": (
        lambda w, b: lambda x, y: error(w, b, x.x, y),
        lambda: ([SimpleNamespace(x=x) for x in X], Y),
    ),
    "words": (
        lambda w, b: lambda x, y: error(w, b, x, {"no": 0, "yes": 1}[y]),
        lambda: (X, [("no", "yes")[y] for y in Y]),
    ),
    "None in the last sample": (
        lambda w, b: lambda x, y: error(w, b, x, 0 if y is None else y),
        lambda: (X, [*Y[:-1], None]),
    ),
    "rows of other lengths": (
        lambda w, b: lambda x, y: error(w, b, sum(x), y),
        lambda: ([[x] * (1 + (i == 390)) for i, x in enumerate(X)], Y),
    ),
    "Decimals": (
        lambda w, b: lambda x, y: error(w, b, float(x), y),
        lambda: ([Decimal(str(x)) for x in X], Y),
    ),
    "a dict with another key in one sample": (
        lambda w, b: lambda x, y: x.get("weight", 1.0) * error(w, b, x["x"], y),
        lambda: ([{"x": x} | ({"weight": 5.0} if i == 390 else {}) for i, x in enumerate(X)], Y),
    ),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_that_are_more_than_numbers_train_as_eager(kind):
    make, data = SAMPLES[kind]
    same = kind in ("a named tuple", "a matrix times a row")  # for a trace too, so that nothing is to be said
    changed = None if same else ""
    agree(lambda compiled: trained(make, compiled, rate=0.1, data=data()), changed)


# Paths that only a few samples take.
RARE = {
    "one label of its own": lambda y: {7: 50.0}.get(y, 1.0),
    "a label in a set": lambda y: 50.0 if y in {7} else 1.0,
    "an if on the label": lambda y: 50.0 if y == 7 else 1.0,
    "an if that is swallowed": lambda y: guarded(lambda: 50.0 if y == 7 else 1.0),
    "a table that is swallowed": lambda y: guarded(lambda: {7: 50.0, 0: 1.0, 1: 1.0}[y]),
    "a list that is swallowed": lambda y: guarded(lambda: [1.0, 1.0, 0, 0, 0, 0, 0, 50.0][y]),
    "text": lambda y: 50.0 if "7" in str(y) else 1.0,
    "a cached function": lambda y: guarded(lambda: SEVEN(y)),
}


class Seven(dict):
    def __missing__(self, y):
        return 1.0

    def __call__(self, y):
        return self[y]


SEVEN = Seven({7: 50.0})


def guarded(find):
    try:
        return find()
    except Exception:
        return 1.0


@pytest.mark.parametrize("kind", RARE)
def test_a_path_that_one_sample_takes_is_taken_in_compiled_training(kind):
    y = [int(i / 1000 - 1 > 0.3) for i in range(2000)]
    y[1900] = 7
    data = ([i / 1000 - 1 for i in range(2000)], y)

    def run(find, compiled):
        w, b = Value(0.5), Value(0.0)
        loss = lambda x, y: find(y) * (w * x + b - 0.1 * y) ** 2  # noqa: E731
        history = mg.fit(loss, data, mg.optim.SGD([w, b], lr=0.1), epochs=2, compiled=compiled)
        return [w.data, b.data, *history.losses]

    wanted = agree(lambda compiled: run(RARE[kind], compiled))
    assert wanted != run(lambda y: 1.0, False)


def test_every_sample_drawn_from_all_of_the_data_may_show_a_difference():
    """A loss that takes another path, unseen by the trace, for the middle half of the samples."""

    class Label(float):
        heavy = False

    def make(w, b):
        return lambda x, y: (5.0 if getattr(y, "heavy", False) else 1.0) * error(w, b, x, y)

    labels = [Label(y) for y in Y]
    for label in labels[100:300]:
        label.heavy = True
    agree(lambda compiled: trained(make, compiled, data=(X, labels)))
