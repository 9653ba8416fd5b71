"""From scalars to matrices: the found array program against the scalar tape, and what it looks like."""

import itertools
import random

import numpy as np
import pytest

from microgrannd import Value
from microgrannd import operations as mg
from microgrannd.compiler import compile
from microgrannd.compiler.arrays.kernel import ArrayKernel
from microgrannd.compiler.llvm.machine import available as native_available
from microgrannd.compiler.matrix.recognition import equations
from microgrannd.compiler.tape.trace import differentiate, trace
from microgrannd.losses import half_squared_error, mean_squared_error, softmax_cross_entropy
from microgrannd.nn import MLP
from microgrannd.printing import arrays
from microgrannd.printing.printer import Expression

SAMPLES = 5


def values(count, seed=0):
    generator = random.Random(seed)
    return [Value(generator.uniform(-1, 1)) for _ in range(count)]


def arrays_and_scalars(function, arguments, backend="numpy"):
    """For gradients by the parameters, by the inputs and none: the kernel's numbers and the scalar tape's."""
    found = trace(function, arguments)
    inputs = len(found.tape.inputs)
    samples = np.random.default_rng(0).normal(size=(SAMPLES, inputs))
    parameters = list(found.numbers[inputs:])
    for leaves in (range(inputs, found.tape.leaves), range(inputs), ()):
        tape = differentiate(found.tape, found.numbers, leaves) if leaves else found.tape
        kernel = ArrayKernel(found, leaves, backend=backend)
        want = np.array([tape.run(list(sample), parameters) for sample in samples])
        found_each = np.empty((want.shape[1], SAMPLES))
        kernel.each(list(samples.T), parameters, SAMPLES, list(found_each))
        yield found_each.T, want
        yield np.array(kernel.total(list(samples.T), parameters, SAMPLES)), want.sum(axis=0)
        yield np.array(kernel.one(list(samples[0]), parameters)), want[0]


def check(function, arguments, backend="", tolerance=1e-12):
    """Arrays against scalars; on NumPy and in native code unless another backend is named."""
    for name in [backend] if backend else ["numpy", *["native"] * native_available()]:
        cases = arrays_and_scalars(function, arguments, name)
        for got, want in cases if name == "numpy" else itertools.islice(cases, 2):
            scale = max(1.0, np.abs(want).max())
            assert got.shape == want.shape
            assert np.abs(got - want).max() <= tolerance * scale


def test_constants_are_added_together_only_where_that_is_exact():
    high, low = 0.1, 1e-18
    for function in (lambda x: (x - high) - low, lambda x: mg.sum([x - high, -low]), lambda x: -low + (x - high)):
        program = compile(function, backend="numpy")
        assert program(high) == -low
    assert "x - 0.75" in source(lambda x: (x - 0.5) - 0.25, [1.0])


def source(function, arguments):
    """The code of the value and its gradients by the parameters."""
    found = trace(function, arguments)
    kernel = ArrayKernel(found, range(len(found.tape.inputs), found.tape.leaves))
    return kernel.matrix_function(over_batch=True).source.code


def lines(function, arguments):
    """How many array assignments that code has."""
    return sum(" = " in line for line in source(function, arguments).splitlines())


# ---- networks


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", "gelu", "softplus", "silu", "elu", "leaky_relu"])
@pytest.mark.parametrize("expand", [False, True])
def test_networks_of_any_shape_agree_with_the_scalar_tape(activation, expand):
    generator = random.Random(activation)
    for _ in range(4):
        inputs, sizes = generator.randint(1, 5), [generator.randint(1, 5) for _ in range(generator.randint(1, 4))]
        model = MLP(inputs, sizes, activation, generator.choice(["linear", activation]), seed=1, expand=expand)
        target = [1.0] + [0.0] * (sizes[-1] - 1)
        losses = [half_squared_error, mean_squared_error] + [softmax_cross_entropy] * (sizes[-1] > 1)
        for loss in losses:
            check(lambda x, y, model=model, loss=loss: loss(model(x), y), ([0.3] * inputs, target))


def test_a_network_that_is_not_a_network_of_the_package():
    first, second, biases = values(6), values(3, 1), values(4, 2)

    def loss(x, y):
        hidden = [mg.tanh(x[0] * first[2 * j] + (biases[j] + first[2 * j + 1] * x[1])) for j in range(3)]
        score = biases[3] - (-(hidden[2] * second[2]) - hidden[1] * second[1]) + second[0] * hidden[0]
        return (mg.sigmoid(score) - y) ** 2

    check(loss, ([0.5, -0.5], 1.0))
    assert "@ W1.T + b1" in str(
        ArrayKernel(trace(loss, ([0.5, -0.5], 1.0)), range(3, 16)).matrix_function(over_batch=True).source
    )


@pytest.mark.parametrize("expand", [False, True])
def test_the_four_equations_are_found(expand):
    model = MLP(2, [3, 2], "sigmoid", "sigmoid", seed=0, expand=expand)

    def loss(x, y):
        return half_squared_error(model(x), y)

    found = trace(loss, ([0.5, 0.5], [1.0, 0.0]))
    code = ArrayKernel(found, range(4, 21)).matrix_function(over_batch=True).source.code
    assert [line.split("  #")[0].strip() for line in code.splitlines() if line.strip()[:1] != "#"] == [
        "def loss(xp, p, x, y):",
        '"""loss of p (17,), x (n, 2), y (n, 2)."""',
        "W1 = p[:6].reshape(3, 2)",
        "b1 = p[6:9]",
        "W2 = p[9:15].reshape(2, 3)",
        "b2 = p[15:]",
        "",
        "z1 = x @ W1.T + b1",
        "a1 = 1 / (1 + xp.exp(-z1))",
        "z2 = a1 @ W2.T + b2",
        "a2 = 1 / (1 + xp.exp(-z2))",
        "v1 = a2 - y",
        "value = 0.5 * xp.sum(v1 * v1, 1, keepdims=True)",
        "",
        "d_z2 = v1 * a2 * (1 - a2)",
        "d_b2 = xp.sum(d_z2, 0)",
        "d_W2 = d_z2.T @ a1",
        "d_z1 = (d_z2 @ W2) * a1 * (1 - a1)",
        "d_b1 = xp.sum(d_z1, 0)",
        "d_W1 = d_z1.T @ x",
        "",
        "return xp.sum(value, 0), d_W1, d_b1, d_W2, d_b2",
    ]
    assert "four equations" in code


def test_shapes_tell_which_scalars_became_which_array():
    model = MLP(2, [3, 2], "sigmoid", "sigmoid", seed=0)
    found = trace(lambda x, y: half_squared_error(model(x), y), ([0.5, 0.5], [1.0, 0.0]))
    shapes = ArrayKernel(found, range(4, 21)).matrix_function(over_batch=True).source.shapes
    assert shapes["W1"] == "(3, 2): layer0.neuron0.w0 ... layer0.neuron2.w1"
    assert shapes["z1"] == "(n, 3): layer0.neuron0.dot ... layer0.neuron2.dot"
    assert shapes["d_z2"] == "(n, 2): d_layer1.neuron0.dot ... d_layer1.neuron1.dot"


def test_the_number_of_lines_does_not_grow_with_the_width():
    def size(width):
        model = MLP(width, [width, width], "tanh", "tanh", seed=0)
        return lines(lambda x, y: half_squared_error(model(x), y), ([0.5] * width, [0.0] * width))

    assert size(3) == size(12)


# ---- what is no network


def test_polynomials():
    w = values(6)
    check(lambda x: sum((w[i] * x**i for i in range(5)), 0.0), (0.5,))
    check(lambda x, y: (x * w[0] + y * w[1]) * (x - y) * x * y - w[2] * x * x * x, (0.5, 0.25))
    check(lambda x: mg.sum([w[i] * w[j] * x[i] * x[j] for i in range(4) for j in range(4)]), ([0.5] * 4,))


def test_recurrences():
    w = values(6)

    def recurrent(xs):
        h = [0.0, 0.0]
        for x in xs:
            h = [mg.tanh(w[0] * x + w[1] * h[0] + w[2] * h[1]), mg.tanh(w[3] * x + w[4] * h[0] + w[5] * h[1])]
        return h[0] * h[1]

    def logistic(x):
        for _ in range(8):
            x = w[0] * x * (1 - x)
        return x

    check(recurrent, ([0.1] * 4,))
    check(logistic, (0.3,))


def test_ragged_sums():
    w = values(6)
    check(lambda x: mg.sum([mg.exp(mg.sum([x[i] * w[i] for i in range(j + 1)])) for j in range(6)]), ([0.1] * 6,))
    check(lambda x: mg.sum([mg.sin(mg.sum([x[i] * w[j] for i in range(j + 1)])) for j in range(6)]), ([0.1] * 6,))


def test_shared_weights():
    w = values(3)
    check(lambda x: mg.sum([mg.tanh(mg.dot(w, x[i : i + 3])) for i in range(4)]), ([0.1] * 6,))
    check(lambda x: mg.dot(w, [mg.tanh(mg.dot(w, x[i : i + 3])) for i in range(3)]), ([0.1] * 5,))


def test_one_output_that_is_two_gradients_and_outputs_that_are_leaves_or_numbers():
    w = values(4)
    check(lambda x: x[0] * (w[0] + w[1]) + w[2] + 3, ([0.5],))
    check(lambda x: w[0] + w[1] * 2, ([0.5],))
    check(lambda x: mg.exp(w[0] * x), (0.5,))
    check(lambda x: mg.exp(x), (0.5,))
    check(lambda x: x * 0.0 + 1.0, (0.5,))


def test_operations_with_constants_that_differ():
    w = values(4)
    scale = [0.5, -2.0, 3.25, 1e-3]
    check(lambda x: mg.sum([mg.maximum(x[i], scale[i]) * w[i] for i in range(4)]), ([0.5] * 4,))
    check(lambda x: mg.sum([mg.square((x[i] - scale[i]) / (i + 2)) * w[i] for i in range(4)]), ([0.5] * 4,))
    check(lambda x: mg.dot(x, scale) * w[0] + mg.mean(x), ([0.5] * 4,))
    check(lambda x: mg.logsumexp([x[0], 2.0, w[0]]), ([0.5],))
    check(lambda x: mg.logsumexp([x[0], x[0], x[1]]) * mg.logsumexp([x[1], x[1]]), ([0.5, 0.25],))


@pytest.mark.slow
def test_all_operations_of_the_table():
    for name, operation in mg.TABLE.items():
        if isinstance(operation, mg.FusedOperation):
            continue
        count = operation.local_gradients.__code__.co_argcount - 1
        w = values(count, seed=3)

        def function(x, w=w, operation=operation, count=count):
            inputs = [0.5 + 0.2 * mg.tanh(w[i] * x[i]) for i in range(count)]
            if operation in (mg.acosh, mg.polygamma):  # whose first number is from 1 on, and whole
                inputs[0] = 1 + inputs[0] if count == 1 else 1.0
            return operation(*inputs)

        check(function, ([0.1] * count,)), name


def convolution(side, kernel, maps):
    weights, biases = [values(kernel * kernel, q) for q in range(maps)], values(maps, 9)
    places = side - kernel + 1
    last = values(maps * places * places, 8)

    def model(x):
        corners = [(r, c) for r in range(places) for c in range(places)]
        patches = [[x[r + i][c + j] for i in range(kernel) for j in range(kernel)] for r, c in corners]
        return mg.dot([mg.tanh(mg.dot(p, w, b)) for w, b in zip(weights, biases, strict=True) for p in patches], last)

    return model, ([[0.1] * side] * side,)


def attention(steps, width, causal=False):
    queries, keys, outputs = [[values(width, 7 * k + i) for i in range(width)] for k in range(3)]

    def head(x):
        q, k, v = [[[mg.dot(row, step) for row in w] for step in x] for w in (queries, keys, outputs)]
        found = []
        for i in range(steps):
            seen = i + 1 if causal else steps
            shares = mg.softmax([mg.dot(q[i], k[j]) / width**0.5 for j in range(seen)])
            found += [mg.dot(shares, [v[j][h] for j in range(seen)]) for h in range(width)]
        return mg.sum([x * x for x in found])

    return head, ([[0.1] * width] * steps,)


def test_a_convolution_written_in_scalars_rolls_into_few_lines():
    check(*convolution(5, 3, 2))
    assert lines(*convolution(5, 3, 2)) == lines(*convolution(8, 3, 4)) == 11


def test_an_attention_head_written_in_scalars_rolls_into_few_lines():
    check(*attention(3, 2))
    check(*attention(3, 2, causal=True))
    assert {lines(*attention(4, 3)), lines(*attention(6, 4)), lines(*attention(9, 6))} <= {16, 17}
    code = source(*attention(6, 4))
    assert "z1.reshape(-1, 6, 12)[:, :, :4] @ xp.swapaxes(z1.reshape(-1, 6, 12)[:, :, 4:8], 1, 2)" in code  # Q Kᵀ


def test_two_convolutions_whose_borders_are_ragged():
    first, second = values(9), values(9, 1)

    def model(x):
        for kernel in (first, second):
            side = len(x) - 2
            x = [
                [
                    mg.tanh(sum((kernel[3 * i + j] * x[r + i][c + j] for i in range(3) for j in range(3)), 0.0))
                    for c in range(side)
                ]
                for r in range(side)
            ]
        return mg.sum([number for row in x for number in row])

    check(model, ([[0.1] * 6] * 6,))


# ---- other libraries


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_code_runs_on_other_libraries(backend):
    pytest.importorskip(backend)
    model = MLP(3, [4, 2], "sigmoid", "sigmoid", seed=0)
    check(lambda x, y: half_squared_error(model(x), y), ([0.5] * 3, [1.0, 0.0]), backend)
    model = MLP(3, [4, 3], "relu", seed=0)
    check(lambda x, y: softmax_cross_entropy(model(x), y), ([0.5] * 3, [1.0, 0.0, 0.0]), backend)
    check(*attention(3, 2), backend)
    check(*convolution(4, 3, 2), backend)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_32_bits_where_they_are_asked_for(backend):
    pytest.importorskip(backend)
    found = trace(lambda x: x * x, (0.5,))
    [square] = ArrayKernel(found, (), backend=backend, float32=True).one([1 / 3], [])
    assert square == pytest.approx(1 / 9, rel=1e-6)
    assert square != 1 / 3 * (1 / 3)


def test_a_batch_larger_than_a_chunk_is_the_sum_of_its_chunks(monkeypatch):
    model = MLP(3, [4, 2], "sigmoid", "sigmoid", seed=0)
    found = trace(lambda x, y: half_squared_error(model(x), y), ([0.5] * 3, [1.0, 0.0]))
    columns = list(np.random.default_rng(0).normal(size=(5, 100)))
    parameters = found.numbers[5:]
    whole = ArrayKernel(found, range(5, found.tape.leaves)).total(columns, parameters, 100)
    monkeypatch.setattr("microgrannd.compiler.arrays.kernel.CHUNK", 200)
    parts = ArrayKernel(found, range(5, found.tape.leaves)).total(columns, parameters, 100)
    assert parts == pytest.approx(whole, rel=1e-12)


def test_a_grid_whose_scalars_stand_in_another_order():
    w = [values(3, i) for i in range(4)]
    turns = [range(3) if i % 2 == 0 else range(2, -1, -1) for i in range(4)]
    check(
        lambda x: mg.sum([mg.tanh(mg.dot([w[i][j] for j in turns[i]], [x[j] for j in turns[i]])) for i in range(4)]),
        ([0.1] * 3,),
    )


def test_what_is_taken_off_stands_in_brackets():
    w = values(4)

    def function(x, y):
        both = x[0] + y
        return mg.sum([mg.exp(w[i] - both) for i in range(4)])

    check(function, ([0.1] * 4, 0.5))
    assert "- (x[:, :1] + y)" in source(function, ([0.1] * 4, 0.5))


def test_squares_and_their_slopes_are_written_without_powers():
    [w] = values(1)
    code = source(lambda x, y: (w * x - y) ** 2, (0.5, 0.2))
    assert "v1 * v1" in code
    assert "power" not in code


def test_the_four_equations_are_named_only_where_every_line_of_them_is_there():
    x, y = Expression("x"), Expression("y")

    def line(k, source, delta):
        w, b, d = Expression(f"W{k}"), Expression(f"b{k}"), Expression(f"d_z{k}")
        return {
            f"z{k}": arrays.total([(1.0, arrays.matrix_product(source, arrays.transposed(w)))], b),
            f"d_z{k}": delta,
            f"d_W{k}": arrays.matrix_product(arrays.transposed(d), source),
            f"d_b{k}": arrays.summed(d, 0),
        }

    a1, behind = Expression("a1"), arrays.matrix_product(Expression("d_z2"), Expression("W2"))
    lines = line(1, x, arrays.product([behind, a1])) | line(2, a1, arrays.product([y, a1]))
    assert len(equations(lines)) == 3
    for name in lines:
        assert equations({other: found for other, found in lines.items() if other != name}) == []
    assert equations(lines | {"d_b1": arrays.summed(Expression("d_z1"), 1)}) == []
    assert equations(lines | {"d_z1": arrays.product([a1, behind])}) == []
