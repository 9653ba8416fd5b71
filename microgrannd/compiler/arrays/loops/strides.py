"""Shapes of arrays, and how far apart their numbers lie in memory along each axis.

This room imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

SAMPLES: Final = -1  # stands for the size of the samples' axis

Shape: TypeAlias = tuple[int, ...]


def row_major(shape: Shape) -> tuple[int, ...]:
    """How far apart neighbours along each axis are where the numbers lie row by row."""
    if SAMPLES in shape[1:]:
        raise NotImplementedError("The samples' axis comes first.")
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def common_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape to which arrays of these shapes are repeated."""
    length = max(map(len, shapes))
    full = [(1,) * (length - len(shape)) + shape for shape in shapes]
    found = []
    for sizes in zip(*full, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            raise NotImplementedError(f"No common shape for {', '.join(map(str, shapes))}.")
        found.append(others.pop() if others else 1)
    return tuple(found)


def sliced(key: slice, size: int) -> tuple[int, int, int]:
    """The first, how many, and the step."""
    positions = range(size)[key]
    return positions.start, len(positions), positions.step


def regrouped(shape: Shape, strides: tuple[int, ...], wanted: Shape) -> tuple[int, ...] | None:
    """The strides in another shape; None where the numbers have to be moved for it."""
    axes = list(zip(shape, strides, strict=True))
    found: list[int] = []
    if SAMPLES in (shape[:1] + wanted[:1]):
        if shape[:1] != wanted[:1]:
            raise NotImplementedError(f"An array of shape {shape} has no shape {wanted}.")
        found.append(strides[0])
        axes, wanted = axes[1:], wanted[1:]
    axes = [(size, stride) for size, stride in axes if size != 1]
    merged: list[tuple[int, int]] = []
    for size, stride in axes:
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    merged.reverse()
    left, stride = merged.pop() if merged else (1, 1)
    for size in wanted:
        if size == 1:
            found.append(0)
            continue
        if left == 1 and merged:
            left, stride = merged.pop()
        if left % size:
            return None
        left //= size
        found.append(left * stride)
    return tuple(found)
