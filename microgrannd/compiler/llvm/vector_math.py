"""exp, log, tanh, sigmoid, sin, cos and their kin on vectors: arithmetic without branches, within 2 ulp.

The coefficients of log, erf, sin and cos are fdlibm's (Sun Microsystems, 1993), those of tanh Cephes' (Moshier).
"""

import math
from typing import Final

from microgrannd.compiler.llvm.emitter import Emitter

LN2_HIGH: Final = 6.93147180369123816490e-01  # its last 21 bits are zero, so that n times it is exact
LN2_LOW: Final = 1.90821492927058770002e-10
_MAGIC: Final = float(3 << 51)  # added to a number below 2**51, it leaves the nearest integer in the low bits
_EXP: Final = [1 / math.factorial(k) for k in range(2, 14)]
_LOG: Final = [
    *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01),
    *(1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01),
]
_SIN: Final = [
    *(8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06),
    *(-2.50507602534068634195e-08, 1.58969099521155010221e-10),
]
_SIN_THIRD: Final = -1.66666666666666324348e-01
_COS: Final = [
    *(4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05),
    *(-2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11),
]
_TANH_TOP: Final = [-1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1]
_TANH_BOTTOM: Final = [4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1.0]
# π/2 in three parts of 53 bits
_HALF_PI: Final = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
# erf by fdlibm: near 0 in x², near 1 in |x| - 1, further out in 1 / x² for two ranges. Tops and bottoms.
_ERF_NEAR_TOP: Final = [
    *(1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02),
    *(-5.77027029648944159157e-03, -2.37630166566501626084e-05),
]
_ERF_NEAR_BOTTOM: Final = [
    *(1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03),
    *(1.32494738004321644526e-04, -3.96022827877536812320e-06),
]
_ERF_ONE_TOP: Final = [
    *(-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01),
    *(-1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03),
]
_ERF_ONE_BOTTOM: Final = [
    *(1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02),
    *(1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
]
_ERF_FAR_TOP: Final = [
    *(-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01),
    *(-1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592e00),
]
_ERF_FAR_BOTTOM: Final = [
    *(1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02),
    *(6.45387271733267880336e02, 4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135e00),
    *(-6.04244152148580987438e-02,),
]
_ERF_FARTHER_TOP: Final = [
    *(-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02),
    *(-6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02, 0.0),
]
_ERF_FARTHER_BOTTOM: Final = [
    *(1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03),
    *(3.19985821950859553908e03, 2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01),
    *(0.0,),
]
_ERF_AT_ONE: Final = 8.45062911510467529297e-01
SINE_LIMIT: Final = 1e6  # beyond it the three parts are not enough, and the C library takes over


def exp(e: Emitter, x: str) -> str:
    bounded = e.select(e.compare("ogt", x, e.constant(710.0)), e.constant(710.0), x)
    bounded = e.select(e.compare("olt", bounded, e.constant(-746.0)), e.constant(-746.0), bounded)
    n, power = _nearest(e, e.mul(bounded, e.constant(1 / math.log(2))))
    rest = e.fma(n, e.constant(-LN2_HIGH), bounded)
    rest = e.fma(n, e.constant(-LN2_LOW), rest)
    tail = e.fma(e.mul(rest, rest), e.polynomial(rest, _EXP), rest)
    return _scaled(e, e.add(tail, e.constant(1.0)), power)


def log(e: Emitter, x: str) -> str:
    small = e.compare("olt", x, e.constant(2.0**-1022))
    normal = e.select(small, e.mul(x, e.constant(2.0**54)), x)
    # x = 2**k · m with m from √½ to √2: the exponent is read off after a shift by the bits of √½
    offset = 0x3FE6A09E667F3BCD
    shifted = e.on_integers("sub", e.bits(normal), e.whole(offset))
    k = _as_number(e, e.on_integers("ashr", shifted, e.whole(52)))
    k = e.sub(k, e.select(small, e.constant(54.0), e.constant(0.0)))
    fraction = e.on_integers("and", shifted, e.whole((1 << 52) - 1))
    f = e.sub(e.from_bits(e.on_integers("add", fraction, e.whole(offset))), e.constant(1.0))
    s = e.div(f, e.add(f, e.constant(2.0)))
    z = e.mul(s, s)
    r = e.mul(z, e.polynomial(z, _LOG))
    half_square = e.mul(e.constant(0.5), e.mul(f, f))
    inner = e.fma(s, e.add(half_square, r), e.mul(k, e.constant(LN2_LOW)))
    result = e.sub(e.mul(k, e.constant(LN2_HIGH)), e.sub(e.sub(half_square, inner), f))
    result = e.select(e.compare("oeq", x, e.constant(0.0)), e.constant(-math.inf), result)
    result = e.select(e.compare("ult", x, e.constant(0.0)), e.constant(math.nan), result)
    return e.select(e.compare("oeq", x, e.constant(math.inf)), x, result)


def log1p(e: Emitter, x: str) -> str:
    """log(1 + x), also where 1 + x would round x away."""
    u = e.add(e.constant(1.0), x)
    correction = e.div(e.sub(x, e.sub(u, e.constant(1.0))), u)
    finite = e.compare("olt", e.intrinsic("fabs", u), e.constant(math.inf))
    nonzero = e.both(finite, e.compare("one", u, e.constant(0.0)))
    result = e.add(log(e, u), e.select(nonzero, correction, e.constant(0.0)))
    return e.select(e.compare("olt", e.intrinsic("fabs", x), e.constant(2.0**-53)), x, result)


def tanh(e: Emitter, x: str) -> str:
    """The hyperbolic tangent: a rational function near 0, 1 - 2 / (exp(2x) + 1) elsewhere, with one division."""
    size = e.intrinsic("fabs", x)
    near = e.compare("olt", size, e.constant(0.625))
    z = e.mul(x, x)
    top = e.mul(e.mul(size, z), e.polynomial(z, _TANH_TOP))
    bottom = e.polynomial(z, _TANH_BOTTOM)
    grown = e.add(exp(e, e.add(size, size)), e.constant(1.0))
    quotient = e.div(e.select(near, top, e.constant(-2.0)), e.select(near, bottom, grown))
    result = e.add(e.select(near, size, e.constant(1.0)), quotient)
    return e.select(e.compare("uno", x, x), x, e.intrinsic("copysign", result, x))


def sigmoid(e: Emitter, x: str) -> str:
    """1 / (1 + exp(-x)), the exponential never of a positive number."""
    shrunk = exp(e, e.neg(e.intrinsic("fabs", x)))
    top = e.select(e.compare("olt", x, e.constant(0.0)), shrunk, e.constant(1.0))
    return e.div(top, e.add(shrunk, e.constant(1.0)))


def softplus(e: Emitter, x: str) -> str:
    positive = e.select(e.compare("ugt", x, e.constant(0.0)), x, e.constant(0.0))
    return e.add(positive, log1p(e, exp(e, e.neg(e.intrinsic("fabs", x)))))


def erf(e: Emitter, x: str) -> str:
    near, quotient, tail = _error(e, x)
    size = e.intrinsic("fabs", x)
    small = e.fma(size, quotient, size)
    middle = e.add(e.constant(_ERF_AT_ONE), quotient)
    far = e.sub(e.constant(1.0), tail)
    result = e.select(near[0], small, e.select(near[1], middle, far))
    return e.select(e.compare("uno", x, x), x, e.intrinsic("copysign", result, x))


def erfc(e: Emitter, x: str) -> str:
    """1 - erf(x), also where it is tiny."""
    near, quotient, tail = _error(e, x)
    negative = e.compare("olt", x, e.constant(0.0))
    # 1 - (x + x q) near 0; from ¼ on as ½ - (x - ½ + x q), which rounds less
    product = e.mul(x, quotient)
    half = e.sub(e.constant(0.5), e.add(e.sub(x, e.constant(0.5)), product))
    small = e.select(e.compare("olt", x, e.constant(0.25)), e.sub(e.constant(1.0), e.add(x, product)), half)
    above = e.sub(e.constant(1.0 - _ERF_AT_ONE), quotient)
    below = e.add(e.constant(1.0 + _ERF_AT_ONE), quotient)
    middle = e.select(negative, below, above)
    far = e.select(negative, e.sub(e.constant(2.0), tail), tail)
    result = e.select(near[0], small, e.select(near[1], middle, far))
    return e.select(e.compare("uno", x, x), x, result)


def _error(e: Emitter, x: str) -> tuple[tuple[str, str], str, str]:
    """The parts of erf and erfc: whether |x| is small or near 1, the rational function there, and the tail."""
    size = e.intrinsic("fabs", x)
    near = e.compare("olt", size, e.constant(0.84375))
    middle = e.compare("olt", size, e.constant(1.25))
    z = e.mul(x, x)
    s = e.sub(size, e.constant(1.0))
    bounded = e.select(e.compare("ogt", size, e.constant(28.0)), e.constant(28.0), size)
    bounded = e.select(middle, e.constant(1.25), bounded)
    inverse = e.div(e.constant(1.0), bounded)
    w = e.mul(inverse, inverse)
    first = e.compare("olt", size, e.constant(1 / 0.35))
    top, bottom = (
        e.select(
            near,
            e.polynomial(z, coefficients[0]),
            e.select(
                middle,
                e.polynomial(s, coefficients[1]),
                e.select(first, e.polynomial(w, coefficients[2]), e.polynomial(w, coefficients[3])),
            ),
        )
        for coefficients in (
            (_ERF_NEAR_TOP, _ERF_ONE_TOP, _ERF_FAR_TOP, _ERF_FARTHER_TOP),
            (_ERF_NEAR_BOTTOM, _ERF_ONE_BOTTOM, _ERF_FAR_BOTTOM, _ERF_FARTHER_BOTTOM),
        )
    )
    quotient = e.div(top, bottom)
    # exp(-x² - 9/16 + quotient) / |x|, the exponent in two parts so that its rounding does not count
    square = e.mul(bounded, bounded)
    lost = e.fma(bounded, bounded, e.neg(square))
    added = e.sub(quotient, e.constant(0.5625))
    exponent = e.sub(added, square)
    low = e.sub(e.sub(added, e.add(exponent, square)), lost)
    power = exp(e, exponent)
    return (near, middle), quotient, e.mul(e.fma(power, low, power), inverse)


def sin(e: Emitter, x: str) -> str:
    return _circular(e, x, quarter=0)


def cos(e: Emitter, x: str) -> str:
    return _circular(e, x, quarter=1)


def _circular(e: Emitter, x: str, quarter: int) -> str:
    """sin(x + quarter · π/2): x = n · π/2 + r + low, r small and low far smaller."""
    n, whole = _nearest(e, e.mul(x, e.constant(2 / math.pi)))
    r0 = e.fma(n, e.constant(-_HALF_PI[0]), x)
    part = e.mul(n, e.constant(_HALF_PI[1]))
    lost = e.fma(n, e.constant(_HALF_PI[1]), e.neg(part))
    r = e.sub(r0, part)
    low = e.fma(n, e.constant(-_HALF_PI[2]), e.sub(e.sub(e.sub(r0, r), part), lost))
    z = e.mul(r, r)
    v = e.mul(z, r)
    half_low = e.fma(e.constant(0.5), low, e.neg(e.mul(v, e.polynomial(z, _SIN))))
    sine = e.sub(r, e.sub(e.fma(z, half_low, e.neg(low)), e.mul(v, e.constant(_SIN_THIRD))))
    half = e.mul(e.constant(0.5), z)
    w = e.sub(e.constant(1.0), half)
    tail = e.fma(e.mul(z, z), e.polynomial(z, _COS), e.neg(e.mul(r, low)))
    cosine = e.add(w, e.add(e.sub(e.sub(e.constant(1.0), w), half), tail))
    quarters = e.on_integers("add", whole, e.whole(quarter)) if quarter else whole
    odd = e.on_integers("and", quarters, e.whole(1))
    result = e.select(e.line(f"icmp eq {e.integer} {odd}, {e.whole(0)}"), sine, cosine)
    sign = e.on_integers("shl", e.on_integers("and", quarters, e.whole(2)), e.whole(62))
    result = e.from_bits(e.line(f"xor {e.integer} {e.bits(result)}, {sign}"))
    return result if quarter else e.select(e.compare("oeq", x, e.constant(0.0)), x, result)


def _nearest(e: Emitter, x: str) -> tuple[str, str]:
    shifted = e.add(x, e.constant(_MAGIC))
    magic_bits = 0x4338000000000000
    return e.sub(shifted, e.constant(_MAGIC)), e.on_integers("sub", e.bits(shifted), e.whole(magic_bits))


def _as_number(e: Emitter, n: str) -> str:
    bits = e.on_integers("add", n, e.whole(0x4338000000000000))
    return e.sub(e.from_bits(bits), e.constant(_MAGIC))


def _scaled(e: Emitter, x: str, n: str) -> str:
    """x · 2**n in two steps, so that neither power leaves the range of normal numbers."""
    half = e.on_integers("ashr", n, e.whole(1))
    for part in (half, e.on_integers("sub", n, half)):
        power = e.on_integers("shl", e.on_integers("add", part, e.whole(1023)), e.whole(52))
        x = e.mul(x, e.from_bits(power))
    return x
