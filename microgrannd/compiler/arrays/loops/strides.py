"""Sizes of arrays, and how far apart their numbers lie in memory along each axis."""

from collections.abc import Sequence
from typing import Final, TypeAlias

SAMPLES: Final = -1  # stands for the size of the samples' axis

Sizes: TypeAlias = tuple[int, ...]


def row_major(shape: Sizes) -> tuple[int, ...]:
    """How far apart neighbours along each axis are where the numbers lie row by row."""
    if SAMPLES in shape[1:]:
        raise NotImplementedError("The samples' axis comes first.")
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def common_shape(shapes: Sequence[Sizes]) -> Sizes:
    length = max(map(len, shapes))
    full = [(1,) * (length - len(shape)) + shape for shape in shapes]
    common = []
    for sizes in zip(*full, strict=True):
        larger = {size for size in sizes if size != 1}
        if len(larger) > 1:
            raise NotImplementedError(f"No common shape for {', '.join(map(str, shapes))}.")
        common.append(larger.pop() if larger else 1)
    return tuple(common)


def slice_bounds(key: slice, size: int) -> tuple[int, int, int]:
    positions = range(size)[key]
    return positions.start, len(positions), positions.step


def regrouped(shape: Sizes, strides: tuple[int, ...], wanted: Sizes) -> tuple[int, ...] | None:
    """The strides in another shape; None where the numbers have to be moved for it."""
    axes = list(zip(shape, strides, strict=True))
    new: list[int] = []
    if SAMPLES in (shape[:1] + wanted[:1]):
        if shape[:1] != wanted[:1]:
            raise NotImplementedError(f"An array of shape {shape} has no shape {wanted}.")
        new.append(strides[0])
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
            new.append(0)
            continue
        if left == 1 and merged:
            left, stride = merged.pop()
        if left % size:
            return None
        left //= size
        new.append(left * stride)
    return tuple(new)
