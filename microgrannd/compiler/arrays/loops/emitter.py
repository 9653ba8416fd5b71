"""Writing loops in LLVM's assembly, over numbers in memory, eight at a time, a mask saying which lanes count."""

from collections.abc import Sequence
from dataclasses import dataclass

from microgrannd.compiler.llvm.emitter import LANES, Emitter


@dataclass(frozen=True)
class Loop:
    name: str
    index: str
    carried: tuple[str, ...]
    kinds: tuple[str, ...]
    first: tuple[str, ...]
    before: str
    head: int  # where its phi lines go among the emitter's lines
    step: str


class LoopEmitter(Emitter):
    def __init__(self) -> None:
        super().__init__(LANES)
        self.block = "entry"

    def restart(self) -> None:
        """Begin another function."""
        self.lines.clear()
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

    def advanced(self, pointer: str, index: str, stride: int | str, kind: str = "double") -> str:
        """The pointer to the number that is index · stride further on."""
        if stride in (0, "0"):
            return pointer
        return self.element(pointer, index if stride in (1, "1") else self.line(f"mul i64 {index}, {stride}"), kind)

    def mask(self, left: str) -> str:
        return self.line(f"icmp slt {self.integer} {self.multiples(1)}, {self.spread(left, 'i64')}")

    def load_where(self, mask: str, pointer: str, kind: str = "double") -> str:
        vector, name = f"<{LANES} x {kind}>", f"load.v{LANES}{'f64' if kind == 'double' else kind}.p0"
        return self.line(self._masked(name, vector, mask, ("ptr", pointer), zeros=vector))

    def store_where(self, mask: str, x: str, pointer: str) -> None:
        self.do(self._masked(f"store.v{LANES}f64.p0", "void", mask, (self.number, x), ("ptr", pointer)))

    def gather_where(self, mask: str, pointer: str, offsets: str) -> str:
        pointers = self._pointers(pointer, offsets)
        return self.line(self._masked(f"gather.v{LANES}f64.v{LANES}p0", self.number, mask, pointers, zeros=self.number))

    def scatter_where(self, mask: str, x: str, pointer: str, offsets: str) -> None:
        pointers = self._pointers(pointer, offsets)
        self.do(self._masked(f"scatter.v{LANES}f64.v{LANES}p0", "void", mask, (self.number, x), pointers))

    def _pointers(self, pointer: str, offsets: str) -> tuple[str, str]:
        return f"<{LANES} x ptr>", self.line(f"getelementptr double, ptr {pointer}, {self.integer} {offsets}")

    def _masked(self, name: str, result: str, mask: str, *operands: tuple[str, str], zeros: str = "") -> str:
        """A call of a masked function, for numbers aligned to eight bytes; what is read is zero in the other lanes."""
        given = [*operands, ("i32", "8"), (self.flag, mask), *([(zeros, "zeroinitializer")] if zeros else [])]
        self.declared.add(f"declare {result} @llvm.masked.{name}({', '.join(kind for kind, _ in given)})")
        return f"call {result} @llvm.masked.{name}({', '.join(f'{kind} {x}' for kind, x in given)})"

    def spread_from(self, pointer: str) -> str:
        return self.spread(self.line(f"load double, ptr {pointer}, align 8"))
