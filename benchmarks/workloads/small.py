"""Small functions with all their derivatives: Rosenbrock in 10 dimensions, Black-Scholes with five sensitivities.

A call from Python with numbers, and a batch of 20,000 in one call. Every peer's value and derivatives are
compared with ours before anything is timed.
"""

from __future__ import annotations

import ctypes
import math
import re
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.small import C, numba_by_hand, numpy_by_hand
from benchmarks.harness import (
    C_FLAGS,
    COMPILED,
    OURS,
    c_library,
    compiled_build,
    has_cc,
    installed,
    interleaved,
    loaded,
)
from benchmarks.peers import (
    casadi_call,
    casadi_through_c,
    jax_in_double,
    micrograd_operation,
    torch_on_one_thread,
    xad_gradients,
)

NAME = "small"
BATCH = 20_000
SQRT_HALF = math.sqrt(0.5)


def rosenbrock(library):
    def f(*x):
        total = 0
        for i in range(9):
            total = total + 100 * (x[i + 1] - x[i] * x[i]) * (x[i + 1] - x[i] * x[i]) + (1 - x[i]) * (1 - x[i])
        return total

    return f


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
    "Rosenbrock-10": (rosenbrock, RANDOM.normal(size=(10, BATCH))),
    "Black-Scholes": (
        black_scholes,
        np.array([RANDOM.uniform(*bounds, BATCH) for bounds in ((80, 120), (80, 120), (0, 0.1), (0.1, 0.5), (0.1, 2))]),
    ),
}

# A peer is made of a function and its number of arguments, and gives what takes one sample and what takes a
# batch, a column for each argument; None where it has no such way. Both return the value and the derivatives.


def ours(function, size):
    import microgrannd as mg

    program = mg.compile(function(mg.operations), backend="native")
    return program.value_and_gradients, program.value_and_gradients


def engine(operations, value):
    def make(function, size):
        def call(*numbers):
            x = [value(number) for number in numbers]
            y = function(operations)(*x)
            y.backward()
            return y.data, [leaf.grad for leaf in x]

        return call, None

    return make


def micrograd_operations():
    return SimpleNamespace(
        sqrt=lambda x: x**0.5,
        exp=micrograd_operation(math.exp, lambda x, out: out),
        log=micrograd_operation(math.log, lambda x, out: 1 / x),
        erfc=micrograd_operation(math.erfc, lambda x, out: -2 / math.sqrt(math.pi) * math.exp(-x * x)),
    )


def xad(function, size):
    from xad import math

    f = function(math)
    return lambda *numbers: xad_gradients(lambda x: f(*x), numbers), None


def autograd(function, size):
    import autograd.numpy as numpy
    from autograd import elementwise_grad, value_and_grad
    from autograd.scipy.special import erfc

    library = SimpleNamespace(sqrt=numpy.sqrt, log=numpy.log, exp=numpy.exp, erfc=erfc)
    one = value_and_grad(lambda x: function(library)(*x))
    many = elementwise_grad(lambda x: function(library)(*x))

    def batch(*columns):
        return function(library)(*columns), many(np.array(columns))

    return lambda *x: one(np.array(x)), batch


def torch(function, size):
    library = torch_on_one_thread()
    names = SimpleNamespace(sqrt=library.sqrt, log=library.log, exp=library.exp, erfc=library.special.erfc)

    def call(*numbers):
        x = [library.tensor(number, requires_grad=True) for number in numbers]
        y = function(names)(*x)
        y.sum().backward()
        return y.detach().numpy(), [leaf.grad.numpy() for leaf in x]

    return call, call


def jax(function, size):
    library = jax_in_double()
    xp = library.numpy
    names = SimpleNamespace(sqrt=xp.sqrt, log=xp.log, exp=xp.exp, erfc=library.scipy.special.erfc)
    f = library.value_and_grad(function(names), argnums=tuple(range(size)))
    one, many = library.jit(f), library.jit(library.vmap(f))
    return lambda *x: library.block_until_ready(one(*x)), lambda *x: library.block_until_ready(many(*x))


def casadi(function, size, through_c=False):
    import casadi as ca

    names = SimpleNamespace(sqrt=ca.sqrt, log=ca.log, exp=ca.exp, erfc=lambda z: 1 - ca.erf(z))
    x = ca.SX.sym("x", size)
    value = function(names)(*ca.vertsplit(x))
    made = ca.Function("f", [x], [value, ca.gradient(value, x)])
    run = casadi_call(casadi_through_c(made) if through_c else made, [size], [1, size])

    def call(*numbers):
        value, slopes = run(numbers)
        return value.item(), slopes.tolist()

    return call, None


def to_c(function, size):
    """What our `to_c` writes, compiled by the system's compiler and called over a batch."""
    import microgrannd as mg

    folder = Path(tempfile.mkdtemp())
    program = mg.compile(function(mg.operations), backend="native").trace(*[0.5] * size)
    program.to_c(folder / "f.c")
    header = (folder / "f.h").read_text()
    [name] = re.findall(r"(\w+)_gradient\(", header)
    source = header + (folder / "f.c").read_text().replace('#include "f.h"', "")
    batch = f"""
void batch(const double **columns, double **results, long count) {{
    double x[{size}], g[{size}];
    for (long i = 0; i < count; i++) {{
        for (int j = 0; j < {size}; j++) x[j] = columns[j][i];
        results[0][i] = {name}_gradient(x, 0, g, 0);
        for (int j = 0; j < {size}; j++) results[j + 1][i] = g[j];
    }}
}}
"""
    return None, over_batch(c_library(source + batch, "-std=c99", "-O3", "-march=native").batch, size)


def over_batch(run, size):
    """A C function of columns, result columns and their length."""

    def batch(*columns):
        results = np.empty((size + 1, len(columns[0])))
        tables = [(ctypes.c_void_p * len(t))(*[column.ctypes.data for column in t]) for t in (columns, list(results))]
        run(*tables, ctypes.c_long(len(columns[0])))
        return results[0], results[1:]

    return batch


def by_hand_in_c(name, *flags):
    def make(function, size):
        return None, over_batch(getattr(c_library(C, *flags), name.lower().replace("-", "_")), size)

    return make


def makers(name):
    from microgrannd import Value, operations

    found = {OURS: ours, f"{OURS}, eager": engine(operations, Value)}
    if build := compiled_build():
        found[COMPILED + ", eager"] = engine(build["microgrannd.operations"], build["microgrannd.engine"].Value)
    if loaded("micrograd"):
        found["micrograd"] = engine(micrograd_operations(), import_module("micrograd.engine").Value)
    if loaded("xad"):
        found["xad"] = xad
    special = name != "Black-Scholes" or installed("scipy")  # which has the error function on arrays
    if special and loaded("autograd"):
        found["autograd"] = autograd
    if loaded("torch"):
        found["torch"] = torch
    if loaded("jax"):
        found["JAX, jit"] = jax
    if loaded("casadi"):
        found["CasADi"] = casadi
        if has_cc():
            found["CasADi, cc -O3"] = lambda function, size: casadi(function, size, through_c=True)
    if special:
        found["NumPy by hand"] = lambda function, size: numpy_by_hand(name)
    if loaded("numba"):
        found["numba by hand"] = lambda function, size: numba_by_hand(name)
    if has_cc():
        found["C by to_c, cc -O3"] = to_c
        found |= {label: by_hand_in_c(name, *flags) for label, flags in C_FLAGS.items()}
    return found


SLOW = ("micrograd", "autograd", "torch", "xad", f"{OURS}, eager", f"{COMPILED}, eager")


def agree(found, wanted):
    return all(np.allclose(np.array(a, float), b, rtol=1e-9, atol=1e-9) for a, b in zip(found, wanted, strict=True))


def measured(name, function, columns):
    if harness.smoke:
        columns = columns[:, :100]
    sample, batch, size = [float(column[0]) for column in columns], list(columns), len(columns)

    def first_call(make):
        one, many = make(function, size)
        return lambda: (one(*sample) if one else many(*batch), one, many)

    _, answers, first = harness.made({peer: lambda m=m: first_call(m) for peer, m in makers(name).items()})
    one, many = answers[OURS][1:]
    calls, batches, counts = {}, {}, {}
    for peer, (_, call, over) in answers.items():
        if call:
            assert agree(call(*sample), one(*sample)), (name, peer)
            counts[peer] = 1 if harness.smoke else 50 if peer in SLOW else 2000
            calls[peer] = harness.many(call, counts[peer], *sample)
        if over:
            assert agree(over(*batch), many(*batch)), (name, peer)
            batches[peer] = lambda over=over: over(*batch)
    times = {peer: seconds / counts[peer] for peer, seconds in interleaved(calls, rounds=9).items()}
    rows = harness.timed_rows(NAME, f"{name}, a call from Python", times, "ns")
    rows += harness.timed_rows(
        NAME, f"{name}, each of {BATCH:,}", interleaved(batches, rounds=21, warmups=2), "ns", columns.shape[1]
    )
    note = "trace, compile, one call; the import is apart"
    return rows + [
        harness.row(NAME, peer, f"{name}, to the first result", s * 1e3, "ms", note) for peer, s in first.items()
    ]


def run():
    return [row for name, (function, columns) in FUNCTIONS.items() for row in measured(name, function, columns)]


if __name__ == "__main__":
    harness.print_rows(run())
