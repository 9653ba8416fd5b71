"""The Hessian of Rosenbrock's function in ten dimensions: eager, compiled, and the tools made for it."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.harness import OURS, installed, interleaved, print_rows, row, timed_rows

NAME = "hessian"
POINT = [0.3 * math.sin(1.7 * i) + 0.8 for i in range(10)]


def rosenbrock(x):
    """Written for anything that has + - * and can be indexed."""
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


def by_hand(x):
    """The matrix that all have to find."""
    size = len(x)
    found = [[0.0] * size for _ in range(size)]
    for i in range(size - 1):
        found[i][i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        found[i + 1][i + 1] += 200
        found[i][i + 1] = found[i + 1][i] = -400 * x[i]
    return found


def eager():
    import microgrannd as mg

    hessian = mg.hessian(rosenbrock)
    return lambda: hessian(POINT)


def compiled():
    import microgrannd as mg

    program = mg.compile(mg.hessian(rosenbrock))
    return lambda: program(POINT)


def with_jax():
    import jax

    jax.config.update("jax_enable_x64", True)
    hessian, point = jax.jit(jax.hessian(rosenbrock)), jax.numpy.array(POINT)
    return lambda: hessian(point).block_until_ready()


def with_casadi():
    import casadi

    x = casadi.SX.sym("x", len(POINT))
    matrix, _ = casadi.hessian(rosenbrock([x[i] for i in range(len(POINT))]), x)
    function = casadi.Function("hessian", [x], [casadi.densify(matrix)])
    return lambda: function(POINT).full()


def with_autograd():
    import autograd
    import numpy as np

    hessian, point = autograd.hessian(rosenbrock), np.array(POINT)
    return lambda: hessian(point)


def with_torch():
    import torch

    point = torch.tensor(POINT, dtype=torch.float64)
    return lambda: torch.autograd.functional.hessian(rosenbrock, point)


PEERS: dict[str, Callable[[], Callable[[], object]]] = {
    "jax": with_jax,
    "casadi": with_casadi,
    "autograd": with_autograd,
    "torch": with_torch,
}
OURS_COMPILED = f"{OURS} compiled"


def run() -> list[dict[str, object]]:
    """One call of each, checked against the matrix by hand; and the time until the first answer."""
    import time

    makers = {OURS: eager, OURS_COMPILED: compiled} | {name: PEERS[name] for name in installed(*PEERS)}
    peers, first = {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        peers[name] = make()
        answer = peers[name]()
        first[name] = time.perf_counter() - start
        for found, expected in zip(answer, by_hand(POINT), strict=True):
            assert all(abs(f - e) <= 1e-9 * max(1, abs(e)) for f, e in zip(found, expected, strict=True)), name
    quick = {name: many(peer, 100) for name, peer in peers.items() if name not in ("autograd", "torch")}
    slow = {name: many(peer, 2) for name, peer in peers.items() if name in ("autograd", "torch")}
    medians = {name: seconds / 100 for name, seconds in interleaved(quick).items()}
    medians |= {name: seconds / 2 for name, seconds in interleaved(slow).items()}
    rows = timed_rows(NAME, "one Hessian", medians, "µs")
    return rows + [row(NAME, name, "import, build and first answer", s * 1e3, "ms") for name, s in first.items()]


def many(function, times):
    """The function so many times, for a clock that is coarse."""

    def repeat():
        for _ in range(times):
            function()

    return repeat


if __name__ == "__main__":
    print_rows(run())
