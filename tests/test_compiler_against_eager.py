"""Random graphs over the whole table: every backend gives what eager mode gives, special values included."""

import math
import random
from functools import cache

import numpy as np
import pytest

from microgrannd import Value
from microgrannd import operations as ops
from microgrannd.compiler import compile
from microgrannd.operations import FusedOperation

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-310, 1e200, -1e200, math.inf, -math.inf, math.nan]
ORDINARY = [0.3, -0.7, 1.1, -1.6, 0.05, 2.3]
# Where rounding decides between two numbers, or blows up, only the same arithmetic gives the same result.
ROUGH = {"mod", "floordiv", "floor", "ceil", "sign", "step", "share", "equal", "not_equal", "less", "less_equal"}
ROUGH |= {"greater", "greater_equal", "pow", "div", "tan", "acosh", "atanh", "exp", "exp2", "expm1", "cosh", "sinh"}
SMOOTH = [operation for name, operation in ops.TABLE.items() if name not in ROUGH]


def inputs_of(operation):
    if isinstance(operation, FusedOperation):
        return 3 * operation.vectors + (operation.vectors > 1)
    return operation.local_gradients.__code__.co_argcount - 1


@cache
def random_function(seed, smooth):
    """A function of three numbers: a random graph of twelve operations over them and a few constants."""
    generator = random.Random(seed)
    table = SMOOTH if smooth else list(ops.TABLE.values())
    plan = []
    for count in range(3, 15):
        operation = generator.choice(table)
        numbers = ORDINARY if smooth else SPECIAL
        plan.append(
            (operation, [generator.choice([*range(count)] * 2 + numbers[:3]) for _ in range(inputs_of(operation))])
        )

    def function(x, y, z):
        values = [x, y, z]
        for operation, places in plan:
            chosen = [values[place] if isinstance(place, int) else place for place in places]
            if isinstance(operation, FusedOperation):
                vectors = [chosen[i * 3 : i * 3 + 3] for i in range(operation.vectors)]
                values.append(operation(*vectors, *chosen[3 * operation.vectors :]))
            else:
                values.append(operation(*chosen))
        return ops.sum(values[-4:])

    return function


def eager(function, numbers):
    values = [Value(x) for x in numbers]
    output = function(*values)
    if isinstance(output, Value):
        output.backward()
        return [output.data, *(x.grad for x in values)]
    return [output, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("start", range(0, 240, 40))
def test_python_gives_the_very_bits_of_eager_mode(start):
    generator = random.Random(start)
    for seed in range(start, start + 40):
        function = random_function(seed, smooth=False)
        program = compile(function, backend="python")
        for numbers in (generator.choices(SPECIAL, k=3) for _ in range(12)):
            value, gradients = program.value_and_gradients(*numbers)
            # assert_equal takes NaN for NaN. A gradient of zero may have either sign: + 0.0 makes it 0.0.
            found = [value, *(gradient + 0.0 for gradient in gradients)]
            np.testing.assert_equal(found, eager(function, numbers), err_msg=f"{seed} at {numbers}")


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_the_other_backends_agree_on_smooth_graphs(backend):
    generator = np.random.default_rng(0)
    for seed in range(60):
        function = random_function(seed, smooth=True)
        batch = generator.choice(ORDINARY, size=(3, 11)) + generator.normal(size=(3, 11)) * 1e-3
        value, gradients = compile(function, backend=backend).value_and_gradients(*batch)
        for i in range(11):
            wanted = eager(function, batch[:, i])
            scale = max([1.0, *(abs(x) for x in wanted if math.isfinite(x))])
            found = [value[i], *(gradient[i] for gradient in gradients)]
            np.testing.assert_allclose(
                found, wanted, rtol=1e-10, atol=1e-12 * scale, err_msg=f"{seed} at {batch[:, i]}"
            )
