"""The native backend: LLVM's assembly, compiled by llvmlite and called through ctypes.

This room may import the assembly's writer; llvmlite and NumPy are imported when the first kernel is made.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence
from typing import Any, Final

from microgrannd.compiler.emitter import LANES
from microgrannd.compiler.llvm_source import Kind, kernel_source
from microgrannd.compiler.tape import Tape

Column = Any
_lock: Final = threading.RLock()  # LLVM's global state is not for two threads at a time


def available() -> bool:
    """Whether llvmlite and NumPy are installed."""
    from importlib.util import find_spec

    return find_spec("llvmlite") is not None and find_spec("numpy") is not None


class Library:
    """A compiled module: its functions by name, alive as long as this object is."""

    def __init__(self, source: str) -> None:
        llvm = _llvm()
        with _lock:
            module = llvm.parse_assembly(source)
            machine = _machine()
            module.triple = machine.triple
            self._engine = llvm.create_mcjit_compiler(module, machine)
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        return int(self._engine.get_function_address(name))


class NativeKernel:
    """The kernels of one tape, each compiled when it is first run."""

    def __init__(self, tape: Tape) -> None:
        _llvm()
        self.tape = tape
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

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[Column]:
        """An array for each output."""
        import numpy

        if not count:
            return [numpy.empty(0) for _ in self.tape.outputs]
        given, limit = padded(columns, count)
        results = [numpy.empty(limit) for _ in self.tape.outputs]
        self._function("each")(pointers(given), self._parameters(*parameters), pointers(results), 0, limit, limit)
        return [result[:count] for result in results]

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sums over the samples."""
        given, limit = padded(columns, count)
        sums = self._outputs()
        self._function("total")(pointers(given), self._parameters(*parameters), sums, 0, count, limit)
        return sums[:]

    def source(self, kind: Kind) -> str:
        """LLVM's assembly for one of the kernels."""
        return kernel_source(self.tape, kind)

    def _function(self, kind: Kind) -> Any:
        found = self._functions.get(kind)
        if found is None:
            with _lock:
                library = Library(self.source(kind))
                found = self._functions.setdefault(kind, (_SIGNATURES[kind](library.address(kind)), library))
        return found[0]


_POINTER = ctypes.c_void_p
_BATCH = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_SIGNATURES: Final[dict[Kind, Any]] = {
    "one": ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER),
    "each": _BATCH,
    "total": _BATCH,
}


def padded(columns: Sequence[Column], count: int) -> tuple[list[Column], int]:
    """The columns as contiguous arrays of at least eight numbers, the last one repeated, and their length."""
    import numpy

    arrays = [numpy.ascontiguousarray(column, dtype=float) for column in columns]
    if count < LANES:
        arrays = [numpy.concatenate([array, numpy.full(LANES - count, array[-1])]) for array in arrays]
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


def _machine() -> Any:
    """This processor, as LLVM knows it: a new one each time, since an engine takes possession of it."""
    llvm = _llvm()
    cpu, features = _processor()
    return llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3)


@functools.cache
def _processor() -> tuple[str, str]:
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
