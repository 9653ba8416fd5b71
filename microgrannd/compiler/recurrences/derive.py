"""The backward pass of a tape in segments: the body of each segment is differentiated once, and runs in reverse."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Literal, NamedTuple

from microgrannd.calculus.passes import Slope, pulled_back
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep, Read, Segment
from microgrannd.compiler.tape.simplify import simplify
from microgrannd.compiler.tape.tape import Instruction, Tape, TapeOperand
from microgrannd.compiler.tape.trace import instructions_of, operand_of
from microgrannd.engine import Value
from microgrannd.ground import modes


class Seed(NamedTuple):
    """An input of a reverse body, by number of the read or the result.

    The value of a "read" or a "result" in the step; the gradient that has arrived from "outside" at a result; what the
    step that used a "carried" read handed back to the result; the "total" of a fixed read's gradient so far.
    """

    kind: Literal["read", "result", "outside", "carried", "total"]
    number: int


@dataclass(frozen=True)
class Push:
    """One step of a segment: the inputs are the segment's reads, the outputs these results.

    They are carried, or kept for another segment, the reverse or an output; of some only the last step's is.
    """

    results: tuple[int, ...]
    body: Tape
    kept: frozenset[int]
    last: frozenset[int]


@dataclass(frozen=True)
class Pull:
    """One step of a segment in reverse.

    Its inputs are `seeds`; its outputs are what arrives at `reads`: for a carried one what is handed back, for a fixed
    one that `sums` the new total, for any other what is added to the gradient of what was read. Where `from_last` has a
    carried read and its result, the gradient from outside arrives there in the last step alone, and starts what is
    handed back.
    """

    seeds: tuple[Seed, ...]
    reads: tuple[int, ...]
    from_last: dict[int, int]
    body: Tape

    def sums(self, k: int) -> bool:
        """Whether the total of a fixed read's gradient goes in, to come out with this step's part."""
        return Seed("total", k) in self.seeds

    def needs(self, kind: str) -> list[int]:
        """The numbers of the seeds of this kind that the body reads."""
        uses = self.body.uses()
        return [seed.number for v, seed in enumerate(self.seeds) if seed.kind == kind and uses[v]]


@dataclass(frozen=True)
class Rolled:
    """A program in segments, each with a step forward and, for gradients by the leaves `of`, a step in reverse."""

    tape: Tape
    segments: tuple[Segment, ...]
    pushes: tuple[Push, ...]
    pulls: tuple[Pull | None, ...]
    of: range
    gradients: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.tape.inputs

    @property
    def parameters(self) -> tuple[str, ...]:
        return self.tape.parameters

    @property
    def outputs(self) -> range:
        """As many as there are."""
        return range(1 + len(self.of) if self.gradients else len(self.tape.outputs))

    @property
    def instructions(self) -> list[Instruction]:
        """Those of all bodies, each once."""
        return [line for step in (*self.pushes, *self.pulls) if step for line in step.body.instructions]

    @property
    def work(self) -> int:
        """How many instructions run."""
        each = zip(self.segments, self.pushes, self.pulls, strict=True)
        return sum(one.steps * sum(len(step.body.instructions) for step in steps if step) for one, *steps in each)

    def maker(self, v: int) -> tuple[int, int, int]:
        """The segment, the step and the instruction that make a variable."""
        q = bisect(self.segments, v, key=start_of) - 1
        return q, *divmod(v - self.segments[q].start, self.segments[q].size)

    def before(self, q: int, j: int) -> int:
        """How many numbers from before the first step are kept with those of a result, for the reverse."""
        segment, pull = self.segments[q], self.pulls[q]
        needed = [segment.reads[k] for k in pull.needs("read")] if pull else []
        return max([read.back for read in needed if isinstance(read, Carried) and read.result == j], default=0)

    def arrives_last(self, q: int, j: int) -> bool:
        """Whether the gradient from outside arrives at this result in the last step alone."""
        pull = self.pulls[q]
        return pull is not None and j in pull.from_last.values()

    def has_gradient(self, x: TapeOperand) -> bool:
        """Whether a gradient is asked for at a variable."""
        if not isinstance(x, int) or x < self.tape.leaves:
            return x in self.of if isinstance(x, int) else False
        q, _, j = self.maker(x)
        pull = self.pulls[q]
        return pull is not None and (Seed("outside", j) in pull.seeds or self.arrives_last(q, j))


def rolled(
    tape: Tape,
    segments: Sequence[Segment],
    numbers: Sequence[float],
    of: range = range(0),
    *,
    gradients: bool = False,
    guarded: bool = False,
) -> Rolled:
    """The tape's outputs or, with `gradients`, its single output and the gradients by the leaves `of`.

    `numbers` are the leaves'. Unless the gradients are `guarded`, they are taken for finite where these are.
    """
    segments = tuple(segments)
    program = Rolled(tape, segments, (), (None,) * len(segments), of, gradients)
    pulls = tuple(_Reverse(program, numbers, guarded).pulls()) if gradients else program.pulls
    kept: list[set[int]] = [set() for _ in segments]
    last: list[set[int]] = [set() for _ in segments]
    for x in (*tape.outputs, *[x for segment in segments for read in segment.reads for x in read.outside()]):
        if isinstance(x, int) and x >= tape.leaves:
            q, step, j = program.maker(x)
            (last if step == segments[q].steps - 1 > 0 else kept)[q].add(j)
    for own, segment, pull in zip(kept, segments, pulls, strict=True):
        if pull:
            own.update(pull.needs("result"))
            own.update(read.result for k in pull.needs("read") if isinstance(read := segment.reads[k], Carried))
    return replace(program, pushes=tuple(map(_push, segments, kept, last)), pulls=pulls)


def start_of(segment: Segment) -> int:
    return segment.start


def _push(segment: Segment, kept: set[int], last: set[int]) -> Push:
    results = sorted(kept | last | {read.result for read in segment.reads if isinstance(read, Carried)})
    body = segment.body.with_outputs([segment.body.leaves + j for j in results])
    return Push(tuple(results), simplify(replace(body, forward=segment.size)), frozenset(kept), frozenset(last - kept))


class _Reverse:
    def __init__(self, program: Rolled, numbers: Sequence[float], guarded: bool) -> None:
        self.program = program
        self.segments = program.segments
        self.leaves = program.tape.leaves
        self.guarded = guarded
        self.given = nan if guarded else 1.0  # for a gradient that arrives
        self.numbers = numbers
        self.firsts: list[list[float]] = []  # by segment: the numbers of its reads and results in the first step
        self.active: list[set[int]] = []  # by segment: the results that depend on the leaves `of`
        # By segment and result: the steps at which a gradient arrives from outside.
        self.arrived: list[dict[int, set[int]]] = [{} for _ in self.segments]
        self.leaves_with = set[int]()  # the leaves with one

    def pulls(self) -> list[Pull | None]:
        for segment in self.segments:
            self._look(segment)
        [output] = self.program.tape.outputs
        self._arrives(output)
        return [self._pull(q) for q in reversed(range(len(self.segments)))][::-1]

    def _look(self, segment: Segment) -> None:
        """The numbers of a segment's first step, and which of its results depend on the leaves."""
        given = [nan if self.guarded else self._first(read.first()) for read in segment.reads]
        for row, operands in segment.body.instructions:
            given.append(float(row.forward(*[given[x] if isinstance(x, int) else x for x in operands])))
        self.firsts.append(given)
        active, reads, before = set[int](), len(segment.reads), -1
        self.active.append(active)
        while len(active) > before:
            before = len(active)
            live = {k for k, read in enumerate(segment.reads) if self._is_active(read, active)}
            for j, (_, operands) in enumerate(segment.body.instructions):
                if any(x in live for x in operands if isinstance(x, int)):
                    live.add(reads + j)
                    active.add(j)

    def _first(self, x: TapeOperand) -> float:
        if not isinstance(x, int):
            return x
        if x < self.leaves:
            return self.numbers[x]
        q, _, j = self.program.maker(x)
        return self.firsts[q][len(self.segments[q].reads) + j]

    def _depends(self, x: TapeOperand) -> bool:
        if not isinstance(x, int):
            return False
        if x < self.leaves:
            return x in self.program.of
        q, _, j = self.program.maker(x)
        return j in self.active[q]

    def _is_active(self, read: Read, active: set[int]) -> bool:
        return (isinstance(read, Carried) and read.result in active) or any(map(self._depends, read.outside()))

    def _arrives(self, x: TapeOperand) -> None:
        """Note that a gradient arrives at a variable, if any is asked for."""
        if not isinstance(x, int) or not self._depends(x):
            return
        if x < self.leaves:
            self.leaves_with.add(x)
        else:
            q, step, j = self.program.maker(x)
            self.arrived[q].setdefault(j, set()).add(step)

    def _has_arrived(self, x: TapeOperand) -> bool:
        if not isinstance(x, int) or x < self.leaves:
            return x in self.leaves_with
        q, step, j = self.program.maker(x)
        return step in self.arrived[q].get(j, ())

    def _pull(self, q: int) -> Pull | None:
        segment = self.segments[q]
        live = [k for k, read in enumerate(segment.reads) if self._is_active(read, self.active[q])]
        if not self.arrived[q]:
            return None
        pull = self._step(q, live)
        while len(pull.reads) < len(live):  # without those at which nothing arrives
            live = list(pull.reads)
            pull = self._step(q, live)
        for k in live:
            for x in segment.reads[k].outside():
                self._arrives(x)
        return pull

    def _step(self, q: int, live: Sequence[int]) -> Pull:
        segment, arrived, reads = self.segments[q], self.arrived[q], len(self.segments[q].reads)
        carried = {k: read for k in live if isinstance(read := segment.reads[k], Carried)}
        last = [j for j, steps in arrived.items() if segment.steps > 1 and steps == {segment.steps - 1}]
        handing = {read.result: k for k, read in carried.items() if read.back == 1}
        from_last = {handing[j]: j for j in last if j in handing}
        # No total of what other steps' reads add to meanwhile.
        series = {x for k in live if isinstance(read := segment.reads[k], PerStep) for x in read.operands}
        totals = [
            k
            for k in live
            if isinstance(read := segment.reads[k], Fixed)
            and (read.operand not in series if segment.steps > 1 else self._has_arrived(read.operand))
        ]
        [output] = self.program.tape.outputs
        whole = {j for j in arrived if segment.steps == 1 and output == segment.start + j}  # the gradient by itself
        seeds = [
            *[Seed("read", k) for k in range(reads)],
            *[Seed("result", j) for j in range(segment.size)],
            *[Seed("outside", j) for j in arrived if j not in whole and j not in from_last.values()],
            *[Seed("carried", k) for k in carried],
            *[Seed("total", k) for k in totals],
        ]
        with modes.tracing() as nodes:
            variables = segment.body.record([Value(x) for x in self.firsts[q][:reads]])
            for v, label in segment.body.labels.items():
                if isinstance(variables[v], Value):
                    variables[v].label = label
            places = {node: v for v, node in enumerate(variables) if isinstance(node, Value)}
            before = len(nodes)
            upstream: dict[Value, Slope] = {variables[reads + j]: 1.0 for j in whole}
            for v, (kind, number) in enumerate(seeds[len(variables) :], len(variables)):
                gradient = Value(self.given)
                places[gradient] = v
                k = number if kind == "total" else reads + (number if kind == "outside" else carried[number].result)
                node = variables[k]
                upstream[node] = upstream[node] + gradient if node in upstream else gradient
            found = pulled_back(upstream, [variables[k] for k in live])
        arriving = [
            (k, slope)
            for k, slope in zip(live, found, strict=True)
            if slope is not None and slope is not upstream.get(variables[k])
        ]
        instructions = instructions_of(nodes[before:], places)
        labels = {places[node]: node.label for node in nodes[before:] if node.label}
        outputs = tuple([operand_of(slope, places) if isinstance(slope, Value) else slope for _, slope in arriving])
        body = Tape(("",) * len(seeds), (), instructions, outputs, len(instructions), labels)
        return Pull(tuple(seeds), tuple([k for k, _ in arriving]), from_last, simplify(body))
