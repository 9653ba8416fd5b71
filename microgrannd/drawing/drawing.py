"""`draw` and the `Drawing` it returns."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cached_property
from html import escape
from typing import Any, Final

from microgrannd.drawing.layout.layout import Geometry
from microgrannd.drawing.picture.backward import backward_picture
from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.picture import Detail, Picture, picture
from microgrannd.drawing.unfolding import unfolding_page
from microgrannd.drawing.write.dot import dot_text, render
from microgrannd.drawing.write.svg import geometry_of, svg_text
from microgrannd.drawing.write.tree import tree
from microgrannd.engine import Value
from microgrannd.ground.arguments import list_of, must_be, one_of, path_of, shown, truth, whole_number
from microgrannd.ground.files import show_page, write_whole
from microgrannd.printing.labels import in_markup

LAYOUTS: Final = ("layered", "dot")
DIRECTIONS: Final = ("LR", "RL", "TB", "BT")
FOLDS: Final = ("auto", "none", "all")


def draw(
    y: Value | Sequence[Value],
    *, backward: bool = False, layout: str = "layered", values: bool = True, gradients: bool = True,
    rules: bool = False, rankdir: str = "LR", depth: int | None = None, fold: str = "auto",
    precision: int = 4, highlight: Iterable[Value] = (),
) -> Drawing:  # fmt: skip
    """The graph under a Value, or under several, drawn; it shows itself in a notebook.

    - `backward=True` draws the backward pass beside the forward one: the graph of the gradients.
    - `values`, `gradients`: whether to show them. Gradients are there once `backward()` has run.
    - `rules=True` writes each local gradient on its edge, as formula and number.
    - `rankdir` is the direction from the leaves to the output: LR, RL, TB or BT.
    - `fold`: "auto" draws up to about 150 nodes whole and folds larger graphs by scope and by structure;
      "none" draws every node, "all" folds as far as it goes. `depth` is how many levels of scopes to open.
    - `precision` is the number of significant digits; `highlight` are Values to stand out.
    - `layout="dot"` hands the graph to Graphviz, if that is installed, for `.svg`, `.png` and `.pdf`.

    >>> x = Value(3.0, label="x")
    >>> y = x * x
    >>> y.backward()
    >>> print(draw(y))
    × 9 (∇ 1)
    ├─ x 3 (∇ 6)
    └─ x, as above
    """
    roots = _roots(y)
    one_of("fold", fold, FOLDS)
    detail = Detail(
        truth("values", values),
        truth("gradients", gradients),
        truth("rules", rules),
        min(whole_number("precision", precision, 1), 1000),
        frozenset(list_of("highlight", highlight, "a list of Values", Value)),
    )
    if depth is not None:
        depth = whole_number("depth", depth, 0)
    if not truth("backward", backward):
        return Drawing(folded(roots, detail, fold=fold, depth=depth) or picture(roots, detail), rankdir, layout)
    if len(roots) > 1:
        raise ValueError(f"backward=True draws the backward pass of one Value, got {len(roots)}.")
    return Drawing(backward_picture(roots[0], detail, fold=fold, depth=depth), rankdir, layout)


class Drawing:
    """A graph, drawn: `.svg` and `.dot` are the texts, `.save(path)` writes a file, `.show()` opens the browser.

    In a notebook it shows itself as a picture, in a terminal `print` shows it as a tree.
    """

    def __init__(self, picture: Picture, rankdir: str = "LR", layout: str = "layered") -> None:
        must_be("picture", picture, Picture)
        one_of("layout", layout, LAYOUTS)
        one_of("rankdir", rankdir, DIRECTIONS)
        self.picture, self.rankdir, self.layout = picture, rankdir, layout
        if layout == "dot":
            _ = self.svg  # a problem with Graphviz is reported now, not when the drawing is shown

    @cached_property
    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        if self.layout == "dot":
            return render(self.dot, "svg").decode("utf-8")
        return svg_text(self.picture, self.geometry)

    @cached_property
    def dot(self) -> str:
        """The picture as `.dot` text, for Graphviz and others; it needs neither."""
        return dot_text(self.picture, self.rankdir)

    @cached_property
    def html(self) -> str:
        """The picture in a page of its own, which loads nothing; the boxes of a folded picture open at a click."""
        if self.picture.unfolds and self.layout != "dot":
            return unfolding_page(self.picture, self.picture.unfolds, self.svg, self.rankdir)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
            f"<title>{in_markup(self.picture.title)}</title><style>body {{ margin: 1rem }}</style></head>\n"
            f"<body>{self.svg[self.svg.index('<svg') :]}</body></html>\n"
        )

    @cached_property
    def geometry(self) -> Geometry:
        """Where our own layout puts everything."""
        return geometry_of(self.picture, self.rankdir)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file: .svg, .dot or .html; with layout="dot" also .png and .pdf.

        In the .html of a folded drawing a click unfolds a box, as in the player, and a search finds nodes.
        """
        suffix = path_of("path", path).suffix.lower()
        if suffix in (".svg", ".dot", ".html"):
            write_whole(path, str(getattr(self, suffix[1:])))
        elif suffix not in (".png", ".pdf"):
            given = suffix or "a file without a suffix"
            raise ValueError(f"A drawing is saved as .svg, .dot or .html, not as {given!r}.")
        elif self.layout == "dot":
            write_whole(path, render(self.dot, suffix[1:]))
        else:
            raise ValueError(
                f'{suffix} files come from Graphviz: draw(..., layout="dot"). '
                "Without it, save .svg or .html, which every browser shows and prints."
            )

    def show(self) -> None:
        """Open the picture in the browser."""
        show_page(self.html)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.picture.nodes):,} nodes: {self.picture.title}>"

    def __str__(self) -> str:
        return tree(self.picture)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """An image, which shows in untrusted notebooks too; in sanitised exports and terminals, the tree.

        nbconvert's sanitiser takes `style` and `hidden` away, so that its own class hides the image's text.
        """
        data = b64encode(self.svg.encode("utf-8", "replace")).decode("ascii")
        title, text = in_markup(self.picture.title), str(self)
        html = (
            '<div class="jp-FileSize-hidden collapse" style="display: block; overflow-x: auto">'
            f'<img alt="{title}" style="max-width: none" src="data:image/svg+xml;base64,{data}"></div>'
            f"<pre hidden>{escape(text)}</pre>"
        )
        return {"text/html": html, "text/plain": text}


def _roots(y: object) -> list[Value]:
    roots = [y] if isinstance(y, Value) else list(y) if isinstance(y, (list, tuple)) else None
    if roots is None or not all(isinstance(root, Value) for root in roots):
        raise TypeError(f"draw takes a Value or a list of Values, got {shown(y)}.")
    if not roots:
        raise ValueError("draw takes a Value or a list of Values, got an empty list.")
    return list(dict.fromkeys(roots))
