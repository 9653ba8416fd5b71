"""The gamma function and its kin: Γ, its logarithm and their derivatives; the logarithm of the beta function.

Between 0 and 8 by recurrence from a polynomial on [1, 2] (DLMF 5.5.1) from which the zeros are divided out, so that it
is right to the last digits beside them; above by Stirling's series (DLMF 5.11); left of 0 by reflection (DLMF 5.5.3).
"""

from math import inf, nan
from typing import Any, Final

from microgrannd.ground.ieee import (
    div,
    equal,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    less,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    pow,
    sin,
    tan,
    where,
)  # fmt: skip

# The functions take and give floats, but their text is run on whatever operations take: `Any` stands for both.
_PI: Final = 3.141592653589793
_HALF_LOG_2PI: Final = 0.9189385332046728
_SQRT_2PI: Final = 2.5066282746310002
# The zero of ψ(1 + z), and what is left of it after rounding.
_ZERO: Final = 0.46163214496836236
_ZERO_REST: Final = -1.5522348162858677e-17
# Highest power first: log Γ(1 + z) / (z(z - 1)) for z from 0 to 1½; ψ(1 + z) / (z - zero) and
# (Γ(1 + z) - 1) / (z(z - 1)) for z from 0 to 1; each range mapped to [-1, 1].
_LGAMMA: Final = (
    1.72703528351625e-11, -3.975621081322025e-11, -2.0616025785872798e-11, 3.6930314171593974e-11,
    2.619914306617768e-10, -5.996471519351474e-10, 8.412406434109885e-10, -2.117322000351942e-09,
    5.8919057828261155e-09, -1.438422865613291e-08, 3.482349424190728e-08, -8.5956366591907e-08,
    2.1306238626709165e-07, -5.293734029113384e-07, 1.3210303082757407e-06, -3.3138344779533876e-06,
    8.363510375901922e-06, -2.12632805915411e-05, 5.455122493067624e-05, -0.0001415684816804263,
    0.00037296000947665387, -0.001002895676376454, 0.0027768984548636635, -0.008038388459635346,
    0.025042751549161708, -0.08961118996893207, 0.4501393121092563,
)  # fmt: skip
_DIGAMMA: Final = (
    -1.0015117602062808e-11, 2.918622732168261e-11, -2.7468150389464952e-11, 8.734528429142953e-11,
    -4.197772636734229e-10, 1.2469984616707403e-09, -3.5032218996509724e-09, 1.0527692435026686e-08,
    -3.181266980138485e-08, 9.543298288278275e-08, -2.8620904099739414e-07, 8.589060721930695e-07,
    -2.578134894751126e-06, 7.741234508636364e-06, -2.3258232466707952e-05, 6.995018825112794e-05,
    -0.00021074841288961643, 0.0006368880303865817, -0.001935066664735652, 0.005936795278301761,
    -0.01855061538173984, 0.06013562106019684, -0.21181371064073024, 0.9510558760318328,
)  # fmt: skip
_GAMMA: Final = (
    -7.319188858644214e-12, 2.1329664766848743e-11, -2.0073789799346077e-11, 6.383145168529356e-11,
    -3.067702244526419e-10, 9.112777906161959e-10, -2.559967647193297e-09, 7.692590288790665e-09,
    -2.324312402952591e-08, 6.971350743532545e-08, -2.0901372491142746e-07, 6.269396876140084e-07,
    -1.8803130870125365e-06, 5.638328255771183e-06, -1.690025454524856e-05, 5.06481493666477e-05,
    -0.00015145059186852733, 0.0004543607510110883, -0.001339011077898204, 0.0041175047395074415,
    -0.01102939261538405, 0.04027884450066686, -0.06467679489777002, 0.45509229818896796,
)  # fmt: skip
# Bernoulli's numbers: B2k / (2k(2k - 1)) and B2k / 2k, highest first; B2k / (2k)!, lowest first.
_STIRLING: Final = (
    -1.3924322169059011, 0.17964437236883057, -0.029550653594771242, 0.00641025641025641, -0.0019175269175269176,
    0.0008417508417508417, -0.0005952380952380953, 0.0007936507936507937, -0.002777777777777778, 0.08333333333333333,
)  # fmt: skip
_LOGARITHMIC: Final = (
    -26.456212121212122, 3.0539543302701198, -0.4432598039215686, 0.08333333333333333, -0.021092796092796094,
    0.007575757575757576, -0.004166666666666667, 0.003968253968253968, -0.008333333333333333, 0.08333333333333333,
)  # fmt: skip
_EULER_MACLAURIN: Final = (
    0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07, 2.08767569878681e-08,
    -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15,
    -2.174868698558062e-16,
)  # fmt: skip


def polynomial(coefficients: Any, t: Any) -> Any:
    """By Horner's rule, the highest power first."""
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * t + coefficient
    return total


def lgamma(x: Any) -> Any:
    size = abs(x)
    logarithm = log(size)
    by_one = _log_gamma(size)  # log Γ(1 + |x|) below 1, log Γ(|x|) above
    right = by_one - where(less(size, 1.0), logarithm, 0.0)
    sine = abs(_sine_of_pi(size))
    left = -log(sine * (1 / _PI)) - (by_one + where(less(size, 1.0), 0.0, logarithm))
    left = where(equal(sine, 0.0) + equal(size, inf), inf, left)
    return where(less(x, 0.0), left, right)


def digamma(x: Any) -> Any:
    size = abs(x)
    above_one = greater_equal(size, 1.0)
    by_one = where(less(size, 8.0), _digamma_below_8(size), _digamma_from_8(size))  # ψ(1 + |x|) below 1, ψ(|x|) above
    right = by_one - where(above_one, 0.0, div(1.0, x))
    turn = size - floor(size + 0.5)
    left = by_one + where(above_one, div(1.0, size), 0.0) + div(_PI, tan(_PI * turn))
    return where(less(x, 0.0), where(equal(turn, 0.0), nan, left), right)


def gamma(x: Any) -> Any:
    size = abs(x)
    first, second = _gamma_in_two(size)  # Γ(1 + |x|) below 1, Γ(|x|) above
    below_one = less(size, 1.0)
    right = div(first * second, where(below_one, x, 1.0))
    # A factorial is exact, as far as rounding to an integer makes it so.
    right = where(equal(x, floor(x)) * less(right, 1e15), floor(right + 0.5), right)
    left = div(div(-_PI, _sine_of_pi(size) * where(below_one, 1.0, size) * first), second)
    return where(less(x, 0.0), where(equal(size, floor(size)), nan, left), right)


def polygamma(order: Any, x: Any) -> Any:
    """The derivative of digamma, `order` times; NaN for an order that is no integer from 0 to 170.

    (-1)^(n+1) n! ζ(n + 1, x) right of 0 (DLMF 25.11.12), and left of it from the sum over all integers.
    """
    s, turn = order + 1.0, x - floor(x + 0.5)
    odd = mod(order, 2.0)
    is_left = less(x, 0.0)
    base = where(is_left, abs(turn), x)
    swapped = where(odd, 1.0, -1.0)  # (-1)^s
    others = _zeta(s, 1.0 - turn, base) - _zeta(s, 1.0 - x, base)
    one_side = where(less(turn, 0.0), swapped, 1.0) + _zeta(s, 1.0 + turn, base) + swapped * others
    total = where(is_left, one_side, _zeta(s, where(is_left, 1.0, x), base))
    power, half = pow(base, -s), pow(base, -0.5 * s)  # in two halves where one would be too large or small
    in_range = greater(power, 1e-290) * less(power, inf)
    found = swapped * gamma(s) * where(in_range, power, half) * total
    found = where(in_range, found, found * half)  # no product of all: its factors might be taken in another order
    at_a_pole = less(x, 0.5) * equal(turn, 0.0)
    found = where(at_a_pole, where(odd, inf, where(equal(x, 0.0), div(-1.0, x), nan)), found)
    found = where(equal(x, inf), 0.0 * swapped, found)
    known = equal(order, floor(order)) * greater_equal(order, 0.0) * less(order, 171.0)
    return where(equal(order, 0.0), digamma(x), where(known, found, nan))


def lbeta(a: Any, b: Any) -> Any:
    """Γ(a) Γ(b) / Γ(a + b), its logarithm, for numbers from 0 on; without the difference of large logarithms.

    Where Stirling's series holds, only its small terms are subtracted (Didonato and Morris, ACM TOMS 708).
    """
    p, q = minimum(a, b), maximum(a, b)
    both = p + q
    rest = _stirling(q) - _stirling(both)
    neither = lgamma(p) + (lgamma(q) - lgamma(both))
    one = lgamma(p) + rest + (p - p * (log(q) + log1p(div(p, q)))) - (q - 0.5) * log1p(div(p, q))
    small = _HALF_LOG_2PI - 0.5 * log(q) + _stirling(p) + rest
    large = small - (p - 0.5) * log1p(div(q, p)) - q * log1p(div(p, q))
    found = where(less(q, 8.0), neither, where(less(p, 8.0), one, large))
    found = where(equal(q, inf) * greater(p, 0.0), -inf, found)
    return where(greater_equal(p, 0.0), found, nan)


def _log_gamma(x: Any) -> Any:
    by_polynomial = less(x, 2.5)
    z = x - where(by_polynomial, greater_equal(x, 1.0), floor(x))
    near = z * (z - 1.0) * polynomial(_LGAMMA, z / 0.75 - 1.0) + log(where(by_polynomial, 1.0, _product(x)))
    far = (x - 0.5) * (log(x) - 1.0) + (_HALF_LOG_2PI - 0.5 + _stirling(x))
    return where(less(x, 8.0), near, far)


def _digamma_below_8(x: Any) -> Any:
    z = x - floor(x)
    total = (z - _ZERO - _ZERO_REST) * polynomial(_DIGAMMA, 2.0 * z - 1.0)
    for k in range(1, 7):
        total = total + where(less(x, k + 1.0), 0.0, div(1.0, x - k))
    return total


def _digamma_from_8(x: Any) -> Any:
    inverse = div(1.0, x)
    square = inverse * inverse
    return log(x) - 0.5 * inverse - square * polynomial(_LOGARITHMIC, square)


def _gamma_in_two(x: Any) -> Any:
    """Two factors of it, neither of which overflows where the other is small."""
    z, far = x - floor(x), minimum(x, 200.0)
    near = (1.0 + z * (z - 1.0) * polynomial(_GAMMA, 2.0 * z - 1.0)) * _product(x)
    part = where(less(far, 140.0), 0.0, 0.5 * far - 0.25)  # of the exponent, where all of it would be too much
    first = (_SQRT_2PI + _SQRT_2PI * expm1(_stirling(far))) * exp(-far) * pow(far, part)
    return where(less(x, 8.0), near, first), where(less(x, 8.0), 1.0, pow(far, far - 0.5 - part))


def _product(x: Any) -> Any:
    """(x - 1)(x - 2) ... down to the last factor from 1 on, for x below 8."""
    total = where(less(x, 2.0), 1.0, x - 1.0)
    for k in range(2, 7):
        total = total * where(less(x, k + 1.0), 1.0, x - k)
    return total


def _stirling(x: Any) -> Any:
    """What Stirling's series adds to (x - ½) log(x) - x + ½ log(2π), for x from 8 on."""
    inverse = div(1.0, x)
    return inverse * polynomial(_STIRLING, inverse * inverse)


def _zeta(s: Any, q: Any, base: Any) -> Any:
    """base^s ζ(s, q) by the formula of Euler and Maclaurin (DLMF 25.11.8), for a base that is hardly larger than q."""
    total, last = 0.0, q + 12.0
    for k in range(12):
        total = total + pow(div(base, q + k), s)
    rest, factor = div(last, s - 1.0) + 0.5, div(s, last)
    for k, coefficient in enumerate(_EULER_MACLAURIN):
        rest = rest + coefficient * factor
        factor = factor * div(s + (2 * k + 1), last) * div(s + (2 * k + 2), last)
    return total + pow(div(base, last), s) * rest


def _sine_of_pi(x: Any) -> Any:
    nearest = floor(x + 0.5)
    return (1.0 - 2.0 * mod(nearest, 2.0)) * sin(_PI * (x - nearest))
