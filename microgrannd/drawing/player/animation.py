"""A recording as one SVG that plays by itself, by CSS keyframes alone, for places where no script runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from microgrannd.drawing.layout.layout import Geometry
from microgrannd.drawing.picture.lettering import shortened
from microgrannd.drawing.picture.picture import Picture
from microgrannd.drawing.player.recording import Added, Computed, Moments, Recording, Seeded, Updated
from microgrannd.drawing.write import svg
from microgrannd.printing.labels import in_markup

SECONDS: Final = 1.6  # for each event
LONGEST: Final = 160  # events; of a longer recording only the end is shown
NARROWEST: Final = 600.0  # so that the caption has room
_PARTS: Final = re.compile(
    r'<g id="n(\d+)"|<text class="(value|gradient)"([^>]*)>[^<]*</text>|<rect class="strength"[^>]*/>'
)
_STYLE: Final = """
.microgrannd .event { fill: none; stroke: #4f46e5; stroke-width: 3 }
.microgrannd .event-back { stroke: #b93a04 }
.microgrannd .caption { font-size: 14px }
@media (prefers-color-scheme: dark) {
.microgrannd .event { stroke: #a5b4fc }
.microgrannd .event-back { stroke: #ffb27a }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important } }
"""


def animated(recording: Recording, picture: Picture, geometry: Geometry) -> str:
    """The first pass of the recording, animated: a moment before it, one for each event, two at its end."""
    events = recording.passes[0].events
    clock = _Clock(len(events) + 3)
    still = _with_numbers(svg.svg_text(picture, geometry), recording, picture, clock)
    across, down = max(geometry.width + 2 * svg.MARGIN, NARROWEST), geometry.height + 2 * svg.MARGIN + 44
    shown = [] if clock.stopped else enumerate(events, 1)
    marks = "".join([_mark(event, picture, geometry, clock.during(i, i + 1)) for i, event in shown])
    captions = [(0, f"{len(events)} steps"), *((i + 1, recording.line(event)) for i, event in enumerate(events))]
    place = f'x="20" y="{down - 20:.0f}"'
    caption = clock.one_after_another(
        captions, lambda text, when: f'<text class="caption{when}" {place}>{in_markup(shortened(text, 80))}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="microgrannd" width="{across:.0f}" height="{down:.0f}" '
        f'viewBox="0 0 {across:.0f} {down:.0f}"><rect class="paper" width="100%" height="100%" rx="10"/>{still}'
        f'<g transform="translate({svg.MARGIN:.0f} {svg.MARGIN:.0f})">{marks}</g>{caption}'
        f"<style>{_STYLE}{clock.rules()}</style></svg>\n"
    )


def _with_numbers(still: str, recording: Recording, picture: Picture, clock: _Clock) -> str:
    """The picture with all the numbers that a node shows, one after another, in place of its last."""
    values, gradients = recording.passes[0].shown()
    node = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal node
        if match[1]:
            node = int(match[1])
            return match[0]
        kind, place = match[2], match[3]
        if not kind:
            return ""
        if picture.nodes[node].kind == "constant":
            return match[0]
        texts, sign = (values[node], "") if kind == "value" else (gradients[node], "∇ ")
        return clock.one_after_another(texts, lambda text, at: f'<text class="{kind}{at}"{place}>{sign}{text}</text>')

    return _PARTS.sub(replaced, still)


class _Clock:
    """Gives out classes for what is shown from one moment to another, and writes their rules."""

    def __init__(self, length: int) -> None:
        self.length, self.stopped = length, length > LONGEST
        self._spans: set[tuple[int, int]] = set()

    def during(self, start: int, end: int) -> str:
        """A class, with the space before it, for what is shown from `start` until `end`."""
        if start <= 0 and end >= self.length:
            return ""
        self._spans.add((start, end))
        return f" during-{start}-{end}"

    def one_after_another(self, texts: Moments, written: Callable[[str, str], str]) -> str:
        """Each text until the next one begins; only the last if nothing moves."""
        if self.stopped:
            return "".join(written(text, "") for _, text in texts[-1:])
        ends = [start for start, _ in texts[1:]] + [self.length]
        return "".join(written(text, self.during(start, end)) for (start, text), end in zip(texts, ends, strict=True))

    def rules(self) -> str:
        lines = []
        for start, end in sorted(self._spans):
            name, last = f"during-{start}-{end}", end >= self.length
            frames = f"0%{{opacity:0}}{100 * start / self.length:.3f}%{{opacity:1}}"
            frames += "" if last else f"{100 * end / self.length:.3f}%{{opacity:0}}"
            lines.append(
                f".{name}{{opacity:{int(last)};animation:{name} {self.length * SECONDS:.1f}s step-end infinite}}"
                f"@keyframes {name}{{{frames}100%{{opacity:{int(last)}}}}}"
            )
        return "\n".join(lines)


def _mark(event: object, picture: Picture, geometry: Geometry, when: str) -> str:
    match event:
        case Added(node=node, position=position, parent=parent):
            edge = next(i for i, edge in enumerate(picture.edges) if edge.id == f"e{node}-{position}")
            path = f'<path class="event event-back{when}" d="{svg.curve(geometry.paths[edge])}"/>'
            return path + _frame(picture, geometry, parent, f"event-back{when}")
        case Computed(node=node) | Updated(node=node):
            return _frame(picture, geometry, node, when.lstrip())
        case Seeded(node=node):
            return _frame(picture, geometry, node, f"event-back{when}")
    return ""


def _frame(picture: Picture, geometry: Geometry, node: int, classes: str) -> str:
    (x, y), (across, down) = geometry.centres[node], svg.size(picture.nodes[node])
    return (
        f'<rect class="event {classes}" x="{x - across / 2 - 4:.1f}" y="{y - down / 2 - 4:.1f}" '
        f'width="{across + 8:.1f}" height="{down + 8:.1f}" rx="11"/>'
    )
