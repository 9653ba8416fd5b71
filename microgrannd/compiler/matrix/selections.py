"""Selections: scalars of an array at a list or a matrix of positions, as the plainest code that takes them.

Regular positions become the whole array, a slice or a strided view; any others a gather by an array of positions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from microgrannd.printing.arrays import transposed, transposed_each, with_suffix
from microgrannd.printing.printer import Expression


class AffinePattern(NamedTuple):
    """start + row · down + column · across, for as many rows and columns."""

    start: int
    down: int
    across: int
    rows: int
    columns: int

    @property
    def transposed(self) -> AffinePattern:
        return AffinePattern(self.start, self.across, self.down, self.columns, self.rows)


def affine(positions: Any) -> AffinePattern | None:
    rows, columns = positions.shape
    start = int(positions[0, 0])
    down = int(positions[1, 0]) - start if rows > 1 else 0
    across = int(positions[0, 1]) - start if columns > 1 else 0
    pattern = start + down * np.arange(rows)[:, None] + across * np.arange(columns)
    return AffinePattern(start, down, across, rows, columns) if np.array_equal(pattern, positions) else None


def sliced(array: Expression, size: int, positions: Any, axes: str) -> Expression | None:
    """A list of positions by a slice of the last axis; `axes` says what stands before it: "" or ":, "."""
    count = len(positions)
    start, last = int(positions[0]), int(positions[-1])
    step = int(positions[1]) - start if count > 1 else 1
    if step <= 0 or (count > 1 and not np.array_equal(positions, np.arange(start, last + 1, step))):
        return None
    if count == size:
        return array
    end = "" if last == size - 1 and count > 1 else str(last + 1)
    return with_suffix(array, f"[{axes}{start or ''}:{end}{f':{step}' if step > 1 else ''}]")


def viewed(array: Expression, size: int, pattern: AffinePattern, axes: str) -> Expression | None:
    """A matrix of positions by reshaping; None where its rows overlap or run backwards."""
    start, down, across, rows, columns = pattern
    if rows == 1 or columns == 1:
        return None
    if across > down > 0:
        other = viewed(array, size, pattern.transposed, axes)
        return other and (transposed_each(other) if axes else transposed(other))
    width = columns * across
    if across <= 0 or (columns - 1) * across >= down:
        return None
    offset = max(0, start + rows * down - size)
    if offset + (columns - 1) * across >= down or start < offset:
        return None
    flat = sliced(array, size, np.arange(start - offset, start - offset + rows * down), axes)
    assert flat is not None
    head = with_suffix(flat, f".reshape({'-1, ' if axes else ''}{rows}, {down})")
    end = min(offset + width, down)
    if offset == 0 and end == down and across == 1:
        return head
    inner = f"{offset or ''}:{end if end < down else ''}{f':{across}' if across > 1 else ''}"
    return with_suffix(head, f"[:, {':, ' if axes else ''}{inner}]")
