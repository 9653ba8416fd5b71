"""Coq: real numbers in place of floats; a float is read as the number that its shortest decimals name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from microgrannd import operations as ops
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import FusedOperation, Operation
from microgrannd.printing.labels import in_coq_comment
from microgrannd.printing.precedence import ANY, ATOM, POWER, PRODUCT, SIGN
from microgrannd.printing.printer import ARITHMETIC, Dialect, Expression, infix

# What the rows have as the nearest float and mean as a real number.
_MEANT: Final = {
    math.pi: Expression("PI"),
    ops.LN_2: Expression("ln 2", POWER),
    ops.LN_10: Expression("ln 10", POWER),
    ops.ONE_OVER_SQRT_2PI: Expression("1 / sqrt (2 * PI)", PRODUCT),
    ops.TWO_OVER_SQRT_PI: Expression("2 / sqrt PI", PRODUCT),
    ops.SQRT_PI_HALF: Expression("sqrt PI / 2", PRODUCT),
    ops.SQRT_HALF: Expression("sqrt (1 / 2)", POWER),
}
# Coq's own names, and ours where a row's is a word of Coq's.
_NAMES: Final = {
    **{ops.abs: "Rabs", ops.log: "ln", ops.maximum: "Rmax", ops.minimum: "Rmin", ops.pow: "Rpower"},
    **{ops.mod: "modulo", ops.where: "choose", ops.norm: "norm_of"},
}

# Words that no line may be called: Coq's, and the names that a printed file binds.
RESERVED_IN_COQ: Final = frozenset(
    """
    as at by cofix else end exists exists2 fix for forall fun if IF in is isn let match mod of open proj1 proj2
    return then using where with suff have Prop SProp Set Type Definition Fixpoint Inductive Lemma Theorem Proof
    Qed Section End Variable Hypothesis Require Import From Open Scope Axiom Admitted Abort Parameter Ltac Record
    R s t given leaf path speed moves holds conditions Lines Derivatives nat list positive bool true false option
    Some None unit tt eq eq_refl eq_trans not and or True False I
    """.split()
)


def reading(x: float) -> Fraction | None:
    """The number that a float is read as in Coq; None for one that is a rational number of none."""
    return Fraction(repr(x)) if math.isfinite(x) and abs(x) not in _MEANT else None


def whole_exponent(x: Expression) -> int | None:
    """The exponent of a power that Coq has for every base, negative numbers included."""
    return int(x.of) if isinstance(x.of, float) and x.of.is_integer() and abs(x.of) <= 1000 else None


def application(name: str, operands: Sequence[Expression]) -> Expression:
    """A function's name and its arguments, with blanks between them."""
    if not operands:
        return Expression(name)
    return Expression(" ".join([name] + ["{}"] * len(operands)), POWER, tuple((x, ATOM) for x in operands))


def listed_in_coq(elements: Sequence[Expression]) -> Expression:
    return Expression(f"[{'; '.join(['{}'] * len(elements))}]", ATOM, tuple((x, ANY) for x in elements))


def _number(x: float) -> Expression:
    if not math.isfinite(x):  # no number of Coq's, unless something is compared with it
        return Expression(str(x), of=x)
    if meant := _MEANT.get(abs(x)):
        return meant._replace(of=x) if x > 0 else Expression("-{}", SIGN, ((meant, POWER),), of=x)
    number = Fraction(repr(x))
    size = f"{abs(number.numerator)}" + (f" / {number.denominator}" if number.denominator > 1 else "")
    precedence = SIGN if number < 0 else PRODUCT if number.denominator > 1 else ATOM
    if number < 0 and number.denominator > 1:
        precedence = PRODUCT
    return Expression(f"-{size}" if number < 0 else size, precedence, of=x)


def _power(x: Expression, y: Expression) -> Expression | None:
    exponent = whole_exponent(y)
    if exponent is None:
        return None
    power = Expression(f"{{}} ^ {abs(exponent)}", POWER, ((x, ATOM),))
    return power if exponent >= 0 else Expression("1 / {}", PRODUCT, ((power, POWER),))


def _compared(otherwise: str, with_infinity: float) -> Callable[..., Expression]:
    """A comparison that is known where the number is a real one and the bound an infinity."""

    def written(x: Expression, y: Expression) -> Expression:
        infinite = isinstance(y.of, float) and math.isinf(y.of)
        return _number(with_infinity) if infinite else application(otherwise, (x, y))

    return written


def _call(name: str, operation: Operation, operands: Sequence[Expression]) -> Expression:
    name = _NAMES.get(operation, name)
    if not isinstance(operation, FusedOperation):
        return application(name, operands)
    split = operation.split(tuple(operands))
    vectors = [listed_in_coq(vector) for vector in split[: operation.vectors]]
    start = [*split[operation.vectors :]] or [_number(0.0)] * (operation.vectors - 1)
    return application(name, [*vectors, *start])


COQ: Final = Dialect(
    number=_number,
    templates={
        **ARITHMETIC,
        ops.contribution: infix("*", PRODUCT),
        ops.pow: _power,
        ops.equal: _compared("equal", 0.0),
    },
    call=_call,
    comments=("(* ", " *)"),
    escaped=in_coq_comment,
)


class Term(Arithmetic):
    """An expression in Coq that can be computed with, so that a row of the table says its local gradients in Coq."""

    __slots__ = ("expression",)

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Term:
        return Term(COQ.expression(operation, [_expression(x) for x in arguments]))


def _expression(x: Any) -> Expression:
    return x.expression if isinstance(x, Term) else _number(float(x))


def slopes_in_coq(operation: Operation, inputs: Sequence[Expression]) -> list[Expression]:
    """The local gradients of a row, by its inputs."""
    out = Term(COQ.expression(operation, inputs))
    return [_expression(slope) for slope in operation.local_gradients(*map(Term, inputs), out)]
