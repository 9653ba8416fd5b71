"""Coq: the tape as real functions of its leaves, and the theorems that its gradients are the derivatives of its value.

Two sections. In the first each line is a definition, as the compiler prints it. In the second the leaves move along
any path: a lemma a line says how fast the line changes (the chain rule, by the row's lemma), and one says that its
adjoint is what was added up for it (the backward pass). `backpropagation` of `rows.v` then gives all gradients at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.tape.adjoints import Derivation
from microgrannd.compiler.tape.tape import TapeOperand
from microgrannd.compiler.text.coq_lines import HERE, Lines
from microgrannd.compiler.text.coq_rows import copied, preamble
from microgrannd.compiler.text.coq_steps import Edge, Steps
from microgrannd.printing.coq import COQ
from microgrannd.printing.precedence import ATOM, PRODUCT, SIGN

_HEAD: Final = """\
What is proved here, for all real numbers that meet the conditions: the lines for the gradients are the
derivatives of the lines for the value. `coqc` checks it, with nothing but Coq and Coquelicot.
What is not: that floats are real numbers. A program rounds each line; that these are the lines that run
is what microgrannd's tests say, bit for bit. A constant is the number that its decimals name."""
_SUMS: Final = frozenset([ops.add, ops.sub, ops.neg])
_AT_ONCE: Final = 3  # contributions in one lemma; more are added up lemma by lemma


class CoqSource(NamedTuple):
    """A file, the statements of its theorems, and the conditions under which they hold."""

    text: str
    theorems: tuple[str, ...]
    conditions: tuple[str, ...]


class _Contribution(NamedTuple):
    consumer: int
    edge: Edge


def coq_source(name: str, found: Derivation) -> CoqSource:
    lines = Lines(found)
    steps = Steps(found, lines)
    theorems = [theorem for i in range(len(found.passes)) for theorem in _Backward(lines, steps, i).theorems()]
    conditions = list(steps.conditions)
    section = list(lines.section(conditions))
    body = [*_section(found, lines, steps), *_theorems(found, lines, theorems, conditions)]
    words = set(re.findall(r"\w+", "\n".join(body + section)))
    text = [
        COQ.comment(f"{name}, written by microgrannd."),
        *[COQ.comment(line) for line in _HEAD.splitlines()],
        *("", preamble(), "", COQ.comment("The calculus, and a lemma for each row of the table that is used."), ""),
        *[f"{statement}\n" for statement in copied(words, steps.rows)],
        *section,
        *body,
    ]
    said = tuple([theorem.statement for theorem in theorems])
    return CoqSource("\n".join(text) + "\n", said, tuple([f"{x}{lines.explained(x)}" for x in conditions]))


def _section(found: Derivation, lines: Lines, steps: Steps) -> Iterator[str]:
    yield "Section Derivatives."
    if lines.some_stay:
        yield "Variable given : leaves."
    yield "Variable path : R -> leaves.\nVariable t : R.\nVariable speed : positive -> R."
    yield "Hypothesis moves : forall i, is_derive (fun s => path s i) t (speed i)."
    if steps.conditions:
        yield f"Hypothesis holds : every {lines.conditions(list(steps.conditions), HERE)}."
    yield from ["", *steps.text, "End Derivatives.\n"]


class _Theorem(NamedTuple):
    """That the line `gradient` is the derivative of another by a leaf."""

    of: str  # the name of the line that is differentiated
    leaf: int
    statement: str
    name: str


def _theorems(
    found: Derivation, lines: Lines, theorems: Sequence[_Theorem], conditions: Sequence[str]
) -> Iterator[str]:
    given, holds = "given " * lines.some_stay, " holds" if conditions else ""
    for theorem in theorems:
        at = f"{theorem.leaf + 1}%positive"
        name = lines.written[theorem.leaf]
        put = f"(put leaf {at} {name})"
        under = f"  every {lines.conditions(conditions, put)} ->\n" if conditions else ""
        yield f"Theorem {theorem.name} : forall ({given}leaf : leaves) ({name} : R),\n{under}  {theorem.statement}."
        yield f"Proof.\n  intros {given}leaf {name}{holds}."
        changes = f"{theorem.of}'changes {given}(put leaf {at}) {name} (alone {at}) (put_moves leaf {at} {name}){holds}"
        yield f"  line (one_at_a_time _ _ _ _ ({changes}) {theorem.of}'distinct).\nQed."


class _Backward:
    """The lemmas of one backward pass: for each variable, that its adjoint is what was added up for it."""

    def __init__(self, lines: Lines, steps: Steps, index: int) -> None:
        self.found, self.lines, self.steps = lines.found, lines, steps
        self.backward = self.found.passes[index]
        self.output = self.backward.output
        self.place = self.backward.place(self.output)
        self.of = lines.slopes[self.found.of[index - 1]] if index else lines.alias("value", self.place)
        self.prefix = f"{self.of}'" if index else ""

    def theorems(self) -> Iterator[_Theorem]:
        """The theorems, whose lemmas are added to the steps."""
        lines = self.lines
        self.steps.text += self._proof()
        for leaf in self.found.of:
            place, by = self.backward.adjoint(leaf), lines.written[leaf]
            name = lines.alias(f"{self.of}_{by}" if self.prefix else f"d_{by}", place)
            lines.slopes.setdefault(leaf, name)
            at = f"(put leaf {leaf + 1}%positive {by})"
            of = lines.call(self.of, lines.depends(self.place), at).text()
            slope = lines.call(name, lines.depends(place), at).text(ATOM)
            statement = f"is_derive (fun {by} => {of}) {by} {slope}"
            yield _Theorem(self.of, leaf, statement, f"{name}'is_the_derivative")

    def _proof(self) -> Iterator[str]:
        steps, output = self.steps, self.output
        motion = steps.motions[output] if isinstance(output, int) else "fixed"
        if motion != "moved" or not isinstance(output, int):
            if isinstance(output, int):
                steps.need([output])
            proof = "apply @is_derive_const."
            if motion == "still" and isinstance(output, int):
                proof = f"exact (still_derive _ t {steps.names[output]}'moves)."
            yield from self._changes("[]", [], proof)
            return
        if output < steps.tape.leaves:
            yield from self._changes(
                f"[({output + 1}%positive, 1)]",
                [output],
                f"apply (to _ _ _ _ (moves {output + 1}%positive)); cbn; ring.",
            )
            return
        reached = self._reached(output)
        steps.need([output, *reached])
        yield from self._blocks(output, [v for v in self.backward.order() if v in reached and v != output])

    def _changes(self, by_leaf: str, leaves: Sequence[int], proof: str) -> Iterator[str]:
        """How the output changes where all leaves move, and that no leaf is listed twice."""
        path = f"(fun s => {self.lines.call(self.of, self.lines.depends(self.place), '(path s)').text()})"
        numbers = "; ".join(f"{v + 1}%positive" for v in leaves)
        yield f"Lemma {self.of}'changes : is_derive {path} t (weighted {by_leaf} speed).\nProof using All. {proof} Qed."
        yield f"Lemma {self.of}'distinct : distinct [{numbers}] = true. Proof. vm_compute; reflexivity. Qed.\n"

    def _reached(self, output: int) -> set[int]:
        found, waiting = {output}, [output]
        while waiting:
            new = [x for x, _ in self.steps.edges(waiting.pop()) if x not in found]
            found.update(new)
            waiting += new
        return found

    def _blocks(self, output: int, variables: Sequence[int]) -> Iterator[str]:
        prefix, steps = self.prefix, self.steps
        consumers: dict[int, list[_Contribution]] = {v: [] for v in variables}
        for v in [output, *reversed(variables)]:
            for edge in steps.edges(v):
                consumers[edge[0]].append(_Contribution(v, edge))
        leaves = [v for v in variables if v < steps.tape.leaves]
        yield f"Definition {prefix}by'0 : list (positive * R) := []."
        yield f"Definition {prefix}outer'0 : list (positive * R) := []."
        yield f"Lemma {prefix}same'0 : added {prefix}outer'0 = weighted {prefix}by'0 speed. Proof. reflexivity. Qed."
        yield f"Definition {prefix}rows'0 : list (R * list edge) := []."
        yield f"Definition {prefix}nodes'0 : list (positive * R) := []."
        yield f"Lemma {prefix}adds'0 : added_up {prefix}rows'0 {prefix}nodes'0. Proof. exact nothing. Qed."
        nodes = [v for v in variables if v >= steps.tape.leaves]
        for v in variables:
            yield from self._added(v, consumers[v])
        for k, v in enumerate(leaves):
            yield from self._leaf(v, k)
        for k, v in enumerate(nodes):
            yield from self._node(v, k)
        k, n, edges = len(nodes), len(leaves), f"{steps.names[output]}'edges"
        rows, inner, outer = f"{prefix}rows'{k}", f"{prefix}nodes'{k}", f"{prefix}outer'{n}"
        gathered = f"gather {outer} (gather {inner} Empty)"
        yield f"Lemma {prefix}spread'0 : spread ((1, {edges}) :: {rows}) Empty = {gathered}."
        yield f"Proof. exact_no_check (eq_refl ({gathered})). Qed."
        passed = f"backpropagation {edges} {rows} {inner} {outer} {prefix}adds'{k} {prefix}spread'0"
        proof = f"exact (to _ _ _ _ {steps.names[output]}'moves (eq_trans ({passed}) {prefix}same'{n}))."
        yield from self._changes(f"{prefix}by'{n}", leaves[::-1], proof)

    def _leaf(self, v: int, k: int) -> Iterator[str]:
        prefix, name = self.prefix, self.steps.names[v]
        slope = self.lines.at(self.backward.adjoint(v)).text()
        pair = f"({v + 1}%positive, {slope})"
        yield f"Definition {prefix}by'{k + 1} := {pair} :: {prefix}by'{k}."
        yield f"Definition {prefix}outer'{k + 1} := ({v + 1}%positive, {prefix}{name}'sum) :: {prefix}outer'{k}."
        yield f"Lemma {prefix}same'{k + 1} : added {prefix}outer'{k + 1} = weighted {prefix}by'{k + 1} speed."
        yield f"Proof. exact (f_equal2 Rplus {prefix}{name}'added {prefix}same'{k}). Qed."

    def _node(self, v: int, k: int) -> Iterator[str]:
        prefix, name = self.prefix, self.steps.names[v]
        slope = self.lines.at(self.backward.adjoint(v)).text()
        yield f"Definition {prefix}rows'{k + 1} := ({slope}, {name}'edges) :: {prefix}rows'{k}."
        yield f"Definition {prefix}nodes'{k + 1} := ({v + 1}%positive, {prefix}{name}'sum) :: {prefix}nodes'{k}."
        yield f"Lemma {prefix}adds'{k + 1} : added_up {prefix}rows'{k + 1} {prefix}nodes'{k + 1}."
        yield f"Proof. exact (node _ _ _ _ _ _ {prefix}{name}'added {prefix}adds'{k}). Qed."

    def _added(self, v: int, contributions: Sequence[_Contribution]) -> Iterator[str]:
        """What is added up for a variable is its adjoint times its rate: in one lemma, or a few at a time."""
        name, rate = f"{self.prefix}{self.steps.names[v]}'sum", self.steps.rate(v)
        parts = self._parts(v, contributions)
        before: str | None = None
        earlier: TapeOperand | None = None
        for i, (chosen, total) in enumerate(parts):
            last = i == len(parts) - 1
            part = name if last else f"{name}'{i + 1}"
            terms = [self._flow(contribution, rate) for contribution in chosen]
            said = " + ".join([*([before] if before else []), *terms])
            unfolded = self._unfolded(total, earlier, chosen)
            slope = self.lines.at(total).text(PRODUCT)
            lemma = part.removesuffix("'sum") + "'added" if last else f"{part}'added"
            yield f"Definition {part} : R := {said}."
            yield f"Lemma {lemma} : {part} = {slope} * {rate}."
            rewritten = f" rewrite {before}'added;" if before else ""
            yield f"Proof. unfold {part};{rewritten} {unfolded}algebra. Qed."
            before, earlier = part, total

    def _flow(self, contribution: _Contribution, rate: str) -> str:
        upstream = self.lines.at(self.backward.adjoint(contribution.consumer)).text(PRODUCT)
        return f"{upstream} * {self.lines.at(contribution.edge[1]).text(SIGN)} * {rate}"

    def _parts(
        self, v: int, contributions: Sequence[_Contribution]
    ) -> list[tuple[Sequence[_Contribution], TapeOperand]]:
        """A few contributions at a time, and the line that holds the sum up to then."""
        total = self.backward.adjoint(v)
        counted = [i for i, contribution in enumerate(contributions) if not _is_zero(contribution.edge[1])]
        sums = self._sums(v, len(counted)) if len(counted) > _AT_ONCE else None
        if sums is None:
            return [(contributions, total)]
        ends = [*range(_AT_ONCE, len(counted), _AT_ONCE)]
        cuts = [0, *[counted[end] for end in ends], len(contributions)]
        lines = [*[sums[end - 1] for end in ends], total]
        return [(contributions[a:b], line) for a, b, line in zip(cuts, cuts[1:], lines, strict=False)]

    def _sums(self, v: int, count: int) -> list[TapeOperand] | None:
        """The sums as `+=` makes them, after the first contribution, the second and so on; None if it is not clear."""
        tape, x = self.backward.tape, self.backward.adjoints[v]
        found: list[TapeOperand] = []
        while True:
            made = tape.instructions[x - tape.leaves] if isinstance(x, int) and x >= tape.leaves else None
            if made is None or made.operation is not ops.add or len(found) == count - 1:
                found.append(self.backward.place(x))
                break
            if not _is_zero(made.operands[1]):
                found.append(self.backward.place(x))
            x = made.operands[0]
        return found[::-1] if len(found) == count else None

    def _unfolded(self, total: TapeOperand, earlier: TapeOperand | None, chosen: Sequence[_Contribution]) -> str:
        """The lines that say how a sum is made of its contributions."""
        ends = [self.backward.adjoint(contribution.consumer) for contribution in chosen]
        ends += [contribution.edge[1] for contribution in chosen]
        ends += [] if earlier is None else [earlier]
        atoms = {x for x in ends if isinstance(x, int)}
        found: dict[int, None] = {}
        waiting: list[TapeOperand] = [total]
        if not isinstance(total, int) or (total in atoms and len(chosen) == 1):
            waiting = []
        while waiting:
            x = waiting.pop()
            made = self.lines.definition(x)
            if made is None or not isinstance(x, int) or x in found or (x in atoms and x != total):
                continue
            if made.operation in _SUMS:
                found[x] = None
                waiting += made.operands
            elif made.operation is ops.mul:
                found[x] = None
                waiting += [y for y in made.operands if self._negates(y)]
        found.update(dict.fromkeys(x for x in sorted(atoms) if self._negates(x)))
        return self.lines.unfolded(found)

    def _negates(self, x: TapeOperand) -> bool:
        made = self.lines.definition(x)
        return made is not None and made.operation is ops.neg


def _is_zero(x: TapeOperand) -> bool:
    return isinstance(x, float) and x == 0.0
