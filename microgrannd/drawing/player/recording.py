"""A run through a graph as events, each with the numbers before and after it, so that a player can undo it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from microgrannd.drawing.picture.lettering import numeral
from microgrannd.drawing.player import wording
from microgrannd.drawing.player.remarks import Remark, on_backward, on_forward, on_start
from microgrannd.engine import Value, topological_order
from microgrannd.operations import Number

LARGEST: Final = 150_000  # nodes: a page of some five megabytes, folded


class Computed(NamedTuple):
    node: int
    value: float
    formula: str  # how, in numbers: `-2 + 5`


class Seeded(NamedTuple):  # the output's gradient is set from outside, usually to 1
    node: int
    before: float
    after: float


class Added(NamedTuple):
    node: int
    position: int
    parent: int
    upstream: float
    local_gradient: float
    contribution: float
    before: float
    after: float
    formula: str  # of the local gradient, in numbers


class Updated(NamedTuple):
    node: int
    gradient: float
    before: float
    after: float
    formula: str  # how the optimizer changed the parameter, where that is simple


Event: TypeAlias = Computed | Seeded | Added | Updated
Moments: TypeAlias = list[tuple[int, str]]  # texts, each with the number of the event at which it appears, from 1


@dataclass(slots=True)
class Pass:
    values: list[float | None]  # of the leaves; None for what is yet to be computed
    gradients: list[float | None]  # that the leaves held already; None for the nodes, which start afresh
    upstream: float  # that the output is given
    events: list[Event] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    step: int = 1  # of a training

    @property
    def output(self) -> float:
        computed = [event.value for event in self.events if isinstance(event, Computed)]
        return computed[-1] if computed else float(self.values[-1] or 0.0)

    def shown(self) -> tuple[list[Moments], list[Moments]]:
        values: list[Moments] = [[] if value is None else [(0, numeral(value))] for value in self.values]
        gradients: list[Moments] = [[(0, numeral(gradient))] if gradient else [] for gradient in self.gradients]
        for i, event in enumerate(self.events, start=1):
            match event:
                case Computed():
                    values[event.node].append((i, numeral(event.value)))
                case Updated():
                    values[event.node].append((i, numeral(event.after)))
                case Seeded(node=node) | Added(parent=node):
                    gradients[node].append((i, numeral(event.after)))
        return values, gradients


@dataclass
class Recording:
    title: str
    order: Sequence[Value]
    passes: list[Pass]  # one or, for training, several: of a long training, some of its steps
    losses: list[float] = field(default_factory=list)  # of a training, at every step

    def __post_init__(self) -> None:
        if len(self.order) <= wording.WORDED:
            _ = self.nodes  # as they are called now; the page of a larger graph does without

    @cached_property
    def nodes(self) -> list[wording.Described]:
        """Its nodes in words, parents first."""
        return list(wording.described(self.order))

    def lines(self) -> Iterator[str]:
        if len(self.losses) > len(self.passes):
            yield f"{len(self.passes)} of {len(self.losses):,} steps of training, with all of their events"
        for run in self.passes:
            if len(self.passes) > 1:
                yield f"step {run.step:,}: {self.nodes[-1].name} = {numeral(run.output)}"
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
                upstream, local, product, before, after = map(numeral, event[3:8])
                return f"grad({self.nodes[event.parent].path}) += {upstream} × {local} = {product}: {before} → {after}"
            case Updated():
                return f"{node.path}: {numeral(event.before)} → {numeral(event.after)}"


def record(order: Sequence[Value], upstream: Number = 1.0) -> Recording:
    """Run backward from the last node, as `backward()` does, and write down every event."""
    return Recording(wording.title(order), order, [recorded_pass(order, upstream)])


def playable_order(output: Value) -> list[Value]:
    order = topological_order(output)
    if len(order) > LARGEST:
        raise ValueError(
            f"The player holds up to {LARGEST:,} nodes, this graph has {len(order):,}. Step through a part of it, "
            "such as the loss of a single sample, or see the whole, folded, with mg.draw."
        )
    return order


def recorded_pass(order: Sequence[Value], upstream: Number = 1.0) -> Pass:
    """Run backward; the forward events are those of the time when the graph was built."""
    position = {node: i for i, node in enumerate(order)}
    output = order[-1]
    values = [node.data if node.op is None else None for node in order]
    for node in reversed(order):  # the leaves' numbers are those that their first consumers saw
        for parent, number_then in zip(node.parents, node.inputs, strict=True):
            if parent.op is None:
                values[position[parent]] = number_then
    held = [node.grad if node.op is None else None for node in order]
    worded = len(order) <= wording.WORDED
    result = Pass(values, held, float(upstream), remarks=list(on_start(order, values)))
    for i, node in enumerate(order):
        if node.op is not None:
            result.remarks.extend(on_forward(node, i, len(result.events)))
            result.events.append(Computed(i, node.data, wording.formula_in_numbers(node) if worded else ""))
    before = output.grad if output.op is None else 0.0
    steps = list(output.backward_steps(upstream))
    result.remarks.extend(on_backward(order, held, steps, len(result.events)))
    result.events.append(Seeded(position[output], before, output.grad))
    formulas: dict[Value, tuple[str, ...]] = {}
    for step in steps:
        if worded and step.node not in formulas:
            formulas[step.node] = wording.local_gradients_in_numbers(step.node)
        formula = formulas[step.node][step.position] if worded else ""
        result.events.append(Added(position[step.node], step.position, position[step.parent], *step[2:], formula))
    return result


def _chained(*texts: str, but: str) -> str:
    """The texts joined by equality signs, each once, without `but`, which is written before them."""
    return " = ".join(dict.fromkeys(text for text in texts if text != but))
