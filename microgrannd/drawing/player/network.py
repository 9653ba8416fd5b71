"""A graph that is too large to be drawn whole, as numbers in columns: the page makes boxes of what is unfolded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.grouping import WHOLE
from microgrannd.drawing.picture.lettering import shortened
from microgrannd.drawing.picture.picture import Detail, picture
from microgrannd.drawing.player.wording import LONGEST_LABEL, names_as_in_books
from microgrannd.drawing.write.svg import geometry_of, svg_text
from microgrannd.engine import Value
from microgrannd.printing.labels import in_picture


def is_network(order: Sequence[Value]) -> bool:
    """Whether it is too large to be drawn whole."""
    return len(order) > WHOLE


def still(order: Sequence[Value]) -> str:
    """The picture of all of it, folded, as `draw` has it: what is seen where no script runs."""
    drawn = folded([order[-1]]) or picture([order[-1]], Detail(gradients=False))
    return svg_text(drawn, geometry_of(drawn))


def columns(
    order: Sequence[Value], rows: Sequence[int | None], names: Mapping[Value, str] | None = None
) -> dict[str, Any]:
    """For each node: its row, the distances to its parents, its label, its scope and its line; and names."""
    position = {node: i for i, node in enumerate(order)}
    labels, scopes, lines = _Column(), _Column(), _Column()
    for node in order:
        labels.add(shortened((names and names.get(node)) or node.label, LONGEST_LABEL))
        scopes.add(in_picture(node.scope))
        lines.add(in_picture(node.line))
    return {
        "kinds": [
            (-2 if node.is_constant else -1) if row is None else row for node, row in zip(order, rows, strict=True)
        ],
        "parents": [i - position[parent] for i, node in enumerate(order) for parent in node.parents],
        "labels": labels.written(),
        "scopes": scopes.written(),
        "lines": lines.written(),
        "names": list(_runs(order)),
    }


class _Run(NamedTuple):
    """Names that differ by their last index alone, as those of a neuron's weights do, and where they stand."""

    start: int
    step: int
    length: int
    head: str
    first: int | None  # None for a name without

    def longer(self, place: int, head: str, index: int | None) -> _Run | None:
        """With one name more, if that is the next."""
        step = place - self.start - self.step * (self.length - 1)
        if index is None or self.first is None or (head, index) != (self.head, self.first + self.length):
            return None
        return self._replace(step=step, length=self.length + 1) if self.length == 1 or step == self.step else None


def _runs(order: Sequence[Value]) -> Iterator[_Run]:
    """The names of the books."""
    names = names_as_in_books(order)
    run = None
    for i, node in enumerate(order):
        if node not in names:
            continue
        head, index = names[node].divided
        longer = run and run.longer(i, head, index)
        if run and not longer:
            yield run
        run = longer or _Run(i, 0, 1, head, index)
    if run:
        yield run


class _Column:
    """A column of texts that come again and again: each once, and which of them stands where."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.which: list[int] = []

    def add(self, text: str) -> None:
        self.which.append(self.places.setdefault(text, len(self.places)))

    def written(self) -> tuple[list[str], list[int]]:
        return list(self.places), self.which if len(self.places) > 1 else []
