"""The picture on which a recording is played: every node with room for all the numbers it will show."""

from collections.abc import Sequence
from typing import Final

from microgrannd.drawing.layout.layout import Geometry
from microgrannd.drawing.picture.lettering import shortened
from microgrannd.drawing.picture.picture import Detail, Picture, picture
from microgrannd.drawing.player.recording import Recording
from microgrannd.drawing.write.svg import geometry_of
from microgrannd.engine import Value

ROOM: Final = 6  # digits that every number has room for, since leaves can be changed
FIGURE_SPACE: Final = "\u2007"  # as wide as a digit, and kept at the end of a text


def stage(recording: Recording, order: Sequence[Value]) -> tuple[Picture, Geometry]:
    """The picture of the graph, and where everything is in it; nodes without a label have the player's name."""
    drawn = picture([order[-1]], Detail(gradients=False))
    shown = [run.shown() for run in recording.passes]
    for i, (box, node) in enumerate(zip(drawn.nodes, recording.nodes, strict=True)):
        box.title = node.path
        if node.kind != "constant":
            box.label = box.label or shortened(node.name)
            box.value = _with_room([text for values, _ in shown for _, text in values[i]])
            box.gradient = _with_room([text for _, gradients in shown for _, text in gradients[i]])
            box.strength = 1.0
    return drawn, geometry_of(drawn)


def _with_room(texts: list[str]) -> str:
    return texts[-1].ljust(max(ROOM, *map(len, texts)), FIGURE_SPACE) if texts else "0".ljust(ROOM, FIGURE_SPACE)
