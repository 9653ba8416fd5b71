"""The one printer of expressions. A dialect is a table of patterns and a few functions.

An expression is a template whose holes are expressions too, each with how tightly it must bind to stand
there: brackets are printed where it binds less tightly, and nowhere else. What a user wrote (labels, the
names of functions) gets into a source only through `printing.labels`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.operations import Operation
from microgrannd.printing.labels import in_comment
from microgrannd.printing.precedence import ANY, ATOM, COMPARISON, POWER, PRODUCT, SIGN, SUM

_NOTHING: Final[Mapping[Any, Any]] = {}


class Expression(NamedTuple):
    """A piece of source and what it is made of; `of` is what an atom stands for, such as a number.

    >>> from microgrannd.printing.precedence import PRODUCT, SUM
    >>> total = infix("+", SUM)(Expression("x"), Expression("y"))
    >>> total.text(), total.text(PRODUCT)
    ('x + y', '(x + y)')
    """

    template: str
    precedence: int = ATOM
    holes: tuple[tuple[Expression, int], ...] = ()
    of: Any = None

    def text(self, least: int = ANY, named: Mapping[Any, Expression] = _NOTHING) -> str:
        """The source, in brackets if it binds less tightly than `least`; `named` stand in for what atoms are of."""
        if named and self.of in named:
            return named[self.of].text(least, named)
        text = self.template
        if self.holes:
            text = text.format(*[part.text(tightly, named) for part, tightly in self.holes])
        return text if self.precedence >= least else f"({text})"

    def parts(self) -> Iterator[Expression]:
        yield self
        for part, _ in self.holes:
            yield from part.parts()

    def resolved(self, named: Mapping[Any, Expression]) -> Expression:
        if self.of in named:
            return named[self.of].resolved(named)
        return self._replace(holes=tuple([(part.resolved(named), least) for part, least in self.holes]))

    def flat(self) -> Expression:
        return Expression(self.text(), self.precedence, of=self.of)


@dataclass(frozen=True)
class Pattern:
    """How an operation is written: a template, how tightly the whole binds, and how tightly each operand must."""

    template: str
    precedence: int
    least: tuple[int, ...]

    def __call__(self, *operands: Expression) -> Expression:
        return Expression(self.template, self.precedence, tuple(zip(operands, self.least, strict=True)))


def infix(symbol: str, precedence: int, associates: str = "left") -> Pattern:
    """An operator between two operands, which associates "left", "right", "both" ways or "neither"."""
    left = precedence + (associates in ("right", "neither"))
    right = precedence + (associates in ("left", "neither"))
    return Pattern(f"{{}} {symbol} {{}}", precedence, (left, right))


times: Final = infix("*", PRODUCT)
over: Final = infix("/", PRODUCT)


def prefix(symbol: str) -> Pattern:
    """An operator before one operand. Another sign after it is in brackets: `--x` is a decrement in C."""
    return Pattern(symbol + "{}", SIGN, (POWER,))


def chain(symbol: str, precedence: int, operands: Sequence[Expression]) -> Expression:
    if len(operands) == 1:
        return operands[0]
    holes = zip(operands, [precedence] + [precedence + 1] * (len(operands) - 1), strict=True)
    return Expression(f" {symbol} ".join(["{}"] * len(operands)), precedence, tuple(holes))


def called(name: str, operands: Iterable[Expression]) -> Expression:
    holes = [(operand, ANY) for operand in operands]
    return Expression(f"{{}}({', '.join(['{}'] * len(holes))})", ATOM, ((Expression(name), ATOM), *holes))


# What Python and C write alike; and their comparisons.
ARITHMETIC: Final[Mapping[Operation, Callable[..., Expression]]] = {
    **{ops.add: infix("+", SUM), ops.sub: infix("-", SUM), ops.mul: times, ops.div: over},
    **{ops.neg: prefix("-"), ops.square: lambda x: times(x, x), ops.stop_gradient: lambda x: x},
}
COMPARISONS: Final = {
    row: infix(row.symbol, COMPARISON, "neither")
    for row in (ops.less, ops.less_equal, ops.greater, ops.greater_equal, ops.equal, ops.not_equal)
}


class Dialect(NamedTuple):
    """A language: how numbers are written, the patterns of operations, and how any other operation is called."""

    number: Callable[[float], Expression]
    templates: Mapping[Operation, Callable[..., Expression | None]]  # None for operands that one is not for
    call: Callable[[str, Operation, Sequence[Expression]], Expression]
    comments: tuple[str, str] = ("# ", "")  # what one begins and ends with
    escaped: Callable[[str], str] = in_comment  # what stands between them

    def expression(self, operation: Operation, operands: Sequence[Expression], name: str = "") -> Expression:
        template = self.templates.get(operation)
        written = template(*operands) if template else None
        return written or self.call(name or operation.name, operation, operands)

    def comment(self, text: str) -> str:
        """A comment of one line, whatever the text.

        >>> Dialect(Expression, {}, lambda *_: Expression(""), ("/* ", " */")).comment("*/ main\\n")
        '/* * / main\\\\n */'
        """
        start, end = self.comments
        return f"{start}{self.escaped(text)}{end}"
