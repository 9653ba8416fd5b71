"""Python source with loops: each recurrence as a `for`, and its gradients as backpropagation through time."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from microgrannd.compiler.recurrences.derive import Pull, Rolled, Seed
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep
from microgrannd.compiler.recurrences.stepping import position, stepping
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.compiler.tape.trace import Trace
from microgrannd.compiler.text.python_source import Assignments, Source, Vocabulary, wrapped
from microgrannd.ground.nests import builder, paths, starts_of
from microgrannd.operations import add
from microgrannd.printing.labels import in_docstring
from microgrannd.printing.printer import Expression
from microgrannd.printing.python import exact

_THROUGH_TIME: Final = "# backpropagation through time: each step hands back to the one before it"


def recurrent_source(trace: Trace, program: Rolled, text: str) -> Source:
    """The program as a function of the arguments, as they are called with, and of the parameters.

    It returns the outputs as a tuple or, where it has gradients, the value and a tuple of them.
    """
    return _Function(trace, program).source(text)


class _Function:
    def __init__(self, trace: Trace, program: Rolled) -> None:
        self.program = program
        self.vocabulary = Vocabulary()
        names = self.vocabulary.names
        self.name = names.identifier(trace.name)
        self.arguments = [names.identifier(name) for name in trace.names]
        parameters = [names.identifier(name) for name in program.tape.parameters]
        self.head = ", ".join([*self.arguments, *parameters])
        self.index = names.identifier("i")
        self.scalars: dict[int, Expression] = {}  # how a leaf or the result of a segment that runs once is written
        self.cells: dict[int, str] = {}  # and the gradient that arrives at it
        self.sizes: dict[str, int] = {}  # of the lists among those
        for name, shape, start in zip(self.arguments, trace.shapes, starts_of(trace.shapes), strict=False):
            gradient = names.identifier(f"d_{name}")
            nest = builder(shape)(range(shape.size), 0)
            for k, path in enumerate(paths(nest, name)):
                self.scalars[start + k] = Expression(path)
                self.cells[start + k] = gradient if shape.kind is None else f"{gradient}[{k}]"
            if shape.kind is not None:
                self.sizes[gradient] = shape.size
        for v, name in enumerate(parameters, len(program.tape.inputs)):
            self.scalars[v] = Expression(name)
            self.cells[v] = names.identifier(f"d_{name}")
        self.lists: dict[tuple[int, int], tuple[str, int]] = {}  # of a loop's results, and how many come before them
        self.bases: dict[tuple[int, int], str] = {}  # what a loop's result is called in a step
        self.lines: list[str] = []
        self.tables: list[str] = []
        self.known: set[str] = set()  # gradients that have a number

    def source(self, text: str) -> Source:
        program = self.program
        for q, segment in enumerate(program.segments):
            if segment.steps == 1:
                self._once(q)
            else:
                self._loop(q)
        gradients = program.gradients
        if gradients:
            self.lines += ["", _THROUGH_TIME]
            for q in reversed(range(len(program.segments))):
                pull = program.pulls[q]
                if pull and program.segments[q].steps == 1:
                    self._once_back(q, pull)
                elif pull:
                    self._loop_back(q, pull)
        returned = self._returned(gradients)
        lines = [in_docstring(text), *self.tables, *self.lines, "", *wrapped("return ", returned)]
        return self.vocabulary.source(self.name, f"({self.head})", lines)

    # Forward

    def _once(self, q: int) -> None:
        segment, push = self.program.segments[q], self.program.pushes[q]
        outputs = {x: segment.start + j for j, x in zip(push.results, push.body.outputs, strict=True)}
        named = {x: "value" for x, v in outputs.items() if v == self.program.tape.outputs[0] and isinstance(x, int)}
        lines = self._body(push.body, [self._operand(read.first()) for read in segment.reads], "t", named)
        self.lines += lines.lines()
        for j, x in zip(push.results, push.body.outputs, strict=True):
            self.scalars[segment.start + j] = lines.operand(x)

    def _loop(self, q: int) -> None:
        segment, push = self.program.segments[q], self.program.pushes[q]
        names = self.vocabulary.names
        labels, first = segment.body.labels, len(segment.reads)
        bases = {j: labels.get(first + j) or self.vocabulary.temporary("s") for j in push.results}
        before = {
            j: [names.identifier(f"{bases[j]}_before{'' if b == 0 else b + 1}") for b in range(len(operands))]
            for j, operands in segment.initial().items()
        }
        for j, operands in segment.initial().items():
            for register, x in zip(before[j], operands, strict=True):
                self.lines += wrapped(f"{register} = ", exact(self._operand(x)).text())
        for j in sorted(push.kept):
            name, count = names.identifier(f"{bases[j]}s"), self.program.before(q, j)
            self.lists[q, j] = name, count
            self.lines.append(f"{name} = [{', '.join(before[j][:count][::-1] if count else [])}]")
        written = [
            Expression(before[read.result][read.back - 1]) if isinstance(read, Carried) else self._each(read)
            for read in segment.reads
        ]
        outputs = zip(push.results, push.body.outputs, strict=True)
        named = {x: bases[j] for j, x in outputs if isinstance(x, int) and x >= push.body.leaves}
        lines = self._body(push.body, written, "t", named)
        self.lines.append(f"for {self.index} in range({segment.steps}):")
        inner = lines.lines()
        results = {j: exact(lines.operand(x)).text() for j, x in zip(push.results, push.body.outputs, strict=True)}
        inner += [f"{self.lists[q, j][0]}.append({results[j]})" for j in sorted(push.kept)]
        self.bases |= {(q, j): base for j, base in bases.items()}
        moves = [
            (register, source)
            for j, own in before.items()
            for register, source in zip(own, [results[j], *own], strict=False)
        ]
        inner += _together(moves)
        self.lines += [f"    {line}" for line in inner]
        for j in push.last:
            self.scalars[segment.last(j)] = Expression(results[j])

    def _body(self, tape: Tape, written: Sequence[Expression], letter: str, named: dict[int, str]) -> Assignments:
        labelled = Tape(tape.inputs, (), tape.instructions, tape.outputs, len(tape.instructions), tape.labels | named)
        return Assignments(labelled, self.vocabulary, written, letter)

    def _operand(self, x: TapeOperand) -> Expression:
        if not isinstance(x, int):
            return self.vocabulary.number(x)
        if x in self.scalars:
            return self.scalars[x]
        q, step, j = self.program.maker(x)
        name, before = self.lists[q, j]
        return Expression(f"{name}[{step + before}]")

    def _each(self, read: Fixed | PerStep) -> Expression:
        """What a loop reads from outside in step `i`."""
        if isinstance(read, Fixed):
            return self._operand(read.operand)
        texts = [exact(self._operand(x)).text() for x in read.operands]
        if found := stepping(texts, self.index):
            return Expression(found)
        table = self._table(read, texts)
        return Expression(f"{table}[{self.index}]")

    def _table(self, read: PerStep, texts: Sequence[str]) -> str:
        name = self.vocabulary.names.identifier("each1")
        constant = all(isinstance(x, float) for x in read.operands)
        (self.tables if constant else self.lines).extend(wrapped(f"{name} = ", f"({', '.join(texts)},)"))
        return name

    # In reverse

    def _cell(self, v: int, *, sets: bool = False) -> str:
        """Where the gradient that arrives at a variable is; it is 0 until there is one, unless this sets it."""
        if v not in self.cells:
            q, _, j = self.program.maker(v)
            segment = self.program.segments[q]
            if segment.steps == 1:
                self.cells[v] = self.vocabulary.names.identifier(f"d_{self._label(self.scalars[v].text())}")
            elif self.program.arrives_last(q, j):
                self.cells[v] = self.vocabulary.names.identifier(f"d_{self.bases[q, j]}")
            else:
                name = self.vocabulary.names.identifier(f"d_{self.bases[q, j]}s")
                self.sizes[name] = segment.steps
                for i in range(segment.steps):
                    self.cells[segment.start + i * segment.size + j] = f"{name}[{i}]"
        cell = self.cells[v]
        name = cell.partition("[")[0]
        if name not in self.known:
            self.known.add(name)
            if name in self.sizes:
                self.lines.append(f"{name} = [0.0] * {self.sizes[name]}")
            elif not sets and v != self.program.tape.outputs[0]:
                self.lines.append(f"{name} = 0.0")
            if v == self.program.tape.outputs[0]:
                self.lines.append(f"{cell} = 1.0")
        return cell

    @staticmethod
    def _label(text: str) -> str:
        return text if text.isidentifier() else "t"

    def _once_back(self, q: int, pull: Pull) -> None:
        segment = self.program.segments[q]
        written = [
            self._seed(q, seed) if used else Expression("")
            for seed, used in zip(pull.seeds, pull.body.uses(), strict=False)
        ]
        lines = self._body(pull.body, written, "g", {})
        self.lines += lines.lines()
        for k, x in zip(pull.reads, pull.body.outputs, strict=True):
            v = segment.reads[k].first()
            assert isinstance(v, int)
            cell = self._cell(v, sets=not pull.sums(k))
            self.lines += self._added(lines, x, cell)

    def _loop_back(self, q: int, pull: Pull) -> None:
        segment, names = self.program.segments[q], self.vocabulary.names
        handed: dict[int, list[str]] = {}
        for k in pull.reads:
            read = segment.reads[k]
            if isinstance(read, Carried):
                if k in pull.from_last:
                    handed[k] = [self._cell(segment.last(read.result))]
                else:
                    handed[k] = [names.identifier(f"d_{self.bases[q, read.result]}") for _ in range(read.back)]
                    self.lines += [f"{register} = 0.0" for register in handed[k]]
        streams: dict[int, str] = {}
        scattered: list[tuple[PerStep, str]] = []
        for k in pull.reads:
            read = segment.reads[k]
            if isinstance(read, PerStep):
                moving = all(self.program.has_gradient(x) for x in read.operands)
                streams[k] = stepping([self._cell(int(x)) for x in read.operands], self.index) if moving else ""
                if not streams[k]:
                    table = names.identifier("d_each1")
                    self.lines.append(f"{table} = [0.0] * {segment.steps}")
                    streams[k] = f"{table}[{self.index}]"
                    scattered.append((read, table))
            elif isinstance(read, Fixed) and not pull.sums(k):
                streams[k] = self._cell(read.operand)
        written = [
            (Expression(handed[seed.number][0]) if seed.kind == "carried" else self._seed(q, seed))
            if used
            else Expression("")
            for seed, used in zip(pull.seeds, pull.body.uses(), strict=False)
        ]
        lines = self._body(pull.body, written, "g", {})
        inner, moves = lines.lines(), list[tuple[str, str]]()
        for k, x in zip(pull.reads, pull.body.outputs, strict=True):
            read = segment.reads[k]
            if isinstance(read, Carried):
                moves += zip(handed[k], [*handed[k][1:], exact(lines.operand(x)).text()], strict=True)
            elif pull.sums(k):
                inner += self._added(lines, x, self._cell(int(read.first())))
            else:
                inner += wrapped(f"{streams[k]} += ", exact(lines.operand(x)).text())
        inner += _together(moves)
        self.lines.append(f"for {self.index} in reversed(range({segment.steps})):")
        self.lines += [f"    {line}" for line in inner]
        for read, table in scattered:
            self.lines += self._handed_out(read.operands, [f"{table}[{i}]" for i in range(segment.steps)])
        for k, registers in handed.items():
            self.lines += self._handed_out(segment.reads[k].outside(), registers)

    def _handed_out(self, operands: Sequence[TapeOperand], texts: Sequence[str]) -> list[str]:
        pairs = [(int(x), text) for x, text in zip(operands, texts, strict=True) if self.program.has_gradient(x)]
        return [f"{self._cell(x)} += {text}" for x, text in pairs]

    def _seed(self, q: int, seed: Seed) -> Expression:
        segment = self.program.segments[q]
        if seed.kind == "read":
            read = segment.reads[seed.number]
            if not isinstance(read, Carried):
                return self._each(read) if segment.steps > 1 else self._operand(read.first())
            name, before = self.lists[q, read.result]
            return Expression(f"{name}[{position(self.index, 1, before - read.back)}]")
        v = segment.start + seed.number
        if seed.kind == "total":
            return Expression(self._cell(int(segment.reads[seed.number].first())))
        if segment.steps == 1:
            return self.scalars[v] if seed.kind == "result" else Expression(self._cell(v))
        if seed.kind == "result":
            name, before = self.lists[q, seed.number]
            return Expression(f"{name}[{position(self.index, 1, before)}]")
        return Expression(f"{self._cell(v).partition('[')[0]}[{self.index}]")

    @staticmethod
    def _added(lines: Assignments, x: TapeOperand, cell: str) -> list[str]:
        tape = lines.tape
        if isinstance(x, int) and x >= tape.leaves:
            row, operands = tape.instructions[x - tape.leaves]
            if (
                row is add
                and lines.operand(operands[0]).text() == cell
                and lines.written[x].text().startswith(f"{cell} + ")
            ):
                return wrapped(f"{cell} += ", exact(lines.operand(operands[1])).text())
        return wrapped(f"{cell} = ", exact(lines.operand(x)).text())

    # What is returned

    def _returned(self, gradients: bool) -> str:
        texts = [exact(self._operand(x)).text() for x in self.program.tape.outputs]
        if not gradients:
            return f"({', '.join(self._spans(texts))},)" if len(texts) > 1 else texts[0]
        cells = [self.cells[v] for v in self.program.of]
        for v in self.program.of:
            self._cell(v)
        spans = list(self._spans(cells))
        return f"{texts[0]}, ({', '.join(spans)}{',' * (len(spans) == 1)})"

    def _spans(self, texts: Sequence[str]) -> Iterator[str]:
        """Elements of one list that follow each other as a slice of it."""
        pieces = [text.rpartition("[") for text in texts]
        numbered = [
            (name, int(index[:-1]) - k) if name and index[:-1].isdigit() else (text, -k)
            for k, (text, (name, _, index)) in enumerate(zip(texts, pieces, strict=True))
        ]
        at = 0
        for (name, offset), group in groupby(numbered):
            size = len(list(group))
            if size == 1:
                yield texts[at]
            else:
                first, last = at + offset, at + offset + size
                whole = self.sizes.get(name) == size
                yield f"*{name}" if whole else f"*{name}[{first}:{last}]"
            at += size


def _together(moves: Sequence[tuple[str, str]]) -> list[str]:
    """Assignments that must not see each other."""
    moves = [(register, source) for register, source in moves if register != source]
    if not moves:
        return []
    registers, sources = zip(*moves, strict=True)
    return wrapped(f"{', '.join(registers)} = ", ", ".join(sources))
