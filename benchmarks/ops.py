"""Mixed operations: build a graph, run backward, drop it; bytes a node; what the collector finds."""

from __future__ import annotations

import ctypes
import gc
import random
import sys
import time
import tracemalloc
from functools import partial
from importlib import import_module

from benchmarks import harness
from benchmarks.harness import (
    COMPILED,
    OURS,
    c_library,
    compiled_build,
    installed,
    interleaved,
    print_rows,
    row,
    timed_rows,
)

NAME = "ops"
LEAVES = [random.Random(0).uniform(0.5, 1.5) for _ in range(50)]
SLOW = 5_000  # operations a peer gets that would take seconds for more


def build(leaves, size, relu):
    """A graph of `size` operations, + - * / and relu, over the leaves; no gradient vanishes in it."""
    y = leaves[0]
    for i in range(size // 6):
        a, b = leaves[i % 50], leaves[(7 * i + 3) % 50]
        y = y * a
        y = y + b
        y = y / a
        y = y - relu(b)
        y = a - y
    return y


def scalar_engine(value, size):
    """Any engine with micrograd's face."""
    leaves = [value(number) for number in LEAVES]
    build(leaves, size, lambda x: x.relu()).backward()
    return [leaf.grad for leaf in leaves]


def torch(size):
    import torch

    leaves = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in LEAVES]
    build(leaves, size, torch.relu).backward()
    return [leaf.grad.item() for leaf in leaves]


def xad(size):
    from xad import math
    from xad.adj_1st import Real, Tape

    with Tape() as tape:
        leaves = [Real(number) for number in LEAVES]
        tape.registerInputs(leaves)
        tape.newRecording()
        y = build(leaves, size, lambda x: math.max(x, 0.0))
        tape.registerOutput(y)
        y.setDerivative(1.0)
        tape.computeAdjoints()
        return [leaf.getDerivative() for leaf in leaves]


def autograd(size):
    import autograd
    import autograd.numpy as numpy

    return autograd.grad(lambda leaves: build(leaves, size, lambda x: numpy.maximum(x, 0.0)))(LEAVES)


def casadi(size):
    """Made once and called on its virtual machine: what is timed is the call."""
    import casadi

    x = casadi.SX.sym("x", len(LEAVES))
    y = build(casadi.vertsplit(x), size, lambda x: casadi.fmax(x, 0.0))
    function = casadi.Function("f", [x], [y, casadi.gradient(y, x)])
    return lambda: function(LEAVES)[1].full().ravel().tolist()


C = """
#include <stdlib.h>
void run(const double *leaf, double *slope, long rounds) {
    double *kept = malloc((4 * rounds + 1) * sizeof(double)), y = leaf[0], g = 1;
    for (int i = 0; i < 50; i++) slope[i] = 0;
    for (long i = 0; i < rounds; i++) {
        double a = leaf[i % 50], b = leaf[(7 * i + 3) % 50];
        double *at = kept + 4 * i;
        at[0] = y; y = y * a; at[1] = y; y = y + b; at[2] = y; y = y / a; at[3] = y;
        y = y - (b > 0 ? b : 0); y = a - y;
    }
    for (long i = rounds; i-- > 0;) {
        long ia = i % 50, ib = (7 * i + 3) % 50;
        double a = leaf[ia], b = leaf[ib], *at = kept + 4 * i;
        slope[ia] += g; g = -g; slope[ib] -= b > 0 ? g : 0;
        slope[ia] -= g * at[3] / a; g = g / a; slope[ib] += g;
        slope[ia] += g * at[0]; g = g * a;
    }
    slope[0] += g;
    free(kept);
}
"""


def by_hand(size, *flags):
    """Written out in C, forward and backward: as fast as this machine goes."""
    library = c_library(C, *flags)
    if library is None:
        return None
    numbers, slopes = (ctypes.c_double * 50)(*LEAVES), (ctypes.c_double * 50)()

    def call():
        library.run(numbers, slopes, ctypes.c_long(size // 6))
        return list(slopes)

    return call


def engines():
    """The classes that are called as micrograd's is."""
    found = {OURS: import_module("microgrannd").Value}
    if compiled := compiled_build():
        found[COMPILED] = compiled["microgrannd.engine"].Value
    for package, module in (("micrograd", "micrograd.engine"), ("minigrad", "minigrad"), ("oxigrad", "oxigrad")):
        if installed(package):
            found[package] = import_module(module).Value
    return found


def peers(size):
    found = {name: partial(scalar_engine, value, size) for name, value in engines().items()}
    others = {"xad": xad, "torch": torch, "autograd": autograd}
    for name in installed(*others):
        if name == "xad" or size <= SLOW:
            found[f"{name}, scalars" if name == "torch" else name] = partial(others[name], size)
    if size <= SLOW and installed("casadi"):
        found["casadi, made before"] = casadi(size)
    for flags in (("-O3",), ("-O3", "-ffast-math")):
        if call := by_hand(size, *flags):
            found[f"C by hand, cc {' '.join(flags)}"] = call
    return found


def check(every, name):
    wanted = every[OURS]()
    for peer, gradients in every.items():
        tolerance = 1e-3 if peer == "minigrad" else 1e-9  # its numbers are single precision
        found = gradients()
        scale = max(map(abs, wanted))
        assert all(abs(a - b) <= tolerance * scale for a, b in zip(found, wanted, strict=True)), (name, peer)


def bytes_per_operation(value, size):
    """Of the built graph alone, and at the height of its backward pass."""
    leaves = [value(number) for number in LEAVES]
    gc.collect()
    tracemalloc.start()
    y = build(leaves, size, lambda x: x.relu())
    built = tracemalloc.get_traced_memory()[0]
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del y
    return built / size, peak / size


def garbage(value, size):
    """The objects that only the cyclic collector can free, per operation."""
    gc.collect()
    gc.disable()
    try:
        scalar_engine(value, size)
        return gc.collect() / size
    finally:
        gc.enable()


def measure():
    rows = []
    # The large size first: what PyTorch brings along would be walked in every full collection after it.
    for size in (600,) if harness.smoke else (100_000, SLOW):
        every = peers(size)
        check(every, size)
        if "micrograd" in every and size > SLOW:
            every["micrograd, collector off"] = without_collector(every["micrograd"])
        medians = interleaved(every, rounds=11 if size <= SLOW else 3, clock=time.process_time)
        rows += timed_rows(NAME, f"forward + backward, {size:,} operations", medians, "ns", size, "each operation")
    size = 600 if harness.smoke else 20_000
    for name, value in engines().items():
        if name == "minigrad":
            continue  # its memory is not Python's, so that tracemalloc does not see it
        built, peak = bytes_per_operation(value, size)
        rows += [
            row(NAME, name, "memory built, 20,000 operations", built, "B", "each operation"),
            row(NAME, name, "memory at backward's peak", peak, "B", "each operation"),
            row(NAME, name, "objects left to the collector", garbage(value, size), "", "each operation"),
        ]
    return rows


def without_collector(call):
    def run():
        gc.disable()
        try:
            return call()
        finally:
            gc.enable()

    return run


def run():
    """With a high limit of recursion, because micrograd walks its graph by calling itself."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        return measure()
    finally:
        sys.setrecursionlimit(limit)


if __name__ == "__main__":
    print_rows(run())
