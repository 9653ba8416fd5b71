"""Second derivatives where inputs and constants are zeros, ones and ties: by hand, and of random programs.

MICROGRANND_RANDOM_GRAPHS sets how many programs; `--long` runs 100,000.
"""

import math
import os
from collections import Counter
from random import Random

import mpmath as mp
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.layers import Gate
from microgrannd.operations import TABLE
from tests.oracles import CLOSED_FORMS, closed_form
from tests.random_graphs import tied_graph

COUNT = int(os.environ.get("MICROGRANND_RANDOM_GRAPHS", "300"))
ORACLES = {name: form for name in [*CLOSED_FORMS, *TABLE] if (form := closed_form(name))}
NAMES = tuple(name for name in ORACLES if name != "stop_gradient")
STEP = mp.mpf(10) ** -15

e, m = math.exp(-0.6), math.expm1(-0.6)
silu_slope = 0.5  # and the second derivative of silu at 0 is 0.5 too

# A function of x and a number that is 0, and its Hessian at (-0.6, 0).
ZERO_NUMBERS = {
    "exp(elu)": (lambda p: mg.exp(mg.elu(p[0], p[1])), [[0.0, e], [e, m * m]]),
    "sin(leaky_relu)": (lambda p: mg.sin(mg.leaky_relu(p[0], p[1])), [[0.0, 1.0], [1.0, 0.0]]),
    "silu(leaky_relu)": (lambda p: mg.silu(mg.leaky_relu(p[0], p[1])), [[0.0, 0.5], [0.5, 0.5 * 0.36]]),
    "square(leaky_relu)": (lambda p: mg.square(mg.leaky_relu(p[0], p[1])), [[0.0, 0.0], [0.0, 2 * 0.36]]),
    "leaky_relu(leaky_relu)": (lambda p: mg.leaky_relu(mg.leaky_relu(p[0], 0.5), p[1]), [[0.0, 0.5], [0.5, 0.0]]),
    "exp(contribution)": (lambda p: mg.exp(mg.contribution(p[1], p[0])), [[0.0, 1.0], [1.0, 0.36]]),
    "exp of a where": (lambda p: mg.exp(mg.where(mg.less(p[0], 0), p[0] * p[1], p[0])), [[0.0, 1.0], [1.0, 0.36]]),
}


@pytest.mark.parametrize("backend", ["eager", "python", "native"])
@pytest.mark.parametrize("name", ZERO_NUMBERS)
def test_a_slope_that_is_zero_as_a_number_is_differentiated(name, backend):
    function, expected = ZERO_NUMBERS[name]
    hessian = mg.hessian(function) if backend == "eager" else mg.compile(function, backend=backend).hessian
    found = hessian([-0.6, 0.0])
    assert [x for row in found for x in row] == pytest.approx([x for row in expected for x in row], abs=1e-15)


@pytest.mark.parametrize("name", ZERO_NUMBERS)
def test_forward_mode_in_reverse_mode_differentiates_it_too(name):
    function, expected = ZERO_NUMBERS[name]
    row = mg.grad(lambda p: mg.jvp(function)(p, [0.0, 1.0]))([-0.6, 0.0])
    assert row == pytest.approx(expected[1], abs=1e-15)


def test_a_gates_gradient_of_a_zero_slope_is_differentiated():
    x, slope = Value(-0.6), Value(0.0)
    gate = Gate(mg.leaky_relu)
    gate.forward(x, slope)
    by_x, _ = gate.backward(1.0)
    by_x.backward()
    assert slope.grad == 1.0


@pytest.mark.parametrize(("operation", "mixed"), [(mg.leaky_relu, 1.0), (mg.elu, 1.0)])
def test_at_the_kink_both_orders_of_differentiating_take_the_left_side(operation, mixed):
    hessian = mg.hessian(lambda p: operation(p[0], p[1]))([0.0, 0.5])
    assert (hessian[0][1], hessian[1][0]) == (mixed, mixed)


def test_a_third_derivative_by_a_zero_number():
    # d³/dx da² of exp(a x) is 2x + a x², times exp(a x): on the left of the kink leaky_relu is a x
    third = mg.grad(lambda x: mg.hessian(lambda a: mg.exp(mg.leaky_relu(x, a)))(0.0))
    assert third(-0.6) == pytest.approx(-1.2)


def test_a_branch_that_was_not_taken_still_leaves_no_nan():
    hessian = mg.hessian(lambda p: mg.exp(mg.where(mg.greater(p[0], 0), mg.sqrt(p[0]), p[1] * p[0])))
    assert hessian([0.0, 2.0]) == [[4.0, 1.0], [1.0, 0.0]]


@pytest.mark.slow
def test_random_programs():
    check(COUNT)


@pytest.mark.long
def test_100_000_random_programs():
    print(check(100_000))


def check(count, start=0):
    """Check so many programs; how many there were of what kind."""
    kinds = Counter()
    for seed in range(start, start + count):
        graph = tied_graph(Random(seed), NAMES)
        if isinstance(graph.run([Value(x) for x in graph.inputs]), Value):
            kinds[check_hessian(graph, native=seed % 20 == 0)] += 1
    return kinds


def check_hessian(graph, *, native):
    """Compiled is eager, and the Hessian symmetric; where every operation is smooth, it has the right numbers."""
    x, n = list(graph.inputs), len(graph.inputs)
    found = mg.hessian(graph.run)(x)
    for backend in ["python", "native"] if native else ["python"]:
        compiled = mg.compile(lambda p: graph.run(p), backend=backend).hessian(x)
        assert near(compiled, found, 1e-9, but_for=math.isnan), (backend, compiled, found, str(graph))
    if not all(math.isfinite(entry) for row in found for entry in row) or has_pole(graph):
        return "infinite or near it"
    units = [[float(i == k) for i in range(n)] for k in range(n)]
    forward = [mg.jvp(mg.grad(graph.run))(x, unit) for unit in units]
    assert near(forward, found, 1e-9), ("jvp of grad", forward, found, str(graph))
    assert near([list(column) for column in zip(*found, strict=True)], found, 1e-9), ("asymmetric", found, str(graph))
    if not is_smooth(graph):
        return "kink"
    differences, finer = (gradient_differences(graph, units, step) for step in (2e-6, 1e-6))
    if near(differences, finer, 1e-5):  # else the function bends too much for a step of this size
        assert near(finer, found, 1e-4), ("differences", finer, found, str(graph))
    right = in_mpmath(graph)
    if right is None:
        return "smooth, complex nearby"
    assert near(found, right, 1e-7), ("mpmath", found, right, str(graph))
    return "smooth"


def near(found, wanted, tolerance, but_for=lambda entry: False):
    scale = max([1.0, *(abs(entry) for row in wanted for entry in row if math.isfinite(entry))])
    pairs = [pair for rows in zip(found, wanted, strict=True) for pair in zip(*rows, strict=True)]
    return all(a == b or but_for(b) or abs(a - b) <= tolerance * scale for a, b in pairs)


def has_pole(graph):
    """Whether a number or a local gradient is huge, or a power is taken of 0: x**y has three slopes at (0, 1)."""
    for operation, inputs in applied(graph):
        huge = not all(abs(x) < 1e6 for x in result_and_slopes(operation, inputs, 0.0, -1))
        if huge or (operation.name == "pow" and inputs[0] == 0):
            return True
    return False


def is_smooth(graph):
    """Whether no operation or local gradient jumps or bends where its inputs are."""
    for operation, inputs in applied(graph):
        for against in range(-1, len(inputs)):
            three = [result_and_slopes(operation, inputs, shift, against) for shift in (-1e-6, 0.0, 1e-6)]
            for left, here, right in zip(*three, strict=True):
                if not (abs(left - here) < 1e-3 and abs(right - here) < 1e-3 and abs(left - 2 * here + right) < 1e-9):
                    return False
    return True


def applied(graph):
    """Each operation of the graph with its inputs."""
    nodes = list(graph.inputs)
    for name, operands in graph.steps:
        inputs = [nodes[x] if isinstance(x, int) else x for x in operands]
        yield TABLE[name], inputs
        nodes.append(TABLE[name].forward(*inputs))


def result_and_slopes(operation, inputs, shift, against):
    """With all inputs shifted, one of them perhaps against the others."""
    inputs = [x + (-shift if i == against else shift) * (1 + i / 8) for i, x in enumerate(inputs)]
    out = operation.forward(*inputs)
    return out, *operation.local_gradients(*inputs, out)


def gradient_differences(graph, units, step):
    gradient = mg.grad(graph.run)
    rows = []
    for unit in units:
        right, left = (
            gradient([x + sign * step * u for x, u in zip(graph.inputs, unit, strict=True)]) for sign in (1, -1)
        )
        rows.append([(a - b) / (2 * step) for a, b in zip(right, left, strict=True)])
    return rows


def in_mpmath(graph):
    """The Hessian by central differences of the function at 60 digits; None where it is complex or infinite nearby."""
    n = len(graph.inputs)
    with mp.workdps(60):

        def at(*shift):
            nodes = [mp.mpf(x) + STEP * s for x, s in zip(graph.inputs, shift, strict=True)]
            for name, operands in graph.steps:
                inputs = [nodes[x] if isinstance(x, int) else mp.mpf(x) for x in operands]
                nodes.append(mp.mpmathify(ORACLES[name](*inputs)))
                if isinstance(nodes[-1], mp.mpc) or not mp.isfinite(nodes[-1]):
                    raise ValueError
            return nodes[-1]

        def mixed(i, j):
            signs = [(a, b) for a in (1, -1) for b in (1, -1)]
            values = [a * b * at(*[a * (k == i) + b * (k == j) for k in range(n)]) for a, b in signs]
            return float(mp.fsum(values) / (4 * STEP**2))

        try:
            return [[mixed(i, j) for j in range(n)] for i in range(n)]
        except (ValueError, ZeroDivisionError, mp.libmp.NoConvergence):
            return None
