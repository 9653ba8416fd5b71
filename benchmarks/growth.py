"""How it grows: a chain of operations, compiled with its gradient, and run."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.harness import OURS, installed, interleaved, print_rows, row
from microgrannd.compiler import compile

NAME = "growth"
LENGTHS = (1_000, 10_000, 100_000)


def chain(length):
    def function(x, w):
        y = x
        for i in range(length // 4):
            y = (y * w + x) * 0.5 - 0.25 * (i % 3)
        return y

    return function


def ours(length):
    start = time.perf_counter()
    program = compile(chain(length), backend="native")
    program.value_and_gradients(0.3, 0.7)
    return program.value_and_gradients, time.perf_counter() - start


def casadi(length):
    """Its virtual machine, without a C compiler, which takes seconds for a thousand operations."""
    import casadi as ca

    start = time.perf_counter()
    x = ca.SX.sym("x", 2)
    value = chain(length)(x[0], x[1])
    made = ca.Function("f", [x], [value, ca.gradient(value, x)])
    seconds = time.perf_counter() - start
    buffer, run = made.buffer()
    given, found, slopes = np.zeros(2), np.zeros(1), np.zeros(2)
    buffer.set_arg(0, memoryview(given))
    buffer.set_res(0, memoryview(found))
    buffer.set_res(1, memoryview(slopes))

    def call(*numbers):
        given[:] = numbers
        run()
        return found.item(), tuple(slopes.tolist())

    call.keeps = made, buffer
    return call, seconds


def micrograd(length):
    from micrograd.engine import Value

    def call(*numbers):
        x, w = map(Value, numbers)
        y = chain(length)(x, w)
        y.backward()
        return y.data, (x.grad, w.grad)

    return call, None


def run():
    rows = []
    for length in LENGTHS:
        peers = {OURS: ours(length)}
        if installed("casadi"):
            peers["CasADi"] = casadi(length)
        if length <= 1_000 and installed("micrograd"):  # its backward() calls itself for each operation
            peers["micrograd"] = micrograd(length // 10)
        wanted = {name: peers[OURS][0](0.3, 0.7) for name in peers}
        for name, (call, seconds) in peers.items():
            if name != "micrograd":
                value, slopes = call(0.3, 0.7)
                assert np.allclose([value, *slopes], [wanted[name][0], *wanted[name][1]], rtol=1e-12), name
            if seconds is not None:
                rows.append(row(NAME, name, f"compile {length:,} operations", seconds, "s"))
        medians = interleaved({name: lambda call=call: call(0.3, 0.7) for name, (call, _) in peers.items()})
        for name, seconds in medians.items():
            operations = length // 10 if name == "micrograd" else length
            note = "of 100 operations, each time anew" if name == "micrograd" else ""
            rows.append(row(NAME, name, f"run {length:,}, each operation", seconds / operations * 1e9, "ns", note))
    return rows


if __name__ == "__main__":
    print_rows(run())
