"""Operations spelled in others: what a back end has no instruction for, it gets in the form that the row gives."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from microgrannd.compiler.tape.simplify import drop_dead, simplify
from microgrannd.compiler.tape.tape import Rewriter, Tape, TapeOperand, rewrite
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation


def expanded(tape: Tape, known: Container[Operation]) -> Tape:
    """The tape in the operations that are `known`; one that is not, and has no form, stays as it is."""
    used = {operation for operation, _ in tape.instructions}
    foreign = [operation for operation in used if operation not in known and operation.form is not None]
    if not foreign:
        return tape

    def spelled(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand | None:
        if operation in known or operation.form is None:
            return None
        arguments = tuple([Written(writer, x) if isinstance(x, int) else x for x in operands])
        return _place(operation.form(*operation.split(arguments)))

    spelled_out = rewrite(tape, spelled, only=foreign)
    given = {x.__class__ for operation, operands in tape.instructions if operation in foreign for x in operands}
    return (
        simplify(spelled_out) if given > {int} else drop_dead(spelled_out)
    )  # a form given constants is mostly shorter


class Written(Arithmetic):
    __slots__ = ("place", "writer")

    def __init__(self, writer: Rewriter, place: int) -> None:
        self.writer = writer
        self.place = place

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Written | float:
        place = self.writer.place(operation, tuple(map(_place, arguments)))
        return Written(self.writer, place) if isinstance(place, int) else place

    def __bool__(self) -> bool:
        raise TypeError(
            "A row's form and its rule choose by where(condition, x, y), not by `if`, `and`, max() or min()."
        )


def _place(thing: Written | float) -> TapeOperand:
    return thing.place if isinstance(thing, Written) else float(thing)
