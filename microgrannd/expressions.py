"""Expressions as text: `"(x + y) * z"` becomes a graph of Values. Nothing is ever evaluated as Python."""

import ast
import re
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final
from unicodedata import normalize

from microgrannd import operations
from microgrannd.engine import Constant, Operand, Value
from microgrannd.ground.arguments import must_be, shown, text
from microgrannd.ground.errors import ExpressionError
from microgrannd.nodes.notation import input_names
from microgrannd.operations import TABLE, FusedOperation, Number, Operation

CONSTANTS: Final = {"pi": 3.141592653589793, "e": 2.718281828459045}
ALIASES: Final = {"max": "maximum", "min": "minimum"}
ELSEWHERE: Final = {"ln": "log", "lg": "log10", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "sgn": "sign"}
LONGEST: Final = 10_000  # characters


def evaluate(expression: str, inputs: Mapping[str, Number] | None = None) -> Value:
    """The value of an expression as a Value, its names as leaves with the given numbers.

    The same name is the same leaf. Names without a number may be `pi` and `e`. Raises ExpressionError,
    which points at the column, for what is not understood.

    >>> y = evaluate("(x + y) * z", {"x": -2, "y": 5, "z": -4})
    >>> y.data
    -12.0
    >>> evaluate("max(x, 2) ** 0.5", {"x": 9}).data
    3.0
    """
    return _Reader(expression, {} if inputs is None else inputs).value()


class _Reader:
    """Goes through the syntax tree without recursion, children first."""

    def __init__(self, expression: str, inputs: Mapping[str, Number]) -> None:
        if not isinstance(expression, str):
            raise TypeError(f'An expression is a str, such as "(x + y) * z"; got {shown(expression)}.')
        must_be("inputs", inputs, Mapping)
        # On one line, without characters that a terminal cannot show.
        self.expression = re.sub(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", re.sub(r"\s", " ", expression))
        self.start = len(self.expression) - len(self.expression.lstrip())  # the parser takes no blanks before
        # The parser brings names into this normal form.
        self.leaves = {normalize("NFKC", text("A name", name)): Value(number, name) for name, number in inputs.items()}

    def value(self) -> Value:
        results: list[Operand] = []
        stack: list[tuple[ast.expr, bool]] = [(self._parsed(), False)]
        while stack:
            node, ready = stack.pop()
            operands = self._operands(node)
            if ready or not operands:
                first = len(results) - len(operands)
                results[first:] = [self._computed(node, results[first:])]
            else:
                stack.append((node, True))
                stack.extend((operand, False) for operand in reversed(operands))
        result = results.pop()
        return result if isinstance(result, Value) else Constant(result)

    def _parsed(self) -> ast.expr:
        text = self.expression[self.start :]
        if not text:
            raise self._error("The expression is empty.", 0)
        if len(text) > LONGEST:
            raise self._error(f"The expression has {len(text):,} characters, more than {LONGEST:,}.", 0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                return ast.parse(text, mode="eval").body
        except SyntaxError as error:
            # At its end, where something is missing, Python names no column.
            column = error.offset - 1 + self.start if error.offset else len(self.expression)
            product = re.search(r"(?<![\w.])(\d+\.?\d*) ?([^\W\d]\w*|\()", text)  # 2x, 2(x + 1)
            hint = f" A product needs its sign: {product[1]}*{product[2]}." if product else ""
            raise self._error(f"This is not an expression: {error.msg.split(';')[0]}.{hint}", column) from None
        except (RecursionError, MemoryError):
            raise self._error("The expression is nested too deeply.", 0) from None

    def _operands(self, node: ast.expr) -> list[ast.expr]:
        if isinstance(node, ast.Call):
            return node.args
        if not isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare):
            return []
        return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]

    def _computed(self, node: ast.expr, arguments: list[Operand]) -> Operand:
        match node:
            case ast.Constant(value=number) if isinstance(number, (int, float)) and not isinstance(number, bool):
                return self._number(node, number)
            case ast.Name(id=name):
                return self._leaf(node, name)
            case ast.BinOp() | ast.Compare(ops=[_]) if operation := _infix(node):
                return operation(*arguments)
            case ast.UnaryOp(op=ast.USub()):
                return operations.neg(*arguments)
            case ast.UnaryOp(op=ast.UAdd()):
                return arguments[0]
            case ast.Call():
                return self._called(node, arguments)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
            raise self._error("A power is written **, not ^, such as x**2.", node)
        known = "numbers, names, + - * / // % **, one comparison at a time, and calls of operations"
        raise self._error(f"This is not understood: an expression has {known}.", node)

    def _number(self, node: ast.expr, number: int | float) -> float:
        try:
            return float(number)
        except OverflowError:
            raise self._error("The number is too large for a float.", node) from None

    def _leaf(self, node: ast.expr, name: str) -> Operand:
        if name in self.leaves:
            return self.leaves[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        given = f"given are {', '.join(self.leaves)}" if self.leaves else "none are given"
        raise self._error(f"{name!r} has no number, such as {name}=1.5; {given}.", node)

    def _called(self, node: ast.Call, arguments: list[Operand]) -> Operand:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        operation = TABLE.get(ALIASES.get(name, name))
        if isinstance(node.func, ast.Constant):
            raise self._error(f"A product needs its sign: {node.func.value!r}*(...).", node)
        if operation is None:
            known = sorted([*TABLE, *ALIASES])
            near = [ELSEWHERE[name]] if name in ELSEWHERE else get_close_matches(name, known) or known
            raise self._error(f"{name or 'This'!r} is not an operation; try {', '.join(near)}.", node)
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self._error(f"{name} takes its inputs by position.", node)
        try:
            if not isinstance(operation, FusedOperation):
                self._check_count(node, operation, len(arguments))
                return operation(*arguments)
            return operation(*operation.split(tuple(arguments)))  # type: ignore[no-any-return]
        except (TypeError, ValueError, ArithmeticError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise self._error(f"{name}: {error}", node) from None

    def _check_count(self, node: ast.Call, operation: Operation, given: int) -> None:
        names = input_names(operation, 2)
        least = len(names) - sum(default is not None for default in operation.defaults)
        if not least <= given <= len(names):
            takes = f"{least}" if least == len(names) else f"{least} to {len(names)}"
            inputs = f"input{'s' if takes != '1' else ''} ({', '.join(names)})"
            raise self._error(f"{operation.name} takes {takes} {inputs}, got {given}.", node)

    def _error(self, message: str, place: ast.expr | int) -> ExpressionError:
        """At a column in characters, or at a part of the expression, whose column `ast` counts in bytes."""
        if isinstance(place, ast.expr):
            before = self.expression[self.start :].encode()[: place.col_offset]
            place = len(before.decode("utf-8", "ignore")) + self.start
        return ExpressionError(message, self.expression, place)


def _infix(node: ast.BinOp | ast.Compare) -> Operation | None:
    """The operation whose symbol stands between the operands."""
    x = ast.Name("x")
    alone = ast.BinOp(x, node.op, x) if isinstance(node, ast.BinOp) else ast.Compare(x, node.ops, [x])
    symbol = ast.unparse(alone).split()[1]
    return next((operation for operation in TABLE.values() if operation.symbol == symbol), None)
