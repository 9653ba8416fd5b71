"""Coordinates across: every node near its neighbours, in the order of its rank, and none over another.

Floats are added one by one, never with `sum`, whose rounding depends on the version of Python.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from microgrannd.drawing.layout.ordering import Layers

BETWEEN_NODES: Final = 14.0
BETWEEN_BENDS: Final = 9.0


class Placement:
    def __init__(self, layers: Layers, breadths: Sequence[float]) -> None:
        self.layers = layers
        count = len(layers.rank)
        self.half = [b / 2 for b in breadths] + [0.0] * (count - len(breadths))
        self.y = [0.0] * count
        # How far each vertex is from the first of its rank, when packed.
        self.offsets: list[list[float]] = []
        for layer in layers.layers:
            at, offsets = 0.0, [0.0] * bool(layer)
            for before, vertex in pairwise(layer):
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
        for before, after in [(up, down)] * rounds + [(both, both)] * rounds:
            for rank in forth:
                self._settle(rank, before, both)
            for rank in reversed(forth):
                self._settle(rank, after, both)
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
        start = 0
        for place, _, count in blocks:
            for i in range(start, start + count):
                y[layer[i]] = place + offsets[i]
            start += count
