"""Training: `fit` takes a loss, data and an optimizer, and gives the `History` of what happened.

The loss is that of one sample. Where it is not compiled, each sample's graph is built, run backward with its
share of the mean, and dropped before the next, so memory holds one sample's graph, however many samples there
are. This room may import the compiler and the floors beneath it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from microgrannd.engine import Value
from microgrannd.evaluation import ConfusionMatrix, accuracy, argmax, one_hot, threshold
from microgrannd.ground.data import Column, Data, columns_of, stream_of
from microgrannd.learning.epochs import Callback, History, train
from microgrannd.optim import Optimizer

__all__ = ["ConfusionMatrix", "History", "accuracy", "argmax", "fit", "one_hot", "threshold"]


def fit(
    loss: Callable[..., Value],
    data: Data,
    optimizer: Optimizer,
    *,
    epochs: int = 100,
    batch_size: int | None = None,
    replace: bool = False,
    seed: int | None = None,
    schedule: Callable[[int], float] | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = False,
    compiled: bool | str = "auto",
) -> History:
    """Lower the mean of `loss` over the data, one step of the optimizer for each batch.

    `loss(x, y, ...)` takes one sample and gives a Value. `data` is a tuple with an array or list for each of
    its arguments, samples along the first axis; of a memory-mapped array no more than a batch is copied, or
    a few megabytes. Each epoch goes through all samples: at once, or shuffled and in batches of `batch_size`,
    the last perhaps smaller; with `replace` each batch is drawn anew from all samples, with repetition.
    `seed` makes the order repeatable.

    Data that are in no array come in batches: `data` is an iterable of such tuples, other than a list or
    tuple, or a function that gives one, such as a generator function or `lambda: batches`. Each is a batch,
    and each pass an epoch. One batch is in memory at a time. An iterator that cannot begin anew is for a
    single epoch.

    `schedule(epoch)`, counted from 0, gives the learning rate. Each of the `callbacks` is called with the
    epoch and the history after an epoch; one that returns True ends the training. Ctrl-C ends it too, and
    what was learned stays.

    The loss is compiled where that pays and changes nothing but the time it takes: `compiled="auto"`. With
    True it is compiled in any case, or the error says why it cannot be; with False it is not.

    >>> from microgrannd.optim import SGD
    >>> w = Value(0.0)
    >>> history = fit(lambda x, y: (w * x - y) ** 2, ([1, 2, 3], [2, 4, 6]), SGD([w], lr=0.1), epochs=20)
    >>> round(w.data, 6)
    2.0
    >>> def batches():
    ...     yield [1, 2], [4, 8]
    ...     yield [3], [12]
    >>> history = fit(lambda x, y: (w * x - y) ** 2, batches, SGD([w], lr=0.1), epochs=20)
    >>> round(w.data, 6)
    4.0
    """
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "replace": replace, "seed": seed}
    options |= {"schedule": schedule, "callbacks": callbacks, "progress": progress}
    if compiled not in (True, False, "auto"):
        raise ValueError(f"compiled is True, False or 'auto', got {compiled!r}.")
    stream = stream_of(data, epochs, batch_size=batch_size, replace=replace, seed=seed)
    if compiled and epochs > 0:
        from microgrannd.compiler import for_training  # here, because eager training needs no compiler

        columns, count = columns_of(stream.first() if stream else data)
        samples = math.inf if stream else epochs * count  # nobody knows how long a stream is
        program = for_training(loss, columns, samples, insist=compiled is True)
        del columns
        if program is not None:
            return program.fit(stream or data, optimizer, **options)
    return train(partial(_backward_by_sample, loss), stream or data, optimizer, **options)


def _backward_by_sample(loss: Callable[..., Value], *batch: Column) -> float:
    """The mean loss of a batch; adds the mean gradient to every parameter's own."""
    share, total = 1 / len(batch[0]), 0.0
    for sample in zip(*batch, strict=True):
        value = loss(*sample)
        if not isinstance(value, Value):
            raise TypeError(
                f"The loss of a sample is a Value, got {value!r}: one number, computed from the parameters."
            )
        value.backward(share)
        total += value.data
    return total * share
