"""What the player plays: a run through a graph, written down as events, each with its numbers.

First the forward events, one for each operation, in the order of the graph; then the backward events,
each a `Step` of `backward_steps()`. An event has the numbers before and after it, so that a player can
undo it without computing anything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from microgrannd.drawing.picture.lettering import numeral
from microgrannd.drawing.player.remarks import Remark, on_backward, on_forward, on_start
from microgrannd.drawing.player.wording import (
    Described,
    described,
    formula_in_numbers,
    local_gradients_in_numbers,
    title,
)
from microgrannd.engine import Value, topological_order
from microgrannd.operations import Number

LARGEST: Final = 1500  # nodes: a browser still draws them at once, and a person can still follow


class Computed(NamedTuple):
    """Forward: a node gets its value. `formula` is how, in numbers: `-2 + 5`."""

    node: int
    value: float
    formula: str


class Seeded(NamedTuple):
    """The backward pass begins: the output's gradient is set from outside, usually to 1."""

    node: int
    before: float
    after: float


class Added(NamedTuple):
    """Backward: one `+=`. `parent` gets upstream × local gradient; `formula` is the latter in numbers."""

    node: int
    position: int
    parent: int
    upstream: float
    local_gradient: float
    contribution: float
    before: float
    after: float
    formula: str


class Updated(NamedTuple):
    """Training: the optimizer has changed a parameter. `formula` is how, where that is simple."""

    node: int
    gradient: float
    before: float
    after: float
    formula: str


Event: TypeAlias = Computed | Seeded | Added | Updated
Moments: TypeAlias = list[tuple[int, str]]  # texts, each with the number of the event at which it appears, from 1


@dataclass(slots=True)
class Pass:
    """One run, forward and backward: what there was before it, and what happened."""

    values: list[float | None]  # of the leaves; None for what is yet to be computed
    gradients: list[float | None]  # that the leaves held already; None for the nodes, which start afresh
    events: list[Event] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def output(self) -> float:
        """The value of the output: the loss, in training."""
        computed = [event.value for event in self.events if isinstance(event, Computed)]
        return computed[-1] if computed else float(self.values[-1] or 0.0)

    def shown(self) -> tuple[list[Moments], list[Moments]]:
        """For each node, the values and the gradients that it shows, one after another."""
        values: list[Moments] = [[] if value is None else [(0, numeral(value))] for value in self.values]
        gradients: list[Moments] = [[(0, numeral(gradient))] if gradient else [] for gradient in self.gradients]
        for i, event in enumerate(self.events, start=1):
            match event:
                case Computed():
                    values[event.node].append((i, numeral(event.value)))
                case Seeded():
                    gradients[event.node].append((i, numeral(event.after)))
                case Added():
                    gradients[event.parent].append((i, numeral(event.after)))
                case Updated():
                    values[event.node].append((i, numeral(event.after)))
        return values, gradients


@dataclass(slots=True)
class Recording:
    """The nodes, parents first, and one pass through them or, for training, several."""

    title: str
    nodes: list[Described]
    passes: list[Pass]

    def lines(self) -> Iterator[str]:
        for i, run in enumerate(self.passes):
            if len(self.passes) > 1:
                yield f"step {i + 1}: {self.nodes[-1].name} = {numeral(run.output)}"
            yield from (self.line(event) for event in run.events)

    def line(self, event: Event) -> str:
        """An event as text: `q = x + y = −2 + 5 = 3`, or `grad(q) += 1 × −4 = −4: 0 → −4`."""
        node = self.nodes[event.node]
        match event:
            case Computed():
                return f"{node.path} = {_chained(node.formula, event.formula, numeral(event.value), but=node.name)}"
            case Seeded():
                return f"grad({node.path}) = {numeral(event.after)}"
            case Added():
                upstream, local, product = map(numeral, (event.upstream, event.local_gradient, event.contribution))
                before, after = numeral(event.before), numeral(event.after)
                name = self.nodes[event.parent].path
                return f"grad({name}) += {upstream} × {local} = {product}: {before} → {after}"
            case Updated():
                return f"{node.path}: {numeral(event.before)} → {numeral(event.after)}"


def record(order: Sequence[Value], upstream: Number = 1.0) -> Recording:
    """Run backward from the last node, as `backward()` does, and write down every event.

    >>> x, y = Value(-2.0, label="x"), Value(5.0, label="y")
    >>> print(*record(playable_order(x * y + x)).lines(), sep="\\n")
    x * y = −2 * 5 = −10
    x * y + x = −10 + −2 = −12
    grad(x * y + x) = 1
    grad(x * y) += 1 × 1 = 1: 0 → 1
    grad(x) += 1 × 1 = 1: 0 → 1
    grad(x) += 1 × 5 = 5: 1 → 6
    grad(y) += 1 × −2 = −2: 0 → −2
    """
    return Recording(title(order), described(order), [recorded_pass(order, upstream)])


def playable_order(output: Value) -> list[Value]:
    """The nodes in topological order. Raises ValueError for more than a player can show."""
    order = topological_order(output)
    if len(order) > LARGEST:
        raise ValueError(
            f"The player shows up to {LARGEST:,} nodes, this graph has {len(order):,}. Step through a part of it, "
            "such as the loss of a single sample, or see the whole, folded, with mg.draw."
        )
    return order


def recorded_pass(order: Sequence[Value], upstream: Number = 1.0) -> Pass:
    """Run backward; the forward events are those of the time when the graph was built."""
    position = {node: i for i, node in enumerate(order)}
    output = order[-1]
    values = _numbers_of_leaves(order, position)
    leaf_gradients = [node.grad if node.op is None else None for node in order]
    result = Pass(values, leaf_gradients, remarks=on_start(order, values))
    computed = [node for node in order if node.op is not None]
    for node in computed:
        result.remarks.extend(on_forward(node, position[node], len(result.events)))
        result.events.append(Computed(position[node], node.data, formula_in_numbers(node)))
    before = output.grad if output.op is None else 0.0
    steps = list(output.backward_steps(upstream))
    result.remarks.extend(on_backward(order, position, leaf_gradients, steps, len(result.events)))
    result.events.append(Seeded(position[output], before, output.grad))
    formulas: dict[Value, tuple[str, ...]] = {}
    for step in steps:
        node, k, upstream, local, contribution, held, after = step
        if node not in formulas:
            formulas[node] = local_gradients_in_numbers(node)
        formula, parent = formulas[node][k], position[step.parent]
        result.events.append(Added(position[node], k, parent, upstream, local, contribution, held, after, formula))
    return result


def _numbers_of_leaves(order: Sequence[Value], position: dict[Value, int]) -> list[float | None]:
    """The leaves' numbers as their first consumers saw them, whatever they have been set to since."""
    values = [node.data if node.op is None else None for node in order]
    for node in reversed(order):
        for parent, number_then in zip(node.parents, node.inputs, strict=True):
            if parent.op is None:
                values[position[parent]] = number_then
    return values


def _chained(*texts: str, but: str) -> str:
    """The texts joined by equality signs, each once, without `but`, which is written before them."""
    return " = ".join(dict.fromkeys(text for text in texts if text != but))
