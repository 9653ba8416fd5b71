"""Where the time of a graph goes: `profile(y)` counts and times its nodes, by operation and by scope."""

import timeit
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Any, Generic, NamedTuple, TypeVar

from microgrannd.engine import Value, topological_order
from microgrannd.ground.arguments import list_of, must_be, whole_number
from microgrannd.ground.terminal import table
from microgrannd.operations import Operation
from microgrannd.printing.labels import in_message

Entry = TypeVar("Entry", bound=Any)  # a tuple of an operation, a scope and numbers; it has `seconds`


class Breakdown(Generic[Entry]):
    """Entries to be summed by operation and by scope, `depth` names deep."""

    def __init__(self, kind: type[Entry], rows: Iterable[Entry]) -> None:
        self._kind = kind
        self.rows = sorted(list_of("rows", rows, f"a list of {kind.__name__}s", kind), key=lambda row: -row.seconds)

    def by_operation(self) -> list[Entry]:
        """The slowest first."""
        return self._summed(lambda row: (row.operation, ""))

    def by_scope(self, depth: int | None = 1) -> list[Entry]:
        """The slowest first; `depth` names deep, as `layer0` is 1 and None all."""
        depth = None if depth is None else whole_number("depth", depth, 0)
        return self._summed(lambda row: ("", ".".join(row.scope.split(".")[:depth])))

    def _summed(self, key: Callable[[Entry], tuple[str, str]]) -> list[Entry]:
        groups = defaultdict(list)
        for row in self.rows:
            groups[key(row)].append(row)
        return sorted((self._sum(*names, group) for names, group in groups.items()), key=lambda row: -row.seconds)

    def _sum(self, operation: str, scope: str, rows: list[Entry]) -> Entry:
        found: Entry = self._kind(operation, scope, *map(sum, zip(*[row[2:] for row in rows], strict=True)))
        return found

    def tables(self, header: list[str], cells: Callable[[Entry, Entry], list[str]]) -> str:
        """By operation and, where there are scopes, by scope, with a last line for all."""
        every = self._sum("", "", self.rows)
        named = {"operation": [(row.operation, row) for row in self.by_operation()]}
        if any(row.scope for row in self.rows):
            named["scope"] = [(in_message(row.scope) or "(none)", row) for row in self.by_scope()]
        return "\n\n".join(
            table([heading, *header], [[name, *cells(row, every)] for name, row in [*rows, ("all", every)]])
            for heading, rows in named.items()
        )


class Share(NamedTuple):
    """What the nodes of one operation in one scope, or of one of the two, take: seconds for all of them."""

    operation: str
    scope: str
    nodes: int = 0
    forward: float = 0.0
    local_gradients: float = 0.0

    @property
    def seconds(self) -> float:
        """Both passes."""
        return self.forward + self.local_gradients


class Profile(Breakdown[Share]):
    """The nodes of a graph and what their arithmetic takes, in `shares`; prints as two tables.

    They are those of `by_operation()` and `by_scope(depth=1)`, the slowest first.

    The times are those of the operations' own functions, called again on the numbers that the nodes were
    made from. What the engine does around them (making a node, ordering the graph, `+=`) is much the same
    for every node, and is not in them: `nodes` stands for it.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        super().__init__(Share, shares)
        self.shares = self.rows

    @property
    def nodes(self) -> int:
        """How many nodes there are, leaves apart."""
        return sum(share.nodes for share in self.shares)

    def __repr__(self) -> str:
        return f"Profile({self.nodes} nodes, {len(self.by_operation())} operations)"

    def __str__(self) -> str:
        return self.tables(["nodes", "forward µs", "local gradients µs", "share"], _cells)


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
    for y in ys:
        must_be("What is profiled", y, Value)
    repeats = whole_number("repeats", repeats, 1)
    groups: dict[tuple[Operation, str], list[Value]] = defaultdict(list)
    for node in topological_order(*ys, leaves=False):
        if node.op is not None:
            groups[node.op, node.scope].append(node)
    return Profile(_share(operation, scope, nodes, repeats) for (operation, scope), nodes in groups.items())


def _share(operation: Operation, scope: str, nodes: list[Value], repeats: int) -> Share:
    inputs = [node.inputs for node in nodes]
    forward = quickest(operation.forward, inputs, repeats)
    backward = quickest(operation.local_gradients, [(*node.inputs, node.data) for node in nodes], repeats)
    return Share(operation.name, scope, len(nodes), forward, backward)


def quickest(function: Callable[..., Any], arguments: list[tuple[float, ...]], repeats: int) -> float:
    """Seconds for all the calls, of several rounds the quickest: other programs only ever add to it."""
    return min(timeit.repeat(lambda: deque(starmap(function, arguments), maxlen=0), number=1, repeat=repeats))


def _cells(share: Share, every: Share) -> list[str]:
    times = [f"{seconds * 1e6:,.1f}" for seconds in (share.forward, share.local_gradients)]
    return [f"{share.nodes:,}", *times, f"{share.seconds / every.seconds:.0%}" if every.seconds else ""]
