"""The rules as text: run a local-gradient function on names instead of numbers and read what it does.

    >>> from microgrannd.operations import div, tanh
    >>> rules(tanh)
    ('1 - out * out',)
    >>> rules(div, "a", "b", out="c")
    ('1 / b', '-c / b')

The text comes from the row of the table that computes, so it cannot disagree with it. This room may
import the operations only.
"""

from __future__ import annotations

from typing import Any, Final

from microgrannd import operations
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import FusedOperation, Operation

_ATOM, _POWER, _SIGN, _PRODUCT, _SUM, _COMPARISON = 5, 4, 3, 2, 1, 0
_INFIX: Final = {
    **dict.fromkeys(["<", "<=", ">", ">=", "==", "!="], _COMPARISON),
    **dict.fromkeys(["+", "-"], _SUM),
    **dict.fromkeys(["*", "×", "/", "//", "%"], _PRODUCT),
    "**": _POWER,
}


class Formula(Arithmetic):
    """A piece of text that takes part in arithmetic; operators and operations write it down."""

    __slots__ = ("precedence", "text")

    def __init__(self, text: str, precedence: int = _ATOM) -> None:
        self.text = text
        self.precedence = precedence

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Formula:
        """The operation on formulas and numbers as text, with the brackets it needs and no others."""
        return formula(operation, *arguments)

    def __str__(self) -> str:
        return self.text


def formula(operation: Operation, *inputs: Any) -> Formula:
    """An operation written out: `formula(mul, "a", "b")` is `a * b`, `formula(tanh, "z")` is `tanh(z)`."""
    operands = [x if isinstance(x, Formula) else Formula(x if isinstance(x, str) else f"{x:.6g}") for x in inputs]
    symbol = operation.symbol
    if operation is operations.neg:
        return Formula("-" + _within(operands[0], _SIGN), _SIGN)
    if symbol in _INFIX and len(operands) == 2:
        precedence = _INFIX[symbol]
        tighter = precedence if symbol in ("+", "*", "×") else precedence + 1
        left, right = operands if symbol != "**" else (operands[0], operands[1])
        left_needs = precedence + 1 if symbol == "**" or precedence == _COMPARISON else precedence
        return Formula(f"{_within(left, left_needs)} {symbol} {_within(right, tighter)}", precedence)
    if symbol == "abs":
        return Formula(f"|{operands[0]}|")
    return Formula(f"{operation.name}({', '.join(map(str, operands))})")


def _within(operand: Formula, precedence: int) -> str:
    """The operand's text, in brackets where its own operator binds less tightly than `precedence`."""
    return operand.text if operand.precedence >= precedence else f"({operand})"


def rules(operation: Operation, *inputs: str, out: str = "out") -> tuple[str, ...]:
    """The local gradients of an operation as text, one for each input.

    `inputs` names the inputs (as the operation's own row does, by default) and `out` its result.

    >>> rules(operations.sigmoid, "z", out="a")
    ('a * (1 - a)',)
    >>> rules(operations.dot, "w1", "w2", "x1", "x2")
    ('x1', 'x2', 'w1', 'w2')
    """
    inputs = inputs or input_names(operation, 2 * getattr(operation, "vectors", 1))
    local_gradients = operation.local_gradients(*map(Formula, inputs), Formula(out))
    return tuple(str(x) if isinstance(x, Formula) else f"{x:.6g}" for x in local_gradients)


def input_names(operation: Operation, count: int) -> tuple[str, ...]:
    """The names of the inputs as the operation's own row has them, `count` of them for a fused one.

    >>> input_names(operations.where, 3)
    ('condition', 'x', 'y')
    """
    if isinstance(operation, FusedOperation):
        size = count // operation.vectors
        names = [f"{letter}{i + 1}" for letter in "xy"[: operation.vectors] for i in range(size)]
        return (*names, *["b"] * (count - len(names)))
    code = operation.local_gradients.__code__
    return code.co_varnames[: code.co_argcount - 1]


def local_gradients_in_words(node: Any) -> tuple[str, ...]:
    """The local gradients of a node as text, one for each parent, in the parents' labels.

    >>> from microgrannd import Value
    >>> a, b = Value(2.0, label="a"), Value(5.0, label="b")
    >>> local_gradients_in_words(a * b)
    ('b', 'a')
    """
    if node.op is None:
        return ()
    names = input_names(node.op, len(node.parents))
    named = [parent.label or name for parent, name in zip(node.parents, names, strict=True)]
    return rules(node.op, *named, out=node.label or "out")


def in_words(node: Any) -> str:
    """What a node computed from what, for messages: `y = exp(x=2.0)`."""
    inputs = [f"{p.label}={x!r}" if p.label else repr(x) for p, x in zip(node.parents, node.inputs, strict=True)]
    shown = inputs if len(inputs) <= 8 else [*inputs[:8], f"... {len(inputs) - 8} more"]
    return f"{node.label + ' = ' if node.label else ''}{node.op.name}({', '.join(shown)})"


def place_in_words(node: Any) -> str:
    """Where a node was made, for messages: its scope and its line, as far as they are known."""
    where = f" in {node.scope}" if node.scope else ""
    return where + (f", made at {node.line}" if node.line else "")
