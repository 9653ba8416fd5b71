"""Loops that fill an array in memory: over its axes, as few as the layout allows, eight numbers at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.emitter import Loop, LoopEmitter
from microgrannd.compiler.arrays.loops.plan import Extent
from microgrannd.compiler.arrays.loops.strides import SAMPLES, Sizes, row_major
from microgrannd.compiler.arrays.loops.symbolic import Array, Count, Elementwise, Fill, Reduce, View, operands_of
from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.llvm.operations import NATIVE, Functions


class Memory:
    def __init__(self, e: LoopEmitter) -> None:
        self.e = e
        self.places: dict[Array, tuple[str, int | Extent]] = {}  # a row and an offset, or a table of pointers and which
        self.pointers: dict[Array, str] = {}  # those that the function which is being written knows
        self.known: list[Any] = []

    def at(self, view: View) -> str:
        pointer = self.pointers.get(view.source)
        if pointer is None:
            pointer = self.pointers[view.source] = self._pointer_to(view.source)
        return self.e.element(pointer, view.start) if view.start else pointer

    def _pointer_to(self, x: Array) -> str:
        row, place = self.places[x]
        if isinstance(place, int):
            return self.pointer(row, place)
        if not place.per_sample:
            return self.e.element(row, place.fixed)
        along = self.e.line(f"mul i64 %n, {place.per_sample}")
        return self.e.element(row, self.e.line(f"add i64 {place.fixed}, {along}"))

    def table(self, numbers: Any) -> str:
        return self.pointer(*self.known_table(numbers))

    def known_table(self, numbers: Any) -> tuple[str, int]:
        self.known.append(numbers)
        return "%tables", len(self.known) - 1

    def pointer(self, table: str, index: int) -> str:
        return self.e.line(f"load ptr, ptr {self.e.element(table, index, 'ptr')}")

    def size(self, size: int) -> str:
        """A size; -3 stands for three times the number of samples."""
        return str(size) if size >= 0 else "%n" if size == SAMPLES else self.e.line(f"mul i64 %n, {-size}")


@dataclass
class Access:
    """The numbers that a nest of loops reads or writes: where, and how far apart they are along its axes."""

    pointer: str
    strides: list[int]
    table: str = ""
    table_strides: list[int] | None = None

    def step(self, axis: int) -> tuple[int, int]:
        return self.strides[axis], self.table_strides[axis] if self.table_strides else 0


class LoopNest:
    """Fills a target of `shape` with what is computed over the axes of `over`, less the one of a reduction."""

    def __init__(
        self, memory: Memory, functions: Functions, target: View, shape: Sizes, what: Array, over: Sizes,
        reduction: Reduce | None = None,
    ) -> None:  # fmt: skip
        self.memory = memory
        self.functions = functions
        self.e = memory.e
        self.what = what
        self.leaves = _leaves(what)
        self.goal = Access(memory.at(target), _goal_strides(target.strides, shape, over, reduction))
        if target.offsets is not None:
            self.goal.table, self.goal.table_strides = memory.table(target.offsets), list(target.table_strides)
        self.readings = [self._reading(leaf, over) for leaf in self.leaves]
        axis = None if reduction is None or over[reduction.axis] == 1 else reduction.axis
        self.sizes, self.reduced = _simplified(over, [self.goal, *self.readings], axis)
        self.operation = ops.sum if reduction is None else reduction.operation

    def write(self) -> None:
        last = len(self.sizes) - 1
        loops = [self._enter(axis) for axis in range(last) if axis != self.reduced]
        if self.reduced == last:
            self._reduce_along()
        else:
            size = self.memory.size(self.sizes[last])
            block = self.e.begin(size, LANES)
            mask = self.e.mask(self.e.line(f"sub i64 {size}, {block.index}"))
            self._advance([self.goal, *self.readings], last, block.index)
            self._store(last, mask, self._value(last, mask) if self.reduced is None else self._reduce_across(mask))
            self.e.end(block)
        for loop in reversed(loops):
            self.e.end(loop)

    def _enter(self, axis: int) -> Loop:
        loop = self.e.begin(self.memory.size(self.sizes[axis]))
        self._advance([self.goal, *self.readings], axis, loop.index)
        return loop

    def _reduce_along(self) -> None:
        e, axis = self.e, len(self.sizes) - 1
        size = self.memory.size(self.sizes[axis])
        loop = e.begin(size, LANES, carried=[(e.number, e.constant(_START[self.operation]))])
        mask = e.mask(e.line(f"sub i64 {size}, {loop.index}"))
        self._advance(self.readings, axis, loop.index)
        [before] = loop.carried
        [total] = e.end(loop, [e.select(mask, _combined(e, self.operation, before, self._value(axis, mask)), before)])
        e.do(f"store double {_over_lanes(e, self.operation, total)}, ptr {self.goal.pointer}, align 8")

    def _reduce_across(self, mask: str) -> str:
        e, axis = self.e, self.reduced
        assert axis is not None
        loop = e.begin(self.memory.size(self.sizes[axis]), carried=[(e.number, e.constant(_START[self.operation]))])
        self._advance(self.readings, axis, loop.index)
        x = self._value(len(self.sizes) - 1, mask)
        [total] = e.end(loop, [_combined(e, self.operation, loop.carried[0], x)])
        return total

    def _advance(self, accesses: Sequence[Access], axis: int, index: str) -> None:
        for access in accesses:
            stride, in_table = access.step(axis)
            access.pointer = self.e.advanced(access.pointer, index, stride)
            access.table = self.e.advanced(access.table, index, in_table, "i64")

    def _reading(self, leaf: Array, over: Sizes) -> Access:
        view = leaf.definition
        if leaf.materialised or not isinstance(view, View):
            view = View(leaf, 0, row_major(leaf.sizes))
        strides = aligned(view.strides, leaf.sizes, len(over))
        if view.offsets is None:
            return Access(self.memory.at(view), strides)
        table_strides = aligned(view.table_strides, leaf.sizes, len(over))
        return Access(self.memory.at(view), strides, self.memory.table(view.offsets), table_strides)

    def _value(self, axis: int, mask: str) -> str:
        values = {x: self._loaded(r, axis, mask) for x, r in zip(self.leaves, self.readings, strict=True)}
        return self._computed(self.what, values)

    def _computed(self, x: Array, values: dict[Array, str]) -> str:
        if x not in values:
            definition = x.definition
            if isinstance(definition, Fill):
                values[x] = self.e.constant(definition.number)
            elif isinstance(definition, Count):
                values[x] = self.e.spread(self.e.line("sitofp i64 %n to double"))
            else:
                assert isinstance(definition, Elementwise)
                arguments = [self._computed(operand, values) for operand in definition.operands]
                values[x] = self.functions.apply(self.e, definition.operation, arguments)
        return values[x]

    def _loaded(self, access: Access, axis: int, mask: str) -> str:
        e, (stride, in_table) = self.e, access.step(axis)
        if in_table:
            if in_table != 1:
                raise NotImplementedError("A table of positions is read in order.")
            offsets = e.load_where(mask, access.table, "i64")
            offsets = e.on_integers("add", offsets, e.multiples(stride)) if stride else offsets
            return e.gather_where(mask, access.pointer, offsets)
        pointer = access.pointer
        if access.table:
            pointer = e.element(pointer, e.line(f"load i64, ptr {access.table}, align 8"))
        if stride == 0:
            return e.spread_from(pointer)
        return e.load_where(mask, pointer) if stride == 1 else e.gather_where(mask, pointer, e.multiples(stride))

    def _store(self, axis: int, mask: str, x: str) -> None:
        e, goal = self.e, self.goal
        if goal.table:
            e.scatter_where(mask, x, goal.pointer, e.load_where(mask, goal.table, "i64"))
        elif goal.strides[axis] == 1:
            e.store_where(mask, x, goal.pointer)
        else:
            e.scatter_where(mask, x, goal.pointer, e.multiples(goal.strides[axis]))


_START: Final = {ops.sum: 0.0, ops.maximum: -math.inf}


def _combined(e: LoopEmitter, operation: ops.Operation, x: str, y: str) -> str:
    return e.add(x, y) if operation is ops.sum else NATIVE[operation](e, x, y)


def _over_lanes(e: LoopEmitter, operation: ops.Operation, x: str) -> str:
    if operation is ops.sum:
        return e.summed(x)
    size = LANES
    while size > 1:  # the upper half onto the lower
        size //= 2
        picks = ", ".join(f"i32 {lane % size + size if lane < size else lane}" for lane in range(LANES))
        upper = e.line(f"shufflevector {e.number} {x}, {e.number} poison, <{LANES} x i32> <{picks}>")
        x = _combined(e, operation, x, upper)
    return e.line(f"extractelement {e.number} {x}, i64 0")


def _leaves(what: Array) -> list[Array]:
    leaves, waiting = [], [what]
    while waiting:
        x = waiting.pop()
        if x.materialised or isinstance(x.definition, View):
            leaves.append(x)
        else:
            waiting += operands_of(x)
    return list(dict.fromkeys(leaves))


def aligned(strides: Sequence[int], shape: Sequence[int], length: int) -> list[int]:
    """Strides along `length` axes: 0 where the array is broadcast."""
    own = [0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)]
    return [0] * (length - len(own)) + own


def _goal_strides(strides: Sequence[int], shape: Sizes, over: Sizes, reduce: Reduce | None) -> list[int]:
    if reduce is None or len(shape) == len(over):
        return aligned(strides, shape, len(over))
    own = aligned(strides, shape, len(shape))
    return [*own[: reduce.axis], 0, *own[reduce.axis :]]


def _simplified(sizes: Sequence[int], readings: Sequence[Access], kept: int | None) -> tuple[list[int], int | None]:
    """The axes without those of one, and with neighbours as one where all that is read lies so; at least one axis.

    `kept` is the reduced axis, whose new place is given too; along it the target does not move, so that it never
    joins its neighbours. A size of -3 stands for three times the number of samples.
    """
    axes: list[int] = []
    merged: list[int] = []
    for k in [k for k, size in enumerate(sizes) if size != 1] or [len(sizes) - 1] * bool(sizes):
        joins = bool(axes) and sizes[k] != SAMPLES
        if joins and all(r.step(axes[-1]) == tuple(sizes[k] * step for step in r.step(k)) for r in readings):
            axes[-1] = k
            merged[-1] *= sizes[k]
        else:
            axes.append(k)
            merged.append(sizes[k])
    for reading in readings:
        reading.strides = [reading.strides[k] for k in axes] or [0]
        if reading.table_strides:
            reading.table_strides = [reading.table_strides[k] for k in axes]
    return merged or [1], None if kept is None else axes.index(kept)
