"""A tape in segments, each a body that runs a number of times: once where nothing repeats.

Variables keep the numbers they have on the tape, so that any segment can read those of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from microgrannd.compiler.tape.tape import Tape, TapeOperand


class Carried(NamedTuple):
    """A result of the body so many steps ago; before there was one, the `initial` operands, the latest first."""

    result: int
    back: int
    initial: tuple[TapeOperand, ...]

    def outside(self) -> tuple[TapeOperand, ...]:
        """What it reads from outside."""
        return self.initial

    def first(self) -> TapeOperand:
        """What it reads in the first step."""
        return self.initial[-1]


class Fixed(NamedTuple):
    """The same variable from outside at every step."""

    operand: int

    def outside(self) -> tuple[TapeOperand, ...]:
        return (self.operand,)

    def first(self) -> TapeOperand:
        return self.operand


class PerStep(NamedTuple):
    """Something else from outside at every step."""

    operands: tuple[TapeOperand, ...]

    def outside(self) -> tuple[TapeOperand, ...]:
        return self.operands

    def first(self) -> TapeOperand:
        return self.operands[0]


Read: TypeAlias = Carried | Fixed | PerStep


@dataclass(frozen=True)
class Segment:
    """`steps` runs of a body, whose inputs are the `reads`.

    Instruction j of step i makes variable `start + i · size + j`.
    """

    start: int
    steps: int
    body: Tape
    reads: tuple[Read, ...]

    @property
    def size(self) -> int:
        return len(self.body.instructions)

    @property
    def end(self) -> int:
        return self.start + self.steps * self.size

    def last(self, result: int) -> int:
        """The variable that a result is in the last step."""
        return self.end - self.size + result

    def initial(self) -> dict[int, tuple[TapeOperand, ...]]:
        """By result that is carried: what stands for it before the first step, the latest first."""
        found: dict[int, tuple[TapeOperand, ...]] = {}
        for read in self.reads:
            if isinstance(read, Carried) and read.back > len(found.get(read.result, ())):
                found[read.result] = read.initial
        return found

    def agrees(self) -> bool:
        """Whether its reads agree on what comes before the first step."""
        initial = self.initial()
        carried = [read for read in self.reads if isinstance(read, Carried)]
        return bool(carried) and all(read.initial == initial[read.result][: read.back] for read in carried)
