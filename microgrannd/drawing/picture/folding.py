"""Large graphs, folded: a few dozen boxes that stand for thousands of nodes, or for a million."""

from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import takewhile

from microgrannd.drawing.layout.ranks import representative
from microgrannd.drawing.picture import picture
from microgrannd.drawing.picture.grouping import WHOLE, Folding, IndexedGraph, finest_readable, without_cycles
from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.drawing.picture.picture import USUAL, Box, Detail, Edge, Picture, Strength, Unfolding
from microgrannd.engine import Value, topological_order
from microgrannd.operations import Operation


def folded(
    roots: Sequence[Value], detail: Detail = USUAL,
    *, fold: str = "auto", depth: int | None = None, backward: Mapping[Value, str] | None = None,
) -> Picture | None:  # fmt: skip
    """The picture in boxes; None where the graph is to be drawn whole: it is small, or `fold` says so.

    `backward` are the nodes of a backward pass, each with the name of its gradient; they have boxes of their own.
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
    found = _Fold(graph, folding, detail).picture()
    opened = 0 if fold == "all" and depth is None and not backward else depth
    found.unfolds = Unfolding(roots, detail.available(order), opened, backward or {})
    return found


class _Fold:
    """From groups, each called by its first node, to a picture."""

    def __init__(self, graph: IndexedGraph, folding: Folding, detail: Detail) -> None:
        self.graph, self.groups, self.folding = graph, folding.groups, folding
        self.detail = detail.available(graph.order)
        self.members: dict[int, list[int]] = {}
        for i, group in enumerate(self.groups):
            self.members.setdefault(group, []).append(i)
        self.gradients = {group: self._total_and_largest(nodes) for group, nodes in self.members.items()}
        groups = self.groups
        self.edges = Counter(
            (groups[p], groups[i]) for i, parents in enumerate(graph.parents) for p in parents if groups[p] != groups[i]
        )
        self.copies = {} if folding.names else self._copies()  # parts of a graph are no copies

    def picture(self) -> Picture:
        order = self._order()
        place = {group: k for k, group in enumerate(order)}
        scale = Strength(largest for _, largest in self.gradients.values())
        nodes = [self._box(group, scale) for group in order]
        edges = [
            Edge(f"e{nodes[place[target]].id}-{nodes[place[source]].id}", place[source], place[target], count=count)
            for (source, target), count in self.edges.items()
        ]
        edges.sort(key=lambda edge: (edge.target, edge.source))
        roots = [self.graph.order[root] for root in self.graph.roots]
        title, description = picture.title_and_description(roots, self.graph.order, self.detail.gradients)
        caption = (
            f"{len(self.graph.order):,} nodes in {picture.plural(len(nodes), 'box', 'boxes')}: {self.folding.how}. "
            f'To unfold: {self.folding.unfold}; fold="none" draws every node.'
        )
        return Picture(nodes, edges, title, f"{description} {caption}", self.graph.order, caption=caption)

    def _order(self) -> list[int]:
        """The groups, each after those that it is computed from; where there is a choice, the earliest first."""
        waiting: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(self.members, ()))
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

    def _total_and_largest(self, nodes: Sequence[int]) -> tuple[float, float]:
        """Of |gradient|, over all but the constants; a NaN is the largest."""
        total = largest = 0.0
        for i in nodes:
            if not self.graph.is_constant[i]:
                magnitude = abs(self.graph.order[i].grad)
                total += magnitude
                if magnitude > largest or magnitude != magnitude:
                    largest = magnitude
        return total, largest

    def _copies(self) -> dict[int, int]:
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
        of_group = {group: list(parts.values()) for group, parts in contents.items()}
        return {group: len(parts) for group, parts in of_group.items() if all(counts == parts[0] for counts in parts)}

    def _box(self, group: int, scale: Strength) -> Box:
        nodes, order = self.members[group], self.graph.order
        last = nodes[-1]
        if len(nodes) == 1:
            box = picture.box_of(order[last], last, self.detail)
        else:
            operations = Counter(op for i in nodes if (op := order[i].op) is not None)
            notes = self._notes(group, operations)
            name = self.folding.names.get(group) or self._common_scope(nodes)
            [*only] = operations
            box = Box(
                id=f"f{last}",
                kind="fold",
                gate=picture.gate_text(only[0]) if len(only) == 1 else "",
                label=shortened(name),
                title="; ".join(filter(None, (name, *notes))),
                notes=notes,
                highlighted=any(order[i] in self.detail.highlight for i in nodes),
                count=len(nodes),
            )
        box.kind = "gradient" if order[last] in self.graph.backward else box.kind
        box.output = any(self.groups[root] == group for root in self.graph.roots)
        box.strength = scale(self.gradients[group][1]) if self.detail.gradients else 0.0
        return box

    def _common_scope(self, nodes: Sequence[int]) -> str:
        """The innermost scope that contains all but the constants."""
        scopes = {self.graph.scopes[i] for i in nodes if not self.graph.is_constant[i]}
        levels = zip(*[scope.split(".") for scope in scopes], strict=False)
        return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))

    def _notes(self, group: int, operations: Counter[Operation]) -> tuple[str, ...]:
        nodes = self.members[group]
        constants = sum(self.graph.is_constant[i] for i in nodes)
        leaves = len(nodes) - constants - operations.total()
        kinds = sorted((-count, op.name) for op, count in operations.items())
        counts = [f"{-count:,} {name}" for count, name in kinds[:4]] + (["…"] if len(kinds) > 4 else [])
        counts += [picture.plural(leaves, "leaf", "leaves")] if leaves else []
        counts += [picture.plural(constants, "constant")] if constants else []
        notes = [f"{len(nodes):,} nodes", ", ".join(counts)] if operations else [", ".join(counts)]
        if self.copies.get(group, 1) > 1:
            notes[0] = f"×{self.copies[group]:,} · {notes[0]}"
        if names := self._names(nodes):
            more = ", …" if len(names) == 3 and len(nodes) > 3 else ""
            notes.append(shortened(", ".join(names) + more, 36))
        if self.detail.gradients and len(nodes) > constants:
            total, largest = self.gradients[group]
            mean = numeral(total / (len(nodes) - constants), self.detail.precision)
            notes.append(f"mean |∇| {mean}, largest {numeral(largest, self.detail.precision)}")
        return tuple(notes)

    def _names(self, nodes: Sequence[int]) -> list[str]:
        """The first three names: the different labels of leaves, and the gradients."""
        names: list[str] = []
        for value in map(self.graph.order.__getitem__, nodes):
            label = value.label if picture.kind_of(value) == "leaf" and value.label not in names else ""
            names += filter(None, (label, self.graph.backward.get(value)))
            if len(names) > 2:
                break
        return names[:3]
