"""Training a program on a stream: a step on each batch as it comes, in native code or on arrays.

This room may import the trainings and the floors beneath the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from microgrannd.compiler.batches import sample_shapes
from microgrannd.compiler.native.training import Training
from microgrannd.ground.data import Stream
from microgrannd.learning.epochs import step

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.training import ArrayTraining


class Streaming:
    """A training on batches that come one after the other.

    `backward` serves a batch whose samples have another structure than those of the first.
    """

    def __init__(self, stream: Stream, training: Training | ArrayTraining, backward: Callable[..., float]) -> None:
        self.stream = stream
        self.shapes = sample_shapes(stream.first())
        self.training = training
        self.backward = backward
        self.optimizer = training.optimizer
        self.count = 0  # which nobody knows
        self.ahead = False  # whether the training has come further than what it was loaded with

    def run(self, epochs: int, size: int, rate: float, order: Sequence[int] | None = None) -> list[float]:
        """Train for some epochs on the batches as they are; the mean losses."""
        return [self._epoch(rate) for _ in range(epochs)]

    def moment(self, seconds: float) -> int:
        """One epoch, since nobody knows how long it takes."""
        return 1

    def write_back(self) -> None:
        """Put the parameters, their last gradients and the optimizer's memory where they belong."""
        if self.ahead:
            self.training.write_back()

    def _epoch(self, rate: float) -> float:
        total, count = 0.0, 0
        for batch in self.stream:
            size = len(batch[0])
            try:
                total += size * self._step(batch, size, rate)
            except (TypeError, ValueError) as error:
                error.add_note(f"It is about batch {self.stream.place} of the data.")
                raise
            count += size
            del batch  # before the next is made
        return total / count

    def _step(self, batch: Sequence[Any], size: int, rate: float) -> float:
        if sample_shapes(batch) != self.shapes:
            self.write_back()
            loss, self.ahead = step(self.backward, self.optimizer, batch), False
            self.training.load()
            return loss
        self.training.take(batch)
        self.ahead = True
        [loss] = self.training.run(1, size, rate)
        self.training.take([])
        return loss
