"""The epochs of a training: which samples, in which order, a step for each batch, and the `History` of it.

How a batch's gradients come about is not its business: sample by sample, or by a compiled program. This room
may import the data, the optimizers and progress.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from microgrannd.ground.data import Column, Data, batch_size_of, columns_of, stream_of
from microgrannd.ground.progress import reporting
from microgrannd.optim import Optimizer

Callback: TypeAlias = "Callable[[int, History], object]"


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
        """A line for each of about so many epochs, evenly spaced, the first and the last among them.

        >>> print(History([0.5, 0.25], [0.1, 0.1], [0.002, 0.002]).table())
        epoch         loss           lr      seconds
            1          0.5          0.1        0.002
            2         0.25          0.1        0.004
        """
        if not self.losses:
            return "no epochs"
        last = len(self) - 1
        shown = sorted({round(i * last / max(1, rows - 1)) for i in range(rows)} | {last})
        lines = [f"{'epoch':>5} {'loss':>12} {'lr':>12} {'seconds':>12}"]
        for i in shown:
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
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        if not self.losses:
            return "History(no epochs)"
        end = ", interrupted" if self.interrupted else ""
        return (
            f"History({len(self)} epochs, loss {self.losses[0]:.6g} → {self.losses[-1]:.6g}, "
            f"{sum(self.seconds):.3g} s{end})"
        )


def train(
    backward: Callable[..., float],
    data: Data,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int | None,
    replace: bool,
    seed: int | None,
    schedule: Callable[[int], float] | None,
    callbacks: Iterable[Callback],
    progress: bool,
) -> History:
    """Train as `training.fit` does, with `backward(*batch)` to give a batch's mean loss and add its mean gradients."""
    stream = stream_of(data, epochs, batch_size=batch_size, replace=replace, seed=seed)
    columns, count = ([], 0) if stream else columns_of(data)
    if epochs < 0:
        raise ValueError(f"epochs is at least 0, got {epochs}.")
    size = 0 if stream else batch_size_of(batch_size, count)
    generator = random if seed is None else random.Random(seed)
    callbacks = list(callbacks)
    history = History()
    with reporting(epochs, progress) as report:
        try:
            for epoch in range(epochs):
                start = time.perf_counter()
                if schedule:
                    optimizer.lr = schedule(epoch)
                batches = stream or _batches(columns, count, size, replace, generator)
                mean_loss = _epoch(backward, optimizer, batches)
                history.losses.append(mean_loss)
                history.rates.append(optimizer.lr)
                history.seconds.append(time.perf_counter() - start)
                report(epoch + 1, mean_loss)
                answers = [callback(epoch, history) for callback in callbacks]
                if any(answer is True for answer in answers):
                    break
        except KeyboardInterrupt:
            history.interrupted = True
    return history


def _epoch(backward: Callable[..., float], optimizer: Optimizer, batches: Iterable[Sequence[Column]]) -> float:
    """A step for each batch; the mean loss of all samples, as they were met."""
    total, count = 0.0, 0
    for batch in batches:
        size = len(batch[0])
        total += size * step(backward, optimizer, batch)
        count += size
        del batch  # before the next is made
    return total / count


def step(backward: Callable[..., float], optimizer: Optimizer, batch: Sequence[Column]) -> float:
    """A step of the optimizer on one batch; its mean loss."""
    optimizer.zero_grad()
    loss = backward(*batch)
    optimizer.step()
    return loss


def _batches(
    columns: Sequence[Column], count: int, size: int, replace: bool, generator: Any
) -> Iterator[Sequence[Column]]:
    """The batches of an epoch: all samples once or, with `replace`, as many draws."""
    if size == count and not replace:
        yield columns
        return
    order = generator.choices(range(count), k=count) if replace else generator.sample(range(count), count)
    for start in range(0, count, size):
        chosen = order[start : start + size]
        yield [_rows(column, chosen) for column in columns]


def _rows(column: Column, chosen: list[int]) -> Column:
    return column[chosen] if hasattr(column, "shape") else [column[i] for i in chosen]
