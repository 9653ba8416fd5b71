"""A tape whose outputs are bounds on the rounding errors of another, those of its value and its gradients."""

import math
from collections.abc import Sequence
from dataclasses import replace

from microgrannd import operations as ops
from microgrannd.compiler.tape.balls import SLACK, Ball, of_a_rule
from microgrannd.compiler.tape.expand import Written
from microgrannd.compiler.tape.simplify import RULES, drop_dead
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Tape, TapeOperand
from microgrannd.compiler.tape.trace import differentiate


def bounds(tape: Tape, numbers: Sequence[float], of: Sequence[int], *, guarded: bool) -> Tape:
    """For the tape's single output and its derivatives by the leaves `of`: how far each is from the exact one, at most.

    A bound that is NaN is none; the `guarded` ones are infinite there. The numbers are those of a run, bit for bit.
    """
    unfolded, constants = _with_constants_as_leaves(tape)
    derived = differentiate(unfolded, [*numbers, *constants], of)
    writer = Rewriter(replace(tape, instructions=(), outputs=(), forward=0, labels={}), RULES)
    balls = [Ball(writer, Written(writer, v)) for v in range(tape.leaves)] + [Ball(writer, x) for x in constants]
    for operation, operands in derived.instructions:
        balls.append(balls[0].record(operation, tuple([balls[x] if isinstance(x, int) else x for x in operands])))
    outputs: list[TapeOperand] = []
    for i, x in enumerate(derived.outputs):
        ball = balls[x] if isinstance(x, int) else of_a_rule(writer, x)
        radius = ball.radius * SLACK + (ball.number - ball.number)  # NaN where the result is none or infinite
        if guarded or i == 0:  # of a gradient the NaN says that the guarded tape has the last word
            radius = ops.where(ops.equal(radius, radius), radius, math.inf)
        outputs.append(radius.place if isinstance(radius, Written) else radius)
    made = tuple(writer.instructions)
    return drop_dead(Tape(tape.inputs, tape.parameters, made, tuple(outputs), len(made)))


def _with_constants_as_leaves(tape: Tape) -> tuple[Tape, list[float]]:
    """The same with a leaf for each constant, and one for the 1 that the reverse pass begins with.

    So nothing is folded in the reverse pass: what a rule makes of constants, as n - 1 of the power n, is rounded too.
    """
    leaves = tape.leaves
    found = {repr(x): x for _, operands in tape.instructions for x in operands if isinstance(x, float)}  # 0.0 == -0.0
    constants = [*found.values(), 1.0]
    places = {text: leaves + i for i, text in enumerate(found)}

    def moved(x: TapeOperand) -> TapeOperand:
        return places[repr(x)] if isinstance(x, float) else x if x < leaves else x + len(constants)

    instructions = [Instruction(operation, tuple(map(moved, operands))) for operation, operands in tape.instructions]
    [output] = tape.outputs
    one, end = leaves + len(constants) - 1, leaves + len(constants) + len(instructions)
    if isinstance(output, int):
        instructions.append(Instruction(ops.mul, (moved(output), one)))
        output = end
    names = (*tape.parameters, *(f"c{i}" for i in range(len(constants))))
    return Tape(tape.inputs, names, tuple(instructions), (output,), len(instructions)), constants
