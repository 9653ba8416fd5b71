"""A loss that changes something each time it is called is called for each sample."""

import itertools
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import EPOCHS, X, agree, error, observed, trained


def counter_in_a_list(count):
    count[0] += 1
    return count[0]


SELF_CHANGING = {
    "a list": (lambda: [0], counter_in_a_list),
    "a Counter": (lambda: Counter(a=0), lambda count: count.update("a") or count["a"]),
    "an attribute": (
        lambda: SimpleNamespace(n=0),
        lambda count: setattr(count, "n", count.n + 1) or count.n,
    ),
    "an array": (lambda: np.zeros(1), lambda count: count.__iadd__(1) is None or count[0]),
    "a list that grows": (lambda: [], lambda count: count.append(1) or len(count)),
    "an iterator": (lambda: itertools.count(1), next),
    "a generator": (lambda: (i for i in range(10**6)), next),
}


@pytest.mark.parametrize("kind", SELF_CHANGING)
def test_a_loss_that_counts_its_own_calls_trains_as_eager(kind):
    def make(w, b):
        start, follow = SELF_CHANGING[kind]
        beta = start()
        return lambda x, y: error(w, b, x, y) + 0.0001 * float(follow(beta)) * w * w

    agree(lambda compiled: trained(make, compiled))


@pytest.mark.parametrize("kind", ["a list", "a Counter", "an attribute", "an array", "a list that grows"])
def test_a_loss_that_only_notes_its_calls_is_called_for_each_sample(kind):
    start, follow = SELF_CHANGING[kind]
    seen = start()

    def make(w, b):
        def loss(x, y):
            follow(seen)
            return error(w, b, x, y)

        return loss

    observed(lambda compiled: trained(make, compiled), "auto")
    assert float(follow(seen)) > EPOCHS * len(X)


def test_a_loss_that_changes_a_nonlocal_number_trains_as_eager():
    def make(w, b):
        beta = 0

        def loss(x, y):
            nonlocal beta
            beta += 1
            return error(w, b, x, y) + 0.0001 * beta * w * w

        return loss

    agree(lambda compiled: trained(make, compiled))


SIDE_EFFECTS = {
    "sets a Value's data": lambda w, b, other: setattr(other, "data", 0.25),
    "adds to a parameter's grad": lambda w, b, other: setattr(w, "grad", 0.01),
    "clears gradients": lambda w, b, other: mg.zero_grad([b]),
    "runs backward of its own": lambda w, b, other: (0.001 * w * w).backward(),
    "runs backward by steps": lambda w, b, other: list((0.001 * w * w).backward_steps()),
}


@pytest.mark.parametrize("kind", SIDE_EFFECTS)
def test_a_loss_that_changes_values_on_the_way_trains_as_eager(kind):
    def run(compiled):
        other = Value(1.0)

        def make(w, b):
            def loss(x, y):
                SIDE_EFFECTS[kind](w, b, other)
                return other * error(w, b, x, y)

            return loss

        return [*trained(make, compiled), other.data]

    agree(run)
