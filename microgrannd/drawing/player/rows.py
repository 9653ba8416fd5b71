"""The rows of the table that a graph uses, in JavaScript: what a page needs to run both passes by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrannd.compiler.tape.expand import Written, expanded
from microgrannd.compiler.tape.tape import Rewriter, Tape, TapeOperand
from microgrannd.drawing.picture.picture import gate_text
from microgrannd.drawing.player import wording
from microgrannd.drawing.player.remarks import SATURATED
from microgrannd.engine import Value
from microgrannd.operations import Operation, relu
from microgrannd.printing.javascript import JAVASCRIPT, javascript_functions
from microgrannd.printing.labels import in_picture
from microgrannd.printing.printer import Expression

_CALLED: Final = re.compile(r"\w+(?=\()")


class PrintedRows(NamedTuple):
    """`script` defines ROWS, which has a row for each operation and number of inputs; `of_node` says which."""

    script: str
    of_node: list[int | None]  # None for leaves
    shown: list[dict[str, Any]]  # of each row, what the page says of it
    strange: tuple[str, ...]  # operations that JavaScript cannot have: then there are no rows, and nothing can change


def printed_rows(order: Sequence[Value]) -> PrintedRows:
    places: dict[tuple[Operation, int], int] = {}
    of_node: list[int | None] = []
    for node in order:
        key = (node.op, len(node.parents)) if node.op else None
        of_node.append(places.setdefault(key, len(places)) if key else None)
    written: list[str] = []
    strange: dict[str, None] = {}
    for operation, count in places:
        try:
            written.append(_row(operation, count))
        except (TypeError, ValueError, AttributeError):
            strange[in_picture(operation.name)] = None
    shown = [_shown(operation, count) for operation, count in places]
    text = "" if strange else ",\n".join(written)
    return PrintedRows("\n".join([*_definitions(text), f"const ROWS = [{text}];"]), of_node, shown, tuple(strange))


def _row(operation: Operation, count: int) -> str:
    """An object of two functions: the value from the inputs `x`, and the local gradients from them and `out`."""
    inputs = tuple(f"x[{i}]" for i in range(count))
    value = _traced(inputs, lambda xs: [xs[0].record(operation, tuple(xs))] if xs else [operation.forward()])
    slopes = _traced((*inputs, "out"), lambda xs: operation.local_gradients(*xs))
    if len(slopes.outputs) != count:
        raise ValueError(f"{operation!r} gives {len(slopes.outputs)} local gradients for {count} inputs.")
    returned = ", ".join(_operand(slopes, x).text() for x in slopes.outputs)
    return (
        f"{{\nvalue(x) {{\n{_lines(value)}return {_operand(value, value.outputs[0]).text()};\n}},\n"
        f"slopes(x, out) {{\n{_lines(slopes)}return [{returned}];\n}} }}"
    )


def _shown(operation: Operation, count: int) -> dict[str, Any]:
    formula, rules = wording.templates(operation, count)
    return {
        "name": in_picture(operation.name),
        "gate": gate_text(operation),
        "count": count,
        "routes": operation.routes,
        "formula": formula,
        "rules": rules,
        "small_print": operation.small_print,
        "saturated": SATURATED.get(operation, 0.0),
        "dead": operation is relu,
    }


def _traced(inputs: tuple[str, ...], function: Callable[[list[Any]], Sequence[Any]]) -> Tape:
    """What the function does with its inputs, in operations that JavaScript has."""
    writer = Rewriter(Tape(inputs, (), (), ()), ())
    results = function([Written(writer, i) for i in range(len(inputs))])
    outputs = tuple([x.place if isinstance(x, Written) else float(x) for x in results])
    return expanded(Tape(inputs, (), tuple(writer.instructions), outputs), JAVASCRIPT.templates)


def _lines(tape: Tape) -> str:
    lines = []
    for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
        written = JAVASCRIPT.expression(operation, [_operand(tape, x) for x in operands])
        lines.append(f"const v{v} = {written.text()};\n")
    return "".join(lines)


def _operand(tape: Tape, x: TapeOperand) -> Expression:
    if isinstance(x, float):
        return JAVASCRIPT.number(x)
    return Expression(tape.inputs[x] if x < tape.leaves else f"v{x}")


def _definitions(text: str) -> list[str]:
    called = set(_CALLED.findall(text))
    return [definition for name, definition in javascript_functions().items() if name in called]
