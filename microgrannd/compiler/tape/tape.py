"""The tape: a program as a flat list of single assignments, in the order in which they run.

Variables are numbered: first the inputs, then the parameters, then one for each instruction. The gradients are
ordinary instructions: the tape knows operations, and no derivatives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from microgrannd.nodes import notation
from microgrannd.operations import Operation
from microgrannd.printing.labels import in_message

TapeOperand = int | float  # an int is a variable, a float a constant


class Instruction(NamedTuple):
    """One assignment: the next variable is `operation(*operands)`."""

    operation: Operation
    operands: tuple[TapeOperand, ...]


@dataclass(frozen=True)
class Tape:
    """A straight-line program.

    `outputs` are what it computes: first the values, then the gradients. The first `forward`
    instructions compute the values; the rest are the backward pass. `labels` are names for variables.

    >>> from microgrannd.operations import mul, sin
    >>> tape = Tape(("x",), ("w",), (Instruction(mul, (0, 1)), Instruction(sin, (2,))), (3,))
    >>> print(tape)
    inputs x
    parameters w
    v2 = x * w
    v3 = sin(v2)
    outputs v3
    >>> tape.run([0.5], [0.0])
    [0.0]
    """

    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[TapeOperand, ...]
    forward: int = 0
    labels: dict[int, str] = field(default_factory=dict)

    @property
    def leaves(self) -> int:
        """How many variables are given: inputs and parameters. The first instruction makes the next."""
        return len(self.inputs) + len(self.parameters)

    def run(self, inputs: Sequence[float], parameters: Sequence[float] = ()) -> list[float]:
        """The outputs, computed one instruction after the other as eager mode does: the reference."""
        values = [*inputs, *parameters]
        for operation, operands in self.instructions:
            values.append(operation.forward(*[values[x] if x.__class__ is int else x for x in operands]))
        return [values[x] if isinstance(x, int) else x for x in self.outputs]

    def record(self, leaves: Sequence[Any]) -> list[Any]:
        """Every variable as what operations on the leaves make: Values, for another round of gradients."""
        values = list(leaves)
        for operation, operands in self.instructions:
            arguments = tuple([values[x] if isinstance(x, int) else x for x in operands])
            recorder: Any = next((x for x in arguments if hasattr(x, "record")), None)
            values.append(operation.forward(*arguments) if recorder is None else recorder.record(operation, arguments))
        return values

    def uses(self) -> list[int]:
        """How many times each variable is read, by instructions and as an output."""
        counts = [0] * (self.leaves + len(self.instructions))
        for operands in (self.outputs, *[instruction.operands for instruction in self.instructions]):
            for x in operands:
                if x.__class__ is int:
                    counts[x] += 1
        return counts

    def with_outputs(self, outputs: Sequence[TapeOperand]) -> Tape:
        """The same instructions for other outputs; `drop_dead` leaves what these need."""
        return replace(self, outputs=tuple(outputs))

    def __str__(self) -> str:
        names = [*map(in_message, (*self.inputs, *self.parameters))]
        names += [
            in_message(self.labels.get(v, f"v{v}")) for v in range(len(names), len(names) + len(self.instructions))
        ]
        counts = Counter(names)
        names = [name if counts[name] == 1 else f"{name}.v{v}" for v, name in enumerate(names)]

        def shown(x: TapeOperand) -> str:
            return names[x] if isinstance(x, int) else f"{x!r}".removesuffix(".0")

        leaves = (("inputs", self.inputs), ("parameters", self.parameters))
        lines = [f"{kind} {', '.join(map(in_message, given))}" for kind, given in leaves if given]
        for v, (operation, operands) in enumerate(self.instructions, self.leaves):
            lines.append(f"{names[v]} = {notation.formula(operation, *map(shown, operands))}")
        return "\n".join([*lines, f"outputs {', '.join(map(shown, self.outputs))}"])


# A rule looks at an operation and its operands and gives what replaces it: an operand that is there already,
# another instruction, or None to leave it as it is.
Rule = Callable[["Rewriter", Operation, tuple[TapeOperand, ...]], TapeOperand | Instruction | None]


class Rewriter:
    """Writes a new tape while it reads an old one: each instruction is renumbered, and the rules are applied to it."""

    def __init__(self, tape: Tape, rules: Sequence[Rule], only: Collection[Operation] = ()) -> None:
        self.tape = tape
        self.only = only  # the operations that the rules are about; all, if empty
        self.leaves = tape.leaves
        self.rules = rules
        self.instructions: list[Instruction] = []
        self.shared: dict[Any, int] = {}

    def definition(self, x: TapeOperand) -> Instruction | None:
        if isinstance(x, float) or x < self.leaves:
            return None
        return self.instructions[x - self.leaves]

    def rewritten(self) -> Tape:
        tape, leaves = self.tape, self.leaves
        new: list[TapeOperand] = list(range(leaves))
        labels = {v: label for v, label in tape.labels.items() if v < leaves}
        forward = 0
        moved = False  # whether a variable has another number than before
        for v, instruction in enumerate(tape.instructions, leaves):
            operation, operands = instruction
            if self.only and not moved and operation not in self.only:
                self.instructions.append(instruction)
                place: TapeOperand = v
            else:
                place = self.place(operation, tuple([new[x] if x.__class__ is int else x for x in operands]))
                moved = moved or place != v
            new.append(place)
            if isinstance(place, int) and v in tape.labels:
                labels.setdefault(place, tape.labels[v])
            if v == leaves + tape.forward - 1:
                forward = len(self.instructions)
        outputs = tuple(new[x] if isinstance(x, int) else x for x in tape.outputs)
        return Tape(tape.inputs, tape.parameters, tuple(self.instructions), outputs, forward, labels)

    def place(self, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand:
        """Where the result of an instruction is in the new tape, after the rules were applied to it."""
        for _ in range(8):  # a rule's answer is put to the rules again; the limit ends a cycle of them
            for rule in self.rules:
                answer = rule(self, operation, operands)
                if answer is not None:
                    break
            else:
                break
            if not isinstance(answer, Instruction):
                return answer
            operation, operands = answer
        self.instructions.append(Instruction(operation, operands))
        return self.leaves + len(self.instructions) - 1


def rewrite(tape: Tape, *rules: Rule, only: Collection[Operation] = ()) -> Tape:
    return Rewriter(tape, rules, only).rewritten()
