"""`step` and the `Player` it gives: backpropagation as a page that plays, forward and in reverse."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from html import escape
from typing import Any, Final
from zlib import compress

from microgrannd.calculus.derivations import leaf_derivations
from microgrannd.drawing.layout.layout import Geometry
from microgrannd.drawing.picture.picture import Picture
from microgrannd.drawing.player.animation import animated
from microgrannd.drawing.player.network import columns, is_network, still
from microgrannd.drawing.player.page import in_json, page_of
from microgrannd.drawing.player.recording import Added, Computed, Pass, Recording, Updated, playable_order, record
from microgrannd.drawing.player.remarks import WORDS
from microgrannd.drawing.player.rows import printed_rows
from microgrannd.drawing.player.stage import stage
from microgrannd.drawing.write import svg
from microgrannd.engine import Value
from microgrannd.ground.arguments import list_of, must_be, path_of, shown
from microgrannd.ground.errors import GradientError
from microgrannd.ground.files import show_page, write_whole
from microgrannd.learning.optimizer import Optimizer
from microgrannd.operations import Number
from microgrannd.printing.labels import in_markup

HEIGHT: Final = 640  # of the player in a notebook, in pixels
LINES: Final = 200  # of the steps, as text in a notebook
DERIVED: Final = 4_000_000  # characters of derivations, some hundred thousand when they are deflated
PLAIN: Final = 50_000  # that are not deflated


def step(
    y: Value | Callable[..., Any], upstream: Number = 1.0,
    *, data: Sequence[Any] | None = None, loss: str | Callable[..., Value] | None = None,
    optimizer: Optimizer | None = None, steps: int = 5,
) -> Player:  # fmt: skip
    """Run backward from `y` and play it: forward, node by node, then backward, one `+=` at a time.

    It is a backward pass like any other: afterwards the gradients are what `y.backward(upstream)` would
    have left, those of the nodes set afresh and those of the leaves added to. A leaf that held a gradient
    before starts with it, and the player says so. Nodes made within `mg.source_lines()` show their line.

    >>> x, y = Value(2.0, label="x"), Value(3.0, label="y")
    >>> print(step(x * y))
    x * y = 2 * 3 = 6
    grad(x * y) = 1
    grad(x) += 1 × 3 = 3: 0 → 3
    grad(y) += 1 × 2 = 2: 0 → 2
    >>> x.grad, y.grad
    (3.0, 2.0)

    With `data` it trains a model instead, by `steps` steps of the optimizer on all of the data, and plays
    them: `step(model, data=(X, Y), loss="half_squared_error", optimizer=SGD(...), steps=5)`. The loss is a
    name from `mg.losses` or a function of a prediction and a target; without one, `y` itself is the loss of
    a sample, as in `mg.fit`. The model is trained afterwards, as `fit` would have left it. Where samples have two
    inputs, the page shows what the model makes of their plane at each step; a click on a sample opens its graph.

    Raises ValueError, and changes nothing, for a graph of more than 150,000 nodes.
    """
    if data is not None:
        from microgrannd.drawing.player.training_player import training_player  # which stands on this file

        return training_player(y, data, loss, optimizer, steps)
    if not isinstance(y, Value):
        raise TypeError(f"step takes a Value, or a model with data= and optimizer= to train it; got {shown(y)}.")
    order = playable_order(y)
    return Player(record(order, upstream), order)


class Player:
    """A recording, ready to be played: `.save(path)` writes the page, `.show()` opens it, a notebook shows it.

    `.html` is the page as text; `str(player)` is the steps, a line each.
    """

    def __init__(self, recording: Recording, order: Sequence[Value]) -> None:
        must_be("recording", recording, Recording)
        if len(list_of("order", order, "a list of Values", Value)) != len(recording.order):
            raise ValueError(f"The recording is of {len(recording.order)} nodes, and order has {len(order)}.")
        self.recording = recording
        self._order = order
        self._rows = printed_rows(order)
        self._folded = is_network(order)

    @cached_property
    def html(self) -> str:
        """The page: a complete HTML document that needs nothing else."""
        picture = still(self._order) if self._folded else svg.svg_text(*self._stage)
        return page_of(self.recording.title, picture, self._data(), self._rows.script)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file that ends in .html, as a drawing's `save` does."""
        suffix = path_of("path", path).suffix.lower()
        if suffix not in (".html", ".htm"):
            raise ValueError(f"A player is saved as .html, not as {suffix or 'a file without a suffix'!r}.")
        self.to_html(path)

    def show(self) -> None:
        """Open the page in the browser."""
        show_page(self.html)

    @property
    def svg(self) -> str:
        """The first pass as one animated picture, for where no script runs: a README, an untrusted notebook."""
        return still(self._order) if self._folded else animated(self.recording, *self._stage)

    @cached_property
    def _stage(self) -> tuple[Picture, Geometry]:
        return stage(self.recording, self._order)

    def to_html(self, path: str | os.PathLike[str]) -> str:
        """Write the page to a file, whatever its name; returns its path."""
        write_whole(path_of("path", path), self.html)
        return os.fspath(path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": self._text(LINES)}

    def _repr_html_(self) -> str:
        """The page in a sandboxed frame; where a sanitiser drops frames, the animated picture or the text.

        JupyterLab's, for untrusted notebooks, drops `<iframe>` and `popover`, so the image appears. nbconvert's shows
        both as text and drops `style` and `hidden`, so its own class hides that text and the steps appear.
        """
        title = in_markup(self.recording.title)
        image = b64encode(self.svg.encode()).decode()
        return (
            '<div class="jp-FileSize-hidden collapse" style="display:block">'
            f'<iframe sandbox="allow-scripts" title="{title}" width="100%" height="{HEIGHT}" '
            f'style="border:0" srcdoc="{escape(self.html)}"></iframe>'
            f'<img popover alt="{title}, step by step" src="data:image/svg+xml;base64,{image}"></div>'
            f"<pre hidden>{escape(self._text(LINES))}</pre>"
        )

    def __str__(self) -> str:
        return self._text()

    def __repr__(self) -> str:
        nodes, events = len(self._order), sum(len(run.events) for run in self.recording.passes)
        return f"<Player of {self.recording.title}: {nodes} nodes, {events} steps; .save(path) writes it>"

    def _text(self, longest: int | None = None) -> str:
        lines = list(self.recording.lines())
        if longest is not None and len(lines) > longest:
            lines[longest:] = [f"... {len(lines) - longest} more steps"]
        return "\n".join(lines)

    def _data(self) -> dict[str, Any]:
        rows = self._rows
        data = {"title": self.recording.title, "rows": rows.shown, "strange": rows.strange, "words": WORDS}
        data["derivations"] = _derivations(self._order)
        data["losses"] = list(map(in_json, self.recording.losses))
        passes = [_numbers_of(run, whole=not self._folded or bool(rows.strange)) for run in self.recording.passes]
        if self._folded:
            return {**data, "passes": passes, "network": columns(self._order, rows.of_node)}
        described = zip(self.recording.nodes, rows.of_node, strict=True)
        return {
            **data,
            "passes": passes,
            "nodes": [_briefly({**node._asdict(), "row": row}) for node, row in described],
        }


def _briefly(node: dict[str, Any]) -> dict[str, Any]:
    """Without what the page knows: what is empty or the same as the name, and what the row says."""
    same = {"path": node["name"], "short": node["name"], "kind": "operation", "operation": node["operation"]}
    return {key: x for key, x in node.items() if x not in ("", (), None) and x != same.get(key) and key != "routes"}


def _derivations(order: Sequence[Value]) -> Any:
    """Of each leaf by its position, as markup; many of them deflated, since their lines repeat each other's."""
    try:
        found = leaf_derivations(order, DERIVED)
    except GradientError:  # a leaf was set between two nodes: there is no point at which to derive
        return {}
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return found if len(text) <= PLAIN else b64encode(compress(text.encode(), 9)).decode()


def _numbers_of(run: Pass, *, whole: bool) -> dict[str, Any]:
    """What the page makes the events of: values, local gradients, what leaves held before, and the updates.

    Where it is not to be the `whole`, the page computes the first two from the leaves.
    """
    values, local_gradients = list(run.values), [list[float]() for _ in run.values]
    updates: list[Any] = []
    for event in run.events:
        match event:
            case Computed(node=node, value=value):
                values[node] = value
            case Added(node=node, local_gradient=local):
                local_gradients[node].append(local)
            case Updated():
                updates.append([*map(in_json, event)])
    numbers: dict[str, Any] = {"upstream": in_json(run.upstream), "updates": updates, "step": run.step}
    if not whole:
        numbers["leaves"] = [in_json(x) for x in run.values if x is not None]
        held = {i: in_json(gradient) for i, gradient in enumerate(run.gradients) if gradient}
        return {**numbers, "held": held, "remarks": [r._asdict() for r in run.remarks if r.kind == "changed"]}
    return {
        **numbers,
        "values": list(map(in_json, values)),
        "local_gradients": [list(map(in_json, locals_of)) for locals_of in local_gradients],
        "gradients": list(map(in_json, run.gradients)),
        "remarks": [remark._asdict() for remark in run.remarks],
    }
