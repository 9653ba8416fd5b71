"""A training that diverges says in which epoch, and leaves the last finite parameters, whatever computes it."""

import math
import warnings

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.optim import SGD, Adagrad, Adam, Optimizer, RMSprop
from tests.oracles import agrees

X = [[0.5 * i, 1.0 - 0.2 * i] for i in range(12)]
Y = [float(i % 3) for i in range(12)]


def batches():
    for start in range(0, 12, 4):
        yield X[start : start + 4], Y[start : start + 4]


# How the epochs are run: eagerly, sample by sample; by a program's gradients; in native code; on arrays; on a stream.
RUNS = {
    "eager": {"compiled": False},
    "native": {"compiled": True},
    "eager, in batches": {"compiled": False, "batch_size": 4, "seed": 0},
    "native, in batches": {"compiled": True, "batch_size": 4, "seed": 0},
    "eager, looked into": {"compiled": False, "callbacks": [lambda *_: None]},
    "native, looked into": {"compiled": True, "callbacks": [lambda *_: None]},
    "eager stream": {"compiled": False, "data": batches},
    "native stream": {"compiled": True, "data": batches},
}
BACKENDS = ["numpy", "python"]


def diverged(loss_of, make, epochs=200, backend=None, data=(X, Y), **options):
    """The parameters, the history and the warning of a training that diverges."""
    model = mg.MLP(2, [2, 1], activation="relu", seed=3)
    optimizer = make(model.parameters())
    loss = lambda x, y: loss_of(model(x), y)  # noqa: E731
    program = mg.compile(loss, backend=backend) if backend else loss
    with pytest.warns(RuntimeWarning, match="The training diverged in epoch") as caught:
        history = mg.fit(program, data, optimizer, epochs=epochs, **options)
    [warning] = caught
    assert warning.filename == __file__
    assert history.diverged
    assert "diverged" in repr(history)
    assert f"in epoch {len(history)} of {epochs}" in str(warning.message)
    assert "smaller lr" in str(warning.message)
    return optimizer, history


def square(p, y):
    return (p - y) ** 2


def steps_by_hand(make, epochs):
    """The parameters before each epoch of full batches, until one is not finite."""
    model = mg.MLP(2, [2, 1], activation="relu", seed=3)
    optimizer = make(model.parameters())
    path = [[p.data for p in model.parameters()]]
    for _ in range(epochs):
        optimizer.zero_grad()
        losses = [square(model(x), y) for x, y in zip(X, Y, strict=True)]
        for loss in losses:
            loss.backward(1 / len(X))
        if not math.isfinite(sum(loss.data for loss in losses)):
            return path
        optimizer.step()
        if not all(math.isfinite(p.data) for p in model.parameters()):
            return path
        path.append([p.data for p in model.parameters()])
    return path


@pytest.mark.parametrize("rate", [50.0, 1e9, 1e150, 1e300])
@pytest.mark.parametrize("run", ["eager", "native", "eager, looked into", "native, looked into", *BACKENDS])
def test_the_epoch_and_the_last_finite_parameters_are_those_of_steps_by_hand(run, rate):
    options = RUNS.get(run, {"backend": run})
    optimizer, history = diverged(square, lambda ps: SGD(ps, lr=rate), **options)
    path = steps_by_hand(lambda ps: SGD(ps, lr=rate), 200)
    assert len(history) == len(path)
    assert [p.data for p in optimizer.parameters] == pytest.approx(path[-1], rel=1e-6)
    assert all(map(math.isfinite, history.losses[:-1]))
    assert optimizer.steps == len(path) - 1


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("make", [SGD, lambda ps, lr: SGD(ps, lr, momentum=0.9), RMSprop, Adagrad, Adam])
def test_eager_and_compiled_diverge_alike_and_leave_finite_parameters(run, make):
    other = run.replace("native", "eager")
    found = [diverged(square, lambda ps: make(ps, lr=1e200), **RUNS[name]) for name in (run, other)]
    numbers, wanted = ([p.data for p in optimizer.parameters] for optimizer, _ in found)
    assert all(map(math.isfinite, numbers))
    assert numbers == pytest.approx(wanted, rel=1e-9)
    assert [len(history) for _, history in found] == [len(found[0][1])] * 2
    for name in found[0][0].memory_names:
        ours, theirs = (optimizer.memory_of(name) for optimizer, _ in found)
        assert ours == pytest.approx(theirs, rel=1e-9)
    assert found[0][0].steps == found[1][0].steps


def test_training_may_go_on_with_a_smaller_rate():
    optimizer, _ = diverged(square, lambda ps: SGD(ps, lr=1e9, momentum=0.5), epochs=20)
    assert all(math.isfinite(x) for kept in optimizer.memory.values() for x in kept)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_parameter_that_is_infinite_while_the_loss_is_finite_is_a_divergence(compiled):
    w, b = Value(-1.0), Value(0.5)
    # The sigmoid of an infinite weight is 0: the loss stays finite for ever.
    loss = lambda x, y: (mg.sigmoid(w * x) - y) ** 2 + 0 * b  # noqa: E731
    with pytest.warns(RuntimeWarning, match="epoch 1 of 3: a parameter is infinite or NaN after it"):
        history = mg.fit(loss, ([1.0], [0.0]), SGD([w, b], lr=1e308 * 100), epochs=3, compiled=compiled)
    assert (w.data, b.data) == (-1.0, 0.5)
    assert len(history) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_the_last_epoch_may_diverge_too(compiled):
    w = Value(1.0)
    with pytest.warns(RuntimeWarning, match="epoch 1 of 1"):
        mg.fit(lambda x: w * w * x, ([1e308],), SGD([w], lr=10.0), epochs=1, compiled=compiled)
    assert w.data == 1.0


@pytest.mark.parametrize("compiled", [True, False])
def test_a_loss_that_overflows_while_the_parameters_are_finite_is_one(compiled):
    w = Value(1.0)
    with pytest.warns(RuntimeWarning, match="its loss is inf"):
        history = mg.fit(lambda x: (w * x) ** 2, ([1.0],), SGD([w], lr=1e100), epochs=3, compiled=compiled)
    assert history.losses == [1.0, pytest.approx(4e200), math.inf] or history.losses[-1] == math.inf
    assert math.isfinite(w.data)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_loss_that_was_never_finite_ends_nothing_while_the_parameters_are(compiled):
    w = Value(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = mg.fit(lambda x: w + math.inf, ([1.0],), SGD([w], lr=0.5), epochs=4, compiled=compiled)
    assert history.losses == [math.inf] * 4
    assert not history.diverged
    assert w.data == -1.0


@pytest.mark.parametrize("compiled", [True, False])
def test_a_parameter_that_was_infinite_before_is_nobodys_divergence(compiled):
    w, mask = Value(1.0), Value(-math.inf)
    loss = lambda x: (w * x - 2) ** 2 + mg.exp(mask)  # noqa: E731
    history = mg.fit(loss, ([1.0],), SGD([w, mask], lr=0.25), epochs=5, compiled=compiled)
    assert not history.diverged
    assert agrees(w.data, 2 - 0.5**5, 1e-12)


def test_callbacks_are_not_called_after_an_epoch_that_is_undone():
    w, seen = Value(1.0), []
    with pytest.warns(RuntimeWarning, match="diverged"):
        history = mg.fit(
            lambda x: (w * x) ** 2, ([1.0],), SGD([w], lr=1e100), epochs=9,
            callbacks=[lambda epoch, history: seen.append(epoch)],
        )  # fmt: skip
    assert seen == list(range(len(history) - 1))


def test_an_optimizer_of_ones_own_and_a_schedule_diverge_alike():
    class Plain(Optimizer):
        def step(self):
            for p in self.parameters:
                p.data -= self.lr * p.grad

    for options in ({}, {"schedule": lambda epoch: 10.0**epoch}, {"schedule": lambda s: 10.0**s, "per_step": True}):
        ends = []
        for compiled in (True, False):
            optimizer, history = diverged(square, lambda ps: Plain(ps, lr=5.0), 400, compiled=compiled, **options)
            ends.append([len(history), *[p.data for p in optimizer.parameters]])
        assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_a_training_that_does_not_diverge_says_nothing():
    w = Value(1e308)  # the sum of such is infinite, they are not
    v = Value(1e308)
    history = mg.fit(lambda x: w * 0 + v * 0 + x, ([1.0],), SGD([w, v], lr=0.1), epochs=3)
    assert not history.diverged
    assert np.isfinite([w.data, v.data]).all()
