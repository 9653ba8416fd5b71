"""LLVM's assembly for recurrences: a function for each segment of a program, forward and in reverse.

All that one segment hands to another is in one memory of slots: the inputs, what is kept of the results, the gradients
that arrive. What is carried from step to step stays in registers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Final

from microgrannd.compiler.llvm.emitter import CountedLoop, Emitter
from microgrannd.compiler.llvm.operations import known, narrowed
from microgrannd.compiler.native.kernel_source import Assembly, KernelWriter, Kind, kernel
from microgrannd.compiler.native.loop_memory import LoopMemory
from microgrannd.compiler.recurrences.derive import Pull, Push, Rolled, Seed
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand

_FEW: Final = 32  # inputs or outputs that are copied one by one


def assembly(program: Tape | Rolled, kind: Kind) -> Assembly:
    """A kernel, as `kernel_source` describes it."""
    return kernel(program, kind) if isinstance(program, Tape) else _RecurrenceWriter(program, kind, kind).assembly()


class _RecurrenceWriter(KernelWriter):
    def __init__(self, program: Rolled, kind: Kind, name: str) -> None:
        self.program = program
        self.memory = LoopMemory(program)
        given = replace(program.tape, instructions=(), outputs=())
        super().__init__(given, kind, name, outputs=len(program.outputs), slots=self.memory.size)
        self.inline = False
        self.tables = 0

    def _access(self, e: Emitter) -> tuple[Callable[[int | str], str], Callable[[int | str, str], None]]:
        """Like the one of straight lines, but the column to read or write may be counted in a loop."""
        inputs = len(self.tape.inputs)
        if self.kind == "one":
            return super()._access(e)

        def column(table: str, j: int | str) -> str:
            return e.line(f"load ptr, ptr {e.element(table, j, 'ptr')}")

        if self.kind == "total":
            return lambda j: e.load(e.element(column("%columns", j), "%s")), lambda k, x: self._accumulate(e, k, x)
        if self.kind == "each":
            return (
                lambda j: e.load(e.element(column("%columns", j), "%s")),
                lambda k, x: e.store(x, e.element(column("%outputs", k), "%s")),
            )

        def stride(j: int | str) -> str:
            return e.line(f"load i64, ptr {e.element('%strides', j, 'i64')}")

        return (
            lambda j: self._read_apart(e, column("%columns", j), stride(j)),
            lambda k, x: self._write_apart(e, column("%outputs", k), stride(e.line(f"add i64 {k}, {inputs}")), x),
        )

    def _body(
        self,
        e: Emitter,
        read: Callable[[int | str], str],
        sink: Callable[[int | str, str], None],
        local: dict[int, str],
    ) -> None:
        program, memory = self.program, self.memory

        def take(j: int | str) -> None:
            e.store(read(j), e.element("%tape", j, e.number))

        self._counted(e, len(self.tape.inputs), take)
        if program.gradients:
            self._call(e, "clear", self._clearing())
        for q, push in enumerate(program.pushes):
            self._call(e, f"push{q}", self._push(q, push))
        for q in reversed(range(len(program.segments))):
            if pull := program.pulls[q]:
                self._call(e, f"pull{q}", self._pull(q, pull))
        for k, x in enumerate(program.tape.outputs):
            sink(k, self._value(e, x))
        if program.gradients:
            first = memory.leaves_at + (program.of[0] if program.of else 0)

            def give(m: int | str) -> None:
                place = e.line(f"add i64 {m}, {first}")
                sink(e.line(f"add i64 {m}, 1"), e.load(e.element("%tape", place, e.number)))

            self._counted(e, len(program.of), give)

    def _counted(self, e: Emitter, count: int, body: Callable[[int | str], None]) -> None:
        """The body for each number below the count, in a loop if they are many."""
        if count <= _FEW:
            for k in range(count):
                body(k)
            return
        with CountedLoop(e, count) as i:
            body(i.index)

    def _call(self, e: Emitter, name: str, f: Emitter) -> None:
        f.do("ret void")
        head = f"define internal void @{self.name}.{name}(ptr noalias %tape, ptr noalias %parameters) noinline"
        self.functions.append(self._function(head, f))
        e.do(f"call void @{self.name}.{name}(ptr %tape, ptr %parameters)")

    def _clearing(self) -> Emitter:
        f = Emitter(self.lanes)
        memory = self.memory
        f.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        first = f.element("%tape", memory.cleared, f.number)
        size = (memory.size - memory.cleared) * 8 * self.lanes
        f.do(f"call void @llvm.memset.p0.i64(ptr {first}, i8 0, i64 {size}, i1 false)")
        [output] = self.program.tape.outputs
        if self.program.has_gradient(output):
            self._store_at(f, f.constant(1.0), memory.gradient(output))
        return f

    # A segment, forward and in reverse

    def _push(self, q: int, push: Push) -> Emitter:
        segment, f = self.program.segments[q], Emitter(self.lanes)
        first, columns, before = self.memory.values[q]
        initial = segment.initial()
        registers = {j: [self._value(f, x) for x in operands] for j, operands in initial.items()}
        for j, numbers in registers.items():
            for back, x in enumerate(numbers[:before] if j in columns else ()):
                self._store_at(f, x, first + (before - 1 - back) * len(columns) + columns[j])
        reads = self._reads(f, q, range(len(segment.reads)))
        with CountedLoop(f, segment.steps, [x for own in registers.values() for x in own]) as i:
            held = iter(i.held)
            now = {j: [next(held) for _ in own] for j, own in registers.items()}
            written = [
                now[read.result][read.back - 1] if isinstance(read, Carried) else reads[k](i.index)
                for k, read in enumerate(segment.reads)
            ]
            outputs = dict(zip(push.results, self._run(f, push.body, written), strict=True))
            row = self._row(f, first + before * len(columns), len(columns), i.index)
            for j, k in columns.items():
                f.store(outputs[j], f.element("%tape", f.line(f"add i64 {row}, {k}"), f.number))
            i.next = [x for j, own in now.items() for x in [outputs[j], *own][: len(own)]]
            last = {j: outputs[j] for j in push.last}
        for j, x in last.items():
            self._store_at(f, x, self.memory.last[q, j])
        return f

    def _pull(self, q: int, pull: Pull) -> Emitter:
        segment, f = self.program.segments[q], Emitter(self.lanes)
        memory, uses = self.memory, pull.body.uses()
        seeds = [seed for v, seed in enumerate(pull.seeds) if uses[v]]
        first, columns, before = memory.values[q]
        arriving, places = memory.gradients[q]
        reads = self._reads(f, q, [seed.number for seed in seeds if seed.kind == "read"])
        handed: dict[int, list[str]] = {}
        totals: dict[int, str] = {}
        targets: dict[int, Callable[[str], str]] = {}
        for k in pull.reads:
            read = segment.reads[k]
            if isinstance(read, Carried):
                zero = f.constant(0.0)
                handed[k] = [zero] * read.back
                if k in pull.from_last:
                    handed[k] = [self._load_at(f, memory.gradient(segment.last(read.result)))]
            elif pull.sums(k):
                totals[k] = self._load_at(f, memory.gradient(read.first()))
            else:
                targets[k] = self._slots(f, [memory.gradient(x) for x in read.outside()])
        registers = [*[x for own in handed.values() for x in own], *totals.values()]
        with CountedLoop(f, segment.steps, registers, down=True) as i:
            held = iter(i.held)
            now = {k: [next(held) for _ in own] for k, own in handed.items()}
            sums = {k: next(held) for k in totals}
            row = self._row(f, first, len(columns), i.index)
            arrived = self._row(f, arriving, len(places), i.index)

            def given(seed: Seed) -> str:
                kind, number = seed
                if kind == "carried":
                    return now[number][0]
                if kind == "total":
                    return sums[number]
                if kind == "outside":
                    return f.load(f.element("%tape", f.line(f"add i64 {arrived}, {places[number]}"), f.number))
                j, back = number, 0
                if kind == "read":
                    read = segment.reads[number]
                    if not isinstance(read, Carried):
                        return reads[number](i.index)
                    j, back = read.result, read.back
                place = (before - back) * len(columns) + columns[j]
                return f.load(f.element("%tape", f.line(f"add i64 {row}, {place}"), f.number))

            written = [given(seed) if uses[v] else "" for v, seed in enumerate(pull.seeds)]
            found = dict(zip(pull.reads, self._run(f, pull.body, written), strict=True))
            for k, slot in targets.items():
                place = f.element("%tape", slot(i.index), f.number)
                f.store(f.add(f.load(place), found[k]), place)
            i.next = [*[x for k, own in now.items() for x in [*own[1:], found[k]]], *[found[k] for k in totals]]
        handed_back, sums_after = i.next[: len(i.next) - len(totals)], i.next[len(i.next) - len(totals) :]
        for k, x in zip(totals, sums_after, strict=True):
            self._store_at(f, x, memory.gradient(segment.reads[k].first()))
        operands = [x for k in handed for x in segment.reads[k].outside()]
        for operand, x in zip(operands, handed_back, strict=True):
            if (at := memory.gradient(operand)) != memory.cleared:
                self._store_at(f, f.add(self._load_at(f, at), x), at)
        return f

    def _run(self, f: Emitter, body: Tape, written: Sequence[str]) -> list[str]:
        """The outputs of a body for these inputs."""
        tape = narrowed(expanded(body, known(self.lanes)))
        variables = list(written)

        def operand(x: TapeOperand) -> str:
            return variables[x] if isinstance(x, int) else f.constant(x)

        for operation, operands in tape.instructions:
            variables.append(self.operations.apply(f, operation, [operand(x) for x in operands], inline=self.inline))
        return [operand(x) for x in tape.outputs]

    def _reads(self, f: Emitter, q: int, which: Sequence[int]) -> dict[int, Callable[[str], str]]:
        """How each of these reads from outside gets its number, by the step."""
        found: dict[int, Callable[[str], str]] = {}
        for k in which:
            read = self.program.segments[q].reads[k]
            if isinstance(read, Fixed):
                found[k] = partial(_always, self._value(f, read.operand))
            elif isinstance(read, PerStep):
                found[k] = self._stream(f, q, k, read.operands)
        return found

    def _stream(self, f: Emitter, q: int, k: int, operands: Sequence[TapeOperand]) -> Callable[[str], str]:
        inputs, leaves = len(self.tape.inputs), self.tape.leaves
        if all(isinstance(x, float) for x in operands):
            table = self._global("double", [Emitter().constant(x) for x in operands])
            return lambda i: f.spread(f.line(f"load double, ptr {f.element(table, i)}, align 8"))
        if all(isinstance(x, int) and inputs <= x < leaves for x in operands):
            place = self._slots(f, [int(x) - inputs for x in operands])
            return lambda i: f.spread(f.line(f"load double, ptr {f.element('%parameters', place(i))}, align 8"))
        copy = self.memory.copies.get((q, k))
        if copy is not None:
            for i, x in enumerate(operands):
                self._store_at(f, self._value(f, x), copy + i)
        place = self._slots(
            f, [self.memory.value(int(x)) if copy is None else copy + i for i, x in enumerate(operands)]
        )
        return lambda i: f.load(f.element("%tape", place(i), f.number))

    def _slots(self, f: Emitter, slots: Sequence[int]) -> Callable[[str], str]:
        """The slot of a step: reckoned where they lie at equal distances, else from a table."""
        strides = {y - x for x, y in pairwise(slots)} or {0}
        if len(strides) == 1:
            [stride] = strides
            return lambda i: self._row(f, slots[0], stride, i)
        table = self._global("i64", list(map(str, slots)))
        return lambda i: f.line(f"load i64, ptr {f.element(table, i, 'i64')}, align 8")

    def _global(self, kind: str, numbers: Sequence[str]) -> str:
        self.tables += 1
        name = f"@{self.name}.table{self.tables}"
        listed = ", ".join(f"{kind} {x}" for x in numbers)
        self.functions.append(f"{name} = internal constant [{len(numbers)} x {kind}] [{listed}]")
        return name

    @staticmethod
    def _row(f: Emitter, first: int, stride: int, i: str) -> str:
        return f.line(f"add i64 {f.line(f'mul i64 {i}, {stride}')}, {first}")

    def _value(self, f: Emitter, x: TapeOperand) -> str:
        if isinstance(x, float):
            return f.constant(x)
        inputs = len(self.tape.inputs)
        if inputs <= x < self.tape.leaves:
            return self._parameter(f, x - inputs)
        return self._load_at(f, self.memory.value(x))

    @staticmethod
    def _load_at(f: Emitter, slot: int) -> str:
        return f.load(f.element("%tape", slot, f.number))

    @staticmethod
    def _store_at(f: Emitter, x: str, slot: int) -> None:
        f.store(x, f.element("%tape", slot, f.number))


def _always(x: str, _: str) -> str:
    return x
