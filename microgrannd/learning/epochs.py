"""The epochs of a training: which samples, in which order, a step for each batch.

`train` is the only loop over epochs. What computes them is a `Run`: eager mode sample by sample, or a compiled program.
"""

from __future__ import annotations

import itertools
import math
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from microgrannd.calculus.passes import computed_before
from microgrannd.engine import Value, number_of
from microgrannd.ground.arguments import shown, truth, whole_number
from microgrannd.ground.data import Column, Data, batch_size_of, columns_of, plain_samples, stream_of
from microgrannd.ground.errors import GradientError
from microgrannd.learning.checkpoint import Checkpoint
from microgrannd.learning.clipping import Clip
from microgrannd.learning.history import History
from microgrannd.learning.optimizer import Optimizer
from microgrannd.learning.progress import reporting

Callback: TypeAlias = "Callable[[int, History], object]"
Rates: TypeAlias = "Iterable[float] | None"
_GLANCE: Final = 0.05  # seconds between two looks at Ctrl-C


class Batches:
    """The data of a training, checked: columns and how batches are drawn from them, or a stream that has its own."""

    def __init__(
        self, data: Data, epochs: int, *, batch_size: int | None = None, replace: bool = False, seed: int | None = None
    ) -> None:
        self.source, replace = data, truth("replace", replace)
        self.stream = stream_of(data, epochs, batch_size=batch_size, replace=replace, seed=seed)
        self.columns, self.count = ([], 0) if self.stream else columns_of(data)  # a stream has no count and no size
        if epochs < 0:
            raise ValueError(f"epochs is at least 0, got {epochs}.")
        self.size = 0 if self.stream else batch_size_of(batch_size, self.count)
        self.replace = replace
        self.shuffled = self.size < self.count or replace
        self.seed = seed if seed is None else whole_number("seed", seed)
        self.generator: Any = random if self.seed is None else random.Random(self.seed)

    def first(self) -> Sequence[Column]:
        """The first batch of a stream, or all columns."""
        return self.stream.first() if self.stream else self.columns

    def order(self) -> list[int] | None:
        """The samples of an epoch: all or, with `replace`, as many draws; None for all in the order of the data."""
        if not self.shuffled:
            return None
        draw = self.generator.choices if self.replace else self.generator.sample
        return draw(range(self.count), k=self.count)  # type: ignore[no-any-return]

    def samples(self, chosen: Iterable[int]) -> list[list[Any]]:
        return [sample_at(self.columns, i) for i in chosen]

    def epoch(self, order: Sequence[int] | None) -> Iterator[Sequence[Column]]:
        if self.stream:
            return iter(self.stream)
        if order is None:
            return iter([self.columns])
        chunks = (order[start : start + self.size] for start in range(0, self.count, self.size))
        return ([rows_at(column, chosen) for column in self.columns] for chosen in chunks)


def rows_at(column: Column, chosen: Sequence[int]) -> Column:
    return column[list(chosen)] if hasattr(column, "shape") else [column[i] for i in chosen]


def sample_at(columns: Sequence[Column], i: int) -> list[Any]:
    """One sample, as the loss gets it in eager mode."""
    return [plain_samples(rows_at(column, [i]))[0] for column in columns]


class Run(Protocol):
    """A training under way, whatever computes it."""

    def load(self) -> None:
        """Go on from the parameters and from the optimizer's settings and memory as they stand."""

    def run(self, epochs: int, size: int, order: Sequence[int] | None, rates: Rates = None) -> list[float]:
        """Train for some epochs in batches of `size`, the samples in this order; the mean losses.

        `rates` are the learning rates of the steps of a single epoch, where not all have the optimizer's.
        """

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""

    def snapshot(self) -> Any:
        """The parameters and the optimizer's memory as they stand, to be restored."""

    def restore(self, snapshot: Any) -> None:
        """Go on from what they were then, once more if need be."""

    def is_finite(self) -> bool:
        """Whether all parameters are finite."""

    def epochs_in(self, seconds: float) -> int:
        """A conservative estimate of how many epochs fit in `seconds`; 0 where each is to be seen by itself."""


class ByBatch:
    """A run batch by batch: `backward(*batch)` gives the mean loss and adds the mean gradients, the optimizer steps."""

    def __init__(
        self, backward: Callable[..., float], batches: Batches, optimizer: Optimizer, clip: Clip | None = None
    ) -> None:
        self.backward = backward
        self.batches = batches
        self.optimizer = optimizer
        self.clip = clip

    def load(self) -> None:
        pass  # everything is where it belongs

    def write_back(self) -> None:
        pass

    def epochs_in(self, seconds: float) -> int:
        return 0  # so that Ctrl-C keeps the epochs before it

    def snapshot(self) -> Any:
        memory = {name: numbers[:] for name, numbers in self.optimizer.memory.items()}
        return list(map(number_of, self.optimizer.parameters)), memory, self.optimizer.steps

    def restore(self, snapshot: Any) -> None:
        numbers, memory, self.optimizer.steps = snapshot
        for parameter, number in zip(self.optimizer.parameters, numbers, strict=True):
            parameter.data = number
        self.optimizer.memory = {name: kept[:] for name, kept in memory.items()}

    def is_finite(self) -> bool:
        return are_finite(map(number_of, self.optimizer.parameters))

    def run(self, epochs: int, size: int, order: Sequence[int] | None, rates: Rates = None) -> list[float]:
        return [self._epoch(order, rates) for _ in range(epochs)]

    def _epoch(self, order: Sequence[int] | None, rates: Rates = None) -> float:
        total, count, stream = 0.0, 0, self.batches.stream
        following = iter(rates or ())
        for batch in self.batches.epoch(order):
            if rates is not None:
                self.optimizer.lr = next(following)
            size = len(batch[0])
            try:
                total += size * self.step(batch)
            except (TypeError, ValueError) as error:
                if stream:
                    error.add_note(f"It is about batch {stream.place} of the data.")
                raise
            count += size
            del batch  # before the next is made
        return total / count

    def step(self, batch: Sequence[Column]) -> float:
        def backward() -> float:
            loss = self.backward(*batch)
            if self.clip:
                self.clip(self.optimizer.parameters)
            return loss

        return self.optimizer.step_on(backward)


class BySample:
    """The `backward` of eager mode: each sample's graph is built, run backward with its share of the mean, and dropped.

    Now and then a graph is searched for what was computed outside the loss from leaves that have been set since.
    """

    def __init__(self, loss: Callable[..., Value]) -> None:
        self.loss = loss
        self.batches = 0

    def __call__(self, *batch: Column) -> float:
        share, total = 1 / len(batch[0]), 0.0
        self.batches += 1
        early = 1 < self.batches < 6
        for i, sample in enumerate(zip(*map(plain_samples, batch), strict=True)):
            value = self.loss(*sample)
            if not isinstance(value, Value):
                wanted = "one number, computed from the parameters"
                raise TypeError(f"The loss of a sample is a Value, got {shown(value)}: {wanted}.")
            searched = i < 4 if early else not (i + 17 * self.batches) & 63
            if searched and (old := computed_before(value)):
                raise GradientError(
                    f"{old[0]!r} was computed from {old[1]!r}, which has been set since: the loss would go on with the "
                    "old number. Compute it within the loss."
                )
            value.backward(share)
            total += value.data
        return total * share


def _is_true(answer: object) -> bool:
    """Whether it is the True of Python or of an array library; what is no bool, such as a list or a 1, is no answer."""
    return answer is True or ("bool" in str(getattr(answer, "dtype", "")) and bool(answer))


def are_finite(numbers: Iterable[float]) -> bool:
    kept = list(numbers)
    return math.isfinite(sum(kept)) or all(map(math.isfinite, kept))  # the sum is quick, but may be too large


class Pace:
    """The learning rate as the schedule has it: of an epoch or, `per_step`, of each of its steps."""

    def __init__(
        self, schedule: Callable[[int], float] | None, per_step: bool, batches: Batches, optimizer: Optimizer
    ) -> None:
        self.schedule = schedule
        self.per_step = per_step
        self.batches = batches
        self.optimizer = optimizer
        self.steps = itertools.count()

    def rates(self, epoch: int) -> Rates:
        """The rates of the epoch's steps, if they have their own; those of a stream are asked for as it goes."""
        if not self.schedule:
            return None
        if not self.per_step:
            self._rate(epoch)
            return None
        if self.batches.stream:
            return map(self._rate, self.steps)
        count = -(-self.batches.count // self.batches.size)
        rates = [self._rate(step) for step in itertools.islice(self.steps, count)]
        self.optimizer.lr = next(filter(None, rates), 0.0)  # an update is compiled for rates that are not 0
        return rates

    def _rate(self, step: int) -> float:
        assert self.schedule
        rate = self.schedule(step)
        try:
            self.optimizer.lr = rate
        except (TypeError, ValueError) as error:
            each = "step" if self.per_step else "epoch"
            raise type(error)(f"schedule gives the learning rate of {each} {step}. {error}") from None
        return self.optimizer.lr


def train(
    run: Run, batches: Batches, optimizer: Optimizer, *, epochs: int,
    pace: Pace | None = None, callbacks: Iterable[Callback] = (), progress: bool = False,
    checkpoint: Checkpoint | None = None,
) -> History:  # fmt: skip
    """Run the epochs: as many at a time as nobody wants to look into, but no more than fit between two looks at Ctrl-C.

    A schedule and callbacks may look at everything and change it, so the run writes back before them and loads after;
    so it does for a checkpoint, which is written after the callbacks.
    An epoch after which a parameter is not finite is the last, and is undone; so is one whose loss is not, unless the
    first was not either.
    """
    history, callbacks, pace = History(), list(callbacks), pace or Pace(None, False, batches, optimizer)
    if checkpoint:
        history = checkpoint.history
        pace.steps = itertools.count(optimizer.steps - checkpoint.began)
        if checkpoint.ended:
            return history
    looked_into = bool(pace.schedule or callbacks or checkpoint)
    one_by_one = looked_into or truth("progress", progress) or batches.shuffled
    at_once = 0
    ahead = False  # whether the run has come further than what it was loaded with
    sound = True  # whether the parameters were finite when they were loaded
    with reporting(epochs, progress) as report:
        try:
            while (epoch := len(history)) < epochs:
                start = time.perf_counter()
                rates = pace.rates(epoch)
                if looked_into or not epoch:
                    run.load()
                    sound = run.is_finite()
                if not epoch and not one_by_one:
                    at_once = run.epochs_in(_GLANCE)
                turns, order = min(at_once, epochs - epoch) or 1, batches.order()
                before, ahead = run.snapshot(), True
                losses = run.run(turns, batches.size, order, rates)
                checked = math.isfinite((history.losses or losses)[0])
                if (checked and not are_finite(losses)) or (sound and not run.is_finite()):
                    losses = _undone(run, before, losses, batches.size, checked, sound)
                    history.diverged, turns = True, len(losses)
                if isinstance(rates, list):
                    optimizer.lr = rates[-1]
                if looked_into:
                    run.write_back()
                    ahead = False
                elapsed = time.perf_counter() - start
                history.losses += losses
                history.rates += [optimizer.lr] * turns
                history.seconds += [elapsed / turns] * turns
                if at_once:
                    at_once = at_once * 2 if elapsed < _GLANCE else max(1, at_once // 2)
                report(len(history), losses[-1])
                if history.diverged:
                    break
                ended = True in [_is_true(callback(epoch, history)) for callback in callbacks]
                if checkpoint and (ended or checkpoint.due(epochs)):
                    checkpoint.save(history, ended)
                if ended:
                    break
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            if ahead:
                run.write_back()
    if history.diverged:
        _warn(history, epochs, optimizer)
    return history


def _undone(run: Run, before: Any, losses: list[float], size: int, checked: bool, sound: bool) -> list[float]:
    """The losses up to the epoch that diverged, which is undone: those that ran at once run again, one by one."""
    if len(losses) > 1:
        run.restore(before)
        count, losses = len(losses), []
        while len(losses) < count:
            before = run.snapshot()
            losses += run.run(1, size, None)
            if (checked and not math.isfinite(losses[-1])) or (sound and not run.is_finite()):
                break
    run.restore(before)
    return losses


def _warn(history: History, epochs: int, optimizer: Optimizer) -> None:
    loss, rate = history.losses[-1], optimizer.lr
    what = f"its loss is {loss}" if not math.isfinite(loss) else "a parameter is infinite or NaN after it"
    warnings.warn(
        f"The training diverged in epoch {len(history)} of {epochs}: {what}. The parameters are those before that "
        f"epoch. The learning rate, {rate:g}, may be too large: a smaller lr may help, or clip=.",
        RuntimeWarning,
        stacklevel=4,
    )
