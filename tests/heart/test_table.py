"""The whole operations table against mpmath: values, first and second derivatives.

A new row is tested by itself, against the definition in its `about` or a closed form in tests/oracles.py.
Errors are measured in units in the last place of the true number, plus what its own conditioning makes of
rounding the inputs: 4 ulp of the number and 4 ulp of Σ |xᵢ ∂ᵢ|. Where two nearly equal terms of a rule
cancel, the error is that of the terms, whose size `STATED_BOUNDS` gives.
"""

import inspect
import itertools
import math
from random import Random

import mpmath as mp
import pytest

from microgrannd import Value, operations
from microgrannd.calculus.passes import gradients
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Instruction, Tape
from microgrannd.operations import TABLE, FusedOperation
from tests import oracles

EPSILON = 2.0**-52

# The size of the terms that cancel: for the value, the first and the second derivatives.
STATED_BOUNDS = {
    "tanh": lambda x: (0, 1, 2),  # 1 - out * out, far out
    "sigmoid": lambda x: (0, 1, 1),  # out * (1 - out), far right
    "logsigmoid": lambda x: (0, 0, 1),
    "softplus": lambda x: (0, 0, 1),
    "silu": lambda x: (0, 0, 2 + abs(x)),
    "logsumexp": lambda *xs: (1, 4 + max(map(abs, xs)), 8 + 4 * max(map(abs, xs))),  # x - out; 1 + the rest
    "hypot": lambda x, y: (0, 0, 2 / math.hypot(x, y)),  # 1 - (x / out)², where y is small
    "logaddexp": lambda x, y: (0, 0, 1),
    "lbeta": lambda a, b: (0, *[4 * abs(float(mp.psi(order, a + b))) if a + b > 0 else 0 for order in (0, 1)]),
    "norm": lambda x, y: (0, 0, 2 / math.hypot(x, y)),
    "asin": lambda x: (0, 0, 1),  # the derivative of (1 - x) * (1 + x), near 0
    "acos": lambda x: (0, 0, 1),
    "atanh": lambda x: (0, 0, 2),
}

SIZES = (0.0, 1e-20, 1e-8, 0.5, 1 - 2**-40, 1.0, 2.0, 20.0, 40.0, 700.0, 1e8)
AWKWARD = sorted({sign * size for sign in (1, -1) for size in SIZES})

# An operation that is flat by decree: it has no derivative to compare with.
DECREED = {"stop_gradient"}


def inputs_of(name):
    if name == "dot":
        return 5
    if isinstance(TABLE[name], FusedOperation):
        return 2
    return len(inspect.signature(TABLE[name].local_gradients).parameters) - 1


def node(name, values):
    if name == "dot":
        return operations.dot(values[:2], values[2:4], values[4])
    return TABLE[name](values) if isinstance(TABLE[name], FusedOperation) else TABLE[name](*values)


def all_derivatives(name, inputs):
    """Value, first and second derivatives, each with the number of times it is differentiated by each input."""
    values = [Value(x) for x in inputs]
    y = node(name, values)
    yield (0,) * len(inputs), y.data
    for i, first in enumerate(gradients(y, values)):
        once = plus_one((0,) * len(inputs), i)
        yield once, first.data
        for j, second in enumerate(gradients(first, values)):
            yield plus_one(once, j), second.data


def plus_one(orders, i):
    return tuple(order + (i == k) for k, order in enumerate(orders))


def tolerance(name, inputs, orders, want, digits):
    conditioning = 0.0
    for i, x in enumerate(inputs):
        further = oracles.derivative(name, inputs, plus_one(orders, i), digits)
        conditioning += abs(x * float(further)) if x and further is not None else 0.0
    stated = STATED_BOUNDS.get(name, lambda *x: (0, 0, 0))(*inputs)[sum(orders)]
    return 4 * math.ulp(want) + EPSILON * (4 * conditioning + stated) + float(oracles.noise(digits))


def check(name, inputs, digits):
    """How many derivatives there are to compare with, all of which agree; a kink has no higher ones."""
    compared, missing = 0, []
    for orders, got in all_derivatives(name, inputs):
        exact = oracles.derivative(name, inputs, orders, digits)
        if exact is None or any(all(a <= b for a, b in zip(kink, orders, strict=True)) for kink in missing):
            missing.append(orders)
            continue
        compared += 1
        want = float(exact)
        if got != want and not abs(got - exact) <= 4 * math.ulp(want):
            assert abs(got - exact) <= tolerance(name, inputs, orders, want, digits), (
                f"{name}{tuple(inputs)}, differentiated {orders} times by its inputs, is {want!r}, not {got!r}"
            )
    return compared


@pytest.mark.parametrize("name", TABLE)
def test_an_operation_and_its_derivatives_at_a_few_random_points(name):
    check_at_random_points(name, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_an_operation_and_its_derivatives_at_random_points(name):
    check_at_random_points(name, 200)


def check_at_random_points(name, count):
    if oracles.closed_form(name) is None:
        pytest.fail(f"{name} is a new row: let its `about` say after a colon what it is, as 'the cube: x * x * x'")
    random, inputs = Random(name), inputs_of(name)
    for _ in range(count):
        point = oracles.draw(name, random, inputs)
        if name in DECREED:
            assert [number for _, number in all_derivatives(name, point)] == [point[0], 0.0, 0.0]
        else:
            assert check(name, point, digits=50)


@pytest.mark.parametrize("name", TABLE)
def test_the_rule_of_a_textbook_is_the_rule_that_computes(name):
    random, row, count = Random(name), TABLE[name], inputs_of(name)
    for _ in range(200):
        point = oracles.draw(name, random, count)
        out = row.forward(*point)
        read, computed = row.textbook(*point, out), row.local_gradients(*point, out)
        assert read == pytest.approx(computed, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in TABLE if name not in DECREED])
def test_an_operation_and_its_derivatives_at_awkward_points(name):
    inputs = inputs_of(name)
    points = list(itertools.product(AWKWARD, repeat=inputs)) if inputs < 3 else []
    random = Random(name)
    if not 0 < len(points) <= 30:
        points = [tuple(random.choice(AWKWARD) for _ in range(inputs)) for _ in range(30)]
    assert sum(check(name, point, digits=90) for point in points)


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("clamp", (0.0, 2.0, 1.0), (0.0, 0.0, 1.0)),  # the bounds are crossed: the upper one wins
        ("clamp", (5.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
        ("clamp", (1.0, 1.0, 3.0), (1.0, 0.0, 0.0)),
        ("clamp", (0.0, 1.0, 1.0), (0.0, 1.0, 0.0)),
        ("atan2", (0.0, 0.0), (0.0, 0.0)),
        ("atan2", (0.0, 1e200), (1e-200, 0.0)),
        ("atan2", (3e-200, 4e-200), (1.6e199, -1.2e199)),
        ("hypot", (3e200, 4e200), (0.6, 0.8)),
    ],
)
def test_derivatives_where_a_naive_rule_goes_wrong(name, inputs, expected):
    values = [Value(x) for x in inputs]
    TABLE[name](*values).backward()
    assert [x.grad for x in values] == pytest.approx(expected, rel=1e-15, abs=0.0)


SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.0, 1e-20, -1e-300, 5e-324, 700.0, -700.0, 1e8, -1e200, 1.7e308]
NOT_FINITE = [math.inf, -math.inf, math.nan]


def bits(x):
    """A float as text, by which 0.0 and -0.0 differ, and every NaN is alike."""
    return repr(float(x))


@pytest.mark.parametrize("name", [name for name, operation in TABLE.items() if operation.form])
def test_a_form_is_the_forward_bit_for_bit(name):
    operation, random, inputs = TABLE[name], Random(name), inputs_of(name)
    numbers = [*SPECIAL, *NOT_FINITE]
    points = list(itertools.product(numbers, repeat=inputs)) if inputs < 3 else []
    points += [[random.choice(numbers) for _ in range(inputs)] for _ in range(500)]
    points += [[random.gauss(0, 3) for _ in range(inputs)] for _ in range(500)]
    for point in points:
        want, got = operation.forward(*point), operation.form(*operation.split(tuple(point)))
        if isinstance(operation, FusedOperation) and math.isfinite(want):  # sum() rounds less from Python 3.12 on
            assert got == pytest.approx(want, rel=1e-15), point
        else:
            assert bits(got) == bits(want), point


@pytest.mark.parametrize("name", [name for name, operation in TABLE.items() if operation.form])
def test_a_form_is_made_of_other_operations(name):
    operation, inputs = TABLE[name], inputs_of(name)
    tape = Tape(tuple("abcde"[:inputs]), (), (Instruction(operation, tuple(range(inputs))),), (inputs,))
    assert operation not in [operation for operation, _ in expanded(tape, ()).instructions]


@pytest.mark.parametrize(
    "name",
    [name for name, row in TABLE.items() if (row.numpy or row.form) and not isinstance(row, FusedOperation)],
)
def test_an_operation_on_arrays_is_the_operation_on_each_element(name):
    np = pytest.importorskip("numpy")
    random, inputs = Random(name), inputs_of(name)
    numbers = [*AWKWARD, 1000.0, -1000.0, math.inf, -math.inf, math.nan]
    points = [[random.choice(numbers) for _ in range(inputs)] for _ in range(300)]
    # Beyond a bound of NaN, which input passes is NumPy's to say.
    points = [point for point in points if name != "clamp" or not any(map(math.isnan, point[1:]))]
    found = TABLE[name](*np.array(points).T)
    expected = [TABLE[name].forward(*point) for point in points]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-320)
