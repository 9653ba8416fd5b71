"""Mixed operations: build a graph, run backward, drop it; bytes a node; what the collector finds.

Every peer's gradients are compared with ours before anything is timed.
"""

from __future__ import annotations

import gc
import random
import shlex
import subprocess
import sys
import time
import tracemalloc
from functools import partial
from importlib import import_module

from benchmarks import harness
from benchmarks.by_hand.ops import c_by_hand, numba_by_hand
from benchmarks.harness import (
    COMPILED,
    OURS,
    compiled_build,
    installed,
    interleaved,
    left_out,
    loaded,
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


def engines():
    """The classes that are called as micrograd's is."""
    found = {OURS: import_module("microgrannd").Value}
    if compiled := compiled_build():
        found[COMPILED] = compiled["microgrannd.engine"].Value
    for package, module in (("micrograd", "micrograd.engine"), ("minigrad", "minigrad"), ("oxigrad", "oxigrad")):
        if installed(package):
            found[package] = import_module(module).Value
    if installed("micrograd-rust"):
        found["micrograd-rust"] = import_module("micrograd_rust").Value
    for name in [name for name, value in found.items() if not hasattr(value, "relu")]:
        left_out(NAME, name, "its Value has no relu")
        del found[name]
    return found


def peers(size):
    found = {name: partial(scalar_engine, value, size) for name, value in engines().items()}
    others = {"xad": xad, "torch": torch, "autograd": autograd}
    for name in loaded(*others):
        if name == "xad" or size <= SLOW:
            found[f"{name}, scalars" if name == "torch" else name] = partial(others[name], size)
    if size <= SLOW and loaded("casadi"):
        found["CasADi, made before"] = casadi(size)
    if loaded("numba"):
        found["numba by hand"] = numba_by_hand(LEAVES, size)
    if size <= SLOW and installed("jax"):
        left_out(NAME, "JAX", "thousands of scalar operations take it long to compile: see growth")
    return found | c_by_hand(LEAVES, size)


def check(every, name):
    wanted = every[OURS]()
    scale = max(map(abs, wanted))
    for peer, gradients in every.items():
        found = gradients()
        assert all(abs(a - b) <= 1e-9 * scale for a, b in zip(found, wanted, strict=True)), (name, peer)


def build_and_backward(name, values, size):
    """The two halves of one pass of an engine: what builds a graph, and what runs backward through it."""
    if name == "xad":
        from xad import math
        from xad.adj_1st import Real, Tape

        def build_on_tape():
            tape = Tape()
            tape.activate()
            leaves = [Real(number) for number in LEAVES]
            tape.registerInputs(leaves)
            tape.newRecording()
            return tape, build(leaves, size, lambda x: math.max(x, 0.0)), leaves

        def backward_on_tape(state):
            tape, y, _ = state
            tape.registerOutput(y)
            y.setDerivative(1.0)
            tape.computeAdjoints()
            tape.deactivate()

        return build_on_tape, backward_on_tape
    if name == "torch, scalars":
        import torch

        leaves = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in LEAVES]
        return lambda: build(leaves, size, torch.relu), lambda y: y.backward()
    leaves = [values[name](number) for number in LEAVES]
    return lambda: build(leaves, size, lambda x: x.relu()), lambda y: y.backward()


def parts(size):
    """Building, backward and freeing, timed separately; where an engine leaves cycles, the collector frees them."""
    values = engines()
    halves = {name: build_and_backward(name, values, size) for name in values}
    others = {"xad": "xad", "torch": "torch, scalars"}
    halves |= {others[name]: build_and_backward(others[name], {}, size) for name in loaded(*others)}
    cyclic = {name: garbage(value, 600) > 0 for name, value in values.items()}
    times = {name: [] for name in halves}
    gc.collect()
    gc.freeze()
    for _ in range(1 if harness.smoke else 5):
        for name, (build_it, backward) in halves.items():
            gc.collect()
            start = time.process_time()
            state = build_it()
            built = time.process_time()
            backward(state)
            done = time.process_time()
            del state
            if cyclic.get(name):
                gc.collect()
            times[name].append((built - start, done - built, time.process_time() - done))
    gc.unfreeze()
    rows = []
    for i, part in enumerate(("build", "backward", "free")):
        medians = {name: harness.typical([taken[i] for taken in found]) for name, found in times.items()}
        for row_of_peer in timed_rows(NAME, f"{part}, {size:,} operations", medians, "ns", size, "each operation"):
            if part == "free" and cyclic.get(row_of_peer["peer"]):
                row_of_peer["note"] += ", by a full collection"
            rows.append(row_of_peer)
    return rows


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


def memory_of_process(name, size):
    """Print what this process grows by with the graph, and at the height of its backward pass, per operation."""
    sys.setrecursionlimit(1_000_000)
    values = engines() if name not in ("xad", "torch, scalars") else {}
    build_it, backward = build_and_backward(name, values, size)
    backward(build_and_backward(name, values, 600)[0]())
    before = harness.peak_memory()
    state = build_it()
    built = harness.peak_memory()
    backward(state)
    print((built - before) * 1e6 / size, (harness.peak_memory() - before) * 1e6 / size)


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
    rows += parts(size)
    for name, value in engines().items():
        rows.append(row(NAME, name, "objects left to the collector", garbage(value, size), "", "each operation"))
        if name != "minigrad":  # its memory is not Python's, so that tracemalloc does not see it
            built, peak = bytes_per_operation(value, size)
            rows += [
                row(NAME, name, f"memory built, {size:,} operations", built, "B", "each operation, Python's blocks"),
                row(NAME, name, "memory at backward's peak", peak, "B", "each operation, Python's blocks"),
            ]
    return rows + ([] if harness.smoke else memory_rows())


def memory_rows():
    """As the machine sees it, for those too whose memory is not Python's."""
    rows, size = [], 200_000
    for package in (OURS, *installed("micrograd", "minigrad", "xad", "torch")):
        name = "torch, scalars" if package == "torch" else package
        code = f"from benchmarks.workloads import ops; ops.memory_of_process({name!r}, {size})"
        command = ["bash", "-c", f"ulimit -s unlimited; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            left_out(NAME, name, f"memory of {size:,} operations: it ended with status {done.returncode}")
            continue
        built, peak = map(float, done.stdout.split()[-2:])
        note = f"each of {size:,} operations, by the growth of the process"
        rows += [
            row(NAME, name, "memory of the process, built", built, "B", note),
            row(NAME, name, "memory of the process, backward's peak", peak, "B", note),
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
