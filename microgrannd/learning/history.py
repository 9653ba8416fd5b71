"""`History`: what a training tells afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from microgrannd.ground.arguments import whole_number
from microgrannd.ground.files import write_figure


@dataclass
class History:
    """What happened in each epoch, in order; whether Ctrl-C `interrupted` the training, or it `diverged` in the last.

    An epoch's loss is the mean of its samples' losses as they were met, so for full batches it is the
    loss before that epoch's step.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    diverged: bool = False

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
            write_figure(path, figure)
        return figure

    def __repr__(self) -> str:
        if not self.losses:
            return "History(no epochs)"
        losses, seconds = f"loss {self.losses[0]:.6g} → {self.losses[-1]:.6g}", f"{sum(self.seconds):.3g} s"
        end = ", interrupted" * self.interrupted + ", diverged" * self.diverged
        return f"History({len(self)} epochs, {losses}, {seconds}{end})"
