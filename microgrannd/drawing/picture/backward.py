"""The backward pass as a picture: the graph of the gradients, joined to the forward graph it serves.

As in the figure of the TensorFlow white paper (Abadi and others, 2016): above, the forward graph, from
left to right; below, from right to left, the nodes that compute the gradients, each in the column of the
forward node that it serves; and between them the forward values that the backward pass uses, as crossing
edges. What is drawn is the graph that `gradient_graph` gives, node for node; only where a gradient is
passed on unchanged is there a box without an operation. This room may import the engine, `passes`,
`graph` and `folding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from microgrannd.calculus.passes import gradient_graph
from microgrannd.drawing.layout.ranks import tight_ranks
from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.graph import Edge, Node, Picture, picture, plural, value_node
from microgrannd.drawing.picture.grouping import WHOLE
from microgrannd.drawing.picture.lettering import number, shortened
from microgrannd.engine import Constant, Value, topological_order


def backward_picture(
    y: Value, *, values: bool = True, precision: int = 4, fold: str = "auto", depth: int | None = None
) -> Picture:
    """The forward graph of y and the graph of its gradients, joined.

    >>> x, w = Value(3.0, label="x"), Value(2.0, label="w")
    >>> [node.label for node in backward_picture(x * w).nodes]
    ['x', 'w', 'v2', '∂v2/∂v2', '∂v2/∂w', '∂v2/∂x']
    """
    seed = Value(1.0)
    slopes = {y: seed, **gradient_graph(y, upstream=seed)}
    together = topological_order(y, *slopes.values())
    if fold == "all" or (fold == "auto" and (depth is not None or len(together) > 2 * WHOLE)):
        leaves = {slope: node for node, slope in slopes.items() if node.op is None and slope.op is not None}
        forward = set(topological_order(y))
        backward = {value: "" for value in together if value not in forward}
        for slope, node in leaves.items():
            if slope in backward and node.label:
                backward[slope] = f"∂{shortened(y.label, 12)}/∂{shortened(node.label, 16)}"
        boxes = folded(
            [y, *leaves],
            fold="all",
            depth=depth,
            values=values,
            gradients=False,
            precision=precision,
            slopes=backward,
        )
        if boxes:
            return replace(boxes, title=_title(y))
    return _Joined(y, slopes, values, precision).picture()


def _title(y: Value) -> str:
    return f"Forward and backward pass of {shortened(y.label) or 'output'} = {number(y.data)}"


class _Joined:
    """Boxes for forward nodes, then boxes for gradients; `box` says which stands for which Value."""

    def __init__(self, y: Value, slopes: dict[Value, Value], values: bool, precision: int) -> None:
        self.y, self.slopes, self.values, self.precision = y, slopes, values, precision
        self.forward = picture([y], values=values, gradients=False, precision=precision)
        self.position = {value: i for i, value in enumerate(self.forward.values)}
        self.nodes = list(self.forward.nodes)
        self.edges = list(self.forward.edges)
        self.box = dict(self.position)  # Value -> box
        self.gradient_of: dict[Value, int] = {}  # forward node -> the box of its gradient
        self.order = [value for value in topological_order(*slopes.values()) if value not in self.position]
        for value, node in zip(self.forward.values, self.nodes, strict=True):
            if node.kind == "operation":
                node.label = self._name(value)
        self._add_gradients()
        self._add_what_they_need()
        self._connect()

    def picture(self) -> Picture:
        """All of it, the gradients in the lane below, each in the column after its forward node's."""
        forward = len(self.forward.nodes)
        description = (
            f"Above, the forward graph: {self.forward.description.partition(' Gradients')[0]} Below, the graph of the "
            f"gradients, computed from right to left in {plural(len(self.nodes) - forward, 'node')}; forward values "
            "that it uses are dashed edges. "
            + ", ".join(f"{self.nodes[b].label} = {number(self.slopes[v].data)}" for v, b in self._leaves()[:12])
        )
        return Picture(
            self.nodes,
            self.edges,
            _title(self.y),
            description,
            self.forward.values,
            ranks=self._ranks(),
            lanes=[int(i >= forward) for i in range(len(self.nodes))],
            beside=sorted((self.position[value], box) for value, box in self.gradient_of.items()),
        )

    def _name(self, value: Value) -> str:
        """The label; else v and the position in the graph, so that its gradient can be named."""
        return shortened(value.label, 16) if value.label else f"v{self.position[value]}"

    def _leaves(self) -> list[tuple[Value, int]]:
        return [(value, box) for value, box in self.gradient_of.items() if value.op is None]

    def _add_gradients(self) -> None:
        """A box for the gradient of each node; the Value that it is, if no box stands for that one yet."""
        for value, slope in self.slopes.items():
            box = self.gradient_of[value] = len(self.nodes)
            node = self._gradient_node(slope, f"d{self.position[value]}")
            node.label = f"∂{self._name(self.y)}/∂{self._name(value)}"
            if slope in self.box or isinstance(slope, Constant):
                node.gate = ""  # passed on, or a plain number
            else:
                self.box[slope] = box
            self.nodes.append(node)

    def _add_what_they_need(self) -> None:
        for k, value in enumerate(self.order):
            if value not in self.box and not isinstance(value, Constant):
                self.box[value] = len(self.nodes)
                self.nodes.append(self._gradient_node(value, f"b{k}"))

    def _gradient_node(self, value: Value, name: str) -> Node:
        node = value_node(value, -1, self.values, False, self.precision)
        node.id, node.kind, node.label = name, "gradient", ""
        return node

    def _connect(self) -> None:
        for value in self.order:
            if value in self.box:
                target = self.box[value]
                for k, parent in enumerate(value.parents):
                    if isinstance(parent, Constant):
                        self._note_constant(target, parent)
                    else:
                        self._edge(self.box[parent], target, k)
        handed_on = self._handed_on()
        for value, slope in self.slopes.items():
            target = self.gradient_of[value]
            if self.box.get(slope, target) != target:
                consumer = handed_on.get(value)
                self._edge(self.box[slope] if consumer is None else self.gradient_of[consumer], target, 0)

    def _handed_on(self) -> dict[Value, Value]:
        """For each node that has the very gradient of one of its consumers: that consumer."""
        found: dict[Value, Value] = {}
        for consumer, gradient in self.slopes.items():
            for parent in consumer.parents:
                if self.slopes.get(parent) is gradient:
                    found.setdefault(parent, consumer)
        return found

    def _note_constant(self, target: int, constant: Value) -> None:
        """A plain number in the backward pass is written in the box that uses it."""
        node = self.nodes[target]
        node.notes = (*node.notes, f"with {number(constant.data, self.precision)}")

    def _edge(self, source: int, target: int, k: int) -> None:
        kind = "gradient" if source >= len(self.forward.nodes) else "used"
        self.edges.append(Edge(f"e{self.nodes[target].id}-{k}", source, target, kind=kind))

    def _ranks(self) -> list[int]:
        """A gradient stands with its forward node; the others find their place between the gradients."""
        forward = len(self.forward.nodes)
        column = list(range(len(self.nodes)))
        for value, box in self.gradient_of.items():
            column[box] = self.position[value]
        ahead = [
            (column[e.target], column[e.source]) if e.kind == "gradient" else (column[e.source], column[e.target])
            for e in self.edges
            if e.kind != "used"
        ]
        number_of = _topological(len(self.nodes), ahead)
        ranks = tight_ranks(len(self.nodes), [(number_of[a], number_of[b]) for a, b in ahead])
        return [2 * ranks[number_of[column[i]]] + (i >= forward) for i in range(len(self.nodes))]


def _topological(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """A number for each node, so that every edge leads to a larger one."""
    waiting, after = [0] * count, [list[int]() for _ in range(count)]
    for source, target in edges:
        waiting[target] += 1
        after[source].append(target)
    ready = [node for node in range(count) if not waiting[node]]
    numbers = [0] * count
    for place, node in enumerate(ready):  # grows while it runs
        numbers[node] = place
        for target in after[node]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    assert len(ready) == count
    return numbers
