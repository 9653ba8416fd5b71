"""What the open modes make of a node and of the steps of a backward pass: `no_grad`, tracing, `detect_anomaly`.

Nothing of it runs while no mode is open.
"""

import math
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple

from microgrannd import operations
from microgrannd.ground import modes
from microgrannd.ground.errors import AnomalyError
from microgrannd.printing.labels import in_message


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
        from microgrannd.nodes import notation  # here and below, since nobody needs words until something goes wrong

        return notation.local_gradients_in_words(self.node)[self.position]

    def __str__(self) -> str:
        name = in_message(self.parent.label) or f"parent {self.position} of {self.node.op}"
        return (
            f"grad({name}) += {self.upstream:.6g} × {self.local_gradient:.6g} = {self.contribution:.6g}: "
            f"{self.before:.6g} → {self.after:.6g}"
        )


_moments = count(1)


def moment() -> int:
    """A later number at each call: what is cut off meanwhile bears a later one (`cut_off_since`)."""
    return next(_moments)


def cut_off(leaf: Any) -> Any:
    """A new leaf that gradients stop at: made by `detach`, or within `no_grad`."""
    leaf._pass = -next(_moments)  # no pass has this number
    return leaf


def cut_off_since(moment: int, leaf: Any) -> bool:
    return bool(leaf._pass < -moment)


def observed(node: Any) -> Any:
    now = modes.now()
    if not now.recording and now.trace is None:
        node._x, node._y = node.op, None  # `refuse_unrecorded` tells the operation
        node.op = node._first = node._second = None
        return cut_off(node)
    node._origin = modes.origin(now)
    if now.trace is not None:
        now.trace.append(node)
        # Where nothing is recorded, the node stays in the trace, and gradients stop at it.
        return node if now.recording or node.op is operations.stop_gradient else operations.stop_gradient(node)
    if now.detecting and not math.isfinite(node._data):
        from microgrannd.nodes import notation

        raise AnomalyError(f"{notation.in_words(node)} gave {node._data}{notation.place_in_words(node)}.")
    return node


def set_since(parents: Iterable[Any], inputs: Iterable[float]) -> tuple[Any, float] | None:
    """A leaf that was another number when a node was computed from it, and that number."""
    for parent, number in zip(parents, inputs, strict=True):
        if (now := parent._data) != number and parent.op is None and (now == now or number == number):
            return parent, number
    return None


class ExactZeros:
    """Watches a backward pass for zeros that stop an infinite or NaN local gradient, where a limit may be lost.

    So it is in sqrt(x)**2 at 0, where the gradient is 0 and 1 would be right; but not in a branch that was not taken.
    """

    def __init__(self, *roots: Any) -> None:
        self.reached = set(roots)  # by more than the branches that were not taken

    def stopped(self, node: Any, upstream: float, local_gradients: Iterable[float]) -> list[tuple[Any, float]]:
        """The parents that get nothing because upstream, the whole gradient of the node, is such a zero."""
        if node not in self.reached:
            return []
        edges = list(zip(node.parents, local_gradients, strict=True))
        self.reached.update([parent for parent, local in edges if local or not node.op.routes])
        if upstream != 0.0:
            return []
        return [(parent, local) for parent, local in edges if not (math.isfinite(local) or parent.is_constant)]

    def look(self, node: Any, upstream: float, local_gradients: Iterable[float]) -> None:
        """Raise AnomalyError if there are any."""
        for _, local in self.stopped(node, upstream, local_gradients):
            from microgrannd.nodes import notation

            raise AnomalyError(
                f"In the backward pass of {notation.in_words(node)} an upstream of exactly 0 met a local gradient of "
                f"{local}. Zero stops there, so nothing is passed on, where the limit may be another number"
                f"{notation.place_in_words(node)}."
            )


def stop_at_anomalies(root: Any, steps: Iterable[Step]) -> None:
    """Take the steps, and raise AnomalyError at the first gradient that is no finite number, or stops one."""
    zeros = ExactZeros(root)
    local_gradients: list[float] = []
    for step in steps:
        local_gradients.append(step.local_gradient)
        if len(local_gradients) == len(step.node.parents):
            zeros.look(step.node, step.upstream, local_gradients)
            local_gradients = []
        if step.position == 0 and (old := set_since(step.node.parents, step.node.inputs)):
            raise AnomalyError(
                f"{old[0]!r} was {old[1]!r} when {step.node!r} was computed from it, and has been set since: the "
                "gradients are those at the old number. Compute the output again first."
            )
        # A constant's gradient is nobody's: that of the 2 in x**2 is NaN for every x below 0.
        if not (math.isfinite(step.after) or step.parent.is_constant):
            from microgrannd.nodes import notation

            name = in_message(step.parent.label) or f"input {step.position}"
            raise AnomalyError(
                f"In the backward pass of {notation.in_words(step.node)} the gradient of {name} became {step.after}: "
                f"upstream {step.upstream} × local gradient {step.local_gradient} "
                f"({step.formula}){notation.place_in_words(step.node)}."
            )
