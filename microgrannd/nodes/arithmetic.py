"""What it takes to be computed with: operators, comparisons and methods, thin doors to the operations table.

A class inherits them and says in `record` what an operation on its objects is. It may overrule `_unary`, `_binary` and
`_compared` to be quicker. Type checkers read `arithmetic.pyi`, which `python -m docs.build stubs` writes.
"""

import operator
from collections.abc import Callable
from math import inf
from typing import Any, Final, Self

from microgrannd import operations as ops
from microgrannd.nodes.refusing import no_number
from microgrannd.operations import TABLE, Operation

# The rows that are Python's operators, by the names of their special methods.
OPERATORS: Final = {
    **{"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "pow": ops.pow},
    **{"floordiv": ops.floordiv, "mod": ops.mod},
}
COMPARED: Final = {
    **{"eq": ops.equal, "ne": ops.not_equal},
    **{"lt": ops.less, "le": ops.less_equal, "gt": ops.greater, "ge": ops.greater_equal},
}


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

    def __neg__(self) -> Self:
        return self._unary(ops.neg)

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

    def clip(self, low: Any = -inf, high: Any = inf) -> Self:
        """NumPy's name for `clamp`."""
        return ops.clamp(self, low, high)


def method(operation: Operation) -> Callable[..., Any]:
    """A row as a method of its first input."""
    if len(operation.inputs) == 1:
        return _named(operation.name, lambda self: self._unary(operation))
    return _named(operation.name, lambda self, *others: operation(self, *others))


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__, function.__qualname__ = name, f"Arithmetic.{name}"
    return function


def _add_operators(name: str, row: Operation) -> None:
    setattr(Arithmetic, f"__{name}__", _named(f"__{name}__", lambda self, other: self._binary(row, other)))
    setattr(Arithmetic, f"__r{name}__", _named(f"__r{name}__", lambda self, other: self._reflected(row, other)))


def _add_comparison(name: str, row: Operation) -> None:
    holds = getattr(operator, name)
    setattr(Arithmetic, f"__{name}__", _named(f"__{name}__", lambda self, other: self._compared(row, holds, other)))


for _name, _row in OPERATORS.items():
    _add_operators(_name, _row)
for _name, _row in COMPARED.items():
    _add_comparison(_name, _row)


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
