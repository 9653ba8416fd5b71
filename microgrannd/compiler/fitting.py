"""Training a program: whether a loss is compiled, and what runs its epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from microgrannd.compiler.arrays.choice import array_training
from microgrannd.compiler.batches import PART, ends, samples
from microgrannd.compiler.native.training import NativeFit, Training, train_natively
from microgrannd.compiler.plan import Plan
from microgrannd.compiler.program import Program, compile
from microgrannd.compiler.steps import places, steps
from microgrannd.compiler.streaming import Streaming
from microgrannd.ground.data import Data, Stream, batch_size_of, columns_of, stream_of
from microgrannd.ground.nests import is_array
from microgrannd.ground.progress import reporting
from microgrannd.learning.epochs import History, train
from microgrannd.optim import Optimizer

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.training import ArrayTraining

_WORTHWHILE: Final = 2000  # samples to go through; for fewer eager mode is done before LLVM is loaded
_LONGEST_PYTHON: Final = 20_000  # instructions that Python compiles within about a second


def for_training(loss: Callable[..., Any], columns: Sequence[Any], count: float, *, insist: bool) -> Program | None:
    """A program for a loss that is worth compiling for training on so many samples; None for another one.

    A loss that looks at a number, or that does not do the same twice, such as one that draws random numbers,
    stays with eager mode. With `insist` the error is raised that says why it cannot be compiled.
    """
    if isinstance(loss, Program):
        return loss
    if not insist and count < _WORTHWHILE:
        return None
    program = compile(loss)
    try:
        given = samples(ends(columns))
        first, last = ([column[i] for column in given.columns] for i in (0, 1))
        plan = program.runtime.plan(given.shapes, first)
        again = compile(loss).runtime.plan(given.shapes, last)
        backend = program.runtime.backend(plan, "parameters")
    except Exception:
        if insist:
            raise
        return None
    same = plan.trace.tape == again.trace.tape and set(plan.trace.parameters) == set(again.trace.parameters)
    pays = backend != "python" or len(plan.tape("parameters").instructions) <= _LONGEST_PYTHON
    return program if insist or (same and pays) else None


def fit(
    program: Program, data: Data, optimizer: Optimizer, *, epochs: int, batch_size: int | None, replace: bool,
    seed: int | None, schedule: Callable[[int], float] | None, callbacks: Any, progress: bool,
) -> History:  # fmt: skip
    """What `Program.fit` does."""
    drawn: dict[str, Any] = {"batch_size": batch_size, "replace": replace, "seed": seed}
    options: dict[str, Any] = {"epochs": epochs, "schedule": schedule, "callbacks": list(callbacks)}
    stream = stream_of(data, epochs, **drawn)
    started = begun(program, stream, data, optimizer, batch_size) if epochs > 0 else None
    if started is None:
        return train(program.backward, stream or data, optimizer, **drawn, **options, progress=progress)
    run = Streaming(stream, started, program.backward) if stream else started
    options |= {"size": batch_size_of(batch_size, run.count), "replace": replace, "seed": seed}
    with reporting(epochs, progress) as report:
        return train_natively(run, report=report if progress else None, **options)


def begun(
    program: Program, stream: Stream | None, data: Any, optimizer: Optimizer, batch_size: int | None
) -> Training | ArrayTraining | None:
    """A training on these data; None where a step needs the program's gradients and the optimizer itself."""
    columns, count = columns_of(stream.first() if stream else data)
    first = samples([column[:1] if is_array(column) else [column[0]] for column in columns])
    plan = program.runtime.plan(first.shapes, first.first())
    large = batch_size_of(batch_size, count) * len(first.columns) > PART
    if not stream and large and not program.runtime.array_backend(plan):
        return None  # native code needs a whole batch as columns of floats
    started = training(program, plan, optimizer)
    if started and not stream:
        started.take(columns)
    return started


def training(program: Program, plan: Plan, optimizer: Optimizer) -> Training | ArrayTraining | None:
    """A training on arrays or in native code; None where neither can be had."""
    if program.runtime.array_backend(plan):

        def kernel(guarded: bool) -> Any:
            return program.runtime.array_kernel(plan, "parameters", guarded=guarded)

        return array_training(kernel, plan, optimizer)
    native = _native_fit(program, plan, optimizer)
    return Training(native, plan.trace, optimizer) if native else None


def _native_fit(program: Program, plan: Plan, optimizer: Optimizer) -> NativeFit | None:
    """The native training loop; None where it cannot be had."""
    if program.runtime.array_backend(plan):
        return None
    taken = steps(optimizer)
    if taken is None or program.runtime.backend(plan, "parameters") != "native":
        return None
    if places(plan.trace.parameters, optimizer) is None:
        return None
    key = (id(plan), id(taken))
    with program.runtime.lock:
        if key not in program.runtime.fits:
            program.runtime.fits[key] = NativeFit(
                lambda guarded: plan.tape("parameters", guarded=True), taken, program.runtime.options.cache
            )
        return program.runtime.fits[key]  # type: ignore[no-any-return]
