"""Training a program: the same trajectory as eager mode, whatever runs it."""

import math
import threading

import numpy as np
import pytest

from microgrannd import Value
from microgrannd.compiler import compile
from microgrannd.datasets import iris
from microgrannd.ground.errors import TracingError
from microgrannd.nn import MLP
from microgrannd.optim import SGD, Adam, AdamW, Optimizer
from microgrannd.training import fit
from tests.oracles import agrees, example

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(37, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(float)

OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "decay": lambda p: SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: SGD(p, lr=0.02, momentum=0.9, dampening=0.2, weight_decay=0.01),
    "nesterov": lambda p: SGD(p, lr=0.05, momentum=0.8, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.02, weight_decay=0.01),
    "adamw": lambda p: AdamW(p, lr=0.02, betas=(0.8, 0.95)),
}
BATCHES = {
    "all": {},
    "batches": {"batch_size": 16, "seed": 3},
    "small": {"batch_size": 3, "seed": 3},
    "drawn": {"batch_size": 10, "seed": 3, "replace": True},
}


def trained(optimizer, *, times=2, **options):
    """Everything that a training leaves behind, after two of them in a row."""
    model = MLP(2, [3, 1], activation="tanh", seed=4)
    optimizer = optimizer(model.parameters())
    losses = []
    for _ in range(times):
        losses += fit(lambda x, y: (model(x) - y) ** 2, (X, Y), optimizer, epochs=15, **options).losses
    state = optimizer.state_dict()
    return {
        "parameters": [p.data for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "losses": losses,
        "memory": [x for numbers in state["memory"].values() for x in numbers],
        "steps": [state["steps"]],
    }


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_native_training_leaves_what_eager_training_leaves(optimizer, batches):
    wanted = trained(OPTIMIZERS[optimizer], compiled=False, **BATCHES[batches])
    found = trained(OPTIMIZERS[optimizer], compiled=True, **BATCHES[batches])
    for what, numbers in wanted.items():
        assert found[what] == pytest.approx(numbers, rel=1e-11, abs=1e-13), what


@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
def test_the_trajectory_of_the_iris_network(backend):  # K-08
    given = example("K-08")
    data = iris()
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    (first, second), (output,) = (layer.neurons for layer in model.layers)
    names = {"w0": first.w[0], "w2": first.w[1], "b0": first.b, "w1": second.w[0], "w3": second.w[1], "b1": second.b}
    names |= {"w4": output.w[0], "w5": output.w[1], "b2": output.b}
    for name, value in names.items():
        value.data = given["inputs"][name]
    program = compile(lambda x, y: (model(x) - y) ** 2 / 2, backend=backend)
    optimizer = SGD(model.parameters(), lr=0.1)
    done = 0
    for epochs in (1, 10, 100) if backend != "native" else (1, 10, 100, 500, 1000):
        program.fit((data.train.x, data.train.y), optimizer, epochs=epochs - done)
        done = epochs
        wanted = given["outputs"][f"epoch_{epochs}"]["params"]
        assert agrees([names[name].data for name in wanted], list(wanted.values()), 1e-12), epochs


class Halving(Optimizer):
    """An optimizer of the user's own."""

    def step(self):
        for p in self.parameters:
            p.data -= self.lr * p.grad / 2
        self.steps += 1


@pytest.mark.parametrize("batches", BATCHES)
def test_an_optimizer_of_the_users_own_takes_its_gradients_from_the_program(batches):
    make = lambda p: Halving(p, lr=0.1)  # noqa: E731
    wanted = trained(make, compiled=False, **BATCHES[batches])
    found = trained(make, compiled=True, **BATCHES[batches])
    assert found["parameters"] == pytest.approx(wanted["parameters"], rel=1e-11)
    assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-11)


def test_some_parameters_may_stay_as_they_are():
    w, b = Value(1.0), Value(2.0)
    program = compile(lambda x, y: (w * x + b - y) ** 2)
    program.fit((X[:, 0], Y), SGD([w], lr=0.1), epochs=3)
    assert b.data == 2.0
    assert w.data != 1.0


def test_callbacks_and_schedules_see_each_epoch_and_end_the_training():
    w = Value(1.0)
    seen = []

    def watch(epoch, history):
        seen.append((epoch, w.data, history.rates[-1]))
        return epoch == 2

    program = compile(lambda x: (w - x) ** 2)
    history = program.fit(([3.0],), SGD([w], lr=9.0), epochs=50, schedule=lambda epoch: 0.25, callbacks=[watch])
    assert seen == [(0, 2.0, 0.25), (1, 2.5, 0.25), (2, 2.75, 0.25)]
    assert history.losses == [4.0, 1.0, 0.25]


def test_ctrl_c_keeps_what_was_learned():
    w = Value(1.0)

    def interrupt(epoch, history):
        raise KeyboardInterrupt

    history = compile(lambda x: (w - x) ** 2).fit(([3.0],), SGD([w], lr=0.25), epochs=9, callbacks=[interrupt])
    assert (history.interrupted, w.data) == (True, 2.0)


def test_guards_come_back_where_training_meets_an_infinite_slope():
    def train(compiled):
        w, v = Value(0.5), Value(1.0)

        def loss(x):
            return (w * x).relu() * 0.25 + (x - x) * (v * 1e200 * 1e200) * v + (v - 2) ** 2

        with pytest.warns(RuntimeWarning, match="diverged in epoch 1 of 4"):
            history = fit(loss, ([1.0, 2.0],), SGD([w, v], lr=0.1), epochs=4, compiled=compiled)
        return [w.data, v.data, w.grad, v.grad, *history.losses]

    np.testing.assert_equal(train(True), train(False))
    assert np.isfinite(train(True)[:3]).all()
    assert np.isnan(train(True)[3])


@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize("backend", ["python", "native", "numpy"])
def test_a_zero_stops_what_overflows_in_some_samples_of_a_training(backend, optimizer):
    def trained(train):
        w, v = Value(-0.5), Value(1.0)
        train(lambda x: (v * (w * x * 1e200)).relu() + (v - 2) ** 2, optimizer([w, v], lr=0.01))
        return v.data

    data, run = ([1.0, 1e200, 3.0, 1.0] * 5,), {"epochs": 20, "batch_size": 3, "seed": 0}
    compiled = trained(lambda loss, steps: compile(loss, backend=backend).fit(data, steps, **run))
    eager = trained(lambda loss, steps: fit(loss, data, steps, compiled=False, **run))
    assert compiled == pytest.approx(eager, rel=1e-12)


@pytest.mark.parametrize("count", [1, 7, 8, 9])
def test_few_samples_are_enough(count):
    w = Value(1.0)
    compile(lambda x: (w - x) ** 2).fit((list(range(count)),), SGD([w], lr=0.5), epochs=1)
    assert w.data == pytest.approx((count - 1) / 2, rel=1e-14)


def test_what_cannot_be_compiled_is_trained_in_eager_mode():
    w = Value(1.0)

    def choosy(x):
        return w * x if x > 0 else (w - x) ** 2

    history = fit(choosy, ([1.0, -1.0],), SGD([w], lr=0.1), epochs=2000)
    assert len(history) == 2000
    with pytest.raises(TracingError):
        fit(choosy, ([1.0, -1.0],), SGD([w], lr=0.1), epochs=1, compiled=True)


def test_a_loss_that_does_not_do_the_same_twice_is_not_frozen():
    w, calls, unseen = Value(1.0), [], threading.Semaphore(0)

    def noisy(x):
        calls.append(len(calls))
        return (w - x * len(calls)) ** 2

    fit(noisy, ([1.0, 2.0],), SGD([w], lr=0.0), epochs=2000)
    assert len(calls) == 4000

    def steady(x):
        unseen.release()  # a count that is no plain number, so that nobody watches it
        return (w - x) ** 2

    fit(steady, ([1.0, 2.0],), SGD([w], lr=0.0), epochs=2000)
    assert unseen._value < 40


def test_training_as_the_program_says_it():
    w = Value(0.0)
    for backend in ("python", "numpy", "native"):
        w.data = 0.0
        history = compile(lambda x, y: (w * x - y) ** 2, backend=backend).fit(
            ([1, 2, 3], [2, 4, 6]), SGD([w], lr=0.1), epochs=40
        )
        assert math.isclose(w.data, 2.0, rel_tol=1e-12)
        assert len(history) == 40
