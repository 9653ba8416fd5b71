"""The picture on which a recording is played: every node with room for all the numbers it will show.

This room may import the rest of `drawing`, except for the player.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from microgrannd.drawing.layout.layout import Layout, layered
from microgrannd.drawing.picture.graph import Picture, picture
from microgrannd.drawing.picture.lettering import number, shortened
from microgrannd.drawing.player.recording import Added, Computed, Recording, Seeded, Updated
from microgrannd.drawing.write import svg
from microgrannd.engine import Value

FIGURE_SPACE: Final = "\u2007"  # as wide as a digit, and kept at the end of a text


def stage(recording: Recording, order: Sequence[Value], precision: int = 4) -> tuple[Picture, Layout]:
    """The picture of the graph, and where everything is in it.

    Nodes without a label have the name that the player uses for them. The numbers are those of the end,
    with spaces after them, so that they take as much room as the longest.
    """
    drawn = picture([order[-1]], gradients=False)
    shown = _shown(recording, precision)
    for node, described, (values, gradients) in zip(drawn.nodes, recording.nodes, shown, strict=True):
        node.title = described.path
        if described.kind != "constant":
            node.label = node.label or shortened(described.name)
            node.value, node.gradient, node.strength = _with_room(values), _with_room(gradients), 1.0
    sizes = [svg.size(node) for node in drawn.nodes]
    return drawn, layered(sizes, [(edge.source, edge.target) for edge in drawn.edges])


def _shown(recording: Recording, precision: int) -> list[tuple[list[str], list[str]]]:
    """The values and the gradients that each node will show, one after another."""
    values: list[list[str]] = [[] for _ in recording.nodes]
    gradients: list[list[str]] = [[] for _ in recording.nodes]
    for run in recording.passes:
        for i, (value, gradient) in enumerate(zip(run.values, run.gradients, strict=True)):
            values[i] += [number(value, precision)] if value is not None else []
            gradients[i] += [number(gradient, precision)] if gradient else []
        for event in run.events:
            match event:
                case Computed():
                    values[event.node].append(number(event.value, precision))
                case Seeded():
                    gradients[event.node].append(number(event.after, precision))
                case Added():
                    gradients[event.parent].append(number(event.after, precision))
                case Updated():
                    values[event.node].append(number(event.after, precision))
    return list(zip(values, gradients, strict=True))


def _with_room(texts: list[str]) -> str:
    """The last of the texts, as long as the longest."""
    return texts[-1].ljust(max(map(len, texts)), FIGURE_SPACE) if texts else "0"
