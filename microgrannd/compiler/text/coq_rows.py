"""The lemmas of the rows: what `rows.v` has for each, under the statement that the row itself gives."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.operations import FusedOperation, Operation
from microgrannd.printing.coq import COQ, RESERVED_IN_COQ, slopes_in_coq
from microgrannd.printing.precedence import ATOM
from microgrannd.printing.printer import Expression

_START: Final = re.compile(r"(Definition|Fixpoint|Inductive|Lemma|Theorem|Ltac) (\w+)")
_ROW: Final = re.compile(r"Lemma row_(\w+) \((\w[\w ]*) : [^)]*\)[^:]* :\s(.*?)\.\nProof", re.DOTALL)


class RowLemma(NamedTuple):
    """What a row's lemma says: its inputs, the conditions on them, and the rest of its statement."""

    inputs: tuple[str, ...]
    conditions: tuple[str, ...]
    conclusion: str


def lemma_of(operation: Operation) -> RowLemma | None:
    """The lemma of a row of the table; None where there is none."""
    row = ops.TABLE.get(operation.name)
    return _lemmas().get(operation.name) if row is operation else None


def proved_as(operation: Operation) -> str:
    """How a proof comes to speak of an operation, in a few words of Markdown; "" where it cannot."""
    special = {
        ops.dot: "always",
        ops.mean: "as a sum divided",
        ops.stop_gradient: "held fixed",
        ops.logsumexp: "always",
        ops.pow: "`0 < x`; with a whole constant y always, or `x <> 0`",
        ops.where: "where the condition is flat, or `condition <> 0`",
    }
    if operation in special:
        return special[operation]
    lemma = lemma_of(operation)
    return "" if lemma is None else ", ".join(f"`{condition}`" for condition in lemma.conditions) or "always"


def copied(names: Iterable[str], rows: Iterable[Operation] = ()) -> list[str]:
    """The statements that are needed for these names, in their order; those about rows as the rows say them now."""
    statements, chosen, waiting = _statements(), set[str](), [*names]
    of_rows = {f"row_{operation.name}": operation for operation in rows}
    while waiting:
        if (name := waiting.pop()) in statements and name not in chosen:
            chosen.add(name)
            waiting += statements[name][1]
    texts: dict[str, None] = {}
    for name, (text, _) in statements.items():
        if name in chosen:
            texts[_from_row(of_rows[name], text) if name in of_rows else text] = None
    return list(texts)


def words_of_rows() -> set[str]:
    """What no line of a program may be called: the names in the file that are not bound there, and Coq's words."""
    inputs = {name for operation in ops.TABLE.values() for name in operation.inputs}
    return {word for word in re.findall(r"\w+", _text()) if len(word) > 1} - inputs | RESERVED_IN_COQ | {*_statements()}


def preamble() -> str:
    text = _text()
    return text[text.index("From Coq") : text.index("Definition")].strip()


def statement(operation: Operation, head: str = "") -> str:
    """What the lemma of a row concludes, in the words of the row: `is_derive tanh x (1 - tanh x * tanh x)`.

    `head` is what the file says, where there is a choice.
    """
    names = [Expression(name) for name in operation.inputs]
    slopes = slopes_in_coq(operation, names)
    flat = all(slope.of == 0 for slope in slopes)
    known = head if not flat and head and not head.startswith("flat") else ""
    kind = f"flat_{len(names)}" if flat else known or ("is_derive" if len(names) == 1 else f"slopes_{len(names)}")
    written = COQ.expression(operation, names)
    by_name = " ".join(operation.inputs)
    called = re.fullmatch(rf"(\w+) {by_name}", written.text())
    function = called[1] if called else f"(fun {by_name} => {written.text()})"
    parts = [kind, function, by_name, *([] if flat else [slope.text(ATOM) for slope in slopes])]
    return " ".join(parts)


def _from_row(operation: Operation, text: str) -> str:
    lemma = lemma_of(operation)
    if lemma is None or isinstance(operation, FusedOperation):
        return text
    inputs = " ".join(operation.inputs)
    said = [f"  {condition} ->" for condition in lemma.conditions]
    said.append(f"  {statement(operation, lemma.conclusion.split()[0])}.")
    return "\n".join([f"Lemma row_{operation.name} ({inputs} : R) :", *said, text[text.index("Proof") :]])


@functools.cache
def _text() -> str:
    return files("microgrannd.compiler.text").joinpath("rows.v").read_text(encoding="utf-8")


@functools.cache
def _statements() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By name: each statement of the file, and the words in it. A constructor stands for its type."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    lines = _text().splitlines()
    starts = [i for i, line in enumerate(lines) if _START.match(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        text = "\n".join(lines[start:end])
        text = re.sub(r"\n\(\*.*?\*\)\s*$", "", text.strip(), flags=re.DOTALL).strip()
        kind, name = _START.match(text).groups()  # type: ignore[union-attr]
        words = tuple(set(re.findall(r"\w+", text)) - {name})
        found[name] = (text, words)
        if kind == "Inductive":
            found.update(dict.fromkeys(re.findall(r"(?:\| |:= )(\w+)", text), (text, words)))
    return found


@functools.cache
def _lemmas() -> dict[str, RowLemma]:
    found = {}
    for name, inputs, said in _ROW.findall(_text()):
        *conditions, conclusion = [" ".join(part.split()) for part in said.split("->")]
        found[name] = RowLemma(tuple(inputs.split()), tuple(conditions), conclusion)
    return found
