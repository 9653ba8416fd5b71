"""What array code calls, for symbolic arrays: the functions of an array library that printed code uses."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.arrays.loops.symbolic import Array, Join, Product, applied, readable, reduced, rows_in_memory
from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.llvm.operations import known


class MissingLoopsError(NotImplementedError, AttributeError):
    """A function of array libraries for which there are no loops; `hasattr` says so too."""


class Namespace:
    nan = math.nan
    inf = math.inf

    @staticmethod
    def sum(x: Array, axis: int, keepdims: bool = False) -> Array:
        return reduced(ops.sum, x, axis, keepdims)

    @staticmethod
    def max(x: Array, axis: int, keepdims: bool = False) -> Array:
        return reduced(ops.maximum, x, axis, keepdims)

    @staticmethod
    def isfinite(x: Array) -> Any:
        return applied(ops.less, applied(ops.abs, x), math.inf)

    @staticmethod
    def concatenate(parts: Sequence[Any], axis: int = 0) -> Array:
        recording = next(part.recording for part in parts if isinstance(part, Array))
        arrays = tuple(recording.of(part) for part in parts)
        shape = list(arrays[0].sizes)
        shape[axis] = sum(array.sizes[axis] for array in arrays)
        return recording.array(tuple(shape), Join(arrays, axis))

    @staticmethod
    def copy(x: Any) -> Any:
        return np.array(x)

    @staticmethod
    def swapaxes(x: Array, i: int, j: int) -> Array:
        return x.swapped(i, j)

    @staticmethod
    def einsum(pattern: str, vector: Array, rows: Array) -> Array:
        """For each sample its matrix times its vector: the one pattern that array code has."""
        if pattern != "bk,bnk->bn":
            raise MissingLoopsError(f"No loops are known for einsum({pattern!r}).")
        return reduced(ops.sum, vector[:, None] * rows, -1, False)

    @staticmethod
    def tensordot(x: Array, y: Array, axes: Any) -> Array:
        """The sum over the samples of matrices times transposed matrices: the one kind that array code has."""
        if axes != ([0, 2], [0, 2]):
            raise MissingLoopsError(f"No loops are known for tensordot(axes={axes}).")
        right = rows_in_memory(y.swapped(1, 2))
        return x.recording.array((x.sizes[1], y.sizes[1]), Product(readable(x), right, summed=True))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = NUMPY_NAMES.get(name)
        if operation is None:
            raise MissingLoopsError(f"No loops are known for {name}.")
        return lambda *things: applied(operation, *things)


NUMPY_NAMES: Final = {operation.numpy: operation for operation in known(LANES) if operation.numpy}
