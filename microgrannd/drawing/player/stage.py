"""The picture on which a recording is played: every node with room for all the numbers it will show."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from microgrannd.drawing.layout.layout import Geometry, Point
from microgrannd.drawing.picture.lettering import shortened
from microgrannd.drawing.picture.picture import Detail, Picture, picture
from microgrannd.drawing.player.recording import Recording
from microgrannd.drawing.write.svg import geometry_of
from microgrannd.engine import Value

ROOM: Final = 6  # digits that every number has room for, since leaves can be changed


def stage(recording: Recording, order: Sequence[Value]) -> tuple[Picture, Geometry]:
    """The picture of the graph, and where everything is in it; nodes without a label have the player's name."""
    drawn = picture([order[-1]], Detail(gradients=False))
    shown = [run.shown() for run in recording.passes]
    for i, (box, node) in enumerate(zip(drawn.nodes, recording.nodes, strict=True)):
        box.title = node.path
        if node.kind != "constant":
            box.label = shortened(node.short)
            values, gradients = ([text for run in shown for _, text in run[part][i]] for part in (0, 1))
            box.value, box.gradient = values[-1] if values else "0", gradients[-1] if gradients else "0"
            box.room = max(ROOM, *map(len, values + gradients))
    return drawn, _rounded(geometry_of(drawn))


def _rounded(geometry: Geometry) -> Geometry:
    """To tenths of a pixel, so that the page is small."""

    def tenths(points: Sequence[Point]) -> list[Point]:
        return [(round(x, 1), round(y, 1)) for x, y in points]

    return replace(geometry, centres=tenths(geometry.centres), paths=[tenths(path) for path in geometry.paths])
