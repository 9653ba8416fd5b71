"""Small functions with all their derivatives: Rosenbrock in 10 dimensions, Black-Scholes with five sensitivities."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import tempfile
from pathlib import Path
from shutil import which

import numpy as np

from benchmarks.harness import OURS, installed, interleaved, print_rows, timed_rows
from microgrannd import operations as mg
from microgrannd.compiler import compile

NAME = "small"
CALLS, BATCH = 2000, 20_000
SQRT_HALF = math.sqrt(0.5)


def rosenbrock(*x):
    total = 0
    for i in range(9):
        total = total + 100 * (x[i + 1] - x[i] * x[i]) * (x[i + 1] - x[i] * x[i]) + (1 - x[i]) * (1 - x[i])
    return total


def black_scholes(library):
    """The price of a call; its gradient are delta, minus its strike's share, rho, vega and minus theta."""

    def price(s, k, r, v, t):
        spread = v * library.sqrt(t)
        d = (library.log(s / k) + (r + v * v / 2) * t) / spread
        first = library.erfc(-d * SQRT_HALF)
        second = library.erfc((spread - d) * SQRT_HALF)
        return 0.5 * (s * first - k * library.exp(-r * t) * second)

    return price


RANDOM = np.random.default_rng(0)
FUNCTIONS = {
    "Rosenbrock-10": (lambda library: rosenbrock, RANDOM.normal(size=(10, BATCH))),
    "Black-Scholes": (
        black_scholes,
        np.array([RANDOM.uniform(*bounds, BATCH) for bounds in ((80, 120), (80, 120), (0, 0.1), (0.1, 0.5), (0.1, 2))]),
    ),
}


def ours(function, size):
    program = compile(function(mg), backend="native")
    return program.value_and_gradients, program.value_and_gradients


def casadi(function, size, compiled=False):
    """With its buffers, the fastest way that it has from Python: numbers in, run, numbers out."""
    import casadi as ca

    class Library:
        sqrt, log, exp = staticmethod(ca.sqrt), staticmethod(ca.log), staticmethod(ca.exp)

        @staticmethod
        def erfc(z):
            return 1 - ca.erf(z)

    x = ca.SX.sym("x", size)
    value = function(Library)(*ca.vertsplit(x))
    made = ca.Function("f", [x], [value, ca.gradient(value, x)])
    if compiled:
        made = by_the_c_compiler(made)
    buffer, run = made.buffer()
    given, found, slopes = np.zeros(size), np.zeros(1), np.zeros(size)
    buffer.set_arg(0, memoryview(given))
    buffer.set_res(0, memoryview(found))
    buffer.set_res(1, memoryview(slopes))

    def call(*numbers):
        given[:] = numbers
        run()
        return found.item(), slopes.tolist()

    call.keeps = made, buffer
    return call, None


def by_the_c_compiler(made):
    import casadi as ca

    folder, here = tempfile.mkdtemp(), os.getcwd()
    os.chdir(folder)
    try:
        made.generate("f.c")
        subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "f.c", "-o", "f.so", "-lm"], check=True)
    finally:
        os.chdir(here)
    return ca.external("f", str(Path(folder) / "f.so"))


def jax(function, size):
    import jax as library

    library.config.update("jax_enable_x64", True)

    class Library:
        sqrt, log, exp = library.numpy.sqrt, library.numpy.log, library.numpy.exp
        erfc = library.scipy.special.erfc

    f = library.value_and_grad(function(Library), argnums=tuple(range(size)))
    one, many = library.jit(f), library.jit(library.vmap(f))
    return lambda *x: library.block_until_ready(one(*x)), lambda *x: library.block_until_ready(many(*x))


def c(function, size):
    """What `to_c` writes, compiled by the system's compiler and called over a batch."""
    folder = Path(tempfile.mkdtemp())
    program = compile(function(mg), backend="native").trace(*[0.5] * size)
    program.to_c(folder / "f.c")
    name = program._traced().trace.name
    (folder / "batch.c").write_text(f"""\
#include "f.h"
#include "f.c"
void batch(const double **columns, double **results, long count) {{
    double x[{size}], g[{size}];
    for (long i = 0; i < count; i++) {{
        for (int j = 0; j < {size}; j++) x[j] = columns[j][i];
        results[0][i] = {name}_gradient(x, 0, g, 0);
        for (int j = 0; j < {size}; j++) results[j + 1][i] = g[j];
    }}
}}
""")
    command = [
        "cc",
        "-std=c99",
        "-O3",
        "-march=native",
        "-shared",
        "-fPIC",
        "-I",
        str(folder),
        "-o",
        str(folder / "f.so"),
    ]
    subprocess.run([*command, str(folder / "batch.c"), "-lm"], check=True)
    run = ctypes.CDLL(str(folder / "f.so")).batch

    def batch(*columns):
        results = np.empty((size + 1, len(columns[0])))
        tables = [(ctypes.c_void_p * len(t))(*[column.ctypes.data for column in t]) for t in (columns, list(results))]
        run(*tables, ctypes.c_long(len(columns[0])))
        return results[0], results[1:]

    return None, batch


def micrograd(function, size):
    """Only for what it has operations for."""
    from micrograd.engine import Value

    def call(*numbers):
        x = [Value(number) for number in numbers]
        y = function(None)(*x)
        y.backward()
        return y.data, [value.grad for value in x]

    return call, None


def peers(name, function, size):
    found = {OURS: ours(function, size)}
    if installed("casadi"):
        found["CasADi"] = casadi(function, size)
        if which("cc"):
            found["CasADi, cc -O3"] = casadi(function, size, compiled=True)
    if installed("jax"):
        found["JAX"] = jax(function, size)
    if which("cc"):
        found["C by to_c, cc -O3"] = c(function, size)
    if name == "Rosenbrock-10" and installed("micrograd"):
        found["micrograd"] = micrograd(function, size)
    return found


def times_of(peer):
    """How many calls in a round."""
    return 50 if peer == "micrograd" else CALLS


def agree(found, wanted):
    return all(np.allclose(np.array(a, float), b, rtol=1e-9, atol=1e-9) for a, b in zip(found, wanted, strict=True))


def measured(name, function, columns):
    sample, batch = [float(column[0]) for column in columns], list(columns)
    every = peers(name, function, len(columns))
    one, many = every[OURS]
    calls, batches = {}, {}
    for peer, (call, over_batch) in every.items():
        if call:
            assert agree(call(*sample), one(*sample)), peer
            calls[peer] = repeated(call, sample, times_of(peer))
        if over_batch:
            assert agree(over_batch(*batch), many(*batch)), peer
            batches[peer] = repeated(over_batch, batch, 1)
    times = {peer: seconds / times_of(peer) for peer, seconds in interleaved(calls).items()}
    rows = timed_rows(NAME, f"{name}, a call from Python", times, "ns")
    return rows + timed_rows(NAME, f"{name}, each of {BATCH}", interleaved(batches, rounds=31, warmups=3), "ns", BATCH)


def repeated(function, arguments, times):
    def run():
        for _ in range(times):
            function(*arguments)

    return run


def run():
    return [row for name, (function, columns) in FUNCTIONS.items() for row in measured(name, function, columns)]


if __name__ == "__main__":
    print_rows(run())
