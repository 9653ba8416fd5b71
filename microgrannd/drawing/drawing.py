"""`draw` and the `Drawing` it gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from microgrannd.drawing import svg
from microgrannd.drawing.graph import Picture, picture
from microgrannd.drawing.layout import Layout, layered
from microgrannd.engine import Value


class Drawing:
    """A graph, drawn."""

    def __init__(self, picture: Picture, rankdir: str = "LR") -> None:
        self.picture = picture
        self.rankdir = rankdir

    @cached_property
    def layout(self) -> Layout:
        """Where everything is."""
        sizes = [svg.size(node) for node in self.picture.nodes]
        edges = [(edge.source, edge.target) for edge in self.picture.edges]
        return layered(sizes, edges, ranks=self.picture.ranks, lanes=self.picture.lanes, rankdir=self.rankdir)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG."""
        return svg.write(self.picture, self.layout)


def draw(
    y: Value | Sequence[Value],
    *,
    values: bool = True,
    gradients: bool = True,
    rankdir: str = "LR",
    precision: int = 4,
    highlight: Iterable[Value] = (),
    rules: bool = False,
) -> Drawing:
    """The graph under `y`, drawn."""
    roots = [y] if isinstance(y, Value) else list(y)
    drawn = picture(roots, values=values, gradients=gradients, precision=precision, highlight=highlight, rules=rules)
    return Drawing(drawn, rankdir)
