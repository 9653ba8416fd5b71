"""JavaScript: what it has as operators and in `Math`, and what `Math` lacks or has less exactly than Python.

`Math` need only be right to about an ulp, so a program gives what eager mode gives as far as the browser's functions
do; Chromium's are those of the C library, or fdlibm's.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from microgrannd import operations as ops
from microgrannd.operations import Operation
from microgrannd.printing.precedence import ANY, ATOM, CHOICE, COMPARISON, SIGN, SUM
from microgrannd.printing.printer import ARITHMETIC, COMPARISONS, Dialect, Expression, Pattern, called, chain

_MATH: Final = """
    exp expm1 log log2 log10 log1p sqrt cbrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh floor
    ceil abs
"""


@cache
def javascript_functions() -> dict[str, str]:
    """The functions that printed code may call, by name: a program has those that it does."""
    _, *texts = files("microgrannd.printing").joinpath("functions.js").read_text("utf-8").rstrip().split("\n\n")
    return {re.search(r"^function (\w+)", text, re.MULTILINE)[1]: text for text in texts}  # type: ignore[index]


def _number(x: float) -> Expression:
    size = "NaN" if math.isnan(x) else "Infinity" if math.isinf(x) else repr(abs(x)).removesuffix(".0")
    negative = x == x and math.copysign(1.0, x) < 0
    return Expression(f"-{size}", SIGN, of=x) if negative else Expression(size, of=x)


def _function(name: str) -> Callable[..., Expression]:
    return lambda *xs: called(name, xs)


def _sum(*xs: Expression) -> Expression:
    return chain("+", SUM, [_number(0.0), *xs])


def _dot(*xs: Expression) -> Expression:
    size = len(xs) // 2
    start = xs[-1] if len(xs) % 2 else _number(0.0)
    return chain("+", SUM, [start, *map(ARITHMETIC[ops.mul], xs[:size], xs[size : 2 * size])])


def _refused(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    raise TypeError(
        f"JavaScript has the operations of the table and those with a `form`, not your own: {name}. "
        "Say with form= how it is made of others."
    )


_TEMPLATES: Final[dict[Operation, Callable[..., Expression]]] = {
    **{ops.TABLE[name]: _function(f"Math.{name}") for name in _MATH.split()},
    **{row: Pattern(f"({{}} {row.symbol} {{}} ? 1 : 0)", ATOM, (SUM, SUM)) for row in COMPARISONS},
    ops.equal: Pattern("({} === {} ? 1 : 0)", ATOM, (SUM, SUM)),
    ops.not_equal: Pattern("({} !== {} ? 1 : 0)", ATOM, (SUM, SUM)),
    **ARITHMETIC,
    ops.where: Pattern("{} !== 0 ? {} : {}", CHOICE, (SUM, COMPARISON, CHOICE)),
    ops.maximum: Pattern("{0} > {1} || {0} !== {0} ? {0} : {1}", CHOICE, (SUM, SUM)),  # Math.max would take a NaN of y
    ops.minimum: Pattern("{0} < {1} || {0} !== {0} ? {0} : {1}", CHOICE, (SUM, SUM)),
    **{ops.pow: _function("pow"), ops.mod: _function("mod"), ops.floordiv: _function("floordiv")},
    **{ops.hypot: _function("hypot"), ops.norm: _function("hypot")},
    ops.exp2: Pattern("Math.pow(2, {})", ATOM, (ANY,)),
    **{ops.erf: Pattern("errorPart({}, false)", ATOM, (ANY,)), ops.erfc: Pattern("errorPart({}, true)", ATOM, (ANY,))},
    ops.sum: _sum,
    ops.mean: lambda *xs: ARITHMETIC[ops.div](_sum(*xs), _number(float(len(xs)))),
    ops.dot: _dot,
}
JAVASCRIPT: Final = Dialect(number=_number, templates=_TEMPLATES, call=_refused, comments=("/* ", " */"))
