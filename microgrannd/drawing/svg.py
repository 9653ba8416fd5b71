"""A picture and a layout, written as SVG.

What a program that animates it may rely on:

- `<g id="n12" class="node operation">` is a node: `leaf`, `constant`, `operation`, `fold` or `gradient`,
  with `output` and `highlight` where they apply. In it `rect.box`, `text.label`, `text.value` and
  `text.gradient` (`∇ −4`; `rect.strength` under it is the longer, the larger the gradient), `g.gate`.
- `<path id="e12-0" class="edge">` is the edge from parent 0 of node 12, drawn from parent to node.
- Everything hangs under `<svg class="microgrannd">`, to which all style rules are confined.

Each colour has one meaning and never carries it alone: leaves are pills, constants dotted, outputs have
a double border, gradients the sign ∇, and edges through which nothing flows back are dotted. The picture
brings its own background, light or dark as the reader's system is. This room may import `graph`,
`layout` and `lettering`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from microgrannd.drawing.graph import Edge, Node, Picture
from microgrannd.drawing.layout import Layout, Point, Size
from microgrannd.drawing.lettering import MONOSPACE, escaped, width

MARGIN: Final = 20.0
ROW: Final = 15.0
_INSET: Final = 10.0


def size(node: Node) -> tuple[float, float]:
    """How large a node is drawn: (width, height)."""
    rows = _rows(node)
    across = _gate_width(node) + (2 * _INSET + max(_row_width(row) for row in rows) if rows else 0.0)
    return round(max(across, 28.0), 1), (24.0 if node.kind == "constant" else 13.0) + ROW * max(len(rows), 1) - (
        15.0 if node.kind == "constant" else 0.0
    )


def write(picture: Picture, layout: Layout) -> str:
    """The SVG file, as text."""
    across, down = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="microgrannd" role="img" '
        f'aria-labelledby="microgrannd-title microgrannd-description" '
        f'width="{across:.0f}" height="{down:.0f}" viewBox="0 0 {_plain(across)} {_plain(down)}">',
        f'<title id="microgrannd-title">{escaped(picture.title)}</title>',
        f'<desc id="microgrannd-description">{escaped(picture.description)}</desc>',
        f"<style>{stylesheet()}</style>",
        '<defs><marker id="microgrannd-head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 1 8 4 0 7z"/>'
        "</marker></defs>",
        f'<rect class="paper" width="{_plain(across)}" height="{_plain(down)}" rx="10"/>',
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
        '<g class="edges" stroke-width="1.3" marker-end="url(#microgrannd-head)">',
    ]
    parts += [_edge(edge, path, layout.horizontal) for edge, path in zip(picture.edges, layout.paths, strict=True)]
    parts.append('</g><g class="nodes">')
    placed = zip(picture.nodes, layout.sizes, layout.centres, strict=True)
    parts += [_node(node, size, centre) for node, size, centre in placed]
    parts.append("</g></g></svg>\n")
    return "\n".join(parts)


@cache
def stylesheet() -> str:
    """The style rules, which a page that embeds the picture may follow with its own."""
    return files("microgrannd.drawing").joinpath("style.css").read_text("utf-8")


def curve(path: list[Point], horizontal: bool = True) -> str:
    """The path's `d`: curves between ranks, straight lines across them.

    >>> curve([(0.0, 0.0), (10.0, 4.0)])
    'M0 0C5 0 5 4 10 4'
    """
    (x, y), *rest = path
    parts = [f"M{_plain(x)} {_plain(y)}"]
    for i, (to_x, to_y) in enumerate(rest):
        if (to_x, to_y) == (x, y):
            continue
        if i % 2:
            parts.append(f"L{_plain(to_x)} {_plain(to_y)}")
        elif horizontal:
            middle = _plain((x + to_x) / 2)
            parts.append(f"C{middle} {_plain(y)} {middle} {_plain(to_y)} {_plain(to_x)} {_plain(to_y)}")
        else:
            middle = _plain((y + to_y) / 2)
            parts.append(f"C{_plain(x)} {middle} {_plain(to_x)} {middle} {_plain(to_x)} {_plain(to_y)}")
        x, y = to_x, to_y
    return "".join(parts)


def _edge(edge: Edge, path: list[Point], horizontal: bool) -> str:
    classes = "edge" + (" idle" if edge.idle else "") + (f" {edge.kind}" if edge.kind else "")
    weight = f' stroke-width="{_plain(1 + 2 * edge.strength)}"' if edge.strength else ""
    return f'<path id="{edge.id}" class="{classes}"{weight} d="{curve(path, horizontal)}"/>'


def _node(node: Node, size: Size, centre: Point) -> str:
    across, down = size
    left, top = centre[0] - across / 2, centre[1] - down / 2
    classes = f"node {node.kind}" + (" output" if node.output else "") + (" highlight" if node.highlighted else "")
    radius = down / 2 if node.kind == "leaf" else 7
    parts = [
        f'<g id="{node.id}" class="{classes}" transform="translate({_plain(left)} {_plain(top)})">',
        f"<title>{escaped(node.title)}</title>",
    ]
    if node.output:
        parts.append(_rectangle("ring", -4, across + 8, down + 8, radius + 4))
    parts.append(_rectangle("box", 0, across, down, radius))
    gate = _gate_width(node)
    if node.gate:
        whole = not _rows(node)
        parts.append(_gate(node.gate, gate if not whole else across, down, whole))
    y = 18.5 if node.kind != "constant" else 16.0
    x = gate + _INSET
    if node.label or node.value:
        if node.label:
            parts.append(f'<text class="label" x="{_plain(x)}" y="{_plain(y)}">{escaped(node.label)}</text>')
        if node.value:
            shift = width(node.label) * 1.04 + 7 if node.label else 0.0
            parts.append(f'<text class="value" x="{_plain(x + shift)}" y="{_plain(y)}">{node.value}</text>')
        y += ROW
    if node.gradient:
        parts.append(f'<text class="gradient" x="{_plain(x)}" y="{_plain(y)}">∇ {node.gradient}</text>')
        length = (across - gate - 2 * _INSET) * node.strength
        parts.append(
            f'<rect class="strength" x="{_plain(x)}" y="{_plain(y + 3.5)}" width="{_plain(length)}" height="2" rx="1"/>'
        )
        y += ROW
    for note in node.notes:
        parts.append(f'<text class="note" x="{_plain(x)}" y="{_plain(y)}">{escaped(note)}</text>')
        y += ROW
    parts.append("</g>")
    return "".join(parts)


def _gate(symbol: str, across: float, down: float, whole: bool) -> str:
    """The dark end of an operation's box, round on the left (or all round, if there is nothing beside it)."""
    if whole:
        shape = f'<rect class="gate" width="{_plain(across)}" height="{_plain(down)}" rx="7"/>'
    else:
        shape = (
            f'<path class="gate" d="M{_plain(across)} 0H7A7 7 0 0 0 0 7V{_plain(down - 7)}'
            f'A7 7 0 0 0 7 {_plain(down)}H{_plain(across)}z"/>'
        )
    short = len(symbol) <= 2
    baseline = down / 2 + (5.5 if short else 4)
    return (
        f'{shape}<text class="symbol{" short" if short else ""}" x="{_plain(across / 2)}" '
        f'y="{_plain(baseline)}">{escaped(symbol)}</text>'
    )


def _rectangle(kind: str, corner: float, across: float, down: float, radius: float) -> str:
    start = f' x="{corner}" y="{corner}"' if corner else ""
    return f'<rect class="{kind}"{start} width="{_plain(across)}" height="{_plain(down)}" rx="{_plain(radius)}"/>'


def _gate_width(node: Node) -> float:
    if not node.gate:
        return 0.0
    return 28.0 if len(node.gate) <= 2 else round(width(node.gate) + 14, 1)


def _rows(node: Node) -> list[tuple[str, str, str]]:
    """The rows beside the gate, each as (label, number, note)."""
    rows = []
    if node.label or node.value:
        rows.append((node.label, node.value, ""))
    if node.gradient:
        rows.append(("", "∇ " + node.gradient, ""))
    rows.extend(("", "", note) for note in node.notes)
    return rows


def _row_width(row: tuple[str, str, str]) -> float:
    label, numeral, note = row
    across = width(label) * 1.04 if label else 0.0
    if numeral:
        across += len(numeral) * MONOSPACE + (7 if label else 0)
    return across + (width(note) * 0.92 if note else 0.0)


def _plain(x: float) -> str:
    """A coordinate, without a trailing zero."""
    return f"{x:.7g}"
