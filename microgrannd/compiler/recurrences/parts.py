"""A tape in parts, each a body that runs a number of times: once where nothing repeats.

Variables keep the numbers they have on the tape, so that any part can read those of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from microgrannd.compiler.tape.tape import Tape, TapeOperand


class Carried(NamedTuple):
    """A result of the body so many steps ago; before there was one, the `initial` operands, the latest first."""

    result: int
    back: int
    initial: tuple[TapeOperand, ...]


class Fixed(NamedTuple):
    """The same variable from outside at every step."""

    operand: TapeOperand


class Stream(NamedTuple):
    """Something else from outside at every step."""

    operands: tuple[TapeOperand, ...]


Read: TypeAlias = Carried | Fixed | Stream


@dataclass(frozen=True)
class Part:
    """`steps` runs of a body. Its inputs are the `reads`; instruction j of step i makes variable `start + i · size + j`."""

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

    def place(self, v: int) -> tuple[int, int]:
        """The step and the instruction that make a variable."""
        return divmod(v - self.start, self.size)

    def outside(self) -> Iterable[TapeOperand]:
        """Every operand that the part reads from outside."""
        for read in self.reads:
            if isinstance(read, Fixed):
                yield read.operand
            else:
                yield from read.initial if isinstance(read, Carried) else read.operands
