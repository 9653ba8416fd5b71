"""Passes from tape to tape. Each gives the same outputs, bit for bit unless it says otherwise.

Only what holds in IEEE arithmetic is done: x · 1 is x, but x · 0 is not 0 (x may be infinite) and x + 0.0
is not x (x may be -0.0).
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Rule, Tape, TapeOperand, rewrite
from microgrannd.operations import Operation


def simplify(tape: Tape) -> Tape:
    """Constants folded, identities applied, what is computed twice shared."""
    return drop_dead(rewrite(tape, *RULES))


def drop_dead(tape: Tape) -> Tape:
    leaves = tape.leaves
    live = bytearray(leaves + len(tape.instructions))
    for x in tape.outputs:
        if isinstance(x, int):
            live[x] = 1
    for v in range(len(live) - 1, leaves - 1, -1):
        if live[v]:
            for x in tape.instructions[v - leaves].operands:
                if x.__class__ is int:
                    live[x] = 1
    new: list[TapeOperand] = list(range(leaves))
    instructions: list[Instruction] = []
    for v, (operation, operands) in enumerate(tape.instructions, leaves):
        new.append(leaves + len(instructions))
        if live[v]:
            instructions.append(Instruction(operation, tuple([new[x] if x.__class__ is int else x for x in operands])))
    forward = sum(live[leaves : leaves + tape.forward])
    labels = {int(new[v]): label for v, label in tape.labels.items() if v < leaves or live[v]}
    outputs = tuple(new[x] if isinstance(x, int) else x for x in tape.outputs)
    return Tape(tape.inputs, tape.parameters, tuple(instructions), outputs, forward, labels)


def reassociate(tape: Tape) -> Tape:
    """Chains of additions become one flat `sum`: not bit for bit, since the order of adding is free."""
    # No rule moves or drops an instruction here, so the old numbers are the new ones.
    single = [v >= tape.leaves and uses == 1 and v not in tape.labels for v, uses in enumerate(tape.uses())]

    def flat(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> Instruction | None:
        if operation is not ops.add:
            return None
        terms: list[TapeOperand] = []
        for x in operands:
            made = writer.definition(x)
            if made is not None and made.operation in (ops.add, ops.sum) and single[int(x)]:
                terms += made.operands
            else:
                terms.append(x)
        return Instruction(ops.sum, tuple(terms)) if len(terms) > 2 else None

    return drop_dead(rewrite(tape, flat))


def _constant(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
    return float(operation.forward(*operands)) if all(x.__class__ is float for x in operands) else None


def _shared(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
    # 0.0 == -0.0 and nan != nan, so constants are compared as text
    key = (operation, *[repr(x) if x.__class__ is float else x for x in operands])
    following = writer.leaves + len(writer.instructions)
    place = writer.shared.setdefault(key, following)
    return place if place < following else None


def _identity(
    writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]
) -> TapeOperand | Instruction | None:
    return _IDENTITIES[operation](writer, operands) if operation in _IDENTITIES else None


def _is(x: TapeOperand, number: float) -> bool:
    """Whether the operand is this very constant; 0.0 and -0.0 differ."""
    return isinstance(x, float) and x == number and math.copysign(1.0, x) == math.copysign(1.0, number)


def _negated(writer: Rewriter, x: TapeOperand) -> TapeOperand | None:
    made = writer.definition(x)
    return made.operands[0] if made is not None and made.operation is ops.neg else None


def _add(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    for x, y in (operands, operands[::-1]):
        if _is(x, -0.0):
            return y
        if (opposite := _negated(writer, y)) is not None:
            return Instruction(ops.sub, (x, opposite))
    return None


def _sub(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    x, y = operands
    if _is(y, 0.0):
        return x
    if (opposite := _negated(writer, y)) is not None:
        return Instruction(ops.add, (x, opposite))
    return None


def _mul(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    for x, y in (operands, operands[::-1]):
        if _is(x, 1.0):
            return y
        if _is(x, -1.0):
            return Instruction(ops.neg, (y,))
    opposites = [_negated(writer, operand) for operand in operands]
    return None if None in opposites else Instruction(ops.mul, tuple(x for x in opposites if x is not None))


def _div(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    if _is(operands[1], 1.0):
        return operands[0]
    return Instruction(ops.neg, (operands[0],)) if _is(operands[1], -1.0) else None


def _pow(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    x, exponent = operands
    if _is(exponent, 1.0):
        return x
    if _is(exponent, 2.0):
        return Instruction(ops.mul, (x, x))
    return 1.0 if exponent == 0.0 and isinstance(exponent, float) else None


def _contribution(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    if not isinstance(operands[0], float):
        return None
    return Instruction(ops.mul, tuple(operands)) if operands[0] else 0.0


def _where(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | Instruction | None:
    condition, x, y = operands
    if isinstance(condition, float):
        return x if condition else y
    made = writer.definition(y)
    if made is not None and made.operation is ops.contribution and made.operands[0] == condition:
        return Instruction(ops.where, (condition, x, 0.0))  # where y is chosen, it is a product with 0
    return _either(writer, (x, y))


def _either(writer: Rewriter, operands: Sequence[TapeOperand]) -> TapeOperand | None:
    x, y = operands
    return x if isinstance(x, int) and isinstance(y, int) and x == y else None  # 2 == 2.0: a variable is no constant


_IDENTITIES: dict[Operation, Callable[[Rewriter, Sequence[TapeOperand]], TapeOperand | Instruction | None]] = {
    **{ops.add: _add, ops.sub: _sub, ops.mul: _mul, ops.div: _div, ops.pow: _pow, ops.contribution: _contribution},
    **{ops.where: _where, ops.maximum: _either, ops.minimum: _either},
    ops.neg: lambda writer, operands: _negated(writer, operands[0]),
    ops.stop_gradient: lambda writer, operands: operands[0],
}

# Constants folded, identities applied, what is computed twice shared.
RULES: Final[tuple[Rule, ...]] = (_constant, _identity, _shared)
