"""Gradients as graphs and derivatives of functions: structure, nesting, every order, every awkward corner."""

import itertools
import math
import threading
from random import Random
from typing import NamedTuple

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.calculus import grad, gradient_graph, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from microgrannd.calculus.passes import gradients, slopes, tangents
from microgrannd.engine import Constant
from tests.oracles import agrees, example
from tests.random_graphs import smooth_graph


class Point(NamedTuple):
    x: float
    y: float


def rosenbrock(x):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


def rosenbrock_gradient(x):
    """By hand."""
    found = [0.0] * len(x)
    for i in range(len(x) - 1):
        found[i] += -400 * x[i] * (x[i + 1] - x[i] ** 2) - 2 * (1 - x[i])
        found[i + 1] += 200 * (x[i + 1] - x[i] ** 2)
    return found


def rosenbrock_hessian(x):
    """By hand."""
    size = len(x)
    found = [[0.0] * size for _ in range(size)]
    for i in range(size - 1):
        found[i][i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        found[i + 1][i + 1] += 200
        found[i][i + 1] = found[i + 1][i] = -400 * x[i]
    return found


# ---- gradients as graphs


def test_gradients_are_values_and_touch_no_grad():
    x, y = Value(3.0), Value(4.0)
    found = gradients(x * y + x, [x, y])
    assert [g.data for g in found] == [5.0, 3.0]
    assert all(isinstance(g, Value) for g in found)
    assert (x.grad, y.grad) == (0.0, 0.0)


def test_derivatives_to_any_order():
    x = Value(2.0)
    y = x**5
    for expected in (80.0, 160.0, 240.0, 240.0, 120.0, 0.0, 0.0):
        [y] = gradients(y, [x])
        assert y.data == expected


def test_the_gradient_of_an_interior_node_counts_all_that_comes_after_it():
    x = Value(3.0)
    square = x * x
    y = square * square + square
    assert [g.data for g in gradients(y, [square, x, y])] == [19.0, 114.0, 1.0]


def test_what_y_does_not_depend_on_has_gradient_zero():
    x, other = Value(3.0), Value(1.0)
    assert gradients(x * x, [other])[0].data == 0.0
    assert gradients(Constant(2.0), [other])[0].data == 0.0
    assert gradients(mg.floor(x), [x])[0].data == 0.0


def test_an_upstream_that_is_a_value_takes_part():
    x, u = Value(3.0), Value(10.0)
    [g] = gradients(x * x, [x], upstream=u)
    assert g.data == 60.0
    assert gradients(g, [u])[0].data == 6.0
    assert gradients(x * x, [x], upstream=-2)[0].data == -12.0


def test_ones_and_zeros_are_not_multiplied_in():
    a, b, c = Value(2.0), Value(3.0), Value(4.0)
    assert gradients(a * b, [a])[0] is b
    assert gradients(a + b - c, [a, b])[0].parents == ()
    [slope] = gradients((a * b) * c, [a])
    assert (slope.op.symbol, slope.parents) == ("*", (c, b))


def test_constants_fold():
    x = Value(3.0)
    [g] = gradients(x / 4.0, [x])
    assert (g.parents, g.data) == ((), 0.25)


def in_four(y, xs):
    forward = set(mg.topological_order(y))
    new = [node for node in mg.topological_order(*gradients(y, xs)) if node not in forward]
    return len(new) <= 4 * len(forward)


def test_the_gradient_graph_is_compact():
    w = [Value(0.1 * i) for i in range(30)]
    assert in_four(mg.tanh(mg.dot(w, w)) * 3 + w[0], w)
    assert in_four(rosenbrock(w), w)
    model = mg.MLP(4, [8, 8, 2], activation="tanh", seed=0, expand=True)
    assert in_four(mg.sum([y**2 for y in model([1.0, 2.0, 3.0, 4.0])]), model.parameters())
    for seed in range(100):
        random = Random(seed)
        names = ["add", "mul", "sub", "div", "tanh", "exp", "log", "sin", "relu", "sigmoid", "pow", "sqrt", "neg"]
        graph = smooth_graph(random, random.randint(20, 60), names)
        xs = [Value(x) for x in graph.inputs]
        assert in_four(graph.run(xs), xs), graph


def test_a_leaf_that_was_set_since_is_noticed():
    x = Value(3.0, label="x")
    y = x * x
    x.data = 4.0
    with pytest.raises(mg.GradientError, match=r"label='x'\) was 3.0 when .* compute y again"):
        gradients(y, [x])
    y = Value(math.nan) * x
    assert math.isnan(gradients(y, [x])[0].data)


def test_gradients_takes_values_only():
    with pytest.raises(TypeError, match=r"xs is a list of Values, such as \[x\], got one with 3"):
        gradients(Value(1.0), [3.0])


def test_a_deep_graph_needs_no_recursion():
    x = Value(1.0)
    y = x
    for _ in range(3_000):
        y = mg.sin(y.exp().log()) + y.relu()
        y = y / 2
    [g] = gradients(y, [x])
    y.backward()
    assert g.data == x.grad
    assert tangents([y], [x], [1.0])[0].data == pytest.approx(x.grad, rel=1e-9)


def test_the_gradient_graph_maps_nodes_to_their_gradients():
    a, b = Value(2.0, label="a"), Value(5.0, label="b")
    product = a * b
    y = product * product
    found = gradient_graph(y)
    assert {node: slope.data for node, slope in found.items()} == {product: 20.0, a: 100.0, b: 40.0}
    assert (found[a].label, found[b].label) == ("d_a", "d_b")
    assert gradient_graph((a * b).relu())[a].op.symbol == "*"  # what is looked at has plain products


def test_the_zero_that_stopped_an_infinite_slope_is_told_where_only_numbers_are_asked_for():
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError, match="sqrt"):
        slopes((x := Value(0.0)).sqrt() ** 2, [x])


def test_labels_stay_as_they_are_where_a_gradient_is_a_node_of_the_graph():
    a, b = Value(2.0, label="a"), Value(5.0)
    assert gradients(a * b, [a])[0] is b
    assert b.label == ""


def test_forward_mode_agrees_with_reverse_mode():
    for seed in range(200):
        random = Random(seed)
        graph = smooth_graph(random, random.randint(1, 30))
        xs, v = [Value(x) for x in graph.inputs], [random.gauss(0, 1) for _ in range(3)]
        y = graph.run(xs)
        if isinstance(y, Value):
            along = sum(g * d for g, d in zip(slopes(y, xs), v, strict=True))
            assert agrees(tangents([y], xs, v)[0].data, along, 1e-9)


# ---- transforms: structure


def test_the_gradient_has_the_structure_of_the_argument():
    def f(p):
        return p["a"] ** 2 + 3 * p["b"][0] * p["b"][1][0]

    assert grad(f)({"a": 5.0, "b": (1.0, [2.0])}) == {"a": 10.0, "b": (6.0, [3.0])}


def test_named_tuples_and_arrays_within_nests_stay_what_they_are():
    np = pytest.importorskip("numpy")
    found = grad(lambda p: p.x * p.y)(Point(2.0, 5.0))
    assert found == Point(5.0, 2.0)
    assert type(found) is Point
    gradient = grad(lambda p: (p["w"] * p["w"]).sum() * p["b"])({"w": np.array([1.0, 2.0]), "b": 3.0})
    np.testing.assert_array_equal(gradient["w"], [6.0, 12.0])
    assert gradient["b"] == 5.0


def test_argnums_say_which_argument_and_several_give_a_tuple():
    def f(x, y, z=1.0):
        return x * y * z

    assert grad(f)(2.0, 5.0) == 5.0
    assert grad(f, 1)(2.0, 5.0, z=3.0) == 6.0
    assert grad(f, argnums=(0, 1))(2.0, 5.0) == (5.0, 2.0)
    assert grad(f, argnums=-1)(2.0, 5.0, 3.0) == 10.0
    assert value_and_grad(f, argnums=(1,))(2.0, 5.0) == (10.0, (2.0,))
    assert hessian(f, argnums=(0, 1))(2.0, 5.0) == ((0.0, 1.0), (1.0, 0.0))


def test_all_is_plain_floats():
    for found in (grad(lambda x: x * x)(3), jacobian(lambda x: x)(2), hvp(lambda x: x**3)(1, 1), jvp(abs)(-1, 1)):
        assert type(found) is float


def test_a_function_that_does_not_depend_on_its_argument_has_gradient_zero():
    assert grad(lambda x: 5)([1.0, 2.0]) == [0.0, 0.0]
    assert grad(lambda x, y: y)(1.0, 2.0) == 0.0
    assert hessian(lambda x: 3 * x)(1.0) == 0.0
    assert jacobian(lambda x: [1, x[0]])([1.0, 2.0]) == [[0.0, 0.0], [1.0, 0.0]]
    assert value_and_grad(lambda x: 5)(1.0) == (5.0, 0.0)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: grad(lambda x: [x, x])(1.0), "returned 2 number.s. in a list: jacobian"),
        (lambda: grad(lambda x: None)(1.0), "must return a number or a Value .* None"),
        (lambda: grad(rosenbrock)("ab"), "rosenbrock can be differentiated by numbers .* not by 'ab'"),
        (lambda: grad(rosenbrock, 1)([1.0]), "argnums=1 asks for a positional argument that rosenbrock was not given"),
        (lambda: grad(rosenbrock)([1.0, "b"]), "not by 'b'"),
    ],
)
def test_errors_of_type_say_what_was_expected(attempt, message):
    with pytest.raises(TypeError, match=message):
        attempt()


def test_a_vector_of_the_wrong_size_is_named():
    with pytest.raises(ValueError, match="each of the 2 in the argument of rosenbrock; got 1"):
        jvp(rosenbrock)([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="each of the 1 in the result of rosenbrock; got 2"):
        vjp(rosenbrock)([1.0, 2.0], [1.0, 1.0])


# ---- transforms: values


def test_rosenbrock_in_ten_dimensions():
    random = Random(0)
    x, v = [random.uniform(-2, 2) for _ in range(10)], [random.gauss(0, 1) for _ in range(10)]
    H = rosenbrock_hessian(x)
    assert agrees(grad(rosenbrock)(x), rosenbrock_gradient(x), 1e-13)
    assert agrees(hessian(rosenbrock)(x), H, 1e-13)
    assert agrees(hvp(rosenbrock)(x, v), [mg.dot(row, v) for row in H], 1e-13)
    assert agrees(jvp(grad(rosenbrock))(x, v), [mg.dot(row, v) for row in H], 1e-13)
    assert agrees(jvp(rosenbrock)(x, v), mg.dot(rosenbrock_gradient(x), v), 1e-13)


def test_the_jacobian_of_relu_on_a_vector():  # C-13, B-07
    given = example("C-13")
    x = given["inputs"]["x"]

    def relu(x):
        return [mg.relu(xi) for xi in x]

    assert jacobian(relu)(x) == given["outputs"]["J"]
    assert vjp(relu)(x, [1, 2, 3, 4]) == given["outputs"]["vjp_of_[1,2,3,4]"]


def test_the_squared_norm_of_a_matrix_times_a_vector():  # C-14, C-15
    given = example("C-14")

    def f(W, x):
        return mg.sum([q * q for q in (mg.dot(row, x) for row in W)])

    value, (dW, dx) = value_and_grad(f, argnums=(0, 1))(given["inputs"]["W"], given["inputs"]["x"])
    assert agrees(value, given["value"], 1e-12)
    assert agrees(dW, given["grads"]["W"], 1e-12)
    assert agrees(dx, given["grads"]["x"], 1e-12)
    W = given["inputs"]["W"]
    expected = [[2 * sum(W[k][i] * W[k][j] for k in (0, 1)) for j in (0, 1)] for i in (0, 1)]
    assert agrees(hessian(f, argnums=1)(W, given["inputs"]["x"]), expected, 1e-12)  # 2 WᵀW


def test_hadamard_products():  # N-02
    given = example("N-02")["inputs"]

    def product(s):
        return [si * ti for si, ti in zip(s, given["t"], strict=True)]

    assert product(given["s"]) == example("N-02")["outputs"]["product"]
    assert jacobian(product)(given["s"]) == [[3.0, 0.0], [0.0, 4.0]]


def network(parameters, x):
    """A 3-4-4-1 network as a plain function of nested lists."""
    for layer, (weights, biases) in enumerate(parameters):
        z = [mg.dot(w, x, b) for w, b in zip(weights, biases, strict=True)]
        x = [mg.tanh(zi) for zi in z] if layer < 2 else z
    return x[0] ** 2


def network_at_random(random):
    sizes = (3, 4, 4, 1)
    return [
        ([[random.gauss(0, 1) for _ in range(n)] for _ in range(m)], [random.gauss(0, 1) for _ in range(m)])
        for n, m in itertools.pairwise(sizes)
    ], [random.gauss(0, 1) for _ in range(3)]


def test_a_network_against_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    parameters, x = network_at_random(Random(1))

    def in_jax(parameters, x):
        for layer, (weights, biases) in enumerate(parameters):
            z = weights @ x + biases
            x = jnp.tanh(z) if layer < 2 else z
        return x[0] ** 2

    arrays = [(jnp.array(w), jnp.array(b)) for w, b in parameters], jnp.array(x)
    ours, theirs = grad(network)(parameters, x), jax.grad(in_jax)(*arrays)
    for one, other in zip(ours, theirs, strict=True):
        assert agrees(one, [other[0].tolist(), other[1].tolist()], 1e-13)
    assert agrees(hessian(network, 1)(parameters, x), jax.hessian(in_jax, 1)(*arrays).tolist(), 1e-13)
    mixed = jacobian(grad(network, argnums=1))(parameters, x)
    expected = jax.jacobian(jax.grad(in_jax, argnums=1))(*arrays)
    for i, row in enumerate(mixed):
        for (w, b), (other_w, other_b) in zip(row, expected, strict=True):
            assert agrees(w, other_w[i].tolist(), 1e-13)
            assert agrees(b, other_b[i].tolist(), 1e-13)


# ---- transforms: nesting


@pytest.mark.parametrize(
    ("derivative", "expected"),
    [
        (lambda: grad(grad(grad(lambda x: x**4)))(2.0), 48.0),
        # Perturbation confusion: the inner derivative must not see the outer variable as its own.
        (lambda: grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0), 1.0),
        (lambda: grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0), 6.0),
        (lambda: grad(lambda x: x * grad(lambda y: x * y)(x))(3.0), 6.0),
        (lambda: grad(lambda x: grad(lambda y: x * y * y)(2.0))(3.0), 4.0),
        (lambda: grad(lambda x: x * jvp(lambda y: x * y)(2.0, 1.0))(3.0), 6.0),
        (lambda: jvp(lambda x: x * grad(lambda y: x * y)(2.0))(3.0, 1.0), 6.0),
        (lambda: jvp(lambda x: jvp(lambda y: x * y)(x, 1.0))(3.0, 1.0), 1.0),
        (lambda: grad(lambda x: vjp(lambda y: [y * x, y])(2.0, [x, 1.0]))(3.0), 6.0),
        (lambda: grad(lambda x: jvp(lambda y: y**3)(2.0, x))(3.0), 12.0),
        (lambda: grad(lambda x: hvp(lambda y: x * y**3)(2.0, 1.0))(3.0), 12.0),
        (lambda: grad(lambda x: value_and_grad(lambda y: x * y)(2.0)[0])(3.0), 2.0),
        (lambda: grad(lambda x: hessian(lambda y: (x * y[0]) ** 2 * y[1])([1.0, 2.0])[0][0])(3.0), 24.0),
    ],
)
def test_transforms_nest(derivative, expected):
    assert derivative() == expected


def test_with_values_they_give_values_which_go_on():
    x, w = Value(2.0), Value(3.0)
    slope = grad(lambda x: w * x**3)(x)
    assert slope.data == 36.0
    assert [g.data for g in gradients(slope, [w, x])] == [12.0, 36.0]


def test_a_functions_other_values_are_left_alone():
    w = Value(3.0)
    assert grad(lambda x: w * x)(2.0) == 3.0
    assert hessian(lambda x: w * x**2)(2.0) == 6.0
    assert w.grad == 0.0


def test_within_no_grad_a_derivative_is_still_a_derivative():
    with mg.no_grad():
        assert grad(lambda x: x**3)(2.0) == 12.0
        assert hessian(lambda x: x**3)(2.0) == 12.0


def test_anomalies_are_found_and_unused_local_gradients_are_not_blamed():
    with mg.detect_anomaly():
        assert hessian(lambda x: x**2)(-1.0) == 2.0  # the unused d/dy of x**y would be log(-1)
        x = Value(-1.0)
        (x**2).backward()
        assert x.grad == -2.0
        for derivative in (grad(mg.sqrt), hessian(mg.sqrt)):
            with pytest.raises(mg.AnomalyError, match=r"pass of sqrt\(0.0\) a gradient became inf"):
                derivative(0.0)


def test_threads_do_not_meet():
    w, failures = Value(2.0), []

    def work(k):
        for i in range(50):
            x = [k + 0.01 * i, 1.0, -2.0]
            if hessian(rosenbrock)(x) != hessians[k, i] or grad(lambda x: w * x * x)(float(k)) != 4.0 * k:
                failures.append((k, i))

    hessians = {(k, i): hessian(rosenbrock)([k + 0.01 * i, 1.0, -2.0]) for k in range(4) for i in range(50)}
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert w.grad == 0.0


# ---- awkward corners


BRANCHES = [
    lambda x: mg.where(mg.greater(x, 0), mg.sqrt(x), 0.0),
    lambda x: mg.where(mg.greater(x, 0), x * mg.log(x), 0.0),
    lambda x: mg.where(mg.greater(x, 0), 1 / x, 0.0),
    lambda x: mg.relu(x) * mg.where(mg.equal(x, 0), 1.0, 1 / x),
    lambda x: mg.maximum(mg.where(mg.not_equal(x, 0), mg.log(mg.abs(x)), 0.0), 0.0),
]


@pytest.mark.parametrize("f", BRANCHES)
def test_an_untaken_branch_leaves_no_nan_at_any_order(f):
    for derivative in (grad(f), hessian(f), grad(grad(grad(f))), jacobian(jacobian(f))):
        assert derivative(0.0) == 0.0
    for product in (hvp(f), jvp(f), vjp(f), jvp(grad(f)), vjp(hessian(f))):
        assert product(0.0, 1.0) == 0.0


@pytest.mark.parametrize(
    ("f", "first", "second"),
    [
        (mg.relu, 0.0, 0.0),
        (mg.abs, 0.0, 0.0),
        (lambda x: mg.maximum(x, 0.0), 0.5, 0.0),
        (lambda x: mg.clamp(x, 0.0, 1.0), 1.0, 0.0),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**2, 0.0, 2.0),
        (lambda x: 0.0**x, 0.0, 0.0),
        (lambda x: mg.sqrt(x), math.inf, -math.inf),
    ],
)
def test_kinks_and_poles_at_zero(f, first, second):
    assert grad(f)(0.0) == first
    assert hessian(f)(0.0) == second


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: mg.sqrt(mg.relu(x)), -1.0),  # an infinite upstream at a route of zero
        (lambda x: mg.sqrt(mg.maximum(x, 0.0)), -1.0),
        (lambda x: mg.log(mg.where(mg.greater(x, 0), x, 0.0)), -1.0),
        (lambda x: mg.sqrt(x) * x, 0.0),  # a zero upstream at an infinite slope
        (lambda x: mg.relu(mg.log(x)) * 0.0, 0.0),
        (lambda x: mg.relu(-mg.sqrt(x) - 1), 0.0),
    ],
)
def test_zeros_stop_and_block_in_a_gradient_graph_as_in_backward(f, x):
    leaf = Value(x)
    y = f(leaf)
    [g] = gradients(y, [leaf])
    y.backward()
    assert g.data == leaf.grad == 0.0


def test_missing_data_masked_out_leaves_no_nan():
    def loss(w, xs):
        return mg.sum([mg.where(math.isfinite(x), w * x, 0.0) for x in xs])

    assert grad(loss)(2.0, [1.0, math.nan, 3.0, math.inf]) == 4.0
    w, xs = Value(2.0), [Value(1.0), Value(math.nan)]
    assert gradients(mg.sum([mg.where(mg.equal(x, x), w * x, 0.0) for x in xs]), [w])[0].data == 1.0


# ---- arrays and SciPy


def test_arrays_go_in_and_come_out():
    np = pytest.importorskip("numpy")
    x = np.linspace(-1, 1, 6).reshape(2, 3)

    def f(x):
        return (np.exp(x) * x).sum()

    assert isinstance(grad(f)(x), np.ndarray)
    np.testing.assert_allclose(grad(f)(x), np.exp(x) * (1 + x), rtol=1e-15)
    H = hessian(f)(x)
    assert H.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(H.reshape(6, 6), np.diag((np.exp(x) * (2 + x)).ravel()), rtol=1e-14)
    assert jacobian(lambda x: x @ np.ones(3))(x).shape == (2, 2, 3)
    assert grad(lambda x: x * x)(np.float64(3.0)) == 6.0


def test_scipy_minimises_rosenbrock_in_ten_dimensions():
    optimize = pytest.importorskip("scipy.optimize")
    start = [0.0] * 10
    for options in (
        {"jac": grad(rosenbrock), "method": "BFGS"},
        {"jac": grad(rosenbrock), "hess": hessian(rosenbrock), "method": "trust-exact"},
        {"jac": grad(rosenbrock), "hessp": hvp(rosenbrock), "method": "Newton-CG"},
    ):
        found = optimize.minimize(rosenbrock, start, **options)
        assert max(abs(x - 1) for x in found.x) < 1e-4
    assert optimize.minimize(value_and_grad(rosenbrock), start, jac=True).fun < 1e-10


# ---- topologies (F23)


def test_shared_weights_skip_connections_and_several_outputs():
    def f(w, x):
        first = mg.tanh(w * x)
        second = mg.tanh(w * first + x)  # the same weight, and a connection that skips a layer
        return [second + first, second * x]

    w, x = 0.7, 0.3
    a = math.tanh(w * x)
    b = math.tanh(w * a + x)
    da = (1 - a * a) * x
    db = (1 - b * b) * (a + w * da)
    assert agrees(jacobian(f)(w, x), [da + db, db * x], 1e-15)
    assert agrees(vjp(f)(w, x, [2.0, 3.0]), 2 * (da + db) + 3 * db * x, 1e-15)
    outputs = f(leaf := Value(w), x)
    for output in outputs:
        output.backward()
    assert agrees(leaf.grad, da + db + db * x, 1e-15)


# ---- custom operations, end to end


softsign = mg.Operation("softsign", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)) ** 2,))


def test_an_operation_with_too_few_local_gradients_is_told_so():
    short = mg.Operation("short", lambda x, y: x * y, lambda x, y, out: (y,))
    with pytest.raises(ValueError, match="1 local gradients for 2 inputs"):
        grad(short)(1.0, 2.0)
    x = Value(2.0)
    with pytest.raises(ValueError, match="1 local gradients for 2 inputs"):
        gradients(short(x, 3.0), [x])


def test_an_operation_of_ones_own_works_to_every_order():
    x = Value(3.0, label="x")
    y = softsign(x)
    y.backward()
    assert (y.data, x.grad) == (0.75, 1 / 16)
    assert gradients(softsign(x), [x])[0].data == 1 / 16
    assert grad(softsign)(-3.0) == 1 / 16
    assert hessian(softsign)(3.0) == -2 / 64
    assert hessian(softsign)(-3.0) == 2 / 64
    assert grad(hessian(softsign))(1.0) == pytest.approx(6 / 16)
    assert mg.check_gradients(softsign, 0.7).ok
    assert "softsign" in mg.draw(softsign(x)).svg
    assert [step.formula for step in softsign(x).backward_steps()] == ["1 / (1 + |x|) ** 2"]
