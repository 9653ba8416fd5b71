"""Training a program on a stream: a step on each batch as it comes, in native code or on arrays."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from microgrannd.compiler.batches import sample_shapes
from microgrannd.compiler.native.training import Training
from microgrannd.compiler.refusals import refuse_samples
from microgrannd.compiler.tape.update import update_of
from microgrannd.learning.epochs import ByBatch, BySample, rows_at
from microgrannd.learning.reached import Reached

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.training import ArrayTraining
    from microgrannd.compiler.fitting import Watched


class Streaming(ByBatch):
    """A run on batches that come one after the other.

    The program's own `backward` serves a batch whose samples have another structure than those of the first, and all
    of them where there is no training. `sample` is one of the last batch. What makes the batches may look at the
    Values that it reaches and change them, or what the loss looks at: then it finds everything where it belongs.
    """

    def __init__(self, training: Training | ArrayTraining | None, watched: Watched) -> None:
        super().__init__(watched.program.backward, watched.batches, watched.optimizer, watched.clip)
        self.training = training
        self.watched = watched
        self.shapes = sample_shapes(self.batches.first())
        self.sample: Sequence[Any] | None = None
        self.ahead = False  # whether the training has come further than what it was loaded with
        self.chance = random.Random(0)
        source = Reached(self.batches.source)
        self.looked_into = source.meets_values or bool(watched.reached and source.shares(watched.reached))

    def load(self) -> None:
        if self.training:
            self.training.load()

    def snapshot(self) -> Any:
        return self.training, self.training.snapshot() if self.training else super().snapshot()

    def restore(self, snapshot: Any) -> None:
        training, numbers = snapshot
        if training is None:
            super().restore(numbers)
        else:
            training.restore(numbers)
            training.write_back()
        self.load()

    def is_finite(self) -> bool:
        return self.training.is_finite() if self.training else super().is_finite()

    def run(
        self, epochs: int, size: int, order: Sequence[int] | None, rates: Iterable[float] | None = None
    ) -> list[float]:
        self.looked_into = self.looked_into or rates is not None  # a schedule may look at and change the same
        return super().run(epochs, size, order, rates)

    def write_back(self) -> None:
        if self.training and self.ahead:
            self.training.write_back()
        self.ahead = False

    def step(self, batch: Sequence[Any]) -> float:
        if self.looked_into and self.watched.check():
            assert self.watched.loss
            self.training, self.backward = None, BySample(self.watched.loss)
        size, training = len(batch[0]), self.training
        same = sample_shapes(batch) == self.shapes
        if same:
            self.sample = [rows_at(column, [self.chance.randrange(size)]) for column in batch]
        if training is None or not same or (self.looked_into and update_of(self.optimizer) is not training.update):
            self.write_back()
            loss = super().step(batch)
            self.load()
            return loss
        refuse_samples(self.watched.plan.trace, self.watched.loss, batch)
        if self.looked_into:
            training.load()
        training.take(batch)
        self.ahead = True
        [loss] = training.run(1, size, None)
        training.take([])
        if self.looked_into:
            self.write_back()
        return loss
