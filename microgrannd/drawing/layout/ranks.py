"""Ranks: which nodes stand side by side, so that edges are short, by network simplex (Gansner and others, 1993).

Moving a set of nodes by one rank gains the sum of `pull` over it: the edges that lead in less those that lead out.
The sets worth moving are the subtrees of a tree of edges of length one.
"""

from collections.abc import Sequence


def longest_paths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The rank of each node: one more than its highest parent's. Nodes are numbered with parents first."""
    ranks = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        if ranks[source] >= ranks[target]:
            ranks[target] = ranks[source] + 1
    return ranks


def tight_ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Ranks that make the edges short: a leaf stands beside its first consumer."""
    ranks = _Tightening(longest_paths(count, edges), edges).ranks
    lowest = min(ranks, default=0)
    return [rank - lowest for rank in ranks]


class _Tightening:
    """A forest of edges of length one; subtrees that gain by it are moved until an edge stops them."""

    def __init__(self, ranks: list[int], edges: Sequence[tuple[int, int]]) -> None:
        self.ranks = ranks
        self.out: list[list[int]] = [[] for _ in ranks]
        self.into: list[list[int]] = [[] for _ in ranks]
        for source, target in sorted(set(edges)):
            self.out[source].append(target)
            self.into[target].append(source)
        self.pull = [len(out) - len(into) for out, into in zip(self.out, self.into, strict=True)]
        self.tree: list[list[int]] = [[] for _ in ranks]
        self._plant()
        idle = 0  # rounds that only changed the forest; after enough of them the rest is not worth the time
        while idle < 24 and (moved := self._improve()) is not None:
            idle = 0 if moved else idle + 1

    def _plant(self) -> None:
        group = list(range(len(self.ranks)))
        for source, targets in enumerate(self.out):
            for target in targets:
                if self.ranks[target] - self.ranks[source] == 1:
                    first, second = representative(source, group), representative(target, group)
                    if first != second:
                        group[second] = first
                        self.tree[source].append(target)
                        self.tree[target].append(source)

    def _improve(self) -> bool | None:
        """Whether a subtree that gains has moved, of as many as do not concern each other; None where none gains."""
        order, at, parent = self._walk()
        gain, size = self.pull[:], [1] * len(order)
        candidates = []
        for node in reversed(order):
            above = parent[node]
            if above >= 0:
                gain[above] += gain[node]
                size[above] += size[node]
            # A subtree below its parent can only move away from it: to a lower rank if it is lower.
            earlier = self.ranks[node] < self.ranks[above] if above >= 0 else gain[node] < 0
            gained = -gain[node] if earlier else gain[node]
            if gained > 0:
                candidates.append((-gained, at[node], earlier))
        if not candidates:
            return None
        moved = False
        touched = [False] * len(order)
        for _, first, earlier in sorted(candidates):
            last = first + size[order[first]]
            if any(touched[first:last]):
                continue
            stop = self._first_in_the_way(order[first:last], at, first, last, earlier)
            if stop is None:
                continue
            inside, outside, slack = stop
            for node in order[first:last]:
                self.ranks[node] += -slack if earlier else slack
            self._hang(order[first], parent[order[first]], inside, outside)
            touched[first:last] = [True] * (last - first)
            touched[at[outside]] = True
            moved = moved or slack > 0
        return moved

    def _walk(self) -> tuple[list[int], list[int], list[int]]:
        """The forest in preorder, so that a subtree is a slice; each node's place in it, and its parent."""
        count = len(self.ranks)
        order: list[int] = []
        at, parent = [-1] * count, [-1] * count
        for root in range(count):
            stack = [root] if at[root] < 0 else []
            while stack:
                node = stack.pop()
                at[node] = len(order)
                order.append(node)
                for neighbour in self.tree[node]:
                    if neighbour != parent[node]:
                        parent[neighbour] = node
                        stack.append(neighbour)
        return order, at, parent

    def _first_in_the_way(
        self, members: list[int], at: list[int], first: int, last: int, earlier: bool
    ) -> tuple[int, int, int] | None:
        """The edge that stops the members first: its ends inside and outside, and how far they may move."""
        beside = self.into if earlier else self.out
        found: tuple[int, int, int] | None = None
        for node in members:
            for other in beside[node]:
                if not first <= at[other] < last:
                    slack = abs(self.ranks[other] - self.ranks[node]) - 1
                    if found is None or slack < found[2]:
                        found = node, other, slack
                    if not slack:
                        return found
        return found

    def _hang(self, top: int, above: int, inside: int, outside: int) -> None:
        if above >= 0:
            self.tree[top].remove(above)
            self.tree[above].remove(top)
        self.tree[inside].append(outside)
        self.tree[outside].append(inside)


def representative(node: int, group: list[int]) -> int:
    """The node that stands for the group of this one, in a forest of sets that are being joined (union-find)."""
    while group[node] != node:
        group[node] = group[group[node]]
        node = group[node]
    return node
