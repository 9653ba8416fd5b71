"""Writing loops in LLVM's assembly, over numbers in memory, eight at a time.

A loop keeps its index and what it carries from one iteration to the next in registers. Where fewer than eight
numbers are left, a mask says which lanes count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from microgrannd.compiler.llvm.emitter import LANES, Emitter


@dataclass(frozen=True)
class Loop:
    """A loop that is being written: its index, and what it carries from one iteration to the next."""

    name: str
    index: str
    carried: tuple[str, ...]
    kinds: tuple[str, ...]
    first: tuple[str, ...]
    before: str
    head: int  # where its phi lines go among the emitter's lines
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
        phis = [f"  {loop.index} = phi i64 [ 0, %{loop.before} ], [ {after}, %{self.block} ]"]
        for name, kind, first, now in zip(loop.carried, loop.kinds, loop.first, carried, strict=True):
            phis.append(f"  {name} = phi {kind} [ {first}, %{loop.before} ], [ {now}, %{self.block} ]")
        self.lines[loop.head] = "\n".join(phis)
        self.start(f"{loop.name}.done")
        return loop.carried

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    def advanced(self, pointer: str, index: str, stride: int | str) -> str:
        """The pointer to the number that is index · stride further on."""
        if stride in (0, "0"):
            return pointer
        return self.element(pointer, index if stride in (1, "1") else self.line(f"mul i64 {index}, {stride}"))

    def mask(self, left: str) -> str:
        """The lanes before `left`."""
        return self.line(f"icmp slt {self.integer} {self.multiples(1)}, {self.spread(left, 'i64')}")

    def load_where(self, mask: str, pointer: str, kind: str = "double") -> str:
        """The numbers at a pointer, zero in the other lanes."""
        vector, name = f"<{LANES} x {kind}>", f"@llvm.masked.load.v{LANES}{'f64' if kind == 'double' else kind}.p0"
        self.declared.add(f"declare {vector} {name}(ptr, i32, {self.flag}, {vector})")
        return self.line(f"call {vector} {name}(ptr {pointer}, i32 8, {self.flag} {mask}, {vector} zeroinitializer)")

    def store_where(self, mask: str, x: str, pointer: str) -> None:
        name = f"@llvm.masked.store.v{LANES}f64.p0"
        self.declared.add(f"declare void {name}({self.number}, ptr, i32, {self.flag})")
        self.do(f"call void {name}({self.number} {x}, ptr {pointer}, i32 8, {self.flag} {mask})")

    def gather_where(self, mask: str, pointer: str, offsets: str) -> str:
        """The numbers at these offsets from a pointer, zero in the other lanes."""
        pointers = f"<{LANES} x ptr>"
        name = f"@llvm.masked.gather.v{LANES}f64.v{LANES}p0"
        self.declared.add(f"declare {self.number} {name}({pointers}, i32, {self.flag}, {self.number})")
        each = self.line(f"getelementptr double, ptr {pointer}, {self.integer} {offsets}")
        rest = f"i32 8, {self.flag} {mask}, {self.number} zeroinitializer"
        return self.line(f"call {self.number} {name}({pointers} {each}, {rest})")

    def scatter_where(self, mask: str, x: str, pointer: str, offsets: str) -> None:
        """Store the numbers of some lanes at these offsets from a pointer."""
        pointers = f"<{LANES} x ptr>"
        name = f"@llvm.masked.scatter.v{LANES}f64.v{LANES}p0"
        self.declared.add(f"declare void {name}({self.number}, {pointers}, i32, {self.flag})")
        each = self.line(f"getelementptr double, ptr {pointer}, {self.integer} {offsets}")
        self.do(f"call void {name}({self.number} {x}, {pointers} {each}, i32 8, {self.flag} {mask})")

    def spread_from(self, pointer: str) -> str:
        """The one number at a pointer in all lanes."""
        return self.spread(self.line(f"load double, ptr {pointer}, align 8"))

    def function(self, head: str) -> str:
        return "\n".join([f"{head} {{", "entry:", *self.lines, "}"])
