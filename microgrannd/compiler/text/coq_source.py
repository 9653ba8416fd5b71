"""Coq: the tape as real functions of its leaves, and the theorems that its gradients are the derivatives of its value.

Two sections. In the first each line is a definition, as the compiler prints it. In the second the leaves move along
any path: a lemma a line says how fast the line changes (the chain rule, by the row's lemma), and one says that its
adjoint is what was added up for it (the backward pass). `backpropagation` of `rows.v` then gives all gradients at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from microgrannd.compiler.tape.adjoints import Adjoints
from microgrannd.compiler.text.coq_backward import Backward, Theorem
from microgrannd.compiler.text.coq_forward import Forward
from microgrannd.compiler.text.coq_lines import HERE, Lines
from microgrannd.compiler.text.coq_rows import copied, preamble
from microgrannd.compiler.text.coq_steps import Steps
from microgrannd.printing.coq import COQ

_HEAD: Final = """\
What is proved here, for all real numbers that meet the conditions: the lines for the gradients are the
derivatives of the lines for the value. `coqc` checks it, with nothing but Coq and Coquelicot.
What is not: that floats are real numbers. A program rounds each line; that these are the lines that run
is what microgrannd's tests say, bit for bit. A constant is the number that its decimals name."""


class CoqSource(NamedTuple):
    """A file, the statements of its theorems, and the conditions under which they hold."""

    text: str
    theorems: tuple[str, ...]
    conditions: tuple[str, ...]


def coq_source(name: str, found: Adjoints) -> CoqSource:
    lines = Lines(found)
    steps = Steps(found, lines)
    theorems = (
        [] if found.directions else [x for i in range(len(found.passes)) for x in Backward(lines, steps, i).theorems()]
    )
    forward = Forward(lines, steps) if found.directions else None
    conditions = list(steps.conditions)
    section = list(lines.section(conditions))
    body = [*_section(found, lines, steps), *_theorems(found, lines, theorems, conditions)]
    body += forward.theorem(conditions) if forward else []
    words = set(re.findall(r"\w+", "\n".join(body + section)))
    text = [
        COQ.comment(f"{name}, written by microgrannd."),
        *[COQ.comment(line) for line in _HEAD.splitlines()],
        *("", preamble(), "", COQ.comment("The calculus, and a lemma for each row of the table that is used."), ""),
        *[f"{statement}\n" for statement in copied(words, steps.rows)],
        *section,
        *body,
    ]
    said = (forward.statement(),) if forward else tuple([theorem.statement for theorem in theorems])
    return CoqSource("\n".join(text) + "\n", said, tuple([f"{x}{lines.explained(x)}" for x in conditions]))


def _section(found: Adjoints, lines: Lines, steps: Steps) -> Iterator[str]:
    yield "Section Derivatives."
    if lines.some_stay:
        yield "Variable given : leaves."
    yield "Variable path : R -> leaves.\nVariable t : R.\nVariable speed : positive -> R."
    yield "Hypothesis moves : forall i, is_derive (fun s => path s i) t (speed i)."
    if steps.conditions:
        yield f"Hypothesis holds : every {lines.conditions(list(steps.conditions), HERE)}."
    yield from ["", *steps.text, "End Derivatives.\n"]


def _theorems(found: Adjoints, lines: Lines, theorems: Sequence[Theorem], conditions: Sequence[str]) -> Iterator[str]:
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
