"""What a loss refuses in eager mode, such as a label that does not fit, is refused of a program's arguments too."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from microgrannd.compiler.batches import Batch, samples
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import Trace
from microgrannd.ground.nests import builder, is_array, starts_of
from microgrannd.learning.epochs import sample_at

Function = Callable[..., Any] | None  # None of a program that has lost it


def refuse_samples(trace: Trace, function: Function, columns: Sequence[Any]) -> None:
    """Raise what the function raises in eager mode for any of the samples; Python's own arithmetic counts."""
    if trace.doubts is not None and columns:
        used = {x for _, operands in trace.doubts.instructions for x in operands if isinstance(x, int)}
        numbers = dict(_numbers(trace, columns, used))
        for i in _suspects(trace.doubts, numbers, len(columns[0])):
            _call(function, sample_at(columns, i))


def refuse_batch(trace: Trace, function: Function, batch: Batch) -> None:
    """The same for a batch that has been taken apart; but a program's own arithmetic gives infinities and NaN."""
    if trace.refusals is not None:
        for i in _suspects(trace.refusals, dict(enumerate(batch.columns)), batch.length):
            numbers = [float(column[i]) for column in batch.columns]
            starts = zip(trace.shapes, starts_of(trace.shapes), strict=False)
            _call(function, [builder(shape)(numbers, start) for shape, start in starts])


def refuse_sample(trace: Trace, function: Function, numbers: Sequence[float], sample: Sequence[Any]) -> None:
    if trace.refusals is not None and any(_run(trace.refusals, numbers)):
        _call(function, sample)


def _call(function: Function, sample: Sequence[Any]) -> None:
    if function is None:
        raise ValueError(f"The function that was compiled refuses some numbers, and {sample} may be such.")
    function(*sample)


def _suspects(refusals: Tape, needed: dict[int, Any], count: int) -> Iterator[int]:
    """The samples for which one of the outputs is not 0."""
    if "numpy" not in sys.modules:
        rows = zip(*[needed.get(i, [0.0] * count) for i in range(len(refusals.inputs))], strict=True)
        yield from (i for i, row in enumerate(rows) if any(_run(refusals, [float(x) for x in row])))
        return
    import numpy

    found = numpy.zeros(count, dtype=bool)
    given = range(refusals.leaves)
    values: list[Any] = [numpy.asarray(needed[i], dtype=float) if i in needed else 0.0 for i in given]
    for operation, operands in refusals.instructions:
        arguments = tuple([values[x] if isinstance(x, int) else x for x in operands])
        if operation.vectors:
            arguments = tuple(numpy.broadcast_arrays(*arguments, found)[:-1])
        with numpy.errstate(all="ignore"):
            values.append(operation(*operation.split(arguments)))
    for x in refusals.outputs:
        found |= numpy.asarray(values[x] if isinstance(x, int) else x) != 0
    yield from numpy.flatnonzero(found).tolist()


def _run(refusals: Tape, numbers: Sequence[float]) -> list[float]:
    return refusals.run(numbers, [0.0] * len(refusals.parameters))  # on which they do not depend


def _numbers(trace: Trace, columns: Sequence[Any], used: set[int]) -> Iterator[tuple[int, Any]]:
    """Of the columns, one for each scalar of a sample, those that are used."""
    start = 0
    for column, shape in zip(columns, trace.shapes, strict=True):
        wanted = [i for i in range(shape.size) if start + i in used]
        if wanted:
            rows = column.reshape(len(column), -1).T if is_array(column) else samples([column]).columns
            yield from ((start + i, rows[i]) for i in wanted)
        start += shape.size
