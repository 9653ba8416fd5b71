"""A chained Rosenbrock function: its gradient and its sparse Hessian, and a minimum by SciPy's trust-constr."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from benchmarks import harness
from benchmarks.harness import OURS, interleaved, loaded

NAME = "sparse"


def rosenbrock(x):
    total = 0
    for a, b in pairwise(x):
        total = total + 100 * (b - a * a) * (b - a * a) + (1 - a) * (1 - a)
    return total


def ours(size):
    """The value, the gradient and the Hessian of an array; and the kernels of the last two alone."""
    import microgrannd as mg

    program, zeros = mg.compile(rosenbrock, backend="native"), [0.0] * size
    program.value_and_gradients(zeros)
    program.hessian(zeros, sparse=True)
    runtime = program.runtime
    kernels = [runtime.kernel(runtime.latest, "inputs").plain]
    kernels.append(runtime.sparse_kernel(runtime.latest, runtime.latest.sparse(0, twice=True)))

    def slope(x):
        return np.array(program.value_and_gradients(x.tolist())[1][0])

    def run(kernel):
        given, none, found = kernel._inputs(*[0.5] * size), kernel._parameters(), kernel._outputs()
        return lambda: kernel._function("one")(given, none, found)

    return lambda x: program(x.tolist()), slope, lambda x: program.hessian(x.tolist(), sparse=True), *map(run, kernels)


def casadi(size):
    import casadi as ca
    from scipy import sparse

    x = ca.SX.sym("x", size)
    value = rosenbrock(ca.vertsplit(x))
    names = ("value", "slope", "curvature")
    value, slope, curvature = (
        ca.Function(name, [x], [made])
        for name, made in zip(names, (value, ca.gradient(value, x), ca.hessian(value, x)[0]), strict=True)
    )
    rows, columns = curvature.sparsity_out(0).get_triplet()
    half = np.full(size, 0.5)

    def hessian(x):
        return sparse.csr_array((np.array(curvature(x).nonzeros()), (rows, columns)), (size, size))

    def slope_of(x):
        return np.array(slope(x)).ravel()

    curvature(half)
    return lambda x: float(value(x)), slope_of, hessian, lambda: slope(half), lambda: curvature(half)


def run():
    from scipy.optimize import minimize

    rows, makers = [], {OURS: ours} | ({"CasADi": casadi} if loaded("casadi") and not harness.alone() else {})
    for size in (50,) if harness.smoke else (100, 1_000, 10_000):
        made, first = {}, {}
        for peer, make in makers.items():
            start = time.perf_counter()
            made[peer] = make(size)
            first[peer] = time.perf_counter() - start
        x = np.random.default_rng(0).normal(size=size)
        wanted = made[OURS][2](x)
        for peer, (_, slope, hessian, *_) in made.items():
            assert abs(hessian(x) - wanted).max() < 1e-9, peer
            assert np.allclose(slope(x), made[OURS][1](x)), peer
        for name, k in (("the gradient", 3), ("the Hessian", 4)):
            times = interleaved({peer: functions[k] for peer, functions in made.items()}, rounds=9)
            rows += harness.timed_rows(NAME, f"{size:,} variables, {name}", times, "µs")
        rows += [
            harness.row(NAME, peer, f"{size:,} variables, to the first Hessian", s, "s") for peer, s in first.items()
        ]
        if size > 100:
            continue
        for peer, (value, slope, hessian, *_) in made.items():
            start = time.perf_counter()
            found = minimize(value, np.zeros(size), jac=slope, hess=hessian, method="trust-constr")
            assert np.allclose(found.x, 1, atol=1e-4), (peer, found.status)
            took = time.perf_counter() - start
            rows.append(harness.row(NAME, peer, f"{size:,} variables, minimized", took, "s", f"{found.nit} iterations"))
    return rows


if __name__ == "__main__":
    harness.print_rows(run())
