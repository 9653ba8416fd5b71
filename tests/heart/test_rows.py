"""One row is all that a new operation needs: twenty are added at run time, and each is found everywhere.

Nothing but `register` is called for them. Where one of these tests wants more than the row for a new operation, it is
the code under test that is to change.
"""

import ctypes
import math
import pickle
import shutil
import subprocess
from itertools import pairwise

import pytest

import microgrannd as mg
from microgrannd import Value, operations
from microgrannd.calculus import jvp
from microgrannd.calculus.passes import gradients
from microgrannd.expressions import evaluate
from microgrannd.ground import ieee
from microgrannd.nn import ACTIVATIONS, MLP
from microgrannd.operations import TABLE, FusedOperation, Operation, register
from tests import oracles
from tests.heart.test_table import check
from tests.libraries import needs


def logaddexp(x, y):
    return max(x, y) + math.log1p(math.exp(-abs(x - y)))


# A row, and inputs at which it is smooth. A fused one takes them as its vectors, of equal length.
ROWS = {
    # one input, with a form
    "softsign": (
        Operation("softsign", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)) ** 2,),
                  "the soft sign: x / (1 + abs(x))", form=lambda x: x / (1 + mg.abs(x)), finite=True, awkward=[0.0]),
        [0.75],
    ),
    "logistic": (
        Operation("logistic", ieee.sigmoid, lambda x, out: (out * (1 - out),), form=lambda x: mg.sigmoid(x)),
        [-0.5],
    ),
    "mish": (
        Operation("mish", lambda x: x * math.tanh(ieee.softplus(x)),
                  lambda x, out: (mg.tanh(mg.softplus(x)) + x * (1 - mg.tanh(mg.softplus(x)) ** 2) * mg.sigmoid(x),),
                  "x times tanh of softplus", form=lambda x: x * mg.tanh(mg.softplus(x))),
        [0.625],
    ),
    "sech": (
        Operation("sech", lambda x: 1 / math.cosh(x), lambda x, out: (-out * mg.tanh(x),),
                  form=lambda x: 1 / mg.cosh(x)),
        [0.5],
    ),
    "degrees": (
        Operation("degrees", math.degrees, lambda x, out: (180 / math.pi,), "an angle in degrees",
                  form=lambda x: x * (180 / math.pi), numpy="degrees"),
        [0.25],
    ),
    "hard_tanh": (
        Operation("hard_tanh", lambda x: ieee.clamp(x, -1.0, 1.0), lambda x, out: (mg.abs(x) < 1,),
                  form=lambda x: mg.clamp(x, -1.0, 1.0), routes=True, finite=True, awkward=[1.0]),
        [0.5],
    ),
    "ramp": (  # its symbol is no name
        Operation("/⁻", ieee.relu, lambda x, out: (mg.greater(x, 0.0),), "a ramp", form=mg.relu.form, routes=True),
        [1.5],
    ),
    # one input, without
    "cube": (Operation("cube", lambda x: x * x * x, lambda x, out: (3 * x * x,), "the cube: x * x * x"), [0.75]),
    "size": (Operation("size", math.fabs, lambda x, out: (mg.sign(x),), numpy="fabs", awkward=[0.0]), [-0.75]),
    "versine": (Operation("versine", lambda x: 1 - math.cos(x), lambda x, out: (mg.sin(x),)), [0.75]),
    # several inputs
    "log_add_exp": (
        Operation("log_add_exp", logaddexp, lambda x, y, out: (mg.exp(x - out), mg.exp(y - out)),
                  numpy="logaddexp", form=lambda x, y: mg.logsumexp([x, y])),
        [0.5, -0.25],
    ),
    "gated": (
        Operation("gated", lambda x, y: x * ieee.sigmoid(y),
                  lambda x, y, out: (mg.sigmoid(y), out * mg.sigmoid(-y)), form=lambda x, y: x * mg.sigmoid(y)),
        [0.5, -0.75],
    ),
    "hinge": (
        Operation("hinge", lambda x, y: max(1 - x * y, 0.0),
                  lambda x, y, out: (mg.where(x * y < 1, -y, 0.0), mg.where(x * y < 1, -x, 0.0)),
                  form=lambda x, y: mg.maximum(1 - x * y, 0.0), routes=True),
        [0.5, 0.75],
    ),
    "signed": (
        Operation("signed", math.copysign, lambda x, y, out: (mg.sign(x) * mg.sign(y), 0), routes=True), [0.5, -0.75]),
    # with defaults
    "selu": (
        Operation("selu", lambda x, alpha, scale: scale * (x if x > 0 else alpha * math.expm1(x)),
                  lambda x, alpha, scale, out: (
                      scale * mg.where(x > 0, 1.0, alpha * mg.exp(x)),
                      scale * mg.expm1(mg.minimum(x, 0.0)),
                      out / scale,
                  ),
                  "elu, scaled", form=lambda x, alpha, scale: scale * mg.elu(x, alpha), defaults=(None, 1.67, 1.05)),
        [-0.5],
    ),
    "threshold": (
        Operation("threshold", lambda x, level: x if x > level else 0.0,
                  lambda x, level, out: (mg.greater(x, level), 0),
                  form=lambda x, level: mg.where(x > level, x, 0.0), defaults=(None, 0.5), routes=True),
        [0.75],
    ),
    # whole vectors, with a form and without
    "length": (
        FusedOperation("length", lambda xs: math.sqrt(sum(x * x for x in xs)),
                       lambda xs, out: tuple(x / out for x in xs),
                       "the length of a vector", form=lambda xs: mg.sqrt(mg.sum([x * x for x in xs]))),
        [[0.5, -0.75, 1.0]],
    ),
    "weighted": (
        FusedOperation("weighted", lambda ws, xs: sum(w * x * x for w, x in zip(ws, xs, strict=True)),
                       lambda ws, xs, out: (*[x * x for x in xs], *[2 * w * x for w, x in zip(ws, xs, strict=True)]),
                       form=lambda ws, xs: mg.dot(ws, [x * x for x in xs]), vectors=2),
        [[0.5, 0.25], [1.5, -0.75]],
    ),
    "product": (
        FusedOperation("product", math.prod, lambda xs, out: tuple(out / x for x in xs), "the product"),
        [[0.5, -0.75, 1.5]],
    ),
    "steps": (
        FusedOperation("steps", lambda xs: sum((y - x) ** 2 for x, y in pairwise(xs)),
                       lambda xs, out: tuple(
                           (2 * (x - before) if i else 0) + (2 * (x - after) if i + 1 < len(xs) else 0)
                           for i, (before, x, after) in enumerate(zip([0, *xs], xs, [*xs[1:], 0], strict=False))
                       )),
        [[0.5, -0.75, 1.5]],
    ),
}  # fmt: skip

rows = pytest.mark.parametrize("name", ROWS)


@pytest.fixture(autouse=True)
def added():
    assert len(ROWS) == 20
    for name, (operation, _) in ROWS.items():
        register(operation, name)
    yield
    for name in ROWS:
        del TABLE[name]


def row_of(name):
    """The row as it is found in the package, its inputs flat, and a function of them."""
    operation, given = getattr(mg, name), ROWS[name][1]
    if not operation.vectors:
        return operation, given, lambda xs: operation(*xs)
    flat, size = [x for vector in given for x in vector], len(given[0])
    return operation, flat, lambda xs: operation(*[xs[i : i + size] for i in range(0, len(xs), size)])


def differences(function, xs):
    """The derivatives by central differences."""
    h = 1e-5
    shifted = [[x + s * (i == j) for j, x in enumerate(xs)] for i in range(len(xs)) for s in (h, -h)]
    found = [function(ys) for ys in shifted]
    return [(right - left) / (2 * h) for right, left in zip(found[::2], found[1::2], strict=True)]


@rows
def test_it_is_a_function_of_the_package_and_a_method(name):
    operation, xs, function = row_of(name)
    assert operation is ROWS[name][0]
    assert operation is TABLE[name] is getattr(operations, name)
    assert name in dir(mg)
    assert pickle.loads(pickle.dumps(operation)) is operation
    wanted = function(xs)
    values = list(map(Value, xs))
    assert type(wanted) is float
    assert function(values).data == wanted
    assert function(values).op is operation
    if not operation.vectors:
        for method in {name, operation.numpy or name}:
            assert getattr(values[0], method)(*values[1:]).data == wanted
        assert ("linear" in ACTIVATIONS, name in ACTIVATIONS) == (True, len(xs) == 1)
    text = f"{name}({', '.join(map(str, xs))})"
    if not operation.vectors and not operation.defaults:
        assert evaluate(text) == wanted


@rows
def test_its_derivatives_are_those_of_central_differences(name):
    _, xs, function = row_of(name)
    values = list(map(Value, xs))
    y = function(values)
    y.backward()
    expected = differences(function, xs)
    assert [value.grad for value in values] == pytest.approx(expected, abs=1e-8)
    first = gradients(y, values)
    assert [g.data for g in first] == pytest.approx(expected, abs=1e-8)

    def slope(xs, i):
        inner = list(map(Value, xs))
        function(inner).backward()
        return inner[i].grad

    for i, g in enumerate(first):
        second = [h.data for h in gradients(g, values)]
        assert second == pytest.approx(differences(lambda xs, i=i: slope(xs, i), xs), abs=1e-7)
    assert jvp(function)(xs, [1.0] * len(xs)) == pytest.approx(sum(expected), abs=1e-7)


@rows
def test_one_that_says_what_it_is_is_held_against_that(name):
    operation, xs, _ = row_of(name)
    if ": " in operation.about:
        assert check(name, xs, digits=50)
    else:
        assert oracles.closed_form(name) is None


def runs(operation, backend):
    """Whether the back end can run the row: it has a form, or Python calls it, or the library has it."""
    by_name = operation.numpy and backend in ("jax", "torch") and hasattr(library_of(backend), operation.numpy)
    return bool(operation.form or by_name) or backend in ("auto", "python", "numpy")


def library_of(backend):
    if backend == "torch":
        import torch

        return torch
    import jax

    return jax.numpy


@pytest.mark.parametrize("backend", ["auto", "python", "native", "numpy", "jax", "torch"])
@rows
def test_every_back_end_runs_it_or_names_it(name, backend):
    if backend not in ("auto", "python"):
        needs(backend)
    np = pytest.importorskip("numpy")
    operation, xs, function = row_of(name)
    w = Value(1.25)
    program = mg.compile(lambda xs: w * function(xs) + 1, backend=backend)
    if not runs(operation, backend):
        with pytest.raises(TypeError, match=f"not your own: {name}"):
            program(xs)
        return
    values = list(map(Value, xs))
    y = w * function(values) + 1
    y.backward()
    slopes = [x.grad for x in values]
    assert program(xs) == pytest.approx(y.data, rel=1e-14)
    value, (by_xs,) = program.value_and_gradients(xs)
    assert (value, *by_xs) == pytest.approx((y.data, *slopes), rel=1e-13)
    batch = np.array([xs] * 3)
    assert program(batch) == pytest.approx([y.data] * 3, rel=1e-14)
    values, (by_batch,) = program.value_and_gradients(batch)
    assert by_batch == pytest.approx(np.array([slopes] * 3), rel=1e-13)
    before, w.grad = w.grad, 0.0
    assert program.backward(batch) == pytest.approx(y.data, rel=1e-14)
    assert w.grad == pytest.approx(before, rel=1e-13)


@rows
def test_wide_programs_run_it_in_loops_or_on_numpy(name):
    np = pytest.importorskip("numpy")
    operation, xs, function = row_of(name)
    weights = [Value(0.01 * i) for i in range(600)]

    def model(xs):
        return mg.sum([function([x + 0.125 * w for x in xs]) * w for w in weights])

    program = mg.compile(model)
    y = model(list(map(Value, xs)))
    y.backward()
    slopes = [w.grad for w in weights]
    mg.zero_grad(weights)
    assert program.backward(np.array([xs, xs])) == pytest.approx(y.data, rel=1e-11)
    assert [w.grad for w in weights] == pytest.approx(slopes, rel=1e-11, abs=1e-12)
    assert operation.name == name


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_c_has_all_that_have_a_form_and_names_the_others(tmp_path):
    formed = [name for name in ROWS if TABLE[name].form]
    functions = {name: row_of(name) for name in formed}
    sizes = [len(xs) for _, xs, _ in functions.values()]

    def together(*vectors):
        return [function(xs) for (_, _, function), xs in zip(functions.values(), vectors, strict=True)]

    given = [xs for _, xs, _ in functions.values()]
    program = mg.compile(together, backend="python")
    wanted = program(*given)
    program.to_c(tmp_path / "rows.c")
    library = tmp_path / "rows.so"
    command = ["cc", "-shared", "-fPIC", "-std=c99", "-Wall", "-Werror", "-o", library, tmp_path / "rows.c", "-lm"]
    subprocess.run(command, check=True)
    outputs = (ctypes.c_double * len(formed))()
    flat = [x for xs in given for x in xs]
    ctypes.CDLL(str(library)).together((ctypes.c_double * sum(sizes))(*flat), None, outputs)
    assert list(outputs) == pytest.approx(wanted, rel=1e-14)
    for name in ROWS.keys() - set(formed):
        _, xs, function = row_of(name)
        with pytest.raises(TypeError, match=f"not your own: {name}"):
            mg.compile(function).trace(xs).to_c(tmp_path / "no.c")


@rows
def test_it_trains_the_same_compiled_or_not(name):
    _, xs, function = row_of(name)
    found = []
    for compiled in (False, True):
        w = Value(0.5)

        def loss(xs, target, w=w):
            return (w * function(xs) - target) ** 2

        data = ([xs] * 8, [0.25] * 8)
        history = mg.fit(loss, data, mg.optim.SGD([w], lr=1e-4), epochs=5, compiled=compiled)
        assert history.losses[-1] <= history.losses[0]
        found.append((w.data, *history.losses))
    assert found[1] == pytest.approx(found[0], rel=1e-12)


def test_it_is_an_activation_by_name():
    for name in ROWS:
        operation, given = ROWS[name]
        if operation.vectors or len(given) > 1:
            with pytest.raises(ValueError, match="Unknown activation"):
                MLP(2, [2, 1], activation=name)
            continue
        model = MLP(2, [2, 1], activation=name, seed=0)
        assert f"activation={name!r}" in repr(model)
        hidden = model.layers[0].neurons[0]([0.5, -0.25])
        assert hidden.op is operation


@rows
def test_it_is_drawn_played_and_written_about(name, tmp_path):
    operation, xs, function = row_of(name)
    values = [Value(x, label=f"x{i}") for i, x in enumerate(xs)]
    y = function(values)
    drawing = mg.draw(y)
    assert operation.symbol in drawing.svg
    assert operation.symbol in drawing.dot
    mg.draw(y, backward=True)
    player = mg.step(y)
    node = player.recording.nodes[-1]
    assert all(value.label in node.formula for value in values)
    assert len(node.local_gradients) == len(y.parents)
    player.to_html(tmp_path / "player.html")
    steps = list(y.backward_steps())
    assert len(steps) == len(y.parents)


@rows
def test_help_and_the_page_of_operations_say_what_the_row_says(name):
    import pydoc

    build_operations = pytest.importorskip("docs.build_operations")
    operation, _, _ = row_of(name)
    what, _, definition = operation.about.partition(": ")
    told = operation.__doc__
    assert told.startswith(f"{name}({operation.inputs[0]}")
    assert told in pydoc.render_doc(operation, renderer=pydoc.plaintext).replace("\n    ", "\n")
    page = build_operations.page()
    [line] = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
    for text in (what, definition):
        assert text in told
        assert text in line
    for default in filter(None, operation.defaults):
        assert f"={default}" in told
    for rule in build_operations.derivatives(operation):
        assert rule in told
        assert rule.replace("|", "\\|") in line
    assert told.count("\nAt ") == len(operation.awkward)


def test_a_row_that_is_taken_out_is_gone():
    row = register(Operation("gone", lambda x: x, lambda x, out: (1,)))
    assert Value(2.0).gone().data == 2.0
    del TABLE["gone"]
    assert row(2.0) == 2.0
    for thing in (mg, operations, Value(1.0)):
        with pytest.raises(AttributeError, match="has no attribute 'gone'"):
            thing.gone  # noqa: B018
    assert "gone" not in ACTIVATIONS


@pytest.mark.parametrize(("name", "why"), [("tanh", "taken"), ("register", "taken"), ("a b", "name"), ("if", "name")])
def test_a_name_that_cannot_be_is_refused(name, why):
    with pytest.raises(ValueError, match=why):
        register(Operation("free", lambda x: x, lambda x, out: (1,)), name)
    assert TABLE.get(name) is not ROWS["cube"][0]


def test_a_missing_attribute_is_python_s_own_error():
    with pytest.raises(AttributeError, match=r"Value' object has no attribute 'tnah'"):
        Value(1.0).tnah  # noqa: B018
    assert not hasattr(Value(1.0), "__array__")


def test_a_class_says_what_it_is_and_an_operation_what_its_row_says():
    assert Operation.__doc__.startswith("A function together with the derivative")
    assert FusedOperation.__doc__.startswith("An operation on whole vectors")
    assert mg.tanh.__doc__ == "tanh(x): the hyperbolic tangent.\n\nThe derivative by x is 1 - out * out."
    assert "slope=0.01" in mg.leaky_relu.__doc__
    assert Value.tanh.__doc__ == "the hyperbolic tangent"
    assert mg.sqrt.__doc__.endswith("At x = 0: 0, gradient ∞.\nAt x = -1: NaN, gradient NaN.".replace("-1", "−1"))


@pytest.mark.long
def test_a_type_checker_knows_every_row(tmp_path):
    pytest.importorskip("mypy")
    import sys

    revealed = {
        "mg.tanh(x)": "Value",
        "mg.tanh(0.5)": "float",
        "mg.maximum(x, 1)": "Value",
        "mg.sum([x, x])": "Value",
        "mg.dot([1.0], [1.0])": "float",
        "x.tanh()": "Value",
        "x.arcsin().leaky_relu(0.1)": "Value",
        "x * 2 + x": "Value",
        "mg.MLP(2, [1]).parameters()": "list",
    }
    lines = ["import microgrannd as mg", "x = mg.Value(0.5)"]
    lines += [f"reveal_type({text})" for text in revealed]
    script = tmp_path / "script.py"
    script.write_text("\n".join([*lines, "mg.nope", "x.nope", ""]))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(script)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()
    for line, (text, kind) in zip(told, revealed.items(), strict=False):
        name = line.partition('"')[2].partition("[")[0].rstrip('"').rpartition(".")[2]
        assert name == kind, (text, line)
    assert 'script.py:12: error: Module has no attribute "nope"' in told[-3]
    assert 'script.py:13: error: "Value" has no attribute "nope"' in told[-2]
