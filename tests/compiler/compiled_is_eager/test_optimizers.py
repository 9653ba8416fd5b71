"""A user's own optimizer trains the same eagerly and compiled, whether it says `step` or `update`."""

import math
import random

import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import EPOCHS, X, Y, agree, error


class Halving(mg.optim.Optimizer):
    """Says only what a step is, on the parameters' data."""

    def step(self):
        for p in self.parameters:
            p.data -= self.lr * p.grad / 2
        self.steps += 1


class Clipping(mg.optim.SGD):
    """A known optimizer whose step does something more."""

    def step(self):
        super().step()
        for p in self.parameters:
            p.data = min(p.data, 0.55)


class Accumulating(mg.optim.SGD):
    def zero_grad(self):
        """Keep some of the last gradient."""
        for p in self.parameters:
            p.grad = p.grad / 2


class Warming(mg.optim.SGD):
    """A momentum that grows with the steps."""

    momentum = property(lambda self: min(0.9, self.steps / 20), lambda self, number: None)


class Plain(mg.optim.Optimizer):
    """The least that an update is: the new parameter."""

    memory_names = ()

    def update(self, settings, gradient, parameter):
        return parameter - settings.lr * gradient


class Heavy(mg.optim.Optimizer):
    memory_names = ("velocity",)

    def __init__(self, parameters, lr, keep=0.9):
        super().__init__(parameters, lr)
        self.keep = keep

    def update(self, settings, gradient, parameter, velocity):
        velocity = settings.keep * velocity + gradient
        return parameter - settings.lr * velocity, velocity


class Root(Heavy):
    """Two memories, operations of the table, and the count of the steps, from 1."""

    memory_names = ("mean", "square")

    def update(self, settings, gradient, parameter, mean, square):
        mean = settings.keep * mean + (1 - settings.keep) * gradient
        square = square + gradient * gradient
        return parameter - settings.lr / settings.steps * mean / (mg.sqrt(square) + 1e-3), mean, square


class Signs(Heavy):
    memory_names = ()

    def update(self, settings, gradient, parameter):
        return parameter - settings.lr * mg.sign(gradient)


class OfItself(Heavy):
    """Its number is read from the optimizer itself, not from the settings."""

    def update(self, settings, gradient, parameter, velocity):
        velocity = self.keep * velocity + gradient
        return parameter - self.lr * velocity, velocity


class Choosing(Heavy):
    """Looks at the gradient, as only eager mode can."""

    memory_names = ()

    def update(self, settings, gradient, parameter):
        return parameter - settings.lr * (gradient if gradient > -0.05 else -0.05)


class Shaken(Heavy):
    """Draws a random number at each update."""

    memory_names = ()
    generator = random.Random(1)

    def update(self, settings, gradient, parameter):
        return parameter - settings.lr * (gradient + 0.01 * self.generator.random())


STEPS = {"step alone": Halving, "step of SGD": Clipping, "zero_grad": Accumulating, "a property": Warming}
UPDATES = {"plain": Plain, "heavy": Heavy, "root": Root, "signs": Signs, "of itself": OfItself}
EAGER_ONLY = {"choosing": Choosing, "shaken": Shaken}
BATCHES = {"all": {}, "batches": {"batch_size": 64, "seed": 3}}


def run_with(make, fit, change=lambda optimizer: None, **options):
    """Parameters, losses and the optimizer's memory after `fit(loss, data, optimizer)`."""
    w, b = Value(0.5, "w"), Value(0.1, "b")
    Shaken.generator.seed(1)
    optimizer = make([w, b], lr=0.1)
    callbacks = [lambda epoch, history: change(optimizer) if epoch == 2 else None]
    options = {"epochs": EPOCHS, "callbacks": callbacks} | options
    history = fit(lambda x, y: error(w, b, x, y), (X, Y), optimizer, **options)
    memory = [x for numbers in optimizer.memory.values() for x in numbers]
    return [w.data, b.data, w.grad, b.grad, *history.losses, optimizer.steps, *memory]


def by_fit(make, compiled, **options):
    return run_with(make, lambda *arguments, **rest: mg.fit(*arguments, compiled=compiled, **rest), **options)


@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("name", STEPS | UPDATES | EAGER_ONLY)
def test_an_optimizer_of_the_users_own_trains_as_eager(name, batches):
    make = (STEPS | UPDATES | EAGER_ONLY)[name]
    agree(lambda compiled: by_fit(make, compiled, **batches), None)


@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
@pytest.mark.parametrize("name", STEPS | UPDATES)
def test_an_optimizer_of_the_users_own_trains_a_program(name, backend, batches):
    make = (STEPS | UPDATES)[name]

    def fit(loss, data, optimizer, **options):
        return mg.compile(loss, backend=backend).fit(data, optimizer, **options)

    wanted = by_fit(make, False, **batches)
    assert run_with(make, fit, **batches) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["heavy", "root", "of itself"])
def test_what_a_callback_sets_on_an_optimizer_of_the_users_own_holds(name):
    change = lambda optimizer: setattr(optimizer, "keep", 0.2)  # noqa: E731
    wanted = agree(lambda compiled: by_fit(UPDATES[name], compiled, change=change), None)
    assert wanted != by_fit(UPDATES[name], False)


def test_a_step_that_is_wrapped_on_the_object_is_the_one_that_is_taken():
    def make(parameters, lr):
        optimizer = mg.optim.SGD(parameters, lr)
        step = optimizer.step
        optimizer.step = lambda: (step(), setattr(parameters[1], "data", 0.2))
        return optimizer

    agree(lambda compiled: by_fit(make, compiled, batch_size=64, seed=2), None)


def by_hand(update, memory, epochs=EPOCHS):
    """The two parameters after full-batch training in plain floats, with the gradient as the textbook has it."""
    p, kept = [0.5, 0.1], [[0.0, 0.0] for _ in range(memory)]
    for epoch in range(epochs):
        errors = [1 / (1 + math.exp(-p[0] * x - p[1])) - y for x, y in zip(X, Y, strict=True)]
        gradients = [sum(e * x for e, x in zip(errors, X, strict=True)) / len(X), sum(errors) / len(X)]
        for i in (0, 1):
            p[i], *new = update(epoch + 1, gradients[i], p[i], *[column[i] for column in kept])
            for column, number in zip(kept, new, strict=True):
                column[i] = number
    return p


BY_HAND = {
    "plain": (0, lambda t, g, p: (p - 0.1 * g,)),
    "heavy": (1, lambda t, g, p, v: (p - 0.1 * (0.9 * v + g), 0.9 * v + g)),
    "root": (
        2,
        lambda t, g, p, m, s: (
            p - 0.1 / t * (0.9 * m + 0.1 * g) / (math.sqrt(s + g * g) + 1e-3),
            0.9 * m + 0.1 * g,
            s + g * g,
        ),
    ),
    "signs": (0, lambda t, g, p: (p - 0.1 * math.copysign(1.0, g),)),
}


@pytest.mark.parametrize("compiled", [False, "auto", True])
@pytest.mark.parametrize("name", BY_HAND)
def test_an_update_is_what_the_same_formula_gives_by_hand(name, compiled):
    memory, update = BY_HAND[name]
    assert by_fit(UPDATES[name], compiled)[:2] == pytest.approx(by_hand(update, memory), rel=1e-9)


@pytest.mark.parametrize("name", UPDATES)
def test_step_runs_the_update_on_floats(name):
    w = Value(2.0)
    optimizer = UPDATES[name]([w], lr=0.5)
    (w * w).backward()
    optimizer.step()
    assert optimizer.steps == 1
    assert type(w.data) is float
    assert w.data < 2.0
    assert {name: len(numbers) for name, numbers in optimizer.memory.items()} == dict.fromkeys(
        optimizer.memory_names, 1
    )
