"""LLVM's assembly made into machine code by llvmlite, which is imported when the first code is made."""

import ctypes
import functools
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

LOCK: Final = threading.RLock()  # LLVM's global state is not for two threads at a time


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
        with LOCK:
            module = llvm().parse_assembly(source)
            cpu, features = processor()
            # An engine takes possession of its machine, so each has a new one.
            machine = llvm().Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=level)
            module.triple = machine.triple
            self._engine = llvm().create_mcjit_compiler(module, machine)
            if cache is not None:
                version = str(llvm().llvm_version_info)
                kept = CachedCode(cache, "\n".join([source, str(level), cpu, features, version]))
                self._engine.set_object_cache(kept.write, kept.read)
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        return int(self._engine.get_function_address(name))


class CachedCode:
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


def optimisation(operands: int) -> int:
    """LLVM's level for code of this length: all that it can for short code, quickly for what would take seconds."""
    return 3 if operands <= 2500 else 1 if operands <= 40_000 else 0


def pointers(arrays: Sequence[Any]) -> Any:
    """A C array of the arrays' addresses; the arrays must outlive it."""
    return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
