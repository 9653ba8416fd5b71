"""Passes from tape to tape: each keeps every output, bit for bit, infinities and NaN included."""

import itertools
import math
import random
import struct

import pytest

from microgrannd import operations as ops
from microgrannd.compiler.tape.simplify import drop_dead, reassociate, simplify
from microgrannd.compiler.tape.tape import Instruction, Tape

PASSES = [simplify, drop_dead]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, -3.25, 1e300, -5e-324, math.inf, -math.inf, math.nan]
ARITIES = {operation: 1 + (name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "contribution"))
           for name, operation in ops.TABLE.items()
           if name in ("add", "sub", "mul", "div", "neg", "abs", "pow", "maximum", "minimum", "exp", "sin", "tanh",
                       "contribution", "relu", "square", "stop_gradient")} | {ops.where: 3, ops.dot: 5}  # fmt: skip


def bits(numbers):
    """The numbers as bits, every NaN alike."""
    return [b"nan" if x != x else struct.pack("d", x) for x in numbers]


def random_tape(seed):
    generator = random.Random(seed)
    instructions = []
    for v in range(3, 23):
        operation = generator.choice(list(ARITIES))
        choices = [*range(v), *range(v), 1.0, -1.0, 0.0, -0.0, 2.0, math.inf]
        operands = tuple(generator.choice(choices) for _ in range(ARITIES[operation]))
        instructions.append(Instruction(operation, operands))
    outputs = tuple(generator.sample(range(23), 4))
    return Tape(("x", "y"), ("w",), tuple(instructions), outputs, 10)


@pytest.mark.parametrize("simplified", PASSES)
def test_a_pass_keeps_the_outputs_bit_for_bit(simplified):
    generator = random.Random(0)
    for seed in range(150):
        tape = random_tape(seed)
        other = simplified(tape)
        for _ in range(10):
            numbers = [generator.choice(NUMBERS) for _ in range(3)]
            assert bits(other.run(numbers[:2], numbers[2:])) == bits(tape.run(numbers[:2], numbers[2:])), str(tape)


def tape_of(*instructions, outputs=None):
    last = len(instructions) + 1
    return Tape(("x", "y"), (), tuple(Instruction(*i) for i in instructions), outputs or (last,), len(instructions))


def steps(tape):
    return [(operation.name, operands) for operation, operands in tape.instructions]


@pytest.mark.parametrize(
    ("instruction", "wanted"),
    [
        ((ops.mul, (0, 1.0)), 0),
        ((ops.mul, (1.0, 0)), 0),
        ((ops.div, (0, 1.0)), 0),
        ((ops.pow, (0, 1.0)), 0),
        ((ops.pow, (0, 0.0)), 1.0),
        ((ops.sub, (0, 0.0)), 0),
        ((ops.add, (0, -0.0)), 0),
        ((ops.maximum, (0, 0)), 0),
        ((ops.where, (1, 0, 0)), 0),
        ((ops.where, (2.0, 0, 1)), 0),
        ((ops.stop_gradient, (0,)), 0),
        ((ops.contribution, (0.0, 0)), 0.0),
        ((ops.add, (2.0, 3.0)), 5.0),
    ],
)
def test_what_is_there_already_is_not_computed(instruction, wanted):
    assert simplify(tape_of(instruction)).outputs == (wanted,)


@pytest.mark.parametrize(
    "instruction",
    [(ops.mul, (0, 0.0)), (ops.sub, (0, 0)), (ops.add, (0, 0.0)), (ops.div, (0, 0)), (ops.contribution, (0, 1))],
)
def test_what_does_not_hold_for_every_float_is_not_done(instruction):
    assert steps(simplify(tape_of(instruction))) == [(instruction[0].name, instruction[1])]


def test_signs_cancel():
    assert steps(simplify(tape_of((ops.neg, (0,)), (ops.neg, (2,)), (ops.exp, (3,))))) == [("exp", (0,))]
    assert steps(simplify(tape_of((ops.neg, (0,)), (ops.add, (1, 2))))) == [("sub", (1, 0))]
    assert steps(simplify(tape_of((ops.neg, (0,)), (ops.neg, (1,)), (ops.mul, (2, 3))))) == [("mul", (0, 1))]
    for instruction in ((ops.div, (0, -1.0)), (ops.mul, (0, -1.0)), (ops.mul, (-1.0, 0))):
        assert steps(simplify(tape_of(instruction))) == [("neg", (0,))]


def test_equal_expressions_are_computed_once_but_zeros_of_two_signs_are_two():
    shared = simplify(tape_of((ops.exp, (0,)), (ops.exp, (0,)), (ops.mul, (2, 3))))
    assert steps(shared) == [("exp", (0,)), ("mul", (2, 2))]
    zeros = tape_of((ops.div, (0, 0.0)), (ops.div, (0, -0.0)), outputs=(2, 3))
    assert len(simplify(zeros).instructions) == 2


def test_dead_code_is_dropped_and_names_follow():
    tape = tape_of((ops.exp, (0,)), (ops.sin, (1,)), outputs=(3,))
    live = drop_dead(Tape(tape.inputs, (), tape.instructions, tape.outputs, 2, {0: "x", 2: "dead", 3: "alive"}))
    assert (steps(live), live.labels, live.forward) == ([("sin", (1,))], {0: "x", 2: "alive"}, 1)


@pytest.mark.parametrize(("output", "labels"), [(3, {2: "dead"}), (2, {3: "dead"})])
def test_the_name_of_dead_code_goes_to_nothing_else(output, labels):
    tape = tape_of((ops.exp, (0,)), (ops.sin, (1,)), outputs=(output,))
    assert drop_dead(Tape(tape.inputs, (), tape.instructions, tape.outputs, 2, labels)).labels == {}


def test_long_sums_are_flattened_only_where_asked():
    tape = tape_of((ops.mul, (0, 1)), (ops.add, (2, 0)), (ops.add, (3, 1)), (ops.add, (4, 2.5)))
    assert [name for name, _ in steps(simplify(tape))].count("add") == 3
    assert steps(reassociate(tape)) == [("mul", (0, 1)), ("sum", (2, 0, 1, 2.5))]
    for x, y in itertools.product([0.5, -3.0], [2.0, 7.0]):
        assert reassociate(tape).run([x, y]) == pytest.approx(tape.run([x, y]), rel=1e-15)


def test_only_additions_of_one_use_are_flattened_and_of_no_label():
    product = tape_of((ops.add, (0, 1)), (ops.add, (2, 0)), (ops.mul, (3, 1)))
    assert steps(reassociate(product)) == [("sum", (0, 1, 0)), ("mul", (2, 1))]
    twice = tape_of((ops.add, (0, 1)), (ops.add, (2, 0)), (ops.mul, (2, 3)))
    assert steps(reassociate(twice)) == steps(twice)
    named = tape_of((ops.add, (0, 1)), (ops.add, (2, 0)))
    named = Tape(named.inputs, (), named.instructions, named.outputs, 2, {2: "z"})
    assert (steps(reassociate(named)), reassociate(named).labels) == (steps(named), {2: "z"})


def test_the_name_of_what_is_computed_no_more_goes_to_no_other_line():
    tape = tape_of((ops.mul, (0, 1.0)), (ops.exp, (2,)))
    assert simplify(Tape(tape.inputs, (), tape.instructions, tape.outputs, 2, {2: "z"})).labels == {0: "z"}


@pytest.mark.parametrize("simplified", [simplify, reassociate])
def test_where_the_value_ends_and_its_gradients_begin_is_known_afterwards(simplified):
    value = [(ops.mul, (0, 1.0)), (ops.exp, (2,)), (ops.sin, (3,))]
    tape = tape_of(*value, (ops.cos, (3,)), (ops.mul, (5, 3)), outputs=(4, 6))
    tape = simplified(Tape(tape.inputs, (), tape.instructions, tape.outputs, len(value)))
    forward = tape.instructions[: tape.forward]
    assert [operation for operation, _ in forward] == [
        i[0] for i in value if simplified is reassociate or i[0] is not ops.mul
    ]


def test_a_square_is_a_product():
    tape = Tape(("x",), (), (Instruction(ops.pow, (0, 2.0)),), (1,), 1)
    assert simplify(tape).instructions == (Instruction(ops.mul, (0, 0)),)


def test_a_product_that_is_chosen_where_its_factor_is_0_is_0():
    chosen = simplify(tape_of((ops.contribution, (0, 1)), (ops.where, (0, 1, 2))))
    assert steps(chosen) == [("where", (0, 1, 0.0))]
    other = simplify(tape_of((ops.contribution, (1, 0)), (ops.where, (0, 1, 2))))
    assert [name for name, _ in steps(other)] == ["contribution", "where"]
