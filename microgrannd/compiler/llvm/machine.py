"""LLVM's assembly made into machine code by llvmlite, which is imported when the first code is made."""

import ctypes
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.llvm.cached_code import CachedCode
from microgrannd.compiler.locking import COMPILING

_unused: Final[list[Any]] = []  # engines whose code nobody can call any more


@functools.cache
def available() -> bool:
    from importlib.util import find_spec

    return find_spec("llvmlite") is not None and find_spec("numpy") is not None


@functools.cache
def llvm() -> Any:
    try:
        import numpy  # noqa: F401
        from llvmlite import binding
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Native code needs llvmlite: pip install 'microgrannd[native]'") from None
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def processor() -> tuple[str, str]:
    return llvm().get_host_cpu_name(), llvm().get_host_cpu_features().flatten()


class MachineCode:
    def __init__(self, source: str, level: int = 3, cache: Path | None = None) -> None:
        with COMPILING:
            module = llvm().parse_assembly(source)
            cpu, features = processor()
            # An engine takes possession of its machine, so each has a new one.
            machine = llvm().Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=level)
            module.triple = machine.triple
            self._engine = llvm().create_mcjit_compiler(module, machine)
            if cache is None:
                self._engine.finalize_object()
            else:
                version = str(llvm().llvm_version_info)
                self._finalize(CachedCode(cache, "\n".join([source, str(level), cpu, features, version])))
            _unused.clear()

    def _finalize(self, kept: CachedCode) -> None:
        """Take the code that is kept, or compile and keep it. LLVM's callbacks only hand it over: they cannot fail."""
        known, made = kept.read(), []
        self._engine.set_object_cache(lambda module, code: made.append(code), lambda module: known)
        self._engine.finalize_object()
        if made:
            kept.write(made[0])

    def address(self, name: str) -> int:
        return int(self._engine.get_function_address(name))

    def __del__(self) -> None:
        """Free the code, but not while anybody forks: LLVM's own lock would be held for ever in the child."""
        _unused.append(self.__dict__.pop("_engine", None))
        if COMPILING.acquire(blocking=False):  # else whoever compiles next frees it
            _unused.clear()
            COMPILING.release()


def optimisation(operands: int) -> int:
    """LLVM's level for code of this length: all that it can for short code, quickly for what would take seconds."""
    return 3 if operands <= 2500 else 1 if operands <= 40_000 else 0


def pointers(arrays: Sequence[Any]) -> Any:
    """A C array of the arrays' addresses; the arrays must outlive it."""
    place = _place_of_address()
    if place is None:
        addresses = [array.ctypes.data for array in arrays]
    else:
        addresses = [ctypes.c_void_p.from_address(id(array) + place).value for array in arrays]
    return (ctypes.c_void_p * len(arrays))(*addresses)


@functools.cache
def _place_of_address() -> int | None:
    """Where NumPy's arrays hold the address of their numbers: asking for it takes five times as long."""
    import numpy

    if sys.implementation.name != "cpython":
        return None
    first, second = numpy.zeros(3), numpy.zeros((4, 5))[:, 2]
    for place in (16, 24, 32):
        found = [ctypes.c_void_p.from_address(id(array) + place).value for array in (first, second)]
        if found == [first.ctypes.data, second.ctypes.data]:
            return place
    return None
