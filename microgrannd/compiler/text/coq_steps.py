"""A lemma for each variable of a derivation: how fast it changes where the leaves move, by the lemma of its row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from microgrannd import operations as ops
from microgrannd.compiler.tape.adjoints import Adjoints, says
from microgrannd.compiler.tape.tape import TapeOperand
from microgrannd.compiler.text.coq_lines import Lines
from microgrannd.compiler.text.coq_rows import lemma_of
from microgrannd.ground.errors import ProofError
from microgrannd.operations import FusedOperation, Operation
from microgrannd.printing.coq import COQ, listed_in_coq, whole_exponent
from microgrannd.printing.precedence import ATOM
from microgrannd.printing.printer import Expression

# A leaf that moves is not in it; it is flat, by a lemma; it has a derivative.
Motion = Literal["fixed", "still", "moved"]
Edge = tuple[int, TapeOperand]  # a variable that moves, and the line that holds the local gradient by it


class Steps:
    """The lemmas `NAME_moves`, which are asked for by variable and come with all that they need."""

    def __init__(self, found: Adjoints, lines: Lines) -> None:
        self.found, self.lines, self.tape = found, lines, found.tape
        self.conditions: dict[str, int] = {}
        self.rows: dict[Operation, None] = {}
        self.motions = self._motions()
        self.names: dict[int, str] = {}  # what is said of a variable has these names, a ' and more; no line has a '
        self.taken: set[str] = set()
        self.text: list[str] = []
        self._edges: dict[int, list[Edge]] = {}

    def _motions(self) -> list[Motion]:
        of, places = set(self.found.of), self.found.places
        motions: list[Motion] = ["moved" if v in of else "fixed" for v in range(self.tape.leaves)]
        for v, (operation, operands) in enumerate(self.tape.instructions, self.tape.leaves):
            given = {motions[x] for x in operands if isinstance(x, int)}
            if given <= {"fixed"} or not isinstance(places[v], int):
                motions.append("fixed")
            else:
                motions.append("moved" if "moved" in given and not _is_flat(operation, len(operands)) else "still")
        return motions

    def operands(self, v: int) -> tuple[TapeOperand, ...]:
        return self.tape.instructions[v - self.tape.leaves].operands if v >= self.tape.leaves else ()

    def edges(self, v: int) -> list[Edge]:
        """Its operands that move, in their order."""
        if v < self.tape.leaves:
            return []
        if v not in self._edges:
            slopes, _ = self.found.slopes(v)
            pairs = zip(self.operands(v), slopes, strict=True)
            self._edges[v] = [(x, slope) for x, slope in pairs if isinstance(x, int) and self.motions[x] == "moved"]
        return self._edges[v]

    def need(self, wanted: Iterable[int]) -> None:
        """Write the lemmas of these variables, and of all that they are made of, in their order."""
        waiting, needed = list(wanted), set[int]()
        while waiting:
            v = waiting.pop()
            if v not in needed and v not in self.names and self.motions[v] != "fixed":
                needed.add(v)
                waiting += [x for x in self.operands(v) if isinstance(x, int)]
        for v in sorted(needed):
            place = self.found.places[v]
            assert isinstance(place, int)
            name = self.lines.name(place)
            self.names[v] = f"{name}'{v}" if name in self.taken else name
            self.taken.add(name)
            self.text += self._lemma(v)

    def rate(self, v: int) -> str:
        return f"{self.names[v]}'rate"

    def flows(self, v: int) -> str:
        """The edges of a variable."""
        edges = [f"({x + 1}%positive, {self.lines.at(slope).text()}, {self.rate(x)})" for x, slope in self.edges(v)]
        return f"[{'; '.join(edges)}]"

    def _lemma(self, v: int) -> list[str]:
        name, place = self.names[v], self.found.places[v]
        path, here = self.lines.path(place), self.lines.at(place).text()
        if v < self.tape.leaves:
            return [
                f"Definition {name}'rate : R := speed {v + 1}%positive.",
                f"Lemma {name}'moves : is_derive {path} t {name}'rate. Proof. exact (moves {v + 1}%positive). Qed.",
            ]
        if self.motions[v] == "still":
            said = f"Lemma {name}'moves : locally t (fun s => {path[10:-1]} = {here})."
            return [f"{said}\nProof. {self._still(v)} Qed."]
        return [
            f"Definition {name}'edges : list edge := {self.flows(v)}.",
            f"Definition {name}'rate : R := tangent {name}'edges.",
            f"Lemma {name}'moves : is_derive {path} t {name}'rate.\nProof. {self._moved(v)} Qed.",
        ]

    def _moved(self, v: int) -> str:
        operation, operands = self.tape.instructions[v - self.tape.leaves]
        places = [self._place(x) for x in operands]
        _, verbatim = self.found.slopes(v)
        chain = self._chain(operation, operands)
        place = self.found.places[v]
        if verbatim and says(self.lines.definition(place), operation, places):
            return f"line ({chain})."
        opposite = [x for x in places if self._is_negation(x)]
        ends = [*places, *[x for line in opposite if (made := self.lines.definition(line)) for x in made.operands]]
        same = self._unfolded([*self._cone([place], ends), *opposite])
        slopes = [*self._cone([slope for _, slope in self.edges(v)], [place, *ends]), *opposite]
        parts = f"unfold {self.rate(v)}, {self.names[v]}'edges; {self._unfolded(slopes)}"
        return f"apply (same_line _ _ _ _ _ ({chain})); [intros s; {same}algebra | {parts}agree]."

    def _cone(self, roots: Sequence[TapeOperand], ends: Sequence[TapeOperand]) -> list[int]:
        """The lines between some and those that they are made of."""
        found, stops = dict[int, None](), {x for x in ends if isinstance(x, int)}
        waiting = list(roots)
        while waiting:
            x = waiting.pop()
            if isinstance(x, int) and x not in found and x not in stops and (made := self.lines.definition(x)):
                found[x] = None
                waiting += made.operands
        return list(found)

    def _unfolded(self, lines: Iterable[TapeOperand]) -> str:
        return self.lines.unfolded(x for x in lines if isinstance(x, int))

    def _is_negation(self, x: TapeOperand) -> bool:
        made = self.lines.definition(x)
        return made is not None and made.operation is ops.neg

    def _place(self, x: TapeOperand) -> TapeOperand:
        return self.found.places[x] if isinstance(x, int) else x

    def _chain(self, operation: Operation, operands: Sequence[TapeOperand]) -> str:
        """The chain rule at the lemma of the row."""
        given = [self._operand(x) for x in operands]
        if operation is ops.dot:
            return self._dot(operation, given)
        row = self._row(operation, operands)
        if isinstance(operation, FusedOperation):
            return f"chain_list _ _ _ _ _ {_list(given)} ({row})"
        if operation is ops.pow and _exponent(self._place(operands[1])) is not None:
            return f"chain_1 _ _ _ _ _ {given[0]} ({row})"
        if operation is ops.where and self._motion(operands[0]) != "moved":
            still = self._stays(operands[0])
            function = self.lines.path(self._place(operands[0]))
            return f"chain_after choose {function} _ _ _ _ _ _ _ _ {still} {' '.join(given[1:])} ({row})"
        blanks = {1: "_ _ _ _ _", 2: "_ _ _ _ _ _ _ _", 3: "_ _ _ _ _ _ _ _ _ _ _"}[len(given)]
        return f"chain_{len(given)} {blanks} {' '.join(given)} ({row})"

    def _dot(self, operation: Operation, given: Sequence[str]) -> str:
        assert isinstance(operation, FusedOperation)
        xs, ys, *start = operation.split(tuple(given))
        last = start[0] if start else "(fixed _ 0)"
        return f"chain_dot _ _ _ _ _ _ _ {_list(xs)} {_list(ys)} {last} eq_refl"

    def _still(self, v: int) -> str:
        operation, operands = self.tape.instructions[v - self.tape.leaves]
        place = self._place(v)
        if _is_flat(operation, len(operands)) and "moved" in map(self._motion, operands):
            given = " ".join(self._operand(x) for x in operands)
            blanks = {1: "_ _ _ _", 2: "_ _ _ _ _ _"}[len(operands)]
            return f"line (flat_chain_{len(operands)} {blanks} {given} ({self._row(operation, operands)}))."
        parts = [x for x in dict.fromkeys(operands) if isinstance(x, int) and self._motion(x) == "still"]
        if any(self._place(x) == place for x in parts):
            return f"exact {self.names[next(x for x in parts if self._place(x) == place)]}'moves."
        facts = f"{self.names[parts[-1]]}'moves"
        for x in parts[-2::-1]:
            facts = f"(filter_and _ _ {self.names[x]}'moves {facts})"
        cases = " & ".join(f"S{i}" for i in range(len(parts)))
        unfolded = self._unfolded([place])
        rewritten = ", ".join(f"?S{i}" for i in range(len(parts)))
        return f"generalize {facts}; apply filter_imp; intros s ({cases}); {unfolded}now rewrite {rewritten}."

    def _motion(self, x: TapeOperand) -> Motion:
        return self.motions[x] if isinstance(x, int) else "fixed"

    def _operand(self, x: TapeOperand) -> str:
        motion = self._motion(x)
        if motion == "moved":
            assert isinstance(x, int)
            return f"(moved _ {x + 1}%positive _ _ {self.names[x]}'moves)"
        if motion == "still":
            assert isinstance(x, int)
            return f"(still _ {self.lines.path(self._place(x))} {self.names[x]}'moves)"
        return f"(fixed _ {self.lines.at(self._place(x)).text(ATOM)})"

    def _stays(self, x: TapeOperand) -> str:
        if self._motion(x) == "still":
            assert isinstance(x, int)
            return f"{self.names[x]}'moves"
        return f"(still_fixed {self.lines.at(self._place(x)).text(ATOM)} t)"

    def _row(self, operation: Operation, operands: Sequence[TapeOperand]) -> str:
        """The lemma of the row at these operands, and proofs of its conditions."""
        lemma = lemma_of(operation)
        if lemma is None:
            raise ProofError(
                f"{operation.name} has no lemma in Coq, so this program has no proof; docs/operations.md says which "
                "operations have one."
            )
        places = [self._place(x) for x in operands]
        exponent = _exponent(places[1]) if operation is ops.pow else None
        if exponent is not None:
            return self._power(places[0], exponent)
        if operation is ops.where and self._motion(operands[0]) == "moved":
            proof = self._condition("condition <> 0", ("condition",), [self.lines.bare(places[0])], [])
            at = " ".join(self.lines.at(x).text(ATOM) for x in places)
            return f"row_where_moving {at} {proof}"
        self.rows[operation] = None
        bare, here = [self.lines.bare(x) for x in places], [self.lines.at(x) for x in places]
        if isinstance(operation, FusedOperation):
            bare, here = [listed_in_coq(bare)], [listed_in_coq(here)]
        numbers = [x for x in places if isinstance(x, float)] if len(places) == len(lemma.inputs) else []
        constants = [x if isinstance(x, float) else None for x in places] if numbers else []
        proofs = [self._condition(text, lemma.inputs, bare, constants) for text in lemma.conditions]
        return " ".join([f"row_{operation.name}", *[x.text(ATOM) for x in here], *proofs])

    def _power(self, base: TapeOperand, exponent: int) -> str:
        if exponent >= 0:
            return f"row_pow_natural {self.lines.at(base).text(ATOM)} {exponent}"
        proof = self._condition("x <> 0", ("x",), [self.lines.bare(base)], [])
        return f"row_pow_inverse {self.lines.at(base).text(ATOM)} {-exponent} {proof}"

    def _condition(
        self, text: str, inputs: Sequence[str], operands: Sequence[Expression], constants: Sequence[float | None]
    ) -> str:
        """A proof of a condition: from those of the theorem or, of constants and lists, at once."""
        if "[]" in text:
            return "ltac:(discriminate)"
        spoken_of = [i for i, name in enumerate(inputs) if re.search(rf"\b{name}\b", text)]
        if constants and all(constants[i] is not None for i in spoken_of):
            return "ltac:(lra)"
        by_name = dict(zip(inputs, operands, strict=True))
        said = re.sub(r"[A-Za-z_]\w*", lambda word: _bracketed(by_name, word[0]), text)
        if (same := re.fullmatch(r"(.+) <> (.+)", said)) and same[1] == same[2]:
            raise ProofError(f"The gradients would be right where {said}, which is nowhere: there is nothing to prove.")
        self.conditions.setdefault(said, len(self.conditions))
        return f"(one_of {self.conditions[said]} _ holds)"


def _bracketed(by_name: dict[str, Expression], word: str) -> str:
    return by_name[word].text(ATOM) if word in by_name else word


def _exponent(place: TapeOperand) -> int | None:
    return whole_exponent(COQ.number(place)) if isinstance(place, float) else None


def _is_flat(operation: Operation, count: int) -> bool:
    """Whether its lemma says that it is flat."""
    lemma = lemma_of(operation)
    return lemma is not None and lemma.conclusion.startswith("flat_")


def _list(given: Sequence[str]) -> str:
    text = "(no_more _)"
    for operand in reversed(given):
        text = f"(another _ _ _ _ _ {operand} {text})"
    return text
