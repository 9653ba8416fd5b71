"""The native backend: LLVM's assembly, compiled by llvmlite and called through ctypes.

This room may import the assembly's writer; llvmlite and NumPy are imported when the first kernel is made.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.native.kernel_source import Kind, kernel_source, work
from microgrannd.compiler.tape.tape import Tape

Column = Any
_PART: Final = 2_000_000  # instructions on samples in one part, about a millisecond
_lock: Final = threading.RLock()  # LLVM's global state is not for two threads at a time


@functools.cache
def available() -> bool:
    """Whether llvmlite and NumPy are installed."""
    from importlib.util import find_spec

    return find_spec("llvmlite") is not None and find_spec("numpy") is not None


class Library:
    """A compiled module: its functions by name, alive as long as this object is."""

    def __init__(self, source: str, level: int = 3, cache: Path | None = None) -> None:
        llvm = _llvm()
        with _lock:
            module = llvm.parse_assembly(source)
            machine = _machine(level)
            module.triple = machine.triple
            self._engine = llvm.create_mcjit_compiler(module, machine)
            if cache is not None:
                kept = _Kept(cache, "\n".join([source, str(level), *processor(), str(llvm.llvm_version_info)]))
                self._engine.set_object_cache(kept.write, kept.read)
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        return int(self._engine.get_function_address(name))


class _Kept:
    """Machine code on disk: a file named for all that it depends on, which starts with its own hash."""

    def __init__(self, folder: Path, depends: str) -> None:
        self.path = folder / f"{hashlib.sha256(depends.encode()).hexdigest()}.o"

    def read(self, module: Any) -> bytes | None:
        """The code; None where there is none, or not as it was written."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        return content[32:] if content[:32] == self._hash(content[32:]) else None

    def write(self, module: Any, code: bytes) -> None:
        """Keep the code. A reader sees all of it or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self.path.with_suffix(f".{os.getpid()}")
        whole.write_bytes(self._hash(code) + code)
        whole.replace(self.path)

    def _hash(self, code: bytes) -> bytes:
        return hashlib.sha256(self.path.name.encode() + code).digest()


class NativeKernel:
    """The kernels of one tape, each compiled when it is first run."""

    def __init__(self, tape: Tape, threads: int = 1, cache: Path | None = None) -> None:
        _llvm()
        self.tape = tape
        self.threads = threads
        self.cache = cache
        self._functions: dict[Kind, tuple[Any, Library]] = {}
        size = len(tape.inputs)
        self._inputs = ctypes.c_double * size
        self._parameters = ctypes.c_double * len(tape.parameters)
        self._outputs = ctypes.c_double * len(tape.outputs)

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        """The outputs for one sample."""
        outputs = self._outputs()
        self._function("one")(self._inputs(*inputs), self._parameters(*parameters), outputs)
        return outputs[:]

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> bool:
        """Fill the columns of `into`; whether any but the first got a NaN. They have room for eight at least."""
        if not count:
            return False
        given, limit = padded(columns, count)
        strides = [array.strides[0] // 8 for array in (*given, *into)]
        kind: Kind = "each" if all(stride == 1 for stride in strides) else "rows"
        function = self._function(kind)
        fixed = [pointers(given), self._parameters(*parameters), pointers(into)]
        if kind == "rows":
            fixed.append((ctypes.c_int64 * len(strides))(*strides))
        return any(self._in_parts(limit, lambda begin, end: function(*fixed, begin, end, limit)))

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sums over the samples."""
        given, limit = padded(columns, count)
        given = [contiguous(array) for array in given]
        function, table, numbers = self._function("total"), pointers(given), self._parameters(*parameters)

        def part(begin: int, end: int) -> list[float]:
            sums = self._outputs()
            function(table, numbers, sums, begin, end, limit)
            return sums[:]

        parts = self._in_parts(count, part)
        return parts[0] if len(parts) == 1 else [sum(column) for column in zip(*parts, strict=True)]

    def _in_parts(self, count: int, run: Callable[[int, int], Any]) -> list[Any]:
        """The results of running on parts of the samples, in threads where there are many.

        The parts do not depend on the number of threads, and so neither do the sums.
        """
        size = _PART // (len(self.tape.instructions) + 1) // LANES * LANES + LANES
        if count <= 2 * size:
            return [run(0, count)]
        bounds = [(begin, min(begin + size, count)) for begin in range(0, count, size)]
        if self.threads == 1:
            return [run(*bound) for bound in bounds]
        return list(in_threads(self.threads).map(lambda bound: run(*bound), bounds))

    def source(self, kind: Kind) -> str:
        """LLVM's assembly for one of the kernels."""
        return kernel_source(self.tape, kind)

    def _function(self, kind: Kind) -> Any:
        found = self._functions.get(kind)
        if found is None:
            with _lock:
                library = Library(self.source(kind), optimisation(self.tape), self.cache)
                found = self._functions.setdefault(kind, (_SIGNATURES[kind](library.address(kind)), library))
        return found[0]


_POINTER: Final = ctypes.c_void_p
_RANGE: Final = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_SIGNATURES: Final[dict[Kind, Any]] = {
    "one": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER),
    "each": ctypes.CFUNCTYPE(ctypes.c_int64, _POINTER, _POINTER, _POINTER, *_RANGE),
    "rows": ctypes.CFUNCTYPE(ctypes.c_int64, _POINTER, _POINTER, _POINTER, _POINTER, *_RANGE),
    "total": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER, *_RANGE),
}


@functools.cache
def in_threads(threads: int) -> ThreadPoolExecutor:
    """The one pool of so many threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="microgrannd")


def contiguous(array: Any) -> Any:
    """The array itself or a copy without gaps."""
    import numpy

    return numpy.ascontiguousarray(array)


def padded(columns: Sequence[Column], count: int) -> tuple[list[Column], int]:
    """The columns as arrays of at least eight numbers, the last one repeated, and their length."""
    import numpy

    arrays = [numpy.asarray(column, dtype=float) for column in columns]
    if count < LANES:
        arrays = [numpy.concatenate([array, numpy.full(LANES - count, array[-1])]) for array in arrays]
    arrays = [array if array.strides[0] % 8 == 0 else array.copy() for array in arrays]
    return arrays, max(count, LANES)


def pointers(arrays: Sequence[Any]) -> Any:
    """A C array of the arrays' addresses; the arrays must outlive it."""
    return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])


@functools.cache
def _llvm() -> Any:
    try:
        import numpy  # noqa: F401
        from llvmlite import binding
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Native code needs llvmlite: pip install 'microgrannd[native]'") from None
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def optimisation(tape: Tape) -> int:
    """LLVM's level for a tape: all that it can for a short one, quickly for one that would take seconds."""
    length = work(tape)
    return 3 if length <= 2500 else 1 if length <= 40_000 else 0


def _machine(level: int) -> Any:
    """This processor, as LLVM knows it: a new one each time, since an engine takes possession of it."""
    llvm = _llvm()
    cpu, features = processor()
    return llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=level)


@functools.cache
def processor() -> tuple[str, str]:
    """This processor's name and what it can do, as LLVM has them."""
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
