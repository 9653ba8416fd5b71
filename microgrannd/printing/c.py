"""C99: what C has as operators, in its library, or better than the row's form says; `C.templates` are all of these."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from microgrannd import operations as ops
from microgrannd.operations import Operation
from microgrannd.printing.labels import Names
from microgrannd.printing.precedence import CHOICE, COMPARISON, SIGN, SUM
from microgrannd.printing.printer import ARITHMETIC, COMPARISONS, Dialect, Expression, Pattern, called, chain

_LIBRARY: Final = """
    exp exp2 expm1 log log2 log10 log1p pow sqrt cbrt hypot sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh
    atanh erf erfc floor ceil
"""
# Functions that a form could not give to the last bit; a file has those that it calls.
DEFINITIONS: Final[dict[Operation, str]] = {
    ops.mod: """\
static double mg_mod(double x, double y) {
    double r = fmod(x, y);
    if (r == 0) return copysign(0.0, y);
    return (r < 0) != (y < 0) ? r + y : r;
}""",
    ops.floordiv: """\
static double mg_floordiv(double x, double y) {
    if (y == 0) return x / y;
    double r = fmod(x, y), q = (x - r) / y;
    if (r != 0 && (r < 0) != (y < 0)) q -= 1;
    if (q == 0) return copysign(0.0, x / y);
    double f = floor(q);
    return q - f > 0.5 ? f + 1 : f;
}""",
}
# The names that a function of ours may not have: keywords (C++'s too), macros, and what a C library declares.
_WORDS: Final = r"""
    alignas alignof asm auto bool break case catch char class const constexpr continue default delete do double else
    enum explicit export extern false float for friend goto if inline int long main mutable namespace new nullptr
    operator private protected public register restrict return short signed sizeof static struct switch template
    this thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile while
    offsetof [a-z_]+_t signgam math_errhandling linux unix inputs parameters outputs by_inputs by_parameters NULL
    NAN INFINITY HUGE_VAL[FL]? M_\w+ FP_\w+ MATH_\w+ is[a-z]+ (str|mem|wcs)[a-z]+
    fe(get|set|test|raise|clear|hold|update)[a-z]+ to(ascii|w?lower|w?upper) abort (imax|l|ll)?abs
    (carg|cimag|cproj|creal|conj)[fl]? ffs(l|ll)? bcmp bcopy bzero r?index [cm]alloc realloc aligned_alloc
    posix_memalign free exit v?[fs]?n?(printf|scanf) f?(gets|puts|putc|write|read)
    (fputc|fputs|fwrite|putc|putchar)(_unlocked)? exec[lv]p?e? putchar fork mempcpy stp[a-z]+ d?c?gettext time
    signal remove rename system
"""
_MATH: Final = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh drem erf erfc exp exp10 exp2 expm1 fabs fdim
    finite floor fma fmax fmin fmod frexp gamma hypot ilogb j0 j1 jn ldexp lgamma llrint llround log log10 log1p
    log2 logb lrint lround modf nan nearbyint nextafter nexttoward pow pow10 remainder remquo rint round roundeven
    scalb scalbln scalbn signbit significand sin sincos sinh sqrt tan tanh tgamma trunc y0 y1 yn abs fpclassify
"""
_TAKEN: Final = re.compile(f"{'|'.join(_WORDS.split())}|c?({'|'.join(_MATH.split())})(f|l)?(32x?|64x?|128)?(_r)?")


def _number(x: float) -> Expression:
    size = "NAN" if math.isnan(x) else "INFINITY" if math.isinf(x) else repr(abs(x))
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
        f"C source has the operations of the table and those with a `form`, not your own: {name}. "
        "Say with form= how it is made of others."
    )


def c_name(label: str) -> str:
    """A name for a C function that is neither taken nor one of the reserved, which start with `_`."""
    name = Names((), ascii_only=True).identifier(label)
    if name.startswith(("_", "mg_")):
        return f"f{name}"
    return f"{name}_" if _TAKEN.fullmatch(name) else name


_TEMPLATES: Final[dict[Operation, Callable[..., Expression]]] = {
    **{ops.TABLE[name]: _function(name) for name in _LIBRARY.split()},
    **{operation: _function(f"mg_{operation.name}") for operation in DEFINITIONS},
    **{row: Pattern(f"(double)({{}} {row.symbol} {{}})", SIGN, (SUM, SUM)) for row in COMPARISONS},
    ops.abs: _function("fabs"),
    **ARITHMETIC,
    ops.where: Pattern("{} != 0 ? {} : {}", CHOICE, (SUM, COMPARISON, CHOICE)),
    ops.maximum: Pattern("{0} > {1} || {0} != {0} ? {0} : {1}", CHOICE, (SUM, SUM)),  # fmax would drop a NaN
    ops.minimum: Pattern("{0} < {1} || {0} != {0} ? {0} : {1}", CHOICE, (SUM, SUM)),
    ops.sum: _sum,
    ops.mean: lambda *xs: ARITHMETIC[ops.div](_sum(*xs), _number(float(len(xs)))),
    ops.dot: _dot,
}
C: Final = Dialect(number=_number, templates=_TEMPLATES, call=_refused, comments=("/* ", " */"))
