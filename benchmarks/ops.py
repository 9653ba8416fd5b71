"""Mixed operations: build a graph, run backward, drop it; bytes a node; what the collector finds."""

from __future__ import annotations

import gc
import random
import sys
import threading
import tracemalloc
from importlib import import_module

from benchmarks.harness import OURS, installed, interleaved, print_rows, row, timed_rows

NAME = "ops"


def build(value, size):
    """A graph of `size` operations, + - * / and relu, over fifty leaves; no gradient vanishes in it."""
    draw = random.Random(0)
    leaves = [value(draw.uniform(0.5, 1.5)) for _ in range(50)]
    y = leaves[0]
    for i in range(size // 6):
        a, b = leaves[i % 50], leaves[(7 * i + 3) % 50]
        y = y * a
        y = y + b
        y = y / a
        y = y - b.relu()
        y = a - y
    return leaves, y


def forward_and_backward(value, size):
    leaves, y = build(value, size)
    y.backward()
    return [leaf.grad for leaf in leaves]


def bytes_per_operation(value, size):
    """Of the built graph alone, and at the height of its backward pass."""
    gc.collect()
    tracemalloc.start()
    leaves, y = build(value, size)
    built = tracemalloc.get_traced_memory()[0]
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del leaves, y
    return built / size, peak / size


def garbage(value, size):
    """The objects that only the cyclic collector can free, per operation."""
    gc.collect()
    gc.disable()
    try:
        forward_and_backward(value, size)
        return gc.collect() / size
    finally:
        gc.enable()


def measure():
    peers = {OURS: import_module("microgrannd").Value}
    if installed("micrograd"):
        peers["micrograd"] = import_module("micrograd.engine").Value
    found = {name: forward_and_backward(value, 5000) for name, value in peers.items()}
    for name, gradients in found.items():
        assert all(abs(a - b) <= 1e-9 * max(1, abs(b)) for a, b in zip(gradients, found[OURS], strict=True)), name
    rows = []
    for size in (5_000, 100_000):
        medians = interleaved(
            {name: lambda value=value, size=size: forward_and_backward(value, size) for name, value in peers.items()},
            rounds=15 if size < 10_000 else 7,
        )
        rows += timed_rows(NAME, f"forward + backward, {size:,} operations", medians, "ns", size, "each operation")
    for name, value in peers.items():
        built, peak = bytes_per_operation(value, 100_000)
        rows += [
            row(NAME, name, "memory built, 100,000 operations", built, "B", "each operation"),
            row(NAME, name, "memory at backward's peak", peak, "B", "each operation"),
            row(NAME, name, "objects left to the collector", garbage(value, 100_000), "", "each operation"),
        ]
    return rows


def run():
    """On a thread with a deep stack, because micrograd walks its graph by recursion."""
    rows = []
    recursion, stack = sys.getrecursionlimit(), threading.stack_size(512 * 1024 * 1024)
    sys.setrecursionlimit(1_000_000)
    thread = threading.Thread(target=lambda: rows.extend(measure()))
    thread.start()
    thread.join()
    sys.setrecursionlimit(recursion)
    threading.stack_size(stack)
    return rows


if __name__ == "__main__":
    print_rows(run())
