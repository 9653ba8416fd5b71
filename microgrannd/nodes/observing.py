"""What the open modes make of a node and of the steps of a backward pass: `no_grad`, tracing, `detect_anomaly`.

Nothing of it runs while no mode is open.
"""

import math
from collections.abc import Iterable
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


def observed(node: Any) -> Any:
    now = modes.now()
    if not now.recording and now.trace is None:
        return type(node)(node._data)
    node._origin = modes.origin(now)
    if now.trace is not None:
        now.trace.append(node)
        # Where nothing is recorded, the node stays in the trace, and gradients stop at it.
        return node if now.recording or node.op is operations.stop_gradient else operations.stop_gradient(node)
    if now.detecting and not math.isfinite(node._data):
        from microgrannd.nodes import notation

        raise AnomalyError(f"{notation.in_words(node)} gave {node._data}{notation.place_in_words(node)}.")
    return node


def stop_at_anomalies(steps: Iterable[Step]) -> None:
    """Take the steps, and raise AnomalyError at the first gradient that is no finite number."""
    for step in steps:
        # A constant's gradient is nobody's: that of the 2 in x**2 is NaN for every x below 0.
        if not (math.isfinite(step.after) or step.parent.is_constant):
            from microgrannd.nodes import notation

            name = in_message(step.parent.label) or f"input {step.position}"
            raise AnomalyError(
                f"In the backward pass of {notation.in_words(step.node)} the gradient of {name} became {step.after}: "
                f"upstream {step.upstream} × local gradient {step.local_gradient} "
                f"({step.formula}){notation.place_in_words(step.node)}."
            )
