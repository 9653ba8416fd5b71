"""The training of the iris program: a 2-2-1 sigmoid network, 70 samples, 1000 full batches."""

from __future__ import annotations

import math

from benchmarks.harness import OURS, installed, interleaved, print_rows, row
from microgrannd.datasets import iris
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP
from microgrannd.optim import SGD
from microgrannd.training import fit

NAME = "iris"
EPOCHS = 1000
DATA = iris().train
START = (1e-5, 3e-5, 0.0, -2e-5, 4e-5, 0.0, -5e-5, 2.5e-5, 0.0)


def ours(epochs, compiled="auto"):
    model = MLP(2, [2, 1], activation="sigmoid")
    for parameter, number in zip(model.parameters(), START, strict=True):
        parameter.data = number
    optimizer = SGD(model.parameters(), lr=0.1)
    fit(lambda x, y: half_squared_error(model(x), y), DATA, optimizer, epochs=epochs, compiled=compiled)
    return [parameter.data for parameter in model.parameters()]


def micrograd(epochs):
    """The same by micrograd, which has no sigmoid: added in its own manner, a closure at the node."""
    from micrograd.engine import Value
    from micrograd.nn import Neuron

    def sigmoid(x):
        s = 1 / (1 + math.exp(-x.data))
        out = Value(s, (x,), "sigmoid")

        def backward():
            x.grad += s * (1 - s) * out.grad

        out._backward = backward
        return out

    hidden, output = [Neuron(2, nonlin=False) for _ in range(2)], Neuron(2, nonlin=False)
    parameters = [p for neuron in [*hidden, output] for p in neuron.parameters()]
    for parameter, number in zip(parameters, START, strict=True):
        parameter.data = number
    for _ in range(epochs):
        losses = [
            0.5 * (output([sigmoid(neuron(x)) for neuron in hidden]) - y) ** 2
            for x, y in zip(DATA.x, DATA.y, strict=True)
        ]
        loss = sum(losses) / len(losses)
        for parameter in parameters:
            parameter.grad = 0
        loss.backward()
        for parameter in parameters:
            parameter.data -= 0.1 * parameter.grad
    return [parameter.data for parameter in parameters]


def run():
    peers = {OURS: ours, f"{OURS}, eager": lambda epochs: ours(epochs, compiled=False)}
    if installed("micrograd"):
        peers["micrograd"] = micrograd
    found = {name: train(40) for name, train in peers.items()}
    for name, parameters in found.items():
        assert all(abs(a - b) < 1e-12 for a, b in zip(parameters, found[OURS], strict=True)), (name, parameters)
    timed = {name: EPOCHS if name == OURS else 20 for name in peers}  # of the slow ones a part stands for all
    medians = interleaved({name: lambda name=name: peers[name](timed[name]) for name in peers}, rounds=7)
    notes = {OURS: "fit as it comes, compiling included"}
    return [
        row(NAME, name, "a run of 1000 epochs", seconds * EPOCHS / timed[name], "s", notes.get(name, "from 20 epochs"))
        for name, seconds in medians.items()
    ]


if __name__ == "__main__":
    print_rows(run())
