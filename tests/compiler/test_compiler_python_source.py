"""The printed program: what a person would have derived, on the standard library alone."""

import math
import subprocess
import sys

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.compiler import compile
from microgrannd.ground import ieee
from microgrannd.operations import TABLE, FusedOperation, Operation, register
from tests.oracles import agrees, example


def iris_program():
    """The 2-2-1 network of Kneusel's chapter 10, with its names."""
    w = [Value(0.0, label=f"w{i}") for i in range(6)]
    b = [Value(0.0, label=f"b{i}") for i in range(3)]

    def named(label, value):
        value.label = label
        return value

    def loss(x, y):
        z0 = named("z0", w[0] * x[0] + w[2] * x[1] + b[0])
        a0 = named("a0", z0.sigmoid())
        z1 = named("z1", w[1] * x[0] + w[3] * x[1] + b[1])
        a1 = named("a1", z1.sigmoid())
        a2 = named("a2", w[4] * a0 + w[5] * a1 + b[2])
        return named("L", 0.5 * (a2 - y).square())

    return compile(loss, backend="python"), w, b


HAND_DERIVED = '''\
def loss(x0, x1, y, w0, w2, b0, w1, w3, b1, w4, w5, b2):
    """The value of loss and its derivatives by the parameters."""
    z0 = w0 * x0 + w2 * x1 + b0
    a0 = sigmoid(z0)
    z1 = w1 * x0 + w3 * x1 + b1
    a1 = sigmoid(z1)
    a2 = w4 * a0 + w5 * a1 + b2
    t1 = a2 - y
    L = 0.5 * (t1 * t1)

    # backward
    d_a2 = 0.5 * (2 * t1)
    d_b2 = d_a2
    d_w5 = d_a2 * a1
    d_a1 = d_a2 * w5
    d_z1 = d_a1 * (a1 * (1 - a1))
    d_b1 = d_z1
    d_w3 = d_z1 * x1
    d_w1 = d_z1 * x0
    d_w4 = d_a2 * a0
    d_a0 = d_a2 * w4
    d_z0 = d_a0 * (a0 * (1 - a0))
    d_b0 = d_z0
    d_w2 = d_z0 * x1
    d_w0 = d_z0 * x0

    return L, (d_w0, d_w2, d_b0, d_w1, d_w3, d_b1, d_w4, d_w5, d_b2)
'''


def test_the_iris_loss_reads_like_the_hand_derived_program():  # K-03
    program, _, _ = iris_program()
    source = program.trace([1.0, 2.0], 1.0).python_source
    assert source.endswith(HAND_DERIVED)
    assert source.startswith("import math\n")


def test_the_nine_partial_derivatives():  # K-03
    given = example("K-03")
    program, w, b = iris_program()
    for i in range(6):
        w[i].data = given["inputs"][f"w{i}"]
    for i in range(3):
        b[i].data = given["inputs"][f"b{i}"]
    loss = program.backward([[given["inputs"]["x0"], given["inputs"]["x1"]]], [given["inputs"]["y"]])
    assert agrees(loss, given["value"], given["tol"])
    for name in [*(f"w{i}" for i in range(6)), *(f"b{i}" for i in range(3))]:
        value = w[int(name[1])] if name[0] == "w" else b[int(name[1])]
        assert agrees(value.grad, given["grads"][name], given["tol"]), name


def test_it_runs_without_the_package():
    program, _, _ = iris_program()
    source = program.trace([1.0, 2.0], 1.0).python_source
    numbers = [0.1 * i for i in range(12)]
    here: dict = {}
    exec(source, here)
    script = f"{source}\nimport sys\nassert 'microgrannd' not in sys.modules\nprint(loss(*{numbers!r}))"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == repr(here["loss"](*numbers))


def source_of(function, *arguments):
    return compile(function, backend="python").trace(*arguments).python_source


def test_brackets_keep_the_order_of_floating_point():
    source = source_of(lambda x, y, z: [x + (y + z), (x + y) + z, x * (y / 3), -(x * y), x - (y - z)], 1.0, 1.0, 1.0)
    assert "return (x + (y + z), x + y + z, x * (y / 3), -(x * y), x - (y - z))" in source


def test_a_divisor_that_may_be_zero_has_its_own_division():
    source = source_of(lambda x, y: [x / y + x / 4], 1.0, 1.0)
    assert "return div(x, y) + x / 4" in source
    assert "copysign" in source


def test_an_accumulated_gradient_says_so():
    source = source_of(lambda x, y: x * y + mg.sin(x) * x, 1.0, 1.0)
    assert "# x is used 3 times: the contributions add up" in source


def test_a_guard_stands_only_where_an_infinity_can_arise():
    assert "contribution" not in source_of(lambda x, y: (x * y).tanh(), 1.0, 1.0)
    assert "contribution(" in source_of(lambda x, y: (x.sqrt() * y).relu(), 1.0, 1.0)


def test_names_that_are_taken_are_avoided():
    source = source_of(lambda lambda_, exp, x: exp * x.exp() + lambda_, 1.0, 2.0, 3.0)
    program = compile(lambda lambda_, exp, x: exp * x.exp() + lambda_, backend="python")
    assert "def program(lambda_, exp_, x):" in source
    assert program(1.0, 2.0, 0.0) == 3.0


def test_two_parameters_of_one_label_have_two_names():
    a, b = Value(2.0, label="w"), Value(3.0, label="w")
    program = compile(lambda x: a * x + b, backend="python")
    assert program(4.0) == 11.0
    assert "def program(x, w, w_):" in program.python_source


def test_long_lines_are_broken_inside_brackets():
    ws = [Value(0.5, label=f"a_rather_long_name_{i}") for i in range(12)]
    source = source_of(lambda x: mg.sum([w * x for w in ws]) + mg.dot(ws, ws, x), 1.0)
    assert max(map(len, source.splitlines())) <= 104
    compile_ok = {}
    exec(source, compile_ok)
    assert compile_ok["program"](1.0, *[0.5] * 12)[0] == 6.0 + 3.0 + 1.0


def test_an_operation_of_the_users_own_takes_part():
    cube = Operation("cube", lambda x: x * x * x, lambda x, out: (3 * x * x,))
    program = compile(lambda x: cube(x) + 1, backend="python")
    assert program.value_and_gradients(2.0) == (9.0, (12.0,))
    assert "# cube is an operation of your own" in program.python_source


ROWS = {
    "cubed": Operation("cubed", lambda x: x * x * x, lambda x, out: (3 * x * x,)),
    "lgamma_of": Operation("lgamma_of", math.lgamma, lambda x, out: (0.0,)),
    "rectified": Operation("rectified", ieee.relu, lambda x, out: (mg.greater(x, 0.0),)),
    "print": Operation("print", lambda x: -x, lambda x, out: (-1.0,)),
    "inf": Operation("inf", lambda x: 2 * x, lambda x, out: (2.0,)),
    "spread": FusedOperation("spread", lambda xs: max(xs) - min(xs), lambda xs, out: (0.0,) * len(xs)),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_python_has_nowhere_is_given_to_the_function(name):
    row = register(ROWS[name])
    try:
        fused = isinstance(row, FusedOperation)
        function = lambda x, y: (row([x, y, 2.0]) if fused else row(x)) * y + math.inf * mg.sign(y * y)  # noqa: E731
        program = compile(function, backend="python")
        assert program(1.5, -0.5) == function(Value(1.5), Value(-0.5)).data
        assert "is an operation of your own" in program.python_source
    finally:
        del TABLE[name]


def test_a_row_of_the_math_module_is_imported():
    row = register(Operation("degrees", math.degrees, lambda x, out: (0.0,)))
    try:
        program = compile(lambda x: row(x) * 2.0, backend="python")
        assert program(2.5) == math.degrees(2.5) * 2.0
        assert "from math import degrees" in program.python_source
    finally:
        del TABLE["degrees"]


@pytest.mark.parametrize("name", ["softplus", "maximum", "sin", "class", "my loss", "inf", "div", 'a"""b', "x\n1/0"])
def test_a_function_named_like_what_it_uses_or_like_nothing_in_python(name):
    x = Value(0.5, label="x")
    y = mg.sin(mg.maximum(mg.softplus(x), 0.0)) / x
    y.label = name
    assert compile(graph=y, inputs=[x], backend="python")(0.5) == y.data


def test_text_in_a_label_is_not_run():
    evil = "x\n    raise SystemExit\n    #"
    w = Value(0.5, label=evil)
    program = compile(lambda row: mg.sin(w * row[evil]) * w + w * w * row[evil], backend="python")
    program.backward([{evil: 0.7}])
    assert r"# x\n    raise SystemExit\n    # is used" in program.python_source


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, -0.0, 1e-300, -2.5])
def test_constants_of_every_kind_are_written(number):
    program = compile(lambda x: mg.maximum(x, number) * x, backend="python")
    x = Value(3.0)
    wanted = mg.maximum(x, number) * x
    assert repr(program(3.0)) == repr(wanted.data)
