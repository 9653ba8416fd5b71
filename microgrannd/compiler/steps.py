"""The optimizers' steps for one parameter, as functions of scalars: they are compiled like any other.

They are those of `optim`, where each is explained; the tests hold them equal. This room may import the
tracing, the simplifier and the floors beneath the compiler.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrannd import operations as mg
from microgrannd.compiler.tape.simplify import simplify
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import trace
from microgrannd.engine import Value
from microgrannd.optim import SGD, Adam, AdamW, Optimizer


class Steps(NamedTuple):
    """An optimizer taken apart for native code.

    `prepare` is a tape from the share 1 / batch size, the count of the step and the settings to a few
    numbers that all parameters share; `step` goes from a summed gradient, a parameter and its `memory`,
    with those numbers as the tape's parameters, to the parameter and the memory after the step.
    """

    prepare: Tape
    step: Tape
    memory: tuple[str, ...]


def settings_of(optimizer: Optimizer) -> tuple[float, ...]:
    """The numbers that an optimizer of the package was made with, the learning rate first."""
    if isinstance(optimizer, SGD):
        return (optimizer.lr, float(optimizer.momentum), float(optimizer.dampening), float(optimizer.weight_decay))
    assert isinstance(optimizer, Adam)
    return (optimizer.lr, *map(float, optimizer.betas), float(optimizer.eps), float(optimizer.weight_decay))


def steps(optimizer: Optimizer) -> Steps | None:
    """The steps of an optimizer of the package; None for one of the user's own."""
    if type(optimizer) is SGD:
        return _sgd(bool(optimizer.momentum), optimizer.nesterov, bool(optimizer.weight_decay))
    if type(optimizer) in (Adam, AdamW):
        return _adam(isinstance(optimizer, AdamW))
    return None


def places(parameters: Sequence[Value], optimizer: Optimizer) -> Sequence[int] | None:
    """Where each of the parameters stands in the optimizer, one of the package.

    None unless it has them all, and no others that its step moves where their gradient is zero.
    """
    if len(parameters) == len(optimizer.parameters) and all(map(operator.is_, parameters, optimizer.parameters)):
        return range(len(parameters))
    place = {parameter: i for i, parameter in enumerate(optimizer.parameters)}
    found = [place.pop(parameter, -1) for parameter in parameters]
    assert isinstance(optimizer, SGD | Adam)
    moved = optimizer.weight_decay or any(column[i] for column in optimizer.memory.values() for i in place.values())
    return None if -1 in found or (place and moved) else found


def others(parameters: Sequence[Value], optimizer: Optimizer) -> list[Value]:
    """What else the optimizer has: its gradient is zero in every batch."""
    if len(parameters) == len(optimizer.parameters):
        return []
    known = set(parameters)
    return [parameter for parameter in optimizer.parameters if parameter not in known]


@functools.cache
def _sgd(momentum: bool, nesterov: bool, decays: bool) -> Steps:
    def step(numbers: Sequence[Any], g: Any, p: Any, *memory: Any) -> list[Any]:
        share, lr, factor, kept, added, decay = numbers
        g = share * g
        if decays:
            g = g + decay * p
        if not momentum:
            return [p - lr * g]
        v = kept * memory[0] + added * g
        return [p - lr * (g + factor * v if nesterov else v), v]

    return _traced(_sgd_numbers, step, 4, ("velocity",) if momentum else ())


@functools.cache
def _adam(apart: bool) -> Steps:
    def step(numbers: Sequence[Any], g: Any, p: Any, mean: Any, square: Any) -> list[Any]:
        share, rate, weight, keep_mean, add_mean, keep_square, add_square, eps, decay, remaining = numbers
        g = share * g
        if apart:
            p = p * remaining
        else:
            g = g + decay * p
        m = keep_mean * mean + add_mean * g
        v = keep_square * square + add_square * g * g
        return [p - rate * m / (mg.sqrt(v / weight) + eps), m, v]

    return _traced(_adam_numbers, step, 5, ("mean", "square"))


def _sgd_numbers(share: Any, count: Any, lr: Any, momentum: Any, dampening: Any, decay: Any) -> list[Any]:
    first = mg.equal(count, 1)
    return [share, lr, momentum, mg.where(first, 0, momentum), mg.where(first, 1, 1 - dampening), decay]


def _adam_numbers(share: Any, count: Any, lr: Any, keep_mean: Any, keep_square: Any, eps: Any, decay: Any) -> list[Any]:
    rate = lr / (1 - keep_mean**count)
    weight = 1 - keep_square**count
    return [share, rate, weight, keep_mean, 1 - keep_mean, keep_square, 1 - keep_square, eps, decay, 1 - lr * decay]


def _traced(prepare: Callable[..., Any], step: Callable[..., Any], settings: int, memory: tuple[str, ...]) -> Steps:
    prepared = simplify(trace(prepare, (1.0, 1.0, *[0.5] * settings)).tape)
    numbers = [Value(0.5, f"n{i}") for i in range(len(prepared.outputs))]
    traced = trace(lambda g, p, *kept: step(numbers, g, p, *kept), (0.5, 0.5, *[0.5] * len(memory)))
    place = {number: i for i, number in enumerate(numbers)}
    # Only the numbers that the step reads are its parameters, in the order of their first use.
    used = [prepared.outputs[place[number]] for number in traced.parameters]
    return Steps(simplify(prepared.with_outputs(used)), simplify(traced.tape), memory)
