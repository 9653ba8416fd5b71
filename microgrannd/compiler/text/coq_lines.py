"""The lines of a derivation in Coq: their names, their definitions, and how they are written where leaves move."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from microgrannd.compiler.tape.adjoints import Adjoints
from microgrannd.compiler.tape.tape import Instruction, TapeOperand
from microgrannd.compiler.text.coq_rows import words_of_rows
from microgrannd.ground.errors import ProofError
from microgrannd.operations import Operation
from microgrannd.printing.coq import COQ, application
from microgrannd.printing.labels import Names
from microgrannd.printing.precedence import ATOM
from microgrannd.printing.printer import Expression

HERE: Final = "(path t)"  # the leaves at the moment that a lemma is about


class Lines:
    """Names for all lines, and the section that defines them as functions of the leaves.

    A line is a function of `given`, the leaves that stay, of `leaf`, those that move, or of both or neither.
    """

    def __init__(self, found: Adjoints) -> None:
        self.found = found
        self.writer = found.writer
        self.names = Names(words_of_rows())
        self.written: dict[int, str] = {}  # by line
        self.uses: dict[int, frozenset[str]] = {}
        self.aliases: dict[str, TapeOperand] = {}
        self.slopes: dict[int, str] = {}  # by leaf: the name of the value's derivative by it
        self.speeds = {leaf: v for v, leaf in found.directions.items()}  # a leaf that says how fast another moves
        self.some_stay = len(found.of) + len(self.speeds) < found.writer.leaves
        self.named: set[int] = set()  # lines that somebody speaks of
        self._name_leaves()
        self.computed = self._live()
        self._name_lines()

    def _name_leaves(self) -> None:
        tape, of = self.writer.tape, set(self.found.of)
        for v, label in enumerate((*tape.inputs, *tape.parameters)):
            self.written[v] = self._unique(label)
            self.uses[v] = frozenset(["leaf" if v in of else "speed" if v in self.speeds else "given"])

    def _live(self) -> set[int]:
        """What the program computes: all that its values and gradients need."""
        passes, of = self.found.passes, self.found.of
        roots = [p.place(p.output) for p in passes] + [p.adjoint(v) for p in passes if p.adjoints for v in of]
        roots += [self.found.speeds.get(p.output, 0.0) for p in passes if isinstance(p.output, int)]
        return self._closure([*roots, *[self.found.places[v] for v in self.found.held.values()]])

    def _closure(self, places: Sequence[TapeOperand]) -> set[int]:
        found: set[int] = set()
        waiting = [x for x in places if isinstance(x, int)]
        while waiting:
            if (x := waiting.pop()) not in found:
                found.add(x)
                made = self.writer.definition(x)
                waiting += [y for y in made.operands if isinstance(y, int)] if made else []
        return found

    def _name_lines(self) -> None:
        labels: dict[int, str] = {}
        tape, places = self.found.passes[-1].tape, self.found.places
        for v, label in self.found.passes[0].tape.labels.items():
            if isinstance(place := places[v], int) and tape.leaves <= v:
                labels.setdefault(place, label)
        if isinstance(value := self.found.passes[0].place(self.found.passes[0].output), int):
            labels.setdefault(value, "value")
        counts = {"t": 0, "g": 0}
        for line in sorted(self.computed):
            if line not in self.written:
                letter = "t" if line < self.found.first_backward else "g"
                counts[letter] += line not in labels
                self.written[line] = self._unique(labels.get(line) or f"{letter}{counts[letter]}")

    def _unique(self, label: str) -> str:
        return self.names.identifier(label if label[:1].isascii() and label[:1].isalpha() else f"v{label}")

    def new(self, name: str) -> str:
        """A name for something that is said of lines."""
        return self.names.identifier(name)

    def alias(self, name: str, place: TapeOperand) -> str:
        """The name under which a line is asked for, if it has another; defined after all lines."""
        if isinstance(place, int) and self.written.get(place) == name:
            return name
        name = self.new(name)
        self.aliases[name] = place
        return name

    def name(self, line: int) -> str:
        self.named.add(line)
        if line not in self.written:
            self.written[line] = self.new(f"h{line}")
        return self.written[line]

    def definition(self, place: TapeOperand) -> Instruction | None:
        return self.writer.definition(place)

    def depends(self, place: TapeOperand) -> frozenset[str]:
        """Which of `given` and `leaf` it is a function of."""
        if not isinstance(place, int):
            return frozenset()
        waiting = [place]
        while waiting:
            made = self.writer.definition(waiting[-1])
            parts = [x for x in made.operands if isinstance(x, int)] if made else []
            missing = [x for x in parts if x not in self.uses] if waiting[-1] not in self.uses else []
            if not missing:
                line = waiting.pop()
                if line not in self.uses:
                    self.uses[line] = frozenset().union(*[self.uses[x] for x in parts])
            waiting += missing
        return self.uses[place]

    def bare(self, place: TapeOperand) -> Expression:
        """As the definitions of other lines say it."""
        return Expression(self.name(place)) if isinstance(place, int) else self.number(place)

    def number(self, x: float) -> Expression:
        if not math.isfinite(x):
            raise ProofError(f"The program has the constant {x}, and Coq's numbers are the real ones: it has no proof.")
        return COQ.number(x)

    def at(self, place: TapeOperand, leaves: str = HERE) -> Expression:
        """As a function of its leaves."""
        if not isinstance(place, int):
            return self.number(place)
        return self.call(self.name(place), self.depends(place), leaves)

    def call(self, name: str, depends: frozenset[str], leaves: str = HERE) -> Expression:
        arguments = ["given"] * ("given" in depends) + [leaves] * ("leaf" in depends)
        arguments += ["speed"] * ("speed" in depends)
        return application(name, [Expression(x) for x in arguments])

    def path(self, place: TapeOperand) -> str:
        """The function of `s` that it is while the leaves move."""
        return f"(fun s => {self.at(place, '(path s)').text()})"

    def conditions(self, conditions: Sequence[str], leaves: str) -> str:
        """The list of all conditions, as a function of its leaves."""
        words = set(re.findall(r"\w+", " ".join(conditions)))
        spoken_of = [line for line, name in self.written.items() if name in words]
        depends = frozenset[str]().union(*map(self.depends, spoken_of))
        return self.call("conditions", depends, leaves).text(ATOM)

    def explained(self, condition: str) -> str:
        """What the lines that a condition speaks of are."""
        words = re.findall(r"\w+", condition)
        spoken_of = [line for line, name in self.written.items() if name in words and line >= self.writer.leaves]
        said = [self._line(line)[len("Definition ") : -1].replace(" : R := ", " is ") for line in spoken_of]
        return f", where {' and '.join(said)}" if said else ""

    def unfolded(self, lines: Iterable[int]) -> str:
        """The tactic that puts the definitions of these lines in their place, the later ones first."""
        names = [self.name(line) for line in sorted(set(lines), reverse=True)]
        return f"unfold {', '.join(names)}; " if names else ""

    def written_out(self, operation: Operation, operands: Sequence[Expression]) -> Expression:
        expression = COQ.expression(operation, operands)
        for part in expression.parts():
            if isinstance(part.of, float):
                self.number(part.of)
        return expression

    def section(self, conditions: Sequence[str]) -> Iterator[str]:
        """The definitions: the leaves, the lines that run, and those that only the proof speaks of."""
        of, leaves = set(self.found.of), self.writer.leaves
        needed = self._closure([*self.named, *[x for x in self.aliases.values() if isinstance(x, int)]]) | self.computed
        for line in sorted(needed):
            self.name(line)
        yield "Section Lines."
        if self.some_stay:
            yield f"Variable given : leaves.  {COQ.comment('leaves that stay as they are')}"
        yield "Variable leaf : leaves.\n"
        if self.speeds:
            yield f"Variable speed : leaves.  {COQ.comment('how fast they move')}\n"
        for v in range(leaves):
            held = self.found.held.get(v)
            told = "" if held is None else f"  {COQ.comment(self._told(held))}"
            where = "leaf" if v in of else "speed" if v in self.speeds else "given"
            yield f"Definition {self.written[v]} := {where} {self.speeds.get(v, v) + 1}%positive.{told}"
        lines = sorted(x for x in needed if x >= leaves)
        boundary = self.found.first_backward
        for title, chosen in (
            ("forward", [x for x in lines if x in self.computed and x < boundary]),
            ("backward", [x for x in lines if x in self.computed and x >= boundary]),
            ("what the proof speaks of besides", [x for x in lines if x not in self.computed]),
        ):
            if chosen:
                yield f"\n{COQ.comment(title)}"
            for line in chosen:
                yield self._line(line)
        for name, place in self.aliases.items():
            yield f"Definition {name} : R := {self.bare(place).text()}."
        if conditions:
            yield "\nDefinition conditions : list Prop := [" + ";\n  ".join(conditions) + "]."
        yield "End Lines.\n"

    def _line(self, line: int) -> str:
        made = self.writer.definition(line)
        assert made is not None
        text = self.written_out(made.operation, [self.bare(x) for x in made.operands]).text()
        return f"Definition {self.written[line]} : R := {text}."

    def _told(self, held: int) -> str:
        place = self.found.places[held]
        return f"stop_gradient holds this fixed; it is {self.bare(place).text()}"
