"""Views: how code takes scalars out of arrays, and how the parameters lie in their flat array.

The parts of the parameters that lines need are laid out contiguously where possible; what overlaps is a strided view
or a gather.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from microgrannd.compiler.matrix.groups import ApplyPart, Group
from microgrannd.compiler.matrix.selections import affine, sliced, viewed
from microgrannd.printing import arrays
from microgrannd.printing.arrays import ARRAYS, indexed, transposed, with_suffix
from microgrannd.printing.printer import Expression


class GroupArray(NamedTuple):
    """What an expression is of where a group is meant, by its name or written in place."""

    group: int


def whole(group: int) -> Expression:
    return Expression(f"group {group}", of=GroupArray(group))


@dataclass
class ParameterView:
    positions: Any
    text: Expression
    name: str = ""


class ArrayViews:
    """The views and tables of numbers that products ask for; `flat` is the group of the parameters."""

    def __init__(self, groups: Sequence[Group], flat: int | None) -> None:
        self.groups = groups
        self.flat = flat
        self.views: dict[str, ParameterView] = {}
        self.constants: dict[str, Any] = {}
        self.used: list[str] = []
        self._view_names: dict[Any, str] = {}
        self._constant_names: dict[Any, str] = {}
        self._counts = {"i": 0, "c": 0}

    def varies(self, source: Any) -> bool:
        return bool(self.groups[source].per_sample)

    def vector(self, source: Any, positions: Any) -> Expression:
        """Scalars of a group at a list of positions; one that is repeated all along, once."""
        return self.row(source, positions[:1] if (positions == positions[0]).all() else positions)

    def row(self, source: Any, positions: Any) -> Expression:
        if source == self.flat:
            return self._view(positions)
        group, axes = self.groups[source], ":, " if self.varies(source) else ""
        text = sliced(whole(source), group.size, positions, axes)
        return text or indexed(whole(source), axes, self.constant(positions))

    def matrix(self, source: Any, positions: Any) -> Expression:
        if len(positions) > 1 and (positions == positions[0]).all():
            positions = positions[:1]
        group, axes = self.groups[source], ":, " if self.varies(source) else ""
        if source == self.flat:
            return self._matrix_view(positions)
        if len(positions) == 1:
            return with_suffix(self.row(source, positions[0]), f"[{axes}None]")
        pattern = affine(positions)
        text = viewed(whole(source), group.size, pattern, axes) if pattern else None
        return text or indexed(whole(source), axes, self.constant(positions))

    def operand(self, source: Any, positions: Any) -> Expression:
        """Scalars of a group or, for None, the numbers that stand in place of positions."""
        return self.numbers(positions) if source is None else self.vector(source, positions)

    def flag(self, source: Any, positions: Any) -> Expression | None:
        if source is None or len(self.groups[source].parts) != 1:
            return None
        [(size, part)] = self.groups[source].parts
        if not isinstance(part, ApplyPart) or not np.array_equal(positions, np.arange(size)):
            return None
        return arrays.flag(part.operation, [self.operand(*operand) for operand in part.operands])

    def constant(self, numbers: Any) -> Expression:
        key = (numbers.dtype.kind, numbers.shape, numbers.tobytes())
        name = self._constant_names.get(key)
        if name is None:
            letter = "i" if numbers.dtype.kind == "i" else "c"
            self._counts[letter] += 1
            name = f"{letter}{self._counts[letter]}"
            self._constant_names[key] = name
            self.constants[name] = numbers
        return Expression(name)

    def numbers(self, numbers: Any) -> Expression:
        """Constants: one number where all are the same."""
        if numbers.tobytes() == np.full_like(numbers, numbers.flat[0]).tobytes():
            return ARRAYS.number(float(numbers.flat[0]))
        return self.constant(numbers)

    def _matrix_view(self, positions: Any) -> Expression:
        transpose = self._view_names.get((positions.T.shape, positions.T.tobytes()))
        if transpose is not None:
            self.used.append(transpose)
            return transposed(Expression(transpose, of=transpose))
        pattern = affine(positions)
        if pattern and pattern.across > pattern.down > 0:
            return transposed(self._view(np.ascontiguousarray(positions.T)))
        return self._view(positions)

    def _view(self, positions: Any) -> Expression:
        name = self._view_names.setdefault((positions.shape, positions.tobytes()), f"view {len(self.views)}")
        self.views.setdefault(name, ParameterView(positions, Expression("")))
        self.used.append(name)
        return Expression(name, of=name)

    def layout(self) -> Any:
        """Lay the parameters so that most views are contiguous; for each place, which parameter stands there."""
        if self.flat is None:
            return np.empty(0, dtype=int)
        size = self.groups[self.flat].size
        wanted = [view.positions.ravel() for view in self.views.values()]
        every = np.concatenate([*wanted, np.arange(size)])
        layout = every[np.sort(np.unique(every, return_index=True)[1])]
        place = np.empty(size, dtype=int)
        place[layout] = np.arange(size)
        for view in self.views.values():
            view.text = self._view_text(place[view.positions], size)
        return layout

    def _view_text(self, positions: Any, size: int) -> Expression:
        flat, text = whole(self.flat or 0), None
        if positions.ndim == 1:
            text = sliced(flat, size, positions, "")
        elif len(positions) == 1:
            row = sliced(flat, size, positions[0], "")
            text = row and with_suffix(row, "[None]")
        elif (pattern := affine(positions)) is not None:
            text = viewed(flat, size, pattern, "")
        return text or indexed(flat, "", self.constant(positions))
