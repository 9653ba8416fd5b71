"""The operations: IEEE 754 at the awkward points, kinks as promised, and every way of calling them.

The derivatives of the whole table are checked against mpmath in test_table.py; the values here are those
of IEEE 754, of PyTorch or of the definition, written out.
"""

import inspect
import itertools
import math
import pickle
from math import inf, nan

import pytest

import microgrannd as mg
from microgrannd import Value, operations
from microgrannd.operations import TABLE, FusedOperation, Operation
from tests.random_graphs import INPUTS

SPECIAL = [
    ("log", (0.0,), -inf),
    ("log", (-1.0,), nan),
    ("log", (inf,), inf),
    ("log2", (0.0,), -inf),
    ("log10", (0.0,), -inf),
    ("log1p", (-1.0,), -inf),
    ("log1p", (-2.0,), nan),
    ("log1p", (1e-20,), 1e-20),
    ("expm1", (1e-20,), 1e-20),
    ("expm1", (1000.0,), inf),
    ("exp", (1000.0,), inf),
    ("exp", (-1000.0,), 0.0),
    ("exp", (-inf,), 0.0),
    ("exp2", (1024.0,), inf),
    ("sqrt", (-1.0,), nan),
    ("sqrt", (inf,), inf),
    ("cbrt", (-8.0,), -2.0),
    ("sin", (inf,), nan),
    ("cos", (-inf,), nan),
    ("tan", (inf,), nan),
    ("asin", (1.5,), nan),
    ("acos", (-1.5,), nan),
    ("atan", (inf,), math.pi / 2),
    ("sinh", (-1000.0,), -inf),
    ("cosh", (1000.0,), inf),
    ("tanh", (1000.0,), 1.0),
    ("tanh", (-inf,), -1.0),
    ("acosh", (0.5,), nan),
    ("acosh", (inf,), inf),
    ("atanh", (1.0,), inf),
    ("atanh", (-1.0,), -inf),
    ("atanh", (2.0,), nan),
    ("div", (1.0, 0.0), inf),
    ("div", (1.0, -0.0), -inf),
    ("div", (-1.0, 0.0), -inf),
    ("div", (0.0, 0.0), nan),
    ("div", (nan, 0.0), nan),
    ("pow", (-8.0, 1 / 3), nan),
    ("pow", (0.0, -1.0), inf),
    ("pow", (-0.0, -1.0), -inf),
    ("pow", (-0.0, -2.0), inf),
    ("pow", (10.0, 400.0), inf),
    ("pow", (-10.0, 401.0), -inf),
    ("pow", (0.0, 0.0), 1.0),
    ("pow", (nan, 0.0), 1.0),
    ("mod", (5.5, 0.0), nan),
    ("mod", (-1.0, 3.0), 2.0),
    ("mod", (1.0, inf), 1.0),
    ("floordiv", (1.0, 0.0), inf),
    ("floordiv", (0.0, 0.0), nan),
    ("floordiv", (-7.0, 2.0), -4.0),
    ("floor", (-inf,), -inf),
    ("ceil", (1.2,), 2.0),
    ("ceil", (nan,), nan),
    ("hypot", (3e200, 4e200), 5e200),
    ("hypot", (inf, nan), inf),
    ("atan2", (1e-300, 1e-300), math.pi / 4),
    ("sigmoid", (1000.0,), 1.0),
    ("sigmoid", (-1000.0,), 0.0),
    ("sigmoid", (-inf,), 0.0),
    ("sigmoid", (nan,), nan),
    ("softplus", (1000.0,), 1000.0),
    ("softplus", (-1000.0,), 0.0),
    ("softplus", (-inf,), 0.0),
    ("logsigmoid", (-1000.0,), -1000.0),
    ("logsigmoid", (inf,), -0.0),
    ("relu", (nan,), nan),
    ("relu", (-0.0,), 0.0),
    ("elu", (-1000.0,), -1.0),
    ("erf", (inf,), 1.0),
    ("erfc", (-inf,), 2.0),
    ("maximum", (nan, 1.0), nan),
    ("maximum", (1.0, nan), nan),
    ("minimum", (-inf, 1.0), -inf),
    ("clamp", (7.0, 1.0, 2.0), 2.0),
    ("clamp", (nan, 1.0, 2.0), nan),
    ("clamp", (3.0,), 3.0),
    ("sign", (-0.0,), 0.0),
    ("sign", (nan,), nan),
    ("step", (0.0,), 0.0),
    ("where", (nan, 1.0, 2.0), 1.0),
    ("leaky_relu", (-2.0,), -0.02),
    ("leaky_relu", (-2.0, 0.5), -1.0),
]


@pytest.mark.parametrize(("name", "inputs", "expected"), SPECIAL)
def test_forward_follows_ieee_754(name, inputs, expected):
    result = TABLE[name](*inputs)
    assert result == pytest.approx(expected, rel=1e-15, nan_ok=True)
    assert math.copysign(1, result) == math.copysign(1, expected) or math.isnan(expected)
    assert TABLE[name](*map(Value, inputs)).data == pytest.approx(result, rel=0, abs=0, nan_ok=True)


KINKS = [
    ("relu", (0.0,), (0.0,)),
    ("abs", (0.0,), (0.0,)),
    ("maximum", (2.0, 2.0), (0.5, 0.5)),
    ("minimum", (2.0, 2.0), (0.5, 0.5)),
    ("maximum", (inf, inf), (0.5, 0.5)),
    ("clamp", (1.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clamp", (2.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clamp", (0.5, 1.0, 2.0), (0.0, 1.0, 0.0)),
    ("clamp", (2.5, 1.0, 2.0), (0.0, 0.0, 1.0)),
    ("clamp", (0.5, 1.0, 1.0), (0.0, 1.0, 0.0)),
    ("pow", (0.0, 0.0), (0.0, 0.0)),
    ("pow", (0.0, 2.0), (0.0, 0.0)),
    ("pow", (0.0, 1.0), (1.0, 0.0)),
    ("pow", (2.0, 0.0), (0.0, math.log(2))),
    ("pow", (-2.0, 3.0), (12.0, nan)),
    ("pow", (0.0, -1.0), (-inf, -inf)),
    ("pow", (inf, -1.0), (0.0, 0.0)),
    ("sqrt", (0.0,), (inf,)),
    ("cbrt", (0.0,), (inf,)),
    ("log", (0.0,), (inf,)),
    ("div", (1.0, 0.0), (inf, -inf)),
    ("leaky_relu", (0.0, 0.1), (0.1, 0.0)),
    ("elu", (0.0, 2.0), (2.0, 0.0)),
    ("step", (0.0,), (0.0,)),
    ("sign", (0.0,), (0.0,)),
    ("floor", (1.0,), (0.0,)),
    ("mod", (7.0, 3.0), (1.0, -2.0)),
    ("where", (1.0, 5.0, 6.0), (0.0, 1.0, 0.0)),
    ("where", (0.0, 5.0, 6.0), (0.0, 0.0, 1.0)),
    ("tanh", (1000.0,), (0.0,)),
    ("sigmoid", (-1000.0,), (0.0,)),
    ("softplus", (-inf,), (0.0,)),
    ("atan2", (1e-200, 1e-200), (5e199, -5e199)),
    ("asinh", (1e200,), (1e-200,)),
]


@pytest.mark.parametrize(("name", "inputs", "expected"), KINKS)
def test_local_gradients_at_kinks_poles_and_ties(name, inputs, expected):
    values = [Value(x) for x in inputs]
    TABLE[name](*values).backward()
    assert [x.grad for x in values] == pytest.approx(expected, rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("operation", TABLE.values(), ids=TABLE)
def test_a_row_is_polymorphic_and_closes_over_nothing(operation):
    if isinstance(operation, FusedOperation):
        return
    code = operation.local_gradients.__code__
    assert operation.local_gradients.__closure__ is None
    assert not {"math", "ieee", "float", "builtins"} & set(code.co_names)
    inputs = [0.5] * (code.co_argcount - 1)
    out = operation(*inputs)
    on_floats = operation.local_gradients(*inputs, out)
    on_values = operation.local_gradients(*map(Value, inputs), Value(out))
    assert len(on_floats) == len(inputs)
    assert [repr(float(x)) for x in on_floats] == [repr(float(getattr(x, "data", x))) for x in on_values]


@pytest.mark.parametrize("name", TABLE)
def test_what_backward_calls_is_the_row_bit_for_bit(name):
    operation = TABLE[name]
    for first in itertools.product([0.0, -0.0, 1.0, -2.5, 800.0, inf, -inf, nan], repeat=min(INPUTS[name], 3)):
        inputs = (*first, *(0.75, -1.5)[: INPUTS[name] - len(first)])
        out = operation.forward(*inputs)
        found = operation.on_floats(*operation.split(inputs), out)
        assert [*map(repr, map(float, found))] == [*map(repr, map(float, operation.local_gradients(*inputs, out)))]


@pytest.mark.parametrize(("name", "operation"), TABLE.items())
def test_the_tables_operations_pickle_as_themselves(name, operation):
    assert operation.name == name
    assert pickle.loads(pickle.dumps(operation)) is operation


def test_every_operation_on_single_numbers_is_a_method():
    for name, operation in TABLE.items():
        if isinstance(operation, FusedOperation) or name in ("contribution", "share") or operation.symbol[0] in "<>=!":
            continue
        assert hasattr(Value, name), name


def test_operators_in_both_orders():
    x = Value(3.0)
    results = [x + 2, 2 + x, x - 2, 2 - x, x * 2, 2 * x, x / 2, 2 / x, x**2, 2**x, x % 2, 2 % x, x // 2, 7 // x]
    assert [y.data for y in results] == [5, 5, 1, -1, 6, 6, 1.5, 2 / 3, 9, 8, 1, 2, 1, 2]
    assert [y.data for y in (-x, +x, abs(-x))] == [-3, 3, 3]


# ---- vectors


def test_dot_is_one_node_with_all_the_numbers_as_parents():
    w, x, b = [Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)], Value(5.0)
    z = mg.dot(w, x, b)
    z.backward(2)
    assert z.data == 16.0
    assert z.parents == (*w, *x, b)
    assert [p.grad for p in z.parents] == [6, 8, 2, 4, 2]


def test_sum_mean_and_logsumexp_take_any_iterable():
    xs = [Value(1.0), Value(3.0)]
    mg.mean(x * x for x in xs).backward()
    assert [x.grad for x in xs] == [1.0, 3.0]
    assert mg.sum(iter([1, 2, 3])) == 6.0
    assert mg.sum([]) == 0.0
    assert math.isnan(mg.mean([]))
    assert mg.logsumexp([]) == -inf


@pytest.mark.parametrize(
    ("xs", "expected"),
    [
        ([1000.0, 1000.0], 1000.0 + math.log(2)),
        ([-1000.0, -1000.0], -1000.0 + math.log(2)),
        ([-inf, 1.0], 1.0),
        ([inf, 1.0], inf),
        ([-inf, -inf], -inf),
        ([nan, inf], nan),
    ],
)
def test_logsumexp_is_right_at_any_size(xs, expected):
    assert mg.logsumexp(xs) == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_softmax_does_not_change_with_a_shift(shift):  # S-17
    assert mg.softmax([shift + x for x in (0.0, 1.0)]) == pytest.approx([0.2689414213699951, 0.7310585786300049], 1e-15)


def test_softmax_ignores_minus_infinity_and_has_its_jacobian():
    assert mg.softmax([-inf, 0.0, 0.0]) == [0.0, 0.5, 0.5]
    xs = [Value(0.5), Value(-1.0), Value(2.0)]
    p = mg.softmax(xs)
    p[0].backward()
    expected = [p[0].data * ((i == 0) - p[i].data) for i in range(3)]
    assert [x.grad for x in xs] == pytest.approx(expected, rel=1e-14)


def test_vectors_of_different_lengths_are_refused_by_their_lengths():
    with pytest.raises(ValueError, match="dot takes lists of one length, got 2 and 3"):
        mg.dot([1, 2], [1, 2, 3])
    with pytest.raises(TypeError, match=r"sum takes lists .*, got a single float"):
        mg.sum(1.0)
    with pytest.raises(TypeError, match="dot takes 2 list"):
        mg.dot([1, 2])


# ---- other kinds of number


def test_operations_on_plain_numbers_give_floats():
    assert type(mg.sin(1)) is float
    assert mg.tanh(True) == math.tanh(1)
    with pytest.raises(TypeError, match="real number"):
        mg.tanh("1")


def test_numpy_takes_over_where_arrays_meet_values():
    np = pytest.importorskip("numpy")
    x = Value(2.0, label="x")
    for result in (np.array([1.0, 2.0]) * x, x * np.array([1.0, 2.0])):
        assert result.dtype == object
        assert [type(y) for y in result] == [Value, Value]
        assert [y.data for y in result] == [2.0, 4.0]
    assert isinstance(np.float64(2) * x, Value)
    assert isinstance(x * np.float64(2), Value)
    assert isinstance(np.int64(2) - x, Value)
    assert isinstance(np.exp(x), Value)
    values = np.array([Value(0.25), Value(0.5)])
    for name in ("exp", "log", "sqrt", "arcsin", "arccos", "arctan", "arcsinh", "tanh", "log1p", "cbrt", "absolute"):
        function = getattr(np, name)
        assert [y.data for y in function(values)] == pytest.approx(function([0.25, 0.5]), rel=1e-15)
    assert np.arctan2(values, values)[0].data == math.pi / 4
    weights = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    assert [y.data for y in weights @ values] == [1.25, 2.75]
    with pytest.raises(TypeError, match=r"y\.data"):
        np.zeros(2)[0] = x


def test_operations_map_over_arrays():
    np = pytest.importorskip("numpy")
    xs = np.array([-1.0, 0.0, 2.0])
    assert mg.exp(xs).tolist() == np.exp(xs).tolist()
    assert mg.sigmoid(xs).tolist() == [mg.sigmoid(x) for x in xs]
    assert mg.maximum(xs, 1.0).tolist() == [1.0, 1.0, 2.0]
    assert mg.log(xs)[1] == -inf
    (local,) = mg.relu.local_gradients(xs, mg.relu(xs))
    assert local.tolist() == [0.0, 0.0, 1.0]
    assert mg.sin(np.array([Value(1.0)]))[0].op is mg.sin


# ---- one's own


def test_a_users_operation_works_as_a_built_in_one_does():
    softsign = Operation("softsign", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)) ** 2,))
    x = Value(3.0)
    y = softsign(x)
    y.backward()
    assert softsign(3.0) == y.data == 0.75
    assert y.op is softsign
    assert x.grad == 0.0625
    assert list((softsign(x) * 2).backward_steps())[-1].formula == "1 / (1 + |x|) ** 2"


def test_a_users_operation_with_too_few_local_gradients_is_found_out():
    broken = Operation("broken", lambda x, y: x + y, lambda x, y, out: (1,))
    with pytest.raises(ValueError, match="gives 1 local gradients for 2 inputs"):
        broken(Value(1.0), Value(2.0)).backward()


@pytest.mark.skipif(not operations.__file__.endswith(".py"), reason="a compiled class shows no signature")
def test_public_operations_have_no_signature_surprises():
    assert set(inspect.signature(Operation).parameters) == {
        "symbol",
        "forward",
        "local_gradients",
        "about",
        "form",
        "textbook",
        "defaults",
        "numpy",
        "awkward",
        "routes",
        "finite",
        "flag",
        "small_print",
        "ulps",
    }
    assert operations.softmax is mg.softmax


def test_a_sum_adds_one_number_after_the_other_on_every_python():
    # Python 3.12's own sum() gives 2.0, which neither C nor machine code nor a chain of + does.
    xs = [1.0, 1e100, 1.0, -1e100]
    ones = [1.0] * 4
    found = [mg.sum(xs), mg.mean(xs), mg.dot(xs, ones), mg.sum([Value(x) for x in xs]).data]
    assert found == [0.0] * 4
    assert math.copysign(1.0, mg.sum([-0.0, -0.0])) == 1.0
