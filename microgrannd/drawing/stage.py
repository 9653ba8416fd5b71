"""The picture on which a recording is played: every node with room for all the numbers it will show.

This room may import the rest of `drawing`, except for the player.
"""

from __future__ import annotations

from collections.abc import Sequence

from microgrannd.drawing import svg
from microgrannd.drawing.graph import Picture, picture
from microgrannd.drawing.layout import Layout, layered
from microgrannd.drawing.lettering import number, shortened
from microgrannd.drawing.recording import Added, Computed, Recording, Seeded, Updated
from microgrannd.engine import Value


def stage(recording: Recording, order: Sequence[Value], precision: int = 4) -> tuple[Picture, Layout]:
    """The picture of the graph, and where everything is in it.

    Nodes without a label have the name that the player uses for them.
    """
    drawn = picture([order[-1]], gradients=False)
    widest = _widest(recording, precision)
    for node, described, (value, gradient) in zip(drawn.nodes, recording.nodes, widest, strict=True):
        node.title = described.path
        if described.kind != "constant":
            node.label = node.label or shortened(described.name)
            node.value, node.gradient, node.strength = value, gradient, 1.0
    sizes = [svg.size(node) for node in drawn.nodes]
    return drawn, layered(sizes, [(edge.source, edge.target) for edge in drawn.edges])


def _widest(recording: Recording, precision: int) -> list[tuple[str, str]]:
    """The longest value and the longest gradient that each node will ever show."""
    longest = [["0", "0"] for _ in recording.nodes]

    def show(node: int, row: int, x: float | None) -> None:
        if x is not None:
            longest[node][row] = max(longest[node][row], number(x, precision), key=len)

    for run in recording.passes:
        for i, (value, gradient) in enumerate(zip(run.values, run.gradients, strict=True)):
            show(i, 0, value)
            show(i, 1, gradient)
        for event in run.events:
            match event:
                case Computed():
                    show(event.node, 0, event.value)
                case Seeded():
                    show(event.node, 1, event.after)
                case Added():
                    show(event.parent, 1, event.after)
                case Updated():
                    show(event.node, 0, event.after)
    return [(value, gradient) for value, gradient in longest]
