"""Writing LLVM's assembly: an emitter collects a function's lines, on single numbers or on vectors of eight."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

LANES: Final = 8
LIBRARY: Final = {  # functions of the C library, and how many arguments they have
    **dict.fromkeys(["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan"], 1),
    **dict.fromkeys(["asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc"], 1),
    **dict.fromkeys(["pow", "hypot", "atan2", "fmod"], 2),
}


class Emitter:
    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self.number = _of(lanes, "double")
        self.integer = _of(lanes, "i64")
        self.flag = _of(lanes, "i1")
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.flags: dict[str, str] = {}
        self.count = 0

    def line(self, text: str) -> str:
        self.count += 1
        name = f"%r{self.count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, *texts: str) -> None:
        self.lines += [f"  {text}" for text in texts]

    def function(self, head: str) -> str:
        return "\n".join([f"{head} {{", "entry:", *self.lines, "}"])

    def constant(self, x: float) -> str:
        bits = f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"
        return bits if self.lanes == 1 else f"splat (double {bits})"

    def whole(self, n: int) -> str:
        return str(n) if self.lanes == 1 else f"splat (i64 {n})"

    def add(self, x: str, y: str) -> str:
        return self.line(f"fadd {self.number} {x}, {y}")

    def sub(self, x: str, y: str) -> str:
        return self.line(f"fsub {self.number} {x}, {y}")

    def mul(self, x: str, y: str) -> str:
        return self.line(f"fmul {self.number} {x}, {y}")

    def div(self, x: str, y: str) -> str:
        return self.line(f"fdiv {self.number} {x}, {y}")

    def neg(self, x: str) -> str:
        return self.line(f"fneg {self.number} {x}")

    def fma(self, x: str, y: str, z: str) -> str:
        """x · y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def intrinsic(self, name: str, *operands: str) -> str:
        suffix = "f64" if self.lanes == 1 else f"v{self.lanes}f64"
        kinds = ", ".join([self.number] * len(operands))
        self.declared.add(f"declare {self.number} @llvm.{name}.{suffix}({kinds})")
        given = ", ".join(f"{self.number} {x}" for x in operands)
        return self.line(f"call {self.number} @llvm.{name}.{suffix}({given})")

    def library(self, name: str, *operands: str) -> str:
        self.declared.add(f"declare double @{name}({', '.join(['double'] * len(operands))})")
        if self.lanes == 1:
            return self.line(f"call double @{name}({', '.join(f'double {x}' for x in operands)})")
        result = "poison"
        for lane in range(self.lanes):
            given = [self.line(f"extractelement {self.number} {x}, i64 {lane}") for x in operands]
            part = self.line(f"call double @{name}({', '.join(f'double {x}' for x in given)})")
            result = self.line(f"insertelement {self.number} {result}, double {part}, i64 {lane}")
        return result

    def polynomial(self, x: str, coefficients: Iterable[float]) -> str:
        """The polynomial with these coefficients, the constant first, by pairs (Estrin's way: short chains)."""
        terms = [self.constant(c) for c in coefficients]
        while len(terms) > 1:
            pairs = [
                self.fma(terms[i + 1], x, terms[i]) if i + 1 < len(terms) else terms[i] for i in range(0, len(terms), 2)
            ]
            terms = pairs
            if len(terms) > 1:
                x = self.mul(x, x)
        return terms[0]

    def compare(self, holds: str, x: str, y: str) -> str:
        """A flag: olt, ogt, oeq ... are false for NaN, une and ugt true."""
        return self.line(f"fcmp {holds} {self.number} {x}, {y}")

    def both(self, a: str, b: str) -> str:
        return self.line(f"and {self.flag} {a}, {b}")

    def either(self, a: str, b: str) -> str:
        return self.line(f"or {self.flag} {a}, {b}")

    def select(self, flag: str, x: str, y: str) -> str:
        return self.line(f"select {self.flag} {flag}, {self.number} {x}, {self.number} {y}")

    def one_if(self, flag: str) -> str:
        number = self.select(flag, self.constant(1.0), self.constant(0.0))
        self.flags[number] = flag
        return number

    def holds(self, x: str) -> str:
        """Whether a number is not 0: the flag that it was made of, if it was."""
        return self.flags.get(x) or self.compare("une", x, self.constant(0.0))

    def bits(self, x: str) -> str:
        return self.line(f"bitcast {self.number} {x} to {self.integer}")

    def from_bits(self, n: str) -> str:
        return self.line(f"bitcast {self.integer} {n} to {self.number}")

    def on_integers(self, name: str, n: str, m: str) -> str:
        return self.line(f"{name} {self.integer} {n}, {m}")

    def load(self, pointer: str) -> str:
        return self.line(f"load {self.number}, ptr {pointer}, align 8")

    def store(self, x: str, pointer: str) -> None:
        self.do(f"store {self.number} {x}, ptr {pointer}, align 8")

    def element(self, pointer: str, index: int | str, kind: str = "double") -> str:
        return self.line(f"getelementptr {kind}, ptr {pointer}, i64 {index}")

    def spread(self, x: str, kind: str = "double") -> str:
        if self.lanes == 1:
            return x
        vector = _of(self.lanes, kind)
        first = self.line(f"insertelement {vector} poison, {kind} {x}, i64 0")
        return self.line(f"shufflevector {vector} {first}, {vector} poison, <{self.lanes} x i32> zeroinitializer")

    def multiples(self, step: int) -> str:
        """0, step, twice the step ..., one in each lane."""
        return f"<{', '.join(f'i64 {lane * step}' for lane in range(self.lanes))}>"

    def summed(self, x: str) -> str:
        """The sum over the lanes, halves first, as a single number."""
        lanes = self.lanes
        while lanes > 1:
            half = lanes // 2
            low, high = (", ".join(f"i32 {i}" for i in range(start, start + half)) for start in (0, half))
            kind = _of(lanes, "double")
            parts = [self.line(f"shufflevector {kind} {x}, {kind} poison, <{half} x i32> <{m}>") for m in (low, high)]
            if half == 1:
                parts = [self.line(f"extractelement <1 x double> {part}, i64 0") for part in parts]
            x = self.line(f"fadd {_of(half, 'double')} {parts[0]}, {parts[1]}")
            lanes = half
        return x


class CountedLoop:
    """A loop around what is emitted within: `held` are its registers, `next` what they are in the step after."""

    def __init__(self, e: Emitter, steps: int, registers: Sequence[str] = (), *, down: bool = False) -> None:
        self.e = e
        self.steps = steps
        self.registers = registers
        self.down = down
        self.next: list[str] = list(registers)
        self.mark = ""

    def __enter__(self) -> CountedLoop:
        e = self.e
        if self.steps == 1:
            self.index, self.held = "0", list(self.registers)
            return self
        self.mark = mark = f"l{len(e.lines)}"
        e.do(f"br label %{mark}.entry")
        e.lines += [f"{mark}.entry:", f"  br label %{mark}.loop", f"{mark}.loop:"]
        self.at = len(e.lines)
        self.index = f"%{mark}.i"
        self.held = [f"%{mark}.r{k}" for k in range(len(self.registers))]
        return self

    def __exit__(self, *_: object) -> None:
        e, mark = self.e, self.mark
        if self.steps == 1:
            return
        first, step, end = (self.steps - 1, -1, -1) if self.down else (0, 1, self.steps)
        phis = [f"  {self.index} = phi i64 [ {first}, %{mark}.entry ], [ %{mark}.after, %{mark}.latch ]"]
        for name, before, after in zip(self.held, self.registers, self.next, strict=True):
            phis.append(f"  {name} = phi {e.number} [ {before}, %{mark}.entry ], [ {after}, %{mark}.latch ]")
        e.lines[self.at : self.at] = phis
        e.lines += [f"  br label %{mark}.latch", f"{mark}.latch:"]
        e.do(f"%{mark}.after = add i64 {self.index}, {step}", f"%{mark}.more = icmp ne i64 %{mark}.after, {end}")
        e.do(f"br i1 %{mark}.more, label %{mark}.loop, label %{mark}.done")
        e.lines.append(f"{mark}.done:")


def _of(lanes: int, kind: str) -> str:
    return kind if lanes == 1 else f"<{lanes} x {kind}>"
