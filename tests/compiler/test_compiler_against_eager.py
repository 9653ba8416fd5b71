"""Random graphs over the whole table: every backend gives what eager mode gives, special values included.

MICROGRANND_RANDOM_GRAPHS sets how many.
"""

import math
import os
from random import Random

import numpy as np
import pytest

from microgrannd import Value
from microgrannd.compiler import compile
from tests.random_graphs import AWKWARD_NUMBERS, awkward_graph, smooth_graph

COUNT = int(os.environ.get("MICROGRANND_RANDOM_GRAPHS", "300"))


def eager(graph, inputs):
    values = [Value(x) for x in inputs]
    output = graph.run(values)
    if not isinstance(output, Value):
        return [float(output), 0.0, 0.0, 0.0]
    output.backward()
    return [output.data, *(x.grad for x in values)]


def same_bits(found, wanted):
    """NaN for NaN, zeros by their sign: only that of a zero gradient is free, so 0.0 is added to those."""
    [value, *gradients], [wanted_value, *wanted_gradients] = found, wanted
    pairs = [(value, wanted_value), *((x + 0.0, y + 0.0) for x, y in zip(gradients, wanted_gradients, strict=True))]
    return all(repr(float(x)) == repr(float(y)) for x, y in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_python_gives_the_very_bits_of_eager_mode(part):
    random = Random(part)
    for _ in range(COUNT // 4):
        graph = awkward_graph(random, random.randint(1, 25))
        program = compile(lambda x, y, z, graph=graph: graph.run([x, y, z]), backend="python")
        for inputs in (graph.inputs, *(random.choices(AWKWARD_NUMBERS, k=3) for _ in range(10))):
            value, gradients = program.value_and_gradients(*inputs)
            assert same_bits([value, *gradients], eager(graph, inputs)), (inputs, str(graph))


def test_a_gradient_that_is_a_constant_is_no_variable_of_that_number():
    program = compile(lambda x, y: (x + y) + (y + y) + x * 0.0 * x, backend="python")
    assert program.value_and_gradients(5.0, 7.0) == (26.0, (1.0, 3.0))


@pytest.mark.parametrize("backend", ["python", "native"])
def test_a_users_own_zero_is_multiplied_by_since_the_next_input_may_be_infinite(backend):
    program = compile(lambda x: (0.0 * x).square(), backend=backend)
    assert program.value_and_gradients(3.0) == (0.0, (0.0,))
    value, (slope,) = program.value_and_gradients(math.inf)
    assert math.isnan(value)
    assert math.isnan(slope)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["python", "numpy", "native"])
def test_smooth_graphs_on_every_backend_for_one_sample_and_for_many(backend):
    random = Random(1)
    for _ in range(max(10, COUNT // (3 if backend == "python" else 10))):
        graph = smooth_graph(random, random.randint(1, 25))
        wanted = eager(graph, graph.inputs)
        scale = max(1.0, *map(abs, wanted))
        program = compile(lambda x, y, z, graph=graph: graph.run([x, y, z]), backend=backend)
        value, gradients = program.value_and_gradients(*graph.inputs)
        np.testing.assert_allclose([value, *gradients], wanted, rtol=1e-10, atol=1e-10 * scale, err_msg=str(graph))
        columns = [np.full(11, x) for x in graph.inputs]
        values, slopes = program.value_and_gradients(*columns)
        found = [[column[i] for column in (values, *slopes)] for i in (0, 7, 10)]
        np.testing.assert_allclose(found, [wanted] * 3, rtol=1e-10, atol=1e-10 * scale, err_msg=str(graph))


def finite_or_nan(numbers):
    return ["nan" if math.isnan(x) else math.copysign(1, x) if math.isinf(x) else "finite" for x in numbers]


# The operations where a last place does not decide: neither a jump nor a pole beside a number.
STEADY = ("add", "sub", "mul", "neg", "abs", "square", "relu", "where", "maximum", "minimum", "greater", "sqrt")
STEADY += ("contribution", "clamp", "share", "step", "sign", "div", "sum", "dot", "mean", "stop_gradient")


def test_special_values_go_the_same_way_in_native_code():
    random = Random(2)
    for _ in range(max(10, COUNT // 10)):
        graph = awkward_graph(random, random.randint(1, 12), STEADY)
        program = compile(lambda x, y, z, graph=graph: graph.run([x, y, z]), backend="native")
        samples = [random.choices(AWKWARD_NUMBERS, k=3) for _ in range(20)]
        values, slopes = program.value_and_gradients(*np.array(samples).T.copy())
        for i, inputs in enumerate(samples):
            found, wanted = [float(column[i]) for column in (values, *slopes)], eager(graph, inputs)
            assert finite_or_nan(found) == finite_or_nan(wanted), (inputs, found, wanted, str(graph))
            one, by = program.value_and_gradients(*inputs)
            assert finite_or_nan([one, *by]) == finite_or_nan(wanted), (inputs, str(graph))
