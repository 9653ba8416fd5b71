"""What the player plays: a run through a graph, written down as events, each with its numbers.

First the forward events, one for each operation, in the order of the graph; then the backward events,
each a `Step` of `backward_steps()`. An event has the numbers before and after it, so that a player can
undo it without computing anything. This room may import the engine, `lettering` and `remarks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from microgrannd import notation
from microgrannd.drawing.lettering import number, printable, shortened
from microgrannd.drawing.remarks import Remark, on_backward, on_forward, on_start
from microgrannd.engine import Constant, Step, Value, topological_order
from microgrannd.notation import Formula
from microgrannd.operations import FusedOperation, Number, add, div, mul

LARGEST: Final = 1500  # nodes that are still played: a browser draws them at once, a person can follow
LONGEST_LABEL: Final = 80  # characters of a label that are kept
LONGEST_NAME: Final = 14  # of an expression that serves as the name of a node without a label
LONGEST_TITLE: Final = 50  # of a part of the expression that is the title
TERMS: Final = 6  # of a long sum that are written out
_MINUS: Final = re.compile(r"(?<!\S)-|(?<=[(|])-")  # the operator, not a hyphen within a label


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


class Described(NamedTuple):
    """A node of the graph, in words: how it is called, how it is computed, its local gradients."""

    name: str
    path: str  # the name with its scope, where the name alone is ambiguous
    kind: str  # "leaf", "constant" or "operation"
    operation: str
    formula: str
    local_gradients: tuple[str, ...]
    parents: tuple[int, ...]
    scope: str
    line: str
    routes: bool  # its zero local gradients block even an infinite upstream


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


@dataclass(slots=True)
class Recording:
    """The nodes, parents first, and one pass through them or, for training, several."""

    title: str
    nodes: list[Described]
    passes: list[Pass]

    def lines(self) -> Iterator[str]:
        """The events as text, a line each."""
        for i, run in enumerate(self.passes):
            if len(self.passes) > 1:
                yield f"step {i + 1}: {self.nodes[-1].name} = {number(run.output)}"
            yield from (self.line(event) for event in run.events)

    def line(self, event: Event) -> str:
        """An event as text: `q = x + y = −2 + 5 = 3`, or `grad(q) += 1 × −4 = −4: 0 → −4`."""
        node = self.nodes[event.node]
        match event:
            case Computed():
                return f"{node.path} = {_chained(node.formula, event.formula, number(event.value), but=node.name)}"
            case Seeded():
                return f"grad({node.path}) = {number(event.after)}"
            case Added():
                upstream, local, product = map(number, (event.upstream, event.local_gradient, event.contribution))
                before, after = number(event.before), number(event.after)
                name = self.nodes[event.parent].path
                return f"grad({name}) += {upstream} × {local} = {product}: {before} → {after}"
            case Updated():
                return f"{node.path}: {number(event.before)} → {number(event.after)}"


def record(order: Sequence[Value], upstream: Number = 1.0) -> Recording:
    """Run backward from the last node, as `backward()` does, and write down every event.

    >>> x, y = Value(-2.0, label="x"), Value(5.0, label="y")
    >>> print(*record(graph(x * y + x)).lines(), sep="\\n")
    x * y = −2 * 5 = −10
    x * y + x = −10 + −2 = −12
    grad(x * y + x) = 1
    grad(x * y) += 1 × 1 = 1: 0 → 1
    grad(x) += 1 × 1 = 1: 0 → 1
    grad(x) += 1 × 5 = 5: 1 → 6
    grad(y) += 1 × −2 = −2: 0 → −2
    """
    return Recording(title(order), described(order), [run(order, upstream)])


def graph(output: Value) -> list[Value]:
    """The nodes in topological order. Raises ValueError for more than a player can show."""
    if not isinstance(output, Value):
        raise TypeError(f"There is a graph to step through under a Value, got {type(output).__name__}.")
    order = topological_order(output)
    if len(order) > LARGEST:
        raise ValueError(
            f"The player shows up to {LARGEST:,} nodes, this graph has {len(order):,}. Step through a part of it, "
            "such as the loss of a single sample, or see the whole, folded, with mg.draw."
        )
    return order


def run(order: Sequence[Value], upstream: Number = 1.0) -> Pass:
    """One pass: the forward events as they were when the graph was built, the backward events now."""
    position = {node: i for i, node in enumerate(order)}
    output = order[-1]
    values = _numbers_of_leaves(order, position)
    leaf_gradients = [node.grad if node.op is None else None for node in order]
    result = Pass(values, leaf_gradients, remarks=on_start(order, values))
    computed = [node for node in order if node.op is not None]
    for node in computed:
        result.remarks.extend(on_forward(node, position[node], len(result.events)))
        result.events.append(Computed(position[node], node.data, _formula_in_numbers(node)))
    before = output.grad if output.op is None else 0.0
    steps = list(output.backward_steps(upstream))
    result.remarks.extend(on_backward(order, position, leaf_gradients, steps, len(result.events)))
    result.events.append(Seeded(position[output], before, output.grad))
    local_formulas: dict[Value, tuple[str, ...]] = {}
    for step in steps:
        if step.node not in local_formulas:
            local_formulas[step.node] = _local_gradients_in_numbers(step.node)
        result.events.append(_added(step, position, local_formulas[step.node][step.position]))
    return result


def title(order: Sequence[Value]) -> str:
    """The whole expression, as far as it is short; otherwise with the names of some of its parts.

    >>> x = Value(2.0, label="x")
    >>> title(graph((x * x + 1).tanh()))
    'tanh(x * x + 1)'
    """
    position = {node: i for i, node in enumerate(order)}
    texts: list[Formula] = []
    for i, node in enumerate(order):
        operands = [texts[position[parent]] for parent in node.parents]
        expression = _formula(node, operands) if node.op is not None else _name(node, i, [])
        inner = i < len(order) - 1
        if inner and (node.label or len(str(expression)) > LONGEST_TITLE):
            expression = Formula(shortened(node.label, LONGEST_LABEL) or f"v{i}")
        texts.append(expression)
    output = order[-1]
    text = _written(texts[-1])
    return f"{shortened(output.label, LONGEST_LABEL)} = {text}" if output.label and output.op is not None else text


def described(order: Sequence[Value]) -> list[Described]:
    """The nodes in words."""
    position = {node: i for i, node in enumerate(order)}
    names: list[Formula] = []
    for i, node in enumerate(order):
        names.append(_name(node, i, [names[position[parent]] for parent in node.parents]))
    uses: dict[str, int] = {}
    for name in names:
        uses[str(name)] = uses.get(str(name), 0) + 1
    nodes = []
    for node, name in zip(order, names, strict=True):
        parents = [position[parent] for parent in node.parents]
        operands = [names[parent] for parent in parents]
        scoped = node.scope and node.label and uses[str(name)] > 1
        nodes.append(
            Described(
                name=str(name),
                path=f"{printable(node.scope)}.{name}" if scoped else str(name),
                kind=_kind(node),
                operation=printable(node.op.name) if node.op else "",
                formula=_written(_formula(node, operands)) if node.op else "",
                local_gradients=_local_gradients(node, operands, name),
                parents=tuple(parents),
                scope=printable(node.scope),
                line=printable(node.line),
                routes=node.op is not None and node.op.routes,
            )
        )
    return nodes


def _numbers_of_leaves(order: Sequence[Value], position: dict[Value, int]) -> list[float | None]:
    """The leaves' numbers as their first consumers have seen them, whatever has become of the leaves since."""
    values = [node.data if node.op is None else None for node in order]
    for node in reversed(order):
        for parent, number_then in zip(node.parents, node.inputs, strict=True):
            if parent.op is None:
                values[position[parent]] = number_then
    return values


def _added(step: Step, position: dict[Value, int], formula: str) -> Added:
    node, i, upstream, local, contribution, before, after = step
    return Added(position[node], i, position[step.parent], upstream, local, contribution, before, after, formula)


def _kind(node: Value) -> str:
    return "operation" if node.op is not None else "constant" if isinstance(node, Constant) else "leaf"


def _name(node: Value, i: int, operands: list[Formula]) -> Formula:
    """The label; else a number, or a short expression; else v and the position in the graph."""
    if node.label:
        return Formula(shortened(node.label, LONGEST_LABEL))
    if node.op is None:
        return _numeral(node.data) if isinstance(node, Constant) else Formula(f"v{i}")
    expression = _formula(node, operands)
    text = _written(expression)
    return Formula(text, expression.precedence) if len(text) <= LONGEST_NAME else Formula(f"v{i}")


def _numeral(x: float) -> Formula:
    """A number in a formula, with brackets where its sign would be misread."""
    text = number(x)
    return -Formula(text[1:]) if text.startswith("−") else Formula(text)


def _formula_in_numbers(node: Value) -> str:
    return _written(_formula(node, [_numeral(x) for x in node.inputs]))


def _local_gradients_in_numbers(node: Value) -> tuple[str, ...]:
    return _local_gradients(node, [_numeral(x) for x in node.inputs], _numeral(node.data))


def _formula(node: Value, operands: Sequence[Formula]) -> Formula:
    """How the node is computed; the fused operations as the sums that they stand for."""
    assert node.op is not None
    if not isinstance(node.op, FusedOperation) or node.op.name not in ("sum", "mean", "dot"):
        return notation.formula(node.op, *_cut(operands))
    size = len(operands) // node.op.vectors
    terms = list(operands[:size])
    if node.op.name == "dot":
        terms = [mul(x, y) for x, y in zip(operands[:size], operands[size : 2 * size], strict=True)]
    total: Any = None
    for term in _cut([*terms, *operands[node.op.vectors * size :]]):
        total = term if total is None else add(total, term)
    if total is None:
        return Formula(node.op.name + "()")
    return div(total, size) if node.op.name == "mean" else total  # type: ignore[no-any-return]


def _cut(terms: Sequence[Formula]) -> list[Formula]:
    if len(terms) <= TERMS + 1:
        return list(terms)
    return [*terms[: TERMS - 1], Formula(f"… {len(terms) - TERMS} more …"), terms[-1]]


def _local_gradients(node: Value, operands: Sequence[Formula], out: Formula) -> tuple[str, ...]:
    """The local gradients as the operation's row writes them; empty for a row that cannot be written."""
    if node.op is None:
        return ()
    try:
        gradients = node.op.local_gradients(*operands, out)
    except (TypeError, ValueError, AttributeError):
        return ("",) * len(operands)
    return tuple(_written(g) if isinstance(g, Formula) else number(float(g)) for g in gradients)


def _written(formula: Formula) -> str:
    """The formula as text, its minus signs as wide as its plus signs."""
    return _MINUS.sub("−", printable(str(formula)))


def _chained(*texts: str, but: str) -> str:
    """The texts joined by equality signs, each once, and without the one that stands before them."""
    return " = ".join(dict.fromkeys(text for text in texts if text != but))
