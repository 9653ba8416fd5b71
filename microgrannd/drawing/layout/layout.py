"""Where everything goes: a layered layout after Sugiyama, the same to the last digit everywhere.

Here `along` is the direction in which the ranks follow each other and `across` that within a rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from microgrannd.drawing.layout.ordering import Ends, Layers
from microgrannd.drawing.layout.placement import Placement
from microgrannd.drawing.layout.ranks import tight_ranks

BETWEEN_RANKS: Final = 44.0
BETWEEN_PORTS: Final = 10.0

Point = tuple[float, float]
Size = tuple[float, float]


@dataclass(slots=True)
class Geometry:
    """The size and centre of each node and, for each edge, the points that its curve goes through.

    A path alternates between curves and straight lines across the column of a rank; it begins and ends with a curve.
    """

    sizes: Sequence[Size]
    centres: list[Point]
    paths: list[list[Point]]
    width: float
    height: float
    rankdir: str
    tags: list[Point | None] = field(default_factory=list)  # the centre of each edge's tag

    @property
    def horizontal(self) -> bool:
        return self.rankdir in ("LR", "RL")


def layered(
    sizes: Sequence[Size], edges: Sequence[Ends],
    *, ranks: Sequence[int] | None = None, lanes: Sequence[int] | None = None,
    rankdir: str = "LR", beside: Sequence[Ends] = (), tags: Sequence[Size | None] = (),
) -> Geometry:  # fmt: skip
    """Where nodes of these sizes (width, height) and edges (source, target) go; parents are numbered first.

    `ranks` overrules the shortest ones; an edge may then run backwards, but not within a rank. A pair in `beside` is
    drawn together as if by an edge. `tags` are the sizes of what is written on the edges.
    """
    if any(tags):
        return _with_tags(sizes, edges, tags, rankdir)
    layers = Layers(tight_ranks(len(sizes), edges) if ranks is None else ranks, [*edges, *beside], lanes)
    layers.arrange()
    return _Coordinates(layers, sizes, rankdir).geometry(edges)


def _with_tags(sizes: Sequence[Size], edges: Sequence[Ends], tags: Sequence[Size | None], rankdir: str) -> Geometry:
    """A tag is laid out as a node of its own in the middle of its edge, so that it covers nothing."""
    incoming: list[list[int]] = [[] for _ in sizes]
    for i, (_, target) in enumerate(edges):
        incoming[target].append(i)
    number, all_sizes = [0] * len(sizes), list[Size]()
    halves, tag_of = list[Ends](), dict[int, int]()
    for node, size in enumerate(sizes):
        for i in incoming[node]:
            if tag := tags[i]:
                tag_of[i] = len(all_sizes)
                all_sizes.append(tag)
        number[node] = len(all_sizes)
        all_sizes.append(size)
    for i, (source, target) in enumerate(edges):
        middle = [tag_of[i]] if i in tag_of else []
        halves.extend(pairwise([number[source], *middle, number[target]]))
    whole = layered(all_sizes, halves, rankdir=rankdir)
    paths = iter(whole.paths)
    joined = [next(paths) + (next(paths) if i in tag_of else []) for i in range(len(edges))]
    centres = [whole.centres[k] for k in number]
    places = [whole.centres[tag_of[i]] if i in tag_of else None for i in range(len(edges))]
    return Geometry(sizes, centres, joined, whole.width, whole.height, rankdir, places)


class _Coordinates:
    def __init__(self, layers: Layers, sizes: Sequence[Size], rankdir: str) -> None:
        self.layers, self.sizes, self.rankdir = layers, sizes, rankdir
        self.horizontal, self.reversed = rankdir in ("LR", "RL"), rankdir in ("RL", "BT")
        self.lengths = [size[0] if self.horizontal else size[1] for size in sizes]  # along
        breadths = self.breadths = [size[1] if self.horizontal else size[0] for size in sizes]  # across
        across = self.across = Placement(layers, breadths).across()
        self.starts, self.ends = self._columns()
        # In the middle of its column, or, for a leaf, at the end: near its consumer.
        self.middle = [
            (self.starts[rank] + self.ends[rank]) / 2 if before else self.ends[rank] - length / 2
            for rank, before, length in zip(layers.rank, layers.up, self.lengths, strict=False)
        ]
        half = [breadth / 2 for breadth in breadths] + [0.0] * (len(across) - len(breadths))
        self.least = min((y - h for y, h in zip(across, half, strict=True)), default=0.0)
        self.extent = self.ends[-1] if self.ends else 0.0
        self.breadth = max((y + h for y, h in zip(across, half, strict=True)), default=0.0) - self.least

    def geometry(self, edges: Sequence[Ends]) -> Geometry:
        leaving, arriving = self._ports(edges)
        paths = [self._path(*ends, *ports) for ends, *ports in zip(edges, leaving, arriving, strict=True)]
        centres = [self._point(self.middle[node], self.across[node]) for node in range(self.layers.nodes)]
        extent, breadth = round(self.extent, 1), round(self.breadth, 1)
        width, height = (extent, breadth) if self.horizontal else (breadth, extent)
        return Geometry(self.sizes, centres, paths, width, height, self.rankdir)

    def _columns(self) -> tuple[list[float], list[float]]:
        """Where each rank begins and ends along; steep edges between two ranks push them apart."""
        starts, ends, at = list[float](), list[float](), 0.0
        # With two lanes a rank has a column for each: they may stand closer.
        gap = BETWEEN_RANKS * (0.55 if any(self.layers.lane) else 1.0)
        across, down = self.across, self.layers.down
        for layer in self.layers.layers:
            length = max([0.0, *[self.lengths[node] for node in layer if node < self.layers.nodes]])
            steepest = max([0.0, *[abs(across[vertex] - across[below]) for vertex in layer for below in down[vertex]]])
            starts.append(at)
            ends.append(at + length)
            at += length + gap + min(110.0, max(0.0, steepest - 120.0) / 9)
        return starts, ends

    def _ports(self, edges: Sequence[Ends]) -> tuple[list[float], list[float]]:
        """How far from the middle of its node each edge leaves and arrives, so that none covers another."""
        leaving, arriving = [0.0] * len(edges), [0.0] * len(edges)
        arrivals: dict[tuple[int, bool], list[tuple[float, int]]] = {}
        uses: dict[Ends, list[int]] = {}
        rank, bends = self.layers.rank, self.layers.bends
        for i, (source, target) in enumerate(edges):
            forth = rank[source] < rank[target]
            before = rank[target] - (1 if forth else -1)
            origin = source if before == rank[source] else bends[source][before]
            arrivals.setdefault((target, forth), []).append((self.across[origin], i))
            uses.setdefault((source, target), []).append(i)
        for (target, _), ordered in arrivals.items():
            room = min(self.breadths[target] * 0.7, BETWEEN_PORTS * (len(ordered) - 1))
            for place, (_, i) in zip(_spread(len(ordered)), sorted(ordered), strict=True):
                arriving[i] = place * room
        for parallel in [several for several in uses.values() if len(several) > 1]:
            for place, i in zip(_spread(len(parallel)), parallel, strict=True):
                leaving[i] = place * min(BETWEEN_PORTS * (len(parallel) - 1), 20.0)
        return leaving, arriving

    def _path(self, source: int, target: int, leaving: float, arriving: float) -> list[Point]:
        rank, across = self.layers.rank, self.across
        first, last = rank[source], rank[target]
        step = 1 if first < last else -1
        near, far = (self.starts, self.ends) if step == 1 else (self.ends, self.starts)
        out, back = across[source] + leaving, across[target] + arriving
        point = self._point
        start = point(self.middle[source] + step * self.lengths[source] / 2, out)
        path = [start, start, point(far[first], out)]
        for between in range(first + step, last, step):
            bend = across[self.layers.bends[source][between]] + leaving / 2
            path += [point(near[between], bend), point(far[between], bend)]
        end = point(self.middle[target] - step * self.lengths[target] / 2, back)
        path += [point(near[last], back), end, end]
        return path

    def _point(self, along: float, across: float) -> Point:
        along = round(self.extent - along if self.reversed else along, 1)
        across = round(across - self.least, 1)
        return (along, across) if self.horizontal else (across, along)


def _spread(count: int) -> list[float]:
    return [i / (count - 1) - 0.5 for i in range(count)] if count > 1 else [0.0]
