"""Large graphs, folded: a few dozen boxes that stand for thousands of nodes, or for a million.

A box says how many nodes it stands for, of what kind, and how large their gradients are; the caption
says what was folded and how to unfold it. Which nodes go together, `grouping` says. This room may import
the engine, `graph`, `grouping` and `lettering`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from microgrannd.drawing.picture.graph import (
    Edge,
    Node,
    Picture,
    Strength,
    gate,
    has_gradients,
    in_words,
    plural,
    value_node,
)
from microgrannd.drawing.picture.grouping import WHOLE, Folding, Graph, chosen, without_cycles
from microgrannd.drawing.picture.lettering import number, shortened
from microgrannd.engine import Value, topological_order
from microgrannd.operations import Operation


def folded(
    roots: Sequence[Value],
    *,
    fold: str = "auto",
    depth: int | None = None,
    values: bool = True,
    gradients: bool = True,
    precision: int = 4,
    highlight: Iterable[Value] = (),
    slopes: Mapping[Value, str] | None = None,
) -> Picture | None:
    """The picture in boxes; None where the graph is small enough, or asked, to be drawn whole.

    `slopes` are the nodes that belong to a backward pass, each with the name of the gradient that it is,
    if it is one; they are not mixed with the others.

    >>> from microgrannd import scope
    >>> with scope("square"):
    ...     y = Value(2.0, label="x") ** 2 + 1
    >>> [node.label for node in folded([y.exp()], depth=0).nodes]
    ['x', 'square', '']
    """
    if fold == "none":
        return None
    order = topological_order(*roots)
    if fold == "auto" and depth is None and len(order) <= WHOLE:
        return None
    graph = Graph(order, roots, slopes or {})
    folding = chosen(graph, fold, depth)
    if len(set(folding.groups)) == len(order):
        return None
    folding = folding._replace(groups=without_cycles(graph, folding.groups))
    return _Boxes(graph, folding, values, gradients, precision, set(highlight)).picture()


@dataclass(slots=True)
class _Box:
    """What is known of a group: its nodes by kind, its gradients, its copies."""

    first: int
    name: str = ""
    last: int = 0
    nodes: int = 0
    leaves: int = 0
    constants: int = 0
    operations: dict[Operation, int] = field(default_factory=dict)
    total: float = 0.0  # of |gradient|, over all but the constants
    largest: float = 0.0
    scope: str | None = None
    names: list[str] = field(default_factory=list)
    copies: int = 1
    output: bool = False
    highlighted: bool = False

    def add(self, i: int, value: Value, constant: bool, scope: str) -> None:
        self.last = i
        self.nodes += 1
        if constant:
            self.constants += 1
            return
        if value.op is not None:
            self.operations[value.op] = self.operations.get(value.op, 0) + 1
        else:
            self.leaves += 1
            if value.label and len(self.names) < 3 and value.label not in self.names:
                self.names.append(value.label)
        magnitude = abs(value._grad)
        self.total += magnitude
        if magnitude > self.largest or magnitude != magnitude:
            self.largest = magnitude
        if self.scope is None:
            self.scope = scope
        elif self.scope and self.scope != scope:
            self.scope = _shared(self.scope, scope)


def _shared(first: str, second: str) -> str:
    """The scope that both lie in."""
    shared = []
    for one, other in zip(first.split("."), second.split("."), strict=False):
        if one != other:
            break
        shared.append(one)
    return ".".join(shared)


class _Boxes:
    """From groups to a picture."""

    def __init__(
        self,
        graph: Graph,
        folding: Folding,
        values: bool,
        gradients: bool,
        precision: int,
        highlight: set[Value],
    ) -> None:
        self.graph, self.groups, self.folding = graph, folding.groups, folding
        self.values, self.precision = values, precision
        self.gradients = gradients and has_gradients(graph.order)
        self.boxes: dict[int, _Box] = {}
        for i, (group, value) in enumerate(zip(self.groups, graph.order, strict=True)):
            box = self.boxes.get(group)
            if box is None:
                box = self.boxes[group] = _Box(i, name=folding.names.get(group, ""))
            box.add(i, value, graph.is_constant[i], graph.scopes[i])
            box.highlighted = box.highlighted or value in highlight
            if graph.slopes and len(box.names) < 3 and graph.slopes.get(value):
                box.names.append(graph.slopes[value])
        for root in graph.roots:
            self.boxes[self.groups[root]].output = True
        self.between = self._edges_between()
        if not folding.names:  # parts of a graph are no copies
            self._count_copies()

    def picture(self) -> Picture:
        order = self._order()
        place = {group: k for k, group in enumerate(order)}
        scale = Strength(box.largest for box in self.boxes.values())
        nodes = [self._node(self.boxes[group], scale) for group in order]
        edges = [
            Edge(f"e{nodes[place[target]].id}-{nodes[place[source]].id}", place[source], place[target], count=count)
            for (source, target), count in self.between.items()
        ]
        edges.sort(key=lambda edge: (edge.target, edge.source))
        roots = [self.graph.order[root] for root in self.graph.roots]
        title, description = in_words(roots, self.graph.order, self.gradients)
        caption = (
            f"{len(self.graph.order):,} nodes in {plural(len(nodes), 'box', 'boxes')}: {self.folding.how}. "
            f'To unfold: {self.folding.unfold}; fold="none" draws every node.'
        )
        return Picture(nodes, edges, title, f"{description} {caption}", self.graph.order, caption=caption)

    def _edges_between(self) -> dict[tuple[int, int], int]:
        between: dict[tuple[int, int], int] = {}
        groups = self.groups
        for i, parents in enumerate(self.graph.parents):
            target = groups[i]
            for parent in parents:
                source = groups[parent]
                if source != target:
                    between[source, target] = between.get((source, target), 0) + 1
        return between

    def _order(self) -> list[int]:
        """The groups, those that are computed from others after them."""
        waiting = dict.fromkeys(self.boxes, 0)
        after: dict[int, list[int]] = {group: [] for group in self.boxes}
        for source, target in self.between:
            waiting[target] += 1
            after[source].append(target)
        ready = [(self.boxes[group].first, group) for group, count in waiting.items() if not count]
        heapify(ready)
        order = []
        while ready:
            _, group = heappop(ready)
            order.append(group)
            for target in after[group]:
                waiting[target] -= 1
                if not waiting[target]:
                    heappush(ready, (self.boxes[target].first, target))
        return order

    def _count_copies(self) -> None:
        """A group falls into parts that do not touch; where all have the same operations, they are copies."""
        order, groups = self.graph.order, self.groups
        part = list(range(len(order)))
        for i, parents in enumerate(self.graph.parents):
            for parent in parents:
                if groups[parent] == groups[i] and order[parent].op is not None:
                    one, other = _part_of(i, part), _part_of(parent, part)
                    part[max(one, other)] = min(one, other)
        content: dict[int, dict[int, dict[str, int]]] = {}
        for i, value in enumerate(order):
            if value.op is not None:
                counts = content.setdefault(groups[i], {}).setdefault(_part_of(i, part), {})
                counts[value.op.name] = counts.get(value.op.name, 0) + 1
        for group, parts in content.items():
            contents = list(parts.values())
            if all(counts == contents[0] for counts in contents):
                self.boxes[group].copies = len(contents)

    def _node(self, box: _Box, scale: Strength) -> Node:
        if box.nodes == 1:
            node = value_node(self.graph.order[box.last], box.last, self.values, self.gradients, self.precision)
            node.output, node.highlighted = box.output, box.highlighted
            node.strength = scale(box.largest) if self.gradients else 0.0
            node.kind = "gradient" if self.graph.order[box.last] in self.graph.slopes else node.kind
            return node
        kinds = sorted(((op.name, count) for op, count in box.operations.items()), key=lambda kind: (-kind[1], kind[0]))
        counts = [f"{count:,} {name}" for name, count in kinds[:4]] + (["…"] if len(kinds) > 4 else [])
        counts += [plural(box.leaves, "leaf", "leaves")] if box.leaves else []
        counts += [plural(box.constants, "constant")] if box.constants else []
        notes = [f"{box.nodes:,} nodes", ", ".join(counts)] if box.operations else [", ".join(counts)]
        if box.copies > 1:
            notes[0] = f"×{box.copies:,} · {notes[0]}"
        if box.names:
            more = ", …" if len(box.names) == 3 and box.nodes > 3 else ""
            notes.append(shortened(", ".join(box.names) + more, 36))
        gradient = ""
        if self.gradients and box.nodes > box.constants:
            mean = number(box.total / (box.nodes - box.constants), self.precision)
            gradient = f"mean |∇| {mean}, largest {number(box.largest, self.precision)}"
            notes.append(gradient)
        [*only] = box.operations
        return Node(
            id=f"f{box.last}",
            kind="gradient" if self.graph.order[box.last] in self.graph.slopes else "fold",
            gate=gate(only[0]) if len(only) == 1 else "",
            label=shortened(box.name or box.scope or ""),
            title="; ".join(filter(None, (box.name or box.scope, *notes))),
            notes=tuple(notes),
            output=box.output,
            highlighted=box.highlighted,
            strength=scale(box.largest) if self.gradients else 0.0,
            count=box.nodes,
        )


def _part_of(node: int, part: list[int]) -> int:
    while part[node] != node:
        part[node] = part[part[node]]
        node = part[node]
    return node
