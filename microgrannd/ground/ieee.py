"""Float functions that follow IEEE 754 where Python's own raise an exception, as C, NumPy and PyTorch do.

`math.log(0)` is a ValueError, `math.exp(1000)` an OverflowError, `1 / 0` a ZeroDivisionError; here they are `-inf`,
`inf` and `inf`.
"""

import builtins
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from math import inf, nan
from typing import Final

SQRT_HALF: Final = math.sqrt(0.5)


def _guarded(function: Callable[[float], float], error: type[Exception], otherwise: float) -> Callable[[float], float]:
    def forward(x: float) -> float:
        try:
            return function(x)
        except error:
            return otherwise

    return forward


def _logarithm(function: Callable[[float], float], pole: float = 0.0) -> Callable[[float], float]:
    def forward(x: float) -> float:
        return function(x) if x > pole else -inf if x == pole else nan

    return forward


exp = _guarded(math.exp, OverflowError, inf)
exp2 = _guarded(math.exp2, OverflowError, inf)
expm1 = _guarded(math.expm1, OverflowError, inf)
cosh = _guarded(math.cosh, OverflowError, inf)
sin = _guarded(math.sin, ValueError, nan)
cos = _guarded(math.cos, ValueError, nan)
tan = _guarded(math.tan, ValueError, nan)
asin = _guarded(math.asin, ValueError, nan)
acos = _guarded(math.acos, ValueError, nan)
acosh = _guarded(math.acosh, ValueError, nan)
sqrt = _guarded(math.sqrt, ValueError, nan)
log = _logarithm(math.log)
log2 = _logarithm(math.log2)
log10 = _logarithm(math.log10)
log1p = _logarithm(math.log1p, pole=-1.0)


def less(x: float, y: float) -> float:
    return 1.0 if x < y else 0.0


def less_equal(x: float, y: float) -> float:
    return 1.0 if x <= y else 0.0


def greater(x: float, y: float) -> float:
    return 1.0 if x > y else 0.0


def greater_equal(x: float, y: float) -> float:
    return 1.0 if x >= y else 0.0


def equal(x: float, y: float) -> float:
    return 1.0 if x == y else 0.0


def not_equal(x: float, y: float) -> float:
    return 1.0 if x != y else 0.0


def div(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        return nan if x == 0 or x != x else math.copysign(inf, x) * math.copysign(1.0, y)


def pow(x: float, y: float) -> float:
    if y == 2.0:  # rounded once, as a product is in every program that is made of it
        return x * x
    try:
        return math.pow(x, y)
    except OverflowError:
        return -inf if x < 0 and y % 2 == 1 else inf
    except ValueError:  # a negative number to a fraction, or zero to a negative number
        if x:
            return nan
        return math.copysign(inf, x) if y % 2 == 1 else inf


def mod(x: float, y: float) -> float:
    return x % y if y else nan


def floordiv(x: float, y: float) -> float:
    return x // y if y else div(x, y)


def floor(x: float) -> float:
    return x // 1.0 if math.isfinite(x) else x


def ceil(x: float) -> float:
    return -floor(-x)


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def atanh(x: float) -> float:
    if x == 1 or x == -1:
        return math.copysign(inf, x)
    return math.atanh(x) if -1 < x < 1 else nan


def sign(x: float) -> float:
    return x if x != x else float((x > 0) - (x < 0))


def step(x: float) -> float:
    return x if x != x else float(x > 0)


def share(x: float, y: float) -> float:
    return 0.5 if x == y else float(x > y)


def sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)  # of a negative number, so that nothing overflows
    return e / (1 + e)


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def logsigmoid(x: float) -> float:
    return -softplus(-x)


def silu(x: float) -> float:
    return x * sigmoid(x)


def gelu(x: float) -> float:
    return 0.5 * x * math.erfc(-x * SQRT_HALF)


def relu(x: float) -> float:
    return x if x > 0 or x != x else 0.0


def leaky_relu(x: float, slope: float) -> float:
    return x if x > 0 else slope * x


def elu(x: float, alpha: float) -> float:
    return x if x > 0 or x != x else alpha * math.expm1(x)


def maximum(x: float, y: float) -> float:
    return x if x > y or x != x else y


def minimum(x: float, y: float) -> float:
    return x if x < y or x != x else y


def clamp(x: float, low: float, high: float) -> float:
    return minimum(maximum(x, low), high)


def where(condition: float, x: float, y: float) -> float:
    return x if condition else y


def contribution(upstream: float, local_gradient: float) -> float:
    return upstream * local_gradient if upstream else 0.0


def sum(xs: Iterable[float], start: float = 0) -> float:
    for x in xs:
        start = start + x
    return start


# The same, faster; from 3.12 on it carries the rounding errors along, which no other program does.
if builtins.sum([1.0, 1e100, 1.0, -1e100]) == 0.0:
    sum = builtins.sum  # type: ignore[assignment]


def mean(xs: Sequence[float]) -> float:
    return div(sum(xs), len(xs))


def dot(xs: Sequence[float], ys: Sequence[float], start: float = 0.0) -> float:
    return sum(map(operator.mul, xs, ys), start)


def norm(xs: Sequence[float]) -> float:
    return math.hypot(*xs)


def logsumexp(xs: Sequence[float]) -> float:
    top = max(xs, default=-inf)
    if math.isinf(top):
        return nan if any(x != x for x in xs) else top
    return top + math.log(sum([math.exp(x - top) for x in xs]))
