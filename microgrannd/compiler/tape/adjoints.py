"""A tape as a proof needs it: its lines in exact arithmetic, and of each variable the line that holds its adjoint.

Constants are folded only where that is exact, guards that only infinities need are left out, and what
`stop_gradient` passes on is a leaf of its own, held fixed. In floats the lines give what the program gives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from microgrannd import operations as ops
from microgrannd.compiler.tape.simplify import _identity, _shared
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Tape, TapeOperand, rewrite
from microgrannd.compiler.tape.trace import differentiate, differentiate_forward
from microgrannd.ground.errors import ProofError
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation
from microgrannd.printing.coq import reading

PROVED: Final = ("gradients", "hessian", "jvp")  # what a derivation is of


@dataclass(frozen=True)
class BackwardPass:
    """The gradients of one variable: the whole tape with them, where its variables are, and each variable's adjoint."""

    output: TapeOperand
    tape: Tape
    places: Sequence[TapeOperand]
    adjoints: Mapping[int, TapeOperand]  # by variable: a variable of this tape, or a constant

    def adjoint(self, v: int) -> TapeOperand:
        return self.place(self.adjoints[v])

    def place(self, x: TapeOperand) -> TapeOperand:
        return self.places[x] if isinstance(x, int) else x

    def order(self) -> list[int]:
        """The variables that the output depends on, as `topological_order` has them: backward, each `+=` comes so."""
        found: list[int] = []
        seen: set[int] = set()
        waiting: list[int | None] = [self.output] if isinstance(self.output, int) else []
        while waiting:
            v = waiting.pop()
            if v is None:
                found.append(int(waiting.pop() or 0))
            elif v not in seen:
                seen.add(v)
                waiting += [v, None]
                made = self.tape.instructions[v - self.tape.leaves].operands if v >= self.tape.leaves else ()
                waiting += [x for x in reversed(made) if isinstance(x, int) and x not in seen]
        return found


@dataclass(frozen=True)
class Adjoints:
    """Variables as they were traced, the lines that hold them, and the backward passes.

    `tape` has leaves, among them those for constants and for what is held, and an instruction for each variable that
    was differentiated; `places` says for each where its number is among the lines of `writer`.
    """

    tape: Tape
    of: tuple[int, ...]
    held: Mapping[int, int]  # a leaf that holds a number fixed, and the variable whose number that is
    writer: Rewriter
    places: Sequence[TapeOperand]
    passes: Sequence[BackwardPass]
    first_backward: int  # the line with which the backward lines begin
    speeds: Mapping[int, TapeOperand]  # in forward mode: how fast a variable changes, where the leaves do
    directions: Mapping[int, int]  # in forward mode: the leaf that says how fast another changes

    def slopes(self, v: int) -> tuple[list[TapeOperand], bool]:
        """The lines that hold the local gradients of a variable, and whether all say them word for word as the row."""
        operation, operands = self.tape.instructions[v - self.tape.leaves]
        record = _Record(self.writer)
        inputs = [_Line(record, self.places[x] if isinstance(x, int) else x) for x in operands]
        found = operation.local_gradients(*inputs, _Line(record, self.places[v]))
        return [_place(x) for x in found], record.verbatim


def adjoints(tape: Tape, numbers: Sequence[float], of: Sequence[int], kind: str = "gradients") -> Adjoints:
    """The lines of the tape's single output and its gradients by the leaves `of`; "hessian": second derivatives too.

    "jvp": in place of them how fast the output changes where these leaves do, in forward mode.
    """
    norms = [operation.name for operation, _ in tape.instructions if operation in ops.NORMS]
    if norms and kind != "gradients":
        raise ProofError(f"{norms[0]} has a kink at its tip; the lines by which {kind} takes care of it have no proof.")
    if kind == "jvp":
        return _forward_derivation(tape, numbers, of)
    twice = kind == "hessian"
    forward, held, constants = _with_constants_as_leaves(rewrite(tape, _mean_as_quotient, only=[ops.mean]))
    numbers = [*numbers[: tape.leaves], *[1.0] * len(held), *constants]
    first = differentiate(forward, numbers, sorted(moving(forward, of)), again=twice)
    writer, places = _writer(forward, constants)
    _write(writer, first.instructions[: len(forward.instructions)], places)
    boundary = writer.leaves + len(writer.instructions)
    _write(writer, first.instructions[len(forward.instructions) :], places)
    by = sorted(moving(forward, of))
    passes = [BackwardPass(first.outputs[0], first, places, dict(zip(by, first.outputs[1:], strict=True)))]
    if twice:
        slopes = [passes[0].adjoints[v] for v in of]
        passes += [_second(first, slope, numbers, of, writer, places) for slope in slopes]
    return Adjoints(first if twice else forward, tuple(of), held, writer, places, passes, boundary, {}, {})


def _forward_derivation(tape: Tape, numbers: Sequence[float], of: Sequence[int]) -> Adjoints:
    names = tuple([f"{(*tape.inputs, *tape.parameters)[v]}_speed" for v in of])
    forward, held, constants = _with_constants_as_leaves(rewrite(tape, _mean_as_quotient, only=[ops.mean]), names)
    numbers = [*numbers[: tape.leaves], *[1.0] * (len(held) + len(of)), *constants]
    directions = {v: tape.leaves + len(held) + i for i, v in enumerate(of)}
    by = sorted(moving(forward, of))
    whole = differentiate_forward(forward, numbers, of, [*directions.values()], by)
    writer, places = _writer(forward, constants)
    _write(writer, forward.instructions, places)
    boundary = writer.leaves + len(writer.instructions)
    _write(writer, whole.instructions[len(forward.instructions) :], places)
    speeds = {v: places[x] if isinstance(x, int) else x for v, x in zip(by, whole.outputs, strict=True)}
    passes = [BackwardPass(forward.outputs[0], forward, places, {})]
    return Adjoints(forward, tuple(of), held, writer, places, passes, boundary, speeds, directions)


def _writer(forward: Tape, constants: Sequence[float]) -> tuple[Rewriter, list[TapeOperand]]:
    named = forward.parameters[: len(forward.parameters) - len(constants)]
    writer = Rewriter(replace(forward, parameters=named), _RULES)
    return writer, [*range(writer.leaves), *constants]


def _second(
    first: Tape, slope: TapeOperand, numbers: Sequence[float], of: Sequence[int], writer: Rewriter,
    places: Sequence[TapeOperand],
) -> BackwardPass:  # fmt: skip
    by = sorted(moving(first, of))
    tape = differentiate(replace(first, outputs=(slope,)), numbers, by)
    assert tape.instructions[: len(first.instructions)] == first.instructions
    found = list(places)
    _write(writer, tape.instructions[len(first.instructions) :], found)
    return BackwardPass(slope, tape, found, dict(zip(by, tape.outputs[1:], strict=True)))


def says(made: Instruction | None, operation: Operation, operands: Sequence[TapeOperand]) -> bool:
    """Whether it is this operation on these operands; variable 2 is not the number 2."""
    return (
        made is not None and made.operation is operation and list(map(repr, made.operands)) == list(map(repr, operands))
    )


def moving(tape: Tape, of: Collection[int]) -> set[int]:
    """The variables that depend on these leaves."""
    found = set(of)
    for v, (_, operands) in enumerate(tape.instructions, tape.leaves):
        if any(x in found for x in operands if isinstance(x, int)):
            found.add(v)
    return found


def _with_constants_as_leaves(tape: Tape, more: tuple[str, ...] = ()) -> tuple[Tape, dict[int, int], list[float]]:
    """The tape without constants, so that no float is computed from others while it is differentiated.

    After the leaves come those for what is held, `more` that nothing reads, and those for the constants.
    """
    stops = [v for v, (operation, _) in enumerate(tape.instructions, tape.leaves) if operation is ops.stop_gradient]
    used = {repr(x): x for instruction in tape.instructions for x in instruction.operands if isinstance(x, float)}
    held_leaves, first_constant = (
        dict(zip(stops, range(tape.leaves, 10**9), strict=False)),
        tape.leaves + len(stops) + len(more),
    )
    constants = {text: first_constant + i for i, text in enumerate(used)}
    new: list[int] = list(range(tape.leaves))
    instructions: list[Instruction] = []
    leaves, held = first_constant + len(constants), {}
    for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
        arguments = tuple([new[x] if isinstance(x, int) else constants[repr(x)] for x in operands])
        if v in held_leaves:
            held[held_leaves[v]] = arguments[0]
            new.append(held_leaves[v])
        else:
            new.append(leaves + len(instructions))
            instructions.append(Instruction(operation, arguments))
    names = (*tape.parameters, *[f"held{i + 1}" for i in range(len(stops))], *more, *used)
    outputs = tuple([new[x] if isinstance(x, int) else x for x in tape.outputs])
    labels = {new[v]: label for v, label in tape.labels.items() if v not in held_leaves}
    lifted = Tape(tape.inputs, names, tuple(instructions), outputs, len(instructions), labels)
    return lifted, held, list(used.values())


def _write(writer: Rewriter, instructions: Sequence[Instruction], places: list[TapeOperand]) -> None:
    for operation, operands in instructions:
        places.append(writer.place(operation, tuple([places[x] if isinstance(x, int) else x for x in operands])))


class _Record:
    """Where operations on lines go, and whether what came out is what went in."""

    def __init__(self, writer: Rewriter) -> None:
        self.writer = writer
        self.verbatim = True

    def place(self, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand:
        place = self.writer.place(operation, operands)
        self.verbatim = self.verbatim and says(self.writer.definition(place), operation, operands)
        return place


class _Line(Arithmetic):
    """A line, or a constant that is not to be computed with in floats."""

    __slots__ = ("operand", "writing")

    def __init__(self, writing: _Record, operand: TapeOperand) -> None:
        self.writing = writing
        self.operand = operand

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> _Line:
        return _Line(self.writing, self.writing.place(operation, tuple(map(_place, arguments))))


def _place(thing: Any) -> TapeOperand:
    return thing.operand if isinstance(thing, _Line) else float(thing)


def _mean_as_quotient(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> Instruction | None:
    """The same floats; and 1 / 3, which no float is, stands in the lines as what it is."""
    if operation is not ops.mean:
        return None
    return Instruction(ops.div, (writer.place(ops.sum, operands), float(len(operands))))


def _product(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> Instruction | None:
    return Instruction(ops.mul, operands) if operation is ops.contribution else None


def _guard(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
    """`where(b, a * b, b * a)`, which only an infinity tells from the product."""
    if operation is not ops.where:
        return None
    condition, x, y = operands
    one, other = writer.definition(x), writer.definition(y)
    if one and other and one.operation is other.operation is ops.mul and one.operands == other.operands[::-1]:
        return x if condition in one.operands else None
    return None


_EXACT: Final[Mapping[Operation, Callable[..., Any]]] = {
    **{ops.add: operator.add, ops.sub: operator.sub, ops.mul: operator.mul, ops.neg: operator.neg},
    **{ops.less: operator.lt, ops.less_equal: operator.le, ops.greater: operator.gt, ops.greater_equal: operator.ge},
    **{ops.equal: operator.eq, ops.not_equal: operator.ne},
}


def _exact_constant(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> float | None:
    if operation not in _EXACT or not all(isinstance(x, float) for x in operands):
        return None
    numbers = [reading(x) for x in operands]
    result = float(operation.forward(*operands))
    return result if None not in numbers and reading(result) == _EXACT[operation](*numbers) else None


_RULES: Final = (_guard, _product, _exact_constant, _identity, _shared)
