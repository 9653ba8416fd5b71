"""C with loops: each recurrence as a `for`, and its gradients as backpropagation through time."""

from collections.abc import Sequence

from microgrannd.compiler.recurrences.derive import Pull, Rolled, Seed
from microgrannd.compiler.recurrences.segments import Carried, Fixed, PerStep
from microgrannd.compiler.recurrences.stepping import position, stepping
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.compiler.text.c_source import CBody
from microgrannd.printing.c import C
from microgrannd.printing.printer import Expression


def c_loops(program: Rolled) -> CBody:
    """The program as the body of a C function."""
    made = _CLoops(program)
    total, memory = 0, list[str]()
    for name, size in made.arrays.items():
        memory.append(f"double *const {name} = memory + {total};")
        total += size
    start = [
        f"double *const memory = calloc({max(total, 1)}, sizeof(double));  /* zeros */",
        "if (memory == NULL) FAILED;",
        *memory,
    ]
    used = frozenset(operation for tape in made.bodies for operation, _ in tape.instructions)
    return CBody([*made.tables, *start, *made.lines], made.outputs, ["free(memory);"], used)


class _CLoops:
    """The lines of a function, the arrays that it needs with their sizes, and what it computes."""

    def __init__(self, program: Rolled) -> None:
        self.program = program
        self.arrays: dict[str, int] = {}
        self.bodies: list[Tape] = []
        self.tables: list[str] = []
        self.lines: list[str] = []
        self.count = 0
        self.known: set[str] = set()
        self.written: dict[int, str] = {}  # results that have a name of their own
        for q in range(len(program.segments)):
            self._push(q)
        if program.gradients:
            self.lines.append("/* backpropagation through time: each step hands back to the one before it */")
            for q in reversed(range(len(program.segments))):
                if pull := program.pulls[q]:
                    self._pull(q, pull)
        self.outputs = [self._operand(x) for x in program.tape.outputs]
        if program.gradients:
            self.outputs += [self._gradient(v) for v in program.of]

    def _new(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def _run(self, body: Tape, given: Sequence[str]) -> tuple[list[str], list[str]]:
        """The lines of a body for these inputs, and its outputs."""
        tape = expanded(body, C.templates)
        self.bodies.append(tape)
        names, lines = list(given), list[str]()

        def operand(x: TapeOperand) -> Expression:
            return Expression(names[x]) if isinstance(x, int) else C.number(x)

        for operation, operands in tape.instructions:
            names.append(self._new("v"))
            lines.append(f"const double {names[-1]} = {C.expression(operation, list(map(operand, operands))).text()};")
        return lines, [operand(x).text() for x in tape.outputs]

    def _loop(self, steps: int, lines: Sequence[str], *, down: bool = False) -> None:
        if steps == 1:
            self.lines += lines
            return
        head = f"for (long i = {steps - 1}; i >= 0; i--) {{" if down else f"for (long i = 0; i < {steps}; i++) {{"
        self.lines += [head, *[f"    {line}" for line in lines], "}"]

    # Forward

    def _operand(self, x: TapeOperand) -> str:
        inputs, leaves = len(self.program.tape.inputs), self.program.tape.leaves
        if isinstance(x, float):
            return C.number(x).text()
        if x < leaves:
            return f"inputs[{x}]" if x < inputs else f"parameters[{x - inputs}]"
        if x in self.written:
            return self.written[x]
        q, step, j = self.program.maker(x)
        return f"s{q}_{j}[{step + self.program.before(q, j)}]"

    def _at(self, q: int, j: int, back: int = 0) -> str:
        """A result of so many steps ago."""
        return f"s{q}_{j}[{position('i', 1, self.program.before(q, j) - back)}]"

    def _push(self, q: int) -> None:
        segment, push, initial = self.program.segments[q], self.program.pushes[q], self.program.segments[q].initial()
        registers = {j: [self._new("c") for _ in operands] for j, operands in initial.items()}
        for j, own in registers.items():
            self.lines += [f"double {name} = {self._operand(x)};" for name, x in zip(own, initial[j], strict=True)]
        kept = sorted(push.kept) if segment.steps > 1 else []
        for j in kept:
            before = self.program.before(q, j)
            self.arrays[f"s{q}_{j}"] = segment.steps + before
            self.lines += [f"s{q}_{j}[{before - 1 - b}] = {registers[j][b]};" for b in range(before)]
        given = [
            registers[read.result][read.back - 1]
            if isinstance(read, Carried)
            else self._each(read.outside(), segment.steps)
            for read in segment.reads
        ]
        lines, found = self._run(push.body, given)
        results = dict(zip(push.results, found, strict=True))
        if segment.steps == 1:
            self.written |= {segment.start + j: text for j, text in results.items()}
        lines += [f"{self._at(q, j)} = {results[j]};" for j in kept]
        for j in push.last:
            name = self.written[segment.last(j)] = self._new("e")
            self.lines.append(f"double {name} = 0;")
            lines.append(f"{name} = {results[j]};")
        moves = [(a, b) for j, own in registers.items() for a, b in zip(own, [results[j], *own], strict=False)]
        self._loop(segment.steps, [*lines, *self._moved(moves)])

    def _moved(self, moves: Sequence[tuple[str, str]]) -> list[str]:
        """Assignments that must not see each other."""
        held = [(self._new("n"), target, source) for target, source in moves if target != source]
        return [
            *[f"const double {name} = {source};" for name, _, source in held],
            *[f"{target} = {name};" for name, target, _ in held],
        ]

    def _each(self, operands: Sequence[TapeOperand], steps: int) -> str:
        """What is read from outside at step i."""
        texts = [self._operand(x) for x in operands]
        if steps == 1 or len(texts) == 1:
            return texts[0]
        if found := stepping(texts, "i"):
            return found
        name = self._new("t")
        if all(isinstance(x, float) for x in operands):
            self.tables.append(f"static const double {name}[] = {{{', '.join(texts)}}};")
        else:
            self.arrays[name] = steps
            self.lines += [f"{name}[{i}] = {text};" for i, text in enumerate(texts)]
        return f"{name}[i]"

    # In reverse

    def _gradient(self, v: int) -> str:
        """Where the gradient that arrives at a variable is: an array's element, 0 until something is added."""
        leaves = self.program.tape.leaves
        if v < leaves:
            self.arrays["d_leaves"] = leaves
            return f"d_leaves[{v}]"
        q, step, j = self.program.maker(v)
        steps = self.program.segments[q].steps
        name = f"d{q}_{j}"
        self.arrays[name] = 1 if self.program.arrives_last(q, j) else steps
        if name not in self.known:
            self.known.add(name)
            if v == self.program.tape.outputs[0]:
                self.lines.append(f"{name}[{0 if self.arrays[name] == 1 else step}] = 1.0;")
        return f"{name}[{0 if self.arrays[name] == 1 else step}]"

    def _pull(self, q: int, pull: Pull) -> None:
        segment, uses = self.program.segments[q], pull.body.uses()
        handed: dict[int, list[str]] = {}
        for k in pull.reads:
            read = segment.reads[k]
            if isinstance(read, Carried):
                handed[k] = [self._new("h") for _ in range(read.back)]
                first = self._gradient(segment.last(read.result)) if k in pull.from_last else "0"
                self.lines += [f"double {name} = {'0' if b else first};" for b, name in enumerate(handed[k])]
        targets, later = dict[int, str](), list[tuple[Sequence[TapeOperand], str]]()
        for k in pull.reads:
            if isinstance(read := segment.reads[k], PerStep):
                texts = [self._gradient(int(x)) if self.program.has_gradient(x) else "" for x in read.operands]
                targets[k] = stepping(texts, "i") if all(texts) else ""
                if not targets[k]:
                    name = self._new("p")
                    self.arrays[name] = segment.steps
                    targets[k] = f"{name}[i]"
                    later.append((read.operands, name))
            elif isinstance(read, Fixed):
                targets[k] = self._gradient(read.operand)
        given = [self._seed(q, seed, handed) if used else "" for seed, used in zip(pull.seeds, uses, strict=False)]
        lines, found = self._run(pull.body, given)
        moves = list[tuple[str, str]]()
        for k, text in zip(pull.reads, found, strict=True):
            read = segment.reads[k]
            if isinstance(read, Carried):
                moves += zip(handed[k], [*handed[k][1:], text], strict=True)
            else:
                lines.append(f"{targets[k]} {'=' if pull.sums(k) or segment.steps == 1 else '+='} {text};")
        self._loop(segment.steps, [*lines, *self._moved(moves)], down=True)
        pairs = [pair for k, own in handed.items() for pair in zip(segment.reads[k].outside(), own, strict=True)]
        pairs += [(x, f"{name}[{i}]") for operands, name in later for i, x in enumerate(operands)]
        self.lines += [f"{self._gradient(int(x))} += {text};" for x, text in pairs if self.program.has_gradient(x)]

    def _seed(self, q: int, seed: Seed, handed: dict[int, list[str]]) -> str:
        segment, (kind, number) = self.program.segments[q], seed
        if kind == "carried":
            return handed[number][0]
        if kind == "total":
            return self._gradient(int(segment.reads[number].first()))
        j, back = number, 0
        if kind == "read":
            read = segment.reads[number]
            if not isinstance(read, Carried):
                return self._each(read.outside(), segment.steps)
            j, back = read.result, read.back
        v = segment.start + j
        if kind == "outside":
            return self._gradient(v) if segment.steps == 1 else f"{self._gradient(v).partition('[')[0]}[i]"
        return self._operand(v) if segment.steps == 1 else self._at(q, j, back)
