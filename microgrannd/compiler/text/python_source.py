"""Python source: the tape as one function that a person could have derived by hand, on the standard library alone."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Instruction, Tape, TapeOperand
from microgrannd.compiler.text.definitions import definitions
from microgrannd.operations import Operation
from microgrannd.printing.labels import Names, in_docstring
from microgrannd.printing.printer import Expression
from microgrannd.printing.python import PYTHON, RESERVED, exact, home

WIDTH: Final = 100
INLINE: Final = 60  # a longer expression has a line of its own


class Source(NamedTuple):
    """A function as text, with the definitions that it needs; `foreign` are functions that it is given by name."""

    name: str
    header: str
    function: str
    foreign: dict[str, Operation]

    def __str__(self) -> str:
        return f"{self.header}\n\n{self.function}" if self.header else self.function

    def compiled(self, namespace: dict[str, Any] | None = None) -> Callable[..., Any]:
        """The function. A namespace, such as NumPy's functions, takes the place of the header."""
        names: dict[str, Any] = {name: operation.forward for name, operation in self.foreign.items()}
        if namespace is None:
            exec(compile(self.header, f"<{self.name}>", "exec"), names)
        names |= namespace or {}
        exec(compile(self.function, f"<{self.name}>", "exec"), names)
        return names[self.name]  # type: ignore[no-any-return]


def python_source(name: str, tape: Tape, text: str, groups: Sequence[int], of: Sequence[int] = ()) -> Source:
    """The tape as a function that returns the outputs in groups of these sizes: a single first one, then tuples.

    `of` are the leaves whose gradients the outputs from the second on are.
    """
    return _PythonFunction(name, tape, of).source(text, groups)


class Vocabulary:
    """The names in a function, and what it needs from outside."""

    def __init__(self) -> None:
        self.names = Names({*RESERVED, *ops.TABLE})
        self.needed: set[str] = set()
        self.foreign: dict[Operation, str] = {}
        self.temporaries = Counter[str]()

    def temporary(self, letter: str) -> str:
        self.temporaries[letter] += 1
        return f"{letter}{self.temporaries[letter]}"

    def number(self, x: float) -> Expression:
        number = PYTHON.number(x)
        self.needed |= {number.template.removeprefix("-")} & {"nan", "inf"}
        return number

    def function(self, operation: Operation) -> str:
        if home(operation):
            self.needed.add(operation.name)
            return operation.name
        if operation not in self.foreign:
            name, row = operation.name, ops.TABLE.get(operation.name)
            free = row is operation and name.isidentifier() and name not in RESERVED  # no label has a row's name
            self.foreign[operation] = name if free else self.names.identifier(name)
        return self.foreign[operation]

    def source(self, name: str, head: str, lines: Sequence[str]) -> Source:
        """A function with these lines, below the definitions that it needs."""
        first = wrapped(f"def {name}", head)
        first[-1] += ":"
        body = [f"    {line}" if line else "" for line in lines]
        foreign = {name: operation for operation, name in self.foreign.items()}
        return Source(name, self._header(), "\n".join([*first, *body, ""]), foreign)

    def _header(self) -> str:
        imported = sorted(name for name in self.needed if name in ops.TABLE and home(ops.TABLE[name]) is math)
        text = "\n\n".join(definitions(self.needed - set(imported)))
        imported += [name for name in ("inf", "nan") if re.search(rf"\b{name}\b", text) or name in self.needed]
        lines = [f"import {module}" for module in ("math", "operator") if re.search(rf"\b{module}\.", text)]
        lines += [f"from math import {', '.join(imported)}"] if imported else []
        lines += [PYTHON.comment(f"{name} is an operation of your own") for name in self.foreign.values()]
        return "\n\n".join(filter(None, ["\n".join(lines), text]))


class Assignments:
    """The instructions of a tape as assignments; `written` is how each of its variables is written, leaves first."""

    def __init__(self, tape: Tape, vocabulary: Vocabulary, written: Sequence[Expression], letter: str = "") -> None:
        self.tape = tape
        self.vocabulary = vocabulary
        self.written = list(written)
        self.letter = letter  # of temporaries; without one "t" for the forward half and "g" for the rest
        self.uses = tape.uses()
        self.outputs = {x for x in tape.outputs if isinstance(x, int)}

    def lines(self) -> list[str]:
        tape, lines = self.tape, list[str]()
        consumer = self._single_consumers()
        for k, instruction in enumerate(tape.instructions):
            v = tape.leaves + k
            if k == tape.forward and k > 0:
                lines += ["", "# backward"]
            expression = self._expression(instruction).flat()
            if self._stands_where_it_is_used(k, consumer) and len(expression.template) < INLINE:
                self.written.append(expression)
                continue
            name = self._variable(v, k < tape.forward)
            lines += wrapped(f"{name} = ", expression.template, self._comment(v, k))
            self.written.append(Expression(name))
            lines += self._aliases(v, name)
        return lines

    def operand(self, x: TapeOperand) -> Expression:
        return self.written[x] if isinstance(x, int) else self.vocabulary.number(x)

    def _stands_where_it_is_used(self, k: int, consumer: dict[int, int]) -> bool:
        """Whether the instruction's result has no name and is read once, in its own half or by `return`."""
        tape, v = self.tape, self.tape.leaves + k
        if v in self.outputs and v not in tape.labels:
            return tape.forward == len(tape.instructions) and self.uses[v] == 1
        return v in consumer and v not in tape.labels and (consumer[v] < tape.forward) == (k < tape.forward)

    def _aliases(self, v: int, name: str) -> list[str]:
        return []

    def _single_consumers(self) -> dict[int, int]:
        found = {}
        for k, (operation, operands) in enumerate(self.tape.instructions):
            for x in operands:
                if isinstance(x, int) and self.uses[x] == 1 and operation is not ops.square:
                    found[x] = k
        return found

    def _expression(self, instruction: Instruction) -> Expression:
        operation, operands = instruction
        written = list(map(self.operand, operands))
        if operation in PYTHON.templates and (plain := PYTHON.templates[operation](*written)):
            return plain
        return PYTHON.call(self.vocabulary.function(operation), operation, written)

    def _variable(self, v: int, forward: bool) -> str:
        label = self.tape.labels.get(v) or self.vocabulary.temporary(self.letter or ("t" if forward else "g"))
        return self.vocabulary.names.identifier(label)

    def _comment(self, v: int, k: int) -> str:
        label = self.tape.labels.get(v, "")
        if k < self.tape.forward or not label.startswith("d_") or self.tape.instructions[k].operation is not ops.add:
            return ""
        used = f"{label.removeprefix('d_')} is used {self._terms(v)} times: the contributions add up"
        return f"  {PYTHON.comment(used)}"

    def _terms(self, v: TapeOperand) -> int:
        count, waiting = 0, [v]
        while waiting:
            x = waiting.pop()
            k = int(x) - self.tape.leaves if isinstance(x, int) else -1
            chained = k >= self.tape.forward and self.tape.instructions[k].operation is ops.add
            if chained and (x == v or x not in self.tape.labels):
                waiting += self.tape.instructions[k].operands
            else:
                count += 1
        return count


class _PythonFunction(Assignments):
    """A whole tape as a function, whose outputs from the second on may be the gradients by the leaves `of`."""

    def __init__(self, name: str, tape: Tape, of: Sequence[int]) -> None:
        vocabulary = Vocabulary()
        self.name = vocabulary.names.identifier(name)
        given = [Expression(vocabulary.names.identifier(leaf)) for leaf in (*tape.inputs, *tape.parameters)]
        super().__init__(tape, vocabulary, given)
        self.aliases: dict[int, str] = {}
        # The outputs' variables; -1 for a constant, since 3 == 3.0 but variable 3 is not the number 3.
        self.places = [x if isinstance(x, int) else -1 for x in tape.outputs]
        self.gradients: dict[int, list[tuple[int, int]]] = {}  # by variable: which outputs, and by which leaves
        for i, leaf in enumerate(of if len(tape.outputs) == 1 + len(of) else (), 1):
            self.gradients.setdefault(self.places[i], []).append((i, leaf))

    def source(self, text: str, groups: Sequence[int]) -> Source:
        head = ", ".join(leaf.template for leaf in self.written)
        lines = [in_docstring(text), *self.lines()]
        gap = [""] if len(lines) > 1 else []
        lines += [*gap, *wrapped("return ", self._returned(groups))]
        return self.vocabulary.source(self.name, f"({head})", lines)

    def _aliases(self, v: int, name: str) -> list[str]:
        """Where the gradient of a leaf is that of something else too, such as d_b = d_z: a line that says so."""
        lines = []
        for i, leaf in self.gradients.get(v, ()):
            derivative = f"d_{self.written[leaf].template}"
            if name != derivative:
                self.aliases[i] = self.vocabulary.names.identifier(derivative)
                lines.append(f"{self.aliases[i]} = {name}")
        return lines

    def _variable(self, v: int, forward: bool) -> str:
        if forward and v == self.places[0] and not self.tape.labels.get(v):
            return self.vocabulary.names.identifier("value")
        return super()._variable(v, forward)

    def _returned(self, groups: Sequence[int]) -> str:
        parts, start = [], 0
        for size in groups:
            places = range(start, start + size)
            texts = [self.aliases.get(i) or exact(self.operand(self.tape.outputs[i])).template for i in places]
            parts.append(texts[0] if size == 1 and start == 0 else f"({', '.join(texts)}{',' * (size == 1)})")
            start += size
        return ", ".join(parts)


def wrapped(start: str, expression: str, comment: str = "") -> list[str]:
    """One line, or several inside brackets; a comment that does not fit goes above."""
    above = []
    if comment and len(start) + len(expression) + len(comment) > WIDTH:
        above, comment = [comment.strip()], ""
    if len(start) + len(expression) <= WIDTH:
        return [*above, start + expression + comment]
    if not (expression.startswith("(") and start.startswith("def")):
        expression = f"({expression})"
    lines, line = [], start + "("
    for word in re.split(r"(?<=[,\[(]) | (?=[-+] )", expression[1:]):
        if len(line) + len(word) > WIDTH and line.strip():
            lines.append(line.rstrip())
            line = "    "
        line += word + " "
    return [*above, *lines, line.rstrip()]
