"""A picture and a layout, written as SVG; the README lists the ids and classes that a program may rely on."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import repeat
from typing import Final

from microgrannd.drawing.layout.layout import Geometry, Point, Size, layered
from microgrannd.drawing.picture.lettering import MONOSPACE, width
from microgrannd.drawing.picture.picture import Box, Edge, Picture
from microgrannd.printing.labels import in_markup

MARGIN: Final = 20.0
ROW: Final = 15.0
LABEL: Final = 1.04  # labels are bold
NOTE: Final = 0.93  # notes are small
LINE: Final = 480.0  # of a caption, unless the picture is broader


def size(node: Box) -> Size:
    rows = bool(node.label or node.value) + bool(node.gradient) + len(node.notes)
    rows = max(rows, 0 if node.gate else 1)
    across = _gate_width(node) + (2 * _inset(node) + _text_width(node) if rows else 0.0)
    down = 24.0 if node.kind == "constant" else 13.0 + ROW * max(rows, 1)
    return round(max(across, 28.0), 1), down


def geometry_of(picture: Picture, rankdir: str = "LR") -> Geometry:
    return layered(
        [size(node) for node in picture.nodes],
        [(edge.source, edge.target) for edge in picture.edges],
        beside=picture.beside,
        ranks=picture.ranks,
        lanes=picture.lanes,
        rankdir=rankdir,
        tags=[(round(_tag_width(edge), 1), 18.0) if edge.rule else None for edge in picture.edges],
    )


def svg_text(picture: Picture, geometry: Geometry) -> str:
    caption = _wrapped(picture.caption, max(geometry.width, LINE)) if picture.caption else []
    across = max([geometry.width, *(width(line) * NOTE for line in caption)]) + 2 * MARGIN
    down = geometry.height + 2 * MARGIN + (len(caption) + 0.5) * ROW * bool(caption)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="microgrannd" role="img" '
            f'aria-labelledby="microgrannd-title microgrannd-description" '
            f'width="{across:.0f}" height="{down:.0f}" viewBox="0 0 {_plain(across)} {_plain(down)}">',
            f'<title id="microgrannd-title">{in_markup(picture.title)}</title>',
            f'<desc id="microgrannd-description">{in_markup(picture.description)}</desc>',
            f"<style>{stylesheet()}</style>",
            "<defs>" + _arrowhead("head") + _arrowhead("back") + "</defs>",
            f'<rect class="paper" width="{_plain(across)}" height="{_plain(down)}" rx="10"/>',
            f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
            '<g class="edges" stroke-width="1.3" marker-end="url(#microgrannd-head)">',
            *map(_edge, picture.edges, geometry.paths, repeat(geometry.horizontal)),
            '</g><g class="nodes">',
            *map(_node, picture.nodes, geometry.sizes, geometry.centres, repeat(_longest_bar(picture.nodes))),
            "</g>",
            *[_tag(edge, at) for edge, at in zip(picture.edges, geometry.tags, strict=False) if at],
            *[_text("note", 0, geometry.height + MARGIN + i * ROW, in_markup(line)) for i, line in enumerate(caption)],
            "</g></svg>\n",
        ]
    )


@cache
def stylesheet() -> str:
    return files("microgrannd.drawing.write").joinpath("style.css").read_text("utf-8")


def curve(path: Sequence[Point], horizontal: bool = True) -> str:
    """The path's `d`: curves between ranks, straight lines across them.

    >>> curve([(0.0, 0.0), (10.0, 4.0)])
    'M0 0C5 0 5 4 10 4'
    """
    (x, y), *rest = path
    parts = [f"M{x:.7g} {y:.7g}"]
    for i, (to_x, to_y) in enumerate(rest):
        if to_x == x and to_y == y:
            continue
        if i % 2 or (y == to_y if horizontal else x == to_x):
            parts.append(f"L{to_x:.7g} {to_y:.7g}")
        else:
            end_x, end_y = f"{to_x:.7g}", f"{to_y:.7g}"
            middle = f"{(x + to_x) / 2 if horizontal else (y + to_y) / 2:.7g}"
            bends = f"{middle} {y:.7g} {middle} {end_y}" if horizontal else f"{x:.7g} {middle} {end_x} {middle}"
            parts.append(f"C{bends} {end_x} {end_y}")
        x, y = to_x, to_y
    return "".join(parts)


def _arrowhead(name: str) -> str:
    return (
        f'<marker id="microgrannd-{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="{name}" d="M0 1 8 4 0 7z"/></marker>'
    )


def _edge(edge: Edge, path: Sequence[Point], horizontal: bool) -> str:
    classes = "edge" + (" idle" if edge.idle else "") + (f" {edge.kind}" if edge.kind else "")
    # An edge that stands for many is the broader, by a little for every factor of two.
    breadth = 1 + 2 * edge.strength if edge.strength else 1.3 + min(edge.count.bit_length() - 1, 20) / 8
    weight = f' stroke-width="{_plain(breadth)}"' if breadth != 1.3 else ""
    head = ' marker-end="url(#microgrannd-back)"' if edge.kind == "gradient" else ""
    return f'<path id="{edge.id}" class="{classes}"{weight}{head} d="{curve(path, horizontal)}"/>'


def _tag_width(edge: Edge) -> float:
    return len(edge.rule) * MONOSPACE + 10


def _tag(edge: Edge, centre: Point) -> str:
    across = _tag_width(edge)
    return (
        f'<g class="rule" transform="translate({_plain(centre[0])} {_plain(centre[1])})">'
        f'<rect class="tag" x="{_plain(-across / 2)}" y="-9" width="{_plain(across)}" height="18" rx="4"/>'
        f'<text x="{_plain(5 - across / 2)}" y="4">{in_markup(edge.rule)}</text></g>'
    )


def _longest_bar(nodes: Sequence[Box]) -> float:
    """The length of a bar for the largest gradient: one in the whole picture, so that bars can be compared."""
    return min((_text_width(node) for node in nodes if node.strength), default=0.0)


def _node(node: Box, size: Size, centre: Point, bar: float) -> str:
    across, down = size
    left, top = centre[0] - across / 2, centre[1] - down / 2
    classes = f"node {node.kind}" + (" output" if node.output else "") + (" highlight" if node.highlighted else "")
    title = f"<title>{in_markup(node.title)}</title>" if node.title else ""
    return (
        f'<g id="{node.id}" class="{classes}" transform="translate({left:.7g} {top:.7g})">{title}'
        f"{_outline(node, across, down)}{_gate(node, across, down)}{_texts(node, bar)}</g>"
    )


def _outline(node: Box, across: float, down: float) -> str:
    radius = min(down / 2, 17.0) if node.kind == "leaf" else 7.0
    copies = [_rectangle("box", shift, across, down, radius) for shift in (6, 3)] if node.count > 1 else []
    ring = _rectangle("ring", -4, across + 8, down + 8, radius + 4) if node.output else ""
    box = _rectangle("box", 0, across, down, radius)
    if node.kind == "gradient":  # a box with its corners cut
        right, bottom, near, low = map(_plain, (across, down, across - 8, down - 8))
        box = f'<path class="box" d="M8 0H{near}L{right} 8V{low}L{near} {bottom}H8L0 {low}V8z"/>'
    return "".join([*copies, ring, box])


def _texts(node: Box, bar: float) -> str:
    x, y = _gate_width(node) + _inset(node), 16.0 if node.kind == "constant" else 18.5
    parts = []
    if node.label:
        parts.append(_text("label", x, y, in_markup(node.label)))
    if node.value:
        beside = x + (width(node.label) * LABEL + 7 if node.label else 0.0)
        parts.append(_text("value", beside, y, node.value))
    y += ROW if parts else 0.0
    rows = [("gradient", f"∇ {node.gradient}")] if node.gradient else []
    for kind, row in rows + [("note", in_markup(note)) for note in node.notes]:
        parts.append(_text(kind, x, y, row))
        y += ROW
    if node.strength:
        at = f'x="{_plain(x)}" y="{_plain(y - 11.5)}"'
        parts.append(f'<rect class="strength" {at} width="{_plain(bar * node.strength)}" height="2" rx="1"/>')
    return "".join(parts)


def _text(kind: str, x: float, y: float, markup: str) -> str:
    return f'<text class="{kind}" x="{x:.7g}" y="{y:.7g}">{markup}</text>'


def _gate(node: Box, across: float, down: float) -> str:
    if not node.gate:
        return ""
    breadth = _gate_width(node)
    right, bottom = _plain(breadth), _plain(down)
    if breadth >= across:
        shape = _rectangle("gate", 0, breadth, down, 7)
    elif node.kind == "gradient":
        shape = f'<path class="gate" d="M{right} 0H8L0 8V{_plain(down - 8)}L8 {bottom}H{right}z"/>'
    else:
        left = f"H7A7 7 0 0 0 0 7V{_plain(down - 7)}A7 7 0 0 0 7 {bottom}H{right}z"
        shape = f'<path class="gate" d="M{right} 0{left}"/>'
    classes, lower = ("symbol short", 5.5) if len(node.gate) <= 2 else ("symbol", 4)
    return f"{shape}{_text(classes, breadth / 2, down / 2 + lower, in_markup(node.gate))}"


def _rectangle(kind: str, corner: float, across: float, down: float, radius: float) -> str:
    start = f' x="{corner}" y="{corner}"' if corner else ""
    return f'<rect class="{kind}"{start} width="{across:.7g}" height="{down:.7g}" rx="{radius:.7g}"/>'


def _gate_width(node: Box) -> float:
    if not node.gate:
        return 0.0
    return 28.0 if len(node.gate) <= 2 else round(width(node.gate) + 14, 1)


def _inset(node: Box) -> float:
    return 13.0 if node.kind == "leaf" else 10.0


def _text_width(node: Box) -> float:
    first = width(node.label) * LABEL if node.label else 0.0
    if node.value:
        first += max(len(node.value), node.room) * MONOSPACE + (7 if node.label else 0)
    second = (max(len(node.gradient), node.room) + 2) * MONOSPACE if node.gradient else 0.0
    return max([first, second, *(width(note) * NOTE for note in node.notes)])


def _wrapped(text: str, room: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer) * NOTE > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _plain(x: float) -> str:
    return f"{x:.7g}"
