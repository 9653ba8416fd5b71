"""What a kernel is, whatever backend makes it, and the Python backend: the printed source, run as it stands."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from microgrannd.compiler.batches import Column
from microgrannd.compiler.plan import Plan, Wanted
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.tape.tape import Tape
from microgrannd.ground import ieee


class Kernel(Protocol):
    """What a backend makes of a tape: it computes the tape's outputs."""

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        """The outputs for one sample."""

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> None:
        """Fill a column of `count` numbers for each output."""

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        """The sum over the samples of each output."""


class PythonKernel:
    def __init__(self, plan: Plan, wanted: Wanted, *, guarded: bool = False) -> None:
        self.function = plan.source(wanted, guarded=guarded).compiled()
        self.grouped = wanted not in ("values", "curvature")  # it returns a value and a tuple of gradients
        program = plan.program(wanted, guarded=guarded)
        self.outputs = len(program.outputs)
        self.arranged = plan.arranged if isinstance(program, Rolled) else None  # as the function takes its arguments

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        result = self.function(*(self.arranged(inputs) if self.arranged else inputs), *parameters)
        if self.grouped:
            return (result[0], *result[1])
        return result if self.outputs != 1 else (result,)

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> None:
        for i, sample in enumerate(_samples(columns, count)):
            for column, number in zip(into, self.one(sample, parameters), strict=True):
                column[i] = number

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        results = [self.one(sample, parameters) for sample in _samples(columns, count)]
        return [ieee.sum(column) for column in zip(*results, strict=True)] or [0.0] * self.outputs


class TapeKernel:
    """A tape that is run line by line, where printing and compiling it would take longer."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        return self.tape.run(inputs, parameters)


class CheckedKernel:
    """A kernel without guards and, where one of its gradients is NaN, the guarded one, which is right in every case.

    Where `reorders` says that the plain one has factors in another order, an infinity may be an overflow of its own.
    """

    def __init__(self, plain: Kernel, guarded: Callable[[], Kernel], *, reorders: bool = False) -> None:
        self.plain = plain
        self.guarded = guarded
        self.reorders = reorders
        self.doubtful = _infinite_or_nan if reorders else math.isnan

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        outputs = self.plain.one(inputs, parameters)
        return self.guarded().one(inputs, parameters) if any(map(self.doubtful, outputs[1:])) else outputs

    def each(self, columns: Sequence[Column], parameters: Sequence[float], count: int, into: Sequence[Column]) -> None:
        self.plain.each(columns, parameters, count, into)
        ends = [column[:count].max() for column in into[1:] if count]  # which pass a NaN on
        if self.reorders:
            ends += [column[:count].min() for column in into[1:] if count]
        if any(map(self.doubtful, ends)):
            self.guarded().each(columns, parameters, count, into)

    def total(self, columns: Sequence[Column], parameters: Sequence[float], count: int) -> Sequence[float]:
        sums = self.plain.total(columns, parameters, count)
        return self.guarded().total(columns, parameters, count) if any(map(self.doubtful, sums[1:])) else sums


def _infinite_or_nan(x: float) -> bool:
    return not math.isfinite(x)


def _samples(columns: Sequence[Column], count: int) -> Iterator[tuple[float, ...]]:
    lists = [column.tolist() if hasattr(column, "tolist") else column for column in columns]
    return zip(*lists, strict=True) if lists else iter([()] * count)
