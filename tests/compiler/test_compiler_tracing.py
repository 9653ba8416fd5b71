"""Tracing: what becomes a program, what is refused, and where the refusal points."""

import math

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.compiler import compile
from microgrannd.compiler.tape.trace import differentiate, trace
from microgrannd.ground.errors import MicrogranndError, TracingError


@pytest.mark.parametrize(
    ("look", "remedy"),
    [
        (lambda x: x if x > 0 else -x, "where"),
        (lambda x: max([x, -x]), "maximum"),
        (lambda x: x and x * 2, "where"),
        (lambda x: x * float(x), "mg.exp"),
        (lambda x: x * int(x), "mg.floor"),
        (lambda x: x * x.data, "stop_gradient"),
        (lambda x: x * math.exp(x), "mg.exp"),
        (lambda x: x if x in [1.0, 2.0] else -x, "where"),
        (lambda x: x if x in {1.0, 2.0} else -x, "where"),
    ],
)
def test_looking_at_a_number_is_refused_at_the_users_line(look, remedy):
    with pytest.raises(TracingError, match=rf"(?s){remedy}.*test_compiler_tracing\.py:\d+: \(lambda x"):
        trace(look, (2.0,))
    assert issubclass(TracingError, MicrogranndError)
    assert issubclass(TracingError, TypeError)


@pytest.mark.parametrize(
    "look", [lambda w: w.data, float, lambda w: 1.0 if w > 0 else 2.0, lambda w: 1.0 if w else 2.0]
)
def test_a_parameter_is_not_looked_at_either(look):
    w = Value(3.0)
    with pytest.raises(TracingError):
        trace(lambda x: x * look(w), (1.0,))
    assert w.data == 3.0  # outside it is as free as ever
    assert w > 0


@pytest.mark.parametrize("result", [None, "1", [None], object()])
def test_a_function_returns_values_or_numbers(result):
    with pytest.raises(TracingError, match="returns Values or numbers"):
        trace(lambda x: result, (1.0,))


def test_comparisons_become_operations_for_where():
    program = compile(lambda x: mg.where(x > 1, x * x, -x), backend="python")
    assert [program(x) for x in (3.0, 1.0, -2.0)] == [9.0, -1.0, 2.0]


def test_values_closed_over_are_parameters_and_numbers_are_constants():
    w = Value(3.0, label="w")
    found = trace(lambda x: w * x + 2, (1.0,))
    assert found.parameters == (w,)
    assert str(found.tape).splitlines() == ["inputs x", "parameters w", "v2 = w * x", "v3 = v2 + 2", "outputs v3"]


def test_parameters_are_read_anew_at_each_call():
    w = Value(3.0)
    program = compile(lambda x: w * x, backend="python")
    assert program(2.0) == 6.0
    w.data = 5.0
    assert program(2.0) == 10.0


def test_a_node_closed_over_brings_the_leaves_it_was_computed_from():
    w = Value(3.0)
    square = w * w
    program = compile(lambda x: square * x, backend="python")
    assert (program(2.0), program.parameters) == (18.0, [w])


def test_numbers_without_gradient_are_not_frozen():
    def scaled(x):
        with mg.no_grad():
            size = x * x
        return x / size + x.detach()

    program = compile(scaled, backend="python")
    assert program(2.0) == 2.5
    assert program(4.0) == 4.25
    assert program.value_and_gradients(4.0) == (4.25, (1 / 16,))


def test_inputs_are_named_as_the_function_names_them():
    def f(x, pair, *rest, **nothing):
        return x + pair[0] * pair[1] + rest[0] + rest[1]["k"]

    assert trace(f, (1.0, (2.0, 3.0), 4.0, {"k": 5.0})).tape.inputs == ("x", "pair0", "pair1", "rest0", "rest1_k")


def test_labels_and_scopes_name_what_is_computed():
    def f(x):
        with mg.scope("inner"):
            y = x * 2
        z = y.sin()
        z.label = "z"
        return z + y

    found = trace(f, (1.0,))
    assert sorted(found.tape.labels.values()) == ["inner.mul", "z"]


def test_a_graph_that_stands_already_is_compiled():
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    program = compile(graph=(w * x).sin(), inputs=[x], backend="python")
    assert program(0.5) == math.sin(1.5)
    w.data = 1.0
    assert program.value_and_gradients(0.5) == (math.sin(0.5), (math.cos(0.5),))
    with pytest.raises(TypeError, match=r"takes \(a number\); got \(a number, a number\)"):
        program(1.0, 2.0)


def test_the_gradients_are_those_of_the_passes_over_graphs():
    found = trace(lambda x, y: mg.sin(x * y) + x, (0.5, 2.0))
    tape = differentiate(found.tape, found.numbers)
    x, y = Value(0.3), Value(-1.2)
    output = mg.sin(x * y) + x
    output.backward()
    assert tape.run([0.3, -1.2]) == [output.data, x.grad, y.grad]


def test_a_deep_chain_is_traced_without_recursion():
    def chain(x):
        for _ in range(20_000):
            x = x * 0.9999 + 0.1
        return x

    found = trace(chain, (1.0,))
    assert len(found.tape.instructions) == 40_000
    assert len(differentiate(found.tape, found.numbers).outputs) == 2


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="takes a function"):
        compile()
    with pytest.raises(TypeError, match="graph=y"):
        compile(Value(1.0))
    with pytest.raises(ValueError, match="'auto', 'python', 'native', 'numpy', 'jax', 'torch'"):
        compile(lambda x: x, backend="c")


def test_what_is_refused_in_a_trace_that_was_asked_for_is_said_where_the_program_is_used():
    program = mg.compile(lambda x: float(f"{x:.2f}") * x, backend="python").trace(2.0)
    for use in (lambda: program(3.0), lambda: program.python_source, lambda: program.tape):
        with pytest.raises(mg.TracingError, match="show one number"):
            use()
