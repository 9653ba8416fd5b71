"""Training on arrays: minibatches through a matrix program, with the parameters in one flat array.

The optimizers' steps are those of `steps`, taken on whole arrays. What the result is, and in which order
samples are drawn, is as `epochs.train` has it; the loop over the epochs is that of `fitting`. This room
may import the array kernels and the floors beneath them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from microgrannd.compiler.array_run import CHUNK, ArrayKernel
from microgrannd.compiler.steps import settings_of, steps
from microgrannd.engine import Value
from microgrannd.optim import SGD, Optimizer


class ArrayTraining:
    """One training under way. `arrays` have a row for each sample, one array for each argument with numbers.

    `kernel(guarded)` gives the program, with or without the guards that infinite numbers need.
    """

    def __init__(
        self,
        kernel: Callable[[bool], ArrayKernel],
        parameters: Sequence[Value],
        optimizer: Optimizer,
        arrays: Sequence[Any],
        count: int,
    ) -> None:
        self.kernel = kernel
        self.parameters = parameters
        self.optimizer = optimizer
        self.arrays = arrays
        self.count = count
        taken = steps(optimizer)
        assert taken is not None
        self.steps = taken
        self.settings = settings_of(optimizer)
        self.place = {parameter: i for i, parameter in enumerate(optimizer.parameters)}
        self.last = 1
        self._enter(guarded=False, numbers=np.array([parameter._data for parameter in parameters], dtype=float))

    def run(self, epochs: int, size: int, rate: float, order: Sequence[int] | None = None) -> list[float]:
        """Train for some epochs on batches of `size`, the samples in this order; the mean losses."""
        start = [column.copy() for column in (self.numbers, *self.memory)]
        steps_before = self.optimizer.steps
        losses = [self._epoch(size, rate, order) for _ in range(epochs)]
        if not self.guarded and (np.isnan(self.gradient).any() or np.isnan(self.numbers).any()):  # now with guards
            layout = self.rolled.layout
            numbers = np.empty_like(self.numbers)
            numbers[layout] = start[0]
            kept = [np.empty_like(numbers) for _ in start[1:]]
            for column, before in zip(kept, start[1:], strict=True):
                column[layout] = before
            self.optimizer.steps = steps_before
            self._enter(guarded=True, numbers=numbers, memory=kept)
            losses = [self._epoch(size, rate, order) for _ in range(epochs)]
        return losses

    def moment(self, seconds: float) -> int:
        """How many epochs fit into some seconds, by a cautious guess."""
        work = self.count * (self.rolled.width + 1) + len(self.numbers)
        return max(1, int(seconds / (work * 1e-8)))

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""
        layout = self.rolled.layout
        kept = [self.optimizer._remembered(name) for name in self.steps.memory]
        numbers, gradient = self.numbers.tolist(), (self.gradient / self.last).tolist()
        memory = [column.tolist() for column in self.memory]
        for i, which in enumerate(layout.tolist()):
            parameter = self.parameters[which]
            parameter._data, parameter._grad = numbers[i], gradient[i]
            for column, target in zip(memory, kept, strict=True):
                target[self.place[parameter]] = column[i]

    def _enter(self, *, guarded: bool, numbers: Any, memory: Sequence[Any] | None = None) -> None:
        """Begin with these numbers, which are in the order of the parameters."""
        kernel = self.kernel(guarded)
        self.guarded = guarded
        self.rolled, self.function = kernel.compiled(over_batch=True)
        self.library = kernel.library
        layout = self.rolled.layout
        if memory is None:
            memory = []
            for name in self.steps.memory:
                kept = self.optimizer._remembered(name)
                memory.append(np.array([kept[self.place[parameter]] for parameter in self.parameters]))
        self.numbers = numbers[layout]
        self.memory = [column[layout] for column in memory]
        self.gradient, self.change = np.zeros_like(self.numbers), np.empty_like(self.numbers)
        self.targets = _targets(self.rolled)
        self.chunk = max(1, CHUNK // max(1, self.rolled.width))

    def _epoch(self, size: int, rate: float, order: Sequence[int] | None) -> float:
        total = 0.0
        count = self.count if order is None else len(order)
        samples = None if order is None else np.asarray(order)
        with self.library.mode():
            for start in range(0, count, size):
                rows = slice(start, start + size) if samples is None else samples[start : start + size]
                length = min(size, count - start)
                total += self._batch([array[rows] for array in self.arrays], length)
                self._step(length, rate)
        return total / count

    def _batch(self, arrays: Sequence[Any], count: int) -> float:
        """The summed loss of a batch; its summed gradient is left in `gradient`."""
        if count <= self.chunk:
            return self._evaluated(arrays, count)
        total, gradient = 0.0, np.zeros_like(self.gradient)
        for start in range(0, count, self.chunk):
            part = [array[start : start + self.chunk] for array in arrays]
            total += self._evaluated(part, min(self.chunk, count - start))
            gradient += self.gradient
        self.gradient[:] = gradient
        return total

    def _evaluated(self, arrays: Sequence[Any], count: int) -> float:
        library, rolled = self.library, self.rolled
        given = [library.array(self.numbers), *map(library.rows, arrays)] if arrays else [self.numbers, count]
        results = self.function(library.xp, *given)
        loss = count * rolled.fixed.get(0, 0.0)
        for i, outputs, target in self.targets:
            result = library.numbers(results[i])
            if target is None:
                loss += float(result.flat[outputs])
            else:
                self.gradient[target] = (result if outputs is None else result[outputs]).reshape(-1)
        for i, x in rolled.fixed.items():
            if i:
                self.gradient[rolled.slots[i - 1]] = count * x
        return loss

    def _step(self, count: int, rate: float) -> None:
        self.optimizer.steps += 1
        self.last = count
        if type(self.optimizer) is SGD and not self.memory and not self.optimizer.weight_decay:
            np.multiply(self.gradient, rate / count, out=self.change)
            self.numbers -= self.change
            return
        settings = (rate, *self.settings[1:])
        shared = self.steps.prepare.run((1 / count, float(self.optimizer.steps), *settings))
        values: list[Any] = [self.gradient, self.numbers, *self.memory, *shared]
        for operation, operands in self.steps.step.instructions:
            values.append(operation(*[values[x] if isinstance(x, int) else x for x in operands]))
        found = [values[x] if isinstance(x, int) else x for x in self.steps.step.outputs]
        for column, result in zip((self.numbers, *self.memory), found, strict=True):
            column[:] = result


def _targets(rolled: Any) -> list[tuple[int, Any, Any]]:
    """For each result: which of it, and where in the flat gradient it goes; None for the loss."""
    found: list[tuple[int, Any, Any]] = []
    for i, piece in enumerate(rolled.source.pieces):
        outputs = piece.outputs.ravel()
        if 0 in outputs:
            place = int(np.flatnonzero(outputs == 0)[0])
            found.append((i, place, None))
            others = np.flatnonzero(outputs != 0)
            if len(others):
                found.append((i, others, rolled.slots[outputs[others] - 1]))
            continue
        slots = rolled.slots[outputs - 1]
        start, end = int(slots[0]), int(slots[-1]) + 1
        regular = end - start == len(slots) and np.array_equal(slots, np.arange(start, end))
        found.append((i, None, slice(start, end) if regular else slots))
    return found
