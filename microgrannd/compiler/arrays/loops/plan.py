"""Which arrays of a recording are put down in memory, and where.

What nothing needs is left out; what is needed twice is made once. The results lie in a row, and what comes in
between in a workspace, whose places are used again. This room may import the symbolic arrays.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from microgrannd.compiler.arrays.loops.strides import SAMPLES, Shape
from microgrannd.compiler.arrays.loops.symbolic import Apply, Array, Given, Recording, Table, operands


class Room(NamedTuple):
    """A number of numbers, or how far in: so many, and so many more for each sample."""

    fixed: int
    per_sample: int

    def of(self, samples: int) -> int:
        """How many for so many samples."""
        return self.fixed + samples * self.per_sample


class Result(NamedTuple):
    """A result: where in the row of all results it begins, and its shape."""

    start: Room
    shape: Shape


class LoopPlan(NamedTuple):
    """What is made, in order; the results, each with its number; where each array in the workspace begins."""

    needed: list[Array]
    numbers: dict[Array, int]
    results: list[Result]
    places: dict[Array, Room]
    room: Room
    work: Room


def loop_plan(recording: Recording, results: Sequence[Array]) -> LoopPlan:
    """The plan for these results and for what is written over arguments."""
    numbers = _apart(results)
    written = [x for _, x in recording.writes]
    needed = _needed(recording.arrays, [*numbers, *written, *[place.source for place, _ in recording.writes]])
    row, room = _in_a_row(numbers)
    places, work = _placed(needed, numbers, written)
    return LoopPlan(needed, numbers, row, places, room, work)


def _apart(results: Sequence[Array]) -> dict[Array, int]:
    """The results with their numbers; what is there already, or comes twice, as a copy."""
    found: dict[Array, int] = {}
    for k, x in enumerate(results):
        own = x.stands and not isinstance(x.making, Given | Table) and x not in found
        found[x if own else x.copied()] = k
    return found


def _needed(arrays: Sequence[Array], results: Iterable[Array]) -> list[Array]:
    """What the results are made of, in order; what is needed twice is put down in memory."""
    counts = Counter(results)
    for x in reversed(arrays):
        if x in counts:
            counts.update(operands(x))
            if isinstance(x.making, Apply) and counts[x] > 1:
                x.stands = True
    return [x for x in arrays if x in counts]


def _in_a_row(arrays: Iterable[Array]) -> tuple[list[Result], Room]:
    """The arrays one behind the other, those that have no samples' axis first."""
    ends = [0, 0]
    starts = []
    for x in arrays:
        varies, size = _size(x)
        starts.append((x, varies, ends[varies]))
        ends[varies] += size
    return [Result(_room(ends[0], varies, start), x.sizes) for x, varies, start in starts], Room(*ends)


def _size(x: Array) -> tuple[bool, int]:
    """Whether there is one for each sample, and how many numbers it has, or has for each."""
    varies = x.sizes[:1] == (SAMPLES,)
    return varies, math.prod(x.sizes[varies:])


def _room(fixed: int, varies: bool, start: int) -> Room:
    return Room(fixed, start) if varies else Room(start, 0)


def _placed(
    needed: Sequence[Array], results: Container[Array], written: Iterable[Array]
) -> tuple[dict[Array, Room], Room]:
    """Where in the workspace each array begins.

    A place is used again once nothing that comes later reads what is there, what is `written` last of all.
    """
    made = [x for x in needed if x.stands and not isinstance(x.making, Given | Table)]
    last: dict[Array, int] = {}
    for i, x in enumerate(made):
        for source in _sources(x):
            last[source] = i
    for x in written:
        last |= dict.fromkeys([x, *_sources(x)], len(made))
    ends = [0, 0]
    found: dict[Array, tuple[bool, int]] = {}
    free: dict[tuple[bool, int], list[int]] = {}
    for i, x in enumerate(made):
        if x not in results:
            varies, size = _size(x)
            vacant = free.get((varies, size))
            start = vacant.pop() if vacant else ends[varies]
            ends[varies] = max(ends[varies], start + size)
            found[x] = varies, start
        for source in _sources(x):
            if last[source] == i and source in found:
                free.setdefault(_size(source), []).append(found[source][1])
    return {x: _room(ends[0], varies, start) for x, (varies, start) in found.items()}, Room(*ends)


def _sources(x: Array) -> list[Array]:
    """The arrays in memory from which one is made."""
    found, waiting = [], list(operands(x))
    while waiting:
        y = waiting.pop()
        if y.stands:
            found.append(y)
        else:
            waiting += operands(y)
    return list(dict.fromkeys(found))
