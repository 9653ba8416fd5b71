"""Folded pictures: every node is in one box, the counts add up, and a summary stays small."""

import math
import statistics
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrannd import Value, operations, scope
from microgrannd.drawing import draw
from microgrannd.drawing.picture.folding import folded
from microgrannd.drawing.picture.grouping import BOXES, WHOLE
from microgrannd.engine import Constant, topological_order
from microgrannd.nn import MLP


def mlp_loss(sizes=(2, 8, 8, 1), samples=16, expand=True):
    model = MLP(sizes[0], list(sizes[1:]), seed=0, expand=expand)
    total = 0.0
    for i in range(samples):
        x = [Value(math.sin(i + k), f"x{k}") for k in range(sizes[0])]
        total = total + (model(x) - 1.0) ** 2
    total.backward()
    return total


@st.composite
def random_graphs(draw):
    values = [Value(draw(st.floats(-2, 2)), f"x{i}") for i in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, 60))):
        with scope(draw(st.sampled_from(["a", "b", "a.inner", "cell.gate"]))):
            one, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
            values.append(draw(st.sampled_from([operations.add, operations.mul]))(one, other))
        if draw(st.booleans()):
            values.append((values[-1] * 0.5).tanh())
    return values[-1]


@given(random_graphs(), st.sampled_from([("all", None), ("auto", 0), ("auto", 1), ("all", 1)]))
@settings(max_examples=100, deadline=None)
def test_every_node_is_in_one_box_and_boxes_lead_forward(y, how):
    fold, depth = how
    y.backward()
    boxes = folded([y], fold=fold, depth=depth)
    if boxes is None:
        return
    assert sum(node.count for node in boxes.nodes) == len(topological_order(y))
    assert all(edge.source < edge.target for edge in boxes.edges)
    assert [node.output for node in boxes.nodes].count(True) == 1
    outside = [(edge.source, edge.target) for edge in boxes.edges]
    assert len(outside) == len(set(outside))
    ET.fromstring(draw(y, fold=fold, depth=depth).svg)


def test_a_graph_of_up_to_150_nodes_is_drawn_whole():
    y = Value(1.0, "x")
    for i in range(WHOLE - 1):
        y = (y.tanh, y.sin)[i % 2]()
    assert len(draw(y).picture.nodes) == WHOLE
    assert len(draw(y.exp()).picture.nodes) < WHOLE


def test_fold_none_draws_every_node():
    y = mlp_loss()
    assert len(draw(y, fold="none").picture.nodes) == len(topological_order(y))


def test_layers_and_neurons_become_boxes():
    y = mlp_loss((2, 3, 1), samples=4)
    by_layer = {node.label for node in draw(y, depth=0).picture.nodes}
    assert {"layer0", "layer1.neuron0"} <= by_layer
    by_neuron = {node.label for node in draw(y, depth=1).picture.nodes}
    assert {"layer0.neuron0", "layer0.neuron1", "layer0.neuron2", "layer1.neuron0"} <= by_neuron


def test_repeated_structure_is_one_box_with_a_count():
    y = mlp_loss((2, 3, 1), samples=16)
    [neuron] = [node for node in draw(y, depth=1).picture.nodes if node.label == "layer0.neuron0"]
    # 16 times two products, two sums and a relu; and three parameters.
    assert neuron.notes[0] == "×16 · 83 nodes"
    assert neuron.notes[1] == "32 add, 32 mul, 16 relu, 3 leaves"
    assert neuron.count == 83


def test_a_box_shows_the_mean_and_the_largest_gradient():
    y = mlp_loss((2, 3, 1), samples=16)
    inside = [v for v in topological_order(y) if v.scope == "layer0.neuron1" and not isinstance(v, Constant)]
    gradients = [abs(value.grad) for value in inside]
    [neuron] = [node for node in draw(y, depth=1).picture.nodes if node.label == "layer0.neuron1"]
    assert neuron.notes[-1] == f"mean |∇| {statistics.fmean(gradients):.4g}, largest {max(gradients):.4g}"


def test_constants_do_not_count_in_the_mean():
    x = Value(3.0, "x")
    with scope("line"):
        y = x * 2.0 + 1.0
    y.exp().backward(0.5)
    [box] = [node for node in draw(y, depth=0).picture.nodes if node.label == "line"]
    slope = 0.5 * math.exp(7.0)  # of the product and of the sum alike
    assert box.notes[-1] == f"mean |∇| {slope:.4g}, largest {slope:.4g}"


def test_the_caption_says_what_was_folded_and_how_to_unfold_it():
    y = mlp_loss()
    caption = draw(y).picture.caption
    assert f"{len(topological_order(y)):,} nodes in" in caption
    assert 'fold="none" draws every node' in caption
    assert "depth=" in caption
    svg = ET.fromstring(draw(y).svg)
    notes = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "note"]
    assert caption.split()[-1] in notes[-1]


def test_a_cell_that_is_used_again_and_again_does_not_make_a_cycle():
    state = Value(0.1, "state")
    total = Value(0.0, "total")
    for i in range(40):
        with scope("cell"):
            state = (state * 0.9 + float(i)).tanh()
        total = total + state * state
        state = state + total * 0.01
    boxes = draw(total).picture
    assert sum(node.count for node in boxes.nodes) == len(topological_order(total))
    assert all(edge.source < edge.target for edge in boxes.edges)
    assert len(boxes.nodes) <= BOXES


def test_without_scopes_what_is_computed_alike_is_one_box():
    rows = [[Value(float(i * j), f"x{i}{j}") for j in range(4)] for i in range(50)]
    weights = [Value(0.1, f"w{j}") for j in range(4)]
    total = operations.sum([operations.dot(row, weights).tanh() for row in rows])
    picture = draw(total).picture
    assert sorted((node.gate, node.count) for node in picture.nodes) == [
        ("", 4),
        ("", 200),
        ("dot", 50),
        ("tanh", 50),
        ("Σ", 1),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chain", "mixed", "balanced", "sum"])
def test_a_hundred_thousand_nodes_give_a_small_summary(kind):
    y = _large(kind, 100_000)
    y.backward()
    picture = draw(y).picture
    assert sum(node.count for node in picture.nodes) == len(topological_order(y)) >= 100_000
    assert len(picture.nodes) <= BOXES
    assert len(draw(y).svg) < 100_000
    del y


def test_parts_of_a_graph_without_structure_are_numbered():
    labels = [node.label for node in draw(_large("mixed", 10_000)).picture.nodes]
    assert "part 1 of 12" in labels


def test_what_is_highlighted_is_still_marked():
    y = mlp_loss((2, 3, 1), samples=16)
    [x] = [v for v in topological_order(y) if v.label == "w1" and v.scope == "layer0.neuron2"]
    marked = [node.label for node in draw(y, depth=1, highlight=[x]).picture.nodes if node.highlighted]
    assert marked == ["layer0.neuron2"]


def test_a_large_backward_pass_folds_too_and_names_its_gradients():
    y = mlp_loss((2, 3, 1), samples=16)
    y.label = "loss"
    picture = draw(y, backward=True).picture
    assert len(picture.nodes) <= BOXES
    notes = " ".join(note for node in picture.nodes if node.kind == "gradient" for note in node.notes)
    assert "∂loss/∂w1" in notes


def _large(kind, size):
    if kind == "sum":
        return operations.sum([Value(float(i)) for i in range(size)])
    if kind == "balanced":
        values = [Value(float(i), f"x{i}") for i in range(size)]
        while len(values) > 1:
            values = [one + other for one, other in zip(values[::2], values[1::2], strict=False)] + (
                [values[-1]] if len(values) % 2 else []
            )
        return values[0]
    leaves = [Value(0.5 + i / 100, f"x{i}") for i in range(50)]
    y = leaves[0]
    for i in range(size):
        leaf = leaves[i % 50]
        y = y.tanh() if kind == "chain" else (y + leaf, y * leaf, y.sin(), y - 1.0)[i * i % 7 % 4]
    return y
