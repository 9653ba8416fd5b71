"""Programs in the manners of those that people write on micrograd, our own, with the numbers worked out by hand."""

import gc
import math
import random
import weakref

import pytest

import microgrannd as mg
from microgrannd.engine import Value
from microgrannd.nn import MLP, Layer, Neuron

# ---- programs


def traced(root):
    """All nodes and edges, as every drawing of a graph begins."""
    nodes, edges = set(), set()

    def visit(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                visit(child)

    visit(root)
    return nodes, edges


def sorted_topologically(root):
    order, visited = [], set()

    def visit(v):
        if v not in visited:
            visited.add(v)
            for child in v._prev:
                visit(child)
            order.append(v)

    visit(root)
    return order


def by_the_readers_own_loop(root):
    root.grad = 1.0
    for node in reversed(sorted_topologically(root)):
        node._backward()


def product():
    a, b = Value(3.0), Value(-4.0)
    (a * b).backward()
    return a.grad, b.grad


def product_by_hand():
    a, b = Value(3.0), Value(-4.0)
    c = a * b
    c.grad = 1.0
    c._backward()
    return a.grad, b.grad


def neuron_step_by_step():
    x, w, b = Value(0.5), Value(2.0), Value(-1.0)
    xw = x * w
    n = xw + b
    o = n.tanh()
    o.grad = 1.0
    o._backward()
    n._backward()
    b._backward()
    xw._backward()
    return w.grad, x.grad, b.grad


def own_loop_over_a_graph():
    x = Value(2.0)
    y = x * x + x
    by_the_readers_own_loop(y)
    return (x.grad,)


def own_loop_with_a_shared_node():
    x = Value(3.0)
    s = x + x
    by_the_readers_own_loop(s * s)
    return (x.grad,)


def nodes_and_edges():
    a, b = Value(1.0), Value(2.0)
    nodes, edges = traced(a * b + a)
    return len(nodes), len(edges)


def edges_of_a_square():
    a = Value(1.0)
    nodes, edges = traced(a * a)
    return len(nodes), len(edges)


def leaves_that_are_equal():
    nodes, _ = traced(Value(1.0) + Value(1.0) + Value(1.0))
    return (len(nodes),)


def power_has_one_parent():
    nodes, edges = traced(Value(3.0) ** 2)
    return len(nodes), len(edges)


def symbols():
    a, b = Value(1.0), Value(2.0)
    return (a + b)._op, (a * b)._op, (a**3)._op, a.relu()._op, a.tanh()._op, a.exp()._op, a._op


def dot_text():
    a, b = Value(1.0, label="a"), Value(2.0, label="b")
    lines = [f"{v.label}|{v.data:.1f}|{v._op}" for v in sorted_topologically(a * b)]
    return sorted(lines)[-1], len(lines)


def by_hand_with_slopes():
    a, b = Value(3.0), Value(-4.0)
    Value(a.data * b.data, (a, b), (b.data, a.data)).backward()
    return a.grad, b.grad


def by_hand_twice_the_same_parent():
    a = Value(3.0)
    Value(9.0, (a, a), (3.0, 3.0)).backward()
    return (a.grad,)


def by_hand_of_three():
    xs = [Value(float(i)) for i in range(3)]
    Value(3.0, tuple(xs), (1.0, 2.0, 3.0)).backward()
    return tuple(x.grad for x in xs)


def log_by_hand():
    x = Value(2.0)
    Value(math.log(x.data), (x,), (1 / x.data,)).backward()
    return (x.grad,)


def closure():
    a, b = Value(3.0), Value(-4.0)
    out = Value(a.data * b.data, (a, b), "*")

    def _backward():
        a.grad += b.data * out.grad
        b.grad += a.data * out.grad

    out._backward = _backward
    (out * 2).backward()
    return a.grad, b.grad


def closure_on_one_parent_twice():
    a = Value(3.0)
    out = Value(a.data + a.data, {a}, "+")

    def _backward():
        a.grad += out.grad
        a.grad += out.grad

    out._backward = _backward
    out.backward()
    return (a.grad,)


def maximum_by_closure():
    xs = [Value(1.0), Value(5.0), Value(2.0)]
    best = max(xs, key=lambda v: v.data)
    out = Value(best.data, _children=tuple(xs), _op="max")

    def _backward():
        best.grad += out.grad

    out._backward = _backward
    (out * 3).backward()
    return tuple(x.grad for x in xs)


def keywords():
    a = Value(2.0)
    b = Value(4.0, _children=(a,), _op="double", label="b")
    return b._op, b.label, len(b._prev)


def all_by_position():
    a, b = Value(2.0), Value(3.0)
    c = Value(5.0, (a, b), "+", "c")
    return c._op, c.label, c._prev == {a, b}


class Own(Value):
    """A subclass that keeps house as micrograd does."""

    def __init__(self, data, _children=(), _op=""):
        super().__init__(data)
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op

    def cubed(self):
        out = Own(self.data**3, (self,), "cubed")

        def _backward():
            self.grad += 3 * self.data**2 * out.grad

        out._backward = _backward
        return out


def own_class():
    x = Own(2.0)
    y = x.cubed()
    (y * 2.0).backward()
    return x.grad, y._op, len(y._prev)


class Handed(Value):
    """A subclass that hands its arguments on."""

    def __init__(self, data, _children=(), _op="", label=""):
        super().__init__(data, _children, _op, label)


def own_class_that_hands_on():
    a = Handed(2.0, label="a")
    b = Handed(6.0, (a,), "x3")
    return b._op, a.label, len(b._prev)


def neuron_of_micrograd():
    neuron = Neuron(2, nonlin=False)
    neuron.w[0].data, neuron.w[1].data, neuron.b.data = 2.0, -1.0, 0.5
    return (neuron([3.0, 1.0]).data,)


def neuron_by_position():
    neuron = Neuron(1, False)
    neuron.w[0].data = 2.0
    return (neuron([-3.0]).data,)


def layer_of_one():
    layer = Layer(nin=2, nout=1, nonlin=False)
    out = layer([1.0, 1.0])
    return (isinstance(out, Value),)


def layer_of_two():
    return (len(Layer(2, 2)([1.0, 1.0])),)


def keywords_of_the_network():
    model = MLP(nin=3, nouts=[4, 4, 1])
    return len(model.parameters()), isinstance(model([1.0, 2.0, 3.0]), Value)


def membership():
    a, b = Value(1.0), Value(1.0)
    values = [a, b]
    values.remove(b)
    return b in values, a in values, values[0] is a


def frozen_parameters():
    parameters = [Value(0.0) for _ in range(4)]
    frozen = set(parameters[:2])
    return (len([p for p in parameters if p not in frozen]),)


def hinge_loss_of_the_demo():
    scores, labels = [Value(0.5), Value(-2.0)], [1, 1]
    losses = [(1 + -y * score).relu() for y, score in zip(labels, scores, strict=True)]
    loss = sum(losses) * (1.0 / len(losses))
    loss.backward()
    return loss.data, scores[0].grad, scores[1].grad


def softmax_by_operations():
    logits = [Value(0.0), Value(0.0)]
    counts = [logit.exp() for logit in logits]
    p = counts[0] / sum(counts)
    (-p.log()).backward()
    return logits[0].grad, logits[1].grad


def descent():
    w = Value(0.0)
    for _ in range(50):
        loss = (w - 3.0) ** 2
        w.grad = 0.0
        loss.backward()
        w.data += -0.4 * w.grad
    return (round(w.data, 9),)


def attention_of_one_head():
    q, keys = Value(1.0), [Value(0.0), Value(0.0)]
    shares = [(q * key).exp() for key in keys]
    total = sum(shares)
    out = sum(share / total * value for share, value in zip(shares, (1.0, 3.0), strict=True))
    out.backward()
    return out.data, keys[0].grad, keys[1].grad


SLOPE = 1 - math.tanh(0.0) ** 2
PROGRAMS = [
    (product, (-4.0, 3.0)),
    (product_by_hand, (-4.0, 3.0)),
    (neuron_step_by_step, (0.5 * SLOPE, 2.0 * SLOPE, SLOPE)),
    (own_loop_over_a_graph, (5.0,)),
    (own_loop_with_a_shared_node, (24.0,)),
    (nodes_and_edges, (4, 4)),
    (edges_of_a_square, (2, 1)),
    (leaves_that_are_equal, (5,)),
    (power_has_one_parent, (2, 1)),
    (symbols, ("+", "*", "**3", "ReLU", "tanh", "exp", "")),
    (dot_text, ("|2.0|*", 3)),
    (by_hand_with_slopes, (-4.0, 3.0)),
    (by_hand_twice_the_same_parent, (6.0,)),
    (by_hand_of_three, (1.0, 2.0, 3.0)),
    (log_by_hand, (0.5,)),
    (closure, (-8.0, 6.0)),
    (closure_on_one_parent_twice, (2.0,)),
    (maximum_by_closure, (0.0, 3.0, 0.0)),
    (keywords, ("double", "b", 1)),
    (all_by_position, ("+", "c", True)),
    (own_class, (24.0, "cubed", 1)),
    (own_class_that_hands_on, ("x3", "a", 1)),
    (neuron_of_micrograd, (5.5,)),
    (neuron_by_position, (-6.0,)),
    (layer_of_one, (True,)),
    (layer_of_two, (2,)),
    (keywords_of_the_network, (41, True)),
    (membership, (False, True, True)),
    (frozen_parameters, (2,)),
    (hinge_loss_of_the_demo, (1.75, -0.5, -0.5)),
    (softmax_by_operations, (-0.5, 0.5)),
    (descent, (3.0,)),
    (attention_of_one_head, (2.0, -0.5, 0.5)),
]


@pytest.mark.parametrize(("program", "expected"), PROGRAMS, ids=lambda thing: getattr(thing, "__name__", ""))
def test_a_program_for_micrograd_gives_what_it_gives_there(program, expected):
    assert program() == pytest.approx(expected)


def test_a_seeded_network_starts_as_micrograds():
    random.seed(1337)
    numbers = [random.uniform(-1, 1) for _ in range(2)]
    random.seed(1337)
    assert [w.data for w in Neuron(2).w] == numbers


# ---- what is wrong says so


@pytest.fixture
def parent():
    return Value(2.0, label="parent")


def test_a_closure_is_asked_at_once_and_nothing_of_it_remains(parent):
    out = Value(4.0, (parent,), "double")
    calls = []

    def _backward():
        calls.append(out.grad)
        parent.grad += 2 * out.grad

    parent.grad = 7.0
    out._backward = _backward
    assert calls == [1.0, 2.0]
    assert (parent.grad, out.grad) == (7.0, 0.0)
    mark = weakref.ref(out)
    gc.disable()
    try:
        out = _backward = None  # the closure's own cell holds the node, and goes with it
        assert mark() is None
    finally:
        gc.enable()


def test_a_closure_that_forgets_the_upstream_is_named(parent):
    out = Value(4.0, (parent,), "double")

    def _backward():
        parent.grad += 2.0

    with pytest.raises(mg.GradientError, match=r"label='parent'.*out\.grad × local gradient"):
        out._backward = _backward
    assert parent.grad == 0.0


def test_a_closure_that_adds_to_what_is_no_parent_is_named(parent):
    other, out = Value(1.0, label="other"), Value(4.0, (parent,), "double")

    def _backward():
        other.grad += out.grad

    with pytest.raises(mg.GradientError, match=r"label='other'.*none of its parents"):
        out._backward = _backward
    assert other.grad == 0.0


def test_a_closure_that_goes_on_by_itself_is_named(parent):
    inner = parent * 2
    out = Value(4.0, (inner,), "same")

    def _backward():
        inner.grad += out.grad
        inner._backward()

    with pytest.raises(mg.GradientError, match="_backward of another node"):
        out._backward = _backward
    assert parent.grad == 0.0


def test_a_closure_that_raises_leaves_the_gradients(parent):
    out, parent.grad = Value(4.0, (parent,), "double"), 3.0

    def _backward():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        out._backward = _backward
    assert parent.grad == 3.0


def test_a_node_by_hand_without_slopes_says_so_where_a_gradient_arrives(parent):
    y = Value(4.0, (parent,)) + 1
    with pytest.raises(mg.GradientError, match=r"Value\(data, parents, local_gradients\)"):
        y.backward()


def test_a_second_derivative_of_a_node_by_hand_is_an_error(parent):
    y = Value(parent.data**2, (parent,), (2 * parent.data,)) * 1.5
    [slope] = mg.gradients(y, [parent])
    assert slope.data == 6.0
    with pytest.raises(mg.GradientError, match="made by hand"):
        slope.backward()


def test_a_node_by_hand_is_not_computed_from_other_numbers(parent):
    y = Value(4.0, (parent,), (2.0,)) * 1.5
    with pytest.raises(mg.MicrogranndError, match="hand"):
        mg.compile(graph=y, inputs=[parent])(3.0)
    with pytest.raises(mg.TracingError, match="hand"):
        mg.compile(lambda x: Value(4.0, (x,), (2.0,)))(3.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4.0, 5), TypeError, r"label is a str, got 5"),
        ((4.0, (5,)), TypeError, r"_children is a tuple of Values"),
        ((4.0, (Value(1.0),), 5), TypeError, r"_op is a str, or a local gradient"),
        ((4.0, (Value(1.0),), (1.0, 2.0)), ValueError, r"for each parent: 1, got 2"),
        ((4.0, (Value(1.0),), ("a",)), TypeError, r"real number"),
    ],
)
def test_what_no_node_is_made_of_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Value(*arguments)


def test_the_parents_of_what_was_computed_are_not_set(parent):
    y = parent * 2
    with pytest.raises(AttributeError, match=r"computed by 'mul'.*detach"):
        y._prev = set()
    with pytest.raises(AttributeError, match=r"computed by 'mul'"):
        y._op = "double"


def test_equality_of_values_is_identity_also_where_it_is_asked_while_tracing():
    x, y = Value(1.0), Value(1.0)
    assert x != y
    assert mg.equal(x, y).data == 1.0
    with pytest.raises(mg.TracingError, match=r"mg\.equal"):
        mg.compile(lambda a, b: mg.where(a == b, 1.0, 0.0))(1.0, 1.0)
    assert mg.compile(lambda a, b: mg.where(mg.equal(a, b), 1.0, 0.0))(1.0, 1.0) == 1.0
    assert mg.compile(lambda a: mg.where(a == 1.0, 2.0, 0.0))(1.0) == 2.0


def test_the_parents_may_be_an_array(parent):
    numpy = pytest.importorskip("numpy")
    other = Value(3.0)
    node = Value(6.0, numpy.array([parent, other]), (3.0, parent.data))
    assert node.parents == (parent, other)
    with pytest.raises(TypeError, match="_children is a tuple of Values"):
        Value(6.0, numpy.ones(3))


def test_an_attribute_of_ones_own_says_where_marks_go():
    with pytest.raises(AttributeError, match="dict keyed by Value"):
        Value(1.0).visited = True


def test_a_node_by_hand_is_drawn_played_and_kept_in_modes(parent):
    with mg.scope("mine"):
        y = Value(4.0, (parent,), "double", label="y")
    assert (y.scope, y.label) == ("mine", "y")
    y._backward = lambda: None
    assert "double" in mg.draw(y, backward=True).svg
    assert mg.step(y)
    with mg.no_grad():
        assert Value(4.0, (parent,), (2.0,)).parents == ()
