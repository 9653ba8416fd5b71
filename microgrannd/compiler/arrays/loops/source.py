"""LLVM's assembly for recorded array code: for each array in memory the loops that make it.

Products of matrices and turning them over are calls. How long compiling takes depends on how many lines the
code has, not on sizes. This room may import the plan, the loops and what is beneath them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.emitter import Loop, LoopEmitter
from microgrannd.compiler.arrays.loops.nests import Memory, Nest, aligned
from microgrannd.compiler.arrays.loops.plan import Result, Room, loop_plan
from microgrannd.compiler.arrays.loops.strides import SAMPLES, Shape, common_shape, row_major
from microgrannd.compiler.arrays.loops.symbolic import (
    Apply,
    Array,
    Given,
    Join,
    Product,
    Recording,
    Reduce,
    Table,
    View,
)
from microgrannd.compiler.llvm.operations import Functions

_ARGUMENTS: Final = (
    "ptr noalias %given, ptr noalias %tables, ptr noalias %results, ptr noalias %work, ptr %product, ptr %turn, i64 %n"
)


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
    writer = _Writer()
    plan = loop_plan(recording, results)
    for x in [x for x in plan.needed if x.stands]:
        if x in plan.numbers:
            writer.place(x, "%results", plan.results[plan.numbers[x]].start)
        elif x in plan.places:
            writer.place(x, "%work", plan.places[x])
        writer.make(x)
    for place, x in recording.writes:
        writer.fill(place, x.sizes, x, x.sizes)
    return LoopSource(writer.text(), writer.memory.known, plan.results, plan.room, plan.work)


class _Writer:
    def __init__(self) -> None:
        self.e = LoopEmitter()
        self.memory = Memory(self.e)
        self.functions = Functions("on")

    def text(self) -> str:
        """The module."""
        self.e.do("ret void")
        main = self.e.function(f"define void @run({_ARGUMENTS})")
        declared = sorted(self.e.declared | self.functions.declared)
        return "\n\n".join([*declared, *self.functions.written.values(), main]) + "\n"

    def place(self, x: Array, row: str, start: Room) -> None:
        """Note where in a row an array is."""
        further = start.fixed if not start.per_sample else self.e.line(
            f"add i64 {start.fixed}, {self.e.line(f'mul i64 %n, {start.per_sample}')}"
        )  # fmt: skip
        self.memory.pointers[x] = self.e.element(row, further)

    def make(self, x: Array) -> None:
        """Write what puts an array into its place."""
        made, target = x.making, View(x, 0, row_major(x.sizes))
        if isinstance(made, Given):
            self.memory.pointers[x] = self.memory.pointer("%given", made.index)
        elif isinstance(made, Table):
            self.memory.pointers[x] = self.memory.table(made.numbers)
        elif isinstance(made, Product):
            self._multiply(made, target)
        elif isinstance(made, Reduce):
            self.fill(target, x.sizes, made.operand, made.operand.sizes, made)
        elif isinstance(made, Join):
            start = 0
            for part in made.parts:
                self.fill(replace(target, start=start * target.strides[made.axis]), part.sizes, part, part.sizes)
                start += part.sizes[made.axis]
        elif not self._turned(made, target):
            self.fill(target, x.sizes, Array(x.recording, x.sizes, made), x.sizes)

    def fill(self, target: View, shape: Shape, what: Array, over: Shape, reduction: Reduce | None = None) -> None:
        """Write loops."""
        Nest(self.memory, self.functions, target, shape, what, over, reduction).write()

    def _multiply(self, made: Product, target: View) -> None:
        left, right = made.left.view(), made.right.view()
        *batch, rows, depth = made.left.sizes
        *other, _, columns = made.right.sizes
        count = self.memory.size(rows)
        if not made.summed and not other and len(batch) == 1 and left.strides[0] == rows * left.strides[1]:
            count, batch = self.e.line(f"mul i64 {self.memory.size(batch[0])}, {rows}"), []  # all rows as of one matrix
        sizes = common_shape([tuple(batch), tuple(other)])
        axes = len(sizes)
        steps = [aligned(left.strides[: len(batch)], batch, axes), aligned(right.strides[: len(other)], other, axes)]
        steps.append([0] * axes if made.summed else list(target.strides[:axes]))
        loops, (a, b, c) = self._over(sizes, [left, right, target], steps)
        adds = self.e.line(f"icmp ne i64 {loops[0].index}, 0") if made.summed else "false"
        self.e.do(
            f"call void %product(ptr {a}, i64 {left.strides[-2]}, i64 {left.strides[-1]}, ptr {b}, "
            f"i64 {right.strides[-2]}, ptr {c}, i64 {target.strides[-2]}, i64 {count}, i64 {columns}, "
            f"i64 {self.memory.size(depth)}, i1 {adds})"
        )
        self._close(loops)

    def _turned(self, made: Any, target: View) -> bool:
        """Whether it was a copy of a matrix turned over, which is made now."""
        if not isinstance(made, Apply) or made.operation is not ops.stop_gradient:
            return False
        x = made.operands[0]
        view = x.making
        if x.stands or not isinstance(view, View) or view.offsets is not None or len(x.sizes) < 2:
            return False
        *batch, columns, rows = x.sizes
        if view.strides[-2] != 1 or columns == SAMPLES or min(rows, columns) < 2:
            return False
        loops, (source, goal) = self._over(batch, [view, target], [view.strides, target.strides])
        stride = view.strides[-1]
        self.e.do(f"call void %turn(ptr {source}, i64 {stride}, ptr {goal}, i64 {rows}, i64 {rows}, i64 {columns})")
        self._close(loops)
        return True

    def _over(
        self, sizes: Sequence[int], views: Sequence[View], strides: Sequence[Sequence[int]]
    ) -> tuple[list[Loop], list[str]]:
        """Loops over some axes, and where the views are in them."""
        pointers = [self.memory.at(view) for view in views]
        loops = []
        for axis, size in enumerate(sizes):
            loops.append(self.e.begin(self.memory.size(size)))
            pointers = [
                self.e.advanced(pointer, loops[-1].index, steps[axis])
                for pointer, steps in zip(pointers, strides, strict=True)
            ]
        return loops, pointers

    def _close(self, loops: Sequence[Loop]) -> None:
        for loop in reversed(loops):
            self.e.end(loop)
