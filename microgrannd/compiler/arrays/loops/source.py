"""LLVM's assembly for recorded array code; how long compiling takes depends on its lines, not on sizes."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.emitter import Loop, LoopEmitter
from microgrannd.compiler.arrays.loops.loop_nest import LoopNest, Memory, aligned
from microgrannd.compiler.arrays.loops.plan import Extent, Result, loop_plan
from microgrannd.compiler.arrays.loops.strides import SAMPLES, Sizes, common_shape, row_major
from microgrannd.compiler.arrays.loops.symbolic import (
    Argument,
    Array,
    ArrayRecording,
    Elementwise,
    Join,
    Product,
    Reduce,
    Table,
    View,
)
from microgrannd.compiler.llvm.operations import Functions

_ARGUMENTS: Final = (
    "ptr noalias %given, ptr noalias %tables, ptr noalias %results, ptr noalias %work, "
    "ptr %product, ptr %transpose, i64 %n"
)


_LONG: Final = 2_000  # lines


class LoopSource(NamedTuple):
    """The assembly of `run(given, tables, results, work, product, transpose, n)`, n being the number of samples.

    `tables` are the numbers in `known`; `results` and `work` are rows of these lengths.
    """

    text: str
    known: list[Any]
    results: list[Result]
    length: Extent
    workspace: Extent


def loop_source(recording: ArrayRecording, results: Sequence[Array]) -> LoopSource:
    writer = _LoopWriter()
    plan = loop_plan(recording, results)
    for x in [x for x in plan.needed if x.materialised]:
        if x in plan.numbers:
            writer.memory.places[x] = "%results", plan.results[plan.numbers[x]].start
        elif x in plan.offsets:
            writer.memory.places[x] = "%work", plan.offsets[x]
        writer.make(x)
        writer.part()
    for target, x in recording.writes:
        writer.fill(target, x.sizes, x, x.sizes)
        writer.part()
    return LoopSource(writer.text(), writer.memory.known, plan.results, plan.length, plan.workspace)


class _LoopWriter:
    def __init__(self) -> None:
        self.e = LoopEmitter()
        self.memory = Memory(self.e)
        self.functions = Functions("on")
        self.parts: list[str] = []

    def text(self) -> str:
        calls = [f"  call void @part{k}({_ARGUMENTS.replace(' noalias', '')})" for k in range(len(self.parts))]
        self.e.lines[:0] = calls
        self.e.do("ret void")
        main = self.e.function(f"define void @run({_ARGUMENTS})")
        declared = sorted(self.e.declared | self.functions.declared)
        return "\n\n".join([*declared, *self.functions.written.values(), *self.parts, main]) + "\n"

    def part(self) -> None:
        """Put what is written, if it is long, into a function of its own: LLVM's time grows faster than a function."""
        if len(self.e.lines) < _LONG:
            return
        self.e.do("ret void")
        self.parts.append(self.e.function(f"define internal void @part{len(self.parts)}({_ARGUMENTS})"))
        self.e.restart()
        self.memory.pointers.clear()

    def make(self, x: Array) -> None:
        definition, target = x.definition, View(x, 0, row_major(x.sizes))
        if isinstance(definition, Argument):
            self.memory.places[x] = "%given", definition.index
        elif isinstance(definition, Table):
            self.memory.places[x] = self.memory.known_table(definition.numbers)
        elif isinstance(definition, Product):
            self._multiply(definition, target)
        elif isinstance(definition, Reduce):
            self.fill(target, x.sizes, definition.operand, definition.operand.sizes, definition)
        elif isinstance(definition, Join):
            start = 0
            for part in definition.parts:
                self.fill(target._replace(start=start * target.strides[definition.axis]), part.sizes, part, part.sizes)
                start += part.sizes[definition.axis]
        elif not self._transposed(definition, target):
            self.fill(target, x.sizes, Array(x.recording, x.sizes, definition), x.sizes)

    def fill(self, target: View, shape: Sizes, what: Array, over: Sizes, reduction: Reduce | None = None) -> None:
        LoopNest(self.memory, self.functions, target, shape, what, over, reduction).write()

    def _multiply(self, product: Product, target: View) -> None:
        left, right = product.left.view(), product.right.view()
        *batch, rows, depth = product.left.sizes
        *right_batch, _, columns = product.right.sizes
        count = self.memory.size(rows)
        if not product.summed and not right_batch and len(batch) == 1 and left.strides[0] == rows * left.strides[1]:
            count, batch = self.e.line(f"mul i64 {self.memory.size(batch[0])}, {rows}"), []  # all rows as of one matrix
        sizes = common_shape([tuple(batch), tuple(right_batch)])
        axes = len(sizes)
        steps = [
            aligned(left.strides[: len(batch)], batch, axes),
            aligned(right.strides[: len(right_batch)], right_batch, axes),
            [0] * axes if product.summed else target.strides[:axes],
        ]
        loops, (a, b, c) = self._over(sizes, [left, right, target], steps)
        adds = self.e.line(f"icmp ne i64 {loops[0].index}, 0") if product.summed else "false"
        self.e.do(
            f"call void %product(ptr {a}, i64 {left.strides[-2]}, i64 {left.strides[-1]}, ptr {b}, "
            f"i64 {right.strides[-2]}, ptr {c}, i64 {target.strides[-2]}, i64 {count}, i64 {columns}, "
            f"i64 {self.memory.size(depth)}, i1 {adds})"
        )
        self._close(loops)

    def _transposed(self, definition: Any, target: View) -> bool:
        """Whether it was a copy of a transposed matrix, which is written now."""
        if not isinstance(definition, Elementwise) or definition.operation is not ops.stop_gradient:
            return False
        x = definition.operands[0]
        view = x.definition
        if x.materialised or not isinstance(view, View) or view.offsets is not None or len(x.sizes) < 2:
            return False
        *batch, columns, rows = x.sizes
        if view.strides[-2] != 1 or columns == SAMPLES or min(rows, columns) < 2:
            return False
        loops, (source, goal) = self._over(batch, [view, target], [view.strides, target.strides])
        stride = view.strides[-1]
        self.e.do(
            f"call void %transpose(ptr {source}, i64 {stride}, ptr {goal}, i64 {rows}, i64 {rows}, i64 {columns})"
        )
        self._close(loops)
        return True

    def _over(
        self, sizes: Sequence[int], views: Sequence[View], strides: Sequence[Sequence[int]]
    ) -> tuple[list[Loop], list[str]]:
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
