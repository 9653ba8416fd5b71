"""Writing loops in LLVM's assembly, over numbers in memory, eight at a time.

A loop keeps its index and what it carries from turn to turn in registers. Where fewer than eight numbers
are left, a mask says which lanes count. This room may import the emitter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from microgrannd.compiler.llvm.emitter import LANES, Emitter


@dataclass(frozen=True)
class Loop:
    """A loop that is being written: its index, and what it carries from turn to turn."""

    name: str
    index: str
    carried: tuple[str, ...]
    kinds: tuple[str, ...]
    first: tuple[str, ...]
    before: str
    place: int
    step: str


class LoopEmitter(Emitter):
    """An emitter of vectors that knows in which basic block it writes."""

    def __init__(self) -> None:
        super().__init__(LANES)
        self.block = "entry"

    def begin(self, size: str, step: int | str = 1, carried: Sequence[tuple[str, str]] = ()) -> Loop:
        """Begin a loop from 0 to before `size`; `carried` has kinds and first values."""
        self.count += 1
        name = f"loop{self.count}"
        before = self.block
        self.do(f"br label %{name}")
        self.lines += [f"{name}:", ""]
        names = tuple(f"%{name}.{k}" for k in range(len(carried)))
        kinds, first = tuple(kind for kind, _ in carried), tuple(x for _, x in carried)
        loop = Loop(name, f"%{name}.index", names, kinds, first, before, len(self.lines) - 1, str(step))
        more = self.line(f"icmp slt i64 {loop.index}, {size}")
        self.do(f"br i1 {more}, label %{name}.body, label %{name}.done")
        self.start(f"{name}.body")
        return loop

    def end(self, loop: Loop, carried: Sequence[str] = ()) -> tuple[str, ...]:
        """End the loop with what it carries on; after it the carried values have their last names."""
        after = self.line(f"add i64 {loop.index}, {loop.step}")
        self.do(f"br label %{loop.name}")
        come = [f"  {loop.index} = phi i64 [ 0, %{loop.before} ], [ {after}, %{self.block} ]"]
        for name, kind, first, now in zip(loop.carried, loop.kinds, loop.first, carried, strict=True):
            come.append(f"  {name} = phi {kind} [ {first}, %{loop.before} ], [ {now}, %{self.block} ]")
        self.lines[loop.place] = "\n".join(come)
        self.start(f"{loop.name}.done")
        return loop.carried

    def start(self, label: str) -> None:
        """Start a basic block."""
        self.lines.append(f"{label}:")
        self.block = label

    def advanced(self, pointer: str, index: str, stride: int | str) -> str:
        """The pointer to the number that is index · stride further on."""
        if stride in (0, "0"):
            return pointer
        return self.element(pointer, index if stride in (1, "1") else self.line(f"mul i64 {index}, {stride}"))

    # ---- masks

    def spread_integer(self, n: str) -> str:
        """An integer in all lanes."""
        first = self.line(f"insertelement {self.integer} poison, i64 {n}, i64 0")
        return self.line(
            f"shufflevector {self.integer} {first}, {self.integer} poison, <{LANES} x i32> zeroinitializer"
        )

    def mask(self, left: str) -> str:
        """The lanes before `left`."""
        iota = ", ".join(f"i64 {lane}" for lane in range(LANES))
        return self.line(f"icmp slt {self.integer} <{iota}>, {self.spread_integer(left)}")

    def load_where(self, mask: str, pointer: str, kind: str = "double") -> str:
        """The numbers at a pointer, zero in the other lanes."""
        vector, name = f"<{LANES} x {kind}>", f"@llvm.masked.load.v{LANES}{'f64' if kind == 'double' else kind}.p0"
        self.declared.add(f"declare {vector} {name}(ptr, i32, {self.flag}, {vector})")
        return self.line(f"call {vector} {name}(ptr {pointer}, i32 8, {self.flag} {mask}, {vector} zeroinitializer)")

    def store_where(self, mask: str, x: str, pointer: str) -> None:
        """Put the numbers of some lanes at a pointer."""
        name = f"@llvm.masked.store.v{LANES}f64.p0"
        self.declared.add(f"declare void {name}({self.number}, ptr, i32, {self.flag})")
        self.do(f"call void {name}({self.number} {x}, ptr {pointer}, i32 8, {self.flag} {mask})")

    def gather_where(self, mask: str, pointer: str, offsets: str) -> str:
        """Numbers from here and there, so far from a pointer, zero in the other lanes."""
        pointers = f"<{LANES} x ptr>"
        name = f"@llvm.masked.gather.v{LANES}f64.v{LANES}p0"
        self.declared.add(f"declare {self.number} {name}({pointers}, i32, {self.flag}, {self.number})")
        places = self.line(f"getelementptr double, ptr {pointer}, {self.integer} {offsets}")
        return self.line(
            f"call {self.number} {name}({pointers} {places}, i32 8, {self.flag} {mask}, {self.number} zeroinitializer)"
        )

    def scatter_where(self, mask: str, x: str, pointer: str, offsets: str) -> None:
        """Put the numbers of some lanes here and there, so far from a pointer."""
        pointers = f"<{LANES} x ptr>"
        name = f"@llvm.masked.scatter.v{LANES}f64.v{LANES}p0"
        self.declared.add(f"declare void {name}({self.number}, {pointers}, i32, {self.flag})")
        places = self.line(f"getelementptr double, ptr {pointer}, {self.integer} {offsets}")
        self.do(f"call void {name}({self.number} {x}, {pointers} {places}, i32 8, {self.flag} {mask})")

    def spread_from(self, pointer: str) -> str:
        """The one number at a pointer in all lanes."""
        return self.spread(self.line(f"load double, ptr {pointer}, align 8"))

    def function(self, head: str) -> str:
        """The whole function."""
        return "\n".join([f"{head} {{", "entry:", *self.lines, "}"])
