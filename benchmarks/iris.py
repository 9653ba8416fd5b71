"""The training of the iris program: a 2-2-1 sigmoid network, 70 samples, 1000 full batches."""

from __future__ import annotations

import ctypes
import math

from benchmarks.harness import COMPILED, OURS, c_library, compiled_build, installed, interleaved, print_rows, row
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


def compiled_engine(epochs):
    """The loop by hand on the compiled build of the same files."""
    build = compiled_build()
    model = build["microgrannd.nn"].MLP(2, [2, 1], activation="sigmoid")
    for parameter, number in zip(model.parameters(), START, strict=True):
        parameter.data = number
    optimizer = build["microgrannd.optim"].SGD(model.parameters(), lr=0.1)
    half_squared, mean = build["microgrannd.losses"].half_squared_error, build["microgrannd.operations"].mean
    for _ in range(epochs):
        optimizer.zero_grad()
        mean([half_squared(model(x), y) for x, y in zip(DATA.x, DATA.y, strict=True)]).backward()
        optimizer.step()
    return [parameter.data for parameter in model.parameters()]


def torch(epochs):
    """On matrices, full batch."""
    import torch

    torch.set_num_threads(1)
    w, v = (torch.tensor(START, dtype=torch.float64)[part].reshape(-1, 3) for part in (slice(0, 6), slice(6, 9)))
    parameters = [w.clone().requires_grad_(), v.clone().requires_grad_()]
    x, y = (torch.tensor(numbers, dtype=torch.float64) for numbers in (DATA.x, DATA.y))
    for _ in range(epochs):
        w, v = parameters
        hidden = torch.sigmoid(x @ w[:, :2].T + w[:, 2])
        loss = 0.5 * (((hidden @ v[:, :2].T + v[:, 2])[:, 0] - y) ** 2).mean()
        for p in parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p -= 0.1 * p.grad
    return [number for p in parameters for number in p.flatten().tolist()]


C = """
#include <math.h>
void train(double *p, const double *x, const double *y, long samples, long epochs) {
    while (epochs-- > 0) {
        double g[9] = {0};
        for (long i = 0; i < samples; i++) {
            double a = x[2 * i], b = x[2 * i + 1];
            double h = 1 / (1 + exp(-(p[0] * a + p[1] * b + p[2]))), k = 1 / (1 + exp(-(p[3] * a + p[4] * b + p[5])));
            double e = p[6] * h + p[7] * k + p[8] - y[i];
            double dh = e * p[6] * h * (1 - h), dk = e * p[7] * k * (1 - k);
            g[0] += dh * a; g[1] += dh * b; g[2] += dh;
            g[3] += dk * a; g[4] += dk * b; g[5] += dk;
            g[6] += e * h; g[7] += e * k; g[8] += e;
        }
        for (int j = 0; j < 9; j++) p[j] -= 0.1 * g[j] / samples;
    }
}
"""


def by_hand(library):
    """Written out in C."""
    x = (ctypes.c_double * (2 * len(DATA.x)))(*[number for point in DATA.x for number in point])
    y = (ctypes.c_double * len(DATA.y))(*DATA.y)

    def train(epochs):
        parameters = (ctypes.c_double * 9)(*START)
        library.train(parameters, x, y, ctypes.c_long(len(DATA.y)), ctypes.c_long(epochs))
        return list(parameters)

    return train


def run():
    peers = {OURS: ours, f"{OURS}, eager": lambda epochs: ours(epochs, compiled=False)}
    if installed("micrograd"):
        peers["micrograd"] = micrograd
    if compiled_build():
        peers[COMPILED] = compiled_engine
    if installed("torch"):
        peers["torch, batched"] = torch
    in_c = {
        "C by hand, cc -O3": ("-O3",),
        "C by hand, cc -O3 -ffast-math -march=native": ("-O3", "-ffast-math", "-march=native"),
    }
    for name, flags in in_c.items():
        if library := c_library(C, *flags):
            peers[name] = by_hand(library)
    found = {name: train(40) for name, train in peers.items()}
    for name, parameters in found.items():
        assert all(abs(a - b) < 1e-12 for a, b in zip(parameters, found[OURS], strict=True)), (name, parameters)
    timed = {
        name: EPOCHS if name == OURS or name.startswith("C ") else 20 for name in peers
    }  # of the slow ones a part stands for all
    medians = interleaved({name: lambda name=name: peers[name](timed[name]) for name in peers}, rounds=7)
    notes = {OURS: "fit as it comes, compiling included"}
    return [
        row(
            NAME,
            name,
            "a run of 1000 epochs",
            seconds * EPOCHS / timed[name],
            "s",
            notes.get(name, f"from {timed[name]} epochs"),
        )
        for name, seconds in medians.items()
    ]


if __name__ == "__main__":
    print_rows(run())
