"""Forward mode in Coq: for each variable a lemma that the line for its speed is how fast it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microgrannd.compiler.text.coq_backward import sum_of
from microgrannd.compiler.text.coq_lines import HERE, Lines
from microgrannd.compiler.text.coq_steps import Steps
from microgrannd.printing.precedence import ATOM


class Forward:
    """The lemmas of forward mode: for each variable, that its rate is the line that says how fast it changes."""

    def __init__(self, lines: Lines, steps: Steps) -> None:
        self.found, self.lines, self.steps = lines.found, lines, steps
        [backward] = self.found.passes
        self.output, self.place = backward.output, backward.place(backward.output)
        self.value = lines.alias("value", self.place)
        self.speed = self.found.speeds.get(self.output, 0.0) if isinstance(self.output, int) else 0.0
        self.name = lines.alias(f"{self.value}_speed", self.speed)
        steps.text += self._lemmas()

    def statement(self, leaves: str = "(path t)") -> str:
        path = self.lines.call(self.value, self.lines.depends(self.place), "(path s)").text()
        slope = self.lines.call(self.name, self.lines.depends(self.speed), leaves).text(ATOM)
        return f"is_derive (fun s => {path}) t {slope}"

    def theorem(self, conditions: Sequence[str]) -> Iterator[str]:
        """Along any path, since all in its section is for any."""
        given, holds = "given " * self.lines.some_stay, " holds" if conditions else ""
        under = f"  every {self.lines.conditions(conditions, HERE)} ->\n" if conditions else ""
        stays = "(given : leaves) " * self.lines.some_stay
        yield f"Theorem {self.name}'is_the_derivative : forall {stays}(path : R -> leaves) (t : R) (speed : leaves),"
        yield f"  (forall i, is_derive (fun s => path s i) t (speed i)) ->\n{under}  {self.statement()}."
        yield f"Proof. intros {given}path t speed moves{holds}. "
        yield f"  exact ({self.value}'along {given}path t speed moves{holds}).\nQed."

    def _lemmas(self) -> Iterator[str]:
        steps, output = self.steps, self.output
        motion = steps.motions[output] if isinstance(output, int) else "fixed"
        said = f"Lemma {self.value}'along : {self.statement()}."
        if not isinstance(output, int) or motion == "fixed":
            yield f"{said}\nProof using All. apply @is_derive_const. Qed."
            return
        steps.need([output])
        if motion == "still":
            yield f"{said}\nProof using All. exact (still_derive _ t {steps.names[output]}'moves). Qed."
            return
        for v in sorted(steps.names):
            if steps.motions[v] == "moved":
                yield self._lemma(v)
        name = steps.names[output]
        yield f"{said}\nProof using All. exact (to _ _ _ _ {name}'moves {name}'speed). Qed."

    def _lemma(self, v: int) -> str:
        steps, speeds = self.steps, self.found.speeds
        name, total = steps.names[v], speeds[v]
        said = f"Lemma {name}'speed : {name}'rate = {self.lines.at(total).text()}."
        if v < steps.tape.leaves:
            return f"{said} Proof. reflexivity. Qed."
        edges = steps.edges(v)
        known = ", ".join(dict.fromkeys(f"{steps.names[x]}'speed" for x, _ in edges))
        ends = [place for x, slope in edges for place in (slope, speeds[x])]
        unfolded = self.lines.unfolded(sum_of(self.lines, total, ends, len(edges)))
        opened = f"unfold {name}'rate, {name}'edges; cbn [tangent]; rewrite {known}; {unfolded}algebra"
        return f"{said}\nProof. {opened}. Qed."
