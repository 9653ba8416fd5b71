"""What a kernel is, whatever backend makes it, and the Python backend: the printed source, run as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from microgrannd.compiler.text.python_source import Source

Column = Any  # one scalar of all samples: a list of floats or a NumPy array


class Kernel(Protocol):
    """What a backend makes of a tape: it computes the tape's outputs."""

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
        result = self.function(*inputs, *parameters)
        if self.grouped:
            return (result[0], *result[1])
        return result if self.outputs != 1 else (result,)

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> bool:
        for i, sample in enumerate(_samples(columns, count)):
            for column, number in zip(into, self.one(sample, parameters), strict=True):
                column[i] = number
        return any(bool((column[:count] != column[:count]).any()) for column in into[1:])

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        results = [self.one(sample, parameters) for sample in _samples(columns, count)]
        return [sum(column) for column in zip(*results, strict=True)] or [0.0] * self.outputs


def _samples(columns: Sequence[Column], count: int) -> Iterator[tuple[float, ...]]:
    lists = [column.tolist() if hasattr(column, "tolist") else column for column in columns]
    return zip(*lists, strict=True) if lists else iter([()] * count)
