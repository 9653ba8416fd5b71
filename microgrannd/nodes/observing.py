"""What the open modes make of a node and of the steps of a backward pass: `no_grad`, tracing, `detect_anomaly`.

Nothing of it runs while no mode is open."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from microgrannd import operations
from microgrannd.ground import modes
from microgrannd.ground.errors import AnomalyError, TracingError
from microgrannd.nodes import notation

# Why a function that is being traced may not have what it asks for, and what to say instead.
_REMEDIES: Final = {
    "number": "Its .data is one number: take the Value itself, or stop_gradient of it.",
    "float": "float() and math's functions take one number: use the package's own, such as mg.exp.",
    "int": "int() takes one number: use mg.floor.",
    "branch": "`if`, `and`, `or`, `not`, max() and min() take one branch for good: "
    "say where(condition, a, b), maximum(a, b) or minimum(a, b).",
    "gradient": "Its .grad, .inputs and .local_gradients are numbers: mg.grad gives derivatives as Values.",
    "text": "str() and f-strings show one number: print after the call, or leave it out.",
    "hash": "Sets, dicts and caches look for one number: say where(x == 1, a, b).",
    "copy": "A copy is cut off from what is computed: take the Value itself, or stop_gradient of it.",
}
_ALLOWED_TO_US: Final = {"gradient", "hash"}  # for which this package's own code may ask: it knows what it does
_DOORS: Final = (os.path.join("microgrannd", "engine.py"), os.path.join("nodes", "observing.py"))


class Step(NamedTuple):
    """One `+=` of the backward pass: `contribution = upstream × local_gradient` goes to one parent.

    `position` says which parent of `node` it is; `before` and `after` are that parent's gradient.
    """

    node: Any
    position: int
    upstream: float
    local_gradient: float
    contribution: float
    before: float
    after: float

    @property
    def parent(self) -> Any:
        """The node that receives the contribution."""
        return self.node.parents[self.position]

    @property
    def formula(self) -> str:
        """The local gradient as text, with the parents' labels where they have one: `1 - out * out`."""
        return notation.local_gradients_in_words(self.node)[self.position]

    def __str__(self) -> str:
        name = self.parent.label or f"parent {self.position} of {self.node.op}"
        return (
            f"grad({name}) += {self.upstream:.6g} × {self.local_gradient:.6g} = {self.contribution:.6g}: "
            f"{self.before:.6g} → {self.after:.6g}"
        )


def observed(node: Any) -> Any:
    """A new node as the open modes of this thread want it."""
    if modes.current.trace is not None:
        return _traced(node, modes.current.trace)
    if not modes.current.recording:
        return type(node)(node._data)
    node._origin = modes.origin()
    if modes.current.detecting and not math.isfinite(node._data):
        raise AnomalyError(f"{notation.in_words(node)} gave {node._data}{notation.place_in_words(node)}.")
    return node


def _traced(node: Any, trace: list[Any]) -> Any:
    """The node, kept in the trace; where nothing is recorded, gradients stop at it instead."""
    node._origin = modes.origin()
    trace.append(node)
    if modes.current.recording or node.op is operations.stop_gradient:
        return node
    return operations.stop_gradient(node)


def refuse_while_tracing(what: str) -> None:
    """Raise TracingError where a compiled function is being traced and asks for a number, a hash, a text ..."""
    refused = modes.current.refused
    if refused is None or (what in _ALLOWED_TO_US and modes.called_by_us(*_DOORS)):
        return
    refused.append(
        TracingError(
            "A compiled function is traced once and runs on other numbers, so it cannot look at a Value's. "
            f"{_REMEDIES[what]} In {modes.user_line()}"
        )
    )
    raise refused[-1]


def _hash_for_us(node: Any) -> int:
    refuse_while_tracing("hash")
    return object.__hash__(node)


_hashing = threading.Lock()
_traces = 0


@contextmanager
def tracing(kind: type) -> Iterator[list[Any]]:
    """`modes.tracing` of a user's function: Values, which are of this `kind`, are not to be hashed meanwhile.

    At other times they hash as any object, in no time; so the class has the careful hash only while it is needed.
    """
    global _traces
    with _hashing:
        _traces += 1
        if kind.__flags__ & _SETTABLE:
            kind.__hash__ = _hash_for_us  # type: ignore[method-assign, assignment]
    try:
        with modes.tracing() as nodes:
            yield nodes
    finally:
        with _hashing:
            _traces -= 1
            if not _traces and kind.__flags__ & _SETTABLE:
                kind.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]


_SETTABLE: Final = 1 << 9  # a class written in Python; that of the compiled build is careful at all times


def no_number(name: str, instead: str, operation: str) -> TypeError:
    """The error of `float(y)` and `int(y)`; while tracing, the one that says why there is no number yet."""
    refuse_while_tracing(name)
    return TypeError(
        f"{name}(Value) would lose the gradient without a word: take {instead} for the number, "
        f"or an operation that knows Values, such as {operation}."
    )


def stop_at_anomalies(steps: Iterable[Step]) -> None:
    """Take the steps, and raise AnomalyError at the first gradient that is no finite number."""
    for step in steps:
        # A constant's gradient is nobody's: that of the 2 in x**2 is NaN for every x below 0.
        if not (math.isfinite(step.after) or step.parent.is_constant):
            name = step.parent.label or f"input {step.position}"
            raise AnomalyError(
                f"In the backward pass of {notation.in_words(step.node)} the gradient of {name} became {step.after}: "
                f"upstream {step.upstream} × local gradient {step.local_gradient} "
                f"({step.formula}){notation.place_in_words(step.node)}."
            )
