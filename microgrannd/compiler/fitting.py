"""Training a program: epochs in native code, with parameters and the optimizer's memory in flat arrays.

What the result is, and in which order samples are drawn, is as `epochs.train` has it. This room may
import the kernels and the floors beneath the compiler.
"""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from microgrannd.compiler.batches import Batch
from microgrannd.compiler.emitter import LANES
from microgrannd.compiler.llvm_fit import fit_source
from microgrannd.compiler.native import Library, contiguous, optimisation, padded, pointers
from microgrannd.compiler.steps import Steps, settings_of
from microgrannd.compiler.tape import Tape
from microgrannd.engine import Value
from microgrannd.epochs import History
from microgrannd.optim import Optimizer

_SLICE: Final = 0.05  # seconds between two looks at Ctrl-C
_POINTER = ctypes.c_void_p
_FIT = ctypes.CFUNCTYPE(ctypes.c_int64, *[_POINTER] * 8, *[ctypes.c_int64] * 6)


class Run(Protocol):
    """A training under way, whatever computes it."""

    optimizer: Optimizer
    count: int

    def run(self, epochs: int, size: int, rate: float, order: Sequence[int] | None = None) -> list[float]:
        """Train for some epochs on batches of `size`, the samples in this order; the mean losses."""

    def moment(self, seconds: float) -> int:
        """How many epochs fit into some seconds, by a cautious guess."""

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""


class NativeFit:
    """The training loop of one tape and one kind of optimizer, compiled when it is first run."""

    def __init__(self, tape: Callable[[bool], Tape], steps: Steps, cache: Path | None = None) -> None:
        self.tape = tape
        self.steps = steps
        self.cache = cache
        self._compiled: dict[bool, tuple[Any, Library]] = {}

    def function(self, guarded: bool) -> Any:
        """The native function, with or without the guards that infinite numbers need."""
        if guarded not in self._compiled:
            tape = self.tape(guarded)
            library = Library(fit_source(tape, self.steps, guarded=guarded), optimisation(tape), self.cache)
            self._compiled[guarded] = (_FIT(library.address("fit")), library)
        return self._compiled[guarded][0]


class Training:
    """One training under way: the numbers in flat arrays, and the Values they come from and go back to."""

    def __init__(self, native: NativeFit, parameters: Sequence[Value], optimizer: Optimizer, data: Batch) -> None:
        import numpy

        self.native = native
        self.settings = settings_of(optimizer)
        self.parameters = parameters
        self.optimizer = optimizer
        self.count = data.length
        columns, self.limit = padded(data.columns, data.length)
        self.columns = [contiguous(column) for column in columns]
        self.width = -(-max(len(parameters), 1) // LANES) * LANES
        self.numbers = numpy.zeros(self.width)
        self.numbers[: len(parameters)] = [parameter._data for parameter in parameters]
        self.sums = numpy.zeros(1 + self.width)
        self.place = {parameter: i for i, parameter in enumerate(optimizer.parameters)}
        self.memory = [numpy.zeros(self.width) for _ in native.steps.memory]
        for column, name in zip(self.memory, native.steps.memory, strict=True):
            kept = optimizer._remembered(name)
            column[: len(parameters)] = [kept[self.place[parameter]] for parameter in parameters]
        self.guarded = False
        self.last = 1

    def run(self, epochs: int, size: int, rate: float, order: Sequence[int] | None = None) -> list[float]:
        """Train for some epochs on batches of `size`, the samples in this order; the mean losses."""
        columns, limit = self.columns, self.limit
        if order is not None:
            columns, limit = padded([column[order] for column in columns], self.count)  # copies without gaps
        start = [column.copy() for column in self._state()]
        losses = self._call(columns, limit, epochs, size, rate)
        if losses is None:  # a NaN: from here on with the guards
            for column, before in zip(self._state(), start, strict=True):
                column[:] = before
            self.guarded = True
            losses = self._call(columns, limit, epochs, size, rate)
            assert losses is not None
        self.optimizer.steps += epochs * -(-self.count // size)
        self.last = self.count - (self.count - 1) // size * size
        return losses

    def moment(self, seconds: float) -> int:
        """How many epochs fit into some seconds, by a cautious guess."""
        work = self.count * (len(self.native.tape(False).instructions) + 1)
        return max(1, int(seconds / (work * 4e-10)))

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""
        for i, parameter in enumerate(self.parameters):
            parameter._data = float(self.numbers[i])
            parameter._grad = float(self.sums[1 + i]) / self.last
        for column, name in zip(self.memory, self.native.steps.memory, strict=True):
            kept = self.optimizer._remembered(name)
            for i, parameter in enumerate(self.parameters):
                kept[self.place[parameter]] = float(column[i])

    def _state(self) -> list[Any]:
        return [self.numbers, *self.memory]

    def _call(self, columns: Sequence[Any], limit: int, epochs: int, size: int, rate: float) -> list[float] | None:
        """The mean losses of the epochs; None where it stopped at a NaN."""
        import numpy

        losses = numpy.zeros(epochs)
        settings = (rate, *self.settings[1:])
        given = (ctypes.c_double * (2 + len(settings)))(0.0, 0.0, *settings)
        numbers = (ctypes.c_double * max(1, len(self.native.steps.prepare.outputs)))()
        done = self.native.function(self.guarded)(
            *(pointers(columns), self.numbers.ctypes.data, self.sums.ctypes.data, given, numbers),
            *(pointers([self.sums[1:], *self._state()]), pointers(self._state()), losses.ctypes.data),
            *(self.optimizer.steps, epochs, self.count, size, limit, self.width),
        )
        return losses.tolist() if done == epochs * -(-self.count // size) else None


def train_natively(
    training: Run,
    *,
    epochs: int,
    size: int,
    replace: bool,
    seed: int | None,
    schedule: Callable[[int], float] | None,
    callbacks: Sequence[Callable[[int, History], object]],
    report: Callable[[int, float], object] | None,  # None: nobody looks
) -> History:
    """Run the epochs: as many at a time as nobody wants to look into, but no more than a moment's worth."""
    history, optimizer = History(), training.optimizer
    generator: Any = random if seed is None else random.Random(seed)
    shuffled = size < training.count or replace
    single = bool(shuffled or schedule or callbacks or report)
    slice_ = training.moment(_SLICE)
    try:
        while len(history) < epochs:
            epoch = len(history)
            start = time.perf_counter()
            if schedule:
                optimizer.lr = schedule(epoch)
            order = None
            if shuffled:
                samples = range(training.count)
                draw = generator.choices if replace else generator.sample
                order = draw(samples, k=training.count)
            turns = 1 if single else min(slice_, epochs - epoch)
            losses = training.run(turns, size, optimizer.lr, order)
            elapsed = time.perf_counter() - start
            history.losses += losses
            history.rates += [optimizer.lr] * turns
            history.seconds += [elapsed / turns] * turns
            slice_ = slice_ * 2 if elapsed < _SLICE else max(1, slice_ // 2)
            if report:
                report(epoch + 1, losses[-1])
            if callbacks:
                training.write_back()
                answers = [callback(epoch, history) for callback in callbacks]
                if any(answer is True for answer in answers):
                    break
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        training.write_back()
    return history
