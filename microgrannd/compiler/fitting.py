"""Training a program: whether a loss is compiled, what runs its epochs, and when training goes on eagerly instead.

A loss is compiled where that changes nothing but the time it takes. What it reaches is watched, and now and then a
sample is computed eagerly beside the program.
"""

from __future__ import annotations

import functools
import math
import random
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from microgrannd.calculus.passes import computed_before, slopes
from microgrannd.compiler.arrays.choice import ARRAY_BACKENDS, runs_in_steps
from microgrannd.compiler.batches import PART, ends, sample_shapes, samples
from microgrannd.compiler.llvm.operations import unsupported
from microgrannd.compiler.native.training import NativeFit, Training
from microgrannd.compiler.plan import Plan
from microgrannd.compiler.program import Program, compile
from microgrannd.compiler.refusals import refuse_samples
from microgrannd.compiler.streaming import Streaming
from microgrannd.compiler.tape.trace import Trace, trace
from microgrannd.compiler.tape.update import Places, Update, places_of, update_of
from microgrannd.engine import Value, number_of
from microgrannd.ground import modes
from microgrannd.ground.arguments import shown
from microgrannd.ground.errors import TracingError
from microgrannd.ground.nests import builder, is_array, leaves
from microgrannd.learning.clipping import Clip
from microgrannd.learning.epochs import Batches, ByBatch, BySample, Rates, Run, sample_at
from microgrannd.learning.optimizer import Optimizer
from microgrannd.learning.reached import Reached
from microgrannd.operations import as_float

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.training import ArrayTraining

_WORTHWHILE: Final = 2000  # samples to go through; for fewer eager mode is done before LLVM is loaded
_LONGEST_PYTHON: Final = 20_000  # instructions that Python compiles within about a second
_COMPARED: Final = 8  # samples before a training, unless they take long
_SHARE: Final = 0.01  # of a training's time that is spent on comparing samples
_FREE: Final = 0.05  # seconds of comparing after the first callbacks and schedules, whatever they are of the time


def for_training(
    loss: Callable[..., Any], batches: Batches, optimizer: Optimizer, *, epochs: int, insist: bool,
    clip: Clip | None = None,
) -> Run | None:  # fmt: skip
    """A run by a program; None for a loss that cannot be compiled, or is not worth it unless `insist`ing."""
    if isinstance(loss, Program):
        return training(loss, batches, optimizer, epochs, clip)
    if not insist and not batches.stream and epochs * batches.count < _WORTHWHILE:
        return None
    batches.first()  # whose errors are the data's
    before = Reached(loss)
    try:
        run = _compiled_run(loss, batches, optimizer, before, epochs, insist, clip)
    except Exception:
        before.restore()
        if insist:
            raise
        return None
    refuse_samples(run.plan.trace, loss, batches.columns)
    return run


def training(
    program: Program, batches: Batches, optimizer: Optimizer, epochs: int = 1, clip: Clip | None = None
) -> Watched:
    """The run of a program. Raises TracingError where what its function reaches has changed since it was traced."""
    columns = batches.first()
    shapes = tuple(sample_shapes(columns))
    if not (plan := program.runtime.plans.get(shapes)):
        first = samples([column[:1] if is_array(column) else [column[0]] for column in columns])
        plan = program.runtime.plan(first.shapes, first.first())
    if program.function is not None:
        refuse_samples(plan.trace, program.function, batches.columns)
    reached = program.runtime.reached.get(plan.trace.shapes)
    return Watched(program, plan, batches, optimizer, program.function, reached, epochs, clip=clip)


def _compiled_run(
    loss: Callable[..., Any], batches: Batches, optimizer: Optimizer, before: Reached, epochs: int, insist: bool,
    clip: Clip | None,
) -> Watched:  # fmt: skip
    if modes.current.detecting:
        raise TracingError("detect_anomaly() looks at every number, so nothing is compiled within it.")
    program, columns = compile(loss), batches.first()
    if before.iterators:
        raise TracingError(f"Each call of the loss may move {before.iterators[0]} on, which is an iterator.")
    given = samples(ends(columns))
    first, last = ([column[i] for column in given.columns] for i in (0, 1))
    plan = program.runtime.plan(given.shapes, first)
    reached = program.runtime.reached[given.shapes]
    again = trace(
        loss, [builder(shape)(last, start) for shape, start in zip(plan.trace.shapes, plan.starts, strict=False)]
    )
    if drawn := before.drawn():
        raise TracingError(f"The loss draws random numbers from {drawn}.")
    same = insist or set(plan.trace.parameters) == set(again.parameters)
    if plan.trace.tape != again.tape or not same:
        raise TracingError("The loss did not do the same when it was traced for another sample.")
    backend = program.runtime.backend(plan, "parameters")
    if not insist and backend == "python" and plan.work("parameters") > _LONGEST_PYTHON:
        raise TracingError("The loss is too long for compiled Python.")
    run = Watched(program, plan, batches, optimizer, loss, reached, epochs, insist=insist, clip=clip)
    run.compare(columns)
    if changed := reached.changed():
        raise TracingError(f"The loss changes what it looks at: {changed}.")
    return run


@dataclass(eq=False)
class Watched:
    """A run that goes on eagerly (or raises TracingError, if `insist`) where it is not what eager training is any more.

    A program without a function, such as one of a graph, has no eager mode and is not watched.
    """

    program: Program
    plan: Plan
    batches: Batches
    optimizer: Optimizer
    loss: Callable[..., Any] | None
    reached: Reached | None
    remaining: int  # epochs
    insist: bool = True
    clip: Clip | None = None
    inner: Run | None = None
    update: Update | None = None
    places: Places | None = None
    eager: bool = False
    started: bool = False
    seconds: float = 0.0  # of training, but for the first epochs, before which machine code is made
    comparing: float = 0.0  # seconds

    def __post_init__(self) -> None:
        size = len(self.plan.trace.parameters) + len(self.plan.trace.tape.instructions)
        self.cost = 1e-4 + 2e-6 * size  # seconds for a sample, until that has been measured

    def load(self) -> None:
        if self.loss and not self.check() and self.inner and (self.comparing < _FREE or self._is_due()):
            self._look()
        if not self.eager:
            self.inner = self._chosen()
        assert self.inner
        self.inner.load()

    def snapshot(self) -> Any:
        assert self.inner
        return self.inner, self.inner.snapshot()

    def restore(self, snapshot: Any) -> None:
        inner, numbers = snapshot
        inner.restore(numbers)
        if inner is not self.inner:  # training has gone on eagerly since
            inner.write_back()

    def is_finite(self) -> bool:
        return self.inner is None or self.inner.is_finite()

    def run(self, epochs: int, size: int, order: Sequence[int] | None, rates: Rates = None) -> list[float]:
        assert self.inner
        start = time.perf_counter()
        own = type(self.optimizer).__module__ != Optimizer.__module__
        if own and isinstance(rates, list) and 0 in rates and any(rates):  # its `if` may see which rates are 0
            self.inner = ByBatch(self.program.backward, self.batches, self.optimizer, self.clip)
            self.update = None
        losses = self.inner.run(epochs, size, order, rates)
        if self.started:
            self.seconds += time.perf_counter() - start
        self.started = True
        self.remaining -= epochs
        if self.loss and not self.eager and self._is_due():
            self.inner.write_back()
            self._look()
        return losses

    def check(self) -> bool:
        """Whether training goes on eagerly, because what the loss reaches is not what it was."""
        if not self.eager and self.loss and self.reached and (changed := self.reached.changed()):
            self._go_on_eagerly(changed)
        return self.eager

    def write_back(self) -> None:
        if self.inner:
            self.inner.write_back()

    def epochs_in(self, seconds: float) -> int:
        return self.inner.epochs_in(seconds) if self.inner else 0

    @functools.cached_property
    def chance(self) -> random.Random:
        """Which samples are compared: a generator of its own, so that nobody else's numbers change."""
        return random.Random(0)

    def compare(self, columns: Sequence[Any], most: int = _COMPARED) -> None:
        """Raise TracingError where the program differs from eager mode, for the first, the last or another sample."""
        count, end = len(columns[0]), time.perf_counter() + 0.05
        positions = [0, count - 1, *[self.chance.randrange(count) for _ in range(most - 2)]]
        for compared, i in enumerate(positions):
            start = time.perf_counter()
            if compared > 3 and start > end:
                break
            if differs := self._difference(sample_at(columns, i)):
                raise TracingError(differs)
            self.cost = time.perf_counter() - start

    def _is_due(self) -> bool:
        return self.comparing + self.cost < _SHARE * (1 if self.remaining > 0 else 2) * self.seconds

    def _look(self) -> None:
        """Compare a sample at random, unless there is none at hand."""
        columns = self.batches.columns or getattr(self.inner, "sample", None)
        if not columns:
            return
        start = time.perf_counter()
        differs = self._difference(sample_at(columns, self.chance.randrange(len(columns[0]))))
        self.cost = time.perf_counter() - start
        self.comparing += self.cost
        if differs:
            self._go_on_eagerly(differs)

    def _difference(self, sample: Sequence[Any]) -> str | None:
        assert self.loss
        return difference(self.plan.trace, self.loss, sample, self.optimizer.parameters)

    def _go_on_eagerly(self, why: str) -> None:
        assert self.loss
        if self.insist:
            raise TracingError(f"{why}. Compile the function again, or train with compiled=False.")
        warnings.warn(f"{why}; training goes on eagerly.", UserWarning, stacklevel=6)
        self.eager = True
        self.inner = ByBatch(BySample(self.loss), self.batches, self.optimizer, self.clip)

    def _chosen(self) -> Run:
        """What runs the epochs for the optimizer as it is set now; the same as before where that will do."""
        update = update_of(self.optimizer)
        places = places_of(self.plan.trace.parameters, self.optimizer, update) if update else None
        if self.inner and (update, places) == (self.update, self.places):
            return self.inner
        self.update, self.places = update, places
        started = self._started(update, places) if update and places else None
        if self.batches.stream:
            return Streaming(started, self)
        return started or ByBatch(self.program.backward, self.batches, self.optimizer, self.clip)

    def _started(self, update: Update, places: Places) -> Training | ArrayTraining | None:
        """A training on arrays or in native code; None where a step needs the optimizer itself."""
        runtime, plan = self.program.runtime, self.plan
        started: Training | ArrayTraining | None = None
        if backend := runtime.array_backend(plan):
            if backend in ARRAY_BACKENDS and runs_in_steps(plan):
                return None  # what runs in steps there gives gradients alone
            from microgrannd.compiler.arrays.training import array_training

            started = array_training(
                lambda guarded: runtime.array_kernel(plan, "parameters", guarded=guarded),
                plan.trace,
                update,
                places,
                self.clip,
            )
        elif self.batches.size * len(plan.trace.tape.inputs) <= PART:  # a whole batch is made columns of floats
            native = self._native_fit(update)
            started = Training(native, plan.trace, places, self.clip) if native else None
        if started and self.batches.columns:
            started.take(self.batches.columns)
        return started

    def _native_fit(self, update: Update) -> NativeFit | None:
        """The native training loop, made once; None where it cannot be had."""
        runtime, key = self.program.runtime, (id(self.plan), id(update), self.clip is not None)
        with runtime.lock:
            if key not in runtime.fits:
                native = runtime.backend(self.plan, "parameters") == "native"
                own = any(unsupported(tape.instructions) for tape in update[:2])
                fit = NativeFit(self.plan, update, self.clip is not None, runtime.options.cache)
                runtime.fits[key] = fit if native and not own else None
            return runtime.fits[key]  # type: ignore[no-any-return]


def difference(trace: Trace, loss: Callable[..., Any], sample: Sequence[Any], trained: Sequence[Value]) -> str | None:
    """How the loss of a sample and its gradients differ from those of the trace, in words; None where they do not."""
    eager = loss(*sample)
    if not isinstance(eager, Value):
        raise TypeError(f"The loss of a sample is a Value, one number computed from parameters; got {shown(eager)}.")
    if computed_before(eager):
        return None  # what was computed from leaves that have been set since is old in eager mode, and says nothing
    parameters = [*trace.parameters, *set(trained).difference(trace.parameters)]
    numbers = [as_float(x) for argument in sample for x in leaves(argument)]
    given = list(map(Value, [*numbers, *map(number_of, parameters)]))
    [output] = trace.tape.outputs
    mine = trace.tape.record(given[: trace.tape.leaves])[output] if isinstance(output, int) else Value(output)
    if not _near([number_of(eager)], [number_of(mine)]):
        return f"The loss of a sample is {number_of(eager):.9g}, but {number_of(mine):.9g} as it was compiled"
    if not _near(slopes(eager, parameters), slopes(mine, given[len(numbers) :])):
        return "The gradient of a sample's loss is another than that of the loss as it was compiled"
    return None


def _near(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether they are the same but for rounding; NaN is the same as NaN."""
    bound = 1e-9 * max([abs(x) for x in (*xs, *ys) if math.isfinite(x)], default=0.0)
    return all(x == y or abs(x - y) <= bound or (x != x and y != y) for x, y in zip(xs, ys, strict=True))
