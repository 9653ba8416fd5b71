"""An epoch of micrograd's demo: two moons, MLP(2, [16, 16, 1]), 100 points, max-margin loss and L2."""

from __future__ import annotations

import random
import time
from importlib import import_module

from benchmarks.harness import COMPILED, OURS, compiled_build, installed, interleaved, print_rows, timed_rows
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


def models():
    """The network of each engine that has micrograd's face, with the same weights in it.

    minigrad, which has it too, ends with a segmentation fault here.
    """
    rooms = {OURS: import_module("microgrannd.nn")}
    if compiled := compiled_build():
        rooms[COMPILED] = compiled["microgrannd.nn"]
    rooms |= {name: import_module(f"{name}.nn") for name in installed("micrograd")}
    made = {}
    for name, room in rooms.items():
        random.seed(1337)
        made[name] = room.MLP(2, [16, 16, 1])
    return made


def torch_in_batches():
    """The same network as three matrices, which is how PyTorch is used: the engines above work on scalars."""
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    parameters = []
    for layer in models()[OURS].layers:
        parameters.append(torch.tensor([[w.data for w in neuron.w] for neuron in layer.neurons], requires_grad=True))
        parameters.append(torch.tensor([neuron.b.data for neuron in layer.neurons], requires_grad=True))
    x, sign = torch.tensor(POINTS.x), 2 * torch.tensor(POINTS.y) - 1

    def run(rate):
        w1, b1, w2, b2, w3, b3 = parameters
        scores = (torch.relu(torch.relu(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3)[:, 0]
        loss = torch.relu(1 - sign * scores).mean() + 1e-4 * sum((p * p).sum() for p in parameters)
        for p in parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p -= rate * p.grad
        return loss.item()

    return run


def peers():
    found = {name: lambda rate, model=model: epoch(model, rate) for name, model in models().items()}
    if installed("torch"):
        found["torch, batched"] = torch_in_batches()
    return found


def check():
    """The same numbers in the first epochs; later, where rounding has had its way, only the same end."""
    first = {name: [train(1.0) for _ in range(3)] for name, train in peers().items()}
    for name, losses in first.items():
        assert all(abs(a - b) < 1e-9 for a, b in zip(losses, first[OURS], strict=True)), (name, losses)


def run():
    check()
    timed = {name: lambda train=train: [train(0.1) for _ in range(EPOCHS)] for name, train in peers().items()}
    medians = interleaved(timed, rounds=7, clock=time.process_time)
    return timed_rows(NAME, "an epoch of 100 points", medians, "ms", EPOCHS, "eager")


if __name__ == "__main__":
    print_rows(run())
