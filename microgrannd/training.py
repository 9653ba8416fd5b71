"""Training: `fit` takes a loss, data and an optimizer, and gives the `History` of what happened."""

from collections.abc import Callable, Iterable

from microgrannd.engine import Value
from microgrannd.evaluation import ConfusionMatrix, accuracy, argmax, one_hot, threshold
from microgrannd.ground.arguments import shown, truth, whole_number
from microgrannd.ground.data import Data
from microgrannd.learning.arguments import check_arguments
from microgrannd.learning.checkpoint import CheckpointPath, checkpoint_of
from microgrannd.learning.clipping import clip_grad_norm, clip_grad_value, clip_of
from microgrannd.learning.epochs import Batches, ByBatch, BySample, Callback, Pace, Run, train
from microgrannd.learning.history import History
from microgrannd.learning.optimizer import Optimizer

__all__ = [
    "ConfusionMatrix",
    "History",
    "accuracy",
    "argmax",
    "clip_grad_norm",
    "clip_grad_value",
    "fit",
    "one_hot",
    "threshold",
]


def fit(
    loss: Callable[..., Value], data: Data, optimizer: Optimizer, *, epochs: int = 100,
    batch_size: int | None = None, replace: bool = False, seed: int | None = None,
    schedule: Callable[[int], float] | None = None, per_step: bool = False,
    clip: float | tuple[str, float] | None = None,
    callbacks: Iterable[Callback] = (), progress: bool = False, compiled: bool | str = "auto",
    checkpoint: CheckpointPath = None, every: int = 1, resume: bool = False,
) -> History:  # fmt: skip
    """Lower the mean of `loss` over the data, one step of the optimizer for each batch.

    `loss(x, y, ...)` takes one sample and gives a Value. `data` is a tuple with an array or list for each of
    its arguments, samples along the first axis; of a memory-mapped array no more than a batch is copied, or
    a few megabytes. Each epoch goes through all samples: at once, or shuffled and in batches of `batch_size`,
    the last perhaps smaller; with `replace` each batch is drawn anew from all samples, with repetition.
    `seed` makes the order repeatable.

    For data that is not in arrays, pass an iterable of batches: each batch is such a tuple. The iterable is not a list
    or tuple, or it is given by a function, such as a generator function or `lambda: batches`. Each pass is an epoch.
    One batch is in memory at a time. An iterator that cannot begin anew is for a single epoch.

    `schedule(epoch)`, counted from 0, gives the learning rate; `per_step` it is `schedule(step)` of each step, of which
    an epoch has one for each batch, such as a warm-up; it goes by the step alone, since it is asked before the epoch.
    `clip` bounds the gradients of a step: their norm all together (`clip=1.0`), or each (`clip=("value", 1.0)`), as
    `clip_grad_norm` and `clip_grad_value` do. Each of the `callbacks` is called with the epoch and the
    history after an epoch; one that returns True, or NumPy's, ends the training. Ctrl-C ends it too, and what was
    learned stays. A training that diverges ends with a RuntimeWarning: in an epoch that leaves a parameter infinite or
    NaN, or whose loss is so while that of the first was not. The parameters and the optimizer's memory are then those
    before that epoch.

    `checkpoint` names a file to which all that is needed to go on is written before the first epoch, after `every` so
    many and after the last, whole or not at all: parameters, the optimizer, the history, the states of `random`,
    `numpy.random`, the generator of `seed` and those that the loss reaches. With `resume` the training goes on from
    there, to the same bits as one that was never stopped; where there is no file yet it starts, so that one command
    does for both. What was computed of an epoch that was not saved is computed again, with its callbacks, whose own
    state is theirs to keep. An iterable of batches must give in each pass what does not depend on the passes before,
    except through these generators. Raises ModelFileError for a file that is damaged, or was written with other
    parameters, data (some samples are looked at, and none of an iterable), batch_size, seed or optimizer; TypeError for
    an optimizer of your own that remembers elsewhere than in its `memory`, and for a loss that moves an iterator on.

    With `compiled="auto"` the loss is compiled where that pays and changes nothing but the time it takes. What
    it looks at besides its arguments is watched, and some samples are computed eagerly beside the program: where
    they differ, training goes on eagerly, with a warning that names what changed. True: compile, or raise
    explaining why not; False: do not compile.

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
    if not isinstance(compiled, int | str) or compiled not in (True, False, "auto"):
        raise ValueError(f"compiled is True, False or 'auto', got {shown(compiled)}.")
    epochs, progress = whole_number("epochs", epochs), truth("progress", progress)
    callbacks = check_arguments(loss, data, optimizer, epochs, schedule, callbacks)
    clipping = clip_of(clip, optimizer)
    batches = Batches(data, epochs, batch_size=batch_size, replace=replace, seed=seed)
    saved = checkpoint_of(checkpoint, every, resume, loss, batches, optimizer)
    run: Run | None = None
    if compiled and epochs:
        from microgrannd.compiler import for_training  # here, because eager training needs no compiler

        run = for_training(loss, batches, optimizer, epochs=epochs, insist=compiled is True, clip=clipping)
    run = run or ByBatch(BySample(loss), batches, optimizer, clipping)
    pace = Pace(schedule, truth("per_step", per_step), batches, optimizer)
    return train(
        run, batches, optimizer, epochs=epochs, pace=pace, callbacks=callbacks, progress=progress, checkpoint=saved
    )
