"""What is drawn: a `Picture` of boxes and edges, made from the graph under some Values.

A picture knows nothing of coordinates. Its nodes are in topological order, parents first, and a node's
id is its position in the graph (`n12`), an edge's the position of its target and which parent it comes
from (`e12-0`): the same graph gives the same picture. This room may import the engine and `lettering`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from microgrannd.drawing.picture.lettering import number, shortened
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.nodes import notation
from microgrannd.operations import Operation, contribution

GATES: Final = {
    **{"*": "×", "-": "−", "neg": "−", "/": "÷", "abs": "|x|", "sum": "Σ", "sqrt": "√"},
    **{"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"},
}


@dataclass(slots=True)
class Node:
    """A box: `kind` is "leaf", "constant", "operation", "fold" or "gradient"; empty texts are not drawn."""

    id: str
    kind: str
    gate: str = ""
    label: str = ""
    value: str = ""
    gradient: str = ""
    title: str = ""  # in full words, for a pointer that rests on it and for screen readers
    notes: tuple[str, ...] = ()
    output: bool = False
    highlighted: bool = False
    strength: float = 0.0  # |gradient| on a logarithmic scale from 0, none, to 1, the largest
    count: int = 1  # how many nodes of the graph it stands for
    position: int = -1  # in `Picture.values`, where it stands for one Value


@dataclass(slots=True)
class Edge:
    """From a parent to a node; `source` and `target` are positions in `Picture.nodes`."""

    id: str
    source: int
    target: int
    rule: str = ""  # the local gradient, as formula and number
    strength: float = 0.0
    idle: bool = False  # nothing flows back through it
    kind: str = ""  # "" or, in the picture of the backward pass, "gradient" or "used"
    count: int = 1


@dataclass(slots=True)
class Picture:
    """Nodes, edges, and in words what is to be seen."""

    nodes: list[Node]
    edges: list[Edge]
    title: str
    description: str
    values: list[Value] = field(default_factory=list)
    ranks: list[int] | None = None  # where the ranks are not simply the longest paths
    lanes: list[int] | None = None  # nodes of a lower lane lie beside those of a higher one, never among them
    beside: list[tuple[int, int]] = field(default_factory=list)  # nodes that belong together, without an edge
    caption: str = ""


def picture(
    roots: Sequence[Value],
    *,
    values: bool = True,
    gradients: bool = True,
    precision: int = 4,
    highlight: Iterable[Value] = (),
    rules: bool = False,
) -> Picture:
    """The whole graph under the roots, a box for each Value, an edge for each use of one.

    >>> x = Value(3.0, label="x")
    >>> [edge.id for edge in picture([x * x]).edges]
    ['e1-0', 'e1-1']
    """
    order = topological_order(*roots)
    position = {value: i for i, value in enumerate(order)}
    outputs, marked = set(roots), set(highlight)
    gradients = gradients and has_gradients(order)
    scale = Strength(value.grad for value in order) if gradients else None
    nodes: list[Node] = []
    edges: list[Edge] = []
    for i, value in enumerate(order):
        node = value_node(value, i, values, gradients, precision)
        node.output = value in outputs
        node.highlighted = value in marked
        if scale and node.gradient:
            node.strength = scale(value.grad)
        nodes.append(node)
        edges += _edges_into(value, i, position, scale, rules, precision)
    title, description = in_words(roots, order, gradients)
    return Picture(nodes, edges, title, description, order)


def _edges_into(
    value: Value, i: int, position: dict[Value, int], scale: Strength | None, rules: bool, precision: int
) -> list[Edge]:
    """An edge from each parent, as strong as the contribution that flows back through it."""
    edges = [Edge(f"e{i}-{k}", position[parent], i) for k, parent in enumerate(value.parents)]
    if value.op is None or not (scale or rules):
        return edges
    local_gradients = [float(x) for x in value.op.local_gradients(*value.inputs, value.data)]
    if scale:
        for edge, local in zip(edges, local_gradients, strict=True):
            shut = local == 0.0 and value.op.routes
            flow = 0.0 if shut else contribution.forward(value.grad, local)
            edge.strength, edge.idle = scale(flow), flow == 0.0
    if rules:
        formulas = _local_gradients_in_words(value, precision)
        for edge, parent, formula, local in zip(edges, value.parents, formulas, local_gradients, strict=True):
            if not isinstance(parent, Constant):
                edge.rule = _rule(formula, number(local, precision))
    return edges


def has_gradients(values: Iterable[Value]) -> bool:
    """Whether backward() has run: where every gradient is zero there is nothing to show."""
    return any(value.grad != 0.0 for value in values)


class Strength:
    """How strongly a gradient is drawn: 1 for the largest, less by a tenth for each factor of two below."""

    def __init__(self, gradients: Iterable[float]) -> None:
        self.largest = max((abs(g) for g in gradients if math.isfinite(g)), default=0.0)

    def __call__(self, gradient: float) -> float:
        """The strength of one gradient."""
        if gradient == 0.0:
            return 0.0
        if not math.isfinite(gradient) or not self.largest:
            return 1.0
        # frexp, not log: the same on every machine.
        octaves = math.frexp(self.largest)[1] - math.frexp(gradient)[1]
        return max(0.1, 1.0 - octaves / 10)


def gate(operation: Operation) -> str:
    """What is written on an operation's gate: `×` for `*`."""
    return shortened(GATES.get(operation.symbol, operation.symbol), 16)


def spelled(value: Value) -> str:
    """How the value was computed, in its parents' labels or numbers: `q = x + y`."""
    if value.op is None:
        return value.label or number(value.data)
    names = [parent.label or number(x) for parent, x in zip(value.parents[:9], value.inputs, strict=False)]
    if len(value.parents) > 8:
        text = f"{value.op.name}({', '.join(names[:8])}, … {len(value.parents) - 8} more)"
    else:
        text = str(notation.formula(value.op, *names))
    return f"{value.label} = {text}" if value.label else text


def in_words(roots: Sequence[Value], order: Sequence[Value], gradients: bool) -> tuple[str, str]:
    """A title and a description of the graph, for those who do not see it."""
    operations: dict[str, int] = {}
    for value in order:
        if value.op is not None:
            operations[value.op.name] = operations.get(value.op.name, 0) + 1
    leaves = [value for value in order if value.op is None and not isinstance(value, Constant)]
    names = ", ".join(shortened(leaf.label) for leaf in leaves[:8] if leaf.label)
    outputs = ", ".join(f"{shortened(root.label) or 'output'} = {number(root.data)}" for root in roots[:4])
    outputs += ", …" if len(roots) > 4 else ""
    counted = ", ".join(f"{count} {name}" for name, count in sorted(operations.items(), key=lambda item: -item[1]))
    description = f"{plural(len(leaves), 'leaf', 'leaves')}{f' ({names})' if names else ''}; " + (
        f"{plural(sum(operations.values()), 'operation')} ({counted}). " if operations else "no operations. "
    )
    if gradients:
        shown = [f"{shortened(leaf.label)}: {number(leaf.grad)}" for leaf in leaves[:8] if leaf.label]
        description += f"Gradients of the leaves: {', '.join(shown)}." if shown else "Gradients are shown."
    else:
        description += "No gradients: backward() has not run, or they are not shown."
    return f"Computation graph of {outputs}", description


def plural(count: int, one: str, many: str = "") -> str:
    """`1 leaf`, `2,000 leaves`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def value_node(value: Value, i: int, values: bool, gradients: bool, precision: int) -> Node:
    """The box of one Value, whose position in the graph is i."""
    label = shortened(value.label) if value.label else ""
    kind = "operation" if value.op is not None else "constant" if isinstance(value, Constant) else "leaf"
    shown = number(value._data, precision) if values or kind == "constant" else ""
    gradient = number(value._grad, precision) if gradients and kind != "constant" else ""
    return Node(
        id=f"n{i}",
        kind=kind,
        gate=gate(value.op) if value.op is not None else "",
        label=label,
        value=shown,
        gradient=gradient,
        title=_title(value, gradients),
        position=i,
    )


def _title(value: Value, gradients: bool) -> str:
    exact = number(value.data, 12)
    parts = [f"{spelled(value)} = {exact}" if value.op is not None or value.label else exact]
    if gradients and not isinstance(value, Constant):
        parts.append(f"gradient {number(value.grad, 12)}")
    parts.extend(filter(None, (value.scope, value.line)))
    return "; ".join(parts)


def _local_gradients_in_words(value: Value, precision: int) -> tuple[str, ...]:
    """The local gradients in the parents' labels, or in their numbers where they have none."""
    assert value.op is not None
    names = []
    for parent, x in zip(value.parents, value.inputs, strict=True):
        numeral = number(x, precision)
        names.append(parent.label or (f"({numeral})" if numeral.startswith("−") else numeral))
    return notation.rules(value.op, *names, out=value.label or "out")


def _rule(formula: str, numeral: str) -> str:
    plain = formula.replace("-", "−")
    return f"∂ {numeral}" if plain.strip("()") == numeral else f"∂ {shortened(plain, 40)} = {numeral}"
