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

from microgrannd.compiler.batches import PART, chosen, rows_of
from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.llvm.machine import MachineCode, optimisation, pointers
from microgrannd.compiler.native.fit_source import fit_source
from microgrannd.compiler.native.kernel_source import work
from microgrannd.compiler.native.kernels import padded
from microgrannd.compiler.steps import Steps, others, places, settings_of
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import Trace
from microgrannd.learning.epochs import History
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
        self._compiled: dict[bool, tuple[Any, MachineCode]] = {}

    def function(self, guarded: bool) -> Any:
        """The native function, with or without the guards that infinite numbers need."""
        if guarded not in self._compiled:
            tape = self.tape(guarded)
            code = MachineCode(fit_source(tape, self.steps, guarded=guarded), optimisation(work(tape)), self.cache)
            self._compiled[guarded] = (_FIT(code.address("fit")), code)
        return self._compiled[guarded][0]


class Training:
    """One training under way: the numbers in flat arrays, and the Values they come from and go back to."""

    def __init__(self, native: NativeFit, trace: Trace, optimizer: Optimizer) -> None:
        import numpy

        self.native = native
        self.settings = settings_of(optimizer)
        self.parameters = trace.parameters
        self.shapes = trace.shapes
        self.optimizer = optimizer
        known = places(trace.parameters, optimizer)
        assert known is not None
        self.places = known
        self.others = others(trace.parameters, optimizer)
        self.width = -(-max(len(self.parameters), 1) // LANES) * LANES
        self.numbers = numpy.zeros(self.width)
        self.memory = [numpy.zeros(self.width) for _ in native.steps.memory]
        self.sums = numpy.zeros(1 + self.width)
        self.guarded = False
        self.last = 1
        self.load()
        self.take([])

    def load(self) -> None:
        """Go on from the parameters and the optimizer's memory as they stand."""
        size = len(self.parameters)
        self.numbers[:size] = [parameter._data for parameter in self.parameters]
        for column, name in zip(self.memory, self.native.steps.memory, strict=True):
            kept = self.optimizer._remembered(name)
            column[:size] = [kept[place] for place in self.places]

    def take(self, columns: Sequence[Any]) -> None:
        """Train on these data from now on. Few are made columns of floats at once, many part by part."""
        self.count = len(columns[0]) if columns else 0
        self.rows = rows_of(columns, self.shapes) if columns else []
        self.part = max(1, PART // max(1, sum(shape.size for shape in self.shapes)))
        self.columns = self._columns(slice(None)) if self.count <= self.part else None

    def run(self, epochs: int, size: int, rate: float, order: Sequence[int] | None = None) -> list[float]:
        """Train for some epochs on batches of `size`, the samples in this order; the mean losses."""
        import numpy

        self.last = self.count - (self.count - 1) // size * size
        samples = None if order is None else numpy.asarray(order)
        if self.columns is None:
            return [self._in_parts(size, rate, samples) for _ in range(epochs)]
        columns = self.columns if samples is None else [column[samples] for column in self.columns]
        return self._run(columns, self.count, epochs, size, rate)

    def _in_parts(self, size: int, rate: float, samples: Any) -> float:
        """The mean loss of an epoch through data of which a part at a time is made columns."""
        total, part = 0.0, max(size, self.part // size * size)
        for start in range(0, self.count, part):
            which = slice(start, start + part) if samples is None else samples[start : start + part]
            count = min(part, self.count - start)
            [loss] = self._run(self._columns(which), count, 1, size, rate)
            total += count * loss
        return total / self.count

    def _columns(self, which: Any) -> list[Any]:
        """Samples as a column of floats for each scalar."""
        import numpy

        return [column for rows in self.rows for column in numpy.ascontiguousarray(chosen(rows, which).T, dtype=float)]

    def _run(self, columns: Sequence[Any], count: int, epochs: int, size: int, rate: float) -> list[float]:
        columns, limit = padded(columns, count)
        start = [column.copy() for column in self._state()]
        losses = self._call(columns, limit, epochs, count, size, rate)
        if losses is None:  # a NaN: from here on with the guards
            for column, before in zip(self._state(), start, strict=True):
                column[:] = before
            self.guarded = True
            losses = self._call(columns, limit, epochs, count, size, rate)
            assert losses is not None
        self.optimizer.steps += epochs * -(-count // size)
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
            for i, place in enumerate(self.places):
                kept[place] = float(column[i])
        for parameter in self.others:
            parameter._grad = 0.0

    def _state(self) -> list[Any]:
        return [self.numbers, *self.memory]

    def _call(
        self, columns: Sequence[Any], limit: int, epochs: int, count: int, size: int, rate: float
    ) -> list[float] | None:
        """The mean losses of the epochs; None where it stopped at a NaN."""
        import numpy

        losses = numpy.zeros(epochs)
        settings = (rate, *self.settings[1:])
        given = (ctypes.c_double * (2 + len(settings)))(0.0, 0.0, *settings)
        numbers = (ctypes.c_double * max(1, len(self.native.steps.prepare.outputs)))()
        done = self.native.function(self.guarded)(
            *(pointers(columns), self.numbers.ctypes.data, self.sums.ctypes.data, given, numbers),
            *(pointers([self.sums[1:], *self._state()]), pointers(self._state()), losses.ctypes.data),
            *(self.optimizer.steps, epochs, count, size, limit, self.width),
        )
        return losses.tolist() if done == epochs * -(-count // size) else None


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
