"""The operations that native code has itself, in LLVM's assembly; every other it gets in its row's form."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from microgrannd import operations as ops
from microgrannd.compiler.llvm import vector_math
from microgrannd.compiler.llvm.emitter import LANES, LIBRARY, Emitter
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Tape, TapeOperand, rewrite
from microgrannd.operations import Operation

# On vectors these are arithmetic of our own.
ON_VECTORS: Final[dict[Operation, Callable[[Emitter, str], str]]] = {
    ops.TABLE[name]: getattr(vector_math, name)
    for name in ("exp", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "erfc", "sin", "cos")
}
_FAR: Final = (ops.sin, ops.cos)  # far from 0 the C library's
_WIDEST: Final = 64


class Functions:
    def __init__(self, name: str) -> None:
        self.name = name
        self.declared: set[str] = set()
        self.written: dict[str, str] = {}

    def apply(self, e: Emitter, operation: Operation, operands: Sequence[str], *, inline: bool = False) -> str:
        """The operation's result; `inline` writes it out on the spot."""
        if e.lanes == 1 or operation not in ON_VECTORS:
            return NATIVE[operation](e, *operands)
        if inline and operation not in _FAR:
            return ON_VECTORS[operation](e, operands[0])
        name = operation.name
        if name not in self.written:
            self.written[name] = self._function(operation)
        return e.line(f"call {e.number} @{self.name}.{name}({e.number} {operands[0]})")

    def _function(self, operation: Operation) -> str:
        f, name = Emitter(LANES), operation.name
        if operation in _FAR:
            size = f.intrinsic("fabs", "%x")
            far = f.line(f"bitcast {f.flag} {f.compare('ogt', size, f.constant(vector_math.SINE_LIMIT))} to i{LANES}")
            f.do(f"br i1 {f.line(f'icmp eq i{LANES} {far}, 0')}, label %near, label %far")
            f.lines.append("far:")
            f.do(f"ret {f.number} {f.library(name, '%x')}")
            f.lines.append("near:")
        f.do(f"ret {f.number} {ON_VECTORS[operation](f, '%x')}")
        self.declared |= f.declared
        return f.function(f"define internal {f.number} @{self.name}.{name}({f.number} %x)")


def known(lanes: int) -> Collection[Operation]:
    return NATIVE if lanes == 1 else NATIVE.keys() | ON_VECTORS.keys()


def unsupported(instructions: Iterable[Instruction]) -> list[Operation]:
    """The operations that native code neither has nor gets in a form: such as your own without one."""
    counts = {operation: len(operands) for operation, operands in instructions}
    once = tuple(Instruction(operation, tuple(range(count))) for operation, count in counts.items())
    leaves = max(counts.values(), default=0)
    spelled = expanded(Tape(("x",) * leaves, (), once, tuple(range(leaves, leaves + len(once)))), NATIVE)
    return list(dict.fromkeys(operation for operation, _ in spelled.instructions if operation not in NATIVE))


def narrowed(tape: Tape) -> Tape:
    """The tape with long sums and dots taken in parts, in the same order: no instruction is very long."""
    if all(len(operands) <= 2 * _WIDEST + 1 for _, operands in tape.instructions):
        return tape

    def parts(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
        if len(operands) <= 2 * _WIDEST + 1 or operation not in (ops.sum, ops.dot):
            return None
        held: tuple[TapeOperand, ...] = ()
        if operation is ops.sum:
            for i in range(0, len(operands), _WIDEST):
                held = (writer.place(ops.sum, (*held, *operands[i : i + _WIDEST])),)
            return held[0]
        size = len(operands) // 2
        xs, ys, held = operands[:size], operands[size : 2 * size], operands[2 * size :]
        for i in range(0, size, _WIDEST):
            held = (writer.place(ops.dot, (*xs[i : i + _WIDEST], *ys[i : i + _WIDEST], *held)),)
        return held[0]

    return rewrite(tape, parts)


# A comparison with u holds for NaN, one with o does not.


def _contribution(e: Emitter, upstream: str, local: str) -> str:
    return e.select(e.compare("une", upstream, e.constant(0.0)), e.mul(upstream, local), e.constant(0.0))


def _maximum(e: Emitter, x: str, y: str) -> str:
    if y == e.constant(0.0):  # as in relu
        return e.select(e.compare("ugt", x, y), x, y)
    return e.select(e.either(e.compare("ogt", x, y), e.compare("uno", x, x)), x, y)


def _minimum(e: Emitter, x: str, y: str) -> str:
    return e.select(e.either(e.compare("olt", x, y), e.compare("uno", x, x)), x, y)


def _flag(holds: str) -> Callable[..., str]:
    return lambda e, x, y: e.one_if(e.compare(holds, x, y))


def _pow(e: Emitter, x: str, y: str) -> str:
    if y == e.constant(2.0):
        return e.mul(x, x)
    if y == e.constant(3.0):
        return e.mul(e.mul(x, x), x)
    if y == e.constant(-1.0):
        return e.div(e.constant(1.0), x)
    return e.library("pow", x, y)


def _mod(e: Emitter, x: str, y: str) -> str:
    """The remainder with the sign of y, as in Python; NaN where y is 0, 0 of y's sign where there is none."""
    rest = e.library("fmod", x, y)
    zero = e.constant(0.0)
    opposite = e.line(f"xor {e.flag} {e.compare('olt', rest, zero)}, {e.compare('olt', y, zero)}")
    moved = e.select(opposite, e.add(rest, y), rest)
    return e.select(e.compare("oeq", rest, zero), e.intrinsic("copysign", zero, y), moved)


def _floordiv(e: Emitter, x: str, y: str) -> str:
    zero, quotient = e.constant(0.0), e.div(x, y)
    rest = e.library("fmod", x, y)
    opposite = e.line(f"xor {e.flag} {e.compare('olt', rest, zero)}, {e.compare('olt', y, zero)}")
    opposite = e.both(opposite, e.compare("une", rest, zero))
    whole = e.div(e.sub(x, rest), y)
    whole = e.select(opposite, e.sub(whole, e.constant(1.0)), whole)
    down = e.intrinsic("floor", whole)
    up = e.compare("ogt", e.sub(whole, down), e.constant(0.5))
    result = e.select(up, e.add(down, e.constant(1.0)), down)
    result = e.select(e.compare("oeq", whole, zero), e.intrinsic("copysign", zero, quotient), result)
    return e.select(e.compare("oeq", y, zero), quotient, result)


def _sum(e: Emitter, *xs: str) -> str:
    """From 0.0 on, as Python's sum() does it: of negative zeros alone the sum is a positive one."""
    return _chain(e, e.constant(0.0), *xs)


def _chain(e: Emitter, total: str, *xs: str) -> str:
    for x in xs:
        total = e.add(total, x)
    return total


def _dot(e: Emitter, *xs: str) -> str:
    size = len(xs) // 2
    products = [e.mul(x, y) for x, y in zip(xs[:size], xs[size : 2 * size], strict=True)]
    return _chain(e, *xs[2 * size :], *products) if len(xs) % 2 else _sum(e, *products)


def _logsumexp(e: Emitter, *xs: str) -> str:
    if not xs:
        return e.constant(-math.inf)
    top, unordered = xs[0], e.compare("uno", xs[0], xs[0])
    for x in xs[1:]:
        top = _maximum(e, x, top)
        unordered = e.either(unordered, e.compare("uno", x, x))
    # The top's own 1 is left out, once, for log1p: right also where the others are next to nothing.
    others, taken, every = e.constant(0.0), None, "true" if e.lanes == 1 else "splat (i1 true)"
    for x in xs:
        here = e.compare("oeq", x, top)
        if taken is not None:
            here = e.line(f"and {e.flag} {here}, {e.line(f'xor {e.flag} {taken}, {every}')}")
        others = e.add(others, e.select(here, e.constant(0.0), _exp(e, e.sub(x, top))))
        taken = here if taken is None else e.either(taken, here)
    finite = e.compare("olt", e.intrinsic("fabs", top), e.constant(math.inf))
    result = e.select(finite, e.add(top, _log1p(e, others)), top)
    return e.select(unordered, e.constant(math.nan), result)


def _exp(e: Emitter, x: str) -> str:
    return vector_math.exp(e, x) if e.lanes > 1 else e.library("exp", x)


def _log1p(e: Emitter, x: str) -> str:
    return vector_math.log1p(e, x) if e.lanes > 1 else e.library("log1p", x)


def _library(name: str) -> Callable[..., str]:
    return lambda e, *xs: e.library(name, *xs)


NATIVE: Final[dict[Operation, Callable[..., str]]] = {
    **{ops.TABLE[name]: _library(name) for name in LIBRARY if name in ops.TABLE},
    **{ops.add: Emitter.add, ops.sub: Emitter.sub, ops.mul: Emitter.mul, ops.div: Emitter.div, ops.neg: Emitter.neg},
    **{ops.pow: _pow, ops.mod: _mod, ops.floordiv: _floordiv},
    **{ops.maximum: _maximum, ops.minimum: _minimum, ops.contribution: _contribution},
    **{ops.sum: _sum, ops.dot: _dot, ops.logsumexp: _logsumexp},
    **{ops.less: _flag("olt"), ops.less_equal: _flag("ole"), ops.greater: _flag("ogt")},
    **{ops.greater_equal: _flag("oge"), ops.equal: _flag("oeq"), ops.not_equal: _flag("une")},
    ops.abs: lambda e, x: e.intrinsic("fabs", x),
    ops.sqrt: lambda e, x: e.intrinsic("sqrt", x),
    ops.floor: lambda e, x: e.intrinsic("floor", x),
    ops.ceil: lambda e, x: e.intrinsic("ceil", x),
    ops.stop_gradient: lambda e, x: x,
    ops.where: lambda e, condition, x, y: e.select(e.holds(condition), x, y),
}
