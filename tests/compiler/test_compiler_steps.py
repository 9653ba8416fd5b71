"""Each step of the compiler by itself, on programs that fit in a line."""

from microgrannd import Value
from microgrannd import operations as ops
from microgrannd.compiler.batches import nested
from microgrannd.compiler.matrix.terms import Sum, flattened
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Instruction, Tape
from microgrannd.compiler.tape.trace import differentiate, differentiate_twice, trace, trace_graph
from microgrannd.compiler.text.python_source import python_source
from microgrannd.operations import Operation


def lines(tape):
    return str(tape).splitlines()


def test_a_trace_numbers_what_the_function_does():
    found = trace(lambda x: x[0] * x[1] + 1, ([2.0, 3.0],)).tape
    assert lines(found) == ["inputs x0, x1", "v2 = x0 * x1", "v3 = v2 + 1", "outputs v3"]


def test_the_other_leaves_of_a_graph_are_parameters():
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    assert lines(trace_graph(w * x, [x]).tape) == ["inputs x", "parameters w", "v2 = w * x", "outputs v2"]


def test_derivatives_follow_the_value():
    sine = Tape(("x",), (), (Instruction(ops.sin, (0,)),), (1,), 1)
    assert lines(differentiate(sine, [0.0])) == ["inputs x", "v1 = sin(x)", "d_x = cos(x)", "outputs v1, d_x"]


def test_second_derivatives_come_row_by_row():
    product = Tape(("x", "y"), (), (Instruction(ops.mul, (0, 1)),), (2,), 1)
    found = differentiate_twice(product, [1.0, 1.0], [0, 1])
    assert lines(found) == ["inputs x, y", "v2 = x * y", "outputs 0, 1, 1, 0"]


def test_an_operation_that_a_back_end_lacks_is_spelled_by_its_form():
    double = Operation("double", lambda x: 2 * x, lambda x, out: (2,), form=lambda x: x + x)
    tape = Tape(("x",), (), (Instruction(double, (0,)),), (1,), 1)
    assert lines(expanded(tape, {ops.add})) == ["inputs x", "v1 = x + x", "outputs v1"]


def test_a_tape_is_printed_as_a_function():
    tape = Tape(("x",), ("w",), (Instruction(ops.mul, (0, 1)), Instruction(ops.tanh, (2,))), (3,), 2)
    printed = python_source("neuron", tape, "tanh of w x.", [1]).function.splitlines()
    assert printed == ["def neuron(x, w):", '    """tanh of w x."""', "    return tanh(x * w)"]


def test_outputs_become_sums_of_products():
    xy, less_x = Instruction(ops.mul, (0, 1)), Instruction(ops.sub, (2, 0))
    found = flattened(Tape(("x", "y"), (), (xy, less_x), (3,))).nodes
    assert found == {3: Sum(constant=0.0, terms=((-1.0, (0,)), (1.0, (0, 1))))}


def test_lists_in_lists_have_a_shape_in_words():
    assert str(nested([2, 3])) == "list of 2 (list of 3 (a number))"


def test_expanding_leaves_other_instructions_as_they_are():
    twice = Operation("twice", lambda x: 2 * x, lambda x, out: (2,), form=lambda x: x + x)
    thrice = Operation("thrice", lambda x: 3 * x, lambda x, out: (3,), form=lambda x: twice(x) + x)
    steps = (
        Instruction(ops.sin, (0,)),
        Instruction(thrice, (1,)),
        Instruction(ops.cos, (2,)),
        Instruction(ops.mul, (3, 1)),
    )
    tape = Tape(("x",), (), steps, (4, 2), 4, {2: "z"})
    found = expanded(tape, {ops.add, ops.sin, ops.cos, ops.mul})
    assert lines(found)[1:] == [
        "v1 = sin(x)",
        "v2 = v1 + v1",
        "z = v2 + v1",
        "v4 = cos(z)",
        "v5 = v4 * v1",
        "outputs v5, z",
    ]
    assert found.forward == 5
    assert found.run([0.3]) == tape.run([0.3])
