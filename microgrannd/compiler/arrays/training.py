"""Training on arrays: minibatches through a matrix program, with the parameters in one flat array of the library."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from microgrannd.compiler.arrays.kernel import CHUNK, ArrayKernel, MatrixFunction
from microgrannd.compiler.arrays.libraries import Library, operations_of
from microgrannd.compiler.batches import chosen, rows_of
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.trace import Trace
from microgrannd.compiler.tape.update import Places, Update, rate_place, settings_of
from microgrannd.compiler.text.python_source import python_source
from microgrannd.engine import number_of
from microgrannd.learning.clipping import Clip
from microgrannd.operations import mul, sub


class ArrayTraining:
    """`state` are the parameters and the optimizer's memory, `gradients` those of the last batch, summed over it.

    Where parameters are changed in place, `before` is what they were, `kept` whether they still are, and `shared`
    whether a snapshot has the same array.
    """

    before: Any
    kept: bool
    shared: bool

    def __init__(
        self, kernel: Callable[[bool], ArrayKernel], trace: Trace, update: Update, places: Places, clip: Clip | None
    ) -> None:
        self.kernel = kernel
        self.parameters = trace.parameters
        self.shapes = trace.shapes
        self.optimizer = places.optimizer
        self.update = update
        self.places = places
        self.clip = clip
        self.last = 1
        self._enter(guarded=False)
        self.take([])

    def load(self) -> None:
        self.settings, self.rate_place = settings_of(self.optimizer), rate_place(self.optimizer)
        self._set([list(map(number_of, self.parameters)), *self.places.memory(self.update.memory)])

    def take(self, columns: Sequence[Any]) -> None:
        self.count = len(columns[0]) if columns else 0
        self.arrays = rows_of(columns, self.shapes) if columns else []

    def snapshot(self) -> Any:
        if self.batch.in_place:
            self._keep()
            self.shared = True
        return [self.before] if self.batch.in_place else list(self.state), self.rolled, self.optimizer.steps

    def restore(self, snapshot: Any) -> None:
        columns, rolled, self.optimizer.steps = snapshot
        numbers = [self._ordered(self.library.numbers(column), rolled) for column in columns]
        self._set(numbers)

    def _keep(self) -> None:
        """Have the parameters as they stand in `before`, though they are changed in place."""
        if not self.kept:
            if self.shared:
                self.before, self.shared = self.library.xp.copy(self.state[0]), False
            else:
                self.before[:] = self.state[0]
        self.kept = True

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.library.numbers(self.state[0])).all())

    def run(
        self, epochs: int, size: int, order: Sequence[int] | None, rates: Iterable[float] | None = None
    ) -> list[float]:
        of_steps = list(rates or ())
        steps_before, start = self.optimizer.steps, self.state
        if self.batch.in_place:
            self._keep()
            start, self.kept = [self.before], False
        losses = [self._epoch(size, order, of_steps) for _ in range(epochs)]
        if not self.guarded and np.isnan(self.library.numbers(self.state[0]).max()):  # a NaN once there stays there
            self.optimizer.steps = steps_before
            columns = [self._ordered(self.library.numbers(column)) for column in start]
            self._enter(guarded=True)
            self._set(columns)
            losses = [self._epoch(size, order, of_steps) for _ in range(epochs)]
        return losses

    def epochs_in(self, seconds: float) -> int:
        work = self.count * (self.rolled.width + 1) + len(self.parameters)
        return max(1, int(seconds / (work * 1e-8)))

    def write_back(self) -> None:
        self.places.write(self.update.memory, map(self._ordered, self._arrays()))

    def _arrays(self) -> Iterator[Any]:
        """The parameters, their last gradients and the optimizer's memory, one after the other."""
        numbers, *memory = self.state
        yield self.library.numbers(numbers)
        gradient = np.zeros(len(self.parameters))
        for part, found in zip(self.batch.parts, self.gradients, strict=False):  # there are none before the first
            gradient[part.target] = self.library.numbers(found)
        gradient /= self.last
        yield gradient
        yield from map(self.library.numbers, memory)

    def _enter(self, *, guarded: bool) -> None:
        kernel = self.kernel(guarded)
        self.guarded = guarded
        self.library = kernel.library
        self.rolled, function = kernel.compiled(over_batch=True)
        if id(self.update) not in kernel.steps:  # compiled once for all trainings with such an optimizer
            kernel.steps[id(self.update)] = _Batch(self.rolled, function, self.library, self.update)
        self.batch = kernel.steps[id(self.update)]
        self.gradients: list[Any] = []
        self.chunk = max(1, CHUNK // max(1, self.rolled.width))

    def _set(self, columns: Sequence[Any]) -> None:
        self.state = [self.library.array(np.array(column, dtype=float)[self.rolled.layout]) for column in columns]
        self.before, self.kept, self.shared = self.library.xp.copy(self.state[0]), True, False

    def _ordered(self, column: Any, rolled: MatrixFunction | None = None) -> Any:
        ordered = np.empty(len(self.parameters))
        ordered[(rolled or self.rolled).layout] = column
        return ordered

    def _epoch(self, size: int, order: Sequence[int] | None, rates: Sequence[float]) -> float:
        total, last = 0.0, 0.0
        samples = None if order is None else np.asarray(order)
        with self.library.mode():
            for start in range(0, self.count, size):
                rows = slice(start, start + size) if samples is None else samples[start : start + size]
                arrays = [chosen(array, rows) for array in self.arrays]
                total += float(last)  # one behind: a device works meanwhile, and lags no further
                if rates and self.rate_place is not None:
                    self.settings[self.rate_place] = rates[start // size]
                last = self._step(arrays, min(size, self.count - start))
            return (total + float(last)) / self.count

    def _step(self, arrays: Sequence[Any], count: int) -> Any:
        self.optimizer.steps += 1
        self.last = count
        shared = self.update.shared.run((1 / count, float(self.optimizer.steps), *self.settings))
        xp, parameters = self.library.xp, self.state[0]
        self.gradients = []  # gives way to the next
        if count <= self.chunk and not self.clip:
            loss, self.gradients, self.state = self.batch.all(xp, self.state, shared, *self._given(arrays, count))
            return loss
        loss, gradients = 0.0, [0.0] * len(self.batch.parts)
        for start in range(0, count, self.chunk):
            some = [array[start : start + self.chunk] for array in arrays]
            given = self._given(some, min(self.chunk, count - start))
            more, found = self.batch.backward(xp, parameters, *given)
            loss, gradients = loss + float(more), [x + y for x, y in zip(gradients, found, strict=True)]
        gradients = self._clipped(gradients, count)
        self.gradients, self.state = gradients, self.batch.step(xp, self.state, gradients, shared)
        return loss

    def _clipped(self, gradients: list[Any], count: int) -> list[Any]:
        """What `learning.clipping` does, to the gradients summed over a batch."""
        if not self.clip:
            return gradients
        norm, limit = self.clip.norm, self.clip.value * count
        if limit < math.inf:
            return [self.library.xp.clip(gradient, -limit, limit) for gradient in gradients]
        lengths = [math.hypot(*self.library.numbers(gradient).ravel().tolist()) for gradient in gradients]
        factor = norm / (math.hypot(*lengths) / count + 1e-6)
        return gradients if factor >= 1 else [factor * gradient for gradient in gradients]

    def _given(self, arrays: Sequence[Any], count: int) -> list[Any]:
        return [self.library.rows(array) for array in arrays] or [count]


class _Part(NamedTuple):
    """Gradients of the flat parameters at `target`: those at `outputs` of one result, or numbers `fixed` a sample."""

    target: Any
    result: int
    outputs: Any
    fixed: Any = None


def array_training(
    kernel: Callable[[bool], ArrayKernel], trace: Trace, update: Update, places: Places, clip: Clip | None
) -> ArrayTraining | None:
    """A training on arrays; None where the library cannot take the optimizer's steps."""
    library = kernel(False).library
    names = {operation.name for operation, _ in expanded(update.each, library.known).instructions}
    return ArrayTraining(kernel, trace, update, places, clip) if names <= operations_of(library).keys() else None


class _Batch:
    """A minibatch as functions of arrays: `backward` and `step`, and `all` that does both at once."""

    def __init__(self, rolled: MatrixFunction, function: Callable[..., Any], library: Library, update: Update) -> None:
        self.rolled = rolled
        self.function = function
        self.library = library
        self.parts: list[_Part] = []
        self.loss = (-1, 0)  # which result, and where in it; -1 is a fixed number
        for i, piece in enumerate(rolled.source.pieces):
            self._add(i, piece.outputs.ravel())
        if fixed := [i for i in rolled.fixed if i]:
            numbers = library.array([rolled.fixed[i] for i in fixed])
            self.parts.append(_Part(rolled.slots[np.array(fixed) - 1], -1, None, numbers))
        each = expanded(update.each, library.known)
        self.formula = python_source("step", each, "A step.", [len(each.outputs)]).compiled(operations_of(library))
        order = np.argsort(np.concatenate([np.arange(rolled.layout.size)[part.target] for part in self.parts]))
        self.order = None if (np.diff(order) == 1).all() else library.positions(order)
        plain = [operation for operation, _ in each.instructions] == [mul, sub] and not update.memory
        self.in_place = plain and library.in_place  # the formula p - rate * g without new arrays
        self.backward = library.compiled(self._backward)
        self.step = library.compiled(self._step)
        self.all = library.compiled(self._all)

    def _add(self, result: int, outputs: Any) -> None:
        others = np.flatnonzero(outputs)
        if len(others) < len(outputs):
            self.loss = (result, int(np.flatnonzero(outputs == 0)[0]))
        if not len(others):
            return
        slots = self.rolled.slots[outputs[others] - 1]
        start, end = int(slots[0]), int(slots[-1]) + 1
        regular = np.array_equal(slots, np.arange(start, end))
        chosen = None if len(others) == len(outputs) else others
        self.parts.append(_Part(slice(start, end) if regular else slots, result, chosen))

    def _backward(self, xp: Any, parameters: Any, *given: Any) -> tuple[Any, list[Any]]:
        results = [result.reshape(-1) for result in self.function(xp, parameters, *given)]
        count = given[0].shape[0] if self.rolled.has_inputs else given[0]
        result, place = self.loss
        loss = results[result][place] if result >= 0 else count * self.rolled.fixed[0]
        gradients = []
        for part in self.parts:
            found = count * part.fixed if part.fixed is not None else results[part.result]
            gradients.append(found if part.outputs is None else found[part.outputs])
        return loss, gradients

    def _step(self, xp: Any, state: list[Any], gradients: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
        if self.in_place:
            [rate] = shared
            for part, gradient in zip(self.parts, gradients, strict=True):
                state[0][part.target] -= rate * gradient
            return state
        flat = xp.concatenate(gradients)
        found = self.formula(flat if self.order is None else flat[self.order], *state, *shared)
        return list(found) if isinstance(found, tuple) else [found]

    def _all(self, xp: Any, state: list[Any], shared: Sequence[Any], *given: Any) -> tuple[Any, list[Any], list[Any]]:
        loss, gradients = self._backward(xp, state[0], *given)
        return loss, gradients, self._step(xp, state, gradients, shared)
