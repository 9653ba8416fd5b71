"""What eager mode refuses compiled training refuses: the same error for each sample, whichever it is."""

import warnings

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value, losses

COUNT = 2000
X = [i / 1000 - 1 for i in range(COUNT)]


def three(x, p):
    return [p[0] * x, p[1] * x, p[2] - x]


def one_hot(k):
    return [float(k == i) for i in range(3)]


# A loss of (x, y) with parameters p, a label that fits, and labels that do not.
LOSSES = {
    "softmax_cross_entropy": (
        lambda p: lambda x, y: losses.softmax_cross_entropy(three(x, p), y),
        lambda i: i % 3,
        [3, -1, 1.5, float("nan"), 10**6],
    ),
    "softmax_cross_entropy of shares": (
        lambda p: lambda x, y: losses.softmax_cross_entropy(three(x, p), y),
        lambda i: one_hot(i % 3),
        [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [2.0, -1.0, 0.0]],
    ),
    "multiclass_hinge": (
        lambda p: lambda x, y: losses.multiclass_hinge(three(x, p), y),
        lambda i: i % 3,
        [3, -1, 0.5],
    ),
    "binary_cross_entropy": (
        lambda p: lambda x, y: losses.binary_cross_entropy(mg.sigmoid(p[0] * x + p[1]) + 0 * p[2], y),
        lambda i: i % 2,
        [2, -1, 1.01, float("nan"), float("inf")],
    ),
    "binary_cross_entropy_with_logits": (
        lambda p: lambda x, y: losses.binary_cross_entropy_with_logits(p[0] * x + p[1] + 0 * p[2], y),
        lambda i: i % 2,
        [2, -1, 1.01, float("nan")],
    ),
    "binary_cross_entropy_with_logits of lists": (
        lambda p: lambda x, y: losses.binary_cross_entropy_with_logits(three(x, p)[:2], y),
        lambda i: [i % 2, 0],
        [[0, 2], [-1, 1]],
    ),
    "hinge": (
        lambda p: lambda x, y: losses.hinge(p[0] * x + p[1] + 0 * p[2], y),
        lambda i: 2 * (i % 2) - 1,
        [0, 2, 0.5],
    ),
    "a derived label": (
        lambda p: lambda x, y: losses.softmax_cross_entropy(three(x, p), y - 1),
        lambda i: i % 3 + 1,
        [4, 0],
    ),
}
CASES = [(name, bad) for name, (_, _, wrong) in LOSSES.items() for bad in wrong]
SOME = [(name, LOSSES[name][2][0]) for name in LOSSES]
IDS = [f"{name} {bad}" for name, bad in CASES]
SOME_IDS = [name for name, _ in SOME]


def refusal(act):
    """The error's type and message; None where there is none."""
    try:
        act()
    except Exception as error:
        return type(error), str(error)
    return None


def parameters():
    return [Value(0.1), Value(0.2), Value(0.3)]


def labels(name, bad, at=COUNT - 1):
    good = LOSSES[name][1]
    return [bad if i == at else good(i) for i in range(COUNT)]


def fitted(name, data, compiled, **options):
    p = parameters()
    mg.fit(LOSSES[name][0](p), data, mg.optim.SGD(p, lr=0.1), epochs=2, compiled=compiled, **options)


def refused_alike(name, data, **options):
    wanted = refusal(lambda: fitted(name, data, False, **options))
    assert wanted is not None
    assert issubclass(wanted[0], ValueError)
    for compiled in ("auto", True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it goes on eagerly may be said before the error
            assert refusal(lambda: fitted(name, data, compiled, **options)) == wanted  # noqa: B023


@pytest.mark.parametrize("batches", [{}, {"batch_size": 64, "seed": 1}], ids=["all", "batches"])
@pytest.mark.parametrize(("name", "bad"), CASES, ids=IDS)
def test_one_label_that_does_not_fit_is_refused_as_in_eager_training(name, bad, batches):
    refused_alike(name, (X, labels(name, bad)), **batches)


@pytest.mark.parametrize("at", [0, 1, 999, 1900])
@pytest.mark.parametrize(("name", "bad"), SOME, ids=SOME_IDS)
def test_it_is_refused_wherever_it_stands(name, bad, at):
    refused_alike(name, (X, labels(name, bad, at)))


@pytest.mark.parametrize(("name", "bad"), SOME, ids=SOME_IDS)
def test_it_is_refused_in_arrays_too(name, bad):
    refused_alike(name, (np.array(X), np.array(labels(name, bad))))


@pytest.mark.parametrize("batch", [1, 19])
@pytest.mark.parametrize(("name", "bad"), SOME, ids=SOME_IDS)
def test_it_is_refused_in_a_stream_too(name, bad, batch):
    y = labels(name, bad, at=100 * batch + 50)

    def batches():
        for start in range(0, COUNT, 100):
            yield X[start : start + 100], y[start : start + 100]

    refused_alike(name, batches)


@pytest.mark.parametrize(("name", "bad"), SOME, ids=SOME_IDS)
def test_labels_that_all_fit_train_to_the_same_parameters(name, bad):
    def run(compiled):
        p = parameters()
        good = [LOSSES[name][1](i) for i in range(COUNT)]
        mg.fit(LOSSES[name][0](p), (X, good), mg.optim.SGD(p, lr=0.1), epochs=2, compiled=compiled)
        return [x.data for x in p]

    wanted = run(False)
    assert run("auto") == pytest.approx(wanted, rel=1e-9)
    assert run(True) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
@pytest.mark.parametrize(("name", "bad"), SOME, ids=SOME_IDS)
def test_a_program_refuses_it_in_every_call(name, bad, backend):
    p = parameters()
    loss = LOSSES[name][0](p)
    good = LOSSES[name][1](0)
    wanted = refusal(lambda: loss(0.5, bad))
    program = mg.compile(loss, backend=backend)
    batch = (np.array(X), np.array(labels(name, bad)))
    assert program(0.5, good) == pytest.approx(loss(0.5, good).data)
    calls = {
        "a call": lambda: program(0.5, bad),
        "a second call": lambda: program(0.5, bad),
        "gradients": lambda: program.value_and_gradients(0.5, bad),
        "backward": lambda: program.backward(*batch),
        "backward of lists": lambda: program.backward(X, labels(name, bad)),
        "fit": lambda: program.fit(batch, mg.optim.SGD(p, lr=0.1), epochs=2),
        "fit in batches": lambda: program.fit(batch, mg.optim.SGD(p, lr=0.1), epochs=2, batch_size=64, seed=1),
    }
    found = {call: (error := refusal(act)) and error[0] for call, act in calls.items()}
    assert found == dict.fromkeys(calls, wanted[0])
    assert refusal(calls["a call"]) == wanted
    assert refusal(lambda: mg.compile(loss, backend=backend)(0.5, bad)) == wanted  # at the very first call


ARITHMETIC = {
    "division by a zero in the data": (lambda w: lambda x, y: (1 / y) * w * x, 0, ZeroDivisionError),
    "a remainder by a zero in the data": (lambda w: lambda x, y: (5 % y) * w * x, 0, ZeroDivisionError),
    "a root of a number below zero": (lambda w: lambda x, y: w * x * y**0.5, -1, TypeError),
    "a power that overflows": (lambda w: lambda x, y: w * x * 10.0**y, 400, OverflowError),
}


@pytest.mark.parametrize("at", [0, 1999])
@pytest.mark.parametrize("kind", ARITHMETIC)
def test_arithmetic_that_python_refuses_for_one_sample_is_refused_in_compiled_training(kind, at):
    make, bad, error = ARITHMETIC[kind]

    def act(compiled):
        w = Value(0.1)
        y = [bad if i == at else 1 for i in range(COUNT)]
        mg.fit(lambda x, y: make(w)(x, y), (X, y), mg.optim.SGD([w], lr=0.1), epochs=2, compiled=compiled)

    with pytest.raises(error):
        act(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(error):
            act("auto")
