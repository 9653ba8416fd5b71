"""A backward pass in Coq: for each variable a lemma that its adjoint is what was added up for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import TapeOperand
from microgrannd.compiler.text.coq_lines import Lines
from microgrannd.compiler.text.coq_steps import Edge, Steps
from microgrannd.printing.precedence import ATOM, PRODUCT, SIGN

_SUMS: Final = frozenset([ops.add, ops.sub, ops.neg])
_AT_ONCE: Final = 3  # contributions in one lemma; more are added up lemma by lemma


class Theorem(NamedTuple):
    """That the line `gradient` is the derivative of another by a leaf."""

    of: str  # the name of the line that is differentiated
    leaf: int
    statement: str
    name: str


class _Contribution(NamedTuple):
    consumer: int
    edge: Edge


class Backward:
    """The lemmas of one backward pass: for each variable, that its adjoint is what was added up for it."""

    def __init__(self, lines: Lines, steps: Steps, index: int) -> None:
        self.found, self.lines, self.steps = lines.found, lines, steps
        self.backward = self.found.passes[index]
        self.output = self.backward.output
        self.place = self.backward.place(self.output)
        self.of = lines.slopes[self.found.of[index - 1]] if index else lines.alias("value", self.place)
        self.prefix = f"{self.of}'" if index else ""

    def theorems(self) -> Iterator[Theorem]:
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
            yield Theorem(self.of, leaf, statement, f"{name}'is_the_derivative")

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
        return self.lines.unfolded(sum_of(self.lines, total, ends, len(chosen)))


def sum_of(lines: Lines, total: TapeOperand, ends: Sequence[TapeOperand], count: int) -> list[int]:
    """The lines between a sum of `count` products and the factors that they are made of, `ends`."""
    atoms = {x for x in ends if isinstance(x, int)}
    found: dict[int, None] = {}
    waiting: list[TapeOperand] = [total]
    if not isinstance(total, int) or (total in atoms and count == 1):
        waiting = []
    while waiting:
        x = waiting.pop()
        made = lines.definition(x)
        if made is None or not isinstance(x, int) or x in found or (x in atoms and x != total):
            continue
        if made.operation in _SUMS:
            found[x] = None
            waiting += made.operands
        elif made.operation is ops.mul:
            found[x] = None
            waiting += [y for y in made.operands if _negates(lines, y)]
    found.update(dict.fromkeys(x for x in sorted(atoms) if _negates(lines, x)))
    return list(found)


def _negates(lines: Lines, x: TapeOperand) -> bool:
    made = lines.definition(x)
    return made is not None and made.operation is ops.neg


def _is_zero(x: TapeOperand) -> bool:
    return isinstance(x, float) and x == 0.0
