"""Training a program in native code: epochs in one call, with parameters and the optimizer's memory in flat arrays."""

import ctypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.batches import PART, chosen, rows_of
from microgrannd.compiler.llvm.emitter import LANES
from microgrannd.compiler.llvm.machine import MachineCode, optimisation, pointers
from microgrannd.compiler.native.fit_source import fit_source
from microgrannd.compiler.native.kernel_source import work
from microgrannd.compiler.native.kernels import padded
from microgrannd.compiler.plan import Plan
from microgrannd.compiler.tape.trace import Trace
from microgrannd.compiler.tape.update import Places, Update, rate_place, settings_of
from microgrannd.engine import number_of
from microgrannd.learning.clipping import Clip

_POINTER = ctypes.c_void_p
_FIT: Final = ctypes.CFUNCTYPE(ctypes.c_int64, *[_POINTER] * 9, *[ctypes.c_int64] * 9)


class NativeFit:
    def __init__(self, plan: Plan, update: Update, clips: bool, cache: Path | None = None) -> None:
        self.plan = plan
        self.update = update
        self.clips = clips
        self.cache = cache
        self._functions: dict[bool, tuple[Any, MachineCode]] = {}

    def function(self, guarded: bool) -> Any:
        if guarded not in self._functions:
            program = self.plan.native_program("parameters", guarded=guarded)
            code = MachineCode(fit_source(program, self.update, self.clips), optimisation(work(program)), self.cache)
            self._functions[guarded] = (_FIT(code.address("fit")), code)
        return self._functions[guarded][0]


class Training:
    """One training under way: the numbers in flat arrays, and the Values they come from and go back to."""

    def __init__(self, native: NativeFit, trace: Trace, places: Places, clip: Clip | None = None) -> None:
        import numpy

        self.native = native
        self.update = native.update
        self.parameters = trace.parameters
        self.shapes = trace.shapes
        self.optimizer = places.optimizer
        self.places = places
        self.clip = clip or Clip()
        self.width = -(-max(len(self.parameters), 1) // LANES) * LANES
        self.numbers = numpy.zeros(self.width)
        self.memory = [numpy.zeros(self.width) for _ in native.update.memory]
        self.sums = numpy.zeros(1 + self.width)
        self.part = max(1, PART // max(1, sum(shape.size for shape in self.shapes)))
        self.guarded = False
        self.last = 1
        self.take([])

    def load(self) -> None:
        size = len(self.parameters)
        self.settings, self.rate_place = settings_of(self.optimizer), rate_place(self.optimizer)
        self.numbers[:size] = list(map(number_of, self.parameters))
        for column, kept in zip(self.memory, self.places.memory(self.update.memory), strict=True):
            column[:size] = kept

    def take(self, columns: Sequence[Any]) -> None:
        self.count = len(columns[0]) if columns else 0
        self.rows = rows_of(columns, self.shapes) if columns else []
        self.columns = self._columns(slice(None)) if self.count <= self.part else None

    def snapshot(self) -> Any:
        return [column.copy() for column in (self.numbers, *self.memory)], self.optimizer.steps

    def restore(self, snapshot: Any) -> None:
        columns, self.optimizer.steps = snapshot
        for column, kept in zip((self.numbers, *self.memory), columns, strict=True):
            column[:] = kept

    def is_finite(self) -> bool:
        import numpy

        return bool(numpy.isfinite(self.numbers).all())

    def run(
        self, epochs: int, size: int, order: Sequence[int] | None, rates: Iterable[float] | None = None
    ) -> list[float]:
        import numpy

        of_steps = list(rates or ())
        self.last = self.count - (self.count - 1) // size * size
        samples = None if order is None else numpy.asarray(order)
        if self.columns is None:
            return [self._in_parts(size, samples, of_steps) for _ in range(epochs)]
        columns = self.columns if samples is None else [column[samples] for column in self.columns]
        return self._run(columns, self.count, epochs, size, of_steps)

    def epochs_in(self, seconds: float) -> int:
        return max(1, int(seconds / (self.count * (self.native.plan.work("parameters") + 1) * 4e-10)))

    def write_back(self) -> None:
        size = len(self.parameters)
        arrays = [self.numbers, self.sums[1:] / self.last, *self.memory]
        self.places.write(self.update.memory, iter([array[:size] for array in arrays]))

    def _in_parts(self, size: int, samples: Any, rates: list[float]) -> float:
        total, part = 0.0, max(size, self.part // size * size)
        for start in range(0, self.count, part):
            which = slice(start, start + part) if samples is None else samples[start : start + part]
            count = min(part, self.count - start)
            [loss] = self._run(self._columns(which), count, 1, size, rates[start // size :])
            total += count * loss
        return total / self.count

    def _columns(self, which: Any) -> list[Any]:
        import numpy

        return [column for rows in self.rows for column in numpy.ascontiguousarray(chosen(rows, which).T, dtype=float)]

    def _run(self, columns: Sequence[Any], count: int, epochs: int, size: int, rates: list[float]) -> list[float]:
        import numpy

        columns, limit = padded(columns, count)
        losses, state = numpy.zeros(epochs), [self.numbers, *self.memory]
        start = [column.copy() for column in state]
        numbers_given = [0.0, 0.0, *self.settings, *self.clip, 0.0]  # the last is for a rate that no setting is
        place = -1 if self.rate_place is None else 2 + self.rate_place
        given = (ctypes.c_double * len(numbers_given))(*numbers_given)
        of_steps = (ctypes.c_double * max(1, len(rates)))(*(rates or numbers_given[place:][:1]))
        shared = (ctypes.c_double * max(1, len(self.update.shared.outputs)))()
        sums, *numbers = [array.ctypes.data for array in (self.sums, *state)]
        before, after = (_POINTER * (1 + len(state)))(sums + 8, *numbers), (_POINTER * len(state))(*numbers)
        arguments = (
            *(pointers(columns), numbers[0], sums, given, shared, before, after, losses.ctypes.data, of_steps),
            *(self.optimizer.steps, epochs, count, size, limit, self.width, place % len(given), bool(rates)),
        )
        stopped = self.native.function(self.guarded)(*arguments, self.guarded)
        if stopped:  # at a NaN: from here on with the guards
            for column, numbers_before in zip(state, start, strict=True):
                column[:] = numbers_before
            self.guarded = True
            self.native.function(True)(*arguments, True)
        self.optimizer.steps += epochs * -(-count // size)
        return losses.tolist()
