"""Array expressions as text, with the brackets they need and no others.

A group of scalars appears in a text as a token, which stands for the group's name or, where the group is
written in place, for its expression. `xp` is the namespace of an array library. This room may import the
operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.operations import Operation

SUM, MATRIX, PRODUCT, SIGN, ATOM = range(5)
TOKEN: Final = re.compile(r"⟨(\d+):(\d)⟩")


class Text(NamedTuple):
    """A piece of code, and how tightly its outermost operator binds."""

    code: str
    precedence: int = ATOM

    def within(self, precedence: int) -> str:
        """The code, in brackets where something binds more tightly around it; a token takes that on itself."""
        if self.code.endswith(":4⟩") and TOKEN.fullmatch(self.code):
            return self.code.replace(":4⟩", f":{precedence}⟩")
        return self.code if self.precedence >= precedence else f"({self.code})"

    @property
    def bare(self) -> str:
        """The code where nothing binds around it, as between commas."""
        return self.within(SUM)


def token(group: int) -> Text:
    """Where a group is meant."""
    return Text(f"⟨{group}:{ATOM}⟩")


def number(x: float) -> Text:
    """A number as code."""
    if x != x or x in (float("inf"), float("-inf")):
        code = "xp.nan" if x != x else "xp.inf" if x > 0 else "-xp.inf"
    else:
        code = repr(float(x)).removesuffix(".0") if abs(x) < 1e15 and x else repr(float(x))
    return Text(code, SIGN if code.startswith("-") else ATOM)


def product(factors: Sequence[Text]) -> Text:
    """Their product, element by element."""
    if len(factors) == 1:
        return factors[0]
    first, *others = factors
    return Text(" * ".join([first.within(PRODUCT), *[x.within(SIGN) for x in others]]), PRODUCT)


def total(terms: Sequence[tuple[float, Text]], constant: Text | None) -> Text:
    """Σ coefficient · text + constant; what is added stands before what is taken off."""
    positive = [(c, text) for c, text in terms if c > 0 or c != c]
    items = [(1.0, constant)] if constant is not None and not positive else []
    items += [*positive, *[(c, text) for c, text in terms if not (c > 0 or c != c)]]
    if constant is not None and positive:
        items.append((1.0, constant))
    code, precedence = "", SUM
    for i, (c, text) in enumerate(items):
        size = scaled(abs(c), text) if c == c else scaled(c, text)
        if i == 0:
            negative = c < 0 or (c == 0 and str(c) == "-0.0")
            code = f"-{size.within(SIGN)}" if negative else size.within(SUM)
            precedence = SIGN if negative else size.precedence
        elif c < 0:
            code, precedence = f"{code} - {size.within(MATRIX)}", SUM
        elif size.code.startswith("-"):
            code, precedence = f"{code} - {size.code[1:]}", SUM
        else:
            code, precedence = f"{code} + {size.within(SUM)}", SUM
    return Text(code, precedence)


def scaled(c: float, text: Text) -> Text:
    """A number times an expression."""
    return text if c == 1.0 else Text(f"{number(c).within(PRODUCT)} * {text.within(SIGN)}", PRODUCT)


def summed(text: Text, axis: int, *, keep: bool = False) -> Text:
    """The sum along an axis."""
    return Text(f"xp.sum({text.bare}, {axis}{', keepdims=True' if keep else ''})")


def applied(operation: Operation, operands: Sequence[Text]) -> Text:
    """An operation on arrays, element by element."""
    if operation in _TEXTS:
        return _TEXTS[operation](*operands)
    arguments = ", ".join(x.bare for x in operands)
    if operation.numpy:
        return Text(f"xp.{operation.numpy}({arguments})")
    return Text(f"{operation.name}({arguments})")


def flag(operation: Operation, operands: Sequence[Text]) -> Text | None:
    """A comparison as code for true or false; None for another operation."""
    if operation not in _COMPARISONS:
        return None
    x, y = operands
    return Text(f"{x.within(SUM)} {_COMPARISONS[operation]} {y.within(SUM)}", SUM - 1)


def _quotient(x: Text, y: Text) -> Text:
    return Text(f"{x.within(PRODUCT)} / {y.within(SIGN)}", PRODUCT)


_COMPARISONS: Final = {
    **{ops.less: "<", ops.less_equal: "<=", ops.greater: ">"},
    **{ops.greater_equal: ">=", ops.equal: "==", ops.not_equal: "!="},
}
_TEXTS: Final[dict[Operation, Callable[..., Text]]] = {
    ops.div: _quotient,
    ops.sigmoid: lambda x: Text(f"1 / (1 + xp.exp(-{x.within(SIGN)}))", PRODUCT),
    ops.relu: lambda x: Text(f"xp.maximum({x.bare}, 0.0)"),
    ops.where: lambda condition, x, y: Text(f"xp.where({condition.within(SUM)} != 0, {x.bare}, {y.bare})"),
    ops.contribution: lambda upstream, local: Text(
        f"xp.where({upstream.within(SUM)} == 0, 0.0, {upstream.within(PRODUCT)} * {local.within(SIGN)})"
    ),
    **{
        operation: (lambda x, y, symbol=symbol: Text(f"1.0 * ({x.within(SUM)} {symbol} {y.within(SUM)})", PRODUCT))
        for operation, symbol in _COMPARISONS.items()
    },
}
