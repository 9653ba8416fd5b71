"""Large graphs, folded: a few dozen boxes that stand for thousands of nodes, or for a million.

Nodes that were made in one scope (a layer, a neuron) become one box; of the others, those that are
computed in the same way do. Where that is not enough, the graph is cut into bands from the leaves to the
output. A box says how many nodes it stands for, of what kind, and how large their gradients are; the
caption says what was folded and how to unfold it. Every pass over the graph is a loop, none a recursion.
This room may import the engine, `graph` and `lettering`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from microgrannd.drawing.graph import Edge, Node, Picture, Strength, gate, has_gradients, in_words, plural, value_node
from microgrannd.drawing.lettering import number, shortened
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.operations import FusedOperation, Operation

WHOLE: Final = 150  # up to so many nodes, a graph is drawn as it is
BOXES: Final = 60  # the most that a folded picture has, unless a depth is asked for
BANDS: Final = 12


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
    graph = _Graph(order, roots, slopes or {})
    folding = _chosen(graph, fold, depth)
    if len(set(folding.groups)) == len(order):
        return None
    folding = folding._replace(groups=_without_cycles(graph, folding.groups))
    return _Boxes(graph, folding, values, gradients, precision, set(highlight)).picture()


class _Folding(NamedTuple):
    """The group of each node, why so, how to unfold it, and the names of groups that have one."""

    groups: list[int]
    how: str
    unfold: str = 'with mg.scope("name") parts of a graph get boxes of their own'
    names: dict[int, str] = {}  # noqa: RUF012


class _Graph:
    """The graph in numbers: the parents of each node by position, and how often each is used."""

    def __init__(self, order: list[Value], roots: Sequence[Value], slopes: Mapping[Value, str]) -> None:
        self.order = order
        position = {value: i for i, value in enumerate(order)}
        self.roots = [position[root] for root in roots]
        self.parents = [tuple([position[p] for p in value.parents]) if value.op else () for value in order]
        self.uses = [0] * len(order)
        self.consumer = [-1] * len(order)  # one of them: the first
        for i in range(len(order) - 1, -1, -1):
            for parent in self.parents[i]:
                self.uses[parent] += 1
                self.consumer[parent] = i
        self.is_constant = [value.__class__ is Constant for value in order]
        self.slopes = slopes
        self.scopes = [value._origin.scope if value._origin else "" for value in order]


def _chosen(graph: _Graph, fold: str, depth: int | None) -> _Folding:
    """The finest folding that can be read."""
    deepest = max((scope.count(".") + 1 for scope in set(graph.scopes) if scope), default=0)
    depths = [depth] if depth is not None else [0] if fold == "all" else list(range(deepest - 1, -1, -1))
    limit, crowd = (WHOLE, 10 * WHOLE) if depth is not None else (BOXES, 3 * BOXES)
    by_scope = [(d, _by_scope(graph, d)) for d in depths if d < deepest]
    if depth is not None and not by_scope and len(graph.order) <= WHOLE:
        return _Folding(list(range(len(graph.order))), "every node is open")
    if fold != "all":
        for d, groups in by_scope:
            if _is_readable(graph, groups, limit, crowd):
                return _Folding(groups, f"folded by scope, depth={d}", f"depth={d + 1} opens one level of scopes more")
    alike = _alike(graph)
    for d, groups in by_scope:
        size, after = Counter(groups), len(groups)
        both = [group if size[group] > 1 else after + other for group, other in zip(groups, alike, strict=True)]
        if _is_readable(graph, both, limit, crowd):
            how = f"folded by scope, depth={d}, and what is computed alike"
            return _Folding(both, how, f"depth={d + 1} opens one level of scopes more")
    if _is_readable(graph, alike, limit, crowd):
        return _Folding(alike, "what is computed alike is folded")
    return _in_bands(graph)


def _is_readable(graph: _Graph, groups: list[int], boxes: int, edges: int) -> bool:
    """Whether there are few enough boxes, and few enough edges between them."""
    if len(set(groups)) > boxes:
        return False
    between = {(groups[parent], groups[i]) for i, parents in enumerate(graph.parents) for parent in parents}
    return len(between) <= edges


def _by_scope(graph: _Graph, depth: int) -> list[int]:
    """Nodes below `depth` levels of scopes are with the others of the same scope; the rest are alone."""
    heads: dict[str, int] = {}
    names = {scope: ".".join(scope.split(".")[: depth + 1]) for scope in set(graph.scopes)}
    groups = list(range(len(graph.order)))
    for i, scope in enumerate(graph.scopes):
        if scope and scope.count(".") >= depth:
            groups[i] = heads.setdefault(names[scope], i)
    return _with_constants(graph, groups)


def _with_constants(graph: _Graph, groups: list[int]) -> list[int]:
    """Constants go with what uses them, where that is a group."""
    size = Counter(groups)
    for i, constant in enumerate(graph.is_constant):
        consumer = graph.consumer[i]
        if constant and graph.uses[i] == 1 and size[groups[consumer]] > 1:
            groups[i] = groups[consumer]
    return groups


def _alike(graph: _Graph) -> list[int]:
    """Nodes with the same operation on operands that are alike; a chain of one operation counts as one."""
    kinds: dict[tuple[object, ...], int] = {}
    kind = [0] * len(graph.order)
    operands: dict[int, list[int]] = {}  # of the chains that end here, and go on in one consumer
    goes_on = [False] * len(graph.order)
    for i, value in enumerate(graph.order):
        if value.op is None:
            kind[i] = kinds.setdefault(("constant",) if graph.is_constant[i] else ("leaf",), i)
            continue
        found = [operands.pop(parent, []) or [kind[parent]] for parent in graph.parents[i]]
        chain = max(found, key=len)  # the longest grows: a long chain is not copied at each of its nodes
        for others in found:
            if others is not chain:
                chain.extend(others)
        goes_on[i] = (
            graph.uses[i] == 1
            and graph.order[graph.consumer[i]].op is value.op
            and not isinstance(value.op, FusedOperation)
            and (value in graph.slopes) == (graph.order[graph.consumer[i]] in graph.slopes)
        )
        if goes_on[i]:
            operands[i] = chain
        else:
            kind[i] = kinds.setdefault((value.op, value in graph.slopes, len(chain), *sorted(set(chain))), i)
    groups = kind
    for i in range(len(graph.order) - 1, -1, -1):
        if goes_on[i]:
            groups[i] = groups[graph.consumer[i]]
    return _leaves_by_consumers(graph, groups)


def _leaves_by_consumers(graph: _Graph, groups: list[int]) -> list[int]:
    """Leaves are alike if nodes that are alike use them as often; constants go with their consumer."""
    users: dict[int, set[int]] = {}
    for i, parents in enumerate(graph.parents):
        for parent in parents:
            if graph.order[parent].op is None:
                users.setdefault(parent, set()).add(groups[i])
    names = {leaf: graph.order[leaf].label.rstrip("0123456789") for leaf in users}
    told_apart = len(set(names.values())) <= BANDS  # w0, w1 and x0, x1; but not names that are all different
    kinds: dict[tuple[object, ...], int] = {}
    for leaf, used_by in sorted(users.items()):
        if not graph.is_constant[leaf]:
            name = names[leaf] if told_apart else ""
            groups[leaf] = kinds.setdefault((name, graph.uses[leaf], *sorted(used_by)), leaf)
    return _with_constants(graph, groups)


def _in_bands(graph: _Graph) -> _Folding:
    """About equally many nodes in each band; what is not used by others, the outputs, stays alone."""
    rank = [0] * len(graph.order)
    for i, parents in enumerate(graph.parents):
        if parents:
            rank[i] = 1 + max([rank[parent] for parent in parents])
    for i in range(len(rank) - 1, -1, -1):
        if not graph.parents[i] and graph.uses[i]:
            rank[i] = max(rank[graph.consumer[i]] - 1, 0)
    count = [0] * (max(rank) + 1)
    for r in rank:
        count[r] += 1
    band, before = [], 0
    for nodes in count:
        band.append(min(BANDS - 1, before * BANDS // len(rank)))
        before += nodes
    heads: dict[int, int] = {}
    alone = {root for root in graph.roots if not graph.uses[root]}
    alone = alone if len(alone) <= BANDS else set()
    groups = [i if i in alone else heads.setdefault(band[r], i) for i, r in enumerate(rank)]
    names = {group: f"part {k + 1} of {len(heads)}" for k, (_, group) in enumerate(sorted(heads.items()))}
    return _Folding(groups, "cut into parts, from the leaves to the output", names=names)


def _without_cycles(graph: _Graph, groups: list[int]) -> list[int]:
    """Groups that depend on each other, as a cell that is used again and again, become one.

    Tarjan's strongly connected components, without recursion.
    """
    below: dict[int, dict[int, None]] = {group: {} for group in groups}
    for i, parents in enumerate(graph.parents):
        mine = groups[i]
        for parent in parents:
            if groups[parent] != mine:
                below[mine][groups[parent]] = None
    found: dict[int, int] = {}
    lowest: dict[int, int] = {}
    component: dict[int, int] = {}
    path: list[int] = []
    for start in below:
        work = [(start, iter(below[start]))] if start not in found else []
        while work:
            group, rest = work[-1]
            if group not in found:
                found[group] = lowest[group] = len(found)
                path.append(group)
            for other in rest:
                if other not in found:
                    work.append((other, iter(below[other])))
                    break
                if other not in component:
                    lowest[group] = min(lowest[group], lowest[other])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    lowest[above] = min(lowest[above], lowest[group])
                if lowest[group] == found[group]:
                    while group not in component:
                        component[path.pop()] = group
    return [component[group] for group in groups]


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
        elif self.scope != scope:
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
        graph: _Graph,
        folding: _Folding,
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
