"""Finding recurrences on a tape: where the same operations come over and over, and each step reads the one before.

A text with a letter for each instruction shows where operations repeat; then each operand must be of one kind at all
steps: a result of so many steps ago, the same from outside, or something else from outside each time.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from microgrannd import operations as ops
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep, Read, Segment
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Tape, TapeOperand, rewrite
from microgrannd.operations import Operation

FEWEST: Final = 150  # instructions of a program that has loops
SMALLEST: Final = 100  # instructions in all steps of a recurrence
FEWEST_STEPS: Final = 8
STRAIGHT: Final = 200  # instructions of a segment that runs once; beyond them another begins
_LONG: Final = 32  # operands of a sum; a longer one is a chain of additions, and that is a recurrence
_SUMS: Final = (ops.sum, ops.mean, ops.dot)
_WINDOW: Final = 16  # instructions that must come again
_LONGER: Final = (64, 256, 1024, 4096)  # windows, for a body in which lines repeat
_MOST_BACK: Final = 4
_FREE: Final = 64  # letters searched for each instruction: they take less time than anything else
_MOST_CHANGES: Final = 8  # of what is read, in a run of the same operations


def recurrences(tape: Tape) -> tuple[Tape, list[Segment]] | None:
    """The tape, its long sums spelled out, and its segments; None where recurrences do not make up most of it."""
    if len(tape.instructions) < FEWEST:
        return None
    tape = with_chains(tape)
    loops = list(_loops(tape))
    saved = sum((loop.steps - 1) * loop.size for loop in loops)
    return (tape, list(_with_straight_lines(tape, loops))) if 2 * saved > len(tape.instructions) else None


def _with_straight_lines(tape: Tape, loops: Sequence[Segment]) -> Iterator[Segment]:
    done = tape.leaves
    for loop in loops:
        yield from _straight(tape, done, loop.start)
        yield loop
        done = loop.end
    yield from _straight(tape, done, tape.leaves + len(tape.instructions))


def with_chains(tape: Tape) -> Tape:
    """Long sums as chains of additions, in the order in which `sum` adds."""
    long = any(len(operands) >= _LONG for _, operands in tape.instructions)
    return rewrite(tape, _chain, only=_SUMS) if long else tape


def _chain(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
    if operation not in _SUMS or len(operands) < _LONG:
        return None
    total: TapeOperand = 0.0
    if operation is ops.dot:
        half = len(operands) // 2
        total = operands[-1] if len(operands) % 2 else 0.0
        operands = tuple(
            [writer.place(ops.mul, pair) for pair in zip(operands[:half], operands[half : 2 * half], strict=True)]
        )
    for x in operands:
        total = writer.place(ops.add, (total, x))
    return writer.place(ops.div, (total, float(len(operands)))) if operation is ops.mean else total


def _straight(tape: Tape, start: int, end: int) -> Iterator[Segment]:
    for first in range(start, end, STRAIGHT):
        found = _segment(tape, first - tape.leaves, min(STRAIGHT, end - first), 1)
        assert isinstance(found, Segment)  # a single step is always regular
        yield found


def _loops(tape: Tape) -> Iterator[Segment]:
    """The recurrences in the order of the tape; none lies in another."""
    letters: dict[tuple[Operation, int], str] = {}
    text = "".join(
        [letters.setdefault((row, len(operands)), chr(33 + len(letters))) for row, operands in tape.instructions]
    )
    search, following = _Search(tape, text), _following(text)
    k, last = 0, len(text) - _WINDOW
    while k < last:
        period = following[k]
        if period and search.is_plausible(k, period) and (loops := search.loops_at(k, period)):
            yield from loops
            k = loops[-1].end - tape.leaves
        else:
            k += 1


def _following(text: str) -> list[int]:
    """For each place, how far away the same window comes next; 0 where it does not."""
    distances, last = [0] * len(text), dict[str, int]()
    for k in range(len(text) - _WINDOW, -1, -1):
        window = text[k : k + _WINDOW]
        distances[k] = last.get(window, k) - k
        last[window] = k
    return distances


class _Search:
    """What has been tried: by period up to where it does not do, and from where on to look for long periods again."""

    def __init__(self, tape: Tape, text: str) -> None:
        self.tape = tape
        self.text = text
        self.refused: dict[int, int] = {}
        self.next_long = 0

    def is_plausible(self, k: int, period: int) -> bool:
        """Whether a look is worth while: the window is there once more after some steps, or longer ones are due."""
        later = k + (FEWEST_STEPS - 2) * period
        again = self.text[k : k + _WINDOW] == self.text[later : later + _WINDOW]
        return k >= self.next_long or (again and self.refused.get(period, 0) <= k)

    def loops_at(self, k: int, period: int) -> list[Segment]:
        """The recurrences of the period that covers most from here on; several where what is read changes."""
        periods = {period, *self._longer(k)}
        runs = [(_run(self.text, k, p), p) for p in periods if self.refused.get(p, 0) <= k]
        for length, p in sorted(runs, key=lambda run: (run[0] // run[1] * run[1], -run[1]), reverse=True):
            if length >= FEWEST_STEPS * p:
                start = k + _seam(self.tape, k, p)
                if loops := list(_regular(self.tape, start, p, (k + length - start) // p)):
                    return loops
            self.refused[p] = k + max(1, length - p)
        return []

    def _longer(self, k: int) -> Iterator[int]:
        """Periods that longer windows show. What is searched in vain is paid for by the places that follow."""
        if k < self.next_long:
            return
        end = k + (len(self.text) - k) // FEWEST_STEPS
        for window in _LONGER:
            again = self.text.find(self.text[k : k + window], k + 1, end + window)
            self.next_long = max(self.next_long, k + ((again if again > 0 else end) - k) // _FREE)
            if again > 0:
                yield again - k


def _run(text: str, k: int, period: int) -> int:
    """How many letters from here on are one period, and those that are like the ones a period before."""
    same, step, most = 0, _WINDOW, len(text) - k - period
    while step:  # in steps that grow as long as all is alike, and shrink from then on: comparing slices is quick
        end = min(same + step, most)
        if text[k + same : k + end] == text[k + period + same : k + period + end]:
            same, step = end, step * 2 if end < most else 0
        else:
            most, step = end - 1, min(step, end - same) // 2
    return same + period


def _regular(tape: Tape, k: int, size: int, steps: int) -> Iterator[Segment]:
    """The recurrences of this size in so many steps from k on."""
    for _ in range(_MOST_CHANGES):
        if steps < FEWEST_STEPS:
            return
        found = _segment(tape, k, size, steps)
        if isinstance(found, Segment):
            if found.agrees() and found.end - found.start >= SMALLEST:
                yield found
            return
        yield from _regular(tape, k, size, found if found < steps else 0)
        k += found * size
        steps -= found


def _seam(tape: Tape, k: int, size: int) -> int:
    """Where a step begins: where the fewest numbers are carried on to the next."""
    read_by = [0] * size  # by result: how far away its last reader is
    for j in range(size):
        v = tape.leaves + k + size + j
        for x in tape.instructions[v - tape.leaves].operands:
            if isinstance(x, int) and x >= tape.leaves + k:
                maker = (x - tape.leaves - k) % size
                read_by[maker] = max(read_by[maker], min(v - x, size))
    change = [0] * (2 * size + 1)
    for j, distance in enumerate(read_by):
        change[j + 1] += 1
        change[j + 1 + distance] -= 1
    crossing = list(accumulate(change))
    return min(range(size), key=lambda j: crossing[j] + crossing[j + size])


def _segment(tape: Tape, k: int, size: int, steps: int) -> Segment | int:
    """Instructions from k on as a segment; where not all steps are regular, the first with which they may be."""
    start, reads, operands = tape.leaves + k, dict[Read, int](), list[list[TapeOperand]]()
    first = 0
    for j in range(size):
        column = [xs for _, xs in tape.instructions[k + j : k + steps * size : size]]
        own = list[TapeOperand]()
        for entries in zip(*column, strict=True):
            found = _read(entries, start, start + j, size)
            if isinstance(found, int):
                first = max(first, found)
            elif isinstance(found, Carried) and not found.back:
                own.append(-1 - found.result)  # an own result, until it is known how many reads there are
            else:
                own.append(found if isinstance(found, float) else reads.setdefault(found, len(reads)))
        operands.append(own)
    if first:
        return first
    body = tuple(
        [
            Instruction(row, tuple([len(reads) - 1 - x if isinstance(x, int) and x < 0 else x for x in xs]))
            for (row, _), xs in zip(tape.instructions[k : k + size], operands, strict=True)
        ]
    )
    labels = {len(reads) + j: tape.labels[start + j] for j in range(size) if start + j in tape.labels}
    return Segment(start, steps, Tape(("",) * len(reads), (), body, (), 0, labels), tuple(reads))


def _read(entries: tuple[TapeOperand, ...], start: int, v: int, size: int) -> Read | float | int:
    """What an operand is at all steps, of an instruction that makes variable v at the first.

    Where it is nothing regular: the first step from which on it may be.
    """
    last, steps = entries[-1], len(entries)
    away = v + (steps - 1) * size - last if isinstance(last, int) else 0
    back = -((v - away - start) // size)
    if isinstance(last, int) and last >= start and back <= _MOST_BACK:
        irregular = next((i for i in range(steps - 1, -1, -1) if entries[i] != v - away + i * size), -1) + 1
        initial = entries[:back]
        if irregular > back or any(isinstance(x, int) and x >= start for x in initial):
            return max(irregular - back, 1)
        return Carried((v - away - start) % size, back, initial[::-1])
    if isinstance(last, float):
        if len(set(map(repr, entries))) == 1:  # 0.0 is not -0.0
            return last
    elif last < start and entries.count(last) == steps and not any(isinstance(x, float) for x in entries):
        return Fixed(last)
    inside = [(x - start) // size for x in entries if isinstance(x, int) and x >= start]  # the steps that made them
    if not inside:
        return PerStep(entries)
    latest = next(i for i in range(steps - 1, -1, -1) if isinstance(x := entries[i], int) and x >= start)
    return 1 + min(max(inside), latest)
