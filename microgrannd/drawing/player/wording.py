"""The nodes of a graph in words, from the operations' own rows, run on names or on written numbers."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Final, NamedTuple, TypeAlias

from microgrannd import operations
from microgrannd.calculus.book_names import BookName, names_in_neurons
from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.drawing.picture.picture import kind_of
from microgrannd.engine import Value
from microgrannd.nodes import notation
from microgrannd.nodes.notation import Formula
from microgrannd.operations import Operation, add, div, mul
from microgrannd.printing.labels import in_picture
from microgrannd.printing.precedence import ATOM, SIGN

LONGEST_LABEL: Final = 80  # characters of a label that are kept
LONGEST_NAME: Final = 14  # of an expression that serves as the name of a node without a label
LONGEST_TITLE: Final = 50  # of a part of the expression that is the title
WORDED: Final = 1500  # nodes; those of a larger graph have names and no formulas, and its events no words
TERMS: Final = 6  # of a long sum that are written out
# Texts and, between, the places of numbers: ~k for one that has brackets if it is negative.
Template: TypeAlias = list[str | int]
_PLACE: Final = re.compile("\ue000(\\d+)\ue001")
_MINUS: Final = re.compile(r"(?<!\S)-|(?<=[(|])-")  # the operator, not a hyphen within a label


class Described(NamedTuple):
    name: str
    path: str  # the name with its scope, where the name alone is ambiguous
    short: str  # in a network as in the books: w¹₂₃, b¹₂, z¹₂, a¹₂; else the name
    kind: str  # "leaf", "constant" or "operation"
    operation: str
    formula: str
    local_gradients: tuple[str, ...]
    parents: tuple[int, ...]
    scope: str
    line: str
    routes: bool  # where its local gradient is zero, not even an infinite upstream gets through


def described(order: Sequence[Value]) -> Iterator[Described]:
    position = {node: i for i, node in enumerate(order)}
    names: dict[Value, Formula] = {}
    worded = len(order) <= WORDED
    of_neurons = names_as_in_books(order)
    for i, node in enumerate(order):
        if not node.label and node in of_neurons:
            names[node] = Formula(str(of_neurons[node]))
            continue
        names[node] = _name(node, i, [names[parent] for parent in node.parents] if worded else None)
    uses = Counter(map(str, names.values()))
    for node, name in names.items():
        operands = [names[parent] for parent in node.parents]
        scoped = node.scope and node.label and uses[str(name)] > 1
        yield Described(
            name=str(name),
            path=f"{in_picture(node.scope)}.{name}" if scoped else str(name),
            short=str(of_neurons.get(node, name)),
            kind=kind_of(node),
            operation=in_picture(node.op.name) if node.op else "",
            formula=_written(_formula(node.op, operands)) if node.op and worded else "",
            local_gradients=_local_gradients(node.op, operands, name) if node.op and worded else (),
            parents=tuple(position[parent] for parent in node.parents),
            scope=in_picture(node.scope),
            line=in_picture(node.line),
            routes=node.op is not None and node.op.routes,
        )


def names_as_in_books(order: Sequence[Value]) -> dict[Value, BookName]:
    """What a network's parts are called: w¹₂₃, b¹₂, z¹₂, a¹₂, x₃. A constant is called by its number."""
    return {node: name for node, name in names_in_neurons(order).items() if not node.is_constant}


def title(order: Sequence[Value]) -> str:
    """The whole expression, as far as it is short; otherwise with the names of some of its parts."""
    texts: dict[Value, Formula] = {}
    of_neurons = names_as_in_books(order)
    shown = set(order) if len(order) <= WORDED else {*order[-1].parents, order[-1]}
    outside = {parent for node in shown for parent in node.parents} - shown
    for i, node in enumerate(order):
        if node in outside:
            texts[node] = Formula(str(of_neurons.get(node, f"v{i}")))
        if node not in shown:
            continue
        operands = [texts[parent] for parent in node.parents]
        if node.op is not None:
            expression = _formula(node.op, operands)
        else:
            expression = _name(node, i, []) if node.label or node not in of_neurons else Formula(str(of_neurons[node]))
        if i < len(order) - 1 and (node.label or len(str(expression)) > LONGEST_TITLE):
            expression = Formula(shortened(node.label, LONGEST_LABEL) or str(of_neurons.get(node, f"v{i}")))
        texts[node] = expression
    output = order[-1]
    text = _written(texts[output])
    label = shortened(output.label, LONGEST_LABEL)
    return f"{label} = {text}" if label and output.op is not None else text


def formula_in_numbers(node: Value) -> str:
    """How the node was computed, in its inputs' numbers.

    >>> formula_in_numbers(Value(-2.0) + 5)
    '−2 + 5'
    """
    assert node.op is not None
    return _written(_formula(node.op, [_numeral(x) for x in node.inputs]))


def local_gradients_in_numbers(node: Value) -> tuple[str, ...]:
    """The local gradients, one for each parent, in numbers.

    >>> local_gradients_in_numbers(Value(0.0).sigmoid())
    ('0.5 * (1 − 0.5)',)
    """
    assert node.op is not None
    return _local_gradients(node.op, [_numeral(x) for x in node.inputs], _numeral(node.data))


def templates(operation: Operation, count: int) -> tuple[Template, list[Template]]:
    """How a row with so many inputs is written in numbers, and its rules; the place after the inputs' is the result's.

    >>> templates(operations.pow, 2)[0]
    ['', -1, ' ** ', -2, '']
    """
    places = [(_place(i, ATOM), _place(i, SIGN)) for i in range(count + 1)]
    (*inputs, out), (*negative, negative_out) = zip(*places, strict=True)
    formula = _template(_written(_formula(operation, inputs)), _written(_formula(operation, negative)))
    rules = _local_gradients(operation, inputs, out), _local_gradients(operation, negative, negative_out)
    return formula, list(map(_template, *rules))


def _place(i: int, precedence: int) -> Formula:
    return Formula(f"\ue000{i}\ue001", precedence)


def _template(plain: str, negative: str) -> Template:
    """From a text with places for numbers, and the same where these are negative and have brackets if need be."""
    texts, of_negative = _PLACE.split(plain), _PLACE.split(negative)
    found: Template = [texts[0]]
    bracketed = 0
    for k in range(1, len(texts), 2):
        bracketed = len(of_negative[k - 1]) - len(texts[k - 1]) - bracketed
        place = int(texts[k])
        found += [~place if bracketed else place, texts[k + 1]]
    return found


def _name(node: Value, i: int, operands: list[Formula] | None) -> Formula:
    """The label; else a number, or a short expression in the operands; else v and the position in the graph."""
    if label := shortened(node.label, LONGEST_LABEL):
        return Formula(label)
    if node.op is None:
        return _numeral(node.data) if node.is_constant else Formula(f"v{i}")
    if operands is None:
        return Formula(f"v{i}")
    expression = _formula(node.op, operands)
    text = _written(expression)
    return Formula(text, expression.precedence) if len(text) <= LONGEST_NAME else Formula(f"v{i}")


def _numeral(x: float) -> Formula:
    """A number in a formula, with brackets where its sign would be misread."""
    text = numeral(x)
    return Formula(f"-{text[1:]}", SIGN) if text.startswith("−") else Formula(text)


def _formula(operation: Operation, operands: Sequence[Formula]) -> Formula:
    """How it is computed; the fused operations as the sums that they stand for."""
    if operation not in (operations.sum, operations.mean, operations.dot):
        return notation.formula(operation, *_cut(operands))
    size = len(operands) // operation.vectors
    terms = operands[:size]
    if operation is operations.dot:
        products = [mul(x, y) for x, y in zip(terms, operands[size : 2 * size], strict=True)]
        terms = [*products, *operands[2 * size :]]
    if not terms:
        return Formula(operation.name + "()")
    total = reduce(add, _cut(terms))
    return div(total, size) if operation is operations.mean else total


def _cut(terms: Sequence[Formula]) -> list[Formula]:
    if len(terms) <= TERMS + 1:
        return list(terms)
    return [*terms[: TERMS - 1], Formula(f"… {len(terms) - TERMS} more …"), terms[-1]]


def _local_gradients(operation: Operation, operands: Sequence[Formula], out: Formula) -> tuple[str, ...]:
    """The local gradients as a textbook writes them; empty for a row that cannot be written."""
    try:
        gradients = operation.textbook(*operands, out)
    except (TypeError, ValueError, AttributeError):
        return ("",) * len(operands)
    return tuple(_written(g) if isinstance(g, Formula) else numeral(float(g)) for g in gradients)


def _written(formula: Formula) -> str:
    return _MINUS.sub("−", in_picture(str(formula)))
