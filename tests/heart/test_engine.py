"""The engine, as a specification: every semantic promise of the design with its value written out."""

import copy
import gc
import math
import pickle
import threading
import weakref
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

import microgrannd as mg
from microgrannd import Value, operations
from microgrannd.engine import Constant, inputs_of, topological_order

# ---- making Values


@pytest.mark.parametrize("number", [3, 3.0, True, Fraction(1, 4), Decimal("0.25")])
def test_a_value_takes_any_real_number_and_keeps_a_float(number):
    value = Value(number)
    assert type(value.data) is float
    assert value.data == float(number)
    assert value.grad == 0.0


@pytest.mark.parametrize(
    ("thing", "remedy"),
    [
        ("3", r"float\("),
        (None, "real number"),
        (1j, "real.*imag"),
        ([1], "one Value of each element"),
        (Value(1), "use the Value as it is"),
    ],
)
def test_what_is_no_real_number_is_a_type_error_that_says_what_to_do(thing, remedy):
    with pytest.raises(TypeError, match=remedy):
        Value(thing)


def test_an_int_beyond_the_floats_is_an_overflow_error_that_says_so():
    with pytest.raises(OverflowError, match=r"1329 bits.* too large for a float"):
        Value(10**400)


def test_a_misspelt_attribute_is_refused_by_name():
    y = Value(1.0)
    with pytest.raises(AttributeError, match="dta"):
        y.dta = 1


def test_data_and_grad_stay_floats_when_they_are_set():
    x = Value(1)
    x.data = 2
    x.grad = 1
    assert type(x.data) is type(x.grad) is float
    with pytest.raises(TypeError, match="float"):
        x.data = "2"


def test_the_data_of_a_node_with_parents_cannot_be_set():
    y = Value(1.0) + 1
    with pytest.raises(AttributeError, match=r"computed by 'add'.*detach"):
        y.data = 3.0


# ---- the graph


def test_a_node_knows_its_operation_parents_and_inputs():
    x, y = Value(3.0), Value(4.0)
    z = x * y
    assert z.op is operations.mul
    assert z.parents == (x, y)
    assert z.parents[0] is x
    assert z.parents[1] is y
    assert z.inputs == (3.0, 4.0)
    assert x.op is None
    assert x.parents == ()


def test_a_parent_used_twice_is_there_twice():
    x = Value(3.0)
    assert [parent is x for parent in (x * x).parents] == [True, True]


def test_plain_numbers_become_constants():
    y = Value(2.0) * 3
    assert [type(parent) for parent in y.parents] == [Value, Constant]


def test_local_gradients_are_closures_one_for_each_parent():
    x, y = Value(3.0), Value(4.0)
    assert [local_gradient() for local_gradient in (x / y).local_gradients] == [0.25, -0.1875]
    assert x.local_gradients == ()


def test_topological_order_puts_parents_first_and_each_node_once():
    x = Value(2.0)
    y = x * x + x
    order = topological_order(y)
    assert order[-1] is y
    assert len(order) == 3
    position = {id(node): i for i, node in enumerate(order)}
    assert all(position[id(parent)] < position[id(node)] for node in order for parent in node.parents)


def test_topological_order_follows_the_order_of_writing():
    a, b, c, d = (Value(float(i), label) for i, label in enumerate("abcd"))
    assert [node.label or node.op.symbol for node in topological_order((a + b) * (c - d))] == [*"ab+cd-*"]


def test_topological_order_of_several_roots_shares_what_they_share():
    x = Value(1.0)
    shared = x + 1
    assert len(topological_order(shared * 2, shared * 3)) == 7


# ---- backward


def test_leaves_accumulate_and_interior_nodes_are_set_afresh():
    x = Value(3.0)
    square = x * x
    y = square * 2
    y.backward()
    assert (x.grad, square.grad, y.grad) == (12.0, 2.0, 1.0)
    y.backward()
    assert (x.grad, square.grad, y.grad) == (24.0, 2.0, 1.0)


def test_a_given_upstream_scales_the_gradients():
    x = Value(3.0)
    (x * x).backward(upstream=0.5)
    assert x.grad == 3.0


def test_backward_on_a_subnode_differentiates_the_subnode():
    x = Value(3.0)
    square = x * x
    y = square * 2
    y.backward()
    square.backward()
    assert x.grad == 12.0 + 6.0
    assert y.grad == 1.0


def test_backward_on_a_leaf_adds_the_upstream_to_it():
    x = Value(3.0)
    x.backward()
    x.backward(2)
    assert x.grad == 3.0


def test_zero_grad_clears_what_it_is_given():
    x, y = Value(3.0), Value(4.0)
    (x * y).backward()
    mg.zero_grad([x])
    assert (x.grad, y.grad) == (0.0, 3.0)


def test_a_node_is_differentiated_where_it_was_computed():
    x = Value(3.0)
    y = x * x
    x.data = 100.0
    y.backward()
    assert x.grad == 6.0
    assert y.local_gradients[0]() == 3.0


def test_a_diamond_of_2_to_the_60_paths_is_walked_once_a_node():  # C-11
    x = y = Value(1.0)
    for _ in range(60):
        y = y + y
    y.backward()
    assert y.data == x.grad == 2.0**60


def test_an_upstream_of_zero_stops_an_infinite_local_gradient():
    x = Value(0.0)
    mg.where(x > 0, mg.sqrt(x), 0).backward()
    assert x.grad == 0.0
    x = Value(0.0)
    (x.sqrt() * 0).backward()
    assert x.grad == 0.0


def test_no_nan_comes_from_a_branch_not_taken_under_an_infinite_upstream():
    x = Value(0.0)
    mg.log(mg.where(x > 0, 1 / x, x)).backward()  # the upstream of where is 1/0
    assert x.grad == math.inf


def test_relu_of_a_negative_number_blocks_an_infinite_upstream_as_in_pytorch():
    x = Value(-1.0)
    mg.sqrt(mg.relu(x)).backward()
    assert x.grad == 0.0


# ---- stepping


def test_backward_steps_are_what_backward_does():
    def graph():
        x, y = Value(0.5, label="x"), Value(-1.5, label="y")
        return x, y, (x * y + x).tanh() * x + mg.dot([x, y], [y, 2.0], x)

    x1, y1, z1 = graph()
    z1.backward()
    x2, y2, z2 = graph()
    steps = list(z2.backward_steps())
    assert (x1.grad, y1.grad) == (x2.grad, y2.grad)
    assert all(step.after == step.before + step.contribution for step in steps)
    assert all(step.contribution == step.upstream * step.local_gradient for step in steps)
    last = {id(step.parent): step.after for step in steps}
    assert last[id(x2)] == x1.grad
    assert len(steps) == sum(len(node.parents) for node in topological_order(z2))


@pytest.mark.parametrize("seed", range(20))
def test_backward_goes_through_the_topological_order_in_reverse(seed):
    random = Random(seed)
    nodes = [Value(random.uniform(0.5, 1.5)) for _ in range(3)]
    for _ in range(60):
        x, y, z = random.choices(nodes[-12:], k=3)  # the same one several times, too
        nodes.append(random.choice([x + y, x - 2.0, 3.0 * y, -z, z.sin(), mg.where(x, y, z), mg.sum([x, y, z]),
                                    mg.sum([x]), mg.dot([x, y], [z, x]), mg.dot([x, y], [y, z], 2.0)]))  # fmt: skip
    y = mg.sum(nodes[-20:])
    visited = list(dict.fromkeys(step.node for step in y.backward_steps()))
    assert list(map(id, visited)) == [id(node) for node in reversed(topological_order(y)) if node.parents]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_vectors_of_any_length_hand_their_gradients_back(size):
    xs, ys = [Value(k + 1.0) for k in range(size)], [Value(10.0 * k) for k in range(size)]
    (mg.dot(xs, ys, 5.0) + mg.dot(xs, ys) + mg.sum(xs) + mg.mean(xs)).backward()
    assert [x.grad for x in xs] == pytest.approx([20.0 * k + 1 + 1 / size for k in range(size)])
    assert [y.grad for y in ys] == [2 * (k + 1.0) for k in range(size)]
    assert mg.dot(xs, ys, 5.0).inputs == (*[x.data for x in xs], *[y.data for y in ys], 5.0)


def test_a_step_tells_its_rule_in_the_parents_labels():
    a, b = Value(2.0, label="a"), Value(5.0, label="b")
    steps = list((a * b).backward_steps())
    assert [(step.parent.label, step.formula, step.contribution) for step in steps] == [("a", "b", 5), ("b", "a", 2)]
    assert str(steps[0]) == "grad(a) += 1 × 5 = 5: 0 → 5"


def test_a_zero_upstream_yields_steps_of_zero():
    x = Value(0.0)
    steps = list((x.log() * 0.0).backward_steps())
    assert [step.contribution for step in steps] == [0.0, -math.inf, 0.0]
    assert x.grad == 0.0


def test_steps_happen_one_at_a_time():
    x = Value(3.0)
    steps = (x * x).backward_steps()
    assert x.grad == 0.0
    next(steps)
    assert x.grad == 3.0
    next(steps)
    assert x.grad == 6.0


# ---- modes


def test_no_grad_gives_leaves():
    x = Value(3.0)
    with mg.no_grad():
        y = x * x
    assert y.data == 9.0
    assert y.parents == ()
    assert (x * x).parents == (x, x)


def test_no_grad_ends_with_its_block_even_by_an_exception():
    x = Value(3.0)
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert (x + 1).op is operations.add


def test_no_grad_decorates_a_function():
    @mg.no_grad()
    def square(x):
        return x * x

    assert square(Value(2.0)).parents == ()


def test_no_thread_sees_anothers_no_grad():
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append((Value(2.0) * 3).op))
        thread.start()
        thread.join()
    assert seen == [operations.mul]


def test_detach_gives_a_leaf_with_the_same_number_and_label():
    x = Value(3.0, label="x")
    y = x * 2
    y.label = "y"
    z = y.detach() * x
    z.backward()
    assert y.detach().label == "y"
    assert x.grad == 6.0


def test_a_gradient_of_zero_stops_its_own_branch_and_no_other():
    x = Value(-1.0)
    (x * 3 + (x * 2).relu()).backward()
    assert x.grad == 3.0


def test_an_operation_with_too_few_local_gradients_is_told_so_by_backward():
    x = Value(2.0)
    short = mg.Operation("short", lambda x, y: x * y, lambda x, y, out: (y,))
    with pytest.raises(ValueError, match="1 local gradients for 2 inputs"):
        short(x, 3.0).backward()
    of_three = mg.Operation("of three", lambda x, y, z: x * y * z, lambda x, y, z, out: (y * z, x * z))
    with pytest.raises(ValueError, match="2 local gradients for 3 inputs"):
        of_three(x, 3.0, x).backward()


def test_a_node_has_the_gradient_zero_before_any_pass():
    x = Value(2.0)
    assert [node.grad for node in (x, x + 1, x.exp(), mg.sum([x, x, x]), mg.dot([x], [x]))] == [0.0] * 5


def test_gradients_cannot_be_set_to_zero_within_a_compiled_function():
    def f(x):
        mg.zero_grad([x])
        return x * x

    with pytest.raises(mg.TracingError):
        mg.compile(f)(2.0)


def test_detect_anomaly_names_operation_inputs_and_line_in_forward():
    x = Value(1000.0, label="x")
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError, match=r"exp\(x=1000.0\) gave inf.*test_engine.py:\d+"):
        x.exp()
    assert x.exp().data == math.inf


def test_detect_anomaly_names_operation_and_label_in_backward():
    x = Value(0.0, label="x")
    with mg.detect_anomaly():
        root = x.sqrt()
        root.label = "root"
        with pytest.raises(FloatingPointError, match=r"root = sqrt\(x=0.0\) the gradient of x became inf.*0.5 / root"):
            root.backward()


def test_detect_anomaly_lets_finite_graphs_pass():
    x = Value(3.0)
    with mg.detect_anomaly():
        (x * x).backward()
    assert x.grad == 6.0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mg.sqrt(x) ** 2,  # by our rule 0, where the limit is 1
        lambda x: mg.cbrt(x) ** 3,
        lambda x: 0.0 * mg.sqrt(x),
        lambda x: x * mg.sqrt(x),
        lambda x: (lambda root: root - root)(mg.sqrt(x)),
        lambda x: mg.exp(mg.sqrt(x) ** 2) * 3,
    ],
)
def test_detect_anomaly_shows_the_zero_that_stopped_an_infinite_slope(f):
    x = Value(0.0, label="x")
    f(x).backward()
    assert x.grad == 0.0
    with mg.detect_anomaly():
        y = f(x)
        for ask in (
            y.backward,
            lambda: mg.gradients(y, [x]),
            lambda: mg.grad(f)(0.0),
            lambda: mg.value_and_grad(f)(0.0),
        ):
            with pytest.raises(mg.AnomalyError, match=r"exactly 0 met a local gradient of inf"):
                ask()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mg.where(mg.greater(x, 0), mg.sqrt(x), 0.0),
        lambda x: mg.where(mg.greater(x, 0), mg.sqrt(x) ** 2, 0.0),
        lambda x: mg.relu(-mg.sqrt(x) - 1),
        lambda x: mg.maximum(mg.sqrt(x), 1.0),
        lambda x: mg.relu(x) * 0.0 + x**2,
    ],
)
def test_detect_anomaly_lets_branches_pass_that_were_not_taken(f):
    x = Value(0.0)
    with mg.detect_anomaly():
        f(x).backward()
        assert x.grad == mg.grad(f)(0.0) == mg.gradients(f(x), [x])[0].data == 0.0


def test_scopes_nest_and_name_nodes():
    x = Value(1.0)
    with mg.scope("encoder"), mg.scope("gate"):
        y = x + 1
    assert y.scope == "encoder.gate"
    assert (x + 1).scope == ""
    with pytest.raises(TypeError, match="A scope has a name"), mg.scope(""):
        pass


def test_source_lines_are_remembered_on_request():
    x = Value(1.0)
    with mg.source_lines():
        y = x + 1
    assert "y = x + 1" in y.line
    assert (x + 1).line == ""


# ---- numbers among numbers


def test_comparison_goes_by_data_and_hash_by_identity():
    x, y = Value(2.0), Value(2.0)
    assert x != y
    assert x == x
    assert mg.equal(x, y).data == 1.0
    assert [x, y].index(y) == 1
    assert x == 2
    assert x != 3
    assert x < 3
    assert x <= 2
    assert x > 1.5
    assert x >= y
    assert len({x, y}) == 2
    assert x != "2"
    with pytest.raises(TypeError):
        assert x < "3"


def test_truth_and_format_go_by_data():
    assert Value(0.5)
    assert not Value(0.0)
    assert f"{Value(2 / 3):.3f}" == "0.667"
    assert f"{Value(2.0, label='x')}" == "Value(data=2.0, grad=0.0, label='x')"


@pytest.mark.parametrize("convert", [float, int, math.exp, round])
def test_a_conversion_that_would_lose_the_gradient_is_refused(convert):
    with pytest.raises(TypeError, match=r"y\.data|__round__"):
        convert(Value(1.0))


def test_operators_refuse_what_is_no_number():
    for operand in ("2", None, 1j, [1]):
        with pytest.raises(TypeError):
            Value(1.0) + operand
        with pytest.raises(TypeError):
            operand - Value(1.0)


# ---- copies


def test_leaves_copy_and_pickle():
    x = Value(3.0, label="x")
    x.grad = 2.0
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin is not x
        assert (twin.data, twin.grad, twin.label) == (3.0, 2.0, "x")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_node_with_parents_says_that_it_does_not_copy(duplicate):
    with pytest.raises(TypeError, match=r"has parents.*\.detach\(\)"):
        duplicate(Value(3.0) * 2)


# ---- deep, wide, and gone


@pytest.mark.slow
def test_a_chain_of_a_million_nodes_works_without_recursion():
    x = Value(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + 0.0
    y.backward()
    assert x.grad == 1.0
    assert len(topological_order(y, leaves=False)) == 1_000_000
    assert repr(y) == "Value(data=1.0, grad=1.0)"
    gone = weakref.ref(y)
    del y
    assert gone() is None


LONG = {
    "a parent used twice": lambda y, x: y * y,
    "the second parent": lambda y, x: x + y,
    "one parent": lambda y, x: y.tanh(),
    "many parents": lambda y, x: mg.dot([y, x], [x, y]),
}


@pytest.mark.parametrize("longer", LONG.values(), ids=LONG)
def test_a_long_graph_is_freed_on_a_small_stack(longer):
    x = Value(0.5)
    graph = [x]
    for _ in range(100_000):
        graph[0] = longer(graph[0], x)
    gone = weakref.ref(graph[0])
    before = threading.stack_size(128 * 1024)
    try:
        thread = threading.Thread(target=graph.clear)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert gone() is None


@pytest.mark.slow
def test_a_sum_of_a_million_terms_works_fused_and_chained():
    xs = [Value(1.0) for _ in range(1_000_000)]
    y = mg.sum(xs)
    y.backward()
    assert y.data == 1e6
    assert xs[-1].grad == 1.0
    z = sum(xs)
    z.backward()
    assert xs[0].grad == 2.0


def test_a_dropped_graph_leaves_nothing_for_the_collector():
    def build():
        xs = [Value(float(i)) for i in range(10)]
        y = mg.dot(xs, xs).tanh() + mg.logsumexp(xs) * mg.softmax(xs)[0]
        y.backward()
        list(y.backward_steps())

    build()
    gc.collect()
    gc.disable()
    try:
        build()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_node_that_routes_multiplies_by_its_local_gradients():
    x, slope = Value(-2.0), Value(0.25)
    (3 * mg.leaky_relu(x, slope)).backward()
    assert (x.grad, slope.grad) == (0.75, -6.0)


def test_a_leaf_has_no_inputs():
    assert Value(1.0).inputs == Value(1.0).parents == inputs_of(Value(1.0)) == ()


def test_within_a_block_of_a_mode_a_detached_value_is_a_leaf():
    x = Value(3.0, label="x")
    with mg.scope("room"):
        y = (2 * x).detach()
    assert (y.op, y.data) == (None, 6.0)
