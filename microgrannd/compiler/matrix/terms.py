"""Sums of products: a tape in the normal form in which equal structure is easy to see.

Arithmetic that is used in one place only flattens into one n-ary sum of products; equal terms are counted together
and equal nodes shared. Additions are reordered, so results agree with the tape's to rounding, not bit for bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.operations import Operation

Term: TypeAlias = tuple[float, tuple[int, ...]]  # a coefficient times variables

# A longer product or a longer scaled sum stays a node of its own, so that flattening takes linear time.
FACTORS: Final = 6
SCALED: Final = 256


class Sum(NamedTuple):
    """constant + Σ coefficient · factor · factor ..."""

    constant: float
    terms: tuple[Term, ...]


class Apply(NamedTuple):
    operation: Operation
    operands: tuple[TapeOperand, ...]


MatrixNode: TypeAlias = Sum | Apply


class Terms(NamedTuple):
    """The nodes by variable, in an order in which they can be computed; the other variables are leaves."""

    leaves: int
    nodes: dict[int, MatrixNode]
    outputs: tuple[TapeOperand, ...]
    labels: dict[int, tuple[str, ...]]


def flattened(tape: Tape) -> Terms:
    """The tape's outputs as sums of products."""
    return _Flattener(tape).terms()


@dataclass(slots=True)
class _Form:
    """A sum of products that is being collected; its only reader may change it."""

    constant: float
    terms: list[Term]


class _Flattener:
    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        size = tape.leaves + len(tape.instructions)
        self.occurrences, self.single = _uses(tape, size)
        self.forms: list[_Form | None] = [None] * size
        self.resolved: list[TapeOperand | None] = [*range(tape.leaves), *[None] * len(tape.instructions)]
        self.nodes: dict[int, MatrixNode] = {}
        self.shared: dict[object, int] = {}

    def terms(self) -> Terms:
        tape = self.tape
        for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
            form = self._form(operation, operands)
            if form is not None:
                self.forms[v] = form
            else:
                self.resolved[v] = self._applied(v, operation, operands)
        outputs = tuple(self._atom(x) if isinstance(x, int) else x for x in tape.outputs)
        labels: dict[int, tuple[str, ...]] = {}
        for v, label in tape.labels.items():
            node = self.resolved[v]
            if isinstance(node, int):
                labels[node] = (*labels.get(node, ()), label)
        return Terms(tape.leaves, self.nodes, outputs, labels)

    def _form(self, operation: Operation, operands: tuple[TapeOperand, ...]) -> _Form | None:
        if operation is ops.mul:
            return self._product(1.0, operands)
        if operation is ops.add or operation is ops.sum:
            return self._added(operands)
        if operation is ops.sub:
            x, y = operands
            return self._merged(self._linear(x, 1.0, _number(y)), self._linear(y, -1.0, _number(x)))
        if operation is ops.neg:
            return self._linear(operands[0], -1.0)
        if operation is ops.dot:
            return self._dot(operands)
        if operation is ops.square or _is_power(operation, operands, 2.0):
            return self._product(1.0, (operands[0], operands[0]))
        if operation is ops.stop_gradient or _is_power(operation, operands, 1.0):
            return self._linear(operands[0], 1.0)
        if operation is ops.mean and operands:
            return self._scaled(self._added(operands), 1 / len(operands))
        if operation is ops.div and isinstance(operands[1], float) and operands[1] and math.isfinite(1 / operands[1]):
            return self._linear(operands[0], 1 / operands[1])
        return None

    def _added(self, operands: Sequence[TapeOperand]) -> _Form:
        total = _Form(0.0, [])
        beside = sum(map(_number, operands))
        for x in operands:
            total = self._merged(total, self._linear(x, 1.0, beside))
        return total

    def _dot(self, operands: tuple[TapeOperand, ...]) -> _Form:
        size = len(operands) // 2
        total = self._linear(operands[-1], 1.0) if len(operands) % 2 else _Form(0.0, [])
        for pair in zip(operands[:size], operands[size : 2 * size], strict=True):
            total = self._merged(total, self._product(1.0, pair))
        return total

    def _linear(self, x: TapeOperand, scale: float, beside: float = 0.0) -> _Form:
        """The operand as a form of its own, times a number; one variable where constants do not add exactly.

        Of (x - a) - b nothing may be left but a rounded a + b if b is what a lacks, as in a number in two parts.
        """
        if isinstance(x, float):
            return _Form(scale * x, [])
        form = self.forms[x]
        if form is not None and self.single[x] and _spreads(scale, form) and _add_exactly(form.constant, beside):
            if scale == 1.0 and self.occurrences[x] == 1:
                self.forms[x] = None
                return form
            if len(form.terms) <= (SCALED if self.occurrences[x] == 1 else FACTORS):
                return self._scaled(form, scale)
        atom = self._atom(x)
        return _Form(scale * atom, []) if isinstance(atom, float) else _Form(0.0, [(scale, (atom,))])

    def _scaled(self, form: _Form, scale: float) -> _Form:
        return _Form(scale * form.constant, [(scale * coefficient, factors) for coefficient, factors in form.terms])

    def _merged(self, x: _Form, y: _Form) -> _Form:
        """x + y; the terms of the shorter are added to the longer."""
        if len(x.terms) < len(y.terms):
            x, y = y, x
        x.constant += y.constant
        x.terms += y.terms
        return x

    def _product(self, coefficient: float, operands: Sequence[TapeOperand]) -> _Form:
        factors: tuple[int, ...] = ()
        for x in operands:
            if isinstance(x, float):
                rest = [y for y in operands if y is not x]
                if len(rest) == 1 and isinstance(rest[0], int):
                    return self._linear(rest[0], x)
                coefficient *= x
                continue
            form = self.forms[x]
            whole = form is not None and self.single[x] and self.occurrences[x] == 1
            if form is not None and whole and len(form.terms) == 1 and form.constant == 0.0:
                [(scale, more)] = form.terms
                if len(factors) + len(more) <= FACTORS:
                    coefficient *= scale
                    factors += more
                    continue
            atom = self._atom(x)
            if isinstance(atom, float):
                coefficient *= atom
            else:
                factors += (atom,)
        return _Form(0.0, [(coefficient, factors)]) if factors else _Form(coefficient, [])

    def _applied(self, v: int, operation: Operation, operands: tuple[TapeOperand, ...]) -> TapeOperand:
        atoms = tuple([self._atom(x) if x.__class__ is int else x for x in operands])
        if all(x.__class__ is float for x in atoms):
            return float(operation.forward(*atoms))
        # 0.0 == -0.0 and nan != nan, so constants are compared as text
        key = (operation, *[repr(x) if x.__class__ is float else x for x in atoms])
        return self._node(v, key, Apply(operation, atoms))

    def _atom(self, x: int) -> TapeOperand:
        """The variable as a node, an older variable that is equal, or a number."""
        atom = self.resolved[x]
        if atom is None:
            atom = self.resolved[x] = self._finished(x)
        return atom

    def _finished(self, v: int) -> TapeOperand:
        form = self.forms[v]
        assert form is not None
        self.forms[v] = None
        terms = _collected(form.terms)
        if not terms:
            return form.constant
        constant = form.constant + 0.0  # for a sum, 0.0 and -0.0 are the same
        if len(terms) == 1 and constant == 0.0 and terms[0][0] == 1.0 and len(terms[0][1]) == 1:
            return terms[0][1][0]
        return self._node(v, (repr(constant), terms), Sum(constant, terms))

    def _node(self, v: int, key: object, node: MatrixNode) -> int:
        atom = self.shared.setdefault(key, v)
        if atom == v:
            self.nodes[v] = node
        return atom


def _number(x: TapeOperand) -> float:
    return x if isinstance(x, float) else 0.0


def _add_exactly(x: float, y: float) -> bool:
    total = x + y
    return not (x and y) or (total - x == y and total - y == x)


def _is_power(operation: Operation, operands: Sequence[TapeOperand], exponent: float) -> bool:
    return operation is ops.pow and isinstance(operands[1], float) and operands[1] == exponent


def _collected(terms: list[Term]) -> tuple[Term, ...]:
    if len(terms) == 1:
        [(coefficient, factors)] = terms
        return ((coefficient, tuple(sorted(factors))),)
    sums: dict[tuple[int, ...], float] = {}
    for coefficient, factors in terms:
        key = factors if len(factors) == 1 else tuple(sorted(factors))
        sums[key] = sums[key] + coefficient if key in sums else coefficient
    return tuple([(sums[key], key) for key in sorted(sums)])


def _uses(tape: Tape, size: int) -> tuple[list[int], list[bool]]:
    """How often each variable occurs, and whether it occurs in a single instruction only."""
    occurrences, users, last = [0] * size, [0] * size, [-1] * size
    for k, (_, operands) in enumerate(tape.instructions):
        for x in operands:
            if x.__class__ is int:
                occurrences[x] += 1
                if last[x] != k:
                    last[x] = k
                    users[x] += 1
    for x in tape.outputs:
        if isinstance(x, int):
            users[x] += 2
    return occurrences, [count == 1 for count in users]


def _spreads(scale: float, form: _Form) -> bool:
    """Whether a sum times a number is as exact term by term. π (x - y) is not: where x is near y, x - y is exact."""
    exact = [1 for coefficient, factors in form.terms if len(factors) == 1 and abs(coefficient) == 1.0]
    return math.isfinite(scale) and (abs(math.frexp(scale)[0]) == 0.5 or len(exact) + bool(form.constant) <= 1)
