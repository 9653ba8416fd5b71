"""The native backend: a tape's kernels as machine code, called through ctypes."""

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.batches import Column
from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.llvm.machine import MachineCode, llvm, optimisation, pointers
from microgrannd.compiler.locking import COMPILING
from microgrannd.compiler.native.kernel_source import Kind, module, work
from microgrannd.compiler.native.loop_kernel import assembly
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.tape.tape import Tape

_PART: Final = 2_000_000  # instructions on samples in one part, about a millisecond


class NativeKernel:
    def __init__(self, program: Tape | Rolled, threads: int = 1, cache: Path | None = None) -> None:
        llvm()  # which says what to install
        self.program = program
        self.work = program.work if isinstance(program, Rolled) else len(program.instructions)  # for a sample
        self.threads = threads
        self.cache = cache
        self._functions: dict[Kind, tuple[Any, MachineCode]] = {}
        size = len(program.inputs)
        self._inputs = ctypes.c_double * size
        self._parameters = ctypes.c_double * len(program.parameters)
        self._outputs = ctypes.c_double * len(program.outputs)

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        outputs = self._outputs()
        self._function("one")(self._inputs(*inputs), self._parameters(*parameters), outputs)
        return outputs[:]

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> None:
        """Fill the columns of `into`, which have space for at least eight numbers."""
        if not count:
            return
        given, limit = padded(columns, count)
        strides = [array.strides[0] // 8 for array in (*given, *into)]
        kind: Kind = "each" if all(stride == 1 for stride in strides) else "rows"
        function = self._function(kind)
        fixed = [pointers(given), self._parameters(*parameters), pointers(into)]
        if kind == "rows":
            fixed.append((ctypes.c_int64 * len(strides))(*strides))
        self._in_parts(limit, lambda begin, end: function(*fixed, begin, end, limit))

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        import numpy

        given, limit = padded(columns, count)
        given = list(map(numpy.ascontiguousarray, given))
        function, table, numbers = self._function("total"), pointers(given), self._parameters(*parameters)

        def part(begin: int, end: int) -> list[float]:
            sums = self._outputs()
            function(table, numbers, sums, begin, end, limit)
            return sums[:]

        parts = self._in_parts(count, part)
        return parts[0] if len(parts) == 1 else [sum(column) for column in zip(*parts, strict=True)]

    def _in_parts(self, count: int, run: Callable[[int, int], Any]) -> list[Any]:
        """Run on parts of the samples. They do not depend on the number of threads, and so neither do the sums."""
        size = _PART // (self.work + 1) // LANES * LANES + LANES
        if count <= 2 * size:
            return [run(0, count)]
        bounds = [(begin, min(begin + size, count)) for begin in range(0, count, size)]
        if self.threads == 1:
            return [run(*bound) for bound in bounds]
        return list(in_threads(self.threads).map(lambda bound: run(*bound), bounds))

    def _function(self, kind: Kind) -> Any:
        if kind not in self._functions:
            with COMPILING:
                source = module(assembly(self.program, kind))
                code = MachineCode(source, optimisation(work(self.program)), self.cache)
                self._functions.setdefault(kind, (_SIGNATURES[kind](code.address(kind)), code))
        return self._functions[kind][0]


_POINTER: Final = ctypes.c_void_p
_RANGE: Final = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_SIGNATURES: Final[dict[Kind, Any]] = {
    "one": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER),
    "each": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER, *_RANGE),
    "rows": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER, _POINTER, *_RANGE),
    "total": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER, *_RANGE),
}


@functools.cache
def in_threads(threads: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor  # slow to load

    return ThreadPoolExecutor(threads, thread_name_prefix="microgrannd")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=in_threads.cache_clear)  # a child has none of its parent's threads


def padded(columns: Sequence[Column], count: int) -> tuple[list[Column], int]:
    """The columns as arrays of at least eight numbers, the last one repeated, and their length."""
    import numpy

    arrays = [numpy.asarray(column, dtype=float) for column in columns]
    if count < LANES:
        arrays = [numpy.concatenate([array, numpy.full(LANES - count, array[-1])]) for array in arrays]
    arrays = [array if array.strides[0] % 8 == 0 else array.copy() for array in arrays]
    return arrays, max(count, LANES)
