"""What is drawn: a `Picture` of boxes and edges, made from the graph under some Values, without coordinates.

A box's id is its position in the graph (`n12`), an edge's that of its target and which parent it comes from (`e12-0`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.engine import Value, topological_order
from microgrannd.nodes import notation
from microgrannd.operations import Operation, contributed

GATES: Final = {
    **{"*": "×", "-": "−", "neg": "−", "/": "÷", "abs": "|x|", "sum": "Σ", "sqrt": "√"},
    **{"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"},
}


@dataclass(frozen=True, slots=True)
class Detail:
    values: bool = True
    gradients: bool = True
    rules: bool = False  # the local gradients, written on the edges
    precision: int = 4  # significant digits
    highlight: frozenset[Value] = frozenset()

    def available(self, order: Sequence[Value]) -> Detail:
        """The same without gradients where backward() has not run: all of them are zero then."""
        return replace(self, gradients=self.gradients and any(value.grad != 0.0 for value in order))


USUAL: Final = Detail()


@dataclass(slots=True)
class Box:
    id: str
    kind: str  # "leaf", "constant", "operation", "fold" or "gradient"
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
    room: int = 0  # digits that its numbers have room for


@dataclass(slots=True)
class Edge:
    id: str
    source: int  # the parent's position in `Picture.nodes`
    target: int
    rule: str = ""  # the local gradient, as formula and number
    strength: float = 0.0
    idle: bool = False  # nothing flows back through it
    kind: str = ""  # "" or, in the picture of the backward pass, "gradient" or "used"
    count: int = 1


@dataclass(slots=True)
class Picture:
    nodes: list[Box]
    edges: list[Edge]
    title: str
    description: str
    values: list[Value] = field(default_factory=list)
    ranks: list[int] | None = None  # where the ranks are not simply the longest paths
    lanes: list[int] | None = None  # nodes of a lower lane lie beside those of a higher one, never among them
    beside: list[tuple[int, int]] = field(default_factory=list)  # nodes that belong together, without an edge
    caption: str = ""
    unfolds: Unfolding | None = None  # where boxes stand for many nodes


class Unfolding(NamedTuple):
    """What a page needs to open the boxes of a folded picture."""

    roots: Sequence[Value]
    detail: Detail
    depth: int | None  # how many levels of scopes are open at first; None: as many as are readable
    backward: Mapping[Value, str]  # the nodes of a backward pass, with the names of gradients


def picture(roots: Sequence[Value], detail: Detail = USUAL) -> Picture:
    """The whole graph under the roots, a box for each Value, an edge for each use of one."""
    order = topological_order(*roots)
    position = {value: i for i, value in enumerate(order)}
    outputs = set(roots)
    detail = detail.available(order)
    scale = Strength(value.grad for value in order) if detail.gradients else None
    nodes: list[Box] = []
    edges: list[Edge] = []
    for i, value in enumerate(order):
        box = box_of(value, i, detail)
        box.output = value in outputs
        if scale and box.gradient:
            box.strength = scale(value.grad)
        nodes.append(box)
        edges += _edges_into(value, i, position, scale, detail)
    title, description = title_and_description(roots, order, detail.gradients)
    return Picture(nodes, edges, title, description, order)


def _edges_into(value: Value, i: int, position: dict[Value, int], scale: Strength | None, detail: Detail) -> list[Edge]:
    """An edge from each parent, as strong as the contribution that flows back through it."""
    edges = [Edge(f"e{i}-{k}", position[parent], i) for k, parent in enumerate(value.parents)]
    if value.op is None or not (scale or detail.rules):
        return edges
    local_gradients = [float(x) for x in value.op.local_gradients(*value.inputs, value.data)]
    if scale:
        for edge, local in zip(edges, local_gradients, strict=True):
            flow = contributed(value.grad, local, value.op.routes)
            edge.strength, edge.idle = scale(flow), flow == 0.0
    if detail.rules:
        formulas = _local_gradients_in_words(value, detail.precision)
        for edge, parent, formula, local in zip(edges, value.parents, formulas, local_gradients, strict=True):
            if not parent.is_constant:
                edge.rule = _rule(formula, numeral(local, detail.precision))
    return edges


class Strength:
    """How strongly a gradient is drawn: 1 for the largest, less by a tenth for each factor of two below."""

    def __init__(self, gradients: Iterable[float]) -> None:
        self.largest = max((abs(g) for g in gradients if math.isfinite(g)), default=0.0)

    def __call__(self, gradient: float) -> float:
        if gradient == 0.0:
            return 0.0
        if not math.isfinite(gradient) or not self.largest:
            return 1.0
        # frexp, not log: the same on every machine.
        octaves = math.frexp(self.largest)[1] - math.frexp(gradient)[1]
        return max(0.1, 1.0 - octaves / 10)


def gate_text(operation: Operation) -> str:
    return shortened(GATES.get(operation.symbol, operation.symbol), 16)


def kind_of(value: Value) -> str:
    return "operation" if value.op is not None else "constant" if value.is_constant else "leaf"


def title_and_description(roots: Sequence[Value], order: Sequence[Value], gradients: bool) -> tuple[str, str]:
    operations = Counter(value.op.name for value in order if value.op is not None)
    leaves = [value for value in order if kind_of(value) == "leaf"]
    named = [leaf for leaf in leaves[:8] if leaf.label]
    names = ", ".join(shortened(leaf.label) for leaf in named)
    outputs = ", ".join(f"{shortened(root.label) or 'output'} = {numeral(root.data)}" for root in roots[:4])
    outputs += ", …" if len(roots) > 4 else ""
    counted = ", ".join(f"{count} {name}" for name, count in operations.most_common())
    description = f"{plural(len(leaves), 'leaf', 'leaves')}{f' ({names})' if names else ''}; " + (
        f"{plural(operations.total(), 'operation')} ({counted}). " if operations else "no operations. "
    )
    if gradients:
        shown = [f"{shortened(leaf.label)}: {numeral(leaf.grad)}" for leaf in named]
        description += f"Gradients of the leaves: {', '.join(shown)}." if shown else "Gradients are shown."
    else:
        description += "No gradients: backward() has not run, or they are not shown."
    return f"Computation graph of {outputs}", description


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def box_of(value: Value, i: int, detail: Detail) -> Box:
    kind = kind_of(value)
    return Box(
        id=f"n{i}",
        kind=kind,
        gate=gate_text(value.op) if value.op is not None else "",
        label=shortened(value.label),
        value=numeral(value.data, detail.precision) if detail.values or kind == "constant" else "",
        gradient=numeral(value.grad, detail.precision) if detail.gradients and kind != "constant" else "",
        title=_title(value, detail.gradients),
        highlighted=value in detail.highlight,
    )


def _title(value: Value, gradients: bool) -> str:
    exact = numeral(value.data, 12)
    parts = [f"{_spelled(value)} = {exact}" if value.op is not None or value.label else exact]
    if gradients and not value.is_constant:
        parts.append(f"gradient {numeral(value.grad, 12)}")
    parts.extend(filter(None, (value.scope, value.line)))
    return "; ".join(parts)


def _spelled(value: Value) -> str:
    if value.op is None:
        return value.label or numeral(value.data)
    names = [parent.label or numeral(x) for parent, x in zip(value.parents[:9], value.inputs, strict=False)]
    cut = f"{value.op.name}({', '.join(names[:8])}, … {len(value.parents) - 8} more)"
    text = cut if len(value.parents) > 8 else str(notation.formula(value.op, *names))
    return f"{value.label} = {text}" if value.label else text


def _local_gradients_in_words(value: Value, precision: int) -> tuple[str, ...]:
    assert value.op is not None
    names = []
    for parent, x in zip(value.parents, value.inputs, strict=True):
        text = numeral(x, precision)
        names.append(parent.label or (f"({text})" if text.startswith("−") else text))
    return notation.rules(value.op, *names, out=value.label or "out")


def _rule(formula: str, number: str) -> str:
    plain = formula.replace("-", "−")
    return f"∂ {number}" if plain.strip("()") == number else f"∂ {shortened(plain, 40)} = {number}"
