"""A minibatch of 64 through the 196-100-50-10 network: forward, backward and update, as the book trains it.

The network is built of scalars; the peers are written with matrices by hand. Every peer's weights after
twenty steps are held against NumPy's before anything is timed.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.harness import OURS, installed, interleaved, print_rows, row, timed_rows

NAME = "mnist"
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


def program(expand=False):
    """Our program, traced, and its model."""
    import microgrannd as mg
    from microgrannd.losses import half_squared_error

    network = model(expand)
    return mg.compile(lambda x, y: half_squared_error(network(x), y), backend="numpy"), network


class Ours:
    def __init__(self):
        from microgrannd.compiler.arrays import array_training
        from microgrannd.optim import SGD

        compiled, self.network = program()
        x, y = data()
        compiled.trace([0.5] * SIZES[0], [0.0] * SIZES[-1])
        plan = compiled._latest
        self.training = array_training(
            lambda guarded: compiled._kernel(plan, "parameters", guarded=guarded),
            plan,
            SGD(self.network.parameters(), lr=RATE),
            (x, y),
            len(x),
        )

    def __call__(self):
        self.training.run(1, BATCH, RATE)

    def weights(self):
        self.training.write_back()
        return [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in self.network.layers]


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


def first_step(expand):
    """Seconds from the scalar code to the first minibatch done: trace, gradients, matrices, run."""
    from microgrannd.optim import SGD

    x, y = batches()[0]
    compiled, network = program(expand)
    start = time.perf_counter()
    compiled.fit((x, y), SGD(network.parameters(), lr=RATE), epochs=1, batch_size=BATCH)
    return time.perf_counter() - start


def run():
    peers = {OURS: Ours(), "NumPy by hand": NumpyByHand()}
    names = {"jax": ("JAX jit", Jax), "torch": ("PyTorch", Torch)}
    peers |= {name: make() for name, make in (names[package] for package in installed("jax", "torch"))}
    for peer in peers.values():
        peer()
    want = peers["NumPy by hand"].weights()
    for name, peer in peers.items():
        assert all(np.abs(a - b).max() < 1e-9 for a, b in zip(peer.weights(), want, strict=True)), name
    rows = timed_rows(NAME, "a minibatch of 64", interleaved(peers, rounds=15), "µs", per=STEPS)
    for expand, nodes in ((False, "26,252 nodes, with dot"), (True, "95,263 nodes, sums of products")):
        seconds = sorted(first_step(expand) for _ in range(3))[1]
        rows.append(row(NAME, OURS, f"to the first step, {nodes}", seconds, "s", "trace, gradients, matrices, run"))
    compiled, _ = program()
    compiled.trace([0.5] * SIZES[0], [0.0] * SIZES[-1])
    lines = sum(" = " in line for line in compiled.matrix_source.splitlines())
    return [*rows, row(NAME, OURS, "array statements found", lines, "", "")]


if __name__ == "__main__":
    print_rows(run())
