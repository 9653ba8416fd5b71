"""What it takes to be computed with: operators, comparisons and methods, thin doors to the operations table.

A class inherits them and says in `record` what an operation on its objects is. Three methods more may be
overruled to be quicker: `_unary`, `_binary` and `_compared`. Type checkers see the methods of the rows in
`arithmetic.pyi`, which `python -m docs.build stubs` writes.
"""

import operator
import sys
from collections.abc import Callable
from math import inf
from typing import Any, Self, SupportsIndex

from microgrannd import operations as ops
from microgrannd.nodes.interpolation import interp
from microgrannd.nodes.refusing import no_number
from microgrannd.nodes.roots import root_of_squares
from microgrannd.operations import TABLE, Operation, add, div, equal, greater, less, less_equal, mul, neg, sub


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

    def __add__(self, other: Any) -> Self:
        return self._binary(add, other)

    def __radd__(self, other: Any) -> Self:
        return self._reflected(add, other)

    def __sub__(self, other: Any) -> Self:
        return self._binary(sub, other)

    def __rsub__(self, other: Any) -> Self:
        return self._reflected(sub, other)

    def __mul__(self, other: Any) -> Self:
        return self._binary(mul, other)

    def __rmul__(self, other: Any) -> Self:
        return self._reflected(mul, other)

    def __truediv__(self, other: Any) -> Self:
        return self._binary(div, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._reflected(div, other)

    def __floordiv__(self, other: Any) -> Self:
        return self._binary(ops.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._reflected(ops.floordiv, other)

    def __mod__(self, other: Any) -> Self:
        return self._binary(ops.mod, other)

    def __rmod__(self, other: Any) -> Self:
        return self._reflected(ops.mod, other)

    def __pow__(self, other: Any) -> Self:
        return self._binary(ops.pow, other)

    def __rpow__(self, other: Any) -> Self:
        return self._reflected(ops.pow, other)

    def __neg__(self) -> Self:
        return self._unary(neg)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
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
        return self._compared(equal, operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(ops.not_equal, operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compared(less, operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(less_equal, operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(greater, operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(ops.greater_equal, operator.ge, other)

    # What NumPy asks of the elements of an array.

    def conjugate(self) -> Self:
        """The Value itself, since it is real: for `np.var`, `np.vdot` and their like."""
        return self

    def sqrt(self) -> Self:
        """The square root; of a sum of squares that NumPy made, as in `np.linalg.norm` and `np.std`, a `norm`."""
        by_numpy = sys._getframe(1).f_globals.get("__name__", "").startswith("numpy.")
        norm = root_of_squares(self) if by_numpy else None
        return self._unary(ops.sqrt) if norm is None else norm

    @property
    def dtype(self) -> Any:
        """Nothing: a Value is no array. NumPy asks for it in `np.linalg.norm(x, ord=3)`."""
        raise AttributeError("A Value has no dtype. Write a norm of order p as mg.sum(abs(x) ** p) ** (1 / p).")

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        """NumPy's functions of a single Value: those that we have, and all others as they are."""
        ours = {"interp": interp, "sinc": ops.sinc}.get(function.__name__)
        return (ours or operator.attrgetter("_implementation")(function))(*arguments, **keywords)  # NumPy's own way

    def clip(self, low: Any = -inf, high: Any = inf) -> Self:
        """NumPy's name for `clamp`."""
        return ops.clamp(self, low, high)


def method(operation: Operation) -> Callable[..., Any]:
    """A row as a method of its first input."""

    def unary(self: Any) -> Any:
        return self._unary(operation)

    def general(self: Any, *others: Any) -> Any:
        return operation(self, *others)

    found = unary if len(operation.inputs) == 1 else general
    found.__name__, found.__qualname__ = operation.name, f"Arithmetic.{operation.name}"
    found.__doc__ = Explained(operation.about.partition(":")[0])
    found.__doc__.operation = operation
    return found


class Explained(str):
    """A method's `__doc__`: what its row is and, for `help`, all that the row says, worked out when it is asked for."""

    operation: Operation

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        """What `inspect.getdoc` asks a docstring for."""
        return str(self.operation.__doc__).expandtabs(tabsize)


def follow(operation: Operation) -> None:
    """Give Arithmetic a row's methods, by our name and by NumPy's; or take them, if the table has it no more.

    A `__getattr__` would find the rows that come later, too, but makes every attribute of every Value slow.
    """
    for name in {operation.name, operation.numpy} - {""}:
        if TABLE.get(operation.name) is not operation:
            if _added.pop(name, None) is operation:
                delattr(Arithmetic, name)
        elif not operation.vectors and not hasattr(Arithmetic, name):
            _added[name] = operation
            setattr(Arithmetic, name, method(operation))


_added: dict[str, Operation] = {}
# So that np.exp(array_of_values) works. Comparisons have their operators.
for _operation in TABLE.values():
    if not _operation.flag:
        follow(_operation)
TABLE.followers.append(follow)
