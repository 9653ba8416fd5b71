"""What an operation is, and the calculus table, a row an operation.

A row is written once and serves everywhere: on floats (eager `backward()`), on Values (gradients as graphs), on NumPy
arrays, and in the compiler. So its local gradients are plain arithmetic and other operations, never `math` and never
`if`. Where a divisor may be zero a row says `div(a, b)`, for which 1/0 = inf, since `a / b` raises on floats; likewise
`pow(a, b)` for `a ** b`. This file knows nothing of `Value`: what is not a number records the operation itself.
"""

from __future__ import annotations

import copyreg
import math
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from importlib import import_module
from keyword import iskeyword
from numbers import Real
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

from microgrannd.ground import ieee
from microgrannd.ground.arguments import list_of, shown
from microgrannd.ground.special import gamma as _gamma
from microgrannd.ground.special import logarithms as _logarithms

Number = float | int
_STARRED: Final = 4  # the flag of a function that takes any number of arguments

if TYPE_CHECKING:

    class Recorder(Protocol):
        """What an operation may be called with besides numbers: it makes a node of its own kind."""

        def record(self, operation: Operation, arguments: tuple[Any, ...], /) -> Any: ...  # noqa: D102

    R = TypeVar("R", bound=Recorder)


class _Explanation:
    """The `__doc__` of a class and of its objects: of an operation it is what its row says."""

    def __init__(self, of_class: str | None) -> None:
        self.of_class = of_class

    def __get__(self, operation: Operation | None, owner: type) -> str | None:
        if operation is None:
            return self.of_class
        # By name, because it prints derivatives, which is done on a higher floor and only when somebody asks.
        return str(import_module("microgrannd.nodes.explanations").explanation_of(operation))


class Operation:
    """A function together with the derivative of each of its inputs.

    `symbol` is what drawings and messages show. `forward(*inputs)` takes floats and gives a float.
    `local_gradients(*inputs, out)` gives the partial derivative for each input, in their order; `out`
    is the forward result, to be used again. It closes over nothing but constants.

    `textbook(*inputs, out)` gives the local gradients as a textbook has them, for people to read, where the
    rule reads otherwise because it is right at the awkward points too.
    `about` says in a few words what it is, with a definition after a colon if it needs one.
    `form(*inputs)` says the same in other operations, for a back end that has no instruction for this one (for
    a fused operation it takes vectors, as `forward` does). It may be left out: then the operation runs where
    Python does, and is named in an error where it cannot.
    `defaults` has an entry for each input: its value when the caller leaves it out (None: no default).
    `numpy` is the name of NumPy's function that does the same, and of a method.
    `awkward` are inputs at which a reader may wonder what happens: kinks, poles, ties.
    `routes` marks an operation that passes some inputs on and drops the others, such as `relu`, `where`
    or `maximum`: where its local gradient is zero, not even an infinite upstream gets through.
    `finite` promises a finite result for finite inputs, overflow aside; then a gradient needs fewer guards.
    `flag` says more: the result is 0, ½ or 1 for any inputs, and is flat.
    `ulps` promises a result within so many units in the last place of the exact one for these inputs, where Python and
    native code run one sample, and that it has no jump but at its poles; None, the default, that nobody knows. On it
    `program.error_bounds` relies.

    >>> softsign = Operation(
    ...     "softsign",
    ...     lambda x: x / (1 + abs(x)),
    ...     lambda x, out: (1 / (1 + abs(x)) ** 2,),
    ... )
    >>> softsign(3.0)
    0.75
    """

    __doc__ = _Explanation(__doc__)
    __slots__ = (
        *("about", "awkward", "defaults", "finite", "flag", "form", "forward", "local_gradients", "name", "numpy"),
        *("on_floats", "routes", "small_print", "symbol", "textbook", "ulps", "vectors"),
    )

    def __init__(
        self, symbol: str, forward: Callable[..., float], local_gradients: Callable[..., tuple[Any, ...]], about: str = "",
        *, form: Callable[..., Any] | None = None, textbook: Callable[..., tuple[Any, ...]] | None = None,
        defaults: tuple[float | None, ...] = (), numpy: str = "", awkward: Sequence[Any] = (),
        routes: bool = False, finite: bool = False, flag: bool = False, ulps: float | None = None, small_print: str = "",
    ) -> None:  # fmt: skip
        self.symbol = self.name = symbol  # the table's own are renamed below: "*" is called mul
        self.forward, self.local_gradients, self.form = forward, local_gradients, form
        self.textbook, self.small_print = textbook or local_gradients, small_print
        self.about, self.defaults, self.numpy = about, defaults, numpy
        self.awkward = [point if isinstance(point, tuple) else (point,) for point in awkward]
        self.routes, self.finite, self.flag = routes or flag, finite or flag, flag
        self.ulps = 0.0 if flag else ulps
        self.vectors = 0  # how many of its arguments are vectors
        self.on_floats = local_gradients  # for the arguments as they were given: what eager backward() calls

    @overload
    def __call__(self, *arguments: Number) -> float: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *arguments: R | Number) -> R: ...
    @overload
    def __call__(self, *arguments: Any) -> Any: ...
    def __call__(self, *arguments: Any) -> Any:
        """A float for numbers, a node for Values, an array for NumPy arrays."""
        try:
            for argument in arguments:
                if type(argument) is not float:
                    break
            else:
                if not self.defaults:
                    return self.forward(*arguments)
            return self._dispatch(arguments + self.defaults[len(arguments) :])
        except TypeError:
            self._check_arguments(arguments)
            raise

    def _dispatch(self, arguments: tuple[Any, ...]) -> Any:
        recorder = None
        for argument in arguments:
            if hasattr(argument, "record"):
                # As with Python's operators, a subclass goes before its base class.
                if recorder is None or isinstance(argument, type(recorder)):
                    recorder = argument
            elif getattr(argument, "shape", ()):
                return _on_arrays(self, arguments)
        if recorder is not None:
            return recorder.record(self, arguments)
        return self.forward(*[as_float(argument) for argument in arguments])

    def _check_arguments(self, arguments: tuple[Any, ...]) -> None:
        """Raise TypeError where there are too few or too many, or one is a class."""
        for argument in arguments:
            if isinstance(argument, type):
                as_float(argument)
        rule = self.local_gradients
        if self.vectors or not isinstance(rule, FunctionType) or rule.__defaults__ or rule.__code__.co_flags & _STARRED:
            return
        most, given = len(self.inputs), len(arguments)
        least = self.defaults.count(None) if self.defaults else most
        if not least <= given <= most:
            takes = f"{most}" if least == most else f"{least} to {most}"
            raise TypeError(f"{self.name} takes {takes} number{'s' * (takes != '1')}, got {given}.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, or of the vectors, as the row's rule has them."""
        code = self.local_gradients.__code__
        return code.co_varnames[: code.co_argcount - 1]

    def split(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments that these are the inputs of: the same, where there are no vectors."""
        return inputs

    def check_count(self, inputs: tuple[float, ...], out: float) -> None:
        """Raise ValueError where a user's rule has not one local gradient for each input."""
        found, given = len(self.local_gradients(*inputs, out)), len(inputs)
        if found != given:
            raise ValueError(f"{self!r} gives {found} local gradients for {given} inputs: it must give one for each.")

    def __repr__(self) -> str:
        return f"Operation({self.symbol!r})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # The table's operations pickle as their names, so that each stays a single object.
        return self.name if TABLE.get(self.name) is self else self._remade()

    def _remade(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), object.__getstate__(self)  # type: ignore[attr-defined]

    def __copy__(self) -> Operation:
        return self  # as a function does

    def __deepcopy__(self, memo: object) -> Operation:
        return self


class FusedOperation(Operation):
    """An operation on whole vectors: one node with as many parents as there are numbers.

    `forward(*vectors)` and `local_gradients(*vectors, out)` take one sequence, or two of one length and
    perhaps a single number after them; the local gradients come as one flat tuple. The node's parents are
    the elements, one vector after the other.

    >>> dot([1, 2, 3], [4, 5, 6])
    32.0
    >>> dot([1, 2, 3], [4, 5, 6], 0.5)
    32.5
    """

    __doc__ = _Explanation(__doc__)
    __slots__ = ("on_paper", "on_vectors")

    def __init__(
        self, symbol: str, forward: Callable[..., float], local_gradients: Callable[..., tuple[Any, ...]], about: str = "",
        *, form: Callable[..., Any] | None = None, textbook: Callable[..., tuple[Any, ...]] | None = None,
        vectors: int = 1, finite: bool = False, ulps: float | None = None, small_print: str = "",
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {"textbook": textbook, "finite": finite, "ulps": ulps, "small_print": small_print}
        super().__init__(symbol, forward, local_gradients, about, form=form, **own)
        self.vectors, self.on_vectors, self.on_paper = vectors, forward, textbook or local_gradients
        self.forward = lambda *inputs: forward(*self.split(inputs))
        self.local_gradients = lambda *inputs: local_gradients(*self.split(inputs[:-1]), inputs[-1])
        self.textbook = lambda *inputs: self.on_paper(*self.split(inputs[:-1]), inputs[-1])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the vectors."""
        return self.on_floats.__code__.co_varnames[: self.vectors]

    def _remade(self) -> tuple[Any, ...]:
        own: dict[str, Any] = {"form": self.form, "textbook": self.on_paper}
        own |= {"vectors": self.vectors, "finite": self.finite, "ulps": self.ulps, "small_print": self.small_print}
        return partial(type(self), self.symbol, self.on_vectors, self.on_floats, self.about, **own), ()

    def split(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The vectors, and the number after them if there is one, that these are the elements of."""
        size = len(inputs) // self.vectors
        if self.vectors == 2:  # dot, the innermost loop of every network
            return (inputs[:size], inputs[size : 2 * size], *inputs[2 * size :])
        vectors = [inputs[i * size : (i + 1) * size] for i in range(self.vectors)]
        return (*vectors, *inputs[self.vectors * size :])

    @overload
    def __call__(self, *arguments: Iterable[Number] | Number) -> float: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, *arguments: Iterable[R | Number] | R | Number) -> R: ...
    @overload
    def __call__(self, *arguments: Any) -> Any: ...
    def __call__(self, *arguments: Any) -> Any:
        """A float for vectors of numbers, a node where any element is a Value."""
        count = self.vectors
        if not count <= len(arguments) <= count + (count > 1):
            raise TypeError(f"{self.name} takes {count} list(s) of numbers, got {len(arguments)} argument(s).")
        vectors = [self._elements(vector) for vector in arguments[:count]]
        if len({len(vector) for vector in vectors}) > 1:
            lengths = " and ".join(str(len(vector)) for vector in vectors)
            raise ValueError(f"{self.name} takes lists of one length, got {lengths}.")
        return super().__call__(*[x for vector in vectors for x in vector], *arguments[count:])

    def _elements(self, vector: Any) -> list[Any]:
        try:
            return list(vector)
        except TypeError:
            kind = type(vector).__name__
            raise TypeError(f"{self.name} takes lists of numbers or Values, got a single {kind}.") from None


def is_number(thing: object) -> bool:
    """Whether it is a real number: int, bool, float, Fraction, Decimal or a NumPy scalar."""
    if isinstance(thing, (float, int, Real)):  # asked in this order: Real alone is slow
        return True
    # Whoever has a Decimal or a bool of NumPy's has imported them; Real does not know either.
    decimal, numpy = sys.modules.get("decimal"), sys.modules.get("numpy")
    return bool(decimal and isinstance(thing, decimal.Decimal)) or bool(numpy and isinstance(thing, numpy.bool_))


def as_float(number: Any) -> float:
    """The nearest float. Raises TypeError for what is no real number, OverflowError for an int beyond the floats."""
    if not is_number(number):
        raise TypeError(f"A real number is needed, got {shown(number)}{_remedy(number)}.")
    try:
        return float(number)
    except OverflowError:
        raise OverflowError(
            f"{shown(number)} is too large for a float, whose largest is about 1.8e308; scale it down first."
        ) from None


def _remedy(thing: Any) -> str:
    if isinstance(thing, str):
        return "; convert it with float(...)"
    if isinstance(thing, complex):
        return "; differentiate its .real and .imag parts as two numbers"
    if hasattr(thing, "record"):
        return "; use the Value as it is, or take its .data"
    if getattr(thing, "shape", None) == ():
        return "; take its .item()"
    if hasattr(thing, "__iter__"):
        return "; make one Value of each element: [Value(x) for x in ...]"
    return ""


def _on_arrays(operation: Operation, arguments: tuple[Any, ...]) -> Any:
    """Element by element with broadcasting: by NumPy's own function, by the form in others, else in a loop."""
    numpy = sys.modules["numpy"]
    operation._check_arguments(arguments)  # NumPy would take one too many for where the result goes
    arrays = [numpy.asarray(x) if getattr(x, "shape", ()) or hasattr(x, "record") else as_float(x) for x in arguments]
    for array in arrays:
        if hasattr(array, "dtype") and array.dtype.kind not in "fiubO":
            raise TypeError(f"{operation.name} takes arrays of numbers, got one of {array.dtype}.")
    function = getattr(numpy, operation.numpy) if operation.numpy else operation.form
    with numpy.errstate(all="ignore"):
        if function and not any(hasattr(array, "dtype") and array.dtype.hasobject for array in arrays):
            return numpy.asarray(function(*operation.split(tuple(arrays))), dtype=float)
        result = numpy.frompyfunc(lambda *inputs: operation(*operation.split(inputs)), len(arrays), 1)(*arrays)
    return result.astype(float) if all(isinstance(x, float) for x in result.flat) else result


def _over(x: Any, r: Any) -> Any:
    """x / r, and 0 where x is 0 even if r is 0 too."""
    return contribution(x, div(1.0, r))


def _zero_if(condition: Any, *slopes: Any) -> tuple[Any, ...]:
    """These local gradients, and 0 for all of them where a number is 0 by agreement: then the mixed derivatives agree."""
    return tuple(where(condition, 0.0, slope) for slope in slopes)


def _difference(x: Any, y: Any) -> Any:
    """x - y, and 0 of two equal infinities."""
    return where(equal(x, y) * equal(abs(x), math.inf), 0.0, x - y)


def _sinc_slope(x: Any, sinc_x: Any) -> Any:
    """(cos(πx) - sinc(x)) / x, and near 0, where that cancels, by its own series."""
    near = reduce(lambda total, coefficient: total * x * x + coefficient, _SINC_SLOPE)
    return where(less(abs(x), 0.5), x * near, div(cos(math.pi * x) - sinc_x, x))


_ROWS_BY_NAME: Final[dict[str, Any]] = {}  # filled below, when the rows are there


def _on_rows(function: Any) -> Callable[..., Any]:
    """A function of floats on all that operations take: the same text, in which `log` means the row."""
    return FunctionType(function.__code__, _ROWS_BY_NAME, function.__name__)


ONE_OVER_SQRT_2PI: Final = 1 / math.sqrt(2 * math.pi)
TWO_OVER_SQRT_PI: Final = 2 / math.sqrt(math.pi)
SQRT_PI_HALF: Final = math.sqrt(math.pi) / 2
SQRT_HALF: Final = ieee.SQRT_HALF
_SINC_SLOPE: Final = [(-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(12, 0, -1)]
LN_2: Final = math.log(2)
LN_10: Final = math.log(10)

# fmt: off
# ruff: noqa: E501
# mypy: disable-error-code="has-type"

# Arithmetic
add = Operation("+", operator.add,     lambda x, y, out: (1.0, 1.0),
                "the sum of two numbers", numpy="add", finite=True, ulps=0.5)
sub = Operation("-", operator.sub,     lambda x, y, out: (1.0, -1.0),
                "the difference", numpy="subtract", finite=True, ulps=0.5)
mul = Operation("*", operator.mul,     lambda x, y, out: (y, x),
                "the product", numpy="multiply", finite=True, ulps=0.5)
div = Operation("/", ieee.div,         lambda x, y, out: (div(1.0, y), div(-out, y)),
                "the quotient", numpy="divide", awkward=[(1.0, 0.0)], ulps=0.5)
neg = Operation("neg", operator.neg,   lambda x, out: (-1.0,),
                "the negative", numpy="negative", finite=True, ulps=0)
abs = Operation("abs", operator.abs,   lambda x, out: (sign(x),),
                "the absolute value: x if x >= 0 else -x", numpy="absolute", finite=True, awkward=[0.0], ulps=0)
mod = Operation("%", ieee.mod,         lambda x, y, out: (1.0, -floordiv(x, y)),
                "the remainder, of the sign of y", numpy="remainder", ulps=0.5)
contribution = Operation("×", ieee.contribution, lambda upstream, local, out: (local, upstream),
                "what `+=` adds to a parent, a product in which a first factor of 0 wins over inf and nan: x * y, and 0 where x = 0",
                form=lambda upstream, local: where(upstream, upstream * local, 0.0), routes=True, finite=True, ulps=0.5)

# Powers. x**0 has gradient 0 in x at 0 too; 0**y has gradient 0 in y for every y >= 0.
pow = Operation("**", ieee.pow,        lambda x, y, out: (contribution(y, pow(x, y - 1)),
                                                          contribution(out, log(x + equal(x, 0.0) * greater_equal(y, 0.0)))),
                "the power", textbook=lambda x, y, out: (y * pow(x, y - 1), pow(x, y) * log(x)),
                numpy="power", awkward=[(0.0, 0.0), (0.0, 2.0), (-8.0, 1 / 3)], ulps=0.55, small_print="by the base 0 where the exponent is 0, by the exponent 0 where the base is 0")
square = Operation("square", lambda x: x * x, lambda x, out: (2 * x,),
                "the square: x * x", form=lambda x: x * x, numpy="square", finite=True, ulps=0.5)
sqrt = Operation("sqrt", ieee.sqrt,    lambda x, out: (div(0.5, out),),
                "the square root", numpy="sqrt", awkward=[0.0, -1.0], ulps=0.5)
cbrt = Operation("cbrt", math.cbrt,    lambda x, out: (div(1.0, 3 * out * out),),
                "the cube root: ∛x", numpy="cbrt", finite=True, awkward=[0.0], ulps=3.7)
hypot = Operation("hypot", math.hypot, lambda x, y, out: (where(out, div(x, out), 0.0), where(out, div(y, out), 0.0)),
                "the hypotenuse: sqrt(x * x + y * y)", textbook=lambda x, y, out: (div(x, out), div(y, out)), numpy="hypot", finite=True, awkward=[(0.0, 0.0)], ulps=1, small_print="0 where both are 0")

# Exponentials and logarithms
exp = Operation("exp", ieee.exp,       lambda x, out: (out,),
                "the exponential", numpy="exp", awkward=[1000.0], ulps=0.55)
exp2 = Operation("exp2", ieee.exp2,    lambda x, out: (LN_2 * out,),
                "the power of 2: 2**x", numpy="exp2", ulps=0.55)
expm1 = Operation("expm1", ieee.expm1, lambda x, out: (exp(x),),
                "the exponential less one, exact near 0: exp(x) - 1", numpy="expm1", ulps=1)  # out + 1 would cancel
log = Operation("log", ieee.log,       lambda x, out: (div(1.0, x),),
                "the natural logarithm", numpy="log", awkward=[0.0, -1.0], ulps=0.55)
log2 = Operation("log2", ieee.log2,    lambda x, out: (div(1.0, LN_2 * x),),
                "the logarithm to base 2", numpy="log2", ulps=0.55)
log10 = Operation("log10", ieee.log10, lambda x, out: (div(1.0, LN_10 * x),),
                "the logarithm to base 10", numpy="log10", ulps=1.7)
log1p = Operation("log1p", ieee.log1p, lambda x, out: (div(1.0, 1 + x),),
                "the logarithm of one more, exact near 0: log(1 + x)", numpy="log1p", awkward=[-1.0], ulps=1.2)
logaddexp = Operation("logaddexp", _logarithms.logaddexp, lambda x, y, out: (sigmoid(d := _difference(x, y)), sigmoid(-d)),
                "the logarithm of a sum of exponentials: log(exp(x) + exp(y))", form=_on_rows(_logarithms.logaddexp),
                textbook=lambda x, y, out: (sigmoid(x - y), sigmoid(y - x)), numpy="logaddexp", finite=True, awkward=[(1000.0, 1000.0), (-math.inf, -math.inf)], small_print="a half where both are one infinity")
log1mexp = Operation("log1mexp", _logarithms.log1mexp, lambda x, out: (div(exp(-x), -expm1(-x)),),
                "the logarithm of one less a small exponential, log(1 - exp(-x))", form=_on_rows(_logarithms.log1mexp), awkward=[0.0])
logit = Operation("logit", _logarithms.logit, lambda x, out: (div(1.0, x * (1 - x)),),
                "the inverse of sigmoid, log(x / (1 - x))", form=_on_rows(_logarithms.logit), awkward=[0.0, 1.0])
xlogy = Operation("xlogy", _logarithms.xlogy, lambda x, y, out: _zero_if(equal(x, 0.0) * less_equal(y, 0.0), log(y), div(x, y)),
                "x times a logarithm, and 0 where x is 0, x * log(y)", form=_on_rows(_logarithms.xlogy),
                textbook=lambda x, y, out: (log(y), div(x, y)), awkward=[(0.0, 0.0)], small_print="0 by the first where it is 0 and the second not above")
xlog1py = Operation("xlog1py", _logarithms.xlog1py,
                                       lambda x, y, out: _zero_if(equal(x, 0.0) * less_equal(y, -1.0), log1p(y), div(x, 1 + y)),
                "x times a logarithm of one more, and 0 where x is 0, x * log(1 + y)", form=_on_rows(_logarithms.xlog1py),
                textbook=lambda x, y, out: (log1p(y), div(x, 1 + y)), awkward=[(0.0, -1.0)], small_print="0 by the first where it is 0 and the second not above −1")

# Circular and hyperbolic functions. (1 - x) * (1 + x), because 1 - x * x cancels near 1.
sin = Operation("sin", ieee.sin,       lambda x, out: (cos(x),),
                "the sine", numpy="sin", finite=True, ulps=0.55)
cos = Operation("cos", ieee.cos,       lambda x, out: (-sin(x),),
                "the cosine", numpy="cos", finite=True, ulps=0.55)
tan = Operation("tan", ieee.tan,       lambda x, out: (1 + out * out,),
                "the tangent", numpy="tan", ulps=0.65)
asin = Operation("asin", ieee.asin,    lambda x, out: (div(1.0, sqrt((1 - x) * (1 + x))),),
                "the arc sine", numpy="arcsin", awkward=[1.0], ulps=0.55)
acos = Operation("acos", ieee.acos,    lambda x, out: (div(-1.0, sqrt((1 - x) * (1 + x))),),
                "the arc cosine", numpy="arccos", ulps=0.55)
atan = Operation("atan", math.atan,    lambda x, out: (1 / (1 + x * x),),
                "the arc tangent", numpy="arctan", finite=True, ulps=0.55)
atan2 = Operation("atan2", math.atan2, lambda y, x, out: (_over(_over(x, r := hypot(x, y)), r), _over(_over(-y, r), r)),
                "the angle of the point (x, y)", textbook=lambda y, x, out: (div(x, x * x + y * y), div(-y, x * x + y * y)), numpy="arctan2", awkward=[(0.0, 0.0)], ulps=0.55, small_print="0 where both are 0")
sinh = Operation("sinh", ieee.sinh,    lambda x, out: (cosh(x),),
                "the hyperbolic sine", numpy="sinh", ulps=1.95)
cosh = Operation("cosh", ieee.cosh,    lambda x, out: (sinh(x),),
                "the hyperbolic cosine", numpy="cosh", ulps=1.95)
tanh = Operation("tanh", math.tanh,    lambda x, out: (1 - out * out,),
                "the hyperbolic tangent", numpy="tanh", finite=True, ulps=2.25)
asinh = Operation("asinh", math.asinh, lambda x, out: (1 / hypot(1.0, x),),
                "the inverse hyperbolic sine", numpy="arcsinh", finite=True, ulps=1.95)
acosh = Operation("acosh", ieee.acosh, lambda x, out: (div(1.0, sqrt(x - 1) * sqrt(x + 1)),),
                "the inverse hyperbolic cosine", numpy="arccosh", awkward=[1.0], ulps=2.25)
atanh = Operation("atanh", ieee.atanh, lambda x, out: (div(1.0, (1 - x) * (1 + x)),),
                "the inverse hyperbolic tangent", numpy="arctanh", awkward=[1.0], ulps=1.8)
sinc = Operation("sinc", _logarithms.sinc, lambda x, out: (_sinc_slope(x, out),),
                "the cardinal sine, as in signal processing, sin(pi * x) / (pi * x)", form=_on_rows(_logarithms.sinc),
                textbook=lambda x, out: (div(cos(math.pi * x) - out, x),), finite=True, awkward=[0.0], small_print="0 at 0; near it by a series")

# The gamma function and its kin. lgamma, digamma and polygamma are each the slope of the one before. lbeta is defined from 0 on.
gamma = Operation("gamma", _gamma.gamma, lambda x, out: (out * digamma(x),),
                "the factorial of x - 1, for every number", form=_on_rows(_gamma.gamma), awkward=[0.0, -1.0], ulps=6)
lgamma = Operation("lgamma", _gamma.lgamma, lambda x, out: (digamma(x),),
                "the logarithm of the size of gamma", form=_on_rows(_gamma.lgamma), awkward=[0.0, 1.0], ulps=4)
digamma = Operation("digamma", _gamma.digamma, lambda x, out: (polygamma(1.0, x),),
                "the derivative of lgamma", form=_on_rows(_gamma.digamma), awkward=[0.0, -1.0], ulps=4)
polygamma = Operation("polygamma", _gamma.polygamma, lambda order, x, out: (0, polygamma(order + 1, x)),
                "the derivative of digamma, as often as a whole number from 0 to 170 says", form=_on_rows(_gamma.polygamma), awkward=[(1.0, 0.0)], ulps=4)
lbeta = Operation("lbeta", _gamma.lbeta, lambda a, b, out: (digamma(a) - (both := digamma(a + b)), digamma(b) - both),
                "the logarithm of the beta function", form=_on_rows(_gamma.lbeta), awkward=[(0.0, 1.0)])

# Error functions and activations
erf = Operation("erf", math.erf,       lambda x, out: (TWO_OVER_SQRT_PI * exp(-x * x),),
                "the error function", finite=True, ulps=1.5)
erfc = Operation("erfc", math.erfc,    lambda x, out: (-TWO_OVER_SQRT_PI * exp(-x * x),),
                "the complementary error function: 1 - erf(x)", finite=True, ulps=5.3)
erfinv = Operation("erfinv", _logarithms.erfinv, lambda x, out: (SQRT_PI_HALF * exp(out * out),),
                "the inverse of erf", form=_on_rows(_logarithms.erfinv), awkward=[1.0], ulps=4)
sigmoid = Operation("sigmoid", ieee.sigmoid,          lambda x, out: (out * (1 - out),),
                "the logistic function: 1 / (1 + exp(-x))",
                form=lambda x: where(greater_equal(x, 0.0), 1.0, e := exp(-abs(x))) / (1 + e), finite=True, awkward=[-1000.0, 1000.0])
softplus = Operation("softplus", ieee.softplus,       lambda x, out: (sigmoid(x),),
                "a smooth relu: log(1 + exp(x))", form=lambda x: maximum(x, 0.0) + log1p(exp(-abs(x))), finite=True, awkward=[1000.0])
logsigmoid = Operation("logsigmoid", ieee.logsigmoid, lambda x, out: (sigmoid(-x),),
                "the logarithm of sigmoid: -log(1 + exp(-x))", form=lambda x: -softplus(-x), finite=True)
silu = Operation("silu", ieee.silu,    lambda x, out: (sigmoid(x) * (1 + x * sigmoid(-x)),),
                "x times its sigmoid, also called swish: x / (1 + exp(-x))", form=lambda x: x * sigmoid(x), finite=True)
gelu = Operation("gelu", ieee.gelu,    lambda x, out: (0.5 * erfc(-x * SQRT_HALF) + x * ONE_OVER_SQRT_2PI * exp(-0.5 * x * x),),
                "x times the normal distribution function: x * (1 + erf(x / sqrt(2))) / 2", form=lambda x: 0.5 * x * erfc(-x * SQRT_HALF), finite=True)
relu = Operation("relu", ieee.relu,    lambda x, out: (greater(x, 0.0),),
                "the rectifier: max(x, 0)", form=lambda x: maximum(x, 0.0), textbook=lambda x, out: (where(greater(x, 0.0), 1.0, 0.0),),
                routes=True, finite=True, awkward=[0.0], ulps=0, small_print="0 at the kink, 0")
leaky_relu = Operation("leaky_relu", ieee.leaky_relu,
                                       lambda x, slope, out: (where(greater(x, 0.0), 1.0, slope), where(greater(x, 0.0), 0.0, x)),
                "a relu with a slope left of 0: x if x > 0 else slope * x", form=lambda x, slope: where(greater(x, 0.0), x, slope * x),
                defaults=(None, 0.01), routes=True, finite=True, awkward=[(0.0, 0.01)], small_print="at the kink, 0, that of the left")
elu = Operation("elu", ieee.elu,       lambda x, alpha, out: (where(greater(x, 0.0), 1.0, alpha * exp(x)), where(greater(x, 0.0), 0.0, expm1(x))),
                "a relu that nears -alpha on the left: x if x > 0 else alpha * (exp(x) - 1)", form=lambda x, alpha: where(greater(x, 0.0), x, alpha * expm1(x)),
                defaults=(None, 1.0), routes=True, finite=True, awkward=[(0.0, 1.0)])

# Choosing: the input that is passed on has gradient 1, the others 0; in a tie both have a half
maximum = Operation("maximum", ieee.maximum, lambda x, y, out: (share(x, y), share(y, x)),
                "the larger of two: max(x, y)", textbook=lambda x, y, out: (where(greater(x, y), 1.0, 0.0), where(greater(y, x), 1.0, 0.0)),
                numpy="maximum", routes=True, finite=True, awkward=[(2.0, 2.0)], ulps=0, small_print="in a tie a half for each")
minimum = Operation("minimum", ieee.minimum, lambda x, y, out: (share(y, x), share(x, y)),
                "the smaller of two: min(x, y)", textbook=lambda x, y, out: (where(less(x, y), 1.0, 0.0), where(less(y, x), 1.0, 0.0)),
                numpy="minimum", routes=True, finite=True, awkward=[(2.0, 2.0)], ulps=0, small_print="in a tie a half for each")
clamp = Operation("clamp", ieee.clamp, lambda x, low, high, out: (greater_equal(x, low) * less_equal(x, high),
                                                                  less(x, low) * less_equal(low, high),
                                                                  greater(maximum(x, low), high)),
                "x kept between two bounds: min(max(x, low), high)", form=lambda x, low, high: minimum(maximum(x, low), high),
                textbook=lambda x, low, high, out: (where(less(x, low), 0.0, where(greater(x, high), 0.0, 1.0)), where(less(x, low), 1.0, 0.0), where(greater(x, high), 1.0, 0.0)),
                defaults=(None, -math.inf, math.inf), routes=True, finite=True, awkward=[(1.0, -1.0, 1.0)], ulps=0, small_print="at a bound the gradient passes")
where = Operation("where", ieee.where, lambda condition, x, y, out: (0, not_equal(condition, 0.0), equal(condition, 0.0)),
                "one of two, by a condition that is not 0 or is: x if condition else y", textbook=lambda condition, x, y, out: (0, where(condition, 1.0, 0.0), where(condition, 0.0, 1.0)),
                numpy="where", routes=True, finite=True, ulps=0)

# Steps: flat wherever they have a slope
sign = Operation("sign", ieee.sign,    lambda x, out: (0,),
                "the sign", form=lambda x: where(not_equal(x, x), x, greater(x, 0.0) - less(x, 0.0)), numpy="sign", routes=True, finite=True, awkward=[0.0], ulps=0)
step = Operation("step", ieee.step,    lambda x, out: (0,),
                "the unit step: 1 if x > 0 else 0", form=lambda x: where(not_equal(x, x), x, greater(x, 0.0)), routes=True, finite=True, awkward=[0.0], ulps=0)
floor = Operation("floor", ieee.floor, lambda x, out: (0,), "the integer at or below", numpy="floor", routes=True, finite=True, ulps=0)
ceil = Operation("ceil", ieee.ceil,    lambda x, out: (0,), "the integer at or above", numpy="ceil", routes=True, finite=True, ulps=0)
stop_gradient = Operation("stop", lambda x: x, lambda x, out: (0,),
                "x itself, flat by decree: x", form=lambda x: x, routes=True, finite=True, ulps=0)
floordiv = Operation("//", ieee.floordiv,           lambda x, y, out: (0, 0),
                "the quotient, rounded down", numpy="floor_divide", routes=True, ulps=2)
share = Operation("share", ieee.share,              lambda x, y, out: (0, 0),
                "the part that x has in maximum(x, y): 1 if x > y else 0.5 if x == y else 0",
                form=lambda x, y: where(equal(x, y), 0.5, greater(x, y)), flag=True)
less = Operation("<", ieee.less,                    lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="less", flag=True)
less_equal = Operation("<=", ieee.less_equal,       lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="less_equal", flag=True)
greater = Operation(">", ieee.greater,              lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="greater", flag=True)
greater_equal = Operation(">=", ieee.greater_equal, lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="greater_equal", flag=True)
equal = Operation("==", ieee.equal,                 lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="equal", flag=True)
not_equal = Operation("!=", ieee.not_equal,         lambda x, y, out: (0, 0), "1 or 0, for true or false", numpy="not_equal", flag=True)

# Whole vectors: one node with many parents
sum = FusedOperation("sum", ieee.sum,                   lambda xs, out: (1,) * len(xs),
                "the sum: x1 + x2 + ...", finite=True)
mean = FusedOperation("mean", ieee.mean,                lambda xs, out: (1 / len(xs),) * len(xs),
                "the mean: (x1 + x2 + ...) / n", form=lambda xs: div(sum(xs), len(xs)), finite=True)
dot = FusedOperation("dot", ieee.dot,                   lambda xs, ys, *b_out: (*ys, *xs, *(1,) * (len(b_out) - 1)),
                "the sum of products, plus a number if there is one: x1 * y1 + x2 * y2 + ... + b", vectors=2, finite=True)
logsumexp = FusedOperation("logsumexp", ieee.logsumexp, lambda xs, out: tuple(exp(x - out) for x in xs),
                "a smooth maximum: log(exp(x1) + exp(x2) + ...)",
                form=lambda xs: where(less(abs(top := reduce(maximum, xs, -math.inf)), math.inf), top + log(sum([exp(x - top) for x in xs])), top), finite=True)
norm = FusedOperation("norm", ieee.norm,                lambda xs, out: tuple([where(out, div(x, out), 0.0) for x in xs]),
                "the length of a vector: sqrt(x1 * x1 + x2 * x2 + ...)", textbook=lambda xs, out: tuple([div(x, out) for x in xs]),
                form=lambda xs: where(sum([equal(abs(x), math.inf) for x in xs]), math.inf,
                                      (top := reduce(maximum, [abs(x) for x in xs], 0.0)) * sqrt(sum([square(div(x, where(top, top, 1.0))) for x in xs]))), finite=True, ulps=2, small_print="0 where all are 0")
# fmt: on

NORMS: Final = frozenset(
    {hypot, norm}
)  # their tip is a kink, but an even function of them, as their square, has none there


def softmax(xs: Iterable[Any]) -> list[Any]:
    """The shares exp(x) / sum of exp(x), one for each x, without overflow at any size of the xs.

    >>> softmax([2.0, 2.0])
    [0.5, 0.5]
    """
    xs = list_of("xs", xs, "a list of numbers or Values")
    shift = stop_gradient(logsumexp(xs))  # any shift cancels in the division: it needs no gradient
    exponentials = [exp(x - shift) for x in xs]
    total = sum(exponentials)
    return [div(e, total) for e in exponentials]


class Rows(dict[str, Operation]):
    """The rows by name. Who follows it is told of each row that comes, and of each that goes."""

    followers: list[Callable[[Operation], None]] = []  # noqa: RUF012

    def __setitem__(self, name: str, operation: Operation) -> None:
        super().__setitem__(name, operation)
        for follow in self.followers:
            follow(operation)

    def __delitem__(self, name: str) -> None:
        operation = self.pop(name)
        for follow in self.followers:
            follow(operation)


TABLE: Final = Rows({name: thing for name, thing in list(globals().items()) if isinstance(thing, Operation)})
for _name, _thing in {**vars(_gamma), **vars(_logarithms), **TABLE}.items():
    _ROWS_BY_NAME[_name] = _on_rows(_thing) if isinstance(_thing, FunctionType) and _name not in TABLE else _thing
_FLOAT_FUNCTIONS: Final = {**globals(), **{name: operation.forward for name, operation in TABLE.items()}}
for _name, _operation in TABLE.items():
    _operation.name = _name
    # Where all are floats, a row's `div` may as well be ieee.div itself, which saves the way through Operation.
    _row = _operation.on_floats
    if isinstance(_row, FunctionType):
        _operation.on_floats = FunctionType(_row.__code__, _FLOAT_FUNCTIONS, _name)


def register(operation: Operation, name: str = "") -> Operation:
    """Make an operation of your own a row of the table, under its symbol or another name.

    It is then what the package's own are: a name of the package and of `operations`, a method of Values (by
    NumPy's name too), an activation, a function in expressions. `del TABLE[name]` takes it out again.

    >>> from microgrannd import Value
    >>> square_plus = lambda x: x * x + x
    >>> rule = lambda x, out: (2 * x + 1,)
    >>> row = register(Operation("square_plus", square_plus, rule, "x² + x", form=square_plus))
    >>> Value(3.0).square_plus().data
    12.0
    >>> del TABLE["square_plus"]
    """
    name = name or operation.symbol
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"A row's name is a Python name, such as 'softsign'; got {shown(name)}.")
    if name in globals() or TABLE.get(name, operation) is not operation:
        raise ValueError(f"{name!r} is taken: give the row another name.")
    operation.name = name
    TABLE[name] = operation
    return operation


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Operation:
        if name in TABLE:
            return TABLE[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def contributed(upstream: Any, local_gradient: Any, routes: bool) -> Any:
    """What `+=` adds to a parent: their product, where a zero stops and, if the operation routes, a shut way too.

    A zero stops as the number it is. As a Value it may be another number nearby, so the product that it is a factor of
    is differentiated by both factors, whichever branch of `where` gives the number.
    """
    if type(upstream) is float and not (hasattr(local_gradient, "shape") or hasattr(local_gradient, "record")):
        return upstream * local_gradient if upstream and (local_gradient or not routes) else 0.0
    product = contribution(upstream, local_gradient)
    return where(local_gradient, product, contribution(local_gradient, upstream)) if routes else product
