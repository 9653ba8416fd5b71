"""One sample of the book's network through engines of scalars: 95,263 nodes, whose gradients are those of NumPy.

A minibatch is 64 times that; none of these engines would be asked to do more than a few.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from itertools import pairwise

import numpy as np

from benchmarks.harness import OURS, installed, interleaved, left_out, timed_rows
from benchmarks.mnist.peers import NAME, SIZES
from benchmarks.peers import micrograd_sigmoid, xad_gradients


def loss_of_scalars(p, x, y, sigmoid):
    """The loss of a sample in small additions and products.

    The parameters are, for each layer and neuron, the weights of its inputs, then its bias.
    """
    numbers, a = iter(p), x
    for inputs, outputs in pairwise(SIZES):
        z = []
        for _ in range(outputs):
            weights = [next(numbers) for _ in range(inputs)]
            total = next(numbers)
            for w, ai in zip(weights, a, strict=True):
                total = total + w * ai
            z.append(total)
        a = [sigmoid(total) for total in z]
    total = 0.0
    for ai, target in zip(a, y, strict=True):
        total = total + 0.5 * (ai - target) * (ai - target)
    return total


def of_scalars(value, sigmoid):
    def gradients(weights, x, y):
        p = [value(w) for w in weights]
        loss_of_scalars(p, x, y, sigmoid).backward()
        return [x.grad for x in p]

    return gradients


def with_xad(weights, x, y):
    from xad import math

    return xad_gradients(lambda p: loss_of_scalars(p, x, y, lambda z: 1 / (1 + math.exp(-z))), weights)[1]


def makers():
    import microgrannd as mg

    found = {f"{OURS}, eager": of_scalars(mg.Value, mg.sigmoid)}
    if installed("micrograd"):
        found["micrograd"] = of_scalars(import_module("micrograd.engine").Value, micrograd_sigmoid())
    if installed("xad"):
        found["xad"] = with_xad
    if installed("oxigrad"):
        room = import_module("oxigrad")
        found["oxigrad"] = of_scalars(room.Value, room.Activation.Sigmoid)
    if installed("micrograd-rust"):
        value = import_module("micrograd_rust").Value
        found["micrograd-rust"] = of_scalars(value, lambda x: (value(1.0) + (value(0.0) - x).exp()) ** -1.0)
    if installed("minigrad"):
        left_out(NAME, "minigrad", "it has no exp, and its core takes no new operations")
    if installed("casadi"):
        left_out(NAME, "CasADi through C", "the compiler works for minutes on what it generates for this network")
    return found


def by_hand(layers, x, y):
    (w1, b1), (w2, b2), (w3, b3) = layers
    a1 = 1 / (1 + np.exp(-(x @ w1 + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
    a3 = 1 / (1 + np.exp(-(a2 @ w3 + b3)))
    d3 = (a3 - y) * a3 * (1 - a3)
    d2 = w3 @ d3 * a2 * (1 - a2)
    d1 = w2 @ d2 * a1 * (1 - a1)
    return [g for a, d in ((x, d1), (a1, d2), (a2, d3)) for delta in d for g in (*(delta * a), delta)]


def rows(layers, x, y, samples):
    """A minibatch of `samples`, measured on one sample with these weights."""
    weights = [float(n) for w, b in layers for column, c in zip(w.T, b, strict=True) for n in (*column, c)]
    peers, wanted = makers(), by_hand(layers, x, y)
    given = weights, x.tolist(), y.tolist()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # micrograd walks its graph by calling itself
    try:
        for name, gradients in peers.items():
            assert np.allclose(gradients(*given), wanted, rtol=1e-9, atol=1e-12), name
        timed = {name: lambda gradients=gradients: gradients(*given) for name, gradients in peers.items()}
        medians = interleaved(timed, rounds=3, warmups=0, clock=time.process_time)
    finally:
        sys.setrecursionlimit(limit)
    note = f"{samples} times one sample, without the update"
    return timed_rows(NAME, f"a minibatch of {samples}", medians, "µs", 1 / samples, note)
