"""The passes over a graph: backward as a graph, backward in numbers, and forward.

A graph of gradients is the operations' own local gradients run on Values instead of floats: to draw, to compile, to
differentiate again. There is no second set of rules.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TypeAlias

from microgrannd import operations as ops
from microgrannd.engine import Constant, Value, inputs_of, number_of, topological_order
from microgrannd.ground import modes
from microgrannd.ground.arguments import list_of, must_be
from microgrannd.ground.errors import AnomalyError, GradientError
from microgrannd.nodes.observing import ExactZeros, set_since
from microgrannd.nodes.refusing import refuse_unrecorded
from microgrannd.operations import Number, Operation, as_float

Slope: TypeAlias = Value | float  # in a gradient graph a number stays a number until it meets a Value


def gradients(y: Value, xs: Sequence[Value], upstream: Value | Number = 1.0) -> list[Value]:
    """The derivatives of y with respect to each of the xs, as Values: the backward pass as a graph.

    They are the numbers that `y.backward(upstream)` would add to `x.grad`, but no `.grad` is touched,
    and they can be differentiated in their turn, to any order. An x may be a leaf or any node in
    between; where y does not depend on it, its derivative is 0.

    >>> x = Value(3.0)
    >>> [slope] = gradients(x * x * x, [x])
    >>> [curvature] = gradients(slope, [x])
    >>> slope.data, curvature.data
    (27.0, 18.0)
    """
    found = _backward_pass(y, xs, upstream)
    return [_as_value(found.get(x, 0.0)) for x in xs]


def final_gradients(y: Value, xs: Sequence[Value]) -> list[Value]:
    """The same where nobody will differentiate again, as in a program: plain products wherever they will do.

    `gradients` has `contribution` for every product below an operation that routes (`relu`, `where` ...):
    only so does a branch that was not taken leave no NaN in the second derivative.

    >>> w, x = Value(2.0), Value(3.0)
    >>> [passed((w * x).relu(), [w])[0].op.symbol for passed in (gradients, final_gradients)]
    ['×', '*']
    """
    found = _backward_pass(y, xs, 1.0, plain=True)
    return [_as_value(found.get(x, 0.0)) for x in xs]


def gradient_graph(y: Value, xs: Sequence[Value] | None = None, upstream: Value | Number = 1.0) -> dict[Value, Value]:
    """The derivative of y with respect to every node between y and the xs (None: all leaves), for looking at.

    Times `upstream`, which as a Value is a leaf of the graph: every contribution is then spelled out, where
    a plain 1 would not be multiplied in.

    >>> a, b, c = Value(2.0, label="a"), Value(-3.0, label="b"), Value(10.0, label="c")
    >>> product = a * b
    >>> slopes_by_node = gradient_graph(product + c)
    >>> slopes_by_node[product].data, slopes_by_node[a].data
    (1.0, -3.0)
    """
    if xs is None:
        xs = [node for node in topological_order(y) if node.op is None and not node.is_constant]
    found = _backward_pass(y, xs, upstream, plain=True)
    return {node: _as_value(slope) for node, slope in found.items() if node is not y}


def slopes(y: Value, xs: Sequence[Value]) -> list[float]:
    """The derivatives of y with respect to each of the xs as numbers, bit for bit those of `backward()`.

    Nothing is written on the nodes, so any number of threads may differentiate graphs that share some.
    """
    found = all_slopes(y)
    return [float(found.get(x, 0.0)) for x in xs]


def all_slopes(y: Value) -> dict[Value, float]:
    """The derivative of y with respect to every node that it depends on, as numbers; 0 may be left out."""
    found = {y: 1.0}
    zeros = ExactZeros(y) if _detecting() else None
    for node in reversed(topological_order(y, leaves=False)):
        slope = found.get(node, 0.0)
        if slope == 0.0 and zeros is None:
            continue
        operation: Operation = node.op
        local_gradients = operation.local_gradients(*inputs_of(node), number_of(node))
        if len(local_gradients) != len(node.parents):
            operation.check_count(node.inputs, number_of(node))
        if zeros:
            zeros.look(node, slope, local_gradients)
        for parent, local in zip(node.parents, local_gradients, strict=True):
            if slope and (local or not operation.routes):
                found[parent] = found.get(parent, 0.0) + slope * local
                if zeros and not parent.is_constant:
                    _raise_at_anomaly(node, found[parent])
    return found


def _detecting() -> bool:
    return bool(modes.opened and modes.current.detecting)


def _raise_at_anomaly(node: Value, slope: float) -> None:
    if not math.isfinite(slope):
        call = f"{node.op and node.op.name}({', '.join(map(repr, node.inputs))})"
        raise AnomalyError(f"In the backward pass of {call} a gradient became {slope}.")


def tangents(ys: Sequence[Value], xs: Sequence[Value], directions: Sequence[Slope]) -> list[Value]:
    """How fast each of the ys changes when every x moves at the speed that `directions` gives it.

    This is forward mode: one pass from the xs to the ys with the same local gradients, as a graph.
    """
    order = topological_order(*ys)
    if any(node.op in ops.NORMS and _may_be_at_its_tip(node) for node in order):
        return [_tangent_in_reverse(y, xs, directions) for y in ys]
    products, speeds, detecting = _Products(plain=True), dict[Value, Slope](), _detecting()
    given = dict(zip(xs, directions, strict=True))
    for node in order:
        parents = node.parents
        products.learn(node, parents)
        if node in given:
            speeds[node] = given[node]
        elif node.op is not None and not speeds.keys().isdisjoint(parents):
            for parent, local in zip(parents, _local_gradients(node, parents, given, detecting), strict=True):
                if parent in speeds:
                    products.add(speeds, node, products.contribution(node, speeds[parent], local))
    return [_as_value(speeds.get(y, 0.0)) for y in ys]


def _tangent_in_reverse(y: Value, xs: Sequence[Value], directions: Sequence[Slope]) -> Value:
    """The same in reverse mode twice, where what a norm is multiplied by is at hand: uᵀJv, differentiated by u."""
    upstream = Value(1.0)
    found = gradients(y, xs, upstream)
    return gradients(ops.dot(found, directions), [upstream])[0]


def _may_be_at_its_tip(node: Value) -> bool:
    """Whether this norm is 0, or may be at the next call of what is traced."""
    return not number_of(node) or (bool(modes.opened) and modes.current.trace is not None)


def _curvature_at_the_tip(norm: Value, slope: Slope, order: Sequence[Value]) -> Value | None:
    """What slope / norm tends to at the tip: by L'Hôpital, the slope's own derivative by the norm; None if it has none.

    It is what 0 × ∞ stands for where slope × (x / norm) is differentiated. Other nodes for the same norm count too.
    """
    if not isinstance(slope, Value):
        return None
    parents = list(map(id, norm.parents))
    same = [node for node in order if node.op in ops.NORMS and list(map(id, node.parents)) == parents]
    rates = [rate for rate in gradients(slope, same) if rate.op is not None or number_of(rate)]
    return sum(rates[1:], rates[0]) if rates else None


def pulled_back(upstream: Mapping[Value, Slope], xs: Sequence[Value]) -> list[Slope | None]:
    """The derivatives by the xs of the sum of the nodes times these slopes, final as those of `final_gradients`.

    An x that has a slope of its own there starts from it. None where nothing arrives.
    """
    found = _pull_back(upstream, xs, plain=True)
    return [found.get(x, upstream.get(x)) for x in xs]


def entries(ys: Sequence[Slope], xs: Sequence[Value], *, upper: bool = False) -> Iterator[tuple[int, int, Slope]]:
    """The derivatives of the ys by the xs that are not 0 whatever the numbers are: row, column and slope, row by row.

    Each row costs what its y depends on. `upper` leaves out what is below the diagonal.

    >>> x = [Value(2.0), Value(3.0), Value(5.0)]
    >>> [(row, column, float(slope)) for row, column, slope in entries([x[0] * 7, x[1] + x[2]], x)]
    [(0, 0, 7.0), (1, 1, 1.0), (1, 2, 1.0)]
    """
    columns = {x: k for k, x in enumerate(xs)}
    for row, y in enumerate(ys):
        if not isinstance(y, Value):
            continue
        reached = sorted(
            [columns[x] for x in topological_order(y) if x in columns and not (upper and columns[x] < row)]
        )
        found = _pull_back({y: 1.0}, [xs[k] for k in reached], plain=True)
        for k in reached:
            slope = found.get(xs[k], 0.0)
            if isinstance(slope, Value) or slope:
                yield row, k, slope


def _backward_pass(y: Value, xs: Sequence[Value], upstream: Value | Number, plain: bool = False) -> dict[Value, Slope]:
    """The derivative of y for each node on a path from y to the xs, in the order of the backward pass."""
    must_be("y", y, Value)
    xs = list_of("xs", xs, "a list of Values, such as [x]", Value)
    refuse_unrecorded(y)
    return _pull_back({y: upstream if isinstance(upstream, Value) else as_float(upstream)}, xs, plain)


def _pull_back(upstream: Mapping[Value, Slope], xs: Sequence[Value], plain: bool) -> dict[Value, Slope]:
    order = topological_order(*upstream)
    targets, on_path, products = set(xs), set[Value](), _Products(plain)
    for node in order:
        parents = node.parents
        if node in targets or not on_path.isdisjoint(parents):
            on_path.add(node)
        products.learn(node, parents)

    detecting = _detecting()
    forward, zeros = set(order), ExactZeros(*upstream) if detecting else None
    found = {node: slope for node, slope in upstream.items() if node in on_path}
    for node in reversed(order):
        if (slope := found.pop(node, None)) is None:
            continue
        found[node] = slope  # to the end: the order in which they are complete
        if node.label and isinstance(slope, Value) and slope.op and slope not in forward and not slope.label:
            slope.label = f"d_{node.label}"
        if node.op is None:
            continue
        parents = node.parents
        if not plain and (node.op.routes or node in products.routed):
            products.routed.update((node, *parents))
        local_gradients = _local_gradients(node, parents, targets, detecting)
        if zeros:
            asked = zip(parents, local_gradients, strict=True)
            zeros.look(node, _number(slope), [_number(local) if p in on_path else 0.0 for p, local in asked])
        for parent, local in zip(parents, local_gradients, strict=True):
            if parent in on_path:
                products.add(found, parent, products.contribution(node, slope, local))
                if zeros:
                    _raise_at_anomaly(node, _number(found[parent]))
        at_tip = not plain and node.op in ops.NORMS and _may_be_at_its_tip(node)
        reached = [parent for parent in dict.fromkeys(parents) if parent in on_path] if at_tip else []
        if reached and (rate := _curvature_at_the_tip(node, slope, order)) is not None:
            for parent in reached:
                products.add(found, parent, ops.where(node, 0.0, ops.contribution(parent, rate)))
    return found


class _Products:
    """Upstream × local gradient as `backward()` has it, from what is finite for certain, wherever the leaves are.

    A plain `*` does where what zero may meet is finite, since the product is zero then; elsewhere it takes
    `contribution`, and below an operation that routes too, unless `plain` says that nobody differentiates again.
    """

    def __init__(self, plain: bool) -> None:
        self.plain = plain
        self.routed = set[Value]()  # nodes that route, or are below one that does
        self.finite = dict[Value, bool]()

    def add(self, totals: dict[Value, Slope], node: Value, part: Slope) -> None:
        before = totals.get(node)
        total = totals[node] = part if before is None else before + part
        if isinstance(total, Value):
            self._is_finite(total)  # known from now on

    def contribution(self, node: Value, upstream: Slope, local: Slope) -> Slope:
        """An upstream of zero stops; where the node routes, a local gradient of zero blocks.

        Ones and zeros are not multiplied in, but for the zero of a user's own `0 * x` where products are plain, as in a
        program, whose next input may be infinite.
        """
        above = None if isinstance(upstream, Value) else upstream
        factor = None if isinstance(local, Value) else local
        routes = node.op is not None and node.op.routes
        if factor == 1:
            return upstream
        if above == 1:
            return local
        if above == 0:
            return 0.0
        if factor == 0 and (routes or (self._is_finite(upstream) and not (self.plain and above is None))):
            return 0.0
        if factor == -1:
            return -upstream
        if above == -1:
            return -local
        stops = above is None and not self._is_finite(local)
        blocks = routes and factor is None and not self._is_finite(upstream)
        if stops and blocks:
            both: Value = ops.contributed(upstream, local, routes)
            return both
        if blocks:
            return ops.contribution(local, upstream)
        if stops or (node in self.routed and above is None and factor is None):
            return ops.contribution(upstream, local)
        return upstream * local

    def _is_finite(self, thing: Slope) -> bool:
        if not isinstance(thing, Value):
            return math.isfinite(thing)
        known = self.finite.get(thing)
        if known is None:
            for parent in (parents := thing.parents):  # of a rule's own node; those of the graph are known
                if parent not in self.finite:
                    self._is_finite(parent)
            known = self.learn(thing, parents)
        return known

    def learn(self, node: Value, parents: tuple[Value, ...]) -> bool:
        """Whether a node is finite: by its number, its operation and its parents, which are known."""
        operation, finite = node.op, self.finite
        finite[node] = known = (operation is not None and operation.flag) or (
            math.isfinite(number_of(node))
            and (operation is None or (operation.finite and all(map(finite.__getitem__, parents))))
        )
        return known


def _local_gradients(
    node: Value, parents: tuple[Value, ...], variables: Container[Value], detecting: object
) -> tuple[Slope, ...]:
    """The local gradients of a node as a graph; constants go in as numbers, so that they fold."""
    assert node.op is not None
    if parent := set_since(parents, inputs_of(node)):
        raise GradientError(
            f"{parent[0]!r} was {parent[1]!r} when {node!r} was computed from it, and has been set since; "
            "a gradient as a graph would be taken at the new number: compute y again first."
        )
    inputs = [number_of(p) if p.is_constant and p not in variables else p for p in parents]
    # A rule also gives gradients that nobody asked for, and these may be what they like.
    with modes.no_detection() if detecting else nullcontext():
        found = node.op.local_gradients(*inputs, node)
    if len(found) != len(inputs):
        node.op.check_count(node.inputs, number_of(node))
    return found


def computed_before(*ys: Value) -> tuple[Value, Value] | None:
    """A node that the ys depend on and a leaf that was set since the node was computed from it; None without any."""
    for node in topological_order(*ys, leaves=False):
        if parent := set_since(node.parents, inputs_of(node)):
            return node, parent[0]
    return None


def _number(slope: Slope) -> float:
    return number_of(slope) if isinstance(slope, Value) else slope


def _as_value(number: Slope) -> Value:
    return number if isinstance(number, Value) else Constant(number)
