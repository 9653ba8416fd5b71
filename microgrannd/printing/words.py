"""Words for people: formulas, and the rules of the table as text.

    >>> from microgrannd.operations import div, tanh
    >>> rules(tanh)
    ('1 - out * out',)
    >>> rules(div, "a", "b", out="c")
    ('1 / b', '-c / b')

The text comes from running the row on names instead of numbers, so it cannot disagree with what computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from microgrannd import operations
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import FusedOperation, Operation
from microgrannd.printing.precedence import ANY, ATOM, CHOICE, COMPARISON, POWER, PRODUCT, SUM
from microgrannd.printing.printer import COMPARISONS, Dialect, Expression, Pattern, called, infix, prefix

_INFIX: Final = {
    **{row.symbol: pattern for row, pattern in COMPARISONS.items()},
    **{symbol: infix(symbol, PRODUCT) for symbol in ("/", "//", "%")},
    **{symbol: infix(symbol, PRODUCT, "both") for symbol in ("*", "×")},
    **{"+": infix("+", SUM, "both"), "-": infix("-", SUM), "**": infix("**", POWER, "neither")},
}


def _call(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    if operation.symbol in _INFIX and len(operands) == 2:
        return _INFIX[operation.symbol](*operands)
    return called(name, operands)


WORDS: Final = Dialect(
    number=lambda x: Expression(f"{x:.6g}"),
    templates={
        operations.neg: prefix("-"),
        operations.abs: Pattern("|{}|", ATOM, (ANY,)),
        operations.where: Pattern("{1} if {0}, else {2}", CHOICE, (COMPARISON, COMPARISON, CHOICE)),
    },
    call=_call,
)


class Formula(Arithmetic):
    __slots__ = ("precedence", "text")

    def __init__(self, text: str, precedence: int = ATOM) -> None:
        self.text = text
        self.precedence = precedence

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Formula:
        return formula(operation, *arguments)

    def __str__(self) -> str:
        return self.text


def formula(operation: Operation, *inputs: Any) -> Formula:
    operands = [_operand(x) for x in inputs]
    template, precedence = _template(operation, tuple([x.precedence for x in operands]))
    return Formula(template.format(*[x.text for x in operands]), precedence)


@lru_cache(1000)
def _template(operation: Operation, precedences: Sequence[int]) -> tuple[str, int]:
    """The text with {0}, {1} ... for operands that bind so tightly, and how tightly the whole does."""
    name = operation.name.replace("{", "{{").replace("}", "}}")
    operands = [Expression(f"{{{i}}}", precedence) for i, precedence in enumerate(precedences)]
    written = WORDS.expression(operation, operands, name)
    return written.text(), written.precedence


def _operand(x: Any) -> Formula:
    if isinstance(x, Formula):
        return x
    return Formula(x if isinstance(x, str) else WORDS.number(x).template)


def rules(operation: Operation, *inputs: str, out: str = "out") -> tuple[str, ...]:
    """The local gradients of an operation as text, one for each input, as a textbook has them.

    `inputs` names the inputs (as the operation's own row does, by default) and `out` its result.

    >>> rules(operations.relu), rules(operations.pow, "a", "b")
    (('1 if x > 0, else 0',), ('b * a ** (b - 1)', 'a ** b * log(a)'))

    >>> rules(operations.sigmoid, "z", out="a")
    ('a * (1 - a)',)
    >>> rules(operations.dot, "w1", "w2", "x1", "x2")
    ('x1', 'x2', 'w1', 'w2')
    """
    inputs = inputs or input_names(operation, 2 * getattr(operation, "vectors", 1))
    return tuple(_operand(x).text for x in operation.textbook(*map(Formula, inputs), Formula(out)))


def input_names(operation: Operation, count: int) -> tuple[str, ...]:
    """The names of the inputs as the operation's own row has them, `count` of them for a fused one.

    >>> input_names(operations.where, 3)
    ('condition', 'x', 'y')
    """
    if isinstance(operation, FusedOperation):
        size = count // operation.vectors
        names = [f"{letter}{i + 1}" for letter in "xy"[: operation.vectors] for i in range(size)]
        return (*names, *["b"] * (count - len(names)))
    return operation.inputs
