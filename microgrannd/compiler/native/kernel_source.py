"""LLVM's assembly for a tape: a kernel for one sample, for each of a batch, and for their sum.

Batches go eight samples at a time; the last block is moved back to stay inside, its lanes counted already masked.
Long tapes are cut into functions, so that compiling takes time in proportion to length.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from microgrannd.compiler.llvm.emitter import LANES, Emitter
from microgrannd.compiler.llvm.operations import ON_VECTORS, Functions, known, narrowed
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand

Kind = Literal["one", "each", "rows", "total"]
SECTION: Final = 400  # arithmetic in a function, where a tape is cut
BLOCK: Final = 120  # arithmetic in a basic block
HOISTED: Final = 20  # parameters up to this number stay in registers throughout
INLINED: Final = 60  # functions of vector mathematics up to this number are written out where they are used

_ARRAYS: Final = "ptr noalias %columns, ptr noalias %parameters, ptr noalias %outputs"


def kernel_source(tape: Tape, kind: Kind) -> str:
    """The assembly of one kernel, a module of its own.

    `one(inputs, parameters, outputs)` reads and writes arrays of numbers. `each(columns, parameters,
    outputs, begin, end, limit)` reads and writes arrays of columns; `limit`, at least 8, is how many
    samples the columns have. `rows` has one more argument before `begin`: how far apart the numbers of each
    column lie, first the inputs', then the outputs'. `total` has the arguments of `each`, and its outputs are numbers.
    """
    return module(kernel(tape, kind))


class Assembly(NamedTuple):
    declared: frozenset[str]
    functions: tuple[str, ...]


def kernel(tape: Tape, kind: Kind, name: str = "") -> Assembly:
    tape = narrowed(expanded(tape, known(1 if kind == "one" else LANES)))
    return KernelWriter(tape, kind, name or kind).assembly()


def work(program: Tape | Rolled) -> int:
    """How much there is to compile: the operands and, but for loops, reading and writing."""
    around = len(program.inputs) + len(program.outputs) if isinstance(program, Tape) else 0
    return around + sum(len(operands) for _, operands in program.instructions)


def module(*parts: Assembly) -> str:
    declared = sorted(frozenset().union(*[part.declared for part in parts]))
    return "\n\n".join([*declared, *[text for part in parts for text in part.functions], "!0 = !{}"]) + "\n"


class KernelWriter:
    """Writes the kernel of a tape; another writer may write what is done for a sample."""

    def __init__(self, tape: Tape, kind: Kind, name: str, *, outputs: int = 0, slots: int = 0) -> None:
        self.tape = tape
        self.outputs = outputs or len(tape.outputs)
        self.kind = kind
        self.name = name
        self.lanes = 1 if kind == "one" else LANES
        self.declared: set[str] = set()
        self.functions: list[str] = []
        self.operations = Functions(name)
        self.cut = work(tape) > 20 * SECTION or len(tape.inputs) > SECTION
        self.slots = slots or (len(tape.inputs) + len(tape.instructions) if self.cut else 0)  # of memory for a block
        calls = sum(operation in ON_VECTORS for operation, _ in tape.instructions)
        self.inline = calls <= INLINED
        self.uses = tape.uses()
        self.outputs_of: dict[int, list[int]] = {}
        for k, x in enumerate(tape.outputs):
            if isinstance(x, int):
                self.outputs_of.setdefault(x, []).append(k)

    def assembly(self) -> Assembly:
        main = self._one() if self.kind == "one" else self._batch()
        declared = self.declared | self.operations.declared
        return Assembly(frozenset(declared), (*self.operations.written.values(), *self.functions, main))

    def _one(self) -> str:
        e = Emitter()
        self._open(e)
        self._body(e, *self._access(e), {})
        self._close(e)
        e.do("ret void")
        return self._function(f"define void @{self.name}({_ARRAYS})", e)

    def _batch(self) -> str:
        e = Emitter(LANES)
        e.do("%place = alloca i64")
        if self.kind == "total":
            self._clear(e)
        self._open(e)
        read, sink = self._access(e)
        hoisted = self._hoisted(e)
        e.do("%last = sub i64 %limit, 8", "store i64 %begin, ptr %place", "br label %next")
        e.lines.append("next:")
        e.do("%i = load i64, ptr %place", "%more = icmp slt i64 %i, %end", "br i1 %more, label %block, label %done")
        e.lines.append("block:")
        e.do("%late = icmp sgt i64 %i, %last", "%s = select i1 %late, i64 %last, i64 %i")
        if self.kind == "total":
            self._mask(e)
        self._body(e, read, sink, hoisted)
        e.do("%after = add i64 %i, 8", "store i64 %after, ptr %place", "br label %next")
        e.lines.append("done:")
        strides = ", ptr noalias %strides" if self.kind == "rows" else ""
        arguments = f"{_ARRAYS}{strides}, i64 %begin, i64 %end, i64 %limit"
        if self.kind == "total":
            for k in range(self.outputs):
                self._block(e, 8 * k)
                total = e.summed(e.load(e.element("%sums", k, e.number)))
                e.do(f"store double {total}, ptr {e.element('%outputs', k)}")
        self._close(e)
        e.do("ret void")
        return self._function(f"define void @{self.name}({arguments})", e)

    def _open(self, e: Emitter) -> None:
        """Memory for what does not stay in registers."""
        if self.slots:
            e.declared |= {"declare ptr @malloc(i64)", "declare void @free(ptr)"}
            e.do(f"%tape = call ptr @malloc(i64 {self.slots * 8 * self.lanes})")

    def _close(self, e: Emitter) -> None:
        if self.slots:
            e.do("call void @free(ptr %tape)")

    def _access(self, e: Emitter) -> tuple[Callable[[Any], str], Callable[[Any, str], None]]:
        inputs, count = len(self.tape.inputs), len(self.tape.outputs)
        if self.kind == "one":
            return lambda j: e.load(e.element("%columns", j)), lambda k, x: e.store(x, e.element("%outputs", k))
        columns = [e.line(f"load ptr, ptr {e.element('%columns', j, 'ptr')}") for j in range(inputs)]
        if self.kind == "total":
            return lambda j: e.load(e.element(columns[j], "%s")), lambda k, x: self._accumulate(e, k, x)
        results = [e.line(f"load ptr, ptr {e.element('%outputs', k, 'ptr')}") for k in range(count)]
        if self.kind == "each":
            return lambda j: e.load(e.element(columns[j], "%s")), lambda k, x: e.store(x, e.element(results[k], "%s"))
        strides = [e.line(f"load i64, ptr {e.element('%strides', j, 'i64')}") for j in range(inputs + count)]

        return (
            lambda j: self._read_apart(e, columns[j], strides[j]),
            lambda k, x: self._write_apart(e, results[k], strides[inputs + k], x),
        )

    @staticmethod
    def _read_apart(e: Emitter, column: str, stride: str) -> str:
        pointer, result = e.element(column, e.line(f"mul i64 %s, {stride}")), "poison"
        for lane in range(LANES):
            pointer = e.element(pointer, stride) if lane else pointer
            number = e.line(f"load double, ptr {pointer}, align 8")
            result = e.line(f"insertelement {e.number} {result}, double {number}, i64 {lane}")
        return result

    @staticmethod
    def _write_apart(e: Emitter, column: str, stride: str, x: str) -> None:
        pointer = e.element(column, e.line(f"mul i64 %s, {stride}"))
        for lane in range(LANES):
            pointer = e.element(pointer, stride) if lane else pointer
            e.do(f"store double {e.line(f'extractelement {e.number} {x}, i64 {lane}')}, ptr {pointer}, align 8")

    def _mask(self, e: Emitter) -> None:
        lanes = e.line(f"add {e.integer} {e.spread('%s', 'i64')}, {e.multiples(1)}")
        fresh = e.line(f"icmp sge {e.integer} {lanes}, {e.spread('%i', 'i64')}")
        inside = e.line(f"icmp slt {e.integer} {lanes}, {e.spread('%end', 'i64')}")
        e.do(f"%mask = and {e.flag} {fresh}, {inside}")

    def _accumulate(self, e: Emitter, k: int | str, x: str) -> None:
        place = e.element("%sums", k, e.number)
        before = e.line(f"load {e.number}, ptr {place}, align 64")
        after = e.select("%mask", e.add(before, x), before)
        e.do(f"store {e.number} {after}, ptr {place}, align 64")

    def _clear(self, e: Emitter) -> None:
        count = self.outputs
        e.do(f"%sums = alloca [{max(count, 1)} x {e.number}], align 64")
        e.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        e.do(f"call void @llvm.memset.p0.i64(ptr align 64 %sums, i8 0, i64 {count * 8 * LANES}, i1 false)")

    def _hoisted(self, e: Emitter) -> dict[int, str]:
        inputs, count = len(self.tape.inputs), len(self.tape.parameters)
        if count > HOISTED or self.cut:
            return {}
        return {inputs + i: self._parameter(e, i) for i in range(count)}

    def _parameter(self, e: Emitter, i: int) -> str:
        return e.spread(e.line(f"load double, ptr {e.element('%parameters', i)}, align 8, !invariant.load !0"))

    def _body(
        self, e: Emitter, read: Callable[[Any], str], sink: Callable[[Any, str], None], local: dict[int, str]
    ) -> None:
        if self.cut:
            self._in_sections(e, read, sink)
        else:
            for j in range(len(self.tape.inputs)):
                if self.uses[j]:
                    local[j] = read(j)

            def keep(v: int, x: str) -> None:
                for k in self.outputs_of.get(v, ()):
                    sink(k, x)

            self._section(e, 0, len(self.tape.instructions), local, keep)
            for v in range(self.tape.leaves):
                for k in self.outputs_of.get(v, ()):
                    sink(k, local.get(v) or self._parameter(e, v - len(self.tape.inputs)))
        for k, x in enumerate(self.tape.outputs):
            if isinstance(x, float):
                sink(k, e.constant(x))

    def _section(
        self, e: Emitter, start: int, stop: int, local: dict[int, str], keep: Callable[[int, str], None]
    ) -> None:
        inputs, leaves = len(self.tape.inputs), self.tape.leaves
        passing: dict[int, str] = {}

        def operand(x: TapeOperand) -> str:
            if isinstance(x, float):
                return e.constant(x)
            if x in local:
                return local[x]
            if x not in passing:
                passing[x] = self._parameter(e, x - inputs) if inputs <= x < leaves else self._kept(e, x)
            return passing[x]

        done = 0
        for k in range(start, stop):
            operation, operands = self.tape.instructions[k]
            done += len(operands)
            if done > BLOCK:
                self._block(e, 0)
                passing.clear()
                done = len(operands)
            v = leaves + k
            local[v] = self.operations.apply(e, operation, [operand(x) for x in operands], inline=self.inline)
            keep(v, local[v])

    def _in_sections(self, e: Emitter, read: Callable[[int], str], sink: Callable[[int, str], None]) -> None:
        """Functions of `SECTION` instructions, which pass on in memory what later ones or the outputs need."""
        tape, leaves = self.tape, self.tape.leaves
        inputs, parameters = len(tape.inputs), len(tape.parameters)
        ends = self._last_sections()
        for j in range(inputs):
            self._block(e, 8 * j)
            e.store(read(j), e.element("%tape", j, e.number))
        for section, (start, stop) in enumerate(self._sections()):
            f = Emitter(self.lanes)

            def keep(v: int, x: str, f: Emitter = f, section: int = section) -> None:
                if ends[v - leaves] > section:
                    f.store(x, f.element("%tape", v - parameters, f.number))

            self._section(f, start, stop, {}, keep)
            f.do("ret void")
            name = f"@{self.name}.section{section}"
            head = f"define internal void {name}(ptr noalias %tape, ptr noalias %parameters) noinline"
            self.functions.append(self._function(head, f))
            e.do(f"call void {name}(ptr %tape, ptr %parameters)")
        for v, places in self.outputs_of.items():
            for k in places:
                self._block(e, 4 * k)
                sink(k, self._parameter(e, v - inputs) if inputs <= v < leaves else self._kept(e, v))

    @staticmethod
    def _block(e: Emitter, done: int) -> None:
        """Start a basic block after every `BLOCK` instructions: LLVM takes more than linear time for a long one."""
        if done % BLOCK == 0:
            label = f"b{len(e.lines)}"
            e.do(f"br label %{label}")
            e.lines.append(f"{label}:")

    def _sections(self) -> list[tuple[int, int]]:
        bounds, size = [0], 0
        for k, (_, operands) in enumerate(self.tape.instructions):
            if size > SECTION:
                bounds.append(k)
                size = 0
            size += len(operands)
        return list(zip(bounds, [*bounds[1:], len(self.tape.instructions)], strict=True))

    def _kept(self, e: Emitter, v: int) -> str:
        slot = v - len(self.tape.parameters) if v >= self.tape.leaves else v
        return e.load(e.element("%tape", slot, e.number))

    def _last_sections(self) -> list[int]:
        """For each instruction: the last section that reads its result; beyond all of them for an output."""
        leaves, last = self.tape.leaves, [-1] * len(self.tape.instructions)
        for section, (start, stop) in enumerate(self._sections()):
            for _, operands in self.tape.instructions[start:stop]:
                for x in operands:
                    if isinstance(x, int) and x >= leaves:
                        last[x - leaves] = section
        for x in self.tape.outputs:
            if isinstance(x, int) and x >= leaves:
                last[x - leaves] = len(last)
        return last

    def _function(self, head: str, e: Emitter) -> str:
        self.declared |= e.declared
        return e.function(head)
