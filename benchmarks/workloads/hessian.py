"""The Hessian of Rosenbrock's function in ten dimensions: eager, compiled, the tools made for it, and by hand.

Every peer's matrix is compared with the one by hand before anything is timed.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import numpy as np

from benchmarks import harness
from benchmarks.harness import C_FLAGS, OURS, c_library, has_cc, interleaved, left_out, loaded
from benchmarks.peers import casadi_call, casadi_through_c, jax_in_double, torch_on_one_thread

NAME = "hessian"
SIZE = 10
POINT = [0.3 * math.sin(1.7 * i) + 0.8 for i in range(SIZE)]


def rosenbrock(x):
    """Written for anything that has + - * and can be indexed."""
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(SIZE - 1))


def by_hand(x):
    """The matrix that all have to find."""
    found = [[0.0] * SIZE for _ in range(SIZE)]
    for i in range(SIZE - 1):
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
    library = jax_in_double()
    hessian, point = library.jit(library.hessian(rosenbrock)), library.numpy.array(POINT)
    return lambda: hessian(point).block_until_ready()


def with_casadi(through_c=False):
    import casadi

    x = casadi.SX.sym("x", SIZE)
    matrix, _ = casadi.hessian(rosenbrock([x[i] for i in range(SIZE)]), x)
    function = casadi.Function("hessian", [x], [casadi.densify(matrix)])
    call = casadi_call(casadi_through_c(function) if through_c else function, [SIZE], [SIZE * SIZE])
    return lambda: call(POINT)[0].reshape(SIZE, SIZE)


def with_autograd():
    import autograd

    hessian, point = autograd.hessian(rosenbrock), np.array(POINT)
    return lambda: hessian(point)


def with_torch():
    library = torch_on_one_thread()
    point = library.tensor(POINT)
    return lambda: library.autograd.functional.hessian(rosenbrock, point)


def with_numpy():
    point = np.array(POINT)
    inner = np.arange(SIZE - 1)

    def call():
        found = np.zeros((SIZE, SIZE))
        diagonal = found.ravel()[:: SIZE + 1]
        diagonal[:-1] = 1200 * point[:-1] ** 2 - 400 * point[1:] + 2
        diagonal[1:] += 200
        found[inner, inner + 1] = found[inner + 1, inner] = -400 * point[:-1]
        return found

    return call


def with_numba():
    import numba

    @numba.njit
    def fill(x, found):
        found[:] = 0.0
        for i in range(SIZE - 1):
            found[i, i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2
            found[i + 1, i + 1] += 200
            found[i, i + 1] = found[i + 1, i] = -400 * x[i]

    point, found = np.array(POINT), np.empty((SIZE, SIZE))

    def call():
        fill(point, found)
        return found

    return call


C = """
#include <string.h>
void hessian(const double *x, double (*found)[10]) {
    memset(found, 0, 100 * sizeof(double));
    for (int i = 0; i < 9; i++) {
        found[i][i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2;
        found[i + 1][i + 1] += 200;
        found[i][i + 1] = found[i + 1][i] = -400 * x[i];
    }
}
"""


def with_c(*flags):
    """Through ctypes, whose call is most of it."""
    point, found = np.array(POINT), np.empty((SIZE, SIZE))
    run, given = c_library(C, *flags).hessian, [ctypes.c_void_p(array.ctypes.data) for array in (point, found)]

    def call():
        run(*given)
        return found

    return call


COMPILED = f"{OURS}, compile"
SLOW = (OURS, "autograd", "torch")


def makers() -> dict[str, Callable[[], Callable[[], object]]]:
    found = {OURS: eager, COMPILED: compiled, "NumPy by hand": with_numpy}
    known = {"autograd": with_autograd, "torch": with_torch, "numba": with_numba, "casadi": with_casadi}
    labels = {"numba": "numba by hand", "casadi": "CasADi", "jax": "JAX, jit"}
    known["jax"] = with_jax
    found |= {labels.get(name, name): known[name] for name in loaded(*known)}
    if "CasADi" in found and has_cc():
        found["CasADi, cc -O3"] = lambda: with_casadi(through_c=True)
    if has_cc():
        found |= {name: lambda flags=flags: with_c(*flags) for name, flags in C_FLAGS.items()}
    for name in loaded("micrograd", "minigrad", "xad"):
        left_out(NAME, name, "it has no second derivatives")
    return found


def run() -> list[dict[str, object]]:
    """One call of each, and the time until the first answer."""
    peers, answers, first = harness.made(makers())
    for name, answer in answers.items():
        assert np.allclose(np.array(answer, float), by_hand(POINT), rtol=1e-9, atol=1e-9), name
    counts = {name: 1 if harness.smoke else 3 if name in SLOW else 200 for name in peers}
    timed = {name: harness.many(peer, counts[name]) for name, peer in peers.items()}
    medians = {name: seconds / counts[name] for name, seconds in interleaved(timed).items()}
    note = "trace, compile, one call; the import is apart"
    rows = harness.timed_rows(NAME, "one Hessian", medians, "µs")
    return rows + [harness.row(NAME, n, "to the first Hessian", s * 1e3, "ms", note) for n, s in first.items()]


if __name__ == "__main__":
    harness.print_rows(run())
