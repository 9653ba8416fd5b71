"""What the player points out, because there is something to learn from it."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Final, NamedTuple

from microgrannd import operations
from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.engine import Step, Value
from microgrannd.printing.labels import in_picture

SATURATED: Final = {operations.sigmoid: 0.01, operations.tanh: 0.04}  # below this slope, 4 % of the largest
# What is said, with places for names and numbers; the page says the same.
WORDS: Final = {
    "changed": "{name} has been set to {now} after nodes were computed from it. "
    "The pass goes by the number that they have seen, {x}.",
    "given": "{name} is {x} from the start.",
    "saturated": "This {name} is saturated: at {x} its slope is {slope}, so hardly any gradient gets through.",
    "dead": "This ReLU is off: its input, {x}, is not above zero, so no gradient gets through. "
    "If it is off for every sample, it is dead: it can no longer learn.",
    "arises": "Here {what} arises: {name}({inputs}) = {value}. What is computed from it may follow.",
    "stale": "{name} already holds a gradient, {x}, from an earlier backward(). "
    "This pass adds to it. If that is not meant, zero_grad() was forgotten.",
    "lost": "The first gradient that is not finite: {cause}.",
}


class Remark(NamedTuple):
    event: int  # the number of the event at which to notice it; -1: before all
    kind: str
    node: int
    text: str


def on_start(order: Sequence[Value], values: Sequence[float | None]) -> Iterator[Remark]:
    """Leaves that were set anew after nodes were computed from them, and leaves that are not finite."""
    for i, (node, seen) in enumerate(zip(order, values, strict=True)):
        if node.op is not None or seen is None:
            continue
        if node.data != seen and not (node.data != node.data and seen != seen):
            words = WORDS["changed"].format(name=_called(node), now=numeral(node.data), x=numeral(seen))
            yield Remark(-1, "changed", i, words)
        elif not isfinite(seen):
            yield Remark(-1, "origin", i, WORDS["given"].format(name=_called(node), x=numeral(seen)))


def on_forward(node: Value, i: int, event: int) -> Iterator[Remark]:
    """Saturation, a ReLU that is off, and results that are not finite although all inputs are."""
    assert node.op is not None
    name = in_picture(node.op.name)
    if node.op in SATURATED:
        slope = float(node.op.local_gradients(*node.inputs, node.data)[0])
        if slope < SATURATED[node.op]:
            words = WORDS["saturated"].format(name=name, x=numeral(node.inputs[0]), slope=numeral(slope))
            yield Remark(event, "saturated", i, words)
    if node.op is operations.relu and node.inputs[0] <= 0:
        yield Remark(event, "dead", i, WORDS["dead"].format(x=numeral(node.inputs[0])))
    if not isfinite(node.data) and all(map(isfinite, node.inputs)):
        inputs = ", ".join(map(numeral, node.inputs[:6])) + (", …" if len(node.inputs) > 6 else "")
        what = "a NaN" if node.data != node.data else "an infinity"
        words = WORDS["arises"].format(what=what, name=name, inputs=inputs, value=numeral(node.data))
        yield Remark(event, "origin", i, words)


def on_backward(
    order: Sequence[Value], held: Sequence[float | None], steps: Sequence[Step], first: int
) -> Iterator[Remark]:
    """Leaves that `held` a gradient before, and the first contribution that is not finite; `first` is an event."""
    for i, gradient in enumerate(held):
        if gradient and not order[i].is_constant:
            yield Remark(first, "stale", i, WORDS["stale"].format(name=_called(order[i]), x=numeral(gradient)))
    for k, step in enumerate(steps):
        # Nobody asks for a constant's gradient, and that of an exponent is often NaN.
        if not (isfinite(step.contribution) and isfinite(step.after)) and not step.parent.is_constant:
            cause = f"{numeral(step.before)} + {numeral(step.contribution)} = {numeral(step.after)}"
            if not isfinite(step.contribution):
                factors = f"upstream {numeral(step.upstream)} × local gradient {numeral(step.local_gradient)}"
                cause = f"{factors} = {numeral(step.contribution)}"
            parent = next(i for i, node in enumerate(order) if node is step.parent)
            yield Remark(first + 1 + k, "origin", parent, WORDS["lost"].format(cause=cause))
            return


def _called(node: Value) -> str:
    return shortened(node.label, 80) if node.label else "An input"
