"""check_gradients: right where the gradient is right, loud where it is wrong, calm at kinks."""

import math
from collections import Counter
from random import Random

import pytest

import microgrannd as mg
from microgrannd import Value, losses
from microgrannd.calculus.checks import GradientCheck, check_gradients
from microgrannd.calculus.passes import slopes
from tests.oracles import agrees, example
from tests.random_functions import random_function, truth, with_a_fault
from tests.random_graphs import ENGINE

# Right forward, wrong backward: the square is missing.
wrong_softsign = mg.Operation("wrong_softsign", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)),))


def verdicts(check):
    return {row.name: row.verdict for row in check.rows}


def test_the_table_names_every_number():
    check = check_gradients(lambda x, p: x[0] * x[1] ** 2 + mg.sin(p["a"]), [2.0, 3.0], {"a": 0.5})
    assert [(row.name, row.backprop) for row in check.rows] == [
        ("x[0]", 9.0),
        ("x[1]", 12.0),
        ("p['a']", math.cos(0.5)),
    ]
    assert check.ok
    assert all(row.difference < 1e-9 for row in check.rows)
    lines = str(check).splitlines()
    assert lines[0].split() == ["argument", "backprop", "numerical", "difference", "verdict"]
    assert [line.split()[0] for line in lines[1:]] == ["x[0]", "x[1]", "p['a']"]
    assert all(line.endswith("ok") for line in lines[1:])


def test_arrays_and_plain_functions_are_checked_too():
    np = pytest.importorskip("numpy")
    assert check_gradients(lambda x: (x * x).sum(), np.ones((2, 2))).rows[1].name == "x[0, 1]"
    assert check_gradients(mg.tanh, 0.5).ok
    assert check_gradients(lambda x: 5.0, 1.0).ok
    assert [row.name for row in check_gradients(lambda x, y: x * y, 1.0, 2.0, argnums=1).rows] == ["y"]


def test_a_wrong_local_gradient_is_caught_and_the_worst_offender_named():
    def f(x):
        return wrong_softsign(x[0]) + 3 * wrong_softsign(x[1]) + x[2]

    with pytest.raises(mg.GradientError) as caught:
        check_gradients(f, [0.0, 2.0, 1.0])
    message = str(caught.value)
    assert "wrong in 1 of 3 numbers, worst in x[1]: backpropagation gives 1, central differences 0.333333" in message
    assert "WRONG" in message
    assert isinstance(caught.value, ArithmeticError)


def test_a_gradient_that_is_slightly_wrong_is_wrong():
    off = mg.Operation("off", math.sin, lambda x, out: (mg.cos(x) * (1 + 1e-5),))
    with pytest.raises(mg.GradientError):
        check_gradients(off, 1.0)
    assert check_gradients(off, 1.0, tolerance=1e-4).ok


def test_a_nan_gradient_of_a_smooth_function_is_wrong():
    broken = mg.Operation("broken", lambda x: x * x, lambda x, out: (mg.div(0.0 * x, 0.0 * x),))
    with pytest.raises(mg.GradientError, match="backpropagation gives nan"):
        check_gradients(broken, 1.0)


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (mg.relu, 0.0),
        (mg.abs, 0.0),
        (lambda x: mg.maximum(x, 1.0), 1.0),
        (lambda x: mg.clamp(x, 0.0, 1.0), 0.0),
        (mg.operations.step, 0.0),
        (mg.floor, 2.0),
        (mg.sqrt, 0.0),
        (mg.cbrt, 0.0),
        (mg.log, 0.0),
        (lambda x: 1 / x, 0.0),
        (lambda x: mg.relu(mg.sin(3 * x) * 5), 0.0),
    ],
)
def test_kinks_jumps_and_edges_are_no_false_alarm(f, at):
    assert verdicts(check_gradients(f, at)) in (
        {"x": "not differentiable here"},
        {"argument0": "not differentiable here"},
    )


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (mg.relu, 1e-3),
        (mg.abs, -1e-3),
        (mg.log, 1e-5),
        (mg.sqrt, 1e-6),
        (mg.tan, 1.57),
        (lambda x: x**7, 100.0),
        (lambda x: mg.sin(100 * x), 0.3),
        (lambda x: mg.tanh(1000 * x), 0.001),
        (lambda x: 1e-9 * x * x, 3.0),
        (lambda x: x * 1e200, 1e-200),
        (lambda x: mg.exp(-x * x), 0.0),
        (lambda x: x**3, 0.0),
        (mg.cosh, 20.0),
        (lambda x: (x - 3) ** 2, 3.0),
    ],
)
def test_the_step_is_chosen_for_each_number(f, at):
    [row] = check_gradients(f, at).rows
    assert row.verdict == "ok"
    assert row.difference <= 1e-6 * max(abs(row.backprop), abs(row.numerical)) + 1e-9


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda x: mg.relu(x) ** 2, 0.0, 0.0),
        (lambda x: mg.relu(x) ** 3, 0.0, 0.0),
        (lambda x: mg.relu(1 - x) ** 2, 1.0, 0.0),
        (lambda x: x * mg.abs(x) + 3 * x, 0.0, 3.0),
        (lambda x: mg.sin(1e5 * x), 0.3, 1e5 * math.cos(3e4)),
        (lambda t: mg.sin(6.283185307179586 * t / 86400), 1.7e9, 6.498679948e-05),
        (lambda x: 1 / (1 + ((x - 5) / 1e-6) ** 2), 5.0000003, -505008.0),
        (lambda x: x + (x - 1) * mg.exp(-(((x - 1) / 1e-6) ** 2)), 1.0, 2.0),  # wide steps see a slope of 1
        (lambda x: mg.sin(2 * math.pi * 1024 * x), 0.0, 2 * math.pi * 1024),  # as flat as can be at a step of 1/1024
        (lambda x: mg.sqrt(x * x + 1e-20), 1e-10, 0.5**0.5),  # from afar a kink
    ],
)
def test_kinked_slopes_and_narrow_functions_are_told(f, at, slope):
    [row] = check_gradients(f, at).rows
    assert row.verdict == "ok"
    assert row.backprop == pytest.approx(slope, rel=1e-4)


def test_a_wrong_rule_on_a_narrow_peak_is_wrong():
    peak = mg.Operation("peak", lambda x: 1 / (1 + x * x), lambda x, out: (-4 * x * out * out,))
    with pytest.raises(mg.GradientError, match="backpropagation gives -1010"):
        check_gradients(lambda x: peak((x - 5.0) / 1e-6), 5.0000003)
    with pytest.raises(mg.GradientError):  # twice as wrong where wide steps agree with it
        check_gradients(lambda x: x + mg.stop_gradient((x - 1) * mg.exp(-(((x - 1) / 1e-6) ** 2))), 1.0)


def test_rounding_in_a_right_rule_is_not_taken_for_an_error():
    [row] = check_gradients(lambda x: mg.tanh(mg.log(mg.abs(x - 5.0))), 4.999998382065668).rows
    assert row.verdict == "too noisy to tell"
    assert row.difference > 1e-6 * abs(row.numerical)


def test_an_operation_that_rounds_more_than_it_shows_is_not_called_wrong():
    random, told = Random(1), Counter()
    for _ in range(300):
        large, a, x = 10 ** random.uniform(1, 12), 10 ** random.uniform(-2, 3), random.gauss(0, 2)
        for factor in (1, 2):
            cancels = mg.Operation(
                "cancels",
                lambda x, a=a, large=large: (math.sin(a * x) + large) - large,
                lambda x, out, a=a, factor=factor: (factor * a * mg.cos(a * x),),
            )
            told[factor, verdict(lambda x, cancels=cancels: cancels(x) * 3 + x, [x], 0)] += 1
    assert told[1, "WRONG"] == told[2, "ok"] == 0
    assert told[2, "WRONG"] > 200


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: mg.cbrt(x) ** 3, 1.0),
        (lambda x: mg.cbrt(-806.4 * x) ** 3 + x, -805.4),
        (lambda x: x + mg.cbrt(x) ** 3, 2.0),
    ],
)
def test_where_an_exact_zero_stops_an_infinite_slope_there_is_no_telling(f, slope):
    [row] = check_gradients(f, 0.0).rows
    assert row.verdict == "0 x inf on the way"
    assert row.numerical == pytest.approx(slope, rel=1e-9)
    [there] = check_gradients(f, 0.5).rows  # and nothing is excused elsewhere
    assert there.verdict == "ok"


def test_a_zero_on_the_way_of_one_argument_excuses_no_other():
    with pytest.raises(mg.GradientError, match="wrong in 1 of 2 numbers, worst in y"):
        check_gradients(lambda x, y: mg.cbrt(x) ** 3 + wrong_softsign(y), 0.0, 1.0)
    with pytest.raises(mg.GradientError):  # a branch that was not taken stops nothing
        check_gradients(lambda x: mg.where(x > 1, mg.sqrt(x), wrong_softsign(x + 1)), 0.0)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: mg.grad(lambda y: x * y * y)(3.0), 6.0),
        (lambda x: mg.hessian(lambda y: x * x * y * y)(3.0), 8.0),
        (lambda x: mg.jvp(lambda y: [x * y * y, y])(3.0, 2.0)[0], 12.0),
        (lambda x: mg.value_and_grad(lambda y: x * y * y)(x)[1], 8.0),
    ],
)
def test_transforms_within_a_function_are_checked(f, slope):
    [row] = check_gradients(f, 2.0).rows
    assert (row.verdict, row.backprop) == ("ok", slope)


def test_a_smooth_number_takes_a_dozen_evaluations():
    calls = []

    def f(x, y):
        calls.append(x)
        return mg.sin(x) * mg.exp(y) + x / y

    check_gradients(f, 0.7, 1.3)
    assert len(calls) <= 2 + 2 * 12


def verdict(f, inputs, i):
    try:
        return check_gradients(f, *inputs, argnums=i).rows[0].verdict
    except mg.GradientError:
        return "WRONG"


def gradient(graph, functions=ENGINE):
    xs = [Value(x) for x in graph.inputs]
    y = graph.run(xs, functions)
    return slopes(y, xs) if isinstance(y, Value) else [0.0] * len(xs)


def check_right_rules(seeds):
    """No right gradient is called wrong; how many are right, and how many cannot be told."""
    counts = Counter()
    for seed in seeds:
        _, graph = random_function(Random(seed))
        for i, backprop in enumerate(gradient(graph)):
            counts[found := verdict(lambda *xs, graph=graph: graph.run(xs), graph.inputs, i)] += 1
            assert found != "WRONG", (seed, graph, backprop, truth(graph, i))
    return counts


def check_faults(seeds):
    """No fault of 1e-4 or more passes; how many are called wrong, and how many cannot be told."""
    counts = Counter()
    for seed in seeds:
        random = Random(seed)
        _, graph = random_function(random)
        faulty, functions = with_a_fault(random, graph)
        for i, (right, wrong) in enumerate(zip(gradient(graph), gradient(faulty, functions), strict=True)):
            if not is_visible(graph, i, right, wrong):
                continue
            found = verdict(lambda *xs, g=faulty, fs=functions: g.run(xs, fs), graph.inputs, i)
            assert found != "ok", (seed, graph, right, wrong)
            counts[found if found == "WRONG" or truth(graph, i) is not None else "at a kink"] += 1
    return counts


def is_visible(graph, i, right, wrong):
    """Whether a slope is wrong by 1e-4, and moves more than the last digits of the function."""
    size = max(abs(right), abs(wrong))
    value = abs(float(graph.run(graph.inputs)))
    return abs(right - wrong) >= 1e-4 * size and size * max(abs(graph.inputs[i]), 1) > 1e-11 * value


def test_random_functions_and_their_faults():
    right = check_right_rules(range(300))
    assert right["ok"] > 0.9 * right.total()
    faults = check_faults(range(150))
    assert faults["WRONG"] >= 0.97 * (faults.total() - faults["at a kink"]) > 60


@pytest.mark.long
def test_ten_thousand_functions_and_three_thousand_faults():
    right = check_right_rules(range(10_000))
    print(right)
    assert right["ok"] > 0.94 * right.total()
    faults = check_faults(range(1_000_000, 1_003_000))
    print(faults)
    assert faults["WRONG"] >= 0.99 * (faults.total() - faults["at a kink"]) > 1000


def test_noise_is_not_taken_for_an_error():
    [row] = check_gradients(lambda x: (x * 1e-6 + 1e9) - 1e9, 1.0).rows
    assert row.verdict in ("ok", "too noisy to tell")


def test_the_numerical_derivative_is_right_to_nine_digits():
    for f, x, expected in ((mg.sin, 1.0, math.cos(1.0)), (mg.exp, 2.0, math.exp(2.0)), (mg.log, 0.1, 10.0)):
        [row] = check_gradients(f, x).rows
        assert row.numerical == pytest.approx(expected, rel=1e-9)
        assert abs(row.numerical - expected) <= 10 * row.error


def test_a_random_function_is_found_out():
    random = Random(0)
    with pytest.raises(mg.GradientError, match="for the same inputs: is it random"):
        check_gradients(lambda x: x * random.random(), 1.0)


def test_positions_that_are_none_are_refused():
    for argnums, error in ((3.0, TypeError), (5, TypeError), ((0, 0), ValueError)):
        with pytest.raises(error, match="argnums"):
            check_gradients(lambda x: x * x, 2.0, argnums=argnums)


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="returns a single number"):
        check_gradients(lambda x: [x, x], 1.0)


def test_a_model_and_its_loss_list_the_parameters_by_name():
    model = mg.MLP(2, [3, 1], activation="tanh", seed=0)
    before = [p.data for p in model.parameters()]

    def loss(model):
        return (model([1.0, -2.0]) - 0.5) ** 2

    check = check_gradients(loss, model)
    assert [row.name for row in check.rows] == [name for name, _ in model.named_parameters()]
    assert check.ok
    assert [p.data for p in model.parameters()] == before
    assert [p.grad for p in model.parameters()] == [0.0] * 13
    without = check_gradients(lambda: loss(model), parameters=model)
    assert [row[:4] for row in without.rows] == [row[:4] for row in check.rows]
    assert set(check.mean_differences) == {"layer0.w", "layer0.b", "layer1.w", "layer1.b"}


def test_parameters_without_a_model():
    w, b = Value(2.0, label="w"), Value(1.0)
    check = check_gradients(lambda: mg.tanh(w * 0.3 + b), parameters=[w, b])
    assert [row.name for row in check.rows] == ["w", "parameter[1]"]
    assert [row.name for row in check_gradients(lambda: w * b, parameters={"w": w}).rows] == ["w"]


def test_large_models_print_by_group_and_may_be_sampled():
    model = mg.MLP(5, [8, 8, 1], activation="tanh", seed=0)
    check = check_gradients(lambda model: model([0.1, 0.2, 0.3, 0.4, 0.5]) ** 2, model)
    lines = str(check).splitlines()
    assert lines[0].split() == ["group", "numbers", "mean", "difference", "largest"]
    assert [line.split()[:2] for line in lines[1:3]] == [["layer0.w", "40"], ["layer0.b", "8"]]
    sampled = check_gradients(lambda model: model([0.1, 0.2, 0.3, 0.4, 0.5]) ** 2, model, samples=3)
    assert len(sampled.rows) == 3 + 3 + 3 + 3 + 3 + 1


def test_a_wrong_parameter_is_named_in_a_model():
    model = mg.MLP(2, [2, 1], activation=wrong_softsign, seed=0)
    with pytest.raises(mg.GradientError, match=r"worst in layer0\.neuron\d\.w\d"):
        check_gradients(lambda model: model([1.0, -2.0]) ** 2, model)


def test_the_parameters_are_put_back_even_if_the_loss_fails():
    w, calls = Value(2.0), []

    def loss():
        calls.append(w.data)
        if len(calls) > 3:
            raise RuntimeError("enough")
        return w * w

    with pytest.raises(RuntimeError):
        check_gradients(loss, parameters=[w])
    assert w.data == 2.0


def test_what_a_derivative_means_for_the_price_of_apples():  # S-29
    given = example("S-29")

    def price(apple, number, tax):
        return apple * number * tax

    (apple, dearer), (number, more), (tax, higher) = (given["inputs"][key] for key in ("price", "num", "tax"))
    check = check_gradients(price, apple, number, tax)
    differences = [
        price(dearer, number, tax) - price(apple, number, tax),
        price(apple, more, tax) - price(apple, number, tax),
        price(apple, number, higher) - price(apple, number, tax),
    ]
    assert agrees([row.backprop for row in check.rows], differences, 1e-12)
    assert agrees([row.backprop for row in check.rows], [2.2, 110.0, 200.0], 1e-12)


def test_central_differences_with_the_texts_step():  # S-30
    given = example("S-30")
    for f, (_, x), numerical, exact in zip(
        (lambda x: x**3, lambda x: x**2),
        given["inputs"]["cases"],
        given["outputs"]["numerical"],
        given["outputs"]["exact"],
        strict=True,
    ):
        [row] = check_gradients(f, float(x), step=given["inputs"]["h"]).rows
        assert agrees(row.numerical, numerical, given["tol"])
        assert agrees(row.backprop, exact, given["tol"])
        assert row.verdict == "ok"


def two_layer_net(log):
    """784-50-10, sigmoid and softmax, on three made images: the loss and the model."""
    random = Random(0)
    model = mg.MLP(784, [50, 10], activation="sigmoid", seed=0, init=lambda random, n, m: random.gauss(0, 0.01))
    images = [[random.random() if random.random() < 0.2 else 0.0 for _ in range(784)] for _ in range(3)]
    labels = [random.randrange(10) for _ in images]

    def loss(model):
        shares = [mg.softmax(model(image))[label] for image, label in zip(images, labels, strict=True)]
        return mg.mean([-log(share) for share in shares])

    return loss, model


@pytest.mark.slow
def test_the_gradient_check_of_the_two_layer_net():  # S-21
    given = example("S-21")
    loss, model = two_layer_net(mg.log)
    exact = check_gradients(loss, model, step=1e-4, samples=2).mean_differences
    # The text's own numbers carry the 1e-7 that its loss has within the logarithm.
    biased_log = mg.Operation("log", lambda y: math.log(y + 1e-7), lambda y, out: (1 / y,))
    loss, model = two_layer_net(biased_log)
    biased = check_gradients(loss, model, step=1e-4, samples=2).mean_differences
    assert list(exact) == ["layer0.w", "layer0.b", "layer1.w", "layer1.b"]
    for group, name in zip(exact, ("W1", "b1", "W2", "b2"), strict=True):
        printed = given["outputs"]["text_printed"][name]
        assert exact[group] < printed / 50
        assert printed / 30 < biased[group] < 30 * printed
    assert biased["layer1.b"] == pytest.approx(given["outputs"]["measured_seed0"]["b2"], rel=0.3)


def test_a_nudge_at_a_neuron_is_what_backprop_says():  # N-07
    given = example("N-07")["outputs"]
    inputs = example("N-03")["inputs"]

    def cost(dz):
        a2 = [mg.sigmoid(mg.dot(w, inputs["x"], b)) for w, b in zip(inputs["w2"], inputs["b2"], strict=True)]
        a2[1] = mg.sigmoid(mg.dot(inputs["w2"][1], inputs["x"], inputs["b2"][1]) + dz)
        a3 = [mg.sigmoid(mg.dot(w, a2, b)) for w, b in zip(inputs["w3"], inputs["b3"], strict=True)]
        return losses.half_squared_error(a3, inputs["y"])

    [row] = check_gradients(cost, 0.0).rows
    assert agrees([row.backprop, row.numerical], [given["delta"]] * 2, 1e-11)


def test_a_check_is_a_table_that_says_whether_it_is_ok():
    check = check_gradients(lambda x: x * x, 3.0)
    assert isinstance(check, GradientCheck)
    assert repr(check) == str(check)
