"""How rounding errors spread: a number together with a bound on its distance from the exact one.

A ball holds the number that the run has and all that it might be if nothing were rounded. Put through an operation, it
gets the radius that the row's local gradients make of it, at most, anywhere in the ball (the mean value theorem), plus
the error of the operation itself (`Operation.ulps`). Radii are instructions like any other. They are sums and products
of what is not negative, so that their own rounding is a factor near 1, for which `SLACK` stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import starmap
from typing import Any, Final

from microgrannd import operations as ops
from microgrannd.compiler.tape.expand import Written
from microgrannd.compiler.tape.roundings import UNIT, Number, of_units, own_error
from microgrannd.compiler.tape.tape import Rewriter
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.operations import Operation

SLACK: Final = 1 + 2.0**-20  # for the rounding of up to 2**25 radii that build on each other
_WIDER: Final = 1 + 2.0**-10
_NAMED: Final = frozenset(x for name, x in vars(ops).items() if name.isupper() and isinstance(x, float)) | {math.pi}


class Ball(Arithmetic):
    """A number and its radius, both perhaps constants."""

    __slots__ = ("_radius", "number", "was_asked", "writer")

    def __init__(self, writer: Rewriter, number: Number, radius: Number = 0.0) -> None:
        self.writer = writer
        self.number = number
        self._radius = radius
        self.was_asked = False

    @property
    def radius(self) -> Number:
        self.was_asked = True
        return self._radius

    @property
    def size(self) -> Number:
        """The largest absolute value."""
        return _sum(abs(self.number), self.radius)

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Ball:
        balls = [x if isinstance(x, Ball) else of_a_rule(self.writer, x) for x in arguments]
        if spelled := _spelled(operation):
            made = spelled(*operation.split(tuple(balls)))
            return made if isinstance(made, Ball) else Ball(self.writer, made)
        number = operation(*operation.split(tuple([ball.number for ball in balls])))
        own = own_error(operation, self.writer, [ball.number for ball in balls], number)
        if not any(isinstance(ball.radius, Written) or ball.radius for ball in balls):
            return Ball(self.writer, number, own)
        spread = _SPREAD.get(operation) or (_flag if operation.flag else None)
        if spread is None:
            return Ball(self.writer, number, _by_rule(operation, balls, number, own))
        return Ball(self.writer, number, _sum(spread(*balls, number), own))


def of_a_rule(writer: Rewriter, constant: float) -> Ball:
    """The ball of a constant that a row's rule brings along, such as ln 2 or 1/3: rounded, if it has many digits."""
    number = float(constant)
    if not math.isfinite(number) or (number * 2.0**24).is_integer():
        return Ball(writer, number)
    part = 1 / number
    units = 1 if abs(number) in _NAMED or part == round(part) else 16
    return Ball(writer, number, units * UNIT * abs(number))


def _sum(*terms: Number) -> Any:
    """The sum, without the terms that are 0 for certain."""
    left = [term for term in terms if isinstance(term, Written) or term]
    return sum(left[1:], left[0]) if left else 0.0


def _product(x: Number, y: Number) -> Any:
    """The product; 0 where a factor is 0 for certain, even if the other is infinite: nothing is exact there."""
    return 0.0 if any(not isinstance(factor, Written) and factor == 0.0 for factor in (x, y)) else x * y


def _by_rule(operation: Operation, balls: Sequence[Ball], number: Number, own: Number) -> Any:
    """At most the largest local gradient in the ball times the radius of each input, for any continuous operation.

    Where the rule needs the result, it gets a ball that is a guess, twice as wide as the local gradients of the centre
    make it. A result that left the guess would have to cross its edge first, and until then the bound holds: a bound
    that is within the guess is right.
    """
    writer, moving = balls[0].writer, [i for i, x in enumerate(balls) if isinstance(x.radius, Written) or x.radius]
    centre = operation.local_gradients(*[ball.number for ball in balls], number)
    first = _sum(*[_product(abs(centre[i]), balls[i].radius) for i in moving])
    guess = Ball(writer, number, 2.0 * _sum(first, own))
    around = operation.local_gradients(*balls, guess)
    sizes = [ball.size if isinstance(ball, Ball) else abs(float(ball)) for ball in around]
    radius = _sum(*[_product(sizes[i], balls[i].radius) for i in moving], own)
    return ops.where(ops.less_equal(radius, guess._radius), radius, math.inf) if guess.was_asked else radius


def _if_small(share: Number, most: float, radius: Number) -> Any:
    return ops.where(ops.less_equal(share, most), radius, math.inf)


def _grown(share: Number) -> Any:
    """At least exp(x) - 1 for x from 0 to 1."""
    return share + _product(share, share)


def _may_differ(x: Ball, y: Ball) -> Any:
    """1 where two numbers may be in another order than they seem; 0 where they are the same, exact or far apart."""
    radius = _sum(x.radius, y.radius)
    if _are_the_same(x, y) or (not isinstance(radius, Written) and not radius):
        return 0.0
    return ops.where(radius, 1.0 - ops.greater(abs(x.number - y.number), radius * _WIDER), 0.0)


def _are_the_same(x: Ball, y: Ball) -> bool:
    return isinstance(x.number, Written) and isinstance(y.number, Written) and x.number.place == y.number.place


def _times(x: Ball, y: Ball, out: Number) -> Any:
    return _sum(_product(abs(x.number), y.radius), _product(y.size, x.radius))


def _contribution(upstream: Ball, local: Ball, out: Number) -> Any:
    return ops.where(upstream.size, _times(upstream, local, out), 0.0)


def _over(x: Ball, y: Ball, out: Number) -> Any:
    size = abs(y.number)
    radius = ops.div(_sum(x.radius, _product(abs(out), y.radius)), size)
    if not isinstance(y.radius, Written) and not y.radius:
        return radius
    return _if_small(y.radius, 2.0**-11 * size, radius * _WIDER)


def _exp(x: Ball, out: Number) -> Any:
    return _if_small(x.radius, 1.0, _product(abs(out), _grown(x.radius)))


def _cosh(x: Ball, out: Number) -> Any:
    radius = _product(abs(ops.sinh(x.number)), _grown(x.radius)) + _product(out, x.radius * x.radius)
    return _if_small(x.radius, 1.0, radius)


def _pow(x: Ball, y: Ball, out: Number) -> Any:
    exponent = y.number
    if isinstance(exponent, float) and exponent in range(1, 17) and not isinstance(y.radius, Written) and not y.radius:
        return exponent * _product(ops.pow(x.size, exponent - 1.0), x.radius)
    share = ops.div(x.radius, abs(x.number))
    growth = _product(_sum(abs(exponent), y.radius), _grown(share))
    if isinstance(y.radius, Written) or y.radius:
        growth = _sum(growth, _product(abs(ops.log(x.number)), y.radius))
    return _if_small(share, 0.5, _if_small(growth, 1.0, _product(abs(out), _grown(growth))))


def _polygamma(order: Ball, x: Ball, out: Number) -> Any:
    """Right of 0 each is a sum of powers 1 / (x + k), which changes by no larger share than its first."""
    if not isinstance(order.number, float) or order.number < 1 or order.radius:
        return math.inf
    share = ops.div(x.radius, x.number) * (order.number + 1.0)
    return ops.where(ops.greater(x.number, 0.0), _if_small(share, 0.25, 2.0 * _product(abs(out), share)), math.inf)


def _floor(x: Ball, out: Number) -> Any:
    reach = x.radius * _WIDER
    return ops.floor(x.number + reach) - ops.floor(x.number - reach)


def _floordiv(x: Ball, y: Ball, out: Number) -> Any:
    return ops.where(_sum(x.radius, y.radius), _floor(x / y, out), 0.0)  # of exact numbers it is exact


def _mod(x: Ball, y: Ball, out: Number) -> Any:
    whole = abs(ops.floordiv(x.number, y.number))
    return _sum(x.radius, _product(whole, y.radius), _product(_floordiv(x, y, out), y.size))


def _where(condition: Ball, x: Ball, y: Ball, out: Number) -> Any:
    moving = _sum(x.radius, y.radius)
    chosen = ops.where(condition.number, x.radius, y.radius) if isinstance(moving, Written) or moving else 0.0
    if not isinstance(condition.radius, Written) and not condition.radius:
        return chosen
    either = _sum(x.radius, y.radius, abs(x.number - y.number))
    return ops.where(_may_differ(condition, Ball(condition.writer, 0.0)), either, chosen)


def _sqrt(x: Ball, out: Number) -> Any:
    share = ops.div(x.radius, x.number)
    return _if_small(share, 0.5, 0.5 * _product(out, _grown(share)))


def _log(x: Ball, out: Number) -> Any:
    share = ops.div(x.radius, x.number)
    return _if_small(share, 0.5, _grown(share))


def _atan2(y: Ball, x: Ball, out: Number) -> Any:
    """By its rule, and a whole turn where it may have jumped: left of 0, where y changes its sign."""
    turn = ops.less_equal(abs(y.number), y.radius * _WIDER) * ops.less_equal(x.number, x.radius * _WIDER)
    return _sum(_by_rule(ops.atan2, (y, x), out, of_units(ops.atan2.ulps or 0.0, out)), 2.0 * math.pi * turn)


def _flag(*balls: Any) -> Any:
    """Of a flag of your own nobody knows where it jumps."""
    return ops.where(_sum(*[ball.radius for ball in balls[:-1]]), 1.0, 0.0)


def _zero(x: Ball) -> Ball:
    return Ball(x.writer, 0.0)


# How far apart the exact result may be for inputs in balls; all else goes by its rule. Jumps are here, of which no rule
# tells, and what would go round in circles, as sine and cosine.
_SPREAD: Final[dict[Operation, Callable[..., Any]]] = {
    ops.add: lambda x, y, out: _sum(x.radius, y.radius),
    ops.sub: lambda x, y, out: 0.0 if _are_the_same(x, y) else _sum(x.radius, y.radius),
    **dict.fromkeys([ops.neg, ops.abs, ops.stop_gradient, ops.relu], lambda x, out: x.radius),
    **dict.fromkeys([ops.maximum, ops.minimum], lambda x, y, out: ops.maximum(x.radius, y.radius)),
    **{ops.mul: _times, ops.contribution: _contribution, ops.div: _over, ops.pow: _pow, ops.exp: _exp},
    **{ops.mod: _mod, ops.floordiv: _floordiv, ops.floor: _floor, ops.ceil: _floor, ops.where: _where},
    ops.sin: lambda x, out: _product(_sum(abs(ops.cos(x.number)), x.radius), x.radius),
    ops.cos: lambda x, out: _product(_sum(abs(ops.sin(x.number)), x.radius), x.radius),
    ops.sinh: lambda x, out: _if_small(x.radius, 1.0, _product(ops.cosh(x.number), _grown(x.radius))),
    **{ops.cosh: _cosh, ops.polygamma: _polygamma, ops.sqrt: _sqrt, ops.log: _log, ops.atan2: _atan2},
    ops.hypot: lambda x, y, out: _sum(x.radius, y.radius),
    ops.norm: lambda *xs: _sum(*[x.radius for x in xs[:-1]]),
    ops.sign: lambda x, out: 2.0 * _may_differ(x, _zero(x)),
    ops.step: lambda x, out: _may_differ(x, _zero(x)),
    **dict.fromkeys([row for row in ops.TABLE.values() if row.flag], lambda x, y, out: _may_differ(x, y)),
}


def _added(xs: Sequence[Any], *start: Any) -> Any:
    return reduce(ops.add, xs, *start)


# What is no more than a few other operations, in this order, bit for bit.
_SPELLED: Final[dict[Operation, Any]] = {
    ops.sum: lambda xs: _added(xs, 0.0),
    ops.mean: lambda xs: _added(xs, 0.0) / len(xs),
    ops.dot: lambda xs, ys, *b: _added(list(starmap(ops.mul, zip(xs, ys, strict=True))), *(b or (0.0,))),
    **{row: row.form for row in (ops.sigmoid, ops.softplus, ops.logsigmoid, ops.silu, ops.gelu)},
    **{row: row.form for row in (ops.leaky_relu, ops.elu)},
}


def _spelled(operation: Operation) -> Callable[..., Any] | None:
    form, forward = operation.form, operation.forward
    if operation.ulps is None and getattr(form, "__code__", None) is getattr(forward, "__code__", 0):
        return None if operation is ops.lbeta else form  # computed as its form says, which of lbeta is only near
    return _SPELLED.get(operation)
