"""Large graphs, folded: a few dozen boxes that stand for thousands of nodes, or for a million.

A box says how many nodes it stands for, of what kind, and how large their gradients are; the caption
says what was folded and how to unfold it. `grouping` decides which nodes go together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush

from microgrannd.drawing.layout.ranks import representative
from microgrannd.drawing.picture.grouping import WHOLE, Folding, IndexedGraph, finest_readable, without_cycles
from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.drawing.picture.picture import (
    USUAL,
    Box,
    Detail,
    Edge,
    Picture,
    Strength,
    box_of,
    gate_text,
    plural,
    title_and_description,
)
from microgrannd.engine import Value, topological_order
from microgrannd.operations import Operation


def folded(
    roots: Sequence[Value],
    detail: Detail = USUAL,
    *,
    fold: str = "auto",
    depth: int | None = None,
    backward: Mapping[Value, str] | None = None,
) -> Picture | None:
    """The picture in boxes; None where the graph is to be drawn whole: it is small, or `fold` says so.

    `backward` are the nodes of a backward pass, each with the name of the gradient that it is, if it is one;
    they do not share boxes with the others.

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
    graph = IndexedGraph(order, roots, backward or {})
    folding = finest_readable(graph, fold, depth)
    if len(set(folding.groups)) == len(order):
        return None
    folding = folding._replace(groups=without_cycles(graph, folding.groups))
    return _Fold(graph, folding, detail).picture()


@dataclass(slots=True)
class _Group:
    """What is known of the nodes that share a box: how many of which kind, their gradients, their copies."""

    name: str
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

    def add(self, i: int, value: Value, scope: str) -> None:
        self.last = i
        self.nodes += 1
        if value.is_constant:
            self.constants += 1
            return
        if value.op is not None:
            self.operations[value.op] = self.operations.get(value.op, 0) + 1
        else:
            self.leaves += 1
            if value.label and len(self.names) < 3 and value.label not in self.names:
                self.names.append(value.label)
        magnitude = abs(value.grad)
        self.total += magnitude
        if magnitude > self.largest or magnitude != magnitude:
            self.largest = magnitude
        if self.scope is None:
            self.scope = scope
        elif self.scope and self.scope != scope:
            self.scope = _common_scope(self.scope, scope)

    def contents(self) -> str:
        """`12 mul, 3 leaves`: the most frequent operations first."""
        kinds = sorted(
            ((op.name, count) for op, count in self.operations.items()), key=lambda kind: (-kind[1], kind[0])
        )
        counts = [f"{count:,} {name}" for name, count in kinds[:4]] + (["…"] if len(kinds) > 4 else [])
        counts += [plural(self.leaves, "leaf", "leaves")] if self.leaves else []
        counts += [plural(self.constants, "constant")] if self.constants else []
        return ", ".join(counts)


def _common_scope(first: str, second: str) -> str:
    """The innermost scope that contains both."""
    common = []
    for one, other in zip(first.split("."), second.split("."), strict=False):
        if one != other:
            break
        common.append(one)
    return ".".join(common)


class _Fold:
    """From groups to a picture."""

    def __init__(self, graph: IndexedGraph, folding: Folding, detail: Detail) -> None:
        self.graph, self.groups, self.folding = graph, folding.groups, folding
        self.detail = detail.available(graph.order)
        self.group: dict[int, _Group] = {}
        for i, (number, value) in enumerate(zip(self.groups, graph.order, strict=True)):
            if number == i:  # groups are called by their first node
                self.group[number] = _Group(folding.names.get(number, ""))
            group = self.group[number]
            group.add(i, value, graph.scopes[i])
            group.highlighted = group.highlighted or value in detail.highlight
            if graph.backward and len(group.names) < 3 and graph.backward.get(value):
                group.names.append(graph.backward[value])
        for root in graph.roots:
            self.group[self.groups[root]].output = True
        self.edges = self._edges_between_groups()
        if not folding.names:  # parts of a graph are no copies
            self._count_copies()

    def picture(self) -> Picture:
        order = self._order()
        place = {group: k for k, group in enumerate(order)}
        scale = Strength(group.largest for group in self.group.values())
        nodes = [self._box(self.group[number], scale) for number in order]
        edges = [
            Edge(f"e{nodes[place[target]].id}-{nodes[place[source]].id}", place[source], place[target], count=count)
            for (source, target), count in self.edges.items()
        ]
        edges.sort(key=lambda edge: (edge.target, edge.source))
        roots = [self.graph.order[root] for root in self.graph.roots]
        title, description = title_and_description(roots, self.graph.order, self.detail.gradients)
        caption = (
            f"{len(self.graph.order):,} nodes in {plural(len(nodes), 'box', 'boxes')}: {self.folding.how}. "
            f'To unfold: {self.folding.unfold}; fold="none" draws every node.'
        )
        return Picture(nodes, edges, title, f"{description} {caption}", self.graph.order, caption=caption)

    def _edges_between_groups(self) -> Counter[tuple[int, int]]:
        groups = self.groups
        return Counter(
            (groups[parent], groups[i])
            for i, parents in enumerate(self.graph.parents)
            for parent in parents
            if groups[parent] != groups[i]
        )

    def _order(self) -> list[int]:
        """The groups, each after those that it is computed from; where there is a choice, the earliest first."""
        waiting: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(self.group, ()))
        for source, target in self.edges:
            waiting.add(target, source)
        waiting.prepare()
        order: list[int] = []
        ready: list[int] = []
        while waiting.is_active():
            for group in waiting.get_ready():
                heappush(ready, group)
            order.append(heappop(ready))
            waiting.done(order[-1])
        return order

    def _count_copies(self) -> None:
        """A group falls into parts that do not touch; where all have the same operations, they are copies."""
        order, groups = self.graph.order, self.groups
        part = list(range(len(order)))
        for i, parents in enumerate(self.graph.parents):
            for parent in parents:
                if groups[parent] == groups[i] and order[parent].op is not None:
                    one, other = representative(i, part), representative(parent, part)
                    part[max(one, other)] = min(one, other)
        contents: dict[int, dict[int, dict[str, int]]] = {}
        for i, value in enumerate(order):
            if value.op is not None:
                counts = contents.setdefault(groups[i], {}).setdefault(representative(i, part), {})
                counts[value.op.name] = counts.get(value.op.name, 0) + 1
        for group, parts in contents.items():
            first, *others = parts.values()
            if all(counts == first for counts in others):
                self.group[group].copies = len(parts)

    def _box(self, group: _Group, scale: Strength) -> Box:
        last = self.graph.order[group.last]
        if group.nodes == 1:
            box = box_of(last, group.last, self.detail)
        else:
            notes = self._notes(group)
            name = group.name or group.scope or ""
            [*only] = group.operations
            box = Box(
                id=f"f{group.last}",
                kind="fold",
                gate=gate_text(only[0]) if len(only) == 1 else "",
                label=shortened(name),
                title="; ".join(filter(None, (name, *notes))),
                notes=notes,
                highlighted=group.highlighted,
                count=group.nodes,
            )
        box.kind = "gradient" if last in self.graph.backward else box.kind
        box.output = group.output
        box.strength = scale(group.largest) if self.detail.gradients else 0.0
        return box

    def _notes(self, group: _Group) -> tuple[str, ...]:
        notes = [f"{group.nodes:,} nodes", group.contents()] if group.operations else [group.contents()]
        if group.copies > 1:
            notes[0] = f"×{group.copies:,} · {notes[0]}"
        if group.names:
            more = ", …" if len(group.names) == 3 and group.nodes > 3 else ""
            notes.append(shortened(", ".join(group.names) + more, 36))
        if self.detail.gradients and group.nodes > group.constants:
            mean = numeral(group.total / (group.nodes - group.constants), self.detail.precision)
            notes.append(f"mean |∇| {mean}, largest {numeral(group.largest, self.detail.precision)}")
        return tuple(notes)
