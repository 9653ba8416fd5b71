"""Neurons, layers and networks: what they compute, what they are called, what they refuse."""

import copy
import gc
import json
import pickle
import random
from itertools import pairwise
from pathlib import Path

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.engine import topological_order
from microgrannd.nn import ACTIVATIONS, MLP, Layer, Module, Neuron
from tests.oracles import agrees, example


def fill(neuron, weights, bias):
    for parameter, number in zip(neuron.parameters(), [*weights, bias], strict=True):
        parameter.data = number


def weight_gradients(layer):
    return [[w.grad for w in neuron.w] for neuron in layer.neurons]


def bias_gradients(layer):
    return [neuron.b.grad for neuron in layer.neurons]


# ---- what a network is made of


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        *zip(example("K-17")["inputs"]["sizes"], example("K-17")["outputs"]["params"], strict=True),
        *zip(example("C-23")["inputs"]["nets"], example("C-23")["outputs"]["params"], strict=True),
        (example("S-20")["inputs"]["sizes"], example("S-20")["outputs"]["params"]),
    ],
)
def test_parameter_counts_k17_c23_s20(sizes, count):
    model = MLP(sizes[0], sizes[1:], seed=0)
    assert model.parameter_count == len(model.parameters()) == count


def test_neurons_weights_and_biases_of_c23():
    outputs = example("C-23")["outputs"]
    for i, sizes in enumerate(example("C-23")["inputs"]["nets"]):
        model = MLP(sizes[0], sizes[1:])
        neurons = [neuron for layer in model.layers for neuron in layer.neurons]
        assert len(neurons) == outputs["neurons"][i] == outputs["biases"][i]
        assert sum(len(neuron.w) for neuron in neurons) == outputs["weights"][i]


def test_weights_without_biases_of_c16():
    sizes, outputs = [3072, 100, 10], example("C-16")["outputs"]
    weights = sum(a * b for a, b in pairwise(sizes))
    assert weights == outputs["params_without_bias"]
    assert MLP(3, [5, 2]).parameter_count == 3 * 5 + 5 * 2 + 7  # the rule, on a network of a handier size
    w1, w2 = [[1.0, -2.0, 0.5], [-1.0, 0.5, 2.0]], [[0.5, -1.0], [2.0, 3.0]]
    model = MLP(3, [2, 2], init=0)  # s = W2 max(0, W1 x)
    for layer, rows in zip(model.layers, [w1, w2], strict=True):
        for neuron, row in zip(layer.neurons, rows, strict=True):
            fill(neuron, row, 0.0)
    # W1 x = (1 - 2 + 1.5, -1 + 0.5 + 6) = (0.5, 5.5)
    assert [s.data for s in model([1.0, 1.0, 3.0])] == [0.25 - 5.5, 1.0 + 16.5]


def test_an_n_layer_network_does_not_count_its_inputs_and_ends_linear_c25():
    model = MLP(3, [4, 4, 1])
    assert len(model.layers) == 3
    assert [layer.neurons[0].activation for layer in model.layers] == [mg.relu, mg.relu, None]
    assert {len(neuron.w) for neuron in model.layers[1].neurons} == {4}  # all of the layer before, no other


def test_the_names_of_the_nine_parameters():
    assert [name for name, _ in MLP(2, [2, 1]).named_parameters()] == [
        *("layer0.neuron0.w0", "layer0.neuron0.w1", "layer0.neuron0.b"),
        *("layer0.neuron1.w0", "layer0.neuron1.w1", "layer0.neuron1.b"),
        *("layer1.neuron0.w0", "layer1.neuron0.w1", "layer1.neuron0.b"),
    ]


def test_a_parameter_has_its_short_name_as_label_and_the_rest_as_scope():
    w = MLP(2, [3, 1]).layers[1].neurons[0].w[2]
    assert (w.label, w.scope) == ("w2", "layer1.neuron0")


def test_wk_connects_input_k():
    neuron = Neuron(3, activation="linear", seed=0)
    neuron([10.0, 20.0, 30.0]).backward()
    assert [w.grad for w in neuron.w] == [10.0, 20.0, 30.0]
    assert neuron.b.grad == 1.0


def test_parts_show_what_they_are():
    model = MLP(2, [16, 1], activation="tanh")
    assert repr(model) == "MLP(2, [16, 1], activation='tanh', output='linear')"
    assert repr(model.layers[0]) == "Layer(2, 16, activation='tanh')"
    assert repr(model.layers[1].neurons[0]) == "Neuron(16, activation='linear')"
    assert repr(MLP(4, [3])) == "MLP(4, [3], output='linear')"


# ---- what it computes


def test_the_nine_partial_derivatives_of_k03():
    entry = example("K-03")
    numbers, gradients = entry["inputs"], entry["grads"]
    model = MLP(2, [2, 1], activation="sigmoid")
    names = ["w0", "w2", "b0", "w1", "w3", "b1", "w4", "w5", "b2"]  # of the text, in our order
    for parameter, name in zip(model.parameters(), names, strict=True):
        parameter.data = numbers[name]
    x = [Value(numbers["x0"]), Value(numbers["x1"])]
    hidden = model.layers[0](x)
    output = model.layers[1](hidden)
    loss = mg.losses.half_squared_error(output, numbers["y"])
    loss.backward()
    nodes = {"z0": hidden[0].parents[0], "a0": hidden[0], "z1": hidden[1].parents[0], "a1": hidden[1], "a2": output}
    assert agrees(loss.data, entry["value"], entry["tol"])
    assert agrees([p.grad for p in model.parameters()], [gradients[name] for name in names], entry["tol"])
    assert agrees([v.grad for v in x], [gradients["x0"], gradients["x1"]], entry["tol"])
    for name, wanted in entry["intermediates"].items():
        assert agrees([nodes[name].data, nodes[name].grad], [wanted["value"], wanted["grad"]], entry["tol"]), name
    assert agrees(model([v.data for v in x]).data, output.data, 0)


def test_every_z_a_and_delta_of_n03():
    entry = example("N-03")
    numbers, gradients = entry["inputs"], entry["grads"]
    model = MLP(2, [3, 2], activation="sigmoid", output="sigmoid")
    for layer, l in zip(model.layers, "23", strict=True):
        for neuron, weights, bias in zip(layer.neurons, numbers["w" + l], numbers["b" + l], strict=True):
            fill(neuron, weights, bias)
    x = [Value(number) for number in numbers["x"]]
    activations = {"2": model.layers[0](x)}
    activations["3"] = model.layers[1](activations["2"])
    cost = mg.losses.half_squared_error(activations["3"], numbers["y"])
    cost.backward()
    assert agrees(cost.data, entry["value"], entry["tol"])
    for layer, l in zip(model.layers, "23", strict=True):
        assert agrees(weight_gradients(layer), gradients["w" + l], entry["tol"])
        assert agrees(bias_gradients(layer), gradients["b" + l], entry["tol"])
    assert agrees([v.grad for v in x], gradients["x"], entry["tol"])
    for name, wanted in entry["intermediates"].items():
        node = activations[name[1]][int(name[3])]
        node = node.parents[0] if name[0] == "z" else node
        assert agrees([node.data, node.grad], [wanted["value"], wanted["grad"]], entry["tol"]), name


def test_the_196_100_50_10_network_of_k27():
    entry, image = example("K-27"), json.loads((Path(__file__).parents[1] / "data/mnist_first_image.json").read_text())
    wanted, tolerance = entry["outputs"], entry["tol"]
    model = MLP(196, [100, 50, 10], activation="sigmoid", output="sigmoid", init=0)

    def number(i, j, l):
        return ((7919 * i + 104729 * j + 1299709 * l) % 1025 - 512) / 1024

    for l, layer in enumerate(model.layers, start=1):
        for j, neuron in enumerate(layer.neurons):
            fill(neuron, [number(i, j, l) for i in range(len(neuron.w))], number(len(neuron.w), j, l))
    outputs = model([pixel / 255 for pixel in image["pixels"]])
    loss = mg.losses.half_squared_error(outputs, [float(k == image["label"]) for k in range(10)])
    loss.backward()
    assert agrees([output.data for output in outputs], wanted["output"], tolerance)
    assert agrees(loss.data, wanted["loss"], tolerance)
    for l, layer in enumerate(model.layers, start=1):
        flat = [gradient for row in weight_gradients(layer) for gradient in row]
        facts = {"sum": sum(flat), "sum_of_squares": sum(g * g for g in flat), "max_abs": max(map(abs, flat))}
        for name, fact in facts.items():
            assert agrees(fact, wanted[f"dW{l}"][name], tolerance), (l, name)
    assert agrees(sum(bias_gradients(model.layers[0])), wanted["db1"]["sum"], tolerance)
    assert agrees(sum(bias_gradients(model.layers[1])), wanted["db2"]["sum"], tolerance)
    assert agrees(bias_gradients(model.layers[2]), wanted["db3"], tolerance)
    for l, i, j in [(1, 104, 0), (2, 0, 0), (3, 0, 0), (3, 49, 9)]:
        assert agrees(model.layers[l - 1].neurons[j].w[i].grad, wanted[f"dW{l}[{i}][{j}]"], tolerance)


def test_a_bias_is_the_weight_of_an_input_fixed_at_one_b06():
    entry = example("B-06")
    w, x = entry["inputs"]["w"], entry["inputs"]["x"]
    with_bias, with_unit = Neuron(2, activation="tanh"), Neuron(3, activation="tanh")
    fill(with_bias, w[1:], w[0])
    fill(with_unit, w, 0.0)
    inputs = [Value(number) for number in x]
    for output in (with_bias(inputs), with_unit([1.0, *inputs])):
        mg.zero_grad(inputs)
        output.backward()
        assert agrees(output.data, entry["value"], entry["tol"])
        assert agrees([v.grad for v in inputs], entry["grads"]["x"], entry["tol"])
    assert agrees([p.grad for p in [with_bias.b, *with_bias.w]], entry["grads"]["w"], entry["tol"])
    assert agrees([p.grad for p in with_unit.w], entry["grads"]["w"], entry["tol"])


def test_the_neuron_of_c21():
    entry = example("C-21")
    numbers, gradients = entry["inputs"], entry["grads"]
    neuron = Neuron(3, activation="sigmoid")
    fill(neuron, numbers["weights"], numbers["bias"])
    inputs = [Value(number) for number in numbers["inputs"]]
    rate = neuron(inputs)
    rate.backward()
    assert agrees(rate.data, entry["value"], entry["tol"])
    assert agrees([v.grad for v in inputs], gradients["inputs"], entry["tol"])
    assert agrees([w.grad for w in neuron.w], gradients["weights"], entry["tol"])
    assert agrees(neuron.b.grad, gradients["bias"], entry["tol"])
    cell_body_sum = entry["intermediates"]["cell_body_sum"]
    assert agrees([rate.parents[0].data, rate.parents[0].grad], list(cell_body_sum.values()), entry["tol"])


def test_a_neuron_is_one_dot_node_and_one_activation_node():
    nodes = topological_order(Neuron(3, activation="tanh")([1.0, 2.0, 3.0]), leaves=False)
    assert [node.op for node in nodes] == [mg.dot, mg.tanh]
    assert [node.op for node in topological_order(Neuron(3, "linear")([1.0, 2.0, 3.0]), leaves=False)] == [mg.dot]


def test_expanded_it_is_the_tree_of_small_multiplies_and_adds_with_the_same_numbers():
    x = [0.3, -1.7, 0.9]
    model = MLP(3, [4, 2], activation="tanh", seed=3)
    tree = MLP(3, [4, 2], activation="tanh", seed=3, expand=True)
    for folded, expanded in zip(model(x), tree(x), strict=True):
        assert agrees(folded.data, expanded.data, 1e-15)  # sum() of Python 3.12 and newer rounds once less
        folded.backward()
        expanded.backward()
    assert agrees([p.grad for p in tree.parameters()], [p.grad for p in model.parameters()], 1e-15)
    nodes = topological_order(tree.layers[0].neurons[0](x), leaves=False)
    assert [node.op.symbol for node in nodes] == ["*", "+"] * 3 + ["tanh"]
    assert {node.scope for node in nodes} == {"layer0.neuron0"}
    assert nodes[0].parents[0] is tree.layers[0].neurons[0].w[0]  # w * x, as it is written


@pytest.mark.parametrize("activation", [*ACTIVATIONS, mg.erf, lambda z: z * z.sigmoid()])
def test_every_kind_of_activation_is_applied_to_the_dot(activation):
    neuron = Neuron(2, activation=activation, init=0)
    fill(neuron, [1.5, -0.5], 0.25)
    z = 1.5 * 0.75 - 0.5 * 2.0 + 0.25
    if isinstance(activation, str):
        activation = ACTIVATIONS[activation] or (lambda z: z)
    assert repr(neuron([0.75, 2.0]).data) == repr(activation(Value(z)).data)  # acosh has nothing but NaN here


# ---- the same type always, of whatever it is given


def test_a_call_gives_the_same_type_always():
    x = [1.0, 2.0]
    assert type(MLP(2, [3, 1])(x)) is Value
    assert [type(y) for y in MLP(2, [3, 2])(x)] == [Value, Value]
    assert [type(y) for y in Layer(2, 2)(x)] == [Value, Value]
    assert type(Layer(2, 1)(x)) is Value  # as micrograd's
    assert type(Neuron(2)(x)) is Value


def test_inputs_are_lists_tuples_numpy_rows_and_iterators_of_numbers_and_values():
    numpy = pytest.importorskip("numpy")
    model = MLP(2, [3, 1], seed=1)
    wanted = model([0.5, 2.0]).data
    rows = numpy.array([[0.5, 2.0]], dtype=numpy.float32)
    for x in [(0.5, 2), rows[0], rows.astype(object)[0], iter([0.5, 2.0]), [Value(0.5), 2.0], map(Value, [0.5, 2.0])]:
        output = model(x)
        assert output.data == wanted
        assert type(output.data) is float


@pytest.mark.parametrize(
    ("part", "x", "message"),
    [
        (MLP(2, [1]), [1.0, 2.0, 3.0], "MLP expects 2 inputs, got 3."),
        (MLP(1, [1]), [], "MLP expects 1 input, got 0."),
        (Layer(2, 3), [1.0], "Layer expects 2 inputs, got 1."),
        (Neuron(3), [1.0, 2.0], "Neuron expects 3 inputs, got 2."),
    ],
)
def test_a_wrong_number_of_inputs_is_an_error_that_names_both_numbers(part, x, message):
    with pytest.raises(ValueError) as caught:
        part(x)
    assert str(caught.value) == message


@pytest.mark.parametrize("x", [["1", "2"], [None, 1.0], [1j, 1.0], "ab"])
def test_inputs_that_are_no_numbers_are_type_errors(x):
    with pytest.raises(TypeError, match="A real number is needed"):
        MLP(2, [1])(x)


def test_a_single_number_is_no_list_of_inputs():
    with pytest.raises(TypeError, match="MLP expects a list of 1 inputs, got a single float"):
        MLP(1, [1])(0.5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MLP(2, []), ValueError, "at least one layer"),
        (lambda: MLP(2, ["3"]), TypeError, "number of neurons is an int, got '3'"),
        (lambda: MLP(2, [2.0]), TypeError, "number of neurons is an int, got 2.0"),
        (lambda: MLP(2, [0]), ValueError, "number of neurons is at least 1, got 0"),
        (lambda: MLP(2, 3), TypeError, "list of layer sizes"),
        (lambda: MLP(2, "21"), TypeError, "list of layer sizes"),
        (lambda: MLP(0, [1]), ValueError, "number of inputs is at least 1"),
        (lambda: MLP(None, [1]), TypeError, "number of inputs is an int"),
        (
            lambda: Neuron(2, activation="sigmoidal"),
            ValueError,
            "Unknown activation 'sigmoidal'; it is 'linear' or .*, such as .*sigmoid",
        ),
        (lambda: MLP(2, [1], output="softmax"), ValueError, "Unknown activation 'softmax'"),
        (lambda: Neuron(2, activation=3), TypeError, "An activation is a name, an Operation or a function"),
        (lambda: MLP(2, [1], init="glorot"), ValueError, "Unknown initialisation 'glorot'; known: xavier, he"),
        (lambda: MLP(2, [1], init=-1.0), ValueError, "init is a half-width"),
        (lambda: MLP(2, [1], init=(1, 2, 3)), ValueError, "init is a half-width"),
    ],
)
def test_what_makes_no_network_is_an_error_that_says_what_does(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- where the parameters start


def test_the_weights_are_drawn_as_micrograd_draws_them():
    random.seed(1337)
    drawn = [random.uniform(-1, 1) for _ in range(2 * 3 + 3)]
    random.seed(1337)
    model = MLP(2, [3, 1])
    assert [w.data for layer in model.layers for neuron in layer.neurons for w in neuron.w] == drawn
    assert {neuron.b.data for layer in model.layers for neuron in layer.neurons} == {0.0}


def test_a_network_equals_micrograds():
    micrograd = pytest.importorskip("micrograd.nn")
    random.seed(1)
    theirs = micrograd.MLP(3, [4, 4, 1])
    random.seed(1)
    ours = MLP(3, [4, 4, 1])
    x = [2.0, -1.0, 0.5]
    theirs(x).backward()
    ours(x).backward()
    assert agrees(ours(x).data, theirs(x).data, 1e-15)
    assert agrees([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()], 1e-15)


def test_initialisation_ranges_k25():
    ranges = example("K-25")["outputs"]
    both = MLP(20, [20, 20], seed=0, init=(ranges["NN.py"][1], ranges["NN.py"][1]))
    weights = MLP(20, [20, 20], seed=0, init=ranges["nn_by_hand"][1])
    for parameters, (low, high) in [
        ([p.data for p in both.parameters()], ranges["NN.py"]),
        ([w.data for layer in weights.layers for neuron in layer.neurons for w in neuron.w], ranges["nn_by_hand"]),
    ]:
        assert low <= min(parameters) < 0.95 * low
        assert 0.95 * high < max(parameters) <= high
    assert all(neuron.b.data == 0 for layer in weights.layers for neuron in layer.neurons)
    assert all(neuron.b.data != 0 for layer in both.layers for neuron in layer.neurons)


def test_initialisation_of_s20_by_a_function():
    scale = example("S-20")["outputs"]["weight_init_std"]
    seen = set()

    def init(generator, inputs, outputs):
        seen.add((inputs, outputs))
        return scale * generator.gauss(0, 1)

    model = MLP(40, [30, 10], seed=0, init=init)
    assert seen == {(40, 30), (30, 10)}
    weights = [w.data for neuron in model.layers[0].neurons for w in neuron.w]
    assert 0.9 * scale < (sum(w * w for w in weights) / len(weights)) ** 0.5 < 1.1 * scale
    assert all(neuron.b.data == 0 for layer in model.layers for neuron in layer.neurons)


@pytest.mark.parametrize(("name", "half_width"), [("xavier", (6 / 50) ** 0.5), ("he", (6 / 40) ** 0.5)])
def test_initialisation_by_name(name, half_width):
    weights = [w.data for neuron in Layer(40, 10, init=name, seed=0).neurons for w in neuron.w]
    assert 0.98 * half_width < max(map(abs, weights)) <= half_width


def test_a_seed_repeats_and_leaves_the_global_generator_alone():
    random.seed(5)
    wanted = random.random()
    random.seed(5)
    first, second, other = (MLP(2, [3, 1], seed=seed) for seed in (7, random.Random(7), 8))
    assert random.random() == wanted
    assert [p.data for p in first.parameters()] == [p.data for p in second.parameters()]
    assert [p.data for p in first.parameters()] != [p.data for p in other.parameters()]
    assert len({w.data for neuron in first.layers[0].neurons for w in neuron.w}) == 6  # neurons are not alike


# ---- modules of one's own


class Residual(Module):
    """A skip connection, weights used twice, a gain of its own, and two outputs."""

    def __init__(self):
        self.first = Layer(2, 2, "tanh", seed=0)
        self.blocks = []
        for _ in range(2):
            self.blocks.append(Neuron(2, "linear", seed=1))
        self.heads = {"left": self.blocks[0], "right": Neuron(2, "linear", seed=2)}
        self.gain = Value(2.0)
        self.name = "residual"

    def __call__(self, x):
        h = [a + b for a, b in zip(self.first(x), x, strict=True)]
        h = [self.blocks[0](h), self.blocks[1](h)]
        return self.heads["left"](h) * self.gain, self.heads["right"](h)


def test_a_module_finds_its_parameters_in_attributes_lists_and_dicts_each_once():
    model = Residual()
    names = [name for name, _ in model.named_parameters()]
    assert names == [
        *(f"first.neuron{j}.{p}" for j in range(2) for p in ("w0", "w1", "b")),
        *(f"block{i}.{p}" for i in range(2) for p in ("w0", "w1", "b")),
        *(f"heads.right.{p}" for p in ("w0", "w1", "b")),
        "gain",
    ]
    assert [id(p) for p in model.parameters()] == [id(p) for _, p in model.named_parameters()]
    assert (model.gain.label, model.gain.scope) == ("gain", "")
    assert model.blocks[1].w[0].scope == "block1"


def test_any_acyclic_topology_differentiates():  # F23
    model, x = Residual(), [0.5, -1.5]
    left, right = model(x)
    (left + right * 3).backward()
    analytic = [p.grad for p in model.parameters()]

    def total():
        with mg.no_grad():
            left, right = model(x)
            return (left + right * 3).data

    for parameter, gradient in zip(model.parameters(), analytic, strict=True):
        at, step = parameter.data, 1e-5
        parameter.data = at + step
        above = total()
        parameter.data = at - step
        below = total()
        parameter.data = at
        assert agrees((above - below) / (2 * step), gradient, 1e-8)


def test_a_neuron_or_layer_of_ones_own_does_its_own_thing_in_a_network():
    class Sum(Neuron):
        def __call__(self, x):
            return mg.sum(x) * self.b

    class Doubling(Layer):
        def __call__(self, x):
            return [2 * y for y in super().__call__(x)]

    class Named(Neuron):
        pass

    model = MLP(2, [2, 1], activation="linear", init=0)
    model.layers[0] = Doubling(2, 2, "linear", init=0)
    model.layers[0].neurons[0] = Sum(2)
    model.layers[0].neurons[1] = Named(2, "linear", init=0)
    fill(model.layers[0].neurons[0], [0.0, 0.0], 3.0)
    fill(model.layers[0].neurons[1], [1.0, -1.0], 0.5)
    fill(model.layers[1].neurons[0], [1.0, 10.0], 0.0)
    wanted = 2 * 3.0 * (4.0 + 1.0) + 10 * 2 * (4.0 - 1.0 + 0.5)
    assert model([4.0, 1.0]).data == wanted
    with mg.scope("observed"):
        assert model([4.0, 1.0]).data == wanted


def test_nested_lists_have_names_and_only_plurals_lose_their_s():
    class Matrix(Module):
        def __init__(self):
            self.rows = [[Value(1.0), Value(2.0)]]
            self.bias = [Value(0.0)]

    assert [name for name, _ in Matrix().named_parameters()] == ["row0.0", "row0.1", "bias0"]


def test_a_node_made_along_the_way_is_no_parameter():
    neuron = Neuron(2, seed=0)
    neuron.last = neuron([1.0, 2.0])
    assert neuron.parameter_count == 3


def test_modules_that_hold_each_other_are_walked_once():
    inner, outer = Neuron(1), Neuron(1)
    inner.other, outer.other = outer, inner
    assert outer.parameter_count == len(outer.named_parameters()) == 4


def test_zero_grad_clears_every_parameter():
    model = MLP(2, [2, 1], activation="tanh", seed=0)
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert not any(p.grad for p in model.parameters())


# ---- where a node was made


def test_nodes_carry_the_name_of_their_neuron():
    nodes = topological_order(MLP(2, [2, 1], activation="tanh")([1.0, 2.0]), leaves=False)
    assert [(node.op.name, node.scope) for node in nodes] == [
        *(("dot", "layer0.neuron0"), ("tanh", "layer0.neuron0")),
        *(("dot", "layer0.neuron1"), ("tanh", "layer0.neuron1")),
        ("dot", "layer1.neuron0"),
    ]


def test_a_module_inside_another_has_the_whole_path():
    class Twice(Module):
        def __init__(self):
            self.bodies = [MLP(2, [1]), MLP(2, [1])]

    assert Twice().bodies[1]([1.0, 2.0]).scope == "body1.layer0.neuron0"


def test_an_open_scope_comes_before_the_neurons_name():
    model = MLP(2, [1])
    with mg.scope("sample3"):
        assert model([1.0, 2.0]).scope == "sample3.layer0.neuron0"


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu", lambda z: z.exp() - 1])
def test_whatever_modes_are_open_the_numbers_are_the_same(activation):
    model, x = MLP(3, [4, 1], activation, activation, seed=5), [0.1, 0.7, -0.3]
    plain = model(x)
    plain.backward()
    gradients = [p.grad for p in model.parameters()]
    with mg.scope("outer"), mg.source_lines():
        model.zero_grad()
        observed = model(x)
        observed.backward()
    assert observed.data == plain.data
    assert [p.grad for p in model.parameters()] == gradients
    assert observed.line.startswith("test_nn.py:")
    assert [n.op for n in topological_order(observed)] == [n.op for n in topological_order(plain)]
    with mg.no_grad():
        assert (model(x).data, model(x).parents) == (plain.data, ())


def test_an_anomaly_names_its_neuron():
    model = MLP(1, [1], output=mg.log, init=0)
    with mg.detect_anomaly(), pytest.raises(FloatingPointError, match=r"log\(.*gave -inf in layer0.neuron0"):
        model([1.0])


# ---- living with it


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_network_copies_and_pickles(again):
    model = MLP(2, [3, 1], activation="elu", seed=0)
    twin = again(model)
    assert twin([1.0, 2.0]).data == model([1.0, 2.0]).data
    assert twin([1.0, 2.0]).scope == "layer1.neuron0"
    twin.layers[0].neurons[0].w[0].data += 1.0
    assert twin([1.0, 2.0]).data != model([1.0, 2.0]).data


def test_weights_shared_between_neurons_stay_shared_in_a_copy():
    layer = Layer(2, 2, seed=0)
    layer.neurons[1].w = layer.neurons[0].w
    twin = copy.deepcopy(layer)
    assert layer.parameter_count == twin.parameter_count == 4
    assert twin.neurons[1].w[0] is twin.neurons[0].w[0]


def test_a_dropped_graph_leaves_nothing_to_the_collector():
    model = MLP(2, [4, 1], activation="tanh")
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            model([1.0, 2.0]).backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


class Box(Module):
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.slow
def test_a_thousand_modules_in_each_other_are_a_module(tmp_path):
    def boxed(seed):
        module = MLP(1, [1], seed=seed)
        for _ in range(1000):
            module = Box(module)
        return module

    model, other = boxed(1), boxed(2)
    assert [name for name, _ in model.named_parameters()] == [
        f"{'inner.' * 1000}layer0.neuron0.{name}" for name in ("w0", "b")
    ]
    assert [p.scope for p in model.parameters()] == [f"{'inner.' * 1000}layer0.neuron0"] * 2
    mg.save(model, tmp_path / "model.json")
    mg.load(tmp_path / "model.json", into=other)
    assert [p.data for p in other.parameters()] == [p.data for p in model.parameters()]


class Ring(Module):
    """A list and a dict that hold themselves, and a module that is held by what it holds."""

    def __init__(self):
        self.w = Value(1.0)
        self.parts = [Value(2.0)]
        self.parts.append(self.parts)
        self.table = {"a": Value(3.0), "box": Box(self)}
        self.table["table"] = self.table

    def __call__(self, x):
        return self.w * x + self.parts[0] + self.table["a"]


def test_what_holds_itself_is_met_once(tmp_path):
    model = Ring()
    assert [(name, p.data) for name, p in model.named_parameters()] == [("w", 1.0), ("part0", 2.0), ("table.a", 3.0)]
    assert [p.data for p in model.parameters()] == [1.0, 2.0, 3.0]
    mg.fit(lambda x, y: (model(x) - y) ** 2, ([1.0], [7.0]), mg.optim.SGD(model.parameters(), lr=0.5), epochs=1)
    assert [p.data for p in model.parameters()] == [2.0, 3.0, 4.0]  # each + 0.5 · 2 · (7 - 6)
    mg.save(model, tmp_path / "ring.json")
    other = mg.load(tmp_path / "ring.json", into=Ring())
    assert [p.data for p in other.parameters()] == [2.0, 3.0, 4.0]


def test_lists_that_share_lists_are_found_in_the_time_of_their_parts():
    shared = [Value(1.0)]
    for _ in range(100):
        shared = [shared, shared]  # 2¹⁰⁰ ways lead to the parameter
    model = Box(shared)
    assert len(model.named_parameters()) == len(model.parameters()) == 1
