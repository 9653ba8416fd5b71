"""The ground floor: what an operation is, and the calculus table, a row an operation.

A row is written once and serves everywhere: on floats (eager `backward()`), on Values (gradients as
graphs), on NumPy arrays, and in the compiler, which sees only graphs. So its local gradients are plain
arithmetic and other operations, never `math` and never `if`. Where a divisor may be zero a row says
`div(a, b)`, for which 1/0 = inf, since `a / b` raises on floats; likewise `pow(a, b)` for `a ** b`.

This file knows nothing of `Value`: an operation called with an argument that is no number hands itself
and its arguments to that argument's `record` method, which makes the node.
"""

from __future__ import annotations

import builtins
import math
import operator
import sys
from collections.abc import Callable, Iterable
from numbers import Real
from types import FunctionType
from typing import Any, Final

from microgrannd.ground import ieee

Number = float | int


class Operation:
    """A function together with the derivative of each of its inputs.

    `symbol` is what drawings and messages show. `forward(*inputs)` takes floats and gives a float.
    `local_gradients(*inputs, out)` gives the partial derivative for each input, in their order; `out`
    is the forward result, to be used again. It closes over nothing but constants.

    `form(*inputs)` says the same in other operations, for a back end that has no instruction for this one (for
    a fused operation it takes vectors, as `forward` does). It may be left out: then the operation runs where
    Python does, and is named in an error where it cannot.
    `defaults` has an entry for each input: its value when the caller leaves it out (None: no default).
    `routes` marks an operation that passes some inputs on and drops the others, such as `relu`, `where`
    or `maximum`: where its local gradient is zero, not even an infinite upstream gets through.

    >>> softsign = Operation(
    ...     "softsign",
    ...     lambda x: x / (1 + builtins.abs(x)),
    ...     lambda x, out: (1 / (1 + abs(x)) ** 2,),
    ... )
    >>> softsign(3.0)
    0.75
    """

    __slots__ = ("defaults", "form", "forward", "local_gradients", "name", "on_floats", "routes", "symbol", "vectors")

    def __init__(
        self,
        symbol: str,
        forward: Callable[..., float],
        local_gradients: Callable[..., tuple[Any, ...]],
        *,
        form: Callable[..., Any] | None = None,
        defaults: tuple[float | None, ...] = (),
        routes: bool = False,
    ) -> None:
        self.symbol = symbol
        self.name = symbol  # the table's own are renamed below: "*" is called mul
        self.forward = forward
        self.local_gradients = local_gradients
        self.form = form
        self.defaults = defaults
        self.routes = routes
        self.vectors = 0  # how many of its arguments are vectors
        self.on_floats = local_gradients  # for the arguments as they were given: what eager backward() calls

    def __call__(self, *arguments: Any) -> Any:
        """A float for numbers, a node for Values, an array for NumPy arrays."""
        for argument in arguments:
            if type(argument) is not float:
                break
        else:
            if not self.defaults:
                return self.forward(*arguments)
        return self._dispatch(arguments + self.defaults[len(arguments) :])

    def _dispatch(self, arguments: tuple[Any, ...]) -> Any:
        recorder = None
        for argument in arguments:
            if getattr(argument, "shape", ()):
                return _on_arrays(self, arguments)
            # As with Python's operators, a subclass goes before its base class.
            if hasattr(argument, "record") and (recorder is None or isinstance(argument, type(recorder))):
                recorder = argument
        if recorder is not None:
            return recorder.record(self, arguments)
        return self.forward(*[as_float(argument) for argument in arguments])

    def split(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments that these are the inputs of: the same, where there are no vectors."""
        return inputs

    def check_count(self, inputs: tuple[float, ...], out: float) -> None:
        """Raise ValueError where a user's rule has not one local gradient for each input."""
        found = len(self.local_gradients(*inputs, out))
        if found != len(inputs):
            raise ValueError(
                f"{self!r} gives {found} local gradients for {len(inputs)} inputs: it must give one for each."
            )

    def __repr__(self) -> str:
        return f"Operation({self.symbol!r})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # The table's operations pickle as their names, so that each stays a single object.
        return self.name if TABLE.get(self.name) is self else super().__reduce__()


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

    __slots__ = ()

    def __init__(
        self,
        symbol: str,
        forward: Callable[..., float],
        local_gradients: Callable[..., tuple[Any, ...]],
        *,
        form: Callable[..., Any] | None = None,
        vectors: int = 1,
    ) -> None:
        super().__init__(
            symbol,
            lambda *inputs: forward(*self.split(inputs)),
            lambda *inputs: local_gradients(*self.split(inputs[:-1]), inputs[-1]),
            form=form,
        )
        self.vectors = vectors
        self.on_floats = local_gradients

    def split(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The vectors, and the number after them if there is one, that these are the elements of."""
        size = len(inputs) // self.vectors
        if self.vectors == 2:  # dot, the innermost loop of every network
            return (inputs[:size], inputs[size : 2 * size], *inputs[2 * size :])
        vectors = [inputs[i * size : (i + 1) * size] for i in range(self.vectors)]
        return (*vectors, *inputs[self.vectors * size :])

    def __call__(self, *arguments: Any) -> Any:
        """A float for vectors of numbers, a node where any element is a Value."""
        if not self.vectors <= len(arguments) <= self.vectors + (self.vectors > 1):
            raise TypeError(f"{self.name} takes {self.vectors} list(s) of numbers, got {len(arguments)} argument(s).")
        vectors = [self._elements(vector) for vector in arguments[: self.vectors]]
        if len({len(vector) for vector in vectors}) > 1:
            lengths = " and ".join(str(len(vector)) for vector in vectors)
            raise ValueError(f"{self.name} takes lists of one length, got {lengths}.")
        return super().__call__(*[x for vector in vectors for x in vector], *arguments[self.vectors :])

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
    decimal = sys.modules.get("decimal")  # whoever has a Decimal has imported it
    return decimal is not None and isinstance(thing, decimal.Decimal)


def as_float(number: Any) -> float:
    """The float nearest to a real number (int, bool, Fraction, Decimal, NumPy scalar).

    Raises TypeError for what is no real number and OverflowError for an int beyond the floats.
    """
    if not is_number(number):
        raise TypeError(f"A real number is needed, got {_shown(number)}{_remedy(number)}.")
    try:
        return float(number)
    except OverflowError:
        raise OverflowError(
            f"{_shown(number)} is too large for a float, whose largest is about 1.8e308; scale it down first."
        ) from None


def _shown(thing: Any) -> str:
    kind = type(thing).__name__
    if isinstance(thing, int) and thing.bit_length() > 64:
        return f"an int of {thing.bit_length()} bits"
    text = repr(thing)
    return f"{text if len(text) < 60 else text[:57] + '...'} ({kind})"


def _remedy(thing: Any) -> str:
    if isinstance(thing, str):
        return "; convert it with float(...)"
    if isinstance(thing, complex):
        return "; differentiate its .real and .imag parts as two numbers"
    if hasattr(thing, "record"):
        return "; use the Value as it is, or take its .data"
    if hasattr(thing, "__iter__"):
        return "; make one Value of each element: [Value(x) for x in ...]"
    return ""


def _on_arrays(operation: Operation, arguments: tuple[Any, ...]) -> Any:
    """Element by element with broadcasting: by NumPy's own functions where they do, else in a loop."""
    numpy = sys.modules["numpy"]
    arrays = [numpy.asarray(argument) for argument in arguments]
    name = NUMPY_NAMES.get(operation)
    function = getattr(numpy, name) if name else ARRAY_FORMS.get(operation)
    if function and not any(array.dtype == object for array in arrays):
        with numpy.errstate(all="ignore"):
            return numpy.asarray(function(*arrays), dtype=float)
    result = numpy.frompyfunc(operation, len(arrays), 1)(*arrays)
    return result.astype(float) if all(isinstance(x, float) for x in result.flat) else result


def _over(x: Any, r: Any) -> Any:
    """x / r, and 0 where x is 0 even if r is 0 too."""
    return contribution(x, div(1.0, r))


ONE_OVER_SQRT_2PI: Final = 1 / math.sqrt(2 * math.pi)
TWO_OVER_SQRT_PI: Final = 2 / math.sqrt(math.pi)
SQRT_HALF: Final = ieee.SQRT_HALF
LN_2: Final = math.log(2)
LN_10: Final = math.log(10)

# fmt: off
# ruff: noqa: E501
# mypy: disable-error-code="has-type"

# ---- arithmetic
add = Operation("+", operator.add,     lambda x, y, out: (1.0, 1.0))
sub = Operation("-", operator.sub,     lambda x, y, out: (1.0, -1.0))
mul = Operation("*", operator.mul,     lambda x, y, out: (y, x))
div = Operation("/", ieee.div,         lambda x, y, out: (div(1.0, y), div(-out, y)))
neg = Operation("neg", operator.neg,   lambda x, out: (-1.0,))
abs = Operation("abs", operator.abs,   lambda x, out: (sign(x),))                         # 0 at 0
mod = Operation("%", ieee.mod,         lambda x, y, out: (1.0, -floordiv(x, y)))

# What `+=` adds to a parent: a product in which an upstream of exactly zero wins, even over inf and nan.
contribution = Operation("×", ieee.contribution, lambda upstream, local, out: (local, upstream), routes=True)

# ---- powers. x**0 has gradient 0 in x at 0 too; 0**y has gradient 0 in y for every y >= 0.
pow = Operation("**", ieee.pow,        lambda x, y, out: (contribution(y, pow(x, y - 1)),
                                                          contribution(out, log(x + equal(x, 0.0) * greater_equal(y, 0.0)))))
square = Operation("square", lambda x: x * x, lambda x, out: (2 * x,))
sqrt = Operation("sqrt", ieee.sqrt,    lambda x, out: (div(0.5, out),))                   # inf at 0
cbrt = Operation("cbrt", math.cbrt,    lambda x, out: (div(1.0, 3 * out * out),))           # inf at 0
hypot = Operation("hypot", math.hypot, lambda x, y, out: (div(x, out), div(y, out)))

# ---- exponentials and logarithms
exp = Operation("exp", ieee.exp,       lambda x, out: (out,))
exp2 = Operation("exp2", ieee.exp2,    lambda x, out: (LN_2 * out,))
expm1 = Operation("expm1", ieee.expm1, lambda x, out: (exp(x),))                          # out + 1 would cancel
log = Operation("log", ieee.log,       lambda x, out: (div(1.0, x),))
log2 = Operation("log2", ieee.log2,    lambda x, out: (div(1.0, LN_2 * x),))
log10 = Operation("log10", ieee.log10, lambda x, out: (div(1.0, LN_10 * x),))
log1p = Operation("log1p", ieee.log1p, lambda x, out: (div(1.0, 1 + x),))

# ---- circular and hyperbolic functions. (1 - x) * (1 + x), because 1 - x * x cancels near 1.
sin = Operation("sin", ieee.sin,       lambda x, out: (cos(x),))
cos = Operation("cos", ieee.cos,       lambda x, out: (-sin(x),))
tan = Operation("tan", ieee.tan,       lambda x, out: (1 + out * out,))
asin = Operation("asin", ieee.asin,    lambda x, out: (div(1.0, sqrt((1 - x) * (1 + x))),))
acos = Operation("acos", ieee.acos,    lambda x, out: (div(-1.0, sqrt((1 - x) * (1 + x))),))
atan = Operation("atan", math.atan,    lambda x, out: (1 / (1 + x * x),))
atan2 = Operation("atan2", math.atan2, lambda y, x, out: (_over(_over(x, r := hypot(x, y)), r), _over(_over(-y, r), r)))
sinh = Operation("sinh", ieee.sinh,    lambda x, out: (cosh(x),))
cosh = Operation("cosh", ieee.cosh,    lambda x, out: (sinh(x),))
tanh = Operation("tanh", math.tanh,    lambda x, out: (1 - out * out,))
asinh = Operation("asinh", math.asinh, lambda x, out: (1 / hypot(1.0, x),))
acosh = Operation("acosh", ieee.acosh, lambda x, out: (div(1.0, sqrt(x - 1) * sqrt(x + 1)),))
atanh = Operation("atanh", ieee.atanh, lambda x, out: (div(1.0, (1 - x) * (1 + x)),))

# ---- error functions and activations
erf = Operation("erf", math.erf,       lambda x, out: (TWO_OVER_SQRT_PI * exp(-x * x),))
erfc = Operation("erfc", math.erfc,    lambda x, out: (-TWO_OVER_SQRT_PI * exp(-x * x),))
sigmoid = Operation("sigmoid", ieee.sigmoid,          lambda x, out: (out * (1 - out),))
logsigmoid = Operation("logsigmoid", ieee.logsigmoid, lambda x, out: (sigmoid(-x),))
softplus = Operation("softplus", ieee.softplus,       lambda x, out: (sigmoid(x),))
silu = Operation("silu", ieee.silu,    lambda x, out: (sigmoid(x) * (1 + x * sigmoid(-x)),))
gelu = Operation("gelu", ieee.gelu,    lambda x, out: (0.5 * erfc(-x * SQRT_HALF) + x * ONE_OVER_SQRT_2PI * exp(-0.5 * x * x),))
relu = Operation("relu", ieee.relu,    lambda x, out: (greater(x, 0.0),), routes=True)      # 0 at 0
leaky_relu = Operation("leaky_relu", ieee.leaky_relu,
                                       lambda x, slope, out: (where(greater(x, 0.0), 1.0, slope), minimum(x, 0.0)),
                                       defaults=(None, 0.01), routes=True)
elu = Operation("elu", ieee.elu,       lambda x, alpha, out: (where(greater(x, 0.0), 1.0, alpha * exp(x)), expm1(minimum(x, 0.0))),
                                       defaults=(None, 1.0), routes=True)

# ---- choosing: the input that is passed on has gradient 1, the others 0; in a tie both have a half
maximum = Operation("maximum", ieee.maximum, lambda x, y, out: (share(x, y), share(y, x)), routes=True)
minimum = Operation("minimum", ieee.minimum, lambda x, y, out: (share(y, x), share(x, y)), routes=True)
clamp = Operation("clamp", ieee.clamp, lambda x, low, high, out: (greater_equal(x, low) * less_equal(x, high),
                                                                  less(x, low) * less_equal(low, high),
                                                                  greater(maximum(x, low), high)),
                                       defaults=(None, -math.inf, math.inf), routes=True)
where = Operation("where", ieee.where, lambda condition, x, y, out: (0, not_equal(condition, 0.0), equal(condition, 0.0)), routes=True)

# ---- steps: flat wherever they have a slope
sign = Operation("sign", ieee.sign,    lambda x, out: (0,), routes=True)
step = Operation("step", ieee.step,    lambda x, out: (0,), routes=True)                  # 0 at 0
floor = Operation("floor", ieee.floor, lambda x, out: (0,), routes=True)
ceil = Operation("ceil", ieee.ceil,    lambda x, out: (0,), routes=True)
stop_gradient = Operation("stop", lambda x: x, lambda x, out: (0,), routes=True)          # flat by decree
floordiv = Operation("//", ieee.floordiv,           lambda x, y, out: (0, 0), routes=True)
share = Operation("share", ieee.share,              lambda x, y, out: (0, 0), routes=True)  # of x in maximum(x, y)
less = Operation("<", ieee.less,                    lambda x, y, out: (0, 0), routes=True)
less_equal = Operation("<=", ieee.less_equal,       lambda x, y, out: (0, 0), routes=True)
greater = Operation(">", ieee.greater,              lambda x, y, out: (0, 0), routes=True)
greater_equal = Operation(">=", ieee.greater_equal, lambda x, y, out: (0, 0), routes=True)
equal = Operation("==", ieee.equal,                 lambda x, y, out: (0, 0), routes=True)
not_equal = Operation("!=", ieee.not_equal,         lambda x, y, out: (0, 0), routes=True)

# ---- whole vectors: one node with many parents
sum = FusedOperation("sum", builtins.sum,             lambda xs, out: (1,) * len(xs))
mean = FusedOperation("mean", ieee.mean,              lambda xs, out: (1 / len(xs),) * len(xs))
dot = FusedOperation("dot", ieee.dot,                 lambda xs, ys, *b_out: (*ys, *xs, *(1,) * (len(b_out) - 1)), vectors=2)
logsumexp = FusedOperation("logsumexp", ieee.logsumexp, lambda xs, out: tuple(exp(x - out) for x in xs))
# fmt: on


def softmax(xs: Iterable[Any]) -> list[Any]:
    """The shares exp(x) / sum of exp(x), one for each x, without overflow at any size of the xs.

    >>> softmax([2.0, 2.0])
    [0.5, 0.5]
    """
    xs = list(xs)
    shift = stop_gradient(logsumexp(xs))  # any shift cancels in the division: it needs no gradient
    exponentials = [exp(x - shift) for x in xs]
    total = sum(exponentials)
    return [div(e, total) for e in exponentials]


TABLE: Final[dict[str, Operation]] = {
    name: thing for name, thing in list(globals().items()) if isinstance(thing, Operation)
}
_FLOAT_FUNCTIONS: Final = {**globals(), **{name: operation.forward for name, operation in TABLE.items()}}
for _name, _operation in TABLE.items():
    _operation.name = _name
    # Where all are floats, a row's `div` may as well be ieee.div itself, which saves the way through Operation.
    _row = _operation.on_floats
    if isinstance(_row, FunctionType):
        _operation.on_floats = FunctionType(_row.__code__, _FLOAT_FUNCTIONS, _name)


def contributed(upstream: Any, local_gradient: Any, routes: bool) -> Any:
    """What `+=` adds to a parent: their product, where a zero stops and, if the operation routes, a shut way too.

    >>> contributed(0.0, math.inf, False), contributed(math.inf, 0.0, True), contributed(2.0, 3.0, False)
    (0.0, 0.0, 6.0)
    """
    if type(upstream) is float and not hasattr(local_gradient, "shape"):
        return upstream * local_gradient if upstream and (local_gradient or not routes) else 0.0
    product = contribution(upstream, local_gradient)
    return where(local_gradient, product, 0.0) if routes else product


# NumPy's names for the same functions: `np.arcsin(array_of_values)` calls the method `arcsin` of each.
NUMPY_NAMES: Final[dict[Operation, str]] = {
    **{add: "add", sub: "subtract", mul: "multiply", div: "divide", neg: "negative", abs: "absolute"},
    **{mod: "remainder", floordiv: "floor_divide", pow: "power"},
    **{asin: "arcsin", acos: "arccos", atan: "arctan", atan2: "arctan2"},
    **{asinh: "arcsinh", acosh: "arccosh", atanh: "arctanh"},
    **{
        operation: operation.name
        for operation in (
            *(square, sqrt, cbrt, hypot, exp, exp2, expm1, log, log2, log10, log1p),
            *(sin, cos, tan, sinh, cosh, tanh, maximum, minimum, where, sign, floor, ceil),
            *(less, less_equal, greater, greater_equal, equal, not_equal),
        )
    },
}

# On arrays some others in terms of these, since an array takes both branches of an `if`.
ARRAY_FORMS: Final[dict[Operation, Callable[..., Any]]] = {
    sigmoid: lambda x: where(greater_equal(x, 0.0), 1.0, exp(-abs(x))) / (1 + exp(-abs(x))),
    softplus: lambda x: maximum(x, 0.0) + log1p(exp(-abs(x))),
    logsigmoid: lambda x: -softplus(-x),
    silu: lambda x: x * sigmoid(x),
    relu: lambda x: maximum(x, 0.0),
    leaky_relu: lambda x, slope: where(greater(x, 0.0), x, slope * x),
    elu: lambda x, alpha: where(greater(x, 0.0), x, alpha * expm1(minimum(x, 0.0))),
    clamp: lambda x, low, high: minimum(maximum(x, low), high),
    share: lambda x, y: where(equal(x, y), 0.5, greater(x, y)),
    contribution: lambda upstream, local: where(upstream, upstream * local, 0.0),
}
