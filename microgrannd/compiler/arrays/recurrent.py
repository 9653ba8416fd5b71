"""Recurrences on arrays: one step after the other, each for all samples at once; a `scan` where the library has one.

The body of a segment is printed Python, run on arrays of a number for each sample.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from microgrannd.compiler.arrays.kernel import CHUNK
from microgrannd.compiler.arrays.libraries import Library, library, operations_of, printable
from microgrannd.compiler.recurrences.derive import Pull, Rolled
from microgrannd.compiler.recurrences.python_loops import recurrent_source
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.compiler.tape.trace import Trace
from microgrannd.compiler.text.python_source import python_source
from microgrannd.operations import TABLE


class RecurrentKernel:
    """A program with recurrences, on an array library."""

    def __init__(self, program: Rolled, backend: str, *, float32: bool = False) -> None:
        self.program = program
        self.library = library(backend, float32=float32)
        self.run = self.library.compiled(_Program(program, self.library).outputs)

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        return [float(row[0]) for row in self._rows([[x] for x in inputs], parameters, 1)]

    def each(self, columns: Sequence[Any], parameters: Sequence[float], count: int, into: Sequence[Any]) -> None:
        for chunk in self._chunks(count):
            for column, row in zip(
                into, self._rows([x[chunk] for x in columns], parameters, chunk.stop - chunk.start), strict=True
            ):
                column[chunk] = row

    def total(self, columns: Sequence[Any], parameters: Sequence[float], count: int) -> Sequence[float]:
        totals = np.zeros(len(self.program.outputs))
        for chunk in self._chunks(count):
            totals += self._rows([x[chunk] for x in columns], parameters, chunk.stop - chunk.start).sum(1)
        return totals.tolist()

    def _chunks(self, count: int) -> list[slice]:
        size = max(1, CHUNK // max(1, self.program.work))
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def _rows(self, columns: Sequence[Any], parameters: Sequence[float], count: int) -> Any:
        """For each output a number for each sample."""
        inputs = np.array([np.asarray(column, dtype=float) for column in columns]).reshape(len(columns), count)
        with self.library.mode():
            found = self.run(count, self.library.array(inputs), self.library.array(np.asarray(parameters, dtype=float)))
            return np.asarray(self.library.numbers(found))


class _Program:
    """The program as a function of arrays, which changes none."""

    def __init__(self, program: Rolled, library: Library) -> None:
        self.program = program
        self.library = library
        self.pushes = [self._function(push.body) for push in program.pushes]
        self.pulls = [pull and self._function(pull.body) for pull in program.pulls]

    def _function(self, body: Tape) -> Callable[..., tuple[Any, ...]]:
        tape = expanded(body, printable(self.library))
        named = replace(tape, inputs=tuple([f"v{v}" for v in range(tape.leaves)]))
        function = python_source("step", named, "A step.", [len(named.outputs)]).compiled(operations_of(self.library))
        return function if len(named.outputs) != 1 else lambda *given: (function(*given),)

    def outputs(self, count: int, inputs: Any, parameters: Any) -> Any:
        return _Pass(self, count, inputs, parameters).outputs()


class _Pass:
    """One run: numbers and gradients so far, by input, by parameter, and by result a row for each step."""

    def __init__(self, run: _Program, count: int, inputs: Any, parameters: Any) -> None:
        self.run = run
        self.program = run.program
        self.xp = run.library.xp
        self.count = count
        self.inputs = inputs
        self.parameters = parameters
        self.results: dict[tuple[int, int], Any] = {}
        self.gradients: dict[Any, Any] = {}

    def outputs(self) -> Any:
        program = self.program
        for q in range(len(program.segments)):
            self._push(q)
        rows = [self._value(x) for x in program.tape.outputs]
        if program.gradients:
            self._add([program.tape.outputs[0]], self._number(1.0)[None])
            for q in reversed(range(len(program.segments))):
                if pull := program.pulls[q]:
                    self._pull(q, pull)
            rows += [self._gradient(v) for v in program.of]
        return self.xp.stack(rows)

    def _number(self, x: Any) -> Any:
        return self.xp.zeros(self.count, dtype=self.inputs.dtype) + x

    def _value(self, x: TapeOperand) -> Any:
        if not isinstance(x, int):
            return self._number(x)
        if x < len(self.inputs):
            return self.inputs[x]
        if x < self.program.tape.leaves:
            return self._number(self.parameters[x - len(self.inputs)])
        q, step, j = self.program.maker(x)
        return self.results[q, j][step]

    def _each(self, operands: Sequence[TapeOperand]) -> Any:
        """The values of these, a row for each step."""
        homes = {self._home(x) for x in operands}
        if len(homes) > 1 or None in homes:
            return self.xp.stack([self._value(x) for x in operands])
        [home] = homes
        rows = np.array([self._row(int(x)) for x in operands])
        return (self.inputs if home == "inputs" else self.results[home])[rows]

    def _home(self, x: TapeOperand) -> Any:
        if not isinstance(x, int) or len(self.inputs) <= x < self.program.tape.leaves:
            return None
        return "inputs" if x < len(self.inputs) else self.program.maker(x)[::2]

    def _row(self, v: int) -> int:
        return v if v < len(self.inputs) else self.program.maker(v)[1]

    def _push(self, q: int) -> None:
        segment, push = self.program.segments[q], self.program.pushes[q]
        function, initial = self.run.pushes[q], segment.initial()
        fixed = {k: self._value(read.operand) for k, read in enumerate(segment.reads) if isinstance(read, Fixed)}
        series = {k: self._each(read.operands) for k, read in enumerate(segment.reads) if isinstance(read, PerStep)}
        kept = sorted(push.kept | push.last)

        def step(carry: Any, now: Any) -> Any:
            given = fixed | now
            for k, read in enumerate(segment.reads):
                if isinstance(read, Carried):
                    given[k] = carry[read.result][read.back - 1]
            found = dict(
                zip(push.results, map(self._number, function(*[given[k] for k in range(len(given))])), strict=True)
            )
            return {j: (found[j], *own)[: len(own)] for j, own in carry.items()}, {j: found[j] for j in kept}

        carry = {j: tuple(map(self._value, operands)) for j, operands in initial.items()}
        _, rows = self.run.library.scan(step, carry, series, segment.steps)
        self.results |= {(q, j): rows[j] for j in kept}

    def _pull(self, q: int, pull: Pull) -> None:
        segment, function, uses = self.program.segments[q], self.run.pulls[q], pull.body.uses()
        assert function
        seeds = [(v, seed) for v, seed in enumerate(pull.seeds) if uses[v]]
        numbers = range(segment.start, segment.end, segment.size)
        fixed, series = dict[int, Any](), dict[int, Any]()
        for v, (kind, k) in seeds:
            if kind == "read":
                read = segment.reads[k]
                if isinstance(read, Fixed):
                    fixed[v] = self._value(read.operand)
                elif isinstance(read, PerStep):
                    series[v] = self._each(read.operands)
                else:
                    before = [self._value(x)[None] for x in reversed(read.initial)]
                    series[v] = self.xp.concatenate([*before, self.results[q, read.result][: -read.back]])
            elif kind == "result":
                series[v] = self.results[q, k]
            elif kind == "outside":
                series[v] = self.gradients.pop(
                    (q, k), self.xp.zeros((segment.steps, self.count), dtype=self.inputs.dtype)
                )
        carry = {}
        for k in pull.reads:
            read = segment.reads[k]
            if isinstance(read, Carried):
                last = numbers[-1] + read.result
                first = self._gradient(last) if k in pull.from_last else self._number(0.0)
                carry[k] = (first, *[self._number(0.0)] * (read.back - 1))
            elif isinstance(read, Fixed):
                carry[k] = (self._number(0.0),)

        def step(carry: Any, now: Any) -> Any:
            given = fixed | now
            for v, (kind, k) in seeds:
                if kind in ("carried", "total"):
                    given[v] = carry[k][0]
            found = function(*[given.get(v, 0.0) for v in range(len(pull.seeds))])
            arrived = dict(zip(pull.reads, map(self._number, found), strict=True))
            for k in carry:
                if isinstance(segment.reads[k], Fixed) and not pull.sums(k):
                    arrived[k] = carry[k][0] + arrived[k]
            after = {k: (*kept[1:], arrived[k]) for k, kept in carry.items()}
            return after, {k: x for k, x in arrived.items() if k not in carry}

        carry, rows = self.run.library.scan(step, carry, series, segment.steps, reverse=True)
        for k in pull.reads:
            arriving = rows[k] if k in rows else self.xp.stack(carry[k])
            self._add(segment.reads[k].outside(), arriving)

    def _add(self, operands: Sequence[TapeOperand], rows: Any) -> None:
        """Add a row to the gradient of each variable."""
        places: dict[Any, list[tuple[int, int]]] = {}
        for i, x in enumerate(operands):
            if isinstance(x, int) and self.program.has_gradient(x):
                home = self._home(x) or x
                places.setdefault(home, []).append((0 if home == x else self._row(x), i))
        for home, pairs in places.items():
            target, source = map(np.array, zip(*pairs, strict=True))
            if home not in self.gradients:
                size = len(self.inputs) if home == "inputs" else self._steps(home)
                self.gradients[home] = self.xp.zeros((size, self.count), dtype=self.inputs.dtype)
            self.gradients[home] = self.run.library.with_added(self.gradients[home], target, rows[source])

    def _steps(self, home: Any) -> int:
        return self.program.segments[home[0]].steps if isinstance(home, tuple) else 1

    def _gradient(self, v: int) -> Any:
        home = self._home(v) or v
        if home not in self.gradients:
            return self._number(0.0)
        return self.gradients[home][0 if home == v else self._row(v)]


def numpy_source(trace: Trace, program: Rolled, text: str) -> str:
    """The program as Python on NumPy's arrays: in the place of each number of the arguments one for each sample."""
    printed = printable(library("numpy"))
    pushes = tuple([replace(push, body=expanded(push.body, printed)) for push in program.pushes])
    pulls = tuple([pull and replace(pull, body=expanded(pull.body, printed)) for pull in program.pulls])
    source = recurrent_source(trace, replace(program, pushes=pushes, pulls=pulls), text)
    used = [name for name in (*TABLE, *_DEFINED) if re.search(rf"\b{name}\(", source.function)]
    lines = ["import math", ""] * bool({"erf", "erfc"} & set(used)) + ["import numpy as np", ""]
    for name in dict.fromkeys(used):
        row = TABLE[name]
        if name in _DEFINED:
            lines += [_DEFINED[name]]
        elif row.flag:
            lines += [f"def {name}(x, y):", f"    return np.where(np.{row.numpy}(x, y), 1.0, 0.0)", ""]
        elif name not in source.foreign and row.numpy:
            lines += [f"{name} = np.{row.numpy}"]
    function = re.sub(r"^( +)(.+) \+= ", r"\1\2 = \2 + ", source.function, flags=re.MULTILINE)  # no array is changed
    return "\n".join([*lines, "", function])


_DEFINED: Final = {
    "where": "def where(condition, x, y):\n    return np.where(condition != 0, x, y)\n",
    "contribution": (
        "def contribution(upstream, local_gradient):\n"
        "    return np.where(upstream != 0, upstream * local_gradient, 0.0)\n"
    ),
    "dot": "def dot(xs, ys, start=0.0):\n    return sum([x * y for x, y in zip(xs, ys)], start)\n",
    "logsumexp": "logsumexp = np.logaddexp.reduce",
    "erf": "erf = np.vectorize(math.erf)",
    "erfc": "erfc = np.vectorize(math.erfc)",
}
