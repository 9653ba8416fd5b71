"""Where everything goes: a layered layout in pure Python, the same to the last digit everywhere.

Four steps, after Sugiyama: every node gets a rank (the longest path from a leaf; leaves wait beside
their first consumer); edges longer than one rank get bends, shared by all edges that leave one node; the
order within each rank is improved until few edges cross; and every node takes the best place that this
order allows. The layout knows only numbers: how many nodes, how large, which edges.

Here `along` is the direction in which the ranks follow each other and `across` that within a rank.
This room imports nothing of the package. Floats are added one by one, never with `sum`, whose rounding
depends on the version of Python.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BETWEEN_RANKS: Final = 44.0
BETWEEN_NODES: Final = 14.0
BETWEEN_BENDS: Final = 9.0

Point = tuple[float, float]


@dataclass(slots=True)
class Layout:
    """The centre of each node and, for each edge, the points that its curve goes through.

    `paths[i]` is the start, then perhaps pairs of points between which the curve crosses a rank in a
    straight line, then the end. All coordinates are positive, within `width` and `height`.
    """

    centres: list[Point]
    paths: list[list[Point]]
    width: float
    height: float


def longest_paths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The rank of each node: one more than its highest parent's; a leaf's, one less than its first consumer's.

    Nodes are numbered with parents first.

    >>> longest_paths(5, [(0, 1), (1, 2), (3, 4), (2, 4)])
    [0, 1, 2, 2, 3]
    """
    ranks = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        if ranks[source] >= ranks[target]:
            ranks[target] = ranks[source] + 1
    first = [-1] * count
    inner = [False] * count
    for source, target in edges:
        inner[target] = True
        if first[source] < 0 or ranks[target] < first[source]:
            first[source] = ranks[target]
    for node in range(count):
        if not inner[node] and first[node] > 0:
            ranks[node] = first[node] - 1
    return ranks


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    *,
    ranks: Sequence[int] | None = None,
    lanes: Sequence[int] | None = None,
    rankdir: str = "LR",
) -> Layout:
    """A layout for nodes of these sizes (width, height) and edges (source, target), parents numbered first.

    `ranks` overrules the longest paths; an edge may then run backwards, but not within a rank. Nodes of a
    lower lane stay on their own side of those in a higher one. `rankdir` is LR, RL, TB or BT, the
    direction from the leaves to the output.
    """
    horizontal = rankdir in ("LR", "RL")
    ranks = list(ranks) if ranks is not None else longest_paths(len(sizes), edges)
    lengths = [size[0] if horizontal else size[1] for size in sizes]  # along
    breadths = [size[1] if horizontal else size[0] for size in sizes]  # across
    layers = _Layers(ranks, edges, lanes or [0] * len(sizes))
    layers.arrange()
    across = _Placement(layers, breadths).across()
    starts, ends = _columns(layers, lengths, across)
    return _drawn(layers, edges, lengths, breadths, across, starts, ends, rankdir)


class _Layers:
    """Nodes and bends, rank by rank and in order; bends are numbered after the nodes."""

    def __init__(self, ranks: list[int], edges: Sequence[tuple[int, int]], lanes: Sequence[int]) -> None:
        self.nodes = len(ranks)
        self.rank = list(ranks)
        self.lane = list(lanes)
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

    def route(self, source: int, target: int) -> list[int]:
        """The bends of an edge, from its source to its target."""
        first, last = self.rank[source], self.rank[target]
        step = 1 if first < last else -1
        return [self.bends[source][rank] for rank in range(first + step, last, step)]

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
        source = list(range(self.nodes)) + [0] * (len(self.rank) - self.nodes)
        for node, bends in self.bends.items():
            for bend in bends.values():
                source[bend] = node
        return sorted(range(len(self.rank)), key=lambda vertex: (self.lane[vertex], source[vertex], vertex))

    def _number(self) -> None:
        for layer in self.layers:
            for i, vertex in enumerate(layer):
                self.position[vertex] = i

    # ---- fewer crossings

    def arrange(self) -> None:
        """Sweeps forth and back, each rank sorted by its neighbours in the one before, then swaps."""
        effort = 24 if len(self.rank) < 1500 else 10 if len(self.rank) < 12000 else 6
        best, fewest = [list(layer) for layer in self.layers], self.crossings()
        stale = 0
        for sweep in range(effort):
            if not fewest or stale > 4:
                break
            self._sweep(forth=sweep % 2 == 0)
            self._swap(rounds=4)
            crossings = self.crossings()
            if crossings < fewest:
                best, fewest, stale = [list(layer) for layer in self.layers], crossings, 0
            else:
                stale += 1
        self.layers = best
        self._number()

    def _sweep(self, *, forth: bool) -> None:
        neighbours = self.up if forth else self.down
        position, lane = self.position, self.lane
        for layer in self.layers if forth else reversed(self.layers):
            keys = {}
            slots = []
            for i, vertex in enumerate(layer):
                beside = neighbours[vertex]
                if beside:
                    total = 0
                    for neighbour in beside:
                        total += position[neighbour]
                    keys[vertex] = (lane[vertex], total / len(beside), i)
                    slots.append(i)
            for i, vertex in zip(slots, sorted(keys, key=keys.__getitem__), strict=True):
                layer[i] = vertex  # those without neighbours keep their slots
            for i, vertex in enumerate(layer):
                position[vertex] = i

    def _swap(self, rounds: int) -> None:
        """Swap two that stand side by side wherever that undoes more crossings than it makes."""
        position, lane = self.position, self.lane
        active = range(len(self.layers))
        for _ in range(rounds):
            changed: set[int] = set()
            for rank in active:
                layer = self.layers[rank]
                if len(layer) < 2:
                    continue
                above = [sorted([position[x] for x in self.up[v]]) for v in layer]
                below = [sorted([position[x] for x in self.down[v]]) for v in layer]
                for i in range(len(layer) - 1):
                    u, v = layer[i], layer[i + 1]
                    if lane[u] != lane[v]:
                        continue
                    gain = _excess(above[i], above[i + 1]) + _excess(below[i], below[i + 1])
                    if gain > 0:
                        layer[i], layer[i + 1] = v, u
                        position[u], position[v] = i + 1, i
                        above[i], above[i + 1] = above[i + 1], above[i]
                        below[i], below[i + 1] = below[i + 1], below[i]
                        changed.add(rank)
            if not changed:
                return
            active = [r for r in range(len(self.layers)) if {r - 1, r, r + 1} & changed]  # type: ignore[assignment]

    def crossings(self) -> int:
        """How many pairs of edges cross between neighbouring ranks."""
        total = 0
        position = self.position
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
    if not first or not second or first[-1] <= second[0]:
        return -len(first) * len(second) if first and second and first[-1] < second[0] else _few(first, second)
    return _few(first, second)


def _few(first: list[int], second: list[int]) -> int:
    excess = 0
    for a in first:
        for b in second:
            if a > b:
                excess += 1
            elif a < b:
                excess -= 1
    return excess


class _Placement:
    """Coordinates across: each vertex near the mean of its neighbours, in order and at a distance."""

    def __init__(self, layers: _Layers, breadths: Sequence[float]) -> None:
        self.layers = layers
        count = len(layers.rank)
        self.half = [b / 2 for b in breadths] + [0.0] * (count - len(breadths))
        self.y = [0.0] * count
        # How far each vertex is from the first of its rank, when packed.
        self.offsets: list[list[float]] = []
        for layer in layers.layers:
            at = 0.0
            offsets = []
            for before, vertex in zip([None, *layer], layer, strict=False):
                if before is not None:
                    at += self.half[before] + self.half[vertex] + self._gap(before, vertex)
                offsets.append(at)
            self.offsets.append(offsets)
            for vertex, offset in zip(layer, offsets, strict=True):
                self.y[vertex] = offset - at / 2

    def _gap(self, before: int, after: int) -> float:
        real = self.layers.nodes
        if before >= real and after >= real:
            return BETWEEN_BENDS
        gap = BETWEEN_NODES if before < real and after < real else (BETWEEN_NODES + BETWEEN_BENDS) / 2
        return gap if self.layers.lane[before] == self.layers.lane[after] else gap + 2 * BETWEEN_NODES

    def across(self) -> list[float]:
        up, down = self.layers.up, self.layers.down
        both = [a + b for a, b in zip(up, down, strict=True)]
        forth = range(len(self.layers.layers))
        rounds = 4 if len(self.y) < 1500 else 2
        for _ in range(rounds):
            for rank in forth:
                self._settle(rank, up, both)
            for rank in reversed(forth):
                self._settle(rank, down, both)
        for _ in range(rounds):
            for rank in forth:
                self._settle(rank, both, both)
            for rank in reversed(forth):
                self._settle(rank, both, both)
        return self.y

    def _settle(self, rank: int, neighbours: list[list[int]], otherwise: list[list[int]]) -> None:
        """The least-squares optimum for one rank: where wishes collide, a block takes their mean."""
        y, real = self.y, self.layers.nodes
        layer, offsets = self.layers.layers[rank], self.offsets[rank]
        blocks: list[tuple[float, float, int]] = []  # place of its first vertex, weight, vertices
        for vertex, offset in zip(layer, offsets, strict=True):
            beside = neighbours[vertex] or otherwise[vertex]
            wish = weight = 0.0
            for neighbour in beside:
                # Bends pull strongly on each other: long edges run straight.
                pull = 1.0 if vertex < real and neighbour < real else 8.0 if vertex >= real <= neighbour else 2.0
                wish += pull * y[neighbour]
                weight += pull
            place, weight, count = (wish / weight if weight else y[vertex]) - offset, weight or 0.01, 1
            while blocks and blocks[-1][0] >= place:
                earlier, its_weight, its_count = blocks.pop()
                place = (earlier * its_weight + place * weight) / (its_weight + weight)
                weight += its_weight
                count += its_count
            blocks.append((place, weight, count))
        i = 0
        for place, _, count in blocks:
            for _ in range(count):
                y[layer[i]] = place + offsets[i]
                i += 1


def _columns(layers: _Layers, lengths: Sequence[float], across: Sequence[float]) -> tuple[list[float], list[float]]:
    """Where each rank begins and ends along; steep edges between two ranks push them apart."""
    starts, ends = [], []
    at = 0.0
    for layer in layers.layers:
        breadth = steepest = 0.0
        for vertex in layer:
            if vertex < layers.nodes:
                breadth = max(breadth, lengths[vertex])
            for below in layers.down[vertex]:
                steepest = max(steepest, abs(across[vertex] - across[below]))
        starts.append(at)
        ends.append(at + breadth)
        at += breadth + BETWEEN_RANKS + min(110.0, max(0.0, steepest - 120.0) / 9)
    return starts, ends


def _drawn(
    layers: _Layers,
    edges: Sequence[tuple[int, int]],
    lengths: Sequence[float],
    breadths: Sequence[float],
    across: list[float],
    starts: list[float],
    ends: list[float],
    rankdir: str,
) -> Layout:
    rank = layers.rank
    least = min((across[v] - breadths[v] / 2 for v in range(layers.nodes)), default=0.0)
    least = min([least, *across[layers.nodes :]])
    most = max((across[v] + breadths[v] / 2 for v in range(layers.nodes)), default=0.0)
    most = max([most, *across[layers.nodes :]])
    extent = ends[-1] if ends else 0.0
    flip, horizontal = rankdir in ("RL", "BT"), rankdir in ("LR", "RL")

    def point(along: float, beside: float) -> Point:
        along = round(extent - along if flip else along, 1)
        beside = round(beside - least, 1)
        return (along, beside) if horizontal else (beside, along)

    middle = [(starts[r] + ends[r]) / 2 for r in range(len(starts))]
    leaving, arriving = _ports(layers, edges, breadths, across)
    paths = []
    for i, (source, target) in enumerate(edges):
        forth = rank[source] < rank[target]
        side = 0.5 if forth else -0.5
        path = [point(middle[rank[source]] + side * lengths[source], across[source] + leaving[i])]
        if lengths[source] < ends[rank[source]] - starts[rank[source]]:
            path += [path[0], point((ends if forth else starts)[rank[source]], across[source] + leaving[i])]
        for bend in layers.route(source, target):
            near, far = starts[rank[bend]], ends[rank[bend]]
            path += [point(near if forth else far, across[bend]), point(far if forth else near, across[bend])]
        end = point(middle[rank[target]] - side * lengths[target], across[target] + arriving[i])
        if lengths[target] < ends[rank[target]] - starts[rank[target]]:
            path += [point((starts if forth else ends)[rank[target]], across[target] + arriving[i]), end]
        path.append(end)
        paths.append(path)
    centres = [point(middle[rank[v]], across[v]) for v in range(layers.nodes)]
    width, height = (extent, most - least) if horizontal else (most - least, extent)
    return Layout(centres, paths, round(width, 1), round(height, 1))


def _ports(
    layers: _Layers, edges: Sequence[tuple[int, int]], breadths: Sequence[float], across: Sequence[float]
) -> tuple[list[float], list[float]]:
    """How far from the middle of its node each edge leaves and arrives, so that none covers another."""
    leaving = [0.0] * len(edges)
    arriving = [0.0] * len(edges)
    at_target: dict[tuple[int, bool], list[tuple[float, int]]] = {}
    for i, (source, target) in enumerate(edges):
        route = layers.route(source, target)
        before = route[-1] if route else source
        forth = layers.rank[source] < layers.rank[target]
        at_target.setdefault((target, forth), []).append((across[before], i))
    for (target, _), arrivals in at_target.items():
        if len(arrivals) < 2:
            continue
        arrivals.sort()
        room = min(breadths[target] * 0.7, 10.0 * (len(arrivals) - 1))
        for k, (_, i) in enumerate(arrivals):
            arriving[i] = (k / (len(arrivals) - 1) - 0.5) * room
    return leaving, arriving
