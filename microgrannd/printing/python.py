"""Python: the operators that give what eager mode gives bit for bit, and functions for everything else."""

import builtins
import keyword
import math
import operator
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from microgrannd import operations as ops
from microgrannd.ground import ieee
from microgrannd.ground.special import gamma, logarithms
from microgrannd.operations import Operation
from microgrannd.printing.precedence import ATOM, SIGN, SUM
from microgrannd.printing.printer import ARITHMETIC, Dialect, Expression, called, chain, over, times

OURS: Final = (ieee, gamma, logarithms)  # a printed function brings what it needs of them
RESERVED: Final = frozenset({*keyword.kwlist, *dir(builtins), *[name for module in OURS for name in dir(module)]})
_LONGEST_SUM: Final = 8


def python_number(x: float) -> Expression:
    """A number as an operand of an operator, where 2 does as well as 2.0."""
    if not math.isfinite(x):
        text = "nan" if x != x else "inf" if x > 0 else "-inf"
    else:
        text = repr(x).removesuffix(".0") if abs(x) < 1e15 and x else repr(x)
    return Expression(text, SIGN if text.startswith("-") else ATOM, of=x)


def exact(x: Expression) -> Expression:
    """An operand that may come out as it is: a float stays one."""
    return Expression(repr(x.of)) if isinstance(x.of, float) and math.isfinite(x.of) else x


def home(operation: Operation) -> ModuleType | None:
    """Where a program finds the function by its name: `math`, ours or `builtins`; None for one to be given to it."""
    name = operation.name
    if ops.TABLE.get(name) is not operation:
        return None
    forward = operation.on_vectors if isinstance(operation, ops.FusedOperation) else operation.forward
    if forward is getattr(operator, name, None) and hasattr(builtins, name):
        return builtins
    return next((module for module in (math, *OURS) if getattr(module, name, None) is forward), None)


def _quotient(x: Expression, y: Expression) -> Expression | None:
    return over(x, y) if isinstance(y.of, float) and y.of else None


def _dot(*operands: Expression) -> Expression | None:
    """A short one with a number to add to, as the sum that it is."""
    size = len(operands) // 2
    if len(operands) % 2 == 0 or size > _LONGEST_SUM:
        return None
    return chain("+", SUM, [operands[-1], *map(times, operands[:size], operands[size:-1])])


def _call(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    """A function of ours takes vectors as lists; one that is given takes numbers."""
    texts = [exact(x).text() for x in operands]
    if isinstance(operation, ops.FusedOperation) and home(operation):
        arguments = operation.split(tuple(texts))
        vectors = [f"[{', '.join(vector)}]" for vector in arguments[: operation.vectors]]
        texts = [*vectors, *arguments[operation.vectors :]]
    return called(name, map(Expression, texts))


PYTHON: Final = Dialect(
    number=python_number,
    templates={**ARITHMETIC, ops.div: _quotient, ops.dot: _dot},
    call=_call,
)
