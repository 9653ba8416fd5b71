"""Loops: the printed array code in native code of its own.

The code is run once on symbolic arrays; what they recorded becomes loops, which LLVM compiles. There is one
module with the product of matrices for all programs. This room may import the loops' assembly, the symbolic
arrays and the native backend; it needs NumPy and llvmlite.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.array_libraries import Library, operations_of
from microgrannd.compiler.loop_source import loop_source
from microgrannd.compiler.native import Library as Compiled
from microgrannd.compiler.native import pointers, processor
from microgrannd.compiler.product_source import product_source
from microgrannd.compiler.symbolic_arrays import SAMPLES, Array, Count, Given, Namespace, Recording, applied


def loops_library(cache: Path | None = None) -> Library:
    """Loops in the place of an array library."""
    namespace: Any = Namespace()
    names = {name: functools.partial(applied, operation) for name, operation in ops.TABLE.items()}
    composed = operations_of(namespace, names["erf"], names["erfc"])
    return Library(
        xp=namespace,
        names=names | {name: composed[name] for name in ("logsumexp", "logsumexp_of")},
        array=_array,
        positions=np.asarray,
        rows=_array,
        numbers=np.asarray,
        compiled=lambda function: LoopFunction(function, cache),
        mode=nullcontext,
    )


def _array(thing: Any) -> Any:
    return np.ascontiguousarray(thing, dtype=np.float64)


class LoopFunction:
    """A printed function, compiled when it is first called, which is when the sizes of its arrays are known."""

    def __init__(self, function: Callable[..., Any], cache: Path | None = None) -> None:
        self.function = function
        self.cache = cache
        self._spare: list[Any] = []  # workspaces that are not in use
        self._run: Any = None

    def __call__(self, xp: Any, *given: Any) -> tuple[Any, ...]:
        """The function's results for arrays, or for a number of samples in place of them."""
        if self._run is None:
            self._compile(xp, given)
        samples = next((x if isinstance(x, int) else len(x) for x in given if not _is_flat(x)), 1)
        work = self._spare.pop() if self._spare else np.empty(0)
        if len(work) < self.work.of(samples):
            work = np.empty(self.work.of(samples))
        row = np.empty(self.room.of(samples))
        arrays = [x for x in given if not isinstance(x, int)]
        self._run(pointers(arrays), self._tables, row.ctypes.data, work.ctypes.data, *_products()[:2], samples)
        self._spare.append(work)
        found = iter([_part(row, result.start.of(samples), result.shape, samples) for result in self.results])
        return tuple([next(found) if known is None else known for known in self.known])

    def _compile(self, xp: Any, given: Sequence[Any]) -> None:
        recording = Recording()
        arguments: list[Array] = []
        for x in given:
            if isinstance(x, int):
                arguments.append(recording.array((), Count()))
            else:
                sizes = x.shape if _is_flat(x) else (SAMPLES, *x.shape[1:])
                arguments.append(recording.array(sizes, Given(len(arguments))))
        found = self.function(xp, *arguments)
        self.known = [None if isinstance(x, Array) else x for x in found]
        source = loop_source(recording.arrays, [x for x in found if isinstance(x, Array)])
        self.results, self.room, self.work = source.results, source.room, source.work
        self._held = source.known
        self._tables = pointers(self._held)
        self._library = Compiled(source.text, 1, self.cache)
        self._run = _SIGNATURE(self._library.address("run"))


def _part(row: Any, start: int, shape: tuple[int, ...], samples: int) -> Any:
    """The result that begins there in the row."""
    sizes = [samples if size == SAMPLES else size for size in shape]
    return row[start : start + math.prod(sizes)].reshape(sizes)


def _is_flat(x: Any) -> bool:
    """Whether it is the row of the parameters."""
    return not isinstance(x, int) and x.ndim == 1


_SIGNATURE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, ctypes.c_int64)


@functools.cache
def _products() -> tuple[int, int, Compiled]:
    """Where the product and the turning of matrices are, and the module, which has to stay."""
    library = Compiled(product_source(many_registers="+avx512f" in processor()[1]))
    return library.address("product"), library.address("turn"), library
