"""The Python and the NumPy backends: the printed source, run as it stands.

A kernel computes a tape's outputs: `one` for one sample, `each` for every sample of a batch and `total`
summed over them. Columns hold one scalar of all samples each. This room may import the Python source.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Protocol

from microgrannd import operations as ops
from microgrannd.compiler.text.python_source import Source

Column = Any  # a list of floats or a NumPy array


class Kernel(Protocol):
    """What a backend makes of a tape."""

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        """The outputs for one sample."""

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> bool:
        """Fill a column of `count` numbers for each output; whether any but the first got a NaN."""

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sum over the samples of each output."""


class PythonKernel:
    """The source on floats, sample by sample. `grouped`: it returns a value and a tuple of gradients."""

    def __init__(self, source: Source, *, grouped: bool, outputs: int) -> None:
        self.function = source.compiled()
        self.grouped = grouped
        self.outputs = outputs

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        """The outputs for one sample."""
        return self._flat(self.function(*inputs, *parameters))

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> bool:
        """Fill the columns, sample after sample."""
        for i, sample in enumerate(_samples(columns, count)):
            for column, number in zip(into, self.one(sample, parameters), strict=True):
                column[i] = number
        return _has_nan(into, count)

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sums."""
        results = [self.one(sample, parameters) for sample in _samples(columns, count)]
        return [sum(column) for column in zip(*results, strict=True)] or [0.0] * self.outputs

    def _flat(self, result: Any) -> Sequence[float]:
        if self.grouped:
            value, gradients = result
            return (value, *gradients)
        return result if self.outputs != 1 else (result,)


class NumpyKernel(PythonKernel):
    """The source on whole columns, with NumPy's functions in place of the standard library's."""

    def __init__(self, source: Source, *, grouped: bool, outputs: int) -> None:
        super().__init__(source, grouped=grouped, outputs=outputs)
        self.on_arrays = source.compiled(numpy_names())

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> bool:
        """Fill the columns, all samples at once."""
        import numpy

        with numpy.errstate(all="ignore"):
            results = self._flat(self.on_arrays(*map(numpy.asarray, columns), *parameters))
        for column, result in zip(into, results, strict=True):
            column[:count] = result
        return _has_nan(into, count)

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sums."""
        import numpy

        into = list(numpy.empty((self.outputs, count)))
        self.each(columns, parameters, count, into)
        return [float(column.sum()) for column in into]


def _has_nan(columns: Sequence[Column], count: int) -> bool:
    return any(bool((column[:count] != column[:count]).any()) for column in columns[1:])


def numpy_names() -> dict[str, Any]:
    """The operations as functions of arrays, by the names that a source calls them."""
    import numpy as np

    names: dict[str, Any] = {name: operation for name, operation in ops.TABLE.items() if name not in ("sum", "mean")}
    names.update({name: getattr(np, numpys) for op, numpys in ops.NUMPY_NAMES.items() for name in [op.name]})
    names |= {"inf": math.inf, "nan": math.nan, "sum": sum, "abs": np.abs}

    def flag(holds: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda x, y: holds(x, y).astype(float)

    def sigmoid(x: Any) -> Any:
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, 1.0, e) / (1 + e)

    def softplus(x: Any) -> Any:
        return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))

    def logsumexp(xs: Sequence[Any]) -> Any:
        top = reduce(np.maximum, xs)
        shift = np.where(np.isinf(top), 0.0, top)
        return shift + np.log(sum(np.exp(x - shift) for x in xs))

    def select(condition: Any, x: Any, y: Any) -> Any:
        return np.where(np.asarray(condition) != 0, x, y)

    names.update(
        {name: flag(getattr(np, name)) for name in ("less", "less_equal", "greater", "greater_equal", "equal")},
        not_equal=flag(np.not_equal),
        sigmoid=sigmoid,
        softplus=softplus,
        logsigmoid=lambda x: -softplus(-x),
        silu=lambda x: x * sigmoid(x),
        logsumexp=logsumexp,
        where=select,
        contribution=lambda upstream, local: np.where(np.asarray(upstream) == 0, 0.0, upstream * local),
        relu=lambda x: np.where((x > 0) | (x != x), x, 0.0),
        leaky_relu=lambda x, slope: np.where(x > 0, x, slope * x),
        elu=lambda x, alpha: np.where((x > 0) | (x != x), x, alpha * np.expm1(x)),
        maximum=lambda x, y: np.where((x > y) | (x != x), x, y),
        minimum=lambda x, y: np.where((x < y) | (x != x), x, y),
        clamp=lambda x, low, high: names["minimum"](names["maximum"](x, low), high),
        step=lambda x: np.where(x != x, x, np.greater(x, 0).astype(float)),
        share=lambda x, y: np.where(x == y, 0.5, np.greater(x, y).astype(float)),
        mean=lambda xs: sum(xs) / len(xs),
        dot=lambda xs, ys, start=0.0: sum(map(operator.mul, xs, ys), start),
    )
    return names


def _samples(columns: Sequence[Column], count: int) -> Any:
    lists = [column.tolist() if hasattr(column, "tolist") else column for column in columns]
    return zip(*lists, strict=True) if lists else [()] * count
