"""The textbooks' gates, layers and networks: the books' numbers, and the engine's on random networks."""

import contextlib
import copy
import io
import math
from random import Random

import pytest

import microgrannd as mg
from microgrannd import Value, losses
from microgrannd.layers import (
    ActivationLayer,
    Affine,
    ComputationalGraph,
    FullyConnectedLayer,
    Gate,
    Network,
    SoftmaxWithLoss,
)
from microgrannd.layers.views import layer_view
from tests.oracles import agrees, example

np = pytest.importorskip("numpy")


def nested(array):
    return array.tolist() if isinstance(array, np.ndarray) else array


# Each test of the matrix forms runs on lists and on arrays.
both_kinds = pytest.mark.parametrize(
    "kind", [copy.deepcopy, lambda nest: np.array(nest, dtype=float)], ids=["lists", "arrays"]
)


# ---- gates


def test_a_multiply_gate_keeps_its_inputs_and_swaps_them():  # C-12, S-07
    gate = Gate(mg.mul)
    assert gate.forward(10.0, 5.0) == 50.0
    assert gate.inputs == (10.0, 5.0)
    assert gate.backward(1.3) == [6.5, 13.0]


def test_two_apples_by_layer_objects():  # S-08, S-01
    apples, taxed = Gate(mg.mul), Gate(mg.mul)
    price = taxed.forward(apples.forward(100, 2), 1.1)
    d_apples, d_tax = taxed.backward(1)
    d_price, d_count = apples.backward(d_apples)
    expected = example("S-01")
    assert agrees(price, expected["value"], 1e-12)
    found = {"price": d_price, "num": d_count, "tax": d_tax}
    assert agrees([found[key] for key in found], [expected["grads"][key] for key in found], 1e-12)


def test_apples_and_oranges_with_mul_and_add_gates():  # S-02, S-08
    graph = ComputationalGraph()
    graph.add("apples", mg.mul, "apple", "apple_num")
    graph.add("oranges", mg.mul, "orange", "orange_num")
    graph.add("all", mg.add, "apples", "oranges")
    graph.add("price", mg.mul, "all", "tax")
    expected = example("S-02")
    assert agrees(graph.forward(**expected["inputs"]), expected["value"], 1e-12)
    gradients = graph.backward()
    assert all(agrees(gradients[key], wanted, 1e-12) for key, wanted in expected["grads"].items())
    assert graph.values["apples"] == 200.0  # S-25


def test_relu_as_a_layer_masks():  # S-09
    given = example("S-09")
    for kind in (lambda nest: nest, lambda nest: np.array(nest, dtype=float)):
        gate = Gate(mg.relu)
        assert nested(gate.forward(kind(given["inputs"]["x"]))) == given["outputs"]["y"]
        ones = kind([[1.0] * len(row) for row in given["inputs"]["x"]])
        assert nested(gate.backward(ones)[0]) == given["outputs"]["dx_for_dout_1"]


@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "relu", "gelu", "softplus", "exp", "silu", "leaky_relu", "elu", "abs"]
)
def test_a_gate_on_lists_and_arrays_is_the_operation_on_each_element(name):
    random = Random(name)
    xs, upstream = [random.gauss(0, 2) for _ in range(8)], [random.gauss(0, 1) for _ in range(8)]
    expected = []
    for x, u in zip(xs, upstream, strict=True):
        value = Value(x)
        mg.TABLE[name](value).backward(u)
        expected.append(value.grad)
    for kind in (list, np.array):
        gate = Gate(mg.TABLE[name])
        assert nested(gate.forward(kind(xs))) == pytest.approx([mg.TABLE[name](x) for x in xs], rel=1e-15)
        assert nested(gate.backward(kind(upstream))[0]) == pytest.approx(expected, rel=1e-14)


def test_a_gate_over_vectors():
    gate = Gate(mg.dot)
    assert gate.forward([1.0, 2.0], [3.0, 4.0]) == 11.0
    assert gate.backward(10.0) == [[30.0, 40.0], [10.0, 20.0]]


def test_a_bias_that_is_spread_over_the_rows_collects_their_gradients():  # S-12
    given = example("S-12")
    gate = Gate(mg.add)
    arrays = {key: np.array(nest, dtype=float) for key, nest in given["inputs"].items()}
    assert nested(gate.forward(arrays["X_dot_W"], arrays["B"])) == given["outputs"]["forward"]
    assert nested(gate.backward(arrays["dY"])[1]) == given["outputs"]["dB"]


def test_a_gate_stops_a_zero_upstream_on_arrays_too():
    gate = Gate(mg.sqrt)
    gate.forward(np.array([0.0, 4.0]))
    assert nested(gate.backward(np.array([0.0, 1.0]))[0]) == [0.0, 0.25]


def test_gates_say_what_is_wrong():
    with pytest.raises(RuntimeError, match="call forward before backward"):
        Gate(mg.mul).backward(1.0)
    with pytest.raises(TypeError, match="made of an Operation"):
        Gate(math.sin)
    graph = ComputationalGraph()
    graph.add("a", mg.add, "b", 1)
    graph.add("b", mg.add, "a", 1)
    with pytest.raises(ValueError, match="circle"):
        graph.forward()
    graph = ComputationalGraph()
    graph.add("y", mg.mul, "x", "w")
    with pytest.raises(TypeError, match="'y' needs w"):
        graph.forward(x=1.0)
    with pytest.raises(ValueError, match="already"):
        graph.add("y", mg.mul, "x", "w")


def test_the_graph_visits_each_gate_once_however_many_paths_there_are():  # C-11
    graph = ComputationalGraph()
    for i in reversed(range(60)):  # written down in the wrong order
        graph.add(f"y{i + 1}", mg.add, f"y{i}", f"y{i}")
    visited = []
    for name, gate in graph.gates.items():
        forward, backward = gate.forward, gate.backward
        gate.forward = lambda *x, f=forward, n=name: (visited.append(n), f(*x))[1]
        gate.backward = lambda u, f=backward, n=name: (visited.append(n), f(u))[1]
    assert graph.forward(y0=1.0) == 2.0**60
    assert graph.backward() == {"y0": 2.0**60}
    names = [f"y{i}" for i in range(1, 61)]
    assert visited == names + names[::-1]


# ---- layers


@both_kinds
def test_a_fully_connected_layer(kind):  # K-09
    given = example("K-09")
    layer = FullyConnectedLayer(3, 2)
    layer.W, layer.b = kind(given["inputs"]["W"]), kind(given["inputs"]["b"])
    y = layer.forward(kind(given["inputs"]["x"]))
    assert agrees(nested(y), [given["intermediates"][f"y[{j}]"]["value"] for j in (0, 1)], 1e-12)
    assert agrees(nested(layer.backward(kind(given["inputs"]["err"]))), given["grads"]["x"], 1e-12)
    assert agrees(nested(layer.delta_w), given["grads"]["W"], 1e-12)
    assert agrees(nested(layer.delta_b), given["grads"]["b"], 1e-12)


@both_kinds
def test_an_activation_layer(kind):  # K-10
    given = example("K-10")
    layer = ActivationLayer("sigmoid")
    layer.forward(kind(given["inputs"]["x"]))
    assert agrees(nested(layer.backward(kind(given["inputs"]["err"]))), given["grads"]["x"], 1e-12)


@both_kinds
def test_two_passes_add_up_and_a_step_uses_their_mean(kind):  # K-11
    given = example("K-11")["inputs"]
    expected = example("K-11")["outputs"]
    layer = FullyConnectedLayer(3, 2)
    layer.W, layer.b = kind(given["W"]), kind(given["b"])
    for one in (given["pass1"], given["pass2"]):
        layer.forward(kind(one["x"]))
        layer.backward(kind(one["err"]))
    assert agrees(nested(layer.delta_w), expected["delta_w"], 1e-12)
    assert agrees(nested(layer.delta_b), expected["delta_b"], 1e-12)
    assert layer.passes == expected["passes"]
    layer.step(given["eta"])
    assert agrees(nested(layer.W), expected["W_after"], 1e-12)
    assert agrees(nested(layer.b), expected["b_after"], 1e-12)
    assert nested(layer.delta_w) == expected["after_step"]["delta_w"]
    assert nested(layer.delta_b) == expected["after_step"]["delta_b"]
    assert layer.passes == 0


def test_there_is_nothing_to_learn_without_a_backward_pass():  # K-12
    layer = ActivationLayer("sigmoid")
    layer.step(0.5)
    with pytest.raises(RuntimeError, match="No backward pass"):
        FullyConnectedLayer(2, 2).step(0.5)


def test_layers_start_uniform_around_zero():  # K-25
    low, high = example("K-25")["outputs"]["NN.py"]
    layer = FullyConnectedLayer(20, 30, seed=1)
    weights = [w for row in layer.W for w in row] + layer.b
    assert (len(layer.W), len(layer.W[0]), len(layer.b)) == (20, 30, 30)
    assert all(low <= w < high for w in weights)
    assert max(weights) > 0.9 * high
    assert min(weights) < 0.9 * low


@both_kinds
def test_an_affine_layer_on_a_vector(kind):  # S-11
    given = example("S-11")
    inputs = {key: kind(nest) for key, nest in given["inputs"].items()}
    layer = Affine(inputs["W"], inputs["B"])
    y = layer.forward(inputs["X"])
    assert agrees(nested(y), [given["intermediates"][f"Y[{j}]"]["value"] for j in range(3)], 1e-12)
    assert agrees(nested(layer.backward(inputs["dY"])), given["grads"]["X"], 1e-12)
    assert agrees(nested(layer.dW), given["grads"]["W"], 1e-12)
    assert agrees(nested(layer.db), given["grads"]["B"], 1e-12)


@both_kinds
def test_the_bias_gradient_is_the_sum_over_the_batch(kind):  # S-12, C-15
    given = example("S-12")
    layer = Affine(kind([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), kind(given["inputs"]["B"]))
    assert nested(layer.forward(kind(given["inputs"]["X_dot_W"]))) == given["outputs"]["forward"]
    layer.backward(kind(given["inputs"]["dY"]))
    assert nested(layer.db) == given["outputs"]["dB"]
    assert np.shape(layer.dW) == np.shape(layer.W)


@both_kinds
@pytest.mark.parametrize("name", ["S-14", "S-16a", "S-16b", "S-18"])
def test_softmax_with_loss(kind, name):
    given = example(name)
    layer = SoftmaxWithLoss()
    assert agrees(layer.forward(kind(given["inputs"]["a"]), kind(given["inputs"]["t"])), given["value"], 1e-12)
    assert agrees(nested(layer.backward()), given["grads"]["a"], 1e-12)


@both_kinds
def test_softmax_with_loss_where_a_share_underflows(kind):  # S-15, S-17
    given = example("S-15")
    layer = SoftmaxWithLoss()
    assert agrees(layer.forward(kind(given["inputs"]["a"]), given["inputs"]["t"]), given["outputs"]["loss"], 1e-12)
    assert agrees(nested(layer.y), given["outputs"]["y"], 1e-12)
    assert agrees(nested(layer.backward()), given["outputs"]["backward"], 1e-12)
    for a, y in zip(example("S-17")["inputs"]["a"], example("S-17")["outputs"]["y"], strict=True):
        layer.forward(kind(a), 0)
        assert agrees(nested(layer.y), y, 1e-12)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="expects 3 inputs, got 2"):
        FullyConnectedLayer(3, 1).forward([1.0, 2.0])
    with pytest.raises(ValueError, match="2 samples and 1 targets"):
        SoftmaxWithLoss().forward([[0.0, 1.0], [1.0, 0.0]], [1])
    network = Network()
    network.add(FullyConnectedLayer(1, 1))
    with pytest.raises(ValueError, match="between 1 and 2 samples"):  # K-22: an IndexError in the original
        network.fit([[0.0], [1.0]], [[0.0], [1.0]], minibatches=1, learning_rate=0.1)


# ---- networks


def textbook_and_model(sizes, activation, seed):
    """The same network twice: as layers, and as an MLP of Values."""
    model = mg.MLP(sizes[0], sizes[1:], activation=activation, output=activation, seed=seed)
    network = Network()
    for layer in model.layers:
        affine = FullyConnectedLayer(len(layer.neurons[0].w), len(layer.neurons))
        affine.W = [[neuron.w[i].data for neuron in layer.neurons] for i in range(len(layer.neurons[0].w))]
        affine.b = [neuron.b.data for neuron in layer.neurons]
        affine.clear()
        network.add(affine)
        network.add(ActivationLayer(activation))
    return network, model


@both_kinds
@pytest.mark.parametrize("seed", range(4))
def test_the_layers_gradients_are_the_engines(kind, seed):
    random = Random(seed)
    sizes = [random.randint(1, 6) for _ in range(random.randint(2, 5))]
    activation = random.choice(["sigmoid", "tanh", "relu", "softplus"])
    network, model = textbook_and_model(sizes, activation, seed)
    x = [[random.gauss(0, 1) for _ in range(sizes[0])] for _ in range(5)]
    y = [[random.gauss(0, 1) for _ in range(sizes[-1])] for _ in range(5)]
    outputs = network.predict(kind(x))
    network.backward(
        kind([[p - t for p, t in zip(*rows, strict=True)] for rows in zip(nested(outputs), y, strict=True)])
    )
    mg.sum([losses.half_squared_error(model(xi), yi) for xi, yi in zip(x, y, strict=True)]).backward()
    for affine, layer in zip(network.layers[::2], model.layers, strict=True):
        rows = [[neuron.w[i].grad for neuron in layer.neurons] for i in range(len(layer.neurons[0].w))]
        assert agrees(nested(affine.delta_w), rows, 1e-12)
        assert agrees(nested(affine.delta_b), [neuron.b.grad for neuron in layer.neurons], 1e-12)
    assert affine.passes == 5


@both_kinds
def test_softmax_networks_have_the_engines_gradients_too(kind):
    random = Random(0)
    W, b = [[random.gauss(0, 1) for _ in range(3)] for _ in range(4)], [random.gauss(0, 1) for _ in range(3)]
    x, labels = [[random.gauss(0, 1) for _ in range(4)] for _ in range(6)], [random.randrange(3) for _ in range(6)]
    affine, loss = Affine(kind(W), kind(b)), SoftmaxWithLoss()
    found = loss.forward(affine.forward(kind(x)), labels)
    affine.backward(loss.backward())
    Wv, bv = [[Value(w) for w in row] for row in W], [Value(v) for v in b]
    logits = [[mg.dot(xi, column, bj) for column, bj in zip(zip(*Wv, strict=True), bv, strict=True)] for xi in x]
    total = mg.mean([losses.softmax_cross_entropy(row, label) for row, label in zip(logits, labels, strict=True)])
    total.backward()
    assert agrees(found, total.data, 1e-12)
    assert agrees(nested(affine.dW), [[w.grad for w in row] for row in Wv], 1e-12)
    assert agrees(nested(affine.db), [v.grad for v in bv], 1e-12)


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="Label 2 does not fit 2 classes"):
        SoftmaxWithLoss().forward([[0.0, 1.0], [1.0, 0.0]], [1, 2])


def test_the_layers_stay_in_order_and_share_their_matrices():  # S-24
    parameters = {"W1": np.ones((2, 3)), "b1": np.zeros(3), "W2": np.ones((3, 1)), "b2": np.zeros(1)}
    network = Network()
    for i in (1, 2):
        layer = FullyConnectedLayer(*parameters[f"W{i}"].shape)
        layer.W, layer.b = parameters[f"W{i}"], parameters[f"b{i}"]
        network.add(layer)
    assert all(network.parameters[name] is matrix for name, matrix in parameters.items())
    before = parameters["W1"].copy()
    network.backward(network.predict(np.array([[1.0, 2.0]])))
    network.step(0.01)
    assert network.parameters["W1"] is parameters["W1"]
    assert (parameters["W1"] != before).all()


def test_fit_takes_fresh_subsets_without_replacement_and_reports_every_tenth():  # K-22
    seen = []

    class Watching(FullyConnectedLayer):
        def forward(self, x):
            seen.append([row[0] for row in x])
            return super().forward(x)

    network = Network(verbose=True)
    network.add(Watching(1, 1, seed=0))
    x = [[float(i)] for i in range(10)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        network.fit(x, x, minibatches=21, learning_rate=0.001, batch_size=4, seed=0)
    assert len(seen) == 21
    assert all(len(set(batch)) == 4 for batch in seen)
    assert len({tuple(batch) for batch in seen}) > 1
    lines = printed.getvalue().splitlines()
    assert [line.split(" error=")[0] for line in lines] == [f"minibatch {i:5d}/21" for i in (0, 10, 20)]


def test_lists_and_arrays_train_alike():
    x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]
    trained = []
    for kind in (lambda nest: nest, np.array):
        network = Network()
        network.add(FullyConnectedLayer(2, 3, seed=0))
        network.add(ActivationLayer("tanh"))
        network.add(FullyConnectedLayer(3, 1, seed=1))
        network.fit(kind(x), kind(y), minibatches=50, learning_rate=0.3, batch_size=3, seed=0)
        trained.append([nested(matrix) for matrix in network.parameters.values()])
    for one, other in zip(*trained, strict=True):
        assert agrees(one, other, 1e-12)


# ---- the layer view


def nielsen_network():
    given = example("N-03")["inputs"]
    model = mg.MLP(2, [3, 2], activation="sigmoid", output="sigmoid")
    for layer, (w, b) in zip(model.layers, ((given["w2"], given["b2"]), (given["w3"], given["b3"])), strict=True):
        for neuron, weights, bias in zip(layer.neurons, w, b, strict=True):
            neuron.b.data = bias
            for weight, number in zip(neuron.w, weights, strict=True):
                weight.data = number
    return model, given["x"], given["y"]


def test_the_layer_view_shows_z_a_and_delta():  # N-03, N-04
    model, x, y = nielsen_network()
    loss = losses.half_squared_error(model(x), y)
    loss.backward()
    view = mg.layer_view(model, loss)
    expected, deltas = example("N-03")["intermediates"], example("N-04")["outputs"]
    for layer, number in zip(view, (2, 3), strict=True):
        size = len(layer.z)
        assert agrees(layer.z, [expected[f"z{number}[{j}]"]["value"] for j in range(size)], 1e-12)
        assert agrees(layer.a, [expected[f"a{number}[{j}]"]["value"] for j in range(size)], 1e-12)
        assert agrees(layer.delta, deltas[f"delta{number}"], 1e-12)
        assert agrees(layer.slope, deltas[f"sigma_prime_z{number}"], 1e-12)
    assert agrees(view[1].a_gradient, deltas["grad_a_C"], 1e-12)
    assert agrees(view[0].a_gradient, deltas["w3T_delta3"], 1e-12)


def test_the_four_equations_hold_in_the_view():  # N-03, B-01
    model, x, y = nielsen_network()
    loss = losses.half_squared_error(model(x), y)
    loss.backward()
    first, last = mg.layer_view(model, loss)
    assert agrees(last.delta, [(a - t) * s for a, t, s in zip(last.a, y, last.slope, strict=True)], 1e-14)
    weights = [[w.data for w in neuron.w] for neuron in model.layers[1].neurons]
    back = [mg.dot(column, last.delta) for column in zip(*weights, strict=True)]
    assert agrees(first.delta, [g * s for g, s in zip(back, first.slope, strict=True)], 1e-14)
    for layer, numbers, inputs in zip(model.layers, (first, last), (x, first.a), strict=True):
        assert [neuron.b.grad for neuron in layer.neurons] == numbers.delta
        found = [[w.grad for w in neuron.w] for neuron in layer.neurons]
        assert agrees(found, [[delta * a for a in inputs] for delta in numbers.delta], 1e-14)


def test_a_nudge_of_a_weighted_input_changes_the_cost_by_its_delta():  # N-07
    given = example("N-07")
    model, x, y = nielsen_network()
    delta = mg.layer_view(model, losses.half_squared_error(model(x), y))[0].delta[1]
    assert agrees(delta, given["outputs"]["delta"], 1e-12)
    bias = model.layers[0].neurons[1].b
    start = bias.data
    for dz, after, estimate in zip(
        given["inputs"]["dz"], given["outputs"]["C_after"], given["outputs"]["linear_estimate"], strict=True
    ):
        bias.data = start + dz
        assert agrees(losses.half_squared_error(model(x), y).data, after, 1e-12)
        assert agrees(delta * dz, estimate, 1e-12)


def test_an_input_of_zero_gives_its_weight_no_gradient():  # N-08
    given = example("N-08")
    neuron = mg.Neuron(1, activation="sigmoid")
    neuron.w[0].data, neuron.b.data = given["inputs"]["w"], given["inputs"]["b"]
    loss = losses.half_squared_error(neuron([given["inputs"]["a"]]), given["inputs"]["y"])
    loss.backward()
    assert agrees(loss.data, given["value"], 1e-12)
    assert neuron.w[0].grad == 0.0
    assert agrees(neuron.b.grad, given["grads"]["b"], 1e-12)


def test_saturated_neurons_have_small_errors():  # N-09
    given = example("N-09")
    layer = mg.Layer(1, 1, activation="sigmoid")
    layer.neurons[0].w[0].data = 1.0
    for target, wanted in ((0, "delta_y0"), (1, "delta_y1")):
        for z, delta in zip(given["inputs"]["z"], given["outputs"][wanted], strict=True):
            [numbers] = layer_view(layer, losses.half_squared_error(layer([z]), [target]))
            assert agrees(numbers.delta, [delta], 1e-12)


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "linear", lambda z: z.tanh() * 2 + z])
def test_the_view_of_one_sample_among_several(expand, activation):
    model = mg.MLP(2, [3, 1], activation=activation, seed=0, expand=expand)
    xs = [[0.5, -1.0], [2.0, 0.25]]
    loss = mg.sum([model(x) ** 2 for x in xs])
    for i, x in enumerate(xs):
        alone, among = layer_view(model, model(x) ** 2), layer_view(model, loss, sample=i)
        assert among == alone
        numbers = [[w.data for w in neuron.w] + [neuron.b.data] for neuron in model.layers[0].neurons]
        assert agrees(among[0].z, [mg.dot(w, [*x, 1.0]) for w in numbers], 1e-14)
    with pytest.raises(ValueError, match="in 2 sample"):
        layer_view(model, loss, sample=2)


def test_the_view_prints_as_a_table():
    model, x, y = nielsen_network()
    lines = str(layer_view(model, losses.half_squared_error(model(x), y))).splitlines()
    assert len(lines) == 6
    assert "δ = ∂C/∂z" in lines[0]
    assert lines[1].split() == ["0", "0", "1", "0.731059", "0.196612", "-0.125675", "-0.0247091"]
