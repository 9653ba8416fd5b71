"""The backward pass as a picture: the gradient graph itself, beside the forward graph."""

import xml.etree.ElementTree as ET

import pytest

from microgrannd import Value
from microgrannd.drawing import draw
from microgrannd.drawing.picture.backward import backward_picture
from microgrannd.drawing.picture.picture import Detail
from microgrannd.engine import Constant, topological_order
from microgrannd.expressions import evaluate
from tests.oracles import example


def picture_of(expression, **numbers):
    y = evaluate(expression, numbers)
    y.label = "f"
    return y, backward_picture(y, Detail(precision=12))


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("C-01", "(x + y) * z"),
        ("C-04", "2 * (x * y + max(z, w))"),
        ("B-10", "x1 * x2 + exp(x1 * x2) - sin(x2)"),
        ("K-18", "m * x + b"),
    ],
)
def test_the_gradient_boxes_show_the_gradients_of_the_worked_example(name, expression):
    worked = example(name)
    _, picture = picture_of(expression, **worked["inputs"])
    shown = {node.label: node.value for node in picture.nodes if node.kind == "gradient"}
    for leaf, gradient in worked["grads"].items():
        assert float(shown[f"∂f/∂{leaf}"].replace("−", "-")) == pytest.approx(gradient, abs=1e-9)
    assert shown["∂f/∂f"] == "1"


def test_the_figure_of_a_product_of_a_sum_C_01():
    _, picture = picture_of("(x + y) * z", x=-2, y=5, z=-4)
    label = [node.label for node in picture.nodes]
    edges = {(label[e.source], label[e.target], e.kind) for e in picture.edges}
    assert edges == {
        ("x", "v2", ""),
        ("y", "v2", ""),
        ("v2", "f", ""),
        ("z", "f", ""),
        # upstream × local gradient, and the local gradient of a product is the other factor
        ("∂f/∂f", "∂f/∂v2", "gradient"),
        ("z", "∂f/∂v2", "used"),
        ("∂f/∂f", "∂f/∂z", "gradient"),
        ("v2", "∂f/∂z", "used"),
        # a sum hands its gradient on
        ("∂f/∂v2", "∂f/∂x", "gradient"),
        ("∂f/∂v2", "∂f/∂y", "gradient"),
    }


def test_each_gradient_stands_beside_the_forward_node_that_it_serves():
    y, picture = picture_of("sigmoid(w * x + b) * x", w=0.5, x=2, b=-1)
    rank = {node.label: picture.ranks[i] for i, node in enumerate(picture.nodes) if node.label}
    lane = {node.label: picture.lanes[i] for i, node in enumerate(picture.nodes) if node.label}
    served = [node.label for node in picture.nodes if f"∂f/∂{node.label}" in rank]
    assert len(served) == len([v for v in topological_order(y) if not isinstance(v, Constant)])
    for name in served:
        assert rank[f"∂f/∂{name}"] == rank[name] + 1
        assert (lane[name], lane[f"∂f/∂{name}"]) == (0, 1)


def test_the_forward_graph_runs_one_way_and_the_gradients_the_other():
    _, picture = picture_of("exp(sin(x) * y) / (x + y)", x=0.3, y=0.7)
    ranks = picture.ranks
    for edge in picture.edges:
        if edge.kind == "":
            assert ranks[edge.source] < ranks[edge.target]
        elif edge.kind == "gradient":
            assert ranks[edge.source] > ranks[edge.target]
        else:
            assert ranks[edge.source] != ranks[edge.target]


def test_a_node_used_twice_adds_its_contributions():
    x = Value(3.0, "x")
    y = x * x
    y.label = "f"
    picture = backward_picture(y)
    [box] = [node for node in picture.nodes if node.label == "∂f/∂x"]
    assert (box.gate, box.value) == ("+", "6")


def test_a_gradient_that_is_no_node_is_still_shown():
    x = Value(3.0, "x")
    y = x + 1
    y.label = "f"
    assert [n.value for n in backward_picture(y).nodes if n.label == "∂f/∂x"] == ["1"]
    dead = Value(-3.0, "x").relu() * 2
    dead.label = "f"
    assert [n.value for n in backward_picture(dead).nodes if n.label == "∂f/∂x"] == ["0"]


def test_a_single_leaf_has_a_backward_pass_too():
    assert [node.label for node in backward_picture(Value(2.0, "x")).nodes] == ["x", "∂x/∂x"]


def test_drawing_the_backward_pass_touches_no_gradient():
    x = Value(3.0, "x")
    y = x * x
    y.backward()
    draw(y, backward=True)
    assert (x.grad, y.grad, y.label) == (6.0, 1.0, "")


def test_the_picture_is_well_formed_and_every_id_is_there_once():
    y, _ = picture_of("tanh(w * x) ** 2 + logsumexp(x, w)", w=0.5, x=2)
    root = ET.fromstring(draw(y, backward=True).svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_only_one_output_has_a_backward_pass():
    x = Value(1.0)
    with pytest.raises(ValueError, match="of one Value, got 2"):
        draw([x + 1, x * 2], backward=True)
