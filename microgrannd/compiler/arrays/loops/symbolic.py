"""Symbolic arrays: array code is run once on arrays that only write down what is asked of them.

What they write down is a recording: arrays by their making, in the order in which they can be made. An array
is a view of another, numbers put together element by element, a sum or a maximum along an axis, a product of
matrices, or parts joined. Sizes are whole numbers but for the samples' axis, whose size is known only when
the code runs. This room may import the strides and the operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.strides import SAMPLES, Shape, common_shape, regrouped, row_major, sliced
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation

HEIGHT: Final = 24  # operations that are done in one go; a longer chain is put down in between


@dataclass(frozen=True)
class Given:
    """An argument of the program, its numbers in a row."""

    index: int


@dataclass(frozen=True)
class Table:
    """Numbers that are known."""

    numbers: Any


@dataclass(frozen=True)
class Number:
    """One number for all."""

    number: float


@dataclass(frozen=True)
class Count:
    """How many samples there are, as a number."""


@dataclass(frozen=True)
class View:
    """Numbers of an array in memory: start + Σ index · stride or, with `offsets`, more by that table's entry.

    The table is a row of whole numbers and has strides of its own.
    """

    source: Array
    start: int
    strides: tuple[int, ...]
    offsets: Any = None
    table_strides: tuple[int, ...] = ()


@dataclass(frozen=True)
class Apply:
    """An operation, element by element; the operands are repeated to a common shape."""

    operation: Operation
    operands: tuple[Array, ...]


@dataclass(frozen=True)
class Reduce:
    """The sum or the maximum along one axis."""

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
    """Arrays one behind the other along an axis."""

    parts: tuple[Array, ...]
    axis: int


Making: TypeAlias = Given | Table | Number | Count | View | Apply | Reduce | Product | Join


class Recording:
    """The arrays that were made, in order, and what is written over arguments once all results are there."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.writes: list[tuple[View, Array]] = []

    def array(self, shape: Shape, making: Making) -> Array:
        """A new array."""
        self.arrays.append(Array(self, shape, making))
        return self.arrays[-1]

    def of(self, thing: Any) -> Array:
        """An array itself, or one of numbers that are known."""
        if isinstance(thing, Array):
            return thing
        if isinstance(thing, np.ndarray) and thing.ndim:
            return self.array(thing.shape, Table(np.ascontiguousarray(thing, dtype=float)))
        return self.array((), Number(float(thing)))


class Array(Arithmetic):
    """One array. `stands` tells whether it is put down in memory, rather than made where it is needed."""

    __array_ufunc__ = None  # NumPy's arrays leave arithmetic with this one to it

    def __init__(self, recording: Recording, shape: Shape, making: Making) -> None:
        self.recording = recording
        self.sizes = shape
        self.making = making
        self.stands = isinstance(making, Given | Table | Reduce | Product | Join)
        self.height = 0

    def __bool__(self) -> bool:
        raise NotImplementedError("The code of a program on arrays does not look at numbers.")

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes as the code asks for them: of the samples' axis a number that is known later."""
        return tuple(self.recording.array((), Count()) if size == SAMPLES else size for size in self.sizes)

    # ---- views

    def view(self) -> View:
        """The array as it lies in memory, where it is put if it is not there."""
        if isinstance(self.making, View) and not self.stands and self.making.offsets is None:
            return self.making
        self.stands = True
        return View(self, 0, row_major(self.sizes))

    @property
    def T(self) -> Array:  # noqa: N802
        """The axes in the opposite order."""
        view = self.view()
        return self.recording.array(self.sizes[::-1], View(view.source, view.start, view.strides[::-1]))

    def swapped(self, i: int, j: int) -> Array:
        """Two axes exchanged."""
        view, order = self.view(), list(range(len(self.sizes)))
        order[i], order[j] = order[j], order[i]
        strides = tuple(view.strides[k] for k in order)
        return self.recording.array(tuple(self.sizes[k] for k in order), View(view.source, view.start, strides))

    def copied(self) -> Array:
        """The array, put down in memory row by row."""
        copy = self.recording.array(self.sizes, Apply(ops.stop_gradient, (self,)))
        copy.stands = True
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
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [k for k in keys if not isinstance(k, np.ndarray)]:
            place = keys.index(Ellipsis)
            missing = len(self.sizes) - sum(k is not None for k in keys) + 1
            keys[place : place + 1] = [slice(None)] * missing
        keys += [slice(None)] * (len(self.sizes) - sum(k is not None for k in keys))
        view, axis, start = self.view(), 0, 0
        shape: list[int] = []
        strides: list[int] = []
        offsets: Any = None
        table_strides: tuple[int, ...] = ()
        for k in keys:
            if k is None:
                shape.append(1)
                strides.append(0)
                continue
            size, stride = self.sizes[axis], view.strides[axis]
            axis += 1
            if isinstance(k, slice):
                first, count, step = (0, SAMPLES, 1) if size == SAMPLES else sliced(k, size)
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
        return self.recording.array(
            tuple(shape), View(view.source, view.start + start, tuple(strides), offsets, table_strides)
        )

    def __setitem__(self, key: Any, other: Any) -> None:
        place = self[key]
        if not isinstance(self.making, Given) or not isinstance(other, Array) or other.sizes != place.sizes:
            raise NotImplementedError("Only parts of arguments are written over, by arrays of their shape.")
        assert isinstance(place.making, View)
        self.recording.writes.append((place.making, other))

    # ---- arithmetic

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


def operands(x: Array) -> tuple[Array, ...]:
    """What an array is made of."""
    made = x.making
    if isinstance(made, View):
        return (made.source,)
    if isinstance(made, Apply):
        return made.operands
    if isinstance(made, Reduce):
        return (made.operand,)
    if isinstance(made, Product):
        return (made.left, made.right)
    return made.parts if isinstance(made, Join) else ()


def applied(operation: Operation, *things: Any) -> Any:
    """An operation on arrays and numbers."""
    recording = next((thing.recording for thing in things if isinstance(thing, Array)), None)
    if recording is None:
        return operation(*things)
    operands = tuple(recording.of(thing) for thing in things)
    joined = next((x for x in operands if isinstance(x.making, Join) and len(x.sizes) == 1), None)
    if joined is not None and all(x.sizes in ((), joined.sizes) for x in operands):
        return _part_by_part(operation, operands, joined)
    shape = common_shape([operand.sizes for operand in operands])
    made = recording.array(shape, Apply(operation, operands))
    for operand in operands:
        if isinstance(operand.making, Apply) and not operand.stands:
            # Work is not done twice: not for a larger array, nor again when the chain grows too long.
            operand.stands = operand.sizes != shape or operand.height >= HEIGHT
    made.height = 1 + max((operand.height for operand in operands if not operand.stands), default=0)
    return made


def _part_by_part(operation: Operation, operands: Sequence[Array], joined: Array) -> Array:
    """An operation on parts that are joined, as the parts of its results: so that none is put down before."""
    sizes = [part.sizes[0] for part in joined.making.parts]  # type: ignore[union-attr]
    parts, start = [], 0
    for k, size in enumerate(sizes):
        here = [
            x if not x.sizes
            else x.making.parts[k] if isinstance(x.making, Join) and [part.sizes[0] for part in x.making.parts] == sizes
            else x[start : start + size]
            for x in operands
        ]  # fmt: skip
        parts.append(applied(operation, *here))
        start += size
    return joined.recording.array(joined.sizes, Join(tuple(parts), 0))


def multiplied(left: Array, right: Array) -> Array:
    """The product of matrices; where it has a single column, sums of products along rows."""
    *batch, rows, _ = left.sizes
    *other, _, columns = right.sizes
    shape = (*common_shape([tuple(batch), tuple(other)]), rows, columns)
    if columns == 1:
        return reduced(ops.sum, left * right.swapped(-1 % len(right.sizes), -2 % len(right.sizes)), -1, True)
    return left.recording.array(shape, Product(readable(left), rows_in_memory(right)))


def reduced(operation: Operation, x: Array, axis: int, keepdims: bool) -> Array:
    """The sum or the maximum along an axis."""
    axis %= len(x.sizes)
    shape = list(x.sizes)
    shape[axis : axis + 1] = [1] if keepdims else []
    return x.recording.array(tuple(shape), Reduce(operation, x, axis))


def readable(x: Array) -> Array:
    """The array as a plain view."""
    view = x.view()
    return x.recording.array(x.sizes, view)


def rows_in_memory(x: Array) -> Array:
    """The array as a view whose rows lie in memory number by number."""
    plain = readable(x)
    return plain if plain.view().strides[-1] == 1 else readable(plain.copied())
