"""Formulas as a person simplifies them: sums of products, with like terms together and numbers in front.

Nothing is multiplied out: 2 · (a − y) · x stays a product. A formula is plain data (`Polynomial`), so that equal ones
are equal; `Formal` is one that can be computed with, so that the rules of the table run on it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple, TypeAlias

from microgrannd import operations as ops
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation
from microgrannd.printing.mathematics import BARE, Notation
from microgrannd.printing.printer import Expression

Polynomial: TypeAlias = "tuple[tuple[Monomial, Fraction], ...]"
Monomial: TypeAlias = "tuple[tuple[Letter, int], ...]"
Symbol: TypeAlias = tuple[str, Any]  # what it is a symbol of: a kind, and which one
Write: TypeAlias = Callable[[Symbol], Expression]

LARGEST_POWER: Final = 9  # that is written as a repeated factor
LONGEST_DECIMAL: Final = 6  # characters; a longer number is a fraction of two whole ones if it can be
LARGEST_IN_FRACTION: Final = 9999


class Letter(NamedTuple):
    """A symbol, or an operation on formulas; without either, a formula in brackets."""

    operation: Operation | None
    operands: tuple[Polynomial, ...]
    symbol: Symbol | None = None


class Formal(Arithmetic):
    """A formula that the operations take for a number."""

    __slots__ = ("terms",)

    def __init__(self, terms: Polynomial) -> None:
        self.terms = terms

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> "Formal":
        """What an operation makes of formulas and numbers."""
        return Formal(simplified(operation, [formula_of(x) for x in arguments]))

    def __bool__(self) -> bool:
        raise TypeError("A rule chooses by where(condition, x, y), not by `if`.")


def formula_of(x: Any) -> Polynomial:
    """The formula of a Formal, or a number as one."""
    return x.terms if isinstance(x, Formal) else literal(float(x))


def literal(x: float | Fraction) -> Polynomial:
    """A number as a formula; ⅓ is a fraction also where it comes as a float."""
    if isinstance(x, float) and not math.isfinite(x):
        return symbol(("number", repr(x)))
    exact = Fraction(x)
    simple = exact.limit_denominator(LARGEST_IN_FRACTION)
    return (((), simple if float(simple) == x else exact),) if x else ()


def symbol(of: Symbol) -> Polynomial:
    """A symbol as a formula."""
    return _atom(Letter(None, (), of))


def _atom(factor: Letter) -> Polynomial:
    return ((((factor, 1),), Fraction(1)),)


def plus(*formulas: Polynomial) -> Polynomial:
    """The sum, with like terms together."""
    terms: dict[frozenset[tuple[Letter, int]], tuple[Monomial, Fraction]] = {}
    for monomial, coefficient in (term for formula in formulas for term in formula):
        before = terms.get(key := frozenset(monomial), (monomial, Fraction(0)))
        terms[key] = before[0], before[1] + coefficient
    return tuple([term for term in terms.values() if term[1]])


def times(*formulas: Polynomial) -> Polynomial:
    """The product, with like factors together; sums stay as they are, in brackets."""
    if () in formulas:
        return ()
    coefficient, exponents = Fraction(1), dict[Letter, int]()
    for formula in formulas:
        [(monomial, size)] = formula if len(formula) == 1 else _atom(Letter(None, (formula,)))
        coefficient *= size
        for factor, exponent in monomial:
            exponents[factor] = exponents.get(factor, 0) + exponent
    monomial = tuple([(factor, exponent) for factor, exponent in exponents.items() if exponent])
    if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0].operation is None:
        return monomial[0][0].operands[0] if monomial[0][0].operands else ((monomial, coefficient),)
    return ((monomial, coefficient),)


def power(x: Polynomial, n: int) -> Polynomial:
    """A whole power, not 0 to a negative one."""
    [(monomial, coefficient)] = x if len(x) == 1 else _atom(Letter(None, (x,)))
    return times(((tuple([(factor, exponent * n) for factor, exponent in monomial]), coefficient**n),))


def simplified(operation: Operation, operands: Sequence[Polynomial]) -> Polynomial:
    """What an operation makes of formulas, simplified."""
    if written := _ARITHMETIC.get(operation):
        return written(*operands)
    if operation is ops.dot:
        size = len(operands) // 2
        return plus(*map(times, operands[:size], operands[size : 2 * size]), *operands[2 * size :])
    if operation is ops.mean:
        return times(literal(Fraction(1, len(operands))), plus(*operands))
    if operation is ops.where and (chosen := _constant(operands[0])) is not None:
        return operands[1] if chosen else operands[2]
    return _atom(Letter(operation, tuple(operands)))


def _power(x: Polynomial, y: Polynomial) -> Polynomial:
    n = _constant(y)
    if n is not None and n.denominator == 1 and abs(n) <= LARGEST_POWER and (x or n > 0):
        return power(x, int(n)) if x else ()
    return _atom(Letter(ops.pow, (x, y)))


def _quotient(x: Polynomial, y: Polynomial) -> Polynomial:
    return times(x, power(y, -1)) if y else _atom(Letter(ops.div, (x, y)))


_ARITHMETIC: Final[dict[Operation, Callable[..., Polynomial]]] = {
    **{ops.add: plus, ops.sum: plus, ops.mul: times, ops.contribution: times, ops.div: _quotient, ops.pow: _power},
    ops.sub: lambda x, y: plus(x, opposite(y)),
    ops.neg: lambda x: times(literal(-1.0), x),
    ops.square: lambda x: power(x, 2) if x else (),
    ops.stop_gradient: lambda x: x,
}


def symbols_of(x: Polynomial) -> Iterator[Symbol]:
    """The symbols in a formula, each as often as it is there."""
    for monomial, _ in x:
        for factor, _ in monomial:
            if factor.symbol is not None and factor.symbol[0] != "number":
                yield factor.symbol
            for operand in factor.operands:
                yield from symbols_of(operand)


def is_negative(x: Polynomial) -> bool:
    """Whether it is a single product with a minus before it."""
    return len(x) == 1 and x[0][1] < 0


def opposite(x: Polynomial) -> Polynomial:
    """The formula with its sign changed."""
    return tuple([(monomial, -coefficient) for monomial, coefficient in x])


def abridged(x: Polynomial, terms: int) -> Polynomial:
    """A sum with no more than so many terms: what is left out is the symbol ("more", how many)."""
    left_out = len(x) - terms
    return x if left_out < 2 else (*x[: terms - 1], *symbol(("more", left_out)), x[-1])


def _constant(x: Polynomial) -> Fraction | None:
    if not x:
        return Fraction(0)
    return x[0][1] if len(x) == 1 and not x[0][0] else None


def evaluated(x: Polynomial, value: Callable[[Symbol], float]) -> float:
    """The formula's literal, given those of its symbols."""
    total = 0.0
    for monomial, coefficient in x:
        product = _decimal(coefficient)
        for factor, exponent in monomial:
            product *= ops.pow(_factor_value(factor, value), float(exponent))
        total += product
    return total


def _factor_value(factor: Letter, value: Callable[[Symbol], float]) -> float:
    if factor.symbol:
        return float(factor.symbol[1]) if factor.symbol[0] == "number" else value(factor.symbol)
    if factor.operation:
        return float(factor.operation.forward(*[evaluated(operand, value) for operand in factor.operands]))
    return evaluated(factor.operands[0], value)


def written(x: Polynomial, notation: Notation, write: Write) -> Expression:
    """The formula in a notation; `write` says how a symbol is written."""
    if (constant := _constant(x)) is not None and _in_front(constant, False)[1] == 1:
        return notation.dialect.number(_decimal(constant))
    total: Expression | None = None
    for monomial, coefficient in x:
        term = _product(monomial, abs(coefficient), notation, write)
        if total is None:
            total = notation.apply(ops.neg, term) if coefficient < 0 else term
        else:
            total = notation.apply(ops.sub if coefficient < 0 else ops.add, total, term)
    assert total is not None
    return total


def _product(monomial: Monomial, coefficient: Fraction, notation: Notation, write: Write) -> Expression:
    above, below = _in_front(coefficient, any(exponent < 0 for _, exponent in monomial))
    numerator = [notation.dialect.number(above)] if above != 1 else []
    denominator = [notation.dialect.number(below)] if below != 1 else []
    for factor, exponent in sorted(monomial, key=lambda power: power[0].operation in BARE):  # y · log x, not log x · y
        base = _factor(factor, notation, write)
        (numerator if exponent > 0 else denominator).append(notation.power(base, abs(exponent)))
    over = notation.product(numerator or [notation.dialect.number(1)])
    return notation.apply(ops.div, over, notation.product(denominator)) if denominator else over


def _in_front(coefficient: Fraction, divided: bool) -> tuple[float, int]:
    """The number in front, and one to divide by: ⅓ is 1 and 3, and 0.25 is itself where nothing else is divided by."""
    decimal = _decimal(coefficient)
    whole = max(coefficient.numerator, coefficient.denominator) <= LARGEST_IN_FRACTION
    if whole and (divided or len(repr(decimal).removesuffix(".0")) > LONGEST_DECIMAL):
        return coefficient.numerator, coefficient.denominator
    return decimal, 1


def _decimal(coefficient: Fraction) -> float:
    try:
        return float(coefficient)
    except OverflowError:
        return math.inf if coefficient > 0 else -math.inf


def _factor(factor: Letter, notation: Notation, write: Write) -> Expression:
    if factor.symbol:
        kind, of = factor.symbol
        return notation.dialect.number(float(of)) if kind == "number" else write(factor.symbol)
    if factor.operation:
        return notation.apply(factor.operation, *[written(operand, notation, write) for operand in factor.operands])
    return written(factor.operands[0], notation, write)
