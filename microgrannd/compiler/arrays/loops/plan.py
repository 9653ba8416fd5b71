"""Which arrays of a recording are put in memory, and where: results in one array, all else in a reused workspace."""

import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from microgrannd.compiler.arrays.loops.strides import SAMPLES, Sizes
from microgrannd.compiler.arrays.loops.symbolic import Argument, Array, ArrayRecording, Elementwise, Table, operands_of


class Extent(NamedTuple):
    """A length in numbers, or an offset: a fixed part, and a part for each sample."""

    fixed: int
    per_sample: int

    def at(self, samples: int) -> int:
        return self.fixed + samples * self.per_sample


class Result(NamedTuple):
    start: Extent
    shape: Sizes


class LoopPlan(NamedTuple):
    needed: list[Array]
    numbers: dict[Array, int]
    results: list[Result]
    offsets: dict[Array, Extent]
    length: Extent  # of all results
    workspace: Extent


def loop_plan(recording: ArrayRecording, results: Sequence[Array]) -> LoopPlan:
    numbers = _numbered(results)
    written = [x for _, x in recording.writes]
    needed = _needed(recording.arrays, [*numbers, *written, *[place.source for place, _ in recording.writes]])
    rows, length = _in_a_row(numbers)
    offsets, workspace = _placed(needed, numbers, written)
    return LoopPlan(needed, numbers, rows, offsets, length, workspace)


def _numbered(results: Sequence[Array]) -> dict[Array, int]:
    """The results with their numbers; what is there already, or comes twice, as a copy."""
    numbers: dict[Array, int] = {}
    for k, x in enumerate(results):
        own = x.materialised and not isinstance(x.definition, Argument | Table) and x not in numbers
        numbers[x if own else x.copied()] = k
    return numbers


def _needed(arrays: Sequence[Array], results: Iterable[Array]) -> list[Array]:
    counts = Counter(results)
    for x in reversed(arrays):
        if x in counts:
            counts.update(operands_of(x))
            if isinstance(x.definition, Elementwise) and counts[x] > 1:
                x.materialised = True
    return [x for x in arrays if x in counts]


def _in_a_row(arrays: Iterable[Array]) -> tuple[list[Result], Extent]:
    ends = [0, 0]
    starts = []
    for x in arrays:
        varies, size = _size(x)
        starts.append((x, varies, ends[varies]))
        ends[varies] += size
    return [Result(_offset(ends[0], varies, start), x.sizes) for x, varies, start in starts], Extent(*ends)


def _size(x: Array) -> tuple[bool, int]:
    """Whether there is one for each sample, and how many numbers it has, or has for each."""
    varies = x.sizes[:1] == (SAMPLES,)
    return varies, math.prod(x.sizes[varies:])


def _offset(fixed: int, varies: bool, start: int) -> Extent:
    return Extent(fixed, start) if varies else Extent(start, 0)


def _placed(
    needed: Sequence[Array], results: Container[Array], written: Iterable[Array]
) -> tuple[dict[Array, Extent], Extent]:
    """Where in the workspace each array begins, and how long that is; `written` is read last of all."""
    computed = [x for x in needed if x.materialised and not isinstance(x.definition, Argument | Table)]
    last: dict[Array, int] = {}
    for i, x in enumerate(computed):
        for source in _sources(x):
            last[source] = i
    for x in written:
        last |= dict.fromkeys([x, *_sources(x)], len(computed))
    ends = [0, 0]
    starts: dict[Array, tuple[bool, int]] = {}
    free: dict[tuple[bool, int], list[int]] = {}
    for i, x in enumerate(computed):
        if x not in results:
            varies, size = _size(x)
            vacant = free.get((varies, size))
            start = vacant.pop() if vacant else ends[varies]
            ends[varies] = max(ends[varies], start + size)
            starts[x] = varies, start
        for source in _sources(x):
            if last[source] == i and source in starts:
                free.setdefault(_size(source), []).append(starts[source][1])
    return {x: _offset(ends[0], varies, start) for x, (varies, start) in starts.items()}, Extent(*ends)


def _sources(x: Array) -> list[Array]:
    sources, waiting = [], list(operands_of(x))
    while waiting:
        y = waiting.pop()
        if y.materialised:
            sources.append(y)
        else:
            waiting += operands_of(y)
    return list(dict.fromkeys(sources))
