"""The order within each rank, so that few edges cross: sweeps sort each rank by its neighbours, swaps refine it."""

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Final

# For graphs with at most this many nodes and bends: sweeps, rounds of swaps after each, rounds of swaps at the end.
EFFORTS: Final = ((300, 12, 4, 8), (3000, 6, 2, 6), (math.inf, 4, 1, 2))

Ends = tuple[int, int]


class Layers:
    """Nodes and bends, rank by rank and in order; bends are numbered after the nodes."""

    def __init__(self, ranks: Sequence[int], edges: Sequence[Ends], lanes: Sequence[int] | None = None) -> None:
        self.nodes, self.rank = len(ranks), list(ranks)
        self.lane = [0] * len(ranks) if lanes is None else list(lanes)
        self.up: list[list[int]] = [[] for _ in ranks]  # neighbours in the rank before
        self.down: list[list[int]] = [[] for _ in ranks]
        self.bends: dict[int, dict[int, int]] = {}  # source -> rank -> the bend there
        for source, target in edges:
            self._connect(source, target)
        self.layers: list[list[int]] = [[] for _ in range(max(self.rank, default=0) + 1)]
        for vertex in self._first_order():
            self.layers[self.rank[vertex]].append(vertex)
        self.position = [0] * len(self.rank)
        self._number()

    def _connect(self, source: int, target: int) -> None:
        """An edge through a chain of bends, one in each rank between; edges from one source share them."""
        first, last = self.rank[source], self.rank[target]
        step = 1 if first < last else -1
        here = source
        for rank in range(first + step, last, step):
            shared = self.bends.setdefault(source, {})
            bend = shared.get(rank)
            if bend is None:
                bend = shared[rank] = len(self.rank)
                self.rank.append(rank)
                self.lane.append(self.lane[source])
                self.up.append([])
                self.down.append([])
                self._join(here, bend, step)
            here = bend
        self._join(here, target, step)

    def _join(self, source: int, target: int, step: int) -> None:
        before, after = (source, target) if step == 1 else (target, source)
        self.down[before].append(after)
        self.up[after].append(before)

    def _first_order(self) -> list[int]:
        """Nodes by their number, which for a tree crosses nothing; bends beside their source."""
        source = {bend: node for node, bends in self.bends.items() for bend in bends.values()}
        return sorted(range(len(self.rank)), key=lambda vertex: (self.lane[vertex], source.get(vertex, vertex), vertex))

    def _number(self) -> None:
        for layer in self.layers:
            for i, vertex in enumerate(layer):
                self.position[vertex] = i

    def arrange(self) -> None:
        sweeps, rounds, last = next(effort for most, *effort in EFFORTS if len(self.rank) <= most)
        best, fewest = [list(layer) for layer in self.layers], self.crossings()
        stale = 0
        for sweep in range(sweeps):
            if not fewest or stale > 2:
                break
            self._sweep(forth=sweep % 2 == 0)
            self._swap(rounds)
            crossings = self.crossings()
            if crossings < fewest:
                best, fewest, stale = [list(layer) for layer in self.layers], crossings, 0
            else:
                stale += 1
        self.layers = best
        self._number()
        self._swap(last)

    def _sweep(self, *, forth: bool) -> None:
        neighbours = self.up if forth else self.down
        position, lane = self.position, self.lane
        for layer in self.layers if forth else reversed(self.layers):
            keys, slots = {}, []
            for i, vertex in enumerate(layer):
                if beside := neighbours[vertex]:
                    keys[vertex] = (lane[vertex], sum([position[other] for other in beside]) / len(beside), i)
                    slots.append(i)
            for i, vertex in zip(slots, sorted(keys, key=keys.__getitem__), strict=True):
                layer[i] = vertex  # those without neighbours keep their slots
            for i, vertex in enumerate(layer):
                position[vertex] = i

    def _swap(self, rounds: int) -> None:
        active = [rank for rank, layer in enumerate(self.layers) if len(layer) > 1]
        for _ in range(rounds):
            changed = {rank for rank in active if self._swap_in(self.layers[rank])}
            if not changed:
                return
            active = [r for r in active if r in changed or r - 1 in changed or r + 1 in changed]

    def _swap_in(self, layer: list[int]) -> bool:
        position, lane = self.position, self.lane
        above = [sorted([position[x] for x in self.up[v]]) for v in layer]
        below = [sorted([position[x] for x in self.down[v]]) for v in layer]
        swapped = False
        for i in range(len(layer) - 1):
            first_above, second_above = above[i], above[i + 1]
            first_below, second_below = below[i], below[i + 1]
            # Edges that do not cross as they stand gain nothing by a swap.
            if not (first_above and second_above and first_above[-1] > second_above[0]) and not (
                first_below and second_below and first_below[-1] > second_below[0]
            ):
                continue
            first, second = layer[i], layer[i + 1]
            if (
                lane[first] == lane[second]
                and _excess(first_above, second_above) + _excess(first_below, second_below) > 0
            ):
                layer[i], layer[i + 1] = second, first
                position[first], position[second] = i + 1, i
                above[i], above[i + 1] = second_above, first_above
                below[i], below[i + 1] = second_below, first_below
                swapped = True
        return swapped

    def crossings(self) -> int:
        total, position = 0, self.position
        for layer in self.layers[:-1]:
            passed: list[int] = []
            for vertex in layer:
                ends = sorted([position[x] for x in self.down[vertex]])
                for end in ends:
                    total += len(passed) - bisect_right(passed, end)
                for end in ends:
                    insort(passed, end)
        return total


def _excess(first: list[int], second: list[int]) -> int:
    """Crossings between the edges of two neighbours as they stand, less those if they were swapped."""
    excess = 0
    for a in first:
        for b in second:
            if a > b:
                excess += 1
            elif a < b:
                excess -= 1
    return excess
