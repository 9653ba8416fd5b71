"""Recurrences of 10,000 steps with all their gradients: from the function to the first result, and a run.

A neuron that feeds itself, a Kalman filter's likelihood, an LSTM cell of size 4, a double pendulum by Runge and Kutta's
method. The neuron is also C by hand, JAX's `scan` and CasADi's `mapaccum`, where the user says that there is a loop.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.recurrences import C
from benchmarks.harness import C_FLAGS, OURS, c_library, has_cc, interleaved, loaded
from benchmarks.peers import jax_in_double
from microgrannd.ground.nests import leaves
from tests.recurrent_programs import eager, kalman, lstm, pendulum, recurrent

NAME = "recurrences"
STEPS = 10_000
PROGRAMS = {"a neuron": recurrent, "Kalman": kalman, "LSTM of 4": lstm, "double pendulum": pendulum}


def ours(function, arguments, backend="native"):
    """A call as users have it, and the kernel alone, on numbers that are there already."""
    import microgrannd as mg

    program = mg.compile(function, backend=backend)
    program.value_and_gradients(*arguments)
    plan = program.runtime.latest
    kernel, numbers = program.runtime.kernel(plan, "inputs").plain, leaves(arguments)
    if backend != "native":
        return lambda: kernel.one(numbers, []), lambda: kernel.one(numbers, [])
    kernel.one(numbers, [])  # which compiles it
    given, parameters, found = kernel._inputs(*numbers), kernel._parameters(), kernel._outputs()

    def alone():
        kernel._function("one")(given, parameters, found)

    return lambda: kernel.one(numbers, []), alone


def c_by_hand(flags):
    function = c_library(C, *flags).recurrent
    function.restype = ctypes.c_double
    x, y, *weights = recurrent(steps())[1]
    given, d_x, d = (ctypes.c_double * len(x))(*x), (ctypes.c_double * len(x))(), (ctypes.c_double * 4)()
    numbers = [ctypes.c_double(number) for number in (y[0], *weights)]

    def alone():
        return function(given, ctypes.c_long(len(x)), *numbers, d_x, d)

    def results():
        return [alone(), *d_x, d[0], *[0.0] * (len(y) - 1), *d[1:]]

    return results, alone


def jax_scan():
    jax = jax_in_double()

    def loss(x, y, w, u, b):
        h, _ = jax.lax.scan(lambda h, x: (jax.numpy.tanh(w * h + u * x + b), None), 0.0, x)
        return (h - y[0]) ** 2

    run = jax.jit(jax.value_and_grad(loss, argnums=tuple(range(5))))
    x, y, *weights = recurrent(steps())[1]
    x, y = jax.numpy.array(x), jax.numpy.array(y)

    def alone():
        return jax.block_until_ready(run(x, y, *weights))

    def results():
        value, slopes = alone()
        return [float(value), *[float(number) for part in slopes for number in np.ravel(part)]]

    return results, alone


def casadi_mapaccum():
    import casadi as ca

    x, y, *weights = recurrent(steps())[1]
    h, each, shared = ca.SX.sym("h"), ca.SX.sym("x"), ca.SX.sym("p", 3)
    step = ca.Function("step", [h, each, shared], [ca.tanh(shared[0] * h + shared[1] * each + shared[2])])
    every = step.mapaccum("every", len(x))
    xs, p, wanted = ca.MX.sym("xs", 1, len(x)), ca.MX.sym("p", 3), ca.MX.sym("y")
    loss = (every(0, xs, ca.repmat(p, 1, len(x)))[-1] - wanted) ** 2
    run = ca.Function("run", [xs, wanted, p], [loss, *[ca.gradient(loss, v) for v in (xs, wanted, p)]])
    row = np.array(x)[None]

    def alone():
        return run(row, y[0], weights)

    def results():
        value, by_x, by_y, by_p = [np.ravel(part) for part in alone()]
        return [*value, *by_x, *by_y, *[0.0] * (len(y) - 1), *by_p]

    return results, alone


def steps():
    return 200 if harness.smoke else STEPS


def makers(name):
    function, arguments = PROGRAMS[name](steps())
    found = {OURS: lambda: ours(function, arguments)}
    found[f"{OURS}, printed Python"] = lambda: ours(function, arguments, "python")
    found[f"{OURS}, eager"] = lambda: (lambda: eager(function, arguments),) * 2
    if name != "a neuron" or harness.alone():
        return found
    if loaded("jax"):
        found["JAX, scan"] = jax_scan
    if loaded("casadi"):
        found["CasADi, mapaccum"] = casadi_mapaccum
    if has_cc():
        found |= {f"{label}": lambda flags=flags: c_by_hand(flags) for label, flags in C_FLAGS.items()}
    return found


def measured(name):
    wanted, first, runs = None, {}, {}
    for peer, make in makers(name).items():
        start = time.perf_counter()
        results, alone = make()
        found = results()
        first[peer] = time.perf_counter() - start
        wanted = wanted or found
        assert np.allclose(found, wanted, rtol=1e-9, atol=1e-12), (name, peer)
        if not peer.endswith("eager"):
            runs[peer] = alone
    rows = harness.timed_rows(NAME, f"{name}, a run", interleaved(runs, rounds=9), "µs")
    return rows + [
        harness.row(NAME, peer, f"{name}, to the first result", seconds, "s", "trace, compile, one call")
        for peer, seconds in first.items()
    ]


def run():
    return [row for name in PROGRAMS for row in measured(name)]


if __name__ == "__main__":
    harness.print_rows(run())
