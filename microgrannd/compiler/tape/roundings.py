"""The error that an operation makes itself: its rounding, as an instruction on a tape, or a float for constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final, TypeAlias

from microgrannd import operations as ops
from microgrannd.compiler.tape.expand import Written
from microgrannd.compiler.tape.tape import Rewriter
from microgrannd.operations import Operation

UNIT: Final = 2.0**-53  # half a unit in the last place of 1, and at most that share of any other number
_TINY: Final = 2.0**-1066  # more than what underflow takes from a result and from the parts of its radius

Number: TypeAlias = Any  # Written, or a float for a constant


def own_error(operation: Operation, writer: Rewriter, numbers: Sequence[Number], out: Number) -> Any:
    """The error that the operation makes itself."""
    if operation.ulps is None and operation not in _OWN:
        raise TypeError(
            f"{operation.name} does not say how exact it is, so that there is no bound on its error: "
            f"give its row ulps=, as in Operation({operation.symbol!r}, ..., ulps=1.0)."
        )
    if not isinstance(out, Written):  # x**0 is 1, whatever x is
        return 0.0 if any(isinstance(x, Written) for x in numbers) else _of_constants(operation, numbers, out)
    if operation.ulps == 0.0 or any(isinstance(x, Written) and x.place == out.place for x in numbers):
        return 0.0  # the latter are x + 0, x · 1
    if made := writer.definition(out.place):  # what it became: x + -y is x - y, x**2 is x * x
        operation, numbers = made.operation, [Written(writer, x) if isinstance(x, int) else x for x in made.operands]
    if own := _OWN.get(operation):
        return own(*numbers, out)
    return of_units(operation.ulps or 0.0, out)


def of_units(units: Number, out: Number) -> Any:
    return 2.0 * UNIT * units * abs(out) + _TINY if isinstance(units, Written) or units else 0.0


def _of_sum(x: Number, y: Number, out: Number) -> Any:
    """The rounding error of a sum, which is a float itself (Knuth)."""
    second = out - x
    return abs((x - (out - second)) + (y - second))


def _of_product(x: Number, y: Number, out: Number) -> Any:
    """None by 0, 1 or a power of 2, unless it leaves the range of floats."""
    if _is_zero_or_one(x) or _is_zero_or_one(y):
        return 0.0
    for factor in (x, y):
        if isinstance(factor, float) and abs(math.frexp(factor)[0]) == 0.5:
            return _TINY if abs(factor) < 1 else out - out  # 0, or NaN where it overflows
    return of_units(0.5, out)


def _is_zero_or_one(x: Number) -> bool:
    made = x.writer.definition(x.place) if isinstance(x, Written) else None
    return made is not None and made.operation.flag and made.operation is not ops.share


def _of_constants(operation: Operation, numbers: Sequence[float], out: float) -> float:
    """The same for a result that is known now: arithmetic is compared with that of fractions."""
    exact = _EXACT.get(operation)
    if exact is None or not all(map(math.isfinite, (*numbers, out))) or (operation is ops.div and not numbers[1]):
        own = _OWN.get(operation) if exact is None else None
        return float(own(*numbers, out) if own else of_units(operation.ulps or 0.0, out))
    error = abs(exact(*map(Fraction, numbers)) - Fraction(out))
    return math.nextafter(float(error), math.inf) if error else 0.0


_EXACT: Final[dict[Operation, Callable[..., Fraction]]] = {
    **{ops.add: lambda x, y: x + y, ops.sub: lambda x, y: x - y, ops.mul: lambda x, y: x * y},
    **{ops.div: lambda x, y: x / y, ops.square: lambda x: x * x},
}


def _right_of_zero(units: Number, x: Number, out: Number) -> Any:
    """Left of 0 gamma's kin cross zero between any two poles, and their errors are not in proportion to them."""
    return ops.where(ops.greater(x, 0.0), of_units(units, out), math.inf)


def _of_logsumexp(*xs_out: Number) -> Any:
    """Of the terms' sum, which is 1 or more, and of the two last steps; each exponent's own error is below 1 / e."""
    return UNIT * abs(xs_out[-1]) + UNIT * 1.5 * len(xs_out)


# The own errors that are not so many units in the last place of the result, or not always.
_OWN: Final[dict[Operation, Callable[..., Any]]] = {
    ops.add: _of_sum,
    ops.sub: lambda x, y, out: _of_sum(x, -y, out),
    ops.mul: _of_product,
    ops.pow: lambda x, y, out: of_units(1.01 if isinstance(y, float) and y == 3.0 else ops.pow.ulps, out),  # x * x * x
    ops.lgamma: lambda x, out: _right_of_zero(4.0, x, out),
    ops.digamma: lambda x, out: _right_of_zero(4.0, x, out),
    ops.polygamma: lambda order, x, out: _right_of_zero(3.0 + order, x, out),
    ops.logsumexp: _of_logsumexp,
    ops.norm: lambda *xs_out: of_units(2.0 + len(xs_out) / 2, xs_out[-1]),
}
