"""The book's network on a minibatch of 64, for ours and for each peer on arrays: a step at each call.

Every peer starts with the weights of our model, which a class is made with, and does twenty steps on the same
minibatch; `weights` gives the matrices that they lead to.
"""

from __future__ import annotations

import numpy as np

NAME = "mnist"
SIZES, BATCH, RATE, STEPS = (196, 100, 50, 10), 64, 1.0, 20


def batch():
    generator = np.random.default_rng(0)
    x = generator.random((BATCH, SIZES[0]))
    return x, np.eye(SIZES[-1])[generator.integers(0, SIZES[-1], BATCH)]


def batches():
    """The minibatch, once for each step."""
    return [batch()] * STEPS


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
    """All steps in one `fit`, whose own start and end show when the steps are few."""

    backend = "numpy"

    def __init__(self):
        from microgrannd.optim import SGD

        self.program, self.network = program(backend=self.backend)
        self.optimizer = SGD(self.network.parameters(), lr=RATE)
        self.batch = batch()

    def __call__(self, steps=STEPS):
        self.program.fit(self.batch, self.optimizer, epochs=steps)

    def weights(self):
        return [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in self.network.layers]


class Native(Ours):
    """The same program in loops of machine code."""

    backend = "native"


class NumpyByHand:
    def __init__(self, weights):
        self.parameters = [(w.copy(), b.copy()) for w, b in weights]
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
    def __init__(self, weights):
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
        self.parameters = [(xp.asarray(w), xp.asarray(b)) for w, b in weights]
        self.batches = [(xp.asarray(x), xp.asarray(y)) for x, y in batches()]

    def __call__(self):
        for x, y in self.batches:
            self.parameters = self.step(self.parameters, x, y)
        self.parameters[0][0].block_until_ready()

    def weights(self):
        return [np.asarray(w) for w, _ in self.parameters]


class Torch:
    def __init__(self, weights):
        import torch

        torch.set_num_threads(1)  # which serves it best at this size
        self.torch = torch
        self.parameters = [torch.tensor(p, requires_grad=True) for pair in weights for p in pair]
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
    def __init__(self, weights):
        import autograd
        import autograd.numpy as xp

        def loss(parameters, x, y):
            a = x
            for w, b in parameters:
                a = 1 / (1 + xp.exp(-(xp.dot(a, w) + b)))
            return 0.5 * xp.sum((a - y) ** 2) / BATCH

        self.slopes, self.batches = autograd.grad(loss), batches()
        self.parameters = [(w.copy(), b.copy()) for w, b in weights]

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
