"""Clipping: gradients that have grown too large are made smaller before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from microgrannd.engine import Value
from microgrannd.ground.arguments import list_of, shown
from microgrannd.learning.optimizer import Optimizer
from microgrannd.operations import Number, is_number


class Clip(NamedTuple):
    """How large gradients may be: their norm, all together; and each."""

    norm: float = math.inf
    value: float = math.inf

    def __call__(self, parameters: Iterable[Value]) -> None:
        if self.norm < math.inf:
            clip_grad_norm(parameters, self.norm)
        if self.value < math.inf:
            clip_grad_value(parameters, self.value)


def clip_of(clip: Any, optimizer: Optimizer) -> Clip | None:
    """What `fit(clip=...)` says: a largest norm, or ("norm", number) or ("value", number)."""
    if clip is None:
        return None
    if type(optimizer).step_on is not Optimizer.step_on:
        raise ValueError(f"{type(optimizer).__name__} goes by the gradients as they are: leave out clip.")
    name, limit = clip if isinstance(clip, tuple) and len(clip) == 2 else ("norm", clip)
    if name not in Clip._fields or not is_number(limit):
        raise TypeError(f"clip is a largest norm, or ('norm', number) or ('value', number); got {shown(clip)}.")
    return Clip(**{name: _limit(limit, f"clip, the largest {name},")})


def clip_grad_norm(parameters: Iterable[Value], max_norm: Number) -> float:
    """Make the gradients smaller, all by one factor, where their norm is above `max_norm`; the norm before.

    The norm is √Σ grad², the factor `max_norm` / (norm + 1e-6), as in PyTorch.

    >>> p, q = Value(1.0), Value(1.0)
    >>> p.grad, q.grad = 3.0, 4.0
    >>> clip_grad_norm([p, q], 10.0), clip_grad_norm([p, q], 1.0)
    (5.0, 5.0)
    >>> round(p.grad, 5), round(q.grad, 5)
    (0.6, 0.8)
    """
    parameters, limit = _list(parameters), _limit(max_norm, "max_norm")
    norm = math.hypot(*[parameter.grad for parameter in parameters])
    factor = limit / (norm + 1e-6)
    if not factor >= 1:  # a NaN is passed on
        for parameter in parameters:
            parameter.grad *= factor
    return norm


def clip_grad_value(parameters: Iterable[Value], max_value: Number) -> None:
    """Move the gradients above `max_value` or below its negative to there.

    >>> p, q = Value(1.0), Value(1.0)
    >>> p.grad, q.grad = 3.0, -0.5
    >>> clip_grad_value([p, q], 1.0)
    >>> p.grad, q.grad
    (1.0, -0.5)
    """
    limit = _limit(max_value, "max_value")
    for parameter in _list(parameters):
        if abs(parameter.grad) > limit:
            parameter.grad = math.copysign(limit, parameter.grad)


def _list(parameters: Any) -> list[Value]:
    wanted = "a list of Values, such as model.parameters()"
    return list(dict.fromkeys(list_of("parameters", parameters, wanted, Value)))


def _limit(number: Any, name: str) -> float:
    if not is_number(number):
        raise TypeError(f"{name} is a number, got {shown(number)}.")
    if not number > 0:
        raise ValueError(f"{name} is above 0, got {number}.")
    return float(number)
