"""What it takes to be computed with: operators, comparisons and methods, thin doors to the operations table.

A class inherits them and says in `record` what an operation on its objects is. Three methods more may be
overruled to be quicker: `_unary`, `_binary` and `_compared`. This room may import the operations.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from microgrannd import operations as ops
from microgrannd.nodes.refusing import no_number
from microgrannd.operations import Operation, add, div, floordiv, mod, mul, neg, sub


def _method(operation: Operation) -> Callable[[Any], Any]:
    """The method of an operation on one number."""

    def method(self: Any) -> Any:
        return self._unary(operation)

    return method


def _method_with_others(operation: Operation) -> Callable[..., Any]:
    """The method of an operation on several."""

    def method(self: Any, *others: Any) -> Any:
        return operation(self, *others)

    return method


class Arithmetic:
    """Whatever can be added, compared, and put through `tanh`."""

    __slots__ = ()

    def _unary(self, operation: Operation) -> Any:
        return operation(self)

    def _binary(self, operation: Operation, other: Any) -> Any:
        return operation(self, other)

    def _reflected(self, operation: Operation, other: Any) -> Any:
        return operation(other, self)

    def _compared(self, operation: Operation, holds: Callable[[Any, Any], bool], other: Any) -> Any:
        return operation(self, other)

    def __add__(self, other: Any) -> Any:
        return self._binary(add, other)

    def __radd__(self, other: Any) -> Any:
        return self._reflected(add, other)

    def __sub__(self, other: Any) -> Any:
        return self._binary(sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._reflected(sub, other)

    def __mul__(self, other: Any) -> Any:
        return self._binary(mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._reflected(mul, other)

    def __truediv__(self, other: Any) -> Any:
        return self._binary(div, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._reflected(div, other)

    def __floordiv__(self, other: Any) -> Any:
        return self._binary(floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._reflected(floordiv, other)

    def __mod__(self, other: Any) -> Any:
        return self._binary(mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._reflected(mod, other)

    def __pow__(self, other: Any) -> Any:
        return self._binary(ops.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return self._reflected(ops.pow, other)

    def __neg__(self) -> Any:
        return self._unary(neg)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._unary(ops.abs)

    # float() and its kin would lose the gradient without a word.

    def __float__(self) -> float:
        raise no_number("float", "y.data", "mg.exp instead of math.exp")

    def __int__(self) -> int:
        raise no_number("int", "int(y.data)", "mg.floor or mg.exp instead of math's")

    def __index__(self) -> int:
        raise no_number("int", "int(y.data)", "mg.where to choose by it")

    def __trunc__(self) -> int:
        raise no_number("int", "int(y.data)", "mg.floor instead of math's")

    def __round__(self, digits: int | None = None) -> float:
        raise no_number("int", "round(y.data)", "mg.floor(y + 0.5)")

    def __divmod__(self, other: Any) -> Any:
        raise no_number("int", "divmod(y.data, ...)", "y // x and y % x")

    __rdivmod__ = __divmod__

    # Identity is the object's, so that it lives in sets and dicts.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return self._compared(ops.equal, operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(ops.not_equal, operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compared(ops.less, operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(ops.less_equal, operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(ops.greater, operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(ops.greater_equal, operator.ge, other)

    # Methods, by our names and by NumPy's, so that np.exp(array_of_values) works

    abs = absolute = _method(ops.abs)
    neg = negative = _method(ops.neg)
    square = _method(ops.square)
    sqrt = _method(ops.sqrt)
    cbrt = _method(ops.cbrt)
    exp = _method(ops.exp)
    exp2 = _method(ops.exp2)
    expm1 = _method(ops.expm1)
    log = _method(ops.log)
    log2 = _method(ops.log2)
    log10 = _method(ops.log10)
    log1p = _method(ops.log1p)
    sin = _method(ops.sin)
    cos = _method(ops.cos)
    tan = _method(ops.tan)
    asin = arcsin = _method(ops.asin)
    acos = arccos = _method(ops.acos)
    atan = arctan = _method(ops.atan)
    sinh = _method(ops.sinh)
    cosh = _method(ops.cosh)
    tanh = _method(ops.tanh)
    asinh = arcsinh = _method(ops.asinh)
    acosh = arccosh = _method(ops.acosh)
    atanh = arctanh = _method(ops.atanh)
    erf = _method(ops.erf)
    erfc = _method(ops.erfc)
    sigmoid = _method(ops.sigmoid)
    logsigmoid = _method(ops.logsigmoid)
    softplus = _method(ops.softplus)
    relu = _method(ops.relu)
    gelu = _method(ops.gelu)
    silu = _method(ops.silu)
    sign = _method(ops.sign)
    step = _method(ops.step)
    floor = _method(ops.floor)
    ceil = _method(ops.ceil)
    stop_gradient = _method(ops.stop_gradient)

    add = _method_with_others(ops.add)
    sub = subtract = _method_with_others(ops.sub)
    mul = multiply = _method_with_others(ops.mul)
    div = divide = _method_with_others(ops.div)
    pow = power = _method_with_others(ops.pow)
    mod = remainder = _method_with_others(ops.mod)
    floordiv = floor_divide = _method_with_others(ops.floordiv)
    hypot = _method_with_others(ops.hypot)
    atan2 = arctan2 = _method_with_others(ops.atan2)
    maximum = _method_with_others(ops.maximum)
    minimum = _method_with_others(ops.minimum)
    clamp = clip = _method_with_others(ops.clamp)
    where = _method_with_others(ops.where)
    leaky_relu = _method_with_others(ops.leaky_relu)
    elu = _method_with_others(ops.elu)
