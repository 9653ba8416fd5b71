"""Loops: array code is run once on symbolic arrays, and what they recorded becomes loops that LLVM compiles."""

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.arrays.libraries import Known, Library, functions_of
from microgrannd.compiler.arrays.loops.namespace import NUMPY_NAMES, Namespace
from microgrannd.compiler.arrays.loops.plan import Result
from microgrannd.compiler.arrays.loops.products import product_source
from microgrannd.compiler.arrays.loops.source import loop_source
from microgrannd.compiler.arrays.loops.strides import SAMPLES
from microgrannd.compiler.arrays.loops.symbolic import Argument, Array, ArrayRecording, Count, View, applied
from microgrannd.compiler.llvm.machine import MachineCode, pointers, processor
from microgrannd.compiler.locking import COMPILING
from microgrannd.ground.nests import items, mapped


def loops_library(cache: Path | None = None) -> Library:
    namespace: Any = Namespace()
    erf, erfc = (functools.partial(applied, operation) for operation in (ops.erf, ops.erfc))
    names = functions_of(namespace, erf, erfc)
    compiled = functools.partial(LoopFunction, cache=cache)
    return Library(namespace, names, Known(NUMPY_NAMES), _array, _array, nullcontext, compiled=compiled)


def _array(thing: Any) -> Any:
    return np.ascontiguousarray(thing, dtype=np.float64)


class LoopFunction:
    """A function of arrays, compiled when it is first called, which is when the sizes of its arrays are known.

    It takes and gives arrays, and lists and tuples of them. An array with one axis is the same for all samples, one
    with more has the samples along the first; an int is how many samples there are, a float a number.
    """

    def __init__(self, function: Callable[..., Any], cache: Path | None = None) -> None:
        self.function = function
        self.cache = cache
        self._run: Any = None
        self._spare: list[tuple[Any, int]] = []  # workspaces that are not in use, with their addresses

    def __call__(self, xp: Any, *given: Any) -> Any:
        arguments = items(given)
        if arguments[0].__class__ is Array:  # it is part of a function that is being compiled
            return self.function(xp, *given)
        if self._run is None:
            with COMPILING:
                if self._run is None:
                    self._compile(xp, given)
        arrays, numbers, samples = [], [], 1
        for x in arguments:
            if isinstance(x, np.ndarray):
                arrays.append(x)
                samples = len(x) if x.ndim > 1 else samples
            elif isinstance(x, float):
                numbers.append(x)
            else:
                samples = x
        work, at_work = self._spare.pop() if self._spare else (None, 0)
        if work is None or len(work) < self._workspace.at(samples):
            work = np.empty(self._workspace.at(samples) + 1)
            at_work = _address(work)
        row = np.empty(self._length.at(samples) + 1)
        scalars = (ctypes.c_double * len(numbers))(*numbers)
        addresses = (ctypes.c_void_p * (1 + len(arrays)))(ctypes.addressof(scalars), *map(_address, arrays))
        self._run(addresses, self._tables, _address(row), at_work, *self._products[:2], samples)
        self._spare.append((work, at_work))
        computed = iter([row[plain] if plain else _part(row, result, samples) for plain, result in self._results])
        results = iter([next(computed) if origin < 0 else arrays[origin] for origin in self._origins])
        return mapped(lambda x: next(results) if isinstance(x, Array) else x, self._nest)

    def _compile(self, xp: Any, given: Sequence[Any]) -> None:
        recording = ArrayRecording()
        arguments = items(given)
        numbers = sum(isinstance(x, float) for x in arguments)
        scalars = recording.array((numbers,), Argument(0))
        places = iter(range(numbers))
        indices = iter(range(1, 1 + len(arguments)))

        def symbolic(x: Any) -> Array:
            if isinstance(x, float):
                return recording.array((), View(scalars, next(places), ()))
            if isinstance(x, int):
                return recording.array((), Count())
            return recording.array((SAMPLES, *x.shape[1:]) if x.ndim > 1 else x.shape, Argument(next(indices)))

        self._nest = self.function(xp, *mapped(symbolic, given))
        results = [x for x in items(self._nest) if isinstance(x, Array)]
        # A result that is an argument is that array itself; -1 for what is computed.
        self._origins = [x.definition.index - 1 if isinstance(x.definition, Argument) else -1 for x in results]
        source = loop_source(recording, [x for x in results if not isinstance(x.definition, Argument)])
        self._results = [(_plain(result), result) for result in source.results]
        self._length, self._workspace = source.length, source.workspace
        self._known = source.known
        self._tables = pointers(self._known)
        self._code = MachineCode(source.text, 1, self.cache)
        self._products = _products()
        self._run = _SIGNATURE(self._code.address("run"))


def _plain(result: Result) -> slice | None:
    """Where a result is, if it is a vector that does not depend on how many samples there are."""
    start, (size, *more) = result.start, [*result.shape, 0]
    return slice(start.fixed, start.fixed + size) if len(more) == 1 and not start.per_sample and size > 0 else None


def _part(row: Any, result: Result, samples: int) -> Any:
    sizes = [samples if size == SAMPLES else size for size in result.shape]
    start = result.start.at(samples)
    return row[start : start + math.prod(sizes)].reshape(sizes)


def _address(array: Any) -> int:
    if array.flags.writeable and array.size:
        return ctypes.addressof(_BYTE.from_buffer(array))  # in a fifth of the time
    address: int = array.__array_interface__["data"][0]
    return address


_BYTE: Final = ctypes.c_char
_SIGNATURE: Final = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, ctypes.c_int64)


@functools.cache
def _products() -> tuple[int, int, MachineCode]:
    """The addresses of the matrix product and the transpose, and their module, which has to stay."""
    code = MachineCode(product_source(many_registers="+avx512f" in processor()[1]))
    return code.address("product"), code.address("transpose"), code
