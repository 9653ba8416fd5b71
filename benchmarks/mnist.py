"""A minibatch of 64 through the 196-100-50-10 network: forward, backward and update, as the book trains it.

The network is built of scalars; the peers on arrays are written with matrices by hand. Every peer's weights
after twenty steps are held against NumPy's before anything is timed. Engines of scalars do one sample, whose
gradients are held against NumPy's, and a minibatch is 64 times that.
"""

from __future__ import annotations

import numpy as np

from benchmarks import harness, mnist_costs, mnist_in_scalars
from benchmarks.harness import OURS, has_cc, interleaved, loaded, row, timed_rows
from benchmarks.mnist_by_hand import c_by_hand, numba_by_hand

NAME = "mnist"
NATIVE = f"{OURS}, native"
SIZES, BATCH, RATE, STEPS = (196, 100, 50, 10), 64, 1.0, 20


def data():
    generator = np.random.default_rng(0)
    x = generator.random((STEPS * BATCH, SIZES[0]))
    return x, np.eye(SIZES[-1])[generator.integers(0, SIZES[-1], len(x))]


def batches():
    x, y = data()
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]


def model(expand=False):
    from microgrannd.nn import MLP

    return MLP(SIZES[0], SIZES[1:], "sigmoid", "sigmoid", seed=0, init=(0.5, 0.5), expand=expand)


def first_weights():
    """For each layer W (inputs × outputs) and b, those of our model."""
    layers = model().layers
    return [
        (
            np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T.copy(),
            np.array([n.b.data for n in layer.neurons]),
        )
        for layer in layers
    ]


def program(expand=False, backend="numpy"):
    """Our program, traced, and its model."""
    import microgrannd as mg
    from microgrannd.losses import half_squared_error

    network = model(expand)
    return mg.compile(lambda x, y: half_squared_error(network(x), y), backend=backend), network


class Ours:
    backend = "numpy"

    def __init__(self):
        from microgrannd.compiler.arrays.choice import array_training
        from microgrannd.optim import SGD

        compiled, self.network = program(backend=self.backend)
        x, y = data()
        compiled.trace([0.5] * SIZES[0], [0.0] * SIZES[-1])
        plan = compiled._latest
        self.training = array_training(
            lambda guarded: compiled._kernel(plan, "parameters", guarded=guarded),
            plan,
            SGD(self.network.parameters(), lr=RATE),
        )
        self.training.take((x, y))

    def __call__(self):
        self.training.run(1, BATCH, RATE)

    def weights(self):
        self.training.write_back()
        return [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in self.network.layers]


class Native(Ours):
    """The same program in loops of machine code."""

    backend = "native"


class NumpyByHand:
    def __init__(self):
        self.parameters = first_weights()
        self.batches = batches()

    def __call__(self):
        for x, y in self.batches:
            (w1, b1), (w2, b2), (w3, b3) = self.parameters
            a1 = 1 / (1 + np.exp(-(x @ w1 + b1)))
            a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
            a3 = 1 / (1 + np.exp(-(a2 @ w3 + b3)))
            e = a3 - y
            self.loss = 0.5 * np.sum(e * e)
            d3 = e * a3 * (1 - a3)
            d2 = d3 @ w3.T * a2 * (1 - a2)
            d1 = d2 @ w2.T * a1 * (1 - a1)
            rate = RATE / BATCH
            for w, b, a, d in ((w1, b1, x, d1), (w2, b2, a1, d2), (w3, b3, a2, d3)):
                w -= rate * (a.T @ d)
                b -= rate * d.sum(axis=0)

    def weights(self):
        return [w for w, _ in self.parameters]


class Jax:
    def __init__(self):
        import jax

        jax.config.update("jax_enable_x64", True)
        xp = jax.numpy

        def loss(parameters, x, y):
            a = x
            for w, b in parameters:
                a = 1 / (1 + xp.exp(-(a @ w + b)))
            return 0.5 * xp.sum((a - y) ** 2) / BATCH

        @jax.jit
        def step(parameters, x, y):
            return jax.tree.map(lambda p, g: p - RATE * g, parameters, jax.grad(loss)(parameters, x, y))

        self.step = step
        self.parameters = [(xp.asarray(w), xp.asarray(b)) for w, b in first_weights()]
        self.batches = [(xp.asarray(x), xp.asarray(y)) for x, y in batches()]

    def __call__(self):
        for x, y in self.batches:
            self.parameters = self.step(self.parameters, x, y)
        self.parameters[0][0].block_until_ready()

    def weights(self):
        return [np.asarray(w) for w, _ in self.parameters]


class Torch:
    def __init__(self):
        import torch

        torch.set_num_threads(1)  # which serves it best at this size
        self.torch = torch
        self.parameters = [torch.tensor(p, requires_grad=True) for pair in first_weights() for p in pair]
        self.batches = [(torch.tensor(x), torch.tensor(y)) for x, y in batches()]

    def __call__(self):
        torch = self.torch
        for x, y in self.batches:
            a = x
            for w, b in zip(self.parameters[::2], self.parameters[1::2], strict=True):
                a = torch.sigmoid(a @ w + b)
            (0.5 * ((a - y) ** 2).sum() / BATCH).backward()
            with torch.no_grad():
                for p in self.parameters:
                    p -= RATE * p.grad
                    p.grad = None

    def weights(self):
        return [w.detach().numpy() for w in self.parameters[::2]]


class Autograd:
    def __init__(self):
        import autograd
        import autograd.numpy as xp

        def loss(parameters, x, y):
            a = x
            for w, b in parameters:
                a = 1 / (1 + xp.exp(-(xp.dot(a, w) + b)))
            return 0.5 * xp.sum((a - y) ** 2) / BATCH

        self.slopes, self.parameters, self.batches = autograd.grad(loss), first_weights(), batches()

    def __call__(self):
        for x, y in self.batches:
            found = self.slopes(self.parameters, x, y)
            for pair, slopes in zip(self.parameters, found, strict=True):
                for p, g in zip(pair, slopes, strict=True):
                    p -= RATE * g

    def weights(self):
        return [w for w, _ in self.parameters]


class SampleBySample(NumpyByHand):
    """As the book's layers do it: a row at a time through matrices, the gradients added up."""

    def __call__(self):
        for x, y in self.batches:
            sums = [[np.zeros_like(p) for p in pair] for pair in self.parameters]
            for i in range(BATCH):
                outputs = [x[i : i + 1]]
                for w, b in self.parameters:
                    outputs.append(1 / (1 + np.exp(-(outputs[-1] @ w + b))))
                d = (outputs[-1] - y[i]) * outputs[-1] * (1 - outputs[-1])
                for layer in (2, 1, 0):
                    a = outputs[layer]
                    sums[layer][0] += a.T @ d
                    sums[layer][1] += d[0]
                    if layer:
                        d = d @ self.parameters[layer][0].T * a * (1 - a)
            for pair, slopes in zip(self.parameters, sums, strict=True):
                for p, g in zip(pair, slopes, strict=True):
                    p -= RATE / BATCH * g


def run():
    started = mnist_costs.first_step_rows()  # before the peers are imported, whose modules would be on the bill
    makers = {
        OURS: Ours,
        NATIVE: Native,
        "NumPy by hand": NumpyByHand,
        "NumPy by hand, sample by sample": SampleBySample,
    }
    names = {"jax": ("JAX jit", Jax), "torch": ("PyTorch", Torch), "autograd": ("autograd", Autograd)}
    makers |= dict(names[package] for package in loaded("jax", "torch", "autograd"))
    if loaded("numba"):
        makers["numba by hand"] = lambda: numba_by_hand(first_weights, batches, RATE / BATCH)
    if has_cc():
        makers |= c_by_hand(first_weights, batches, RATE / BATCH)
    peers, _, first = harness.made(makers)
    want = peers["NumPy by hand"].weights()
    for name, peer in peers.items():
        assert all(np.abs(a - b).max() < 1e-9 for a, b in zip(peer.weights(), want, strict=True)), name
    rows = timed_rows(NAME, "a minibatch of 64", interleaved(peers, rounds=15), "µs", per=STEPS)
    rows += mnist_in_scalars.rows(first_weights(), *[array[0] for array in batches()[0]], BATCH)
    note = "made, compiled, and twenty minibatches; the import is apart"
    rows += [row(NAME, name, "to the first twenty minibatches", s, "s", note) for name, s in first.items()]
    compiled, _ = program()
    compiled.trace([0.5] * SIZES[0], [0.0] * SIZES[-1])
    lines = sum(" = " in line for line in compiled.matrix_source.splitlines())
    rows.append(row(NAME, OURS, "array statements found", lines, "", ""))
    compared = {} if harness.smoke else {OURS: "Ours", NATIVE: "Native", "NumPy by hand": "NumpyByHand"}
    return rows + started + mnist_costs.memory_rows(compared)


if __name__ == "__main__":
    harness.print_rows(run())
