"""Symbolic arrays: array code is run once on arrays that record their definitions, in an order to compute them in.

Sizes are known but for that of the samples' axis, which is known only when the code runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.strides import SAMPLES, Sizes, common_shape, regrouped, row_major, slice_bounds
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation

LONGEST_CHAIN: Final = 24  # operations computed in one go; a longer chain is materialised in between


@dataclass(frozen=True)
class Argument:
    index: int


@dataclass(frozen=True)
class Table:
    numbers: Any


@dataclass(frozen=True)
class Fill:
    number: float


@dataclass(frozen=True)
class Count:
    """How many samples there are, as a number."""


@dataclass(frozen=True)
class View:
    """Numbers in memory: start + Σ index · stride or, with `offsets`, more by an entry of that table."""

    source: Array
    start: int
    strides: tuple[int, ...]
    offsets: Any = None
    table_strides: tuple[int, ...] = ()


@dataclass(frozen=True)
class Elementwise:
    operation: Operation
    operands: tuple[Array, ...]


@dataclass(frozen=True)
class Reduce:
    operation: Operation
    operand: Array
    axis: int


@dataclass(frozen=True)
class Product:
    """Of matrices along the last two axes; `summed` over the samples where it says so."""

    left: Array
    right: Array
    summed: bool = False


@dataclass(frozen=True)
class Join:
    parts: tuple[Array, ...]
    axis: int


Definition: TypeAlias = Argument | Table | Fill | Count | View | Elementwise | Reduce | Product | Join


class ArrayRecording:
    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.writes: list[tuple[View, Array]] = []

    def array(self, shape: Sizes, definition: Definition) -> Array:
        self.arrays.append(Array(self, shape, definition))
        return self.arrays[-1]

    def of(self, thing: Any) -> Array:
        if isinstance(thing, Array):
            return thing
        if isinstance(thing, np.ndarray) and thing.ndim:
            return self.array(thing.shape, Table(np.ascontiguousarray(thing, dtype=float)))
        return self.array((), Fill(float(thing)))


class Array(Arithmetic):
    """One array. `materialised` says that it is put in memory, rather than computed wherever it is read."""

    __array_ufunc__ = None  # NumPy's arrays leave arithmetic with this one to it

    def __init__(self, recording: ArrayRecording, shape: Sizes, definition: Definition) -> None:
        self.recording = recording
        self.sizes = shape
        self.definition = definition
        self.materialised = isinstance(definition, Argument | Table | Reduce | Product | Join)
        self.height = 0

    def __bool__(self) -> bool:
        raise NotImplementedError("The code of a program on arrays does not look at numbers.")

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes as the code asks for them: of the samples' axis a number that is known later."""
        return tuple(self.recording.array((), Count()) if size == SAMPLES else size for size in self.sizes)

    def view(self) -> View:
        """The array as it lies in memory; it is materialised if it is not there."""
        if isinstance(self.definition, View) and not self.materialised and self.definition.offsets is None:
            return self.definition
        self.materialised = True
        return View(self, 0, row_major(self.sizes))

    @property
    def T(self) -> Array:  # noqa: N802
        view = self.view()
        return self.recording.array(self.sizes[::-1], View(view.source, view.start, view.strides[::-1]))

    def swapped(self, i: int, j: int) -> Array:
        view, order = self.view(), list(range(len(self.sizes)))
        order[i], order[j] = order[j], order[i]
        strides = tuple(view.strides[k] for k in order)
        return self.recording.array(tuple(self.sizes[k] for k in order), View(view.source, view.start, strides))

    def copied(self) -> Array:
        copy = self.recording.array(self.sizes, Elementwise(ops.stop_gradient, (self,)))
        copy.materialised = True
        return copy

    def reshape(self, *shape: int) -> Array:
        """The same numbers in another shape; of a samples' axis the size is written as -1."""
        if self.sizes[:1] != (SAMPLES,):
            known = math.prod(size for size in shape if size >= 0)
            shape = tuple(size if size >= 0 else math.prod(self.sizes) // known for size in shape)
        elif shape[0] != SAMPLES:
            raise NotImplementedError(f"An array of shape {self.sizes} has no shape {shape}.")
        view = self.view()
        strides = regrouped(self.sizes, view.strides, shape)
        if strides is None:
            return self.copied().reshape(*shape)
        return self.recording.array(shape, View(view.source, view.start, strides))

    def __getitem__(self, key: Any) -> Array:
        view, axis, start = self.view(), 0, 0
        shape: list[int] = []
        strides: list[int] = []
        offsets: Any = None
        table_strides: tuple[int, ...] = ()
        for k in _keys(key, len(self.sizes)):
            if k is None:
                shape.append(1)
                strides.append(0)
                continue
            size, stride = self.sizes[axis], view.strides[axis]
            axis += 1
            if isinstance(k, slice):
                first, count, step = (0, SAMPLES, 1) if size == SAMPLES else slice_bounds(k, size)
                start += first * stride
                shape.append(count)
                strides.append(step * stride)
            elif isinstance(k, int):
                start += k * stride
            else:
                offsets = np.ascontiguousarray(k, dtype=np.int64) * stride
                table_strides = (*[0] * len(shape), *row_major(k.shape))
                shape += k.shape
                strides += [0] * k.ndim
        if offsets is not None:
            table_strides += (0,) * (len(shape) - len(table_strides))
        new = View(view.source, view.start + start, tuple(strides), offsets, table_strides)
        return self.recording.array(tuple(shape), new)

    def __setitem__(self, key: Any, other: Any) -> None:
        part = self[key]
        if not isinstance(self.definition, Argument) or not isinstance(other, Array) or other.sizes != part.sizes:
            raise NotImplementedError("Only parts of arguments are written over, by arrays of their shape.")
        assert isinstance(part.definition, View)
        self.recording.writes.append((part.definition, other))

    def _unary(self, operation: Operation) -> Any:
        return applied(operation, self)

    def _binary(self, operation: Operation, other: Any) -> Any:
        return applied(operation, self, other)

    def _reflected(self, operation: Operation, other: Any) -> Any:
        return applied(operation, other, self)

    def _compared(self, operation: Operation, holds: Any, other: Any) -> Any:
        return applied(operation, self, other)

    def __matmul__(self, other: Any) -> Array:
        return multiplied(self, self.recording.of(other))

    def __rmatmul__(self, other: Any) -> Array:
        return multiplied(self.recording.of(other), self)


def _keys(key: Any, axes: int) -> list[Any]:
    keys = list(key) if isinstance(key, tuple) else [key]
    missing = axes - sum(k is not None and k is not Ellipsis for k in keys)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    return [*keys[:at], *[slice(None)] * missing, *keys[at + 1 :]]


def operands_of(x: Array) -> tuple[Array, ...]:
    match x.definition:
        case View(source=source):
            return (source,)
        case Elementwise(operands=operands):
            return operands
        case Reduce(operand=operand):
            return (operand,)
        case Product(left=left, right=right):
            return (left, right)
        case Join(parts=parts):
            return parts
    return ()


def applied(operation: Operation, *things: Any) -> Any:
    recording = next((thing.recording for thing in things if isinstance(thing, Array)), None)
    if recording is None:
        return operation(*things)
    operands = tuple(recording.of(thing) for thing in things)
    joined = next((x for x in operands if isinstance(x.definition, Join) and len(x.sizes) == 1), None)
    if joined is not None and all(x.sizes in ((), joined.sizes) for x in operands):
        return _part_by_part(operation, operands, joined)
    shape = common_shape([operand.sizes for operand in operands])
    result = recording.array(shape, Elementwise(operation, operands))
    for operand in operands:
        if isinstance(operand.definition, Elementwise) and not operand.materialised:
            # Nothing is computed twice: not for a larger array, nor again when the chain grows too long.
            operand.materialised = operand.sizes != shape or operand.height >= LONGEST_CHAIN
    result.height = 1 + max((operand.height for operand in operands if not operand.materialised), default=0)
    return result


def _part_by_part(operation: Operation, operands: Sequence[Array], joined: Array) -> Array:
    """An operation on joined parts as the joined results of its parts, so that none is materialised before."""
    sizes = _sizes_of_parts(joined)
    parts, start = [], 0
    for k, size in enumerate(sizes):
        parts.append(applied(operation, *[_part(x, k, sizes, start) for x in operands]))
        start += size
    return joined.recording.array(joined.sizes, Join(tuple(parts), 0))


def _part(x: Array, k: int, sizes: list[int], start: int) -> Array:
    if not x.sizes:
        return x
    same = isinstance(x.definition, Join) and _sizes_of_parts(x) == sizes
    return operands_of(x)[k] if same else x[start : start + sizes[k]]


def _sizes_of_parts(joined: Array) -> list[int]:
    return [part.sizes[0] for part in operands_of(joined)]


def multiplied(left: Array, right: Array) -> Array:
    """The product of matrices; where it has a single column, sums of products along rows."""
    *batch, rows, _ = left.sizes
    *right_batch, _, columns = right.sizes
    shape = (*common_shape([tuple(batch), tuple(right_batch)]), rows, columns)
    if columns == 1:
        return reduced(ops.sum, left * right.swapped(-1 % len(right.sizes), -2 % len(right.sizes)), -1, True)
    return left.recording.array(shape, Product(readable(left), rows_in_memory(right)))


def reduced(operation: Operation, x: Array, axis: int, keepdims: bool) -> Array:
    axis %= len(x.sizes)
    shape = list(x.sizes)
    shape[axis : axis + 1] = [1] if keepdims else []
    return x.recording.array(tuple(shape), Reduce(operation, x, axis))


def readable(x: Array) -> Array:
    view = x.view()
    return x.recording.array(x.sizes, view)


def rows_in_memory(x: Array) -> Array:
    """The array as a view whose rows lie in memory number by number."""
    plain = readable(x)
    return plain if plain.view().strides[-1] == 1 else readable(plain.copied())
