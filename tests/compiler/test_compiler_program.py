"""Programs: what goes in, what comes out, and when it is traced again."""

import math
import pickle
import threading

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.compiler import Program, compile
from microgrannd.nn import MLP
from tests.heart.test_worked_examples import GRAPHS
from tests.oracles import agrees, example

BACKENDS = ["python", "numpy", "native"]
backends = pytest.mark.parametrize("backend", BACKENDS)


@backends
@pytest.mark.parametrize("name", GRAPHS)
def test_every_worked_example(name, backend):
    given = example(name)
    keys, upstream = list(given["inputs"]), given.get("upstream", 1.0)
    program = compile(lambda *xs: GRAPHS[name](**dict(zip(keys, xs, strict=True)))[""] * upstream, backend=backend)
    value, gradients = program.value_and_gradients(*given["inputs"].values())
    assert agrees(value, given["value"] * upstream, given["tol"])
    for key, gradient in zip(keys, gradients, strict=True):
        if key in given["grads"]:
            assert agrees(gradient, given["grads"][key], given["tol"]), key


@backends
def test_nests_go_in_and_come_out(backend):
    program = compile(lambda p: {"sum": p["a"] + p["b"][0], "pair": (p["a"], [p["b"][1]])}, backend=backend)
    assert program({"a": 1.0, "b": (2.0, 3.0)}) == {"sum": 3.0, "pair": (1.0, [3.0])}
    scalar = compile(lambda p: p["a"] * p["b"][0] + p["b"][1], backend=backend)
    assert scalar.value_and_gradients({"a": 2.0, "b": (3.0, 4.0)}) == (10.0, ({"a": 3.0, "b": (2.0, 1.0)},))


@backends
def test_another_structure_is_traced_anew_and_other_numbers_are_not(backend):
    traced = []

    def total(xs):
        traced.append(len(xs))
        return mg.sum(xs)

    program = compile(total, backend=backend)
    assert [program([1.0, 2.0]), program([3, 4]), program([1.0, 2.0, 3.0]), program([5.0, 6.0])] == [3, 7, 6, 11]
    assert traced == [2, 3]


@backends
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_arrays_have_the_samples_along_the_first_axis(backend, count):
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(count, 2)), generator.normal(size=count)
    program = compile(lambda x, y: (x[0] * x[1]).tanh() * y, backend=backend)
    value, (by_x, by_y) = program.value_and_gradients(X, y)
    tanh = np.tanh(X[:, 0] * X[:, 1])
    np.testing.assert_allclose(program(X, y), tanh * y, rtol=1e-13)
    np.testing.assert_allclose(value, tanh * y, rtol=1e-13)
    np.testing.assert_allclose(by_y, tanh, rtol=1e-13)
    np.testing.assert_allclose(by_x, (y * (1 - tanh**2))[:, None] * X[:, ::-1], rtol=1e-12, atol=1e-15)
    assert by_x.shape == (count, 2)


@backends
def test_a_number_beside_arrays_is_the_same_for_all_samples(backend):
    program = compile(lambda x, r: x * r, backend=backend)
    value, (by_x, by_r) = program.value_and_gradients(np.array([1.0, 2.0, 3.0]), 2)
    assert (value.tolist(), by_x.tolist(), by_r.tolist()) == ([2, 4, 6], [2, 2, 2], [1, 2, 3])


@backends
def test_integer_and_strided_arrays_and_columns(backend):
    program = compile(lambda x: x[0] - x[1], backend=backend)
    table = np.arange(24).reshape(6, 4)
    assert program(table[::2, 1::2]).tolist() == [-2, -2, -2]
    assert program(np.asfortranarray(table[:, :2])).tolist() == [-1] * 6
    value, ((first, second),) = program.value_and_gradients([table[:, 0], table[:, 1]])
    assert (value.tolist(), first.tolist(), second.tolist()) == ([-1] * 6, [1] * 6, [-1] * 6)


@backends
def test_an_array_of_the_traced_structure_is_one_sample(backend):
    model = MLP(2, [3, 2], seed=0)
    program = compile(model, backend=backend)
    wanted = [output.data for output in model([0.5, -1.0])]
    assert program([0.5, -1.0]) == pytest.approx(wanted)
    assert program(np.array([0.5, -1.0])) == pytest.approx(wanted)
    assert program(np.array([[0.5, -1.0]] * 3)).shape == (3, 2)


@backends
def test_wrong_shapes_say_what_is_wrong(backend):
    program = compile(lambda x, y: x * y, backend=backend)
    with pytest.raises(ValueError, match="one length, got 2 and 3"):
        program(np.zeros(2), np.zeros(3))
    with pytest.raises(TypeError, match="real number"):
        program("1", 2.0)
    with pytest.raises(TypeError, match="Arrays of numbers"):
        program(np.array(["a"]), np.array(["b"]))
    with pytest.raises(ValueError, match="of one length; got 2, 3"):
        program.backward([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least one sample"):
        program.backward([], [])
    with pytest.raises(ValueError, match="sample 1 is list of 2"):
        compile(lambda x: x[0]).backward([[1.0], [1.0, 2.0]])
    with pytest.raises(TypeError, match="Gradients are those of a single number"):
        compile(lambda x: [x, x], backend=backend).value_and_gradients(1.0)


@backends
def test_backward_adds_the_mean_gradient_to_every_parameter(backend):
    model = MLP(2, [3, 1], activation="tanh", seed=1)
    X, Y = [[0.5, -1.0], [2.0, 0.25], [-0.5, 0.75]], [1.0, -1.0, 0.5]

    def loss(x, y):
        return (model(x) - y) ** 2

    wanted = mg.mean([loss(x, y) for x, y in zip(X, Y, strict=True)])
    wanted.backward()
    gradients = [p.grad for p in model.parameters()]
    program = compile(loss, backend=backend)
    for batch in ((X, Y), (np.array(X), np.array(Y))):
        mg.zero_grad(model.parameters())
        assert program.backward(*batch) == pytest.approx(wanted.data, rel=1e-14)
        program.backward(*batch)
        assert [p.grad for p in model.parameters()] == pytest.approx([2 * g for g in gradients], rel=1e-12)


@backends
@pytest.mark.parametrize("special", [0.0, math.inf, -math.inf, math.nan])
def test_a_gradient_of_zero_stops_at_infinities_as_in_eager_mode(special, backend):
    def f(x, y):
        return mg.where(x > 0, x.sqrt(), 0) + mg.relu(x - 5) * y * x

    x, y = Value(special), Value(2.0)
    f(x, y).backward()
    value, gradients = compile(f, backend=backend).value_and_gradients(special, 2.0)
    np.testing.assert_equal([value, *gradients], [f(x, y).data, x.grad, y.grad])


@backends
@pytest.mark.parametrize("special", [0.0, math.inf, -math.inf, math.nan])
def test_a_program_traced_at_ordinary_numbers_is_eager_mode_at_special_ones(special, backend):
    w = Value(2.0)

    def f(x):
        return mg.where(x > 0, x.sqrt(), 0) + mg.relu(x - 5) * w * x

    x = Value(special)
    y = f(x)
    y.backward()
    wanted, w.grad = [y.data, x.grad, w.grad], 0.0
    program = compile(f, backend=backend)
    program.value_and_gradients(1.0)
    value, (slope,) = program.value_and_gradients(special)
    values, (slopes,) = program.value_and_gradients(np.full(3, special))
    mean = program.backward([special])
    np.testing.assert_equal(
        [[value, slope], [values[2], slopes[2]], [mean, w.grad]], [wanted[:2], wanted[:2], wanted[::2]]
    )


def test_guards_that_are_left_out_come_back_where_a_nan_shows():
    program = compile(lambda x, w: (x - x) * w * x, backend="python").trace(1.0, 1.0)
    assert "contribution" not in program.python_source
    x, w = Value(0.0), Value(math.inf)
    ((x - x) * w * x).backward()
    _, gradients = program.value_and_gradients(0.0, math.inf)
    np.testing.assert_equal(gradients, (x.grad, w.grad))


def loss_of_two(x, y):
    return (x - y) ** 2


def test_a_program_pickles():
    by_name = pickle.loads(pickle.dumps(compile(loss_of_two, backend="python")))
    assert by_name.value_and_gradients(3.0, 1.0) == (4.0, (4.0, -4.0))

    w = Value(2.0)
    local = compile(lambda x: w * x, backend="python").trace(1.0)
    again, w_again = pickle.loads(pickle.dumps((local, w)))
    w_again.data = 5.0
    assert again(3.0) == 15.0
    with pytest.raises(TypeError, match=r"takes \(a number\)"):
        again([1.0])

    model = MLP(2, [1], seed=0)
    program, model_again = pickle.loads(pickle.dumps((compile(model, backend="python").trace([1.0, 2.0]), model)))
    model_again.parameters()[0].data = 7.0
    assert program([1.0, 2.0]) == model_again([1.0, 2.0]).data


def test_threads_share_a_program():
    program = compile(lambda x: x.sin() * x, backend="python")
    results = {}

    def work(i):
        results[i] = [program(float(i)) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: [math.sin(i) * i] * 50 for i in range(6)}


def test_what_it_says_of_itself():
    program = compile(loss_of_two, backend="python")
    assert repr(program) == "Program(loss_of_two, not traced yet)"
    with pytest.raises(mg.MicrogranndError if hasattr(mg, "MicrogranndError") else TypeError, match="not been traced"):
        _ = program.python_source
    program.trace(1.0, 2.0)
    assert repr(program) == "Program(loss_of_two: 2 inputs, 0 parameters, 2 operations)"
    assert isinstance(program, Program)
    assert str(program.tape).startswith("inputs x, y\nv2 = x - y\n")


@pytest.mark.parametrize("backend", ["auto", "python", "native", "numpy"])
def test_a_hessian_has_second_derivatives_on_every_back_end(backend):
    program = compile(lambda x: mg.sin(x[0]) * x[1] ** 3, backend=backend)
    x, y = 0.7, 1.3
    mixed = 3 * math.cos(x) * y**2
    wanted = [[-math.sin(x) * y**3, mixed], [mixed, 6 * math.sin(x) * y]]
    np.testing.assert_allclose(program.hessian([x, y]), wanted, rtol=1e-12)
