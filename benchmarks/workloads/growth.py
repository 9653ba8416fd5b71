"""How it grows: a chain of operations from 1,000 to 1,000,000, eager and compiled, in time and in memory.

The exponent is the slope of the logarithm of the time against that of the size: 1 is linear. Every size is run
in a process of its own, so that the memory is its own; the gradients are compared with those of a recurrence.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time

import numpy as np

from benchmarks import harness
from benchmarks.harness import C_FLAGS, OURS, c_library, has_cc, installed, left_out, row

NAME = "growth"
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
SHORTER = {"micrograd": 1_000, "CasADi, cc -O3": 1_000, "JAX, jit": 1_000}
WHY = {
    "micrograd": "its backward() calls itself for each operation",
    "CasADi, cc -O3": "the compiler takes a third of a minute for 10,000",
    "JAX, jit": "its compiler takes most of a minute and gigabytes for 10,000",
}
POINT = (0.3, 0.7)


def chain(length):
    """A function of `length` operations, four in each round."""

    def function(x, w):
        y = x
        for i in range(length // 4):
            y = (y * w + x) * 0.5 - 0.25 * (i % 3)
        return y

    return function


def expected(length):
    """The value and both derivatives, by a recurrence that a person writes down."""
    x, w = POINT
    y, by_x, by_w = x, 1.0, 0.0
    for i in range(length // 4):
        y, by_x, by_w = (y * w + x) * 0.5 - 0.25 * (i % 3), (by_x * w + 1) * 0.5, (by_w * w + y) * 0.5
    return y, by_x, by_w


def ours(length):
    import microgrannd as mg

    return mg.compile(chain(length), backend="native").value_and_gradients


def casadi(length, through_c=False):
    import casadi as ca

    from benchmarks.peers import casadi_call, casadi_through_c

    x = ca.SX.sym("x", 2)
    value = chain(length)(x[0], x[1])
    made = ca.Function("f", [x], [value, ca.gradient(value, x)])
    call = casadi_call(casadi_through_c(made) if through_c else made, [2], [1, 2])

    def run(*numbers):
        value, slopes = call(numbers)
        return value.item(), slopes.tolist()

    return run


def jax(length):
    from benchmarks.peers import jax_in_double

    library = jax_in_double()
    f = library.jit(library.value_and_grad(chain(length), argnums=(0, 1)))
    return lambda *x: library.block_until_ready(f(*x))


C = """
#include <stdlib.h>
void run(double x, double w, long rounds, double *found) {
    double *kept = malloc(rounds * sizeof(double)), y = x, g = 1;
    for (long i = 0; i < rounds; i++) { kept[i] = y; y = (y * w + x) * 0.5 - 0.25 * (i % 3); }
    found[0] = y; found[1] = found[2] = 0;
    for (long i = rounds; i-- > 0;) { g *= 0.5; found[1] += g; found[2] += g * kept[i]; g *= w; }
    found[1] += g;
    free(kept);
}
"""


def by_hand_in_c(flags):
    def make(length):
        run, found = c_library(C, *flags).run, (ctypes.c_double * 3)()

        def call(*numbers):
            run(*map(ctypes.c_double, numbers), ctypes.c_long(length // 4), found)
            return found[0], found[1:]

        return call

    return make


def eager(value):
    def make(length):
        def call(*numbers):
            x, w = map(value, numbers)
            y = chain(length)(x, w)
            y.backward()
            return y.data, (x.grad, w.grad)

        return call

    return make


def eager_sum(length):
    """One sum of `length` terms."""
    import microgrannd as mg

    def call(*_):
        x = mg.Value(1.0)
        y = mg.operations.sum([x * 0.5 for _ in range(length)])
        y.backward()
        return y.data, x.grad

    return call


def maker(name):
    if name.startswith(OURS) and "eager" in name:
        import microgrannd as mg

        return eager_sum if "sum" in name else eager(mg.Value)
    if name == "micrograd":
        from micrograd.engine import Value

        sys.setrecursionlimit(100_000)
        return eager(Value)
    if name == "CasADi, cc -O3":
        return lambda length: casadi(length, through_c=True)
    if name in C_FLAGS:
        return by_hand_in_c(C_FLAGS[name])
    return {OURS: ours, "CasADi": casadi, "JAX, jit": jax}[name]


def measured(name, length):
    """Print the seconds to the first result, those of a further call, and the MB that the process grew by."""
    make = maker(name)
    warm = make(8)
    warm(*POINT)  # what is imported and set up once is not the size's
    gc.collect()
    before, start = harness.peak_memory(), harness.now()
    call = make(length)
    found = call(*POINT)
    first, grown = harness.now() - start, harness.peak_memory() - before
    if "sum" in name:
        assert np.allclose(found, (0.5 * length, 0.5 * length), rtol=1e-9)
    else:
        assert np.allclose([found[0], *found[1]], expected(length), rtol=1e-9), (name, length)
    times, calls = [], max(1, 100_000 // length)
    for _ in range(3 if length >= 100_000 else 7):
        gc.collect()
        start = time.process_time()
        for _ in range(calls):
            call(*POINT)
        times.append((time.process_time() - start) / calls)
    print(json.dumps([first, harness.typical(times), grown]))


def figures(name, length):
    code = f"from benchmarks.workloads import growth; growth.measured({name!r}, {length})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def exponent(sizes, seconds):
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def compiled_rows():
    names = [OURS]
    names += ["CasADi"] * bool(installed("casadi")) + ["CasADi, cc -O3"] * bool(installed("casadi") and has_cc())
    names += ["JAX, jit"] * bool(installed("jax")) + list(C_FLAGS) * has_cc()
    rows = []
    for name in names:
        sizes = [n for n in lengths() if n <= SHORTER.get(name, LENGTHS[-1])]
        found = [figures(name, n) for n in sizes]
        for n, (first, again, grown) in zip(sizes, found, strict=True):
            rows += [
                row(NAME, name, f"compile {n:,}, to the first result", first, "s"),
                row(NAME, name, f"run {n:,} compiled, each operation", again / n * 1e9, "ns"),
            ]
            if name not in C_FLAGS:
                rows.append(row(NAME, name, f"compile {n:,}, memory of each operation", grown * 1e6 / n, "B"))
        if len(sizes) > 2 and name not in C_FLAGS:  # a loop, whose compiling does not grow
            note = f"from {sizes[1]:,} to {sizes[-1]:,}; below that it is the set-up"
            times = [first for first, _, _ in found]
            rows.append(row(NAME, name, "compile, exponent of the time", exponent(sizes[1:], times[1:]), "", note))
    return rows


def eager_rows():
    rows = []
    for name, label in ((f"{OURS}, eager", "chain"), (f"{OURS}, eager sum", "sum"), ("micrograd", "chain")):
        if name == "micrograd" and not installed("micrograd"):
            continue
        peer = name.removesuffix(" sum").replace(", eager", "")
        sizes = [n for n in lengths() if n <= SHORTER.get(name, LENGTHS[-1])]
        found = [figures(name, n) for n in sizes]
        for n, (_, again, grown) in zip(sizes, found, strict=True):
            what = f"eager {label} of {n:,}"
            rows += [
                row(NAME, peer, f"{what}, each operation", again / n * 1e9, "ns", "build, backward and free"),
                row(NAME, peer, f"{what}, memory of each operation", grown * 1e6 / n, "B", "peak of the process"),
            ]
        if len(sizes) > 2:
            times, memory = [again for _, again, _ in found], [grown for _, _, grown in found]
            span = f"from {sizes[0]:,} to {sizes[-1]:,}"
            rows.append(row(NAME, peer, f"eager {label}, exponent of the time", exponent(sizes, times), "", span))
            span = f"from {sizes[2]:,} to {sizes[-1]:,}; smaller graphs fit in what the process has"
            if len(sizes) > 3:
                value = exponent(sizes[2:], memory[2:])
                rows.append(row(NAME, peer, f"eager {label}, exponent of the memory", value, "", span))
    return rows


def lengths():
    return LENGTHS[:1] if harness.smoke else LENGTHS[:3] if harness.alone() else LENGTHS


def run():
    rows = eager_rows() + compiled_rows()
    present = {r["peer"] for r in rows}
    for name, size in SHORTER.items():
        if name in present:
            left_out(NAME, name, f"more than {size:,} operations: {WHY[name]}")
    return rows


if __name__ == "__main__":
    harness.print_rows(run())
