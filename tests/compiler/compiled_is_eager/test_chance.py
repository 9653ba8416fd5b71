"""A loss that draws random numbers draws them as in eager training: the same ones, one for each sample."""

import os
import random
import secrets

import numpy as np
import pytest

import microgrannd as mg
from tests.eager_training import EPOCHS, X, Y, agree, error, observed, still_compiled, trained


class Noise:
    default = random.Random(5)

    def __init__(self):
        self.generator = random.Random(5)

    def drawn(self):
        return self.generator.random()


DRAWN = {
    "the random module": lambda: random.random,
    "the random module by name": lambda: lambda: random.random(),
    "random.gauss": lambda: lambda: abs(random.gauss(0.0, 1.0)) / 2,
    "random.shuffle": lambda: lambda: shuffled(),
    "a Random in a closure": lambda: in_closure(random.Random(5)),
    "a Random that is an attribute": lambda: Noise().drawn,
    "a Random as a default argument": lambda: as_default(),
    "a Random in a class": lambda: in_class(),
    "a global Random": lambda: in_globals(),
    "a Random in a dict": lambda: in_dict(),
    "NumPy's global generator": lambda: lambda: np.random.random(),
    "a NumPy Generator": lambda: in_closure(np.random.default_rng(5)),
    "a NumPy RandomState": lambda: in_closure(np.random.RandomState(5)),
    "a NumPy Generator drawing an array": lambda: in_array(np.random.default_rng(5)),
    "a Random's method": lambda: random.Random(5).random,
    "a NumPy Generator's method": lambda: np.random.default_rng(5).random,
    "an iterator of drawn numbers": lambda: from_iterator(),
}


def shuffled():
    order = list(range(1000))
    random.shuffle(order)
    return order[0] / 1000


def in_closure(generator):
    return lambda: generator.random()


def in_array(generator):
    return lambda: generator.random(3)[1]


def as_default():
    def drawn(generator=random.Random(5)):  # noqa: B008
        return generator.random()

    return drawn


def in_class():
    Noise.default.seed(5)
    return lambda: Noise.default.random()


GENERATOR = random.Random(5)


def in_globals():
    GENERATOR.seed(5)
    return lambda: GENERATOR.random()


def in_dict():
    generators = {"noise": random.Random(5)}
    return lambda: generators["noise"].random()


def from_iterator():
    numbers = iter(np.random.default_rng(5).random(10**5).tolist())
    return lambda: next(numbers)


def seeded(kind):
    random.seed(5)
    np.random.seed(5)
    return DRAWN[kind]()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.01, 0.002])
@pytest.mark.parametrize("kind", DRAWN)
def test_label_noise_falls_as_in_eager_training(kind, share):
    def make(w, b):
        drawn = seeded(kind)
        return lambda x, y: error(w, b, x, 1 - y if drawn() < share else y)

    wanted = agree(lambda compiled: trained(make, compiled))
    assert wanted != trained(lambda w, b: lambda x, y: error(w, b, x, y), False)


@pytest.mark.parametrize("share", [0.5, 0.005])
def test_dropout_falls_as_in_eager_training(share):
    def run(compiled):
        random.seed(3)
        model = mg.nn.MLP(1, [4, 1], activation="tanh", seed=0)

        def loss(x, y):
            hidden = [0.0 if random.random() < share else h / (1 - share) for h in model.layers[0]([x])]
            return mg.losses.binary_cross_entropy_with_logits(model.layers[1](hidden), y)

        mg.fit(loss, (X, Y), mg.optim.SGD(model.parameters(), lr=0.1), epochs=EPOCHS, compiled=compiled)
        return [p.data for p in model.parameters()]

    agree(run)


def test_noise_that_begins_in_a_later_epoch_falls_as_in_eager_training():
    def make(w, b):
        random.seed(5)
        beta = [0]

        def loss(x, y):
            return error(w, b, x, 1 - y if beta[0] > 2 and random.random() < 0.01 else y)

        return loss, lambda epoch: beta.__setitem__(0, epoch)

    agree(lambda compiled: trained(make, compiled), "beta")


def test_noise_that_only_one_branch_of_the_data_draws_falls_as_in_eager_training():
    def make(w, b):
        random.seed(5)

        def loss(x, y):
            return error(w, b, x, 1 - y if x > 0.9 and random.random() < 0.1 else y)

        return loss

    agree(lambda compiled: trained(make, compiled))


@pytest.mark.parametrize(
    "draw", [lambda: os.urandom(1)[0] < 128, lambda: secrets.randbelow(2)], ids=["os.urandom", "secrets"]
)
def test_chance_that_nobody_can_see_into_is_not_frozen(draw):
    def make(w, b):
        return lambda x, y: error(w, b, x, 1 - y if draw() else y)

    _, asked, _ = observed(lambda compiled: trained(make, compiled), False)
    _, made, told = observed(lambda compiled: trained(make, compiled), "auto")
    assert made > 0.6 * asked
    assert len(told) <= 1


def test_random_numbers_that_only_order_the_samples_leave_the_loss_compiled():
    def run(compiled):
        random.seed(8)
        return trained(lambda w, b: lambda x, y: error(w, b, x, y), compiled, batch_size=64)

    still_compiled(run)


def test_random_numbers_that_a_callback_draws_leave_the_loss_compiled():
    def run(compiled):
        random.seed(8)
        make = lambda w, b: (lambda x, y: error(w, b, x, y), lambda epoch: random.random())  # noqa: E731
        return [*trained(make, compiled, batch_size=64), random.random()]

    still_compiled(run)


def test_a_callback_that_seeds_orders_the_samples_as_in_eager_training():
    def run(compiled):
        random.seed(8)
        make = lambda w, b: (lambda x, y: error(w, b, x, y), lambda epoch: random.seed(epoch % 2))  # noqa: E731
        return [*trained(make, compiled, batch_size=64), random.random()]

    still_compiled(run)
