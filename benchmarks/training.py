"""Training once compiled: what an epoch of the iris network and of the two moons takes in `fit`."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import which

import numpy as np

from benchmarks.harness import OURS, installed, interleaved, print_rows, row, timed_rows
from microgrannd.compiler import compile
from microgrannd.datasets import iris, moons
from microgrannd.nn import MLP
from microgrannd.operations import relu, square
from microgrannd.optim import SGD

NAME = "training"
EPOCHS = 1000
IRIS = iris().train
MOONS = moons(100, noise=0.1, seed=0)


class Ours:
    """A program and its optimizer; each round trains on from where the last one ended."""

    def __init__(self, model, loss, data, rate):
        start = time.perf_counter()
        self.program, self.data = compile(loss), data
        self.optimizer = SGD(model.parameters(), lr=rate)
        self.train()
        self.first = time.perf_counter() - start

    def train(self, epochs=EPOCHS):
        self.program.fit(self.data, self.optimizer, epochs=epochs)


def iris_model():
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    return model, lambda x, y: 0.5 * square(model(x) - y)


def moons_model():
    model = MLP(2, [16, 16, 1], seed=0)
    return model, lambda x, y: relu(1 - y * model(x))


def weights(model):
    """The layers' weights and biases as arrays."""
    return [
        (np.array([[w.data for w in n.w] for n in layer.neurons]), np.array([n.b.data for n in layer.neurons]))
        for layer in model.layers
    ]


def jax_peer(model, activation, loss, data, rate):
    """All epochs as one scan of a compiled step."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    X, Y = (jnp.array(np.array(column, float)) for column in data)

    def mean_loss(layers):
        a = X
        for w, b in layers[:-1]:
            a = activation(jax, a @ w.T + b)
        w, b = layers[-1]
        return loss(jnp, (a @ w.T + b)[:, 0], Y).mean()

    def step(layers, _):
        slopes = jax.grad(mean_loss)(layers)
        return jax.tree.map(lambda p, g: p - rate * g, layers, slopes), None

    train = jax.jit(lambda layers: jax.lax.scan(step, layers, None, length=EPOCHS)[0])
    start = [(jnp.array(w), jnp.array(b)) for w, b in weights(model)]
    return lambda: jax.block_until_ready(train(start))


C_BY_HAND = """\
#include <math.h>
void train(double *p, const double *x, const double *y, long n, long epochs, double rate) {
    for (long e = 0; e < epochs; e++) {
        double g[9] = {0};
        for (long i = 0; i < n; i++) {
            double x0 = x[2 * i], x1 = x[2 * i + 1];
            double a0 = 1 / (1 + exp(-(p[0] * x0 + p[1] * x1 + p[2])));
            double a1 = 1 / (1 + exp(-(p[3] * x0 + p[4] * x1 + p[5])));
            double d = p[6] * a0 + p[7] * a1 + p[8] - y[i];
            double d0 = d * p[6] * a0 * (1 - a0), d1 = d * p[7] * a1 * (1 - a1);
            g[0] += d0 * x0; g[1] += d0 * x1; g[2] += d0;
            g[3] += d1 * x0; g[4] += d1 * x1; g[5] += d1;
            g[6] += d * a0; g[7] += d * a1; g[8] += d;
        }
        for (int k = 0; k < 9; k++) p[k] -= rate * g[k] / n;
    }
}
"""


def c_peer(model, data, rate, flags):
    folder = Path(tempfile.mkdtemp())
    (folder / "train.c").write_text(C_BY_HAND)
    command = ["cc", *flags, "-march=native", "-shared", "-fPIC", "train.c", "-o", "train.so", "-lm"]
    subprocess.run(command, check=True, cwd=folder)
    train = ctypes.CDLL(str(folder / "train.so")).train
    X, Y = (np.array(column, float) for column in data)
    start = np.array([p.data for p in model.parameters()])
    counts = ctypes.c_long(len(Y)), ctypes.c_long(EPOCHS), ctypes.c_double(rate)

    def run():
        p = start.copy()
        train(*[ctypes.c_void_p(array.ctypes.data) for array in (p, X, Y)], *counts)
        return p

    return run


def iris_rows():
    model, loss = iris_model()
    peers = {}
    if which("cc"):
        peers["C by hand, -O3"] = c_peer(model, IRIS, 0.1, ["-O3"])
        peers["C by hand, -O3 -ffast-math"] = c_peer(model, IRIS, 0.1, ["-O3", "-ffast-math"])
    if installed("jax"):
        arguments = (lambda j, z: j.nn.sigmoid(z)), (lambda np_, a, y: 0.5 * (a - y) ** 2)
        peers["JAX, lax.scan"] = jax_peer(model, *arguments, IRIS, 0.1)
    ours = Ours(model, loss, IRIS, 0.1)
    ended = [p.data for p in model.parameters()]
    for name, peer in peers.items():
        numbers = peer()
        if isinstance(numbers, list):
            numbers = np.concatenate(
                [np.concatenate([np.array(w), np.array(b)[:, None]], 1).ravel() for w, b in numbers]
            )
        assert np.allclose(numbers, ended, rtol=1e-9), name
    medians = interleaved({OURS: ours.train, **peers}, rounds=31, warmups=3)
    return [
        *timed_rows(NAME, "iris, 1000 epochs of 70 samples", medians, "ms"),
        row(NAME, OURS, "iris, from loss to result, first time", ours.first * 1e3, "ms", "trace, compile, 1000 epochs"),
    ]


def moons_rows():
    model, loss = moons_model()
    data = (MOONS.x, [2 * y - 1 for y in MOONS.y])
    peers = {}
    if installed("jax"):
        arguments = (lambda j, z: j.nn.relu(z)), (lambda np_, a, y: np_.maximum(0, 1 - y * a))
        peers["JAX, lax.scan"] = jax_peer(model, *arguments, data, 0.1)
    ours = Ours(model, loss, data, 0.1)
    ended = weights(model)
    for name, peer in peers.items():
        assert all(
            np.allclose(w, v, rtol=1e-6, atol=1e-9)
            for a, b in zip(peer(), ended, strict=True)
            for w, v in zip(a, b, strict=True)
        ), name
    medians = interleaved({OURS: ours.train, **peers}, rounds=11, warmups=1)
    return timed_rows(NAME, "moons, an epoch of 100 samples", medians, "µs", EPOCHS)


def run():
    return iris_rows() + moons_rows()


if __name__ == "__main__":
    print_rows(run())
