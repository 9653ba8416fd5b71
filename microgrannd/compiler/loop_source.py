"""LLVM's assembly for recorded array code: for each array in memory the loops that make it.

Loops go over an array's axes, as few as the ways in which all that is read lies in memory allow, eight
numbers at a time along the last. Operations between arrays in memory are done in the same turn. Products of
matrices are calls. How long compiling takes depends on how many lines the code has, not on sizes. This room
may import the symbolic arrays, the loop emitter and the operations in assembly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.emitter import LANES
from microgrannd.compiler.llvm_operations import NATIVE, Functions
from microgrannd.compiler.loop_emitter import LoopEmitter
from microgrannd.compiler.symbolic_arrays import (
    SAMPLES,
    Apply,
    Array,
    Count,
    Given,
    Join,
    Number,
    Product,
    Recording,
    Reduce,
    Shape,
    Table,
    View,
    common_shape,
    row_major,
)


class Room(NamedTuple):
    """A number of numbers, or how far in: so many, and so many more for each sample."""

    fixed: int
    per_sample: int

    def of(self, samples: int) -> int:
        """How many for so many samples."""
        return self.fixed + samples * self.per_sample


class Result(NamedTuple):
    """A result: where in the row of all results it begins, and its shape."""

    start: Room
    shape: Shape


class LoopSource(NamedTuple):
    """The assembly of `run(given, tables, results, work, product, turn, n)`.

    `given` and `tables` are arrays of pointers to the arguments and to the known numbers in `known`, `results`
    and `work` rows of numbers with so much room; n is how many samples there are.
    """

    text: str
    known: list[Any]
    results: list[Result]
    room: Room
    work: Room


def loop_source(recording: Recording, results: Sequence[Array]) -> LoopSource:
    """The assembly that makes the results and then writes over arguments, as it was recorded."""
    return _Writer(recording, results).source()


@dataclass
class _Reading:
    """Numbers that a nest of loops reads or writes: where, and how far apart they are along its axes."""

    pointer: str
    strides: list[int]
    table: str = ""
    table_strides: list[int] | None = None

    def step(self, axis: int) -> tuple[int, int]:
        """How far it is to the next along an axis, and in the table."""
        return self.strides[axis], self.table_strides[axis] if self.table_strides else 0


_ARGUMENTS: Final = (
    "ptr noalias %given, ptr noalias %tables, ptr noalias %results, ptr noalias %work, ptr %product, ptr %turn, i64 %n"
)


class _Writer:
    def __init__(self, recording: Recording, results: Sequence[Array]) -> None:
        self.e = LoopEmitter()
        self.functions = Functions("on")
        self.results = _apart(results)
        self.writes = recording.writes
        self.needed = _needed(
            recording.arrays, [*self.results, *[x for pair in self.writes for x in (pair[0].source, pair[1])]]
        )
        self.known: list[Any] = []
        self.pointers: dict[Array, str] = {}
        self.samples = ""

    def source(self) -> LoopSource:
        e = self.e
        self.samples = e.line("sitofp i64 %n to double")
        results, room = _in_a_row(self.results)
        places, work = _placed(self.needed, self.results, [x for _, x in self.writes])
        for x in self.needed:
            if not x.stands:
                continue
            if isinstance(x.making, Given):
                self.pointers[x] = self._pointer("%given", x.making.index)
            elif isinstance(x.making, Table):
                self.pointers[x] = self._table(x.making.numbers)
            elif x in self.results:
                self.pointers[x] = self._within("%results", results[self.results[x]].start)
            else:
                self.pointers[x] = self._within("%work", places[x])
            self._make(x)
        for place, x in self.writes:
            self._nest(place, x.sizes, x, x.sizes)
        e.do("ret void")
        main = e.function(f"define void @run({_ARGUMENTS})")
        declared = sorted(e.declared | self.functions.declared)
        text = "\n\n".join([*declared, *self.functions.written.values(), main]) + "\n"
        return LoopSource(text, self.known, results, room, work)

    def _within(self, row: str, start: Room) -> str:
        if not start.per_sample:
            return self.e.element(row, start.fixed)
        further = self.e.line(f"mul i64 %n, {start.per_sample}")
        return self.e.element(row, self.e.line(f"add i64 {start.fixed}, {further}"))

    def _pointer(self, table: str, index: int) -> str:
        return self.e.line(f"load ptr, ptr {self.e.element(table, index, 'ptr')}")

    def _table(self, numbers: Any) -> str:
        self.known.append(numbers)
        return self._pointer("%tables", len(self.known) - 1)

    def _make(self, x: Array) -> None:
        made, target = x.making, View(x, 0, row_major(x.sizes))
        if isinstance(made, Given | Table):
            return
        if isinstance(made, Product):
            self._multiply(made, target)
        elif isinstance(made, Reduce):
            if made.operand.sizes[made.axis] == 1:
                self._nest(target, x.sizes, made.operand, made.operand.sizes)
            else:
                self._nest(target, x.sizes, made.operand, made.operand.sizes, made)
        elif isinstance(made, Join):
            start = 0
            for part in made.parts:
                self._nest(replace(target, start=start * target.strides[made.axis]), part.sizes, part, part.sizes)
                start += part.sizes[made.axis]
        elif isinstance(made, Apply) and made.operation is ops.stop_gradient and self._turned(made.operands[0], target):
            return
        else:
            self._nest(target, x.sizes, Array(x.recording, x.sizes, made), x.sizes)

    # ---- products

    def _multiply(self, made: Product, target: View) -> None:
        left, right = made.left.view(), made.right.view()
        *batch, rows, depth = made.left.sizes
        *other, _, columns = made.right.sizes
        count = self._size(rows)
        if not made.summed and not other and len(batch) == 1 and left.strides[0] == rows * left.strides[1]:
            count, batch = self.e.line(f"mul i64 {self._size(batch[0])}, {rows}"), []  # the samples' rows in a row
        sizes = common_shape([tuple(batch), tuple(other)])
        axes = len(sizes)
        steps = [_aligned(left.strides[: len(batch)], batch, axes), _aligned(right.strides[: len(other)], other, axes)]
        out = [0] * axes if made.summed else list(target.strides[:axes])
        pointers = [self._at(left), self._at(right), self._at(target)]
        loops = [self.e.begin(self._size(size)) for size in sizes]
        for axis, loop in enumerate(loops):
            for k, strides in enumerate([*steps, out]):
                pointers[k] = self.e.advanced(pointers[k], loop.index, strides[axis])
        adds = self.e.line(f"icmp ne i64 {loops[0].index}, 0") if made.summed else "false"
        a, b, c = pointers
        self.e.do(
            f"call void %product(ptr {a}, i64 {left.strides[-2]}, i64 {left.strides[-1]}, ptr {b}, "
            f"i64 {right.strides[-2]}, ptr {c}, i64 {target.strides[-2]}, i64 {count}, i64 {columns}, "
            f"i64 {self._size(depth)}, i1 {adds})"
        )
        for loop in reversed(loops):
            self.e.end(loop)

    def _turned(self, x: Array, target: View) -> bool:
        """Whether the copy was one of a matrix turned over, which is made."""
        made = x.making
        if x.stands or not isinstance(made, View) or made.offsets is not None or len(x.sizes) < 2:
            return False
        if made.strides[-2] != 1 or x.sizes[-2] == SAMPLES or min(x.sizes[-2:]) < 2:
            return False
        source, goal = self._at(made), self._at(target)
        loops = [self.e.begin(self._size(size)) for size in x.sizes[:-2]]
        for axis, loop in enumerate(loops):
            source = self.e.advanced(source, loop.index, made.strides[axis])
            goal = self.e.advanced(goal, loop.index, target.strides[axis])
        rows, columns = x.sizes[-1], x.sizes[-2]
        self.e.do(
            f"call void %turn(ptr {source}, i64 {made.strides[-1]}, ptr {goal}, i64 {rows}, i64 {rows}, i64 {columns})"
        )
        for loop in reversed(loops):
            self.e.end(loop)
        return True

    def _at(self, view: View) -> str:
        pointer = self.pointers[view.source]
        return self.e.element(pointer, view.start) if view.start else pointer

    def _size(self, size: int) -> str:
        return str(size) if size >= 0 else "%n" if size == SAMPLES else self.e.line(f"mul i64 %n, {-size}")

    # ---- loops

    def _nest(self, target: View, shape: Shape, what: Array, over: Shape, reduce: Reduce | None = None) -> None:
        """Fill the target, of this shape, with what is made over the axes of `over`."""
        leaves = _leaves(what)
        goal = _Reading(self._at(target), _goal_strides(target.strides, shape, over, reduce))
        if target.offsets is not None:
            goal.table, goal.table_strides = self._table(target.offsets), list(target.table_strides)
        readings = [goal, *[self._reading(leaf, over) for leaf in leaves]]
        sizes, kept = _simplified(over, readings, None if reduce is None else reduce.axis)
        inner = len(sizes) - 1
        loops = []
        for axis, size in enumerate(sizes[:-1]):
            if axis != kept:
                loops.append(self.e.begin(self._size(size)))
                self._advance(readings, axis, loops[-1].index)
        if kept == inner:
            self._along(readings, leaves, what, self._size(sizes[inner]), inner, reduce.operation)  # type: ignore[union-attr]
        else:
            block = self.e.begin(self._size(sizes[inner]), LANES)
            mask = self.e.mask(self.e.line(f"sub i64 {self._size(sizes[inner])}, {block.index}"))
            self._advance(readings, inner, block.index)
            if kept is None:
                found = self._value(what, self._values(readings[1:], leaves, inner, mask))
            else:
                operation = reduce.operation  # type: ignore[union-attr]
                down = self.e.begin(
                    self._size(sizes[kept]), carried=[(self.e.number, self.e.constant(_START[operation]))]
                )
                self._advance(readings[1:], kept, down.index)
                x = self._value(what, self._values(readings[1:], leaves, inner, mask))
                [found] = self.e.end(down, [_combined(self.e, operation, down.carried[0], x)])
            self._store(goal, inner, mask, found)
            self.e.end(block)
        for loop in reversed(loops):
            self.e.end(loop)

    def _along(
        self, readings: list[_Reading], leaves: list[Array], what: Array, size: str, axis: int, operation: ops.Operation
    ) -> None:
        """Reduce along the last axis, lane by lane and then over the lanes."""
        e, goal = self.e, readings[0]
        loop = e.begin(size, LANES, carried=[(e.number, e.constant(_START[operation]))])
        mask = e.mask(e.line(f"sub i64 {size}, {loop.index}"))
        self._advance(readings[1:], axis, loop.index)
        x = self._value(what, self._values(readings[1:], leaves, axis, mask))
        [total] = e.end(loop, [e.select(mask, _combined(e, operation, loop.carried[0], x), loop.carried[0])])
        e.do(f"store double {_over_lanes(e, operation, total)}, ptr {goal.pointer}, align 8")

    def _advance(self, readings: Sequence[_Reading], axis: int, index: str) -> None:
        """Go to a place along an axis."""
        for reading in readings:
            stride, in_table = reading.step(axis)
            reading.pointer = self.e.advanced(reading.pointer, index, stride)
            if in_table:
                place = index if in_table == 1 else self.e.line(f"mul i64 {index}, {in_table}")
                reading.table = self.e.element(reading.table, place, "i64")

    def _reading(self, leaf: Array, over: Shape) -> _Reading:
        view = (
            leaf.making if isinstance(leaf.making, View) and not leaf.stands else View(leaf, 0, row_major(leaf.sizes))
        )
        strides = _aligned(view.strides, leaf.sizes, len(over))
        if view.offsets is None:
            return _Reading(self._at(view), strides)
        table = self._table(view.offsets)
        return _Reading(self._at(view), strides, table, _aligned(view.table_strides, leaf.sizes, len(over)))

    def _values(self, readings: Sequence[_Reading], leaves: Sequence[Array], axis: int, mask: str) -> dict[Array, str]:
        return {x: self._loaded(r, axis, mask) for x, r in zip(leaves, readings, strict=True)}

    def _store(self, goal: _Reading, axis: int, mask: str, x: str) -> None:
        """Put eight numbers where they belong along an axis."""
        if goal.table:
            self.e.scatter_where(mask, x, goal.pointer, self.e.load_where(mask, goal.table, "i64"))
        elif goal.strides[axis] == 1:
            self.e.store_where(mask, x, goal.pointer)
        else:
            self.e.scatter_where(mask, x, goal.pointer, _apart_by(goal.strides[axis]))

    def _loaded(self, reading: _Reading, axis: int, mask: str) -> str:
        """Eight numbers along an axis."""
        e, (stride, in_table) = self.e, reading.step(axis)
        iota = _apart_by(stride)
        if in_table:
            if in_table != 1:
                raise NotImplementedError("A table of positions is read in order.")
            offsets = e.load_where(mask, reading.table, "i64")
            return e.gather_where(mask, reading.pointer, e.on_integers("add", offsets, iota) if stride else offsets)
        pointer = reading.pointer
        if reading.table:
            pointer = e.element(pointer, e.line(f"load i64, ptr {reading.table}, align 8"))
        if stride == 0:
            return e.spread_from(pointer)
        return e.load_where(mask, pointer) if stride == 1 else e.gather_where(mask, pointer, iota)

    def _value(self, x: Array, values: dict[Array, str]) -> str:
        """The numbers of an array that is made on the spot, in terms of those that were read."""
        if x not in values:
            made = x.making
            if isinstance(made, Number):
                values[x] = self.e.constant(made.number)
            elif isinstance(made, Count):
                values[x] = self.e.spread(self.samples)
            else:
                assert isinstance(made, Apply)
                operands = [self._value(operand, values) for operand in made.operands]
                values[x] = self.functions.apply(self.e, made.operation, operands)
        return values[x]


def _apart_by(stride: int) -> str:
    return f"<{', '.join(f'i64 {lane * stride}' for lane in range(LANES))}>"


_START: Final = {ops.sum: 0.0, ops.maximum: -math.inf}


def _combined(e: LoopEmitter, operation: ops.Operation, x: str, y: str) -> str:
    return e.add(x, y) if operation is ops.sum else NATIVE[operation](e, x, y)


def _over_lanes(e: LoopEmitter, operation: ops.Operation, x: str) -> str:
    """The lanes of a vector in one number."""
    if operation is ops.sum:
        return e.summed(x)
    size = LANES
    while size > 1:  # the upper half onto the lower
        size //= 2
        picks = ", ".join(f"i32 {lane % size + size if lane < size else lane}" for lane in range(LANES))
        other = e.line(f"shufflevector {e.number} {x}, {e.number} poison, <{LANES} x i32> <{picks}>")
        x = _combined(e, operation, x, other)
    return e.line(f"extractelement {e.number} {x}, i64 0")


def _apart(results: Sequence[Array]) -> dict[Array, int]:
    """The results with their numbers; what is there already, or comes twice, as a copy."""
    found: dict[Array, int] = {}
    for k, x in enumerate(results):
        own = x.stands and not isinstance(x.making, Given | Table) and x not in found
        found[x if own else x.copied()] = k
    return found


def _operands(x: Array) -> tuple[Array, ...]:
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


def _needed(arrays: Sequence[Array], results: Iterable[Array]) -> list[Array]:
    """What the results are made of, in order; what is needed twice is put down in memory."""
    counts = Counter(results)
    for x in reversed(arrays):
        if x in counts:
            counts.update(_operands(x))
            if isinstance(x.making, Apply) and counts[x] > 1:
                x.stands = True
    return [x for x in arrays if x in counts]


def _in_a_row(arrays: Iterable[Array]) -> tuple[list[Result], Room]:
    """The arrays one behind the other, those that have no samples' axis first."""
    ends = [0, 0]
    starts = []
    for x in arrays:
        varies, size = _size(x)
        starts.append((x, varies, ends[varies]))
        ends[varies] += size
    return [Result(_room(ends[0], varies, start), x.sizes) for x, varies, start in starts], Room(*ends)


def _size(x: Array) -> tuple[bool, int]:
    """Whether there is one for each sample, and how many numbers it has, or has for each."""
    varies = x.sizes[:1] == (SAMPLES,)
    return varies, math.prod(x.sizes[varies:])


def _room(fixed: int, varies: bool, start: int) -> Room:
    return Room(fixed, start) if varies else Room(start, 0)


def _placed(
    needed: Sequence[Array], results: Container[Array], written: Iterable[Array]
) -> tuple[dict[Array, Room], Room]:
    """Where in the workspace each array begins.

    A place is used again once nothing that comes later reads what is there, what is `written` last of all.
    """
    made = [x for x in needed if x.stands and not isinstance(x.making, Given | Table)]
    last: dict[Array, int] = {}
    for i, x in enumerate(made):
        for source in _sources(x):
            last[source] = i
    for x in written:
        last |= dict.fromkeys([x, *_sources(x)], len(made))
    ends = [0, 0]
    found: dict[Array, tuple[bool, int]] = {}
    free: dict[tuple[bool, int], list[int]] = {}
    for i, x in enumerate(made):
        if x not in results:
            varies, size = _size(x)
            vacant = free.get((varies, size))
            start = vacant.pop() if vacant else ends[varies]
            ends[varies] = max(ends[varies], start + size)
            found[x] = varies, start
        for source in _sources(x):
            if last[source] == i and source in found:
                free.setdefault(_size(source), []).append(found[source][1])
    return {x: _room(ends[0], varies, start) for x, (varies, start) in found.items()}, Room(*ends)


def _sources(x: Array) -> list[Array]:
    """The arrays in memory from which one is made."""
    found, waiting = [], list(_operands(x))
    while waiting:
        y = waiting.pop()
        if y.stands:
            found.append(y)
        else:
            waiting += _operands(y)
    return list(dict.fromkeys(found))


def _leaves(what: Array) -> list[Array]:
    """The arrays in memory and the views that are read."""
    found, waiting = [], [what]
    while waiting:
        x = waiting.pop()
        if x.stands or isinstance(x.making, View):
            found.append(x)
        else:
            waiting += _operands(x)
    return list(dict.fromkeys(found))


def _aligned(strides: Sequence[int], shape: Sequence[int], length: int) -> list[int]:
    """Strides along so many axes: 0 where the array is repeated."""
    own = [0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)]
    return [0] * (length - len(own)) + own


def _goal_strides(strides: Sequence[int], shape: Shape, over: Shape, reduce: Reduce | None) -> list[int]:
    """The target's strides along the axes of what fills it."""
    if reduce is None or len(shape) == len(over):
        return _aligned(strides, shape, len(over))
    own = _aligned(strides, shape, len(shape))
    return [*own[: reduce.axis], 0, *own[reduce.axis :]]


def _simplified(sizes: Sequence[int], readings: Sequence[_Reading], kept: int | None) -> tuple[list[int], int | None]:
    """The axes without those of one, and with neighbours as one where all that is read lies so; at least one axis.

    `kept` is the axis that stays by itself; its new place is given too. A size of -3 stands for three times
    the number of samples.
    """
    axes: list[int] = []
    found: list[int] = []
    for k in [k for k, size in enumerate(sizes) if size != 1] or [len(sizes) - 1] * bool(sizes):
        joins = bool(axes) and kept not in (k, axes[-1]) and sizes[k] != SAMPLES
        if joins and all(r.step(axes[-1]) == tuple(sizes[k] * step for step in r.step(k)) for r in readings):
            axes[-1] = k
            found[-1] *= sizes[k]
        else:
            axes.append(k)
            found.append(sizes[k])
    for reading in readings:
        reading.strides = [reading.strides[k] for k in axes] or [0]
        if reading.table_strides:
            reading.table_strides = [reading.table_strides[k] for k in axes]
    return found or [1], None if kept is None else axes.index(kept)
