"""The epochs of a training: which samples, in which order, a step for each batch, and the `History` of it.

`train` is the only loop over epochs. What computes them is a `Run`: eager mode sample by sample, or a compiled program.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from microgrannd.calculus.passes import computed_before
from microgrannd.engine import Value
from microgrannd.ground.arguments import function_of, list_of, path_of, truth, whole_number
from microgrannd.ground.data import Column, Data, batch_size_of, columns_of, plain_samples, stream_of
from microgrannd.ground.errors import GradientError
from microgrannd.learning.progress import reporting
from microgrannd.optim import Optimizer

Callback: TypeAlias = "Callable[[int, History], object]"
_GLANCE: Final = 0.05  # seconds between two looks at Ctrl-C


@dataclass
class History:
    """What happened in each epoch, in order; `interrupted` tells whether Ctrl-C ended the training.

    An epoch's loss is the mean of its samples' losses as they were met, so for full batches it is the
    loss before that epoch's step.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.losses)

    def table(self, rows: int = 10) -> str:
        """A line for each of about `rows` epochs, evenly spaced, the first and the last among them.

        >>> print(History([0.5, 0.25], [0.1, 0.1], [0.002, 0.002]).table())
        epoch         loss           lr      seconds
            1          0.5          0.1        0.002
            2         0.25          0.1        0.004
        """
        if not self.losses:
            return "no epochs"
        last, rows = len(self) - 1, whole_number("rows", rows, 1)
        lines = [f"{'epoch':>5} {'loss':>12} {'lr':>12} {'seconds':>12}"]
        for i in sorted({round(i * last / max(1, rows - 1)) for i in range(rows)} | {last}):
            elapsed = sum(self.seconds[: i + 1])
            lines.append(f"{i + 1:>5} {self.losses[i]:>12.6g} {self.rates[i]:>12.6g} {elapsed:>12.3g}")
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The loss over the epochs as a matplotlib figure, saved at `path` if there is one."""
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            raise ModuleNotFoundError("Plots need matplotlib: pip install 'microgrannd[plot]'") from None
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(range(1, len(self) + 1), self.losses)
        axes.set(xlabel="epoch", ylabel="mean loss")
        if path is not None:
            figure.savefig(path_of("path", path))
        return figure

    def __repr__(self) -> str:
        if not self.losses:
            return "History(no epochs)"
        losses, seconds = f"loss {self.losses[0]:.6g} → {self.losses[-1]:.6g}", f"{sum(self.seconds):.3g} s"
        return f"History({len(self)} epochs, {losses}, {seconds}{', interrupted' if self.interrupted else ''})"


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
        self._generator: Any = random if seed is None else random.Random(whole_number("seed", seed))

    def first(self) -> Sequence[Column]:
        """The first batch of a stream, or all columns."""
        return self.stream.first() if self.stream else self.columns

    def order(self) -> list[int] | None:
        """The samples of an epoch: all or, with `replace`, as many draws; None for all in the order of the data."""
        if not self.shuffled:
            return None
        draw = self._generator.choices if self.replace else self._generator.sample
        return draw(range(self.count), k=self.count)  # type: ignore[no-any-return]

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

    def run(self, epochs: int, size: int, order: Sequence[int] | None) -> list[float]:
        """Train for some epochs in batches of `size`, the samples in this order; the mean losses."""

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""

    def epochs_in(self, seconds: float) -> int:
        """A conservative estimate of how many epochs fit in `seconds`; 0 where each is to be seen by itself."""


class ByBatch:
    """A run batch by batch: `backward(*batch)` gives the mean loss and adds the mean gradients, the optimizer steps."""

    def __init__(self, backward: Callable[..., float], batches: Batches, optimizer: Optimizer) -> None:
        self.backward = backward
        self.batches = batches
        self.optimizer = optimizer

    def load(self) -> None:
        pass  # everything is where it belongs

    def write_back(self) -> None:
        pass

    def epochs_in(self, seconds: float) -> int:
        return 0  # so that Ctrl-C keeps the epochs before it

    def run(self, epochs: int, size: int, order: Sequence[int] | None) -> list[float]:
        return [self._epoch(order) for _ in range(epochs)]

    def _epoch(self, order: Sequence[int] | None) -> float:
        total, count, stream = 0.0, 0, self.batches.stream
        for batch in self.batches.epoch(order):
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
        self.optimizer.zero_grad()
        loss = self.backward(*batch)
        self.optimizer.step()
        return loss


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
                raise TypeError(f"The loss of a sample is a Value, got {value!r}: {wanted}.")
            searched = i < 4 if early else not (i + 17 * self.batches) & 63
            if searched and (old := computed_before(value)):
                raise GradientError(
                    f"{old[0]!r} was computed from {old[1]!r}, which has been set since: the loss would go on with the "
                    "old number. Compute it within the loss."
                )
            value.backward(share)
            total += value.data
        return total * share


def train(
    run: Run, batches: Batches, optimizer: Optimizer, *, epochs: int,
    schedule: Callable[[int], float] | None = None, callbacks: Iterable[Callback] = (), progress: bool = False,
) -> History:  # fmt: skip
    """Run the epochs: as many at a time as nobody wants to look into, but no more than fit between two looks at Ctrl-C.

    A schedule and callbacks may look at everything and change it, so the run writes back before them and loads after.
    """
    history, callbacks = History(), list_of("callbacks", callbacks, "a list of functions")
    for callback in callbacks:
        function_of("Each of the callbacks", callback)
    schedule = None if schedule is None else function_of("schedule", schedule)
    looked_into = bool(schedule or callbacks)
    one_by_one = looked_into or truth("progress", progress) or batches.shuffled
    at_once = 0
    ahead = False  # whether the run has come further than what it was loaded with
    with reporting(epochs, progress) as report:
        try:
            while (epoch := len(history)) < epochs:
                start = time.perf_counter()
                if schedule:
                    optimizer.lr = schedule(epoch)
                if looked_into or not epoch:
                    run.load()
                if not epoch and not one_by_one:
                    at_once = run.epochs_in(_GLANCE)
                turns, order = min(at_once, epochs - epoch) or 1, batches.order()
                ahead = True
                losses = run.run(turns, batches.size, order)
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
                if True in [callback(epoch, history) is True for callback in callbacks]:
                    break
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            if ahead:
                run.write_back()
    return history
