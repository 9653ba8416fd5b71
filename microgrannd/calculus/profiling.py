"""Where the time of a graph goes: `profile(y)` counts and times its nodes, by operation and by scope."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from microgrannd.engine import Value, topological_order
from microgrannd.ground.terminal import table
from microgrannd.operations import Operation


class Share(NamedTuple):
    """What the nodes of one operation in one scope, or of one of the two, take: seconds for all of them."""

    operation: str
    scope: str
    nodes: int
    forward: float
    local_gradients: float

    @property
    def seconds(self) -> float:
        """Both passes."""
        return self.forward + self.local_gradients


class Profile:
    """The nodes of a graph and what their arithmetic takes, in `shares`; prints as two tables.

    The times are those of the operations' own functions, called again on the numbers that the nodes were
    made from. What the engine does around them (making a node, ordering the graph, `+=`) is much the same
    for every node, and is not in them: `nodes` stands for it.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self.shares = sorted(shares, key=lambda share: -share.seconds)

    @property
    def nodes(self) -> int:
        """How many nodes there are, leaves apart."""
        return sum(share.nodes for share in self.shares)

    def by_operation(self) -> list[Share]:
        """A share for each operation, the slowest first."""
        return self._summed(lambda share: (share.operation, ""))

    def by_scope(self, depth: int | None = 1) -> list[Share]:
        """A share for each scope, the slowest first; `depth` names deep, as `layer0` is 1 and None all."""
        return self._summed(lambda share: ("", ".".join(share.scope.split(".")[:depth])))

    def _summed(self, key: Callable[[Share], tuple[str, str]]) -> list[Share]:
        groups = defaultdict(list)
        for share in self.shares:
            groups[key(share)].append(share)
        summed = [_sum(group, *names) for names, group in groups.items()]
        return sorted(summed, key=lambda share: -share.seconds)

    def __repr__(self) -> str:
        return f"Profile({self.nodes} nodes, {len(self.by_operation())} operations)"

    def __str__(self) -> str:
        operations = _table("operation", [(s.operation, s) for s in self.by_operation()])
        if not any(share.scope for share in self.shares):
            return operations
        return f"{operations}\n\n" + _table("scope", [(s.scope or "(none)", s) for s in self.by_scope()])


def profile(*ys: Value, repeats: int = 5) -> Profile:
    """Count the nodes that the outputs depend on, and time their operations, forward and local gradients.

    Each function is called `repeats` times on all of its nodes and the quickest run counts, since other
    programs only ever add to it. The graph and its gradients stay as they are.

    >>> from microgrannd import Value, scope
    >>> x = Value(0.5)
    >>> with scope("wave"):
    ...     y = (x * x).sin()
    >>> found = profile(y + x)
    >>> found
    Profile(3 nodes, 3 operations)
    >>> sorted((share.scope, share.nodes) for share in found.by_scope())
    [('', 1), ('wave', 2)]
    """
    groups: dict[tuple[Operation, str], list[Value]] = defaultdict(list)
    for node in topological_order(*ys, leaves=False):
        if node.op is not None:
            groups[node.op, node.scope].append(node)
    return Profile(_share(operation, scope, nodes, repeats) for (operation, scope), nodes in groups.items())


def _share(operation: Operation, scope: str, nodes: list[Value], repeats: int) -> Share:
    inputs = [node.inputs for node in nodes]
    forward = _quickest(operation.forward, inputs, repeats)
    backward = _quickest(operation.local_gradients, [(*node.inputs, node.data) for node in nodes], repeats)
    return Share(operation.name, scope, len(nodes), forward, backward)


def _sum(shares: list[Share], operation: str = "", scope: str = "") -> Share:
    nodes = sum(share.nodes for share in shares)
    forward = sum(share.forward for share in shares)
    return Share(operation, scope, nodes, forward, sum(share.local_gradients for share in shares))


def _quickest(function: Callable[..., Any], arguments: list[tuple[float, ...]], repeats: int) -> float:
    """Seconds for all the calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for given in arguments:
            function(*given)
        times.append(time.perf_counter() - start)
    return min(times)


def _table(heading: str, named: list[tuple[str, Share]]) -> str:
    total = _sum([share for _, share in named])
    rows = []
    for name, share in [*named, ("all", total)]:
        times = [f"{seconds * 1e6:,.1f}" for seconds in (share.forward, share.local_gradients)]
        part = f"{share.seconds / total.seconds:.0%}" if total.seconds else ""
        rows.append([name, f"{share.nodes:,}", *times, part])
    return table([heading, "nodes", "forward µs", "local gradients µs", "share"], rows)
