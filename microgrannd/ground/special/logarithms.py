"""The inverse error function, and products and logarithms that are exact where their definitions are not."""

from math import inf
from typing import Any, Final

from microgrannd.ground.ieee import (
    atanh,
    div,
    equal,
    exp,
    expm1,
    less,
    log,
    log1p,
    maximum,
    sqrt,
    where,
)  # fmt: skip
from microgrannd.ground.special.gamma import _sine_of_pi, polynomial

_PI: Final = 3.141592653589793
_LN_2: Final = 0.6931471805599453
# erfinv(x) / x of 8x² - 1 for |x| <= ½; erfinv(x) of w = sqrt(-log(1 - x)), for w from 0.83 to 2 and from 2 to 6.08,
# each range mapped to [-1, 1].
_ERFINV_MIDDLE: Final = (
    2.7415675767303887e-14, 2.0671742197483168e-13, 1.4725045058101758e-12, 1.1316232483758686e-11,
    8.785252799610099e-11, 6.87947841959413e-10, 5.456542916315438e-09, 4.398277107297447e-08,
    3.619864126626641e-07, 3.063743625042923e-06, 2.697700101018418e-05, 0.0002522747551744835,
    0.0026140273452605754, 0.03356743029704948, 0.9174083670522701,
)  # fmt: skip
_ERFINV_SHOULDER: Final = (
    -5.569677443729907e-12, 1.3198504135271444e-11, 1.2705889183879802e-11, -9.344503737003352e-11,
    2.9261214095477757e-10, -9.021422267653586e-10, 2.1545407953533867e-09, -2.7149537418018626e-09,
    -5.659454938356254e-09, 5.495700879670604e-08, -2.39598548296024e-07, 7.623055046295443e-07,
    -1.80483398286072e-06, 2.327026288999887e-06, 5.515806347052736e-06, -5.640512502244707e-05,
    0.0002713389128363403, -0.0010000561904461207, 0.003042191637897519, -0.007427394121358928,
    0.011263308576391443, 0.6052892515186256, 1.0567994720894631,
)  # fmt: skip
_ERFINV_TAIL: Final = (
    7.11696342000255e-10, -1.456689847205576e-09, -1.9714317959121258e-09, 4.2488917909040705e-09,
    5.735743648327719e-09, -1.0226765055105109e-08, -8.838458765409831e-09, 2.277327076635781e-08,
    -2.624933640857263e-08, 7.966499463033697e-08, -2.3768651745483755e-07, 5.76311400230501e-07,
    -1.329219966041814e-06, 3.0002688141166437e-06, -6.56926879693403e-06, 1.3950710329512775e-05,
    -2.8745978027096044e-05, 5.73110914914204e-05, -0.00010985779721673233, 0.00019999232674881542,
    -0.000337077635958919, 0.0004940633064488157, -0.0004996384508842502, -0.0002952308475536278,
    0.004032725198481835, -0.017576633323429996, 2.104286216416667, 3.792626646176539,
)  # fmt: skip


def erfinv(x: Any) -> Any:
    """In the variables of Giles (GPU Computing Gems, 2011): x² in the middle, the root of a logarithm outside."""
    size = abs(x)
    w = sqrt(-log(1.0 - size))
    middle = x * polynomial(_ERFINV_MIDDLE, 8.0 * size * size - 1.0)
    shoulder = polynomial(_ERFINV_SHOULDER, (2.0 * w - 2.83) / 1.17)
    tail = polynomial(_ERFINV_TAIL, (2.0 * w - 8.08) / 4.08)
    outside = where(equal(size, 1.0), inf, where(less(w, 2.0), shoulder, tail))
    return where(less(size, 0.5), middle, where(less(x, 0.0), -outside, outside))


def log1mexp(x: Any) -> Any:
    """By that of the two forms which keeps its digits (Mächler, 2012)."""
    return where(less(x, _LN_2), log(-expm1(-x)), log1p(-exp(-x)))


def logaddexp(x: Any, y: Any) -> Any:
    return where(equal(x, y), x + _LN_2, maximum(x, y) + log1p(exp(-abs(x - y))))


def xlogy(x: Any, y: Any) -> Any:
    return where(equal(x, 0.0) * equal(y, y), 0.0, x * log(y))


def xlog1py(x: Any, y: Any) -> Any:
    return where(equal(x, 0.0) * equal(y, y), 0.0, x * log1p(y))


def logit(x: Any) -> Any:
    """In the middle, where it is near 0, as an inverse hyperbolic tangent, which is exact there."""
    return where(less(abs(x - 0.5), 0.25), 2.0 * atanh(2.0 * x - 1.0), log(div(x, 1.0 - x)))


def sinc(x: Any) -> Any:
    return where(equal(x, 0.0), 1.0, div(_sine_of_pi(x), _PI * x))
