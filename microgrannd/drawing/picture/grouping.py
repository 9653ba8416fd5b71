"""Which nodes of a large graph go together in one box: those of a scope, else those computed alike, else bands.

Nothing here is recursive, so the graph may be as deep as it likes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from microgrannd.engine import Value
from microgrannd.operations import FusedOperation

WHOLE: Final = 150  # nodes; a graph with no more is drawn as it is
BOXES: Final = 60  # the most that a folded picture has, unless a depth is asked for
BANDS: Final = 12


class Folding(NamedTuple):
    groups: list[int]
    how: str
    unfold: str = 'with mg.scope("name") parts of a graph get boxes of their own'
    names: dict[int, str] = {}  # noqa: RUF012


class IndexedGraph:
    def __init__(self, order: list[Value], roots: Sequence[Value], backward: Mapping[Value, str]) -> None:
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
        self.is_constant = [value.is_constant for value in order]
        self.backward = backward
        self.scopes = [value.scope for value in order]


def finest_readable(graph: IndexedGraph, fold: str, depth: int | None) -> Folding:
    deepest = max((scope.count(".") + 1 for scope in set(graph.scopes) if scope), default=0)
    depths = [depth] if depth is not None else [0] if fold == "all" else list(range(deepest - 1, -1, -1))
    limit, crowd = (WHOLE, 10 * WHOLE) if depth is not None else (BOXES, 3 * BOXES)
    by_scope = [(d, _by_scope(graph, d)) for d in depths if d < deepest and len({*_boxed(graph, d).values()}) <= limit]
    if depth is not None and not by_scope and len(graph.order) <= WHOLE:
        return Folding(list(range(len(graph.order))), "every node is open")
    if fold != "all":
        for d, groups in by_scope:
            if _is_readable(graph, groups, limit, crowd):
                return Folding(groups, f"folded by scope, depth={d}", f"depth={d + 1} opens one level of scopes more")
    alike = _alike(graph)
    for d, groups in by_scope:
        size, after = Counter(groups), len(groups)
        both = [group if size[group] > 1 else after + other for group, other in zip(groups, alike, strict=True)]
        if _is_readable(graph, both, limit, crowd):
            how = f"folded by scope, depth={d}, and what is computed alike"
            return Folding(both, how, f"depth={d + 1} opens one level of scopes more")
    if _is_readable(graph, alike, limit, crowd):
        return Folding(alike, "what is computed alike is folded")
    return _in_bands(graph)


def without_cycles(graph: IndexedGraph, groups: list[int]) -> list[int]:
    """Groups that depend on each other, as a cell used again and again does, become one (Kosaraju's components)."""
    parents: dict[int, dict[int, None]] = {group: {} for group in groups}
    children: dict[int, dict[int, None]] = {group: {} for group in groups}
    for i, sources in enumerate(graph.parents):
        for source in sources:
            parents[groups[i]][groups[source]] = None
            children[groups[source]][groups[i]] = None
    finished: list[int] = []
    seen: set[int] = set()
    stack: list[int | None] = [*parents]
    while stack:
        group = stack.pop()
        if group is None:  # all that the one below depends on is finished
            finished.append(stack.pop())  # type: ignore[arg-type]
        elif group not in seen:
            seen.add(group)
            stack += (group, None, *parents[group])
    component: dict[int, int] = {}
    for start in reversed(finished):
        together = [start]
        while together:
            if (group := together.pop()) not in component:
                component[group] = start
                together += children[group]
    first: dict[int, int] = {}
    return [first.setdefault(component[group], i) for i, group in enumerate(groups)]


def _is_readable(graph: IndexedGraph, groups: list[int], boxes: int, edges: int) -> bool:
    between = ((groups[parent], groups[i]) for i, parents in enumerate(graph.parents) for parent in parents)
    return len(set(groups)) <= boxes and len(set(between)) <= edges


def _boxed(graph: IndexedGraph, depth: int) -> dict[str, str]:
    """The scopes deep enough to be in a box, each with the scope, `depth` levels down, whose box that is."""
    return {scope: ".".join(scope.split(".")[: depth + 1]) for scope in set(graph.scopes) if scope.count(".") >= depth}


def _by_scope(graph: IndexedGraph, depth: int) -> list[int]:
    """Nodes in at least `depth` levels of scopes are with the others of the same scope; the rest are alone."""
    boxed, first = _boxed(graph, depth), dict[str, int]()
    boxes = [boxed.get(scope) if scope else None for scope in graph.scopes]
    return _with_constants(graph, [i if box is None else first.setdefault(box, i) for i, box in enumerate(boxes)])


def _with_constants(graph: IndexedGraph, groups: list[int]) -> list[int]:
    size = Counter(groups)
    for i, constant in enumerate(graph.is_constant):
        consumer = graph.consumer[i]
        if constant and graph.uses[i] == 1 and size[groups[consumer]] > 1:
            groups[i] = groups[consumer]
    return groups


def _alike(graph: IndexedGraph) -> list[int]:
    """Nodes with the same operation on operands that are alike; a chain of one operation counts as one."""
    kinds: dict[tuple[object, ...], int] = {}
    kind = [0] * len(graph.order)
    operands: dict[int, list[int]] = {}  # of the chains that end here, and go on in one consumer
    goes_on = [False] * len(graph.order)
    for i, value in enumerate(graph.order):
        if value.op is None:
            kind[i] = kinds.setdefault(("constant",) if graph.is_constant[i] else ("leaf",), i)
            continue
        chains = [operands.pop(parent, []) or [kind[parent]] for parent in graph.parents[i]]
        chain = max(chains, key=len)  # the longest grows: a long chain is not copied at each of its nodes
        chain += [operand for other in chains if other is not chain for operand in other]
        goes_on[i] = (
            graph.uses[i] == 1
            and graph.order[graph.consumer[i]].op is value.op
            and not isinstance(value.op, FusedOperation)
            and (value in graph.backward) == (graph.order[graph.consumer[i]] in graph.backward)
        )
        if goes_on[i]:
            operands[i] = chain
        else:
            kind[i] = kinds.setdefault((value.op, value in graph.backward, len(chain), *sorted(set(chain))), i)
    groups = kind
    for i in range(len(graph.order) - 1, -1, -1):
        if goes_on[i]:
            groups[i] = groups[graph.consumer[i]]
    return _leaves_by_consumers(graph, groups)


def _leaves_by_consumers(graph: IndexedGraph, groups: list[int]) -> list[int]:
    """Leaves are alike if nodes that are alike use them as often; constants go with their consumer."""
    users: dict[int, set[int]] = {}
    for i, parents in enumerate(graph.parents):
        for parent in parents:
            if graph.order[parent].op is None:
                users.setdefault(parent, set()).add(groups[i])
    names = {leaf: graph.order[leaf].label.rstrip("0123456789") for leaf in users}
    by_name = len(set(names.values())) <= BANDS  # w0, w1 and x0, x1; but not names that are all different
    kinds: dict[tuple[object, ...], int] = {}
    for leaf, used_by in sorted(users.items()):
        if not graph.is_constant[leaf]:
            name = names[leaf] if by_name else ""
            groups[leaf] = kinds.setdefault((name, graph.uses[leaf], *sorted(used_by)), leaf)
    return _with_constants(graph, groups)


def _in_bands(graph: IndexedGraph) -> Folding:
    """About equally many nodes in each band; what is not used by others, the outputs, stays alone."""
    rank = [0] * len(graph.order)
    for i, parents in enumerate(graph.parents):
        if parents:
            rank[i] = 1 + max([rank[parent] for parent in parents])
    for i in range(len(rank) - 1, -1, -1):
        if not graph.parents[i] and graph.uses[i]:
            rank[i] = max(rank[graph.consumer[i]] - 1, 0)
    count = Counter(rank)
    before = accumulate((count[r] for r in range(max(rank) + 1)), initial=0)
    band = [min(BANDS - 1, nodes * BANDS // len(rank)) for nodes in before]
    heads: dict[int, int] = {}
    alone = {root for root in graph.roots if not graph.uses[root]}
    alone = alone if len(alone) <= BANDS else set()
    groups = [i if i in alone else heads.setdefault(band[r], i) for i, r in enumerate(rank)]
    names = {group: f"part {k + 1} of {len(heads)}" for k, (_, group) in enumerate(sorted(heads.items()))}
    return Folding(groups, "cut into parts, from the leaves to the output", names=names)
