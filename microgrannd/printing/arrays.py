"""Array code: expressions over whole arrays, with `xp` for the namespace of an array library."""

import math
from collections.abc import Sequence
from typing import Final

from microgrannd import operations as ops
from microgrannd.operations import Operation
from microgrannd.printing.precedence import ANY, ATOM, MATRIX, POWER, PRODUCT, SIGN, SUM
from microgrannd.printing.printer import COMPARISONS, Dialect, Expression, Pattern, called, chain, over, times
from microgrannd.printing.python import python_number

LONGEST_SUM: Final = 64  # a longer one is made of shorter ones in brackets: Python's parser recurses with each +

matrix_product: Final = Pattern("{} @ {}", MATRIX, (MATRIX, SIGN))
_swapped: Final = Pattern("xp.swapaxes({}, 1, 2)", ATOM, (ANY,))


def _number(x: float) -> Expression:
    written = python_number(x)
    name = written.template.replace("inf", "xp.inf").replace("nan", "xp.nan")
    return written._replace(template=name)


def _contribution(upstream: Expression, local: Expression) -> Expression:
    return Expression("xp.where({} == 0, 0.0, {})", ATOM, ((upstream, SUM), (times(upstream, local), ANY)))


def _call(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    return called(f"xp.{operation.numpy}" if operation.numpy else name, operands)


ARRAYS: Final = Dialect(
    number=_number,
    templates={
        **{row: Pattern(f"1.0 * ({{}} {row.symbol} {{}})", PRODUCT, (SUM, SUM)) for row in COMPARISONS},
        ops.div: over,
        ops.sigmoid: Pattern("1 / (1 + xp.exp(-{}))", PRODUCT, (POWER,)),
        ops.where: Pattern("xp.where({} != 0, {}, {})", ATOM, (SUM, ANY, ANY)),
        ops.contribution: _contribution,
    },
    call=_call,
)


def flag(operation: Operation, operands: Sequence[Expression]) -> Expression | None:
    """A comparison as code for true or false; None for another operation."""
    return COMPARISONS[operation](*operands) if operation in COMPARISONS else None


def product(factors: Sequence[Expression]) -> Expression:
    return chain("*", PRODUCT, factors)


def total(terms: Sequence[tuple[float, Expression]], constant: Expression | None) -> Expression:
    """Σ coefficient · expression + constant; what is added stands before what is taken off."""
    if len(terms) > LONGEST_SUM:
        parts = [total(terms[i : i + LONGEST_SUM], None) for i in range(0, len(terms), LONGEST_SUM)]
        return total([(1.0, Expression("({})", ATOM, ((part, ANY),))) for part in parts], constant)
    added = [(c, x) for c, x in terms if c > 0 or c != c]
    fixed = [] if constant is None else [(1.0, constant)]
    taken_off = [(c, x) for c, x in terms if not (c > 0 or c != c)]
    (first, x), *others = [*added, *taken_off, *fixed] if added else [*fixed, *taken_off]
    size = _scaled(abs(first), x)
    negative = math.copysign(1.0, first) < 0 and first == first
    if not others:
        return Expression("-{}", SIGN, ((size, POWER),)) if negative else size
    template, holes = ("-{}", [(size, POWER)]) if negative else ("{}", [(size, SUM)])
    for c, x in others:
        if isinstance(x.of, float) and math.copysign(1.0, x.of) < 0:
            c, x = -c, _number(-x.of)
        template += " - {}" if c < 0 else " + {}"
        holes.append((_scaled(abs(c), x), MATRIX if c < 0 else SUM))
    return Expression(template, SUM, tuple(holes))


def _scaled(c: float, x: Expression) -> Expression:
    return x if c == 1.0 else times(_number(c), x)


def summed(x: Expression, axis: int, *, keep: bool = False) -> Expression:
    return Expression(f"xp.sum({{}}, {axis}{', keepdims=True' if keep else ''})", ATOM, ((x, ANY),))


def listed(elements: Sequence[Expression]) -> Expression:
    return Expression(f"[{', '.join(['{}'] * len(elements))}]", ATOM, tuple((x, ANY) for x in elements))


def with_suffix(x: Expression, suffix: str) -> Expression:
    return Expression(f"{{}}{suffix}", ATOM, ((x, ATOM),))


def indexed(x: Expression, axes: str, positions: Expression) -> Expression:
    """An array at a table of positions along its last axis; `axes` says what stands before it: "" or ":, "."""
    return Expression(f"{{}}[{axes}{{}}]", ATOM, ((x, ATOM), (positions, ANY)))


def transposed(x: Expression) -> Expression:
    return x.holes[0][0] if x.template == "{}.T" else with_suffix(x, ".T")


def transposed_each(x: Expression) -> Expression:
    """A matrix for each sample, transposed."""
    return x.holes[0][0] if x.template == _swapped.template else _swapped(x)


def multiplies_matrices(x: Expression) -> bool:
    return any(part.template == matrix_product.template for part in x.parts())
