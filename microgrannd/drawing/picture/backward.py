"""The backward pass as a picture: the graph of the gradients, joined to the forward graph it serves.

As in the figure of the TensorFlow white paper (Abadi and others, 2016), each gradient is below its forward node.
"""

from collections.abc import Mapping
from dataclasses import replace
from graphlib import TopologicalSorter

from microgrannd.calculus.passes import gradient_graph
from microgrannd.drawing.layout.ranks import tight_ranks
from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.grouping import WHOLE
from microgrannd.drawing.picture.lettering import numeral, shortened
from microgrannd.drawing.picture.picture import USUAL, Box, Detail, Edge, Picture, box_of, picture, plural
from microgrannd.engine import Value, topological_order


def backward_picture(y: Value, detail: Detail = USUAL, *, fold: str = "auto", depth: int | None = None) -> Picture:
    """The forward graph of y and the graph of its gradients, joined."""
    detail = replace(detail, gradients=False, rules=False, highlight=frozenset())
    seed = Value(1.0)
    gradients = {y: seed, **gradient_graph(y, upstream=seed)}
    order = topological_order(y, *gradients.values())
    large = depth is not None or len(order) > 2 * WHOLE
    boxes = _folded(y, gradients, order, detail, depth) if fold == "all" or (fold == "auto" and large) else None
    return boxes or _Joined(y, gradients, detail).picture()


def _folded(
    y: Value, gradients: Mapping[Value, Value], order: list[Value], detail: Detail, depth: int | None
) -> Picture | None:
    of_leaves = {gradient: leaf for leaf, gradient in gradients.items() if leaf.op is None and gradient.op is not None}
    forward = set(topological_order(y))
    names = {value: "" for value in order if value not in forward}
    for gradient, leaf in of_leaves.items():
        if gradient in names and leaf.label:
            names[gradient] = f"∂{shortened(y.label, 12)}/∂{shortened(leaf.label, 16)}"
    boxes = folded([y, *of_leaves], detail, fold="all", depth=depth, backward=names)
    return replace(boxes, title=_title(y)) if boxes else None


def _title(y: Value) -> str:
    return f"Forward and backward pass of {shortened(y.label) or 'output'} = {numeral(y.data)}"


class _Joined:
    """Boxes for forward nodes, then boxes for gradients; `box` says which stands for which Value."""

    def __init__(self, y: Value, gradients: Mapping[Value, Value], detail: Detail) -> None:
        self.y, self.gradients, self.detail = y, gradients, detail
        self.forward = picture([y], detail)
        self.position = {value: i for i, value in enumerate(self.forward.values)}
        self.nodes, self.edges = list(self.forward.nodes), list(self.forward.edges)
        self.box = dict(self.position)  # Value -> box
        self.gradient_of: dict[Value, int] = {}  # forward node -> the box of its gradient
        self.order = [value for value in topological_order(*gradients.values()) if value not in self.position]
        for value, node in zip(self.forward.values, self.nodes, strict=True):
            node.label = self._name(value) if node.kind == "operation" else node.label
        self._add_gradients()
        for k, value in enumerate(self.order):
            if value not in self.box and not value.is_constant:
                self.box[value] = len(self.nodes)
                self.nodes.append(self._gradient_box(value, f"b{k}"))
        self._connect()

    def picture(self) -> Picture:
        forward = len(self.forward.nodes)
        leaves = [(value, box) for value, box in self.gradient_of.items() if value.op is None]
        description = (
            f"Above, the forward graph: {self.forward.description.partition(' Gradients')[0]} Below, the graph of the "
            f"gradients, computed from right to left in {plural(len(self.nodes) - forward, 'node')}; forward values "
            "that it uses are dashed edges. "
            + ", ".join(f"{self.nodes[box].label} = {numeral(self.gradients[leaf].data)}" for leaf, box in leaves[:12])
        )
        lanes = [int(i >= forward) for i in range(len(self.nodes))]
        beside = sorted((self.position[value], box) for value, box in self.gradient_of.items())
        title, values = _title(self.y), self.forward.values
        return Picture(self.nodes, self.edges, title, description, values, self._ranks(), lanes, beside)

    def _name(self, value: Value) -> str:
        return shortened(value.label, 16) if value.label else f"v{self.position[value]}"

    def _add_gradients(self) -> None:
        """A box for the gradient of each node, standing for the Value that it is unless another box does already."""
        for value, gradient in self.gradients.items():
            box = self.gradient_of[value] = len(self.nodes)
            node = self._gradient_box(gradient, f"d{self.position[value]}")
            node.label = f"∂{self._name(self.y)}/∂{self._name(value)}"
            if gradient in self.box or gradient.is_constant:
                node.gate = ""  # passed on, or a plain number
            else:
                self.box[gradient] = box
            self.nodes.append(node)

    def _gradient_box(self, value: Value, name: str) -> Box:
        return replace(box_of(value, -1, self.detail), id=name, kind="gradient", label="")

    def _connect(self) -> None:
        for value in self.order:
            if value in self.box:
                target = self.box[value]
                for k, parent in enumerate(value.parents):
                    if parent.is_constant:
                        node = self.nodes[target]
                        node.notes = (*node.notes, f"with {numeral(parent.data, self.detail.precision)}")
                    else:
                        self._edge(self.box[parent], target, k)
        passed_on: dict[Value, Value] = {}  # for a node that has the very gradient of one of its consumers: that one
        for consumer, gradient in self.gradients.items():
            for parent in consumer.parents:
                if self.gradients.get(parent) is gradient:
                    passed_on.setdefault(parent, consumer)
        for value, gradient in self.gradients.items():
            target = self.gradient_of[value]
            if self.box.get(gradient, target) != target:
                source = self.gradient_of[passed_on[value]] if value in passed_on else self.box[gradient]
                self._edge(source, target, 0)

    def _edge(self, source: int, target: int, k: int) -> None:
        kind = "gradient" if source >= len(self.forward.nodes) else "used"
        self.edges.append(Edge(f"e{self.nodes[target].id}-{k}", source, target, kind=kind))

    def _ranks(self) -> list[int]:
        """A gradient has the rank of its forward node; the others find their place between the gradients."""
        count, forward = len(self.nodes), len(self.forward.nodes)
        column = list(range(count))
        for value, box in self.gradient_of.items():
            column[box] = self.position[value]
        sorter: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(range(count), ()))
        ahead = []
        for edge in self.edges:
            if edge.kind != "used":
                ends = (edge.target, edge.source) if edge.kind == "gradient" else (edge.source, edge.target)
                source, target = (column[end] for end in ends)
                ahead.append((source, target))
                sorter.add(target, source)
        place = {node: k for k, node in enumerate(sorter.static_order())}
        ranks = tight_ranks(count, [(place[source], place[target]) for source, target in ahead])
        return [2 * ranks[place[column[i]]] + (i >= forward) for i in range(count)]
