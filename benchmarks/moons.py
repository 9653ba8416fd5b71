"""An epoch of micrograd's demo: two moons, MLP(2, [16, 16, 1]), 100 points, max-margin loss and L2."""

from __future__ import annotations

import random
from importlib import import_module

from benchmarks.harness import OURS, installed, interleaved, print_rows, timed_rows
from microgrannd.datasets import moons

NAME = "moons"
EPOCHS = 3  # in a row, as in training: what an epoch leaves to the garbage collector, the next one pays for
POINTS = moons(100, noise=0.1, seed=0)


def epoch(model, rate):
    """Forward, loss, zero_grad, backward and a step of gradient descent, word for word as in the demo."""
    scores = [model(x) for x in POINTS.x]
    losses = [(1 + -(2 * label - 1) * score).relu() for label, score in zip(POINTS.y, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    total_loss = data_loss + 1e-4 * sum(p * p for p in model.parameters())
    model.zero_grad()
    total_loss.backward()
    for p in model.parameters():
        p.data -= rate * p.grad
    return total_loss.data


def model_of(package):
    random.seed(1337)
    return import_module(f"{package}.nn").MLP(2, [16, 16, 1])


def check(peers):
    """The same numbers in the first epochs; later, where rounding has had its way, only the same end."""
    first = {name: [epoch(model, 1.0) for model in [model_of(name)] for _ in range(3)] for name in peers}
    for name, losses in first.items():
        assert all(abs(a - b) < 1e-9 for a, b in zip(losses, first[OURS], strict=True)), (name, losses)


def run():
    peers = [OURS, *installed("micrograd")]
    check(peers)
    models = {name: model_of(name) for name in peers}
    medians = interleaved(
        {name: lambda model=model: [epoch(model, 0.1) for _ in range(EPOCHS)] for name, model in models.items()},
        rounds=7,
    )
    return timed_rows(NAME, "an epoch of 100 points", medians, "ms", EPOCHS, "eager, one dot node a neuron")


if __name__ == "__main__":
    print_rows(run())
