"""The worked examples of five texts on backpropagation that concern the engine (features F01 to F09).

Each test carries its example's id; the other examples are tested beside the rooms they belong to.
"""

import pytest

import microgrannd as mg
from microgrannd import Value
from tests.oracles import agrees, example


def leaves(nest):
    """The same nest with a Value in place of each number."""
    if isinstance(nest, list):
        return [leaves(item) for item in nest]
    return Value(nest)


def gradients(nest):
    return [gradients(item) for item in nest] if isinstance(nest, list) else nest.grad


def sigmoid_by_gates(z):
    minus = -z
    exponential = minus.exp()
    plus_one = exponential + 1
    return {"neg": minus, "exp": exponential, "plus1": plus_one, "": 1 / plus_one}


def k03(w0, w1, w2, w3, w4, w5, b0, b1, b2, x0, x1, y):
    z0 = w0 * x0 + w2 * x1 + b0
    z1 = w1 * x0 + w3 * x1 + b1
    a0, a1 = z0.sigmoid(), z1.sigmoid()
    a2 = w4 * a0 + w5 * a1 + b2
    return {"z0": z0, "a0": a0, "z1": z1, "a1": a1, "a2": a2, "": (a2 - y) ** 2 / 2}


def n03(w2, b2, w3, b3, x, y):
    nodes, a = {}, x
    for layer, w, b in ((2, w2, b2), (3, w3, b3)):
        z = [mg.dot(row, a, bias) for row, bias in zip(w, b, strict=True)]
        a = [mg.sigmoid(zi) for zi in z]
        nodes |= {f"z{layer}[{i}]": zi for i, zi in enumerate(z)}
        nodes |= {f"a{layer}[{i}]": ai for i, ai in enumerate(a)}
    return nodes | {"": mg.sum([(yi - ai) ** 2 for yi, ai in zip(y, a, strict=True)]) / 2}


def fruit(apple, apple_num, orange, orange_num, tax):
    apple_price, orange_price = apple * apple_num, orange * orange_num
    total = apple_price + orange_price
    return {"apple_price": apple_price, "orange_price": orange_price, "all_price": total, "": total * tax}


def s03(other, price, num, tax):
    apples = price * num
    total = other + apples
    return {"apple_price": apples, "sum": total, "": total * tax}


def b02(w):
    def error(x, t):
        return mg.sum([(mg.dot(row, x) - ti) ** 2 for row, ti in zip(w, t, strict=True)]) / 2

    return {"": mg.sum([error(point["x"], point["t"]) for point in example("B-02")["points"]])}


def b03(w, x, t):
    a = mg.dot(w, x)
    y = a.sigmoid()
    return {"a": a, "y": y, "": -(t * y.log() + (1 - t) * (1 - y).log())}


def b10(x1, x2):
    v3, v4 = x1 * x2, x2.sin()
    v5, v6 = v3.exp(), v3 - v4
    return {"v3": v3, "v4": v4, "v5": v5, "v6": v6, "": v5 + v6}


def c04(x, y, z, w):
    product, larger = x * y, z.maximum(w)
    total = product + larger
    return {"xy": product, "max": larger, "sum": total, "": 2 * total}


def c06(w, x):
    w0x0, w1x1 = w[0] * x[0], w[1] * x[1]
    both = w0x0 + w1x1
    dot = both + w[2]
    gates = sigmoid_by_gates(dot)
    return {
        "w0x0": w0x0,
        "w1x1": w1x1,
        "w0x0+w1x1": both,
        "dot": dot,
        "*-1": gates["neg"],
        "exp": gates["exp"],
        "+1": gates["plus1"],
        "": gates[""],
    }


def c08(x, y):
    sigy, sigx = y.sigmoid(), x.sigmoid()
    num, xpy = x + sigy, x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1 / den
    return {
        "sigy": sigy,
        "num": num,
        "sigx": sigx,
        "xpy": xpy,
        "xpysqr": xpysqr,
        "den": den,
        "invden": invden,
        "": num * invden,
    }


def s05(x, y):
    t = x + y
    return {"t": t, "": t**2}


def c10(a):
    b = a + a
    return {"b": b, "": b * b}


def x01(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return {"": g}


def k18(x, m, b):
    product = m * x
    return {"m*x": product, "": product + b}


def s01(price, num, tax):
    apples = price * num
    return {"apple_price": apples, "": apples * tax}


def c01(x, y, z):
    q = x + y
    return {"q": q, "": q * z}


GRAPHS = {
    "K-03": k03,
    "K-18": k18,
    "N-03": n03,
    "S-01": s01,
    "S-02": fruit,
    "S-03": s03,
    "S-04": lambda x: {"": x**2},
    "S-05": s05,
    "S-06": lambda x, y: {"": x + y},
    "S-07": lambda x, y: {"": x * y},
    "S-10a": lambda x: sigmoid_by_gates(x),
    "S-10b": lambda x: sigmoid_by_gates(x),
    "B-02": b02,
    "B-03": b03,
    "B-10": b10,
    "C-01": c01,
    "C-04": c04,
    "C-06": c06,
    "C-08": c08,
    "C-09": lambda x, y: {"": x * x + 3 * x + x * y},
    "C-10": c10,
    "C-27": lambda x: {"": (3 + x) + (x + 3) + (3 - x) + (x - 3) + (2 * x) + (x * 2) + (x / 4) + (4 / x) + (-x)},
    "C-28": lambda x: {"": 1 / x},
    "X-01": x01,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_value_gradients_and_every_intermediate(name):
    given = example(name)
    inputs = {key: leaves(nest) for key, nest in given["inputs"].items()}
    nodes = GRAPHS[name](**inputs)
    nodes[""].backward(given.get("upstream", 1.0))
    assert agrees(nodes[""].data, given["value"], given["tol"])
    for key, wanted in given["grads"].items():
        assert agrees(gradients(inputs[key]), wanted, given["tol"]), key
    for key, wanted in given.get("intermediates", {}).items():
        assert agrees([nodes[key].data, nodes[key].grad], [wanted["value"], wanted["grad"]], given["tol"]), key


def derivative(operation, *inputs):
    values = [Value(x) for x in inputs]
    operation(*values).backward()
    return [x.grad for x in values] if len(values) > 1 else values[0].grad


def test_sigmoid_and_its_derivative_at_any_size():
    given = example("K-01")
    xs = given["inputs"]["x"]
    assert agrees([mg.sigmoid(x) for x in xs], given["outputs"]["sigmoid"], given["tol"])
    assert agrees([derivative(mg.sigmoid, x) for x in xs], given["outputs"]["sigmoid_prime"], given["tol"])


def test_a_saturated_neuron_learns_slowly():
    given = example("N-09")
    for y in (0, 1):
        deltas = []
        for z in map(Value, given["inputs"]["z"]):
            ((z.sigmoid() - y) ** 2 / 2).backward()
            deltas.append(z.grad)
        assert agrees(deltas, given["outputs"][f"delta_y{y}"], given["tol"])
    assert agrees(
        [derivative(mg.sigmoid, z) for z in given["inputs"]["z"]], given["outputs"]["sigma_prime"], given["tol"]
    )


def test_a_function_of_single_numbers_maps_over_a_vector():
    given = example("N-01")
    v = leaves(given["inputs"]["v"])
    squares = [x**2 for x in v]
    mg.sum(squares).backward()
    assert [x.data for x in squares] == given["outputs"]["f(v)"]
    assert gradients(v) == given["outputs"]["df_i/dv_i"]


def test_relu_and_its_mask():
    given = example("S-09")
    for row, wanted, gradient in zip(
        given["inputs"]["x"], given["outputs"]["y"], given["outputs"]["dx_for_dout_1"], strict=True
    ):
        assert [mg.relu(x) for x in row] == wanted
        assert [derivative(mg.relu, x) for x in row] == gradient
    extra = given["inputs"]["extra_x"]
    assert [mg.relu(x) for x in extra] == given["outputs"]["extra_y"]
    assert [derivative(mg.relu, x) for x in extra] == given["outputs"]["extra_dx"]


def test_the_habits_of_gates():
    given = example("C-03")
    outputs = given["outputs"]
    for gate, operation in (("add", mg.add), ("mul", mg.mul)):
        assert operation(*given["inputs"][gate]) == outputs[gate]["value"]
        assert derivative(operation, *given["inputs"][gate]) == outputs[gate]["grads"]
    for pair, wanted in list(zip(given["inputs"]["max"], outputs["max"], strict=True))[:2]:
        assert mg.maximum(*pair) == wanted["value"]
        assert derivative(mg.maximum, *pair) == wanted["grads"]
    # At the tie the text gives 1 to both; here, as in PyTorch, they share it.
    assert derivative(mg.maximum, *given["inputs"]["max"][2]) == [0.5, 0.5]


def test_elementwise_relu_has_a_diagonal_jacobian():
    given = example("C-13")
    xs = leaves(given["inputs"]["x"])
    ys = [x.relu() for x in xs]
    jacobian = []
    for y in ys:
        mg.zero_grad(xs)
        y.backward()
        jacobian.append(gradients(xs))
    assert [y.data for y in ys] == given["outputs"]["y"]
    assert jacobian == given["outputs"]["J"]
    mg.zero_grad(xs)
    mg.dot(ys, [1, 2, 3, 4]).backward()
    assert gradients(xs) == given["outputs"]["vjp_of_[1,2,3,4]"]


def test_the_activation_functions_of_the_lecture():
    given = example("C-22")
    for x in given["inputs"]["x"]:
        wanted = given["outputs"][f"{x:g}"]
        found = {
            "tanh": mg.tanh(x),
            "tanh_prime": derivative(mg.tanh, x),
            "relu": mg.relu(x),
            "leaky_relu_0.1": mg.leaky_relu(x, 0.1),
            "leaky_relu_0.01": mg.leaky_relu(x),
            "elu_1": mg.elu(x),
        }
        for name, number in wanted.items():
            assert agrees(found[name], number, given["tol"]), (name, x)


def test_gradients_add_over_two_passes_and_a_step_uses_their_mean():
    given = example("K-11")
    w, b = leaves(given["inputs"]["W"]), leaves(given["inputs"]["b"])
    for passed in (given["inputs"]["pass1"], given["inputs"]["pass2"]):
        for j, error in enumerate(passed["err"]):
            mg.dot([row[j] for row in w], passed["x"], b[j]).backward(error)
    assert agrees(gradients(w), given["outputs"]["delta_w"], given["tol"])
    assert agrees(gradients(b), given["outputs"]["delta_b"], given["tol"])
    optimizer = mg.optim.SGD([*w[0], *w[1], *w[2], *b], lr=given["inputs"]["eta"] / given["outputs"]["passes"])
    optimizer.step()
    optimizer.zero_grad()
    assert agrees([[x.data for x in row] for row in w], given["outputs"]["W_after"], given["tol"])
    assert agrees([x.data for x in b], given["outputs"]["b_after"], given["tol"])
    assert gradients(w) == given["outputs"]["after_step"]["delta_w"]


def test_backward_changes_no_parameter():  # K-24
    w = Value(0.5)
    (w.sigmoid() ** 2).backward()
    assert w.data == 0.5


def test_no_derivative_is_written_by_the_user_and_the_graph_follows_the_data():  # K-23, B-11
    def power(x, n):
        return x * power(x, n - 1) if n else Value(1.0)

    for n in (1, 5):
        x = Value(2.0)
        power(x, n).backward()
        assert x.grad == n * 2.0 ** (n - 1)


def test_a_target_is_a_plain_number_and_nobody_holds_its_gradient():  # N-06
    a = Value(0.75)
    cost = (a - 1) ** 2 / 2
    cost.backward()
    assert a.grad == -0.25
    assert [type(leaf).__name__ for leaf in mg.topological_order(cost) if leaf.op is None] == [
        "Value",
        *["Constant"] * 3,
    ]


def test_all_intermediate_results_are_kept_and_shared_derivatives_computed_once():  # S-25
    nodes = fruit(*map(Value, (100, 2, 150, 3, 1.1)))
    steps = list(nodes[""].backward_steps())
    assert (nodes["apple_price"].data, nodes["all_price"].data) == (200, 650)
    assert sum(step.parent is nodes["all_price"] for step in steps) == 1
    assert agrees(nodes["all_price"].grad, 1.1, 1e-12)


def test_moving_against_the_gradient_lowers_the_output():  # C-02
    assert c01(Value(-2), Value(5), Value(-4))[""].data == -12
    assert agrees(c01(Value(-2.01), Value(4.99), Value(-4))[""].data, -11.92, 1e-12)


def test_forward_visits_parents_first_and_backward_exactly_in_reverse():  # C-11
    nodes = c08(Value(3.0), Value(-4.0))
    forward = mg.topological_order(nodes[""], leaves=False)
    backward = [step.node for step in nodes[""].backward_steps()]
    assert [node for i, node in enumerate(backward) if i == 0 or node is not backward[i - 1]] == forward[::-1]


def test_backward_twice_without_clearing_adds():
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert x.grad == 12.0


def test_an_n_layer_net_has_n_layers_a_plain_output_and_no_connection_inside_a_layer():  # C-25
    net = mg.MLP(3, [4, 4, 1])
    assert len(net.layers) == 3
    assert net([1.0, 2.0, 3.0]).op is mg.dot
    hidden = net.layers[0]([1.0, 2.0, 3.0])
    beneath = [set(mg.topological_order(output)) - {output} for output in hidden]
    assert not any(output in nodes for output in hidden for nodes in beneath)
