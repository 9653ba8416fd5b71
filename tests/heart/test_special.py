"""The gamma family and its kin: right to the last digits beside zeros, at poles and infinities, on every back end.

test_table.py holds these rows against mpmath at random and at awkward points, with both derivatives; here are the
places where an ordinary way of computing them loses its digits.
"""

import math
from math import inf, nan
from random import Random

import mpmath as mp
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.operations import TABLE
from tests import oracles
from tests.libraries import needs


def beside(number):
    return lambda random: number + random.choice((-1, 1)) * 10 ** random.uniform(-16, -1)


def between(low, high):
    return lambda random: random.uniform(low, high)


def of_any_size(low, high):
    return lambda random: math.exp(random.uniform(math.log(low), math.log(high)))


# Where the number itself is held to 4 ulp, without regard to what rounding the inputs makes of it.
STRICT = [
    ("lgamma", beside(1)),
    ("lgamma", beside(2)),
    ("lgamma", of_any_size(1e-308, 1e305)),
    ("lgamma", between(-2, 0)),
    ("digamma", beside(1.4616321449683622)),
    ("digamma", of_any_size(1e-307, 1e308)),
    ("gamma", between(0, 171)),
    ("erfinv", between(-1, 1)),
    ("erfinv", of_any_size(1e-308, 0.5)),
    ("erfinv", lambda random: 1 - 10 ** random.uniform(-15.9, -1)),
    ("log1mexp", of_any_size(1e-308, 100)),
    ("logit", beside(0.5)),
    ("logit", of_any_size(1e-308, 0.99)),
    ("sinc", beside(7)),
    ("sinc", beside(1000)),
    ("sinc", of_any_size(1e-300, 1e10)),
]


@pytest.mark.parametrize(("name", "draw"), STRICT)
def test_a_number_is_within_4_ulp_also_beside_a_zero(name, draw):
    random = Random(name)
    with mp.workdps(60):
        for _ in range(300):
            x = draw(random)
            exact = oracles.CLOSED_FORMS[name](mp.mpf(x))
            assert abs(TABLE[name](x) - exact) <= 4 * math.ulp(float(exact)), x


@pytest.mark.parametrize("order", [1, 2, 3, 7])
def test_polygamma_is_within_4_ulp_right_of_zero(order):
    random = Random(order)
    with mp.workdps(60):
        for _ in range(50):
            x = math.exp(random.uniform(-40, 20))
            exact = mp.psi(order, mp.mpf(x))
            assert abs(mg.polygamma(order, x) - exact) <= (3 + order) * math.ulp(float(exact)), x


def test_factorials_are_exact():
    assert [mg.gamma(n) for n in range(1, 18)] == [float(math.factorial(n - 1)) for n in range(1, 18)]


SPECIAL = [
    ("gamma", (0.0,), inf),
    ("gamma", (-0.0,), -inf),
    ("gamma", (-1.0,), nan),
    ("gamma", (-inf,), nan),
    ("gamma", (inf,), inf),
    ("gamma", (171.7,), inf),
    ("gamma", (-171.5,), 1.9316265431712e-310),
    ("gamma", (-200.5,), -0.0),
    ("gamma", (5e-324,), inf),
    ("lgamma", (0.0,), inf),
    ("lgamma", (-3.0,), inf),
    ("lgamma", (-inf,), inf),
    ("lgamma", (inf,), inf),
    ("lgamma", (1e308,), inf),
    ("lgamma", (5e-324,), 744.4400719213812),
    ("lgamma", (-5e-324,), 744.4400719213812),
    ("lgamma", (-1e17,), inf),
    ("digamma", (0.0,), -inf),
    ("digamma", (-0.0,), inf),
    ("digamma", (-2.0,), nan),
    ("digamma", (inf,), inf),
    ("digamma", (-inf,), nan),
    ("polygamma", (1.0, 0.0), inf),
    ("polygamma", (1.0, -4.0), inf),
    ("polygamma", (2.0, 0.0), -inf),
    ("polygamma", (2.0, -0.0), inf),
    ("polygamma", (2.0, -1.0), nan),
    ("polygamma", (1.0, inf), 0.0),
    ("polygamma", (1.0, 1e300), 1e-300),
    ("polygamma", (170.0, 1e300), -0.0),
    ("polygamma", (1.5, 1.0), nan),
    ("polygamma", (-1.0, 1.0), nan),
    ("polygamma", (171.0, 1.0), nan),
    ("lbeta", (0.0, 1.0), inf),
    ("lbeta", (1.0, 1.0), 0.0),
    ("lbeta", (-1.0, 1.0), nan),
    ("lbeta", (2.0, inf), -inf),
    ("lbeta", (0.0, inf), nan),
    ("lbeta", (1e308, 1e308), -1.3862943611198906e308),
    ("lbeta", (5e-324, 5e-324), 745.1332191019412),
    ("erfinv", (1.0,), inf),
    ("erfinv", (-1.0,), -inf),
    ("erfinv", (1.5,), nan),
    ("erfinv", (-0.0,), -0.0),
    ("log1mexp", (0.0,), -inf),
    ("log1mexp", (-1.0,), nan),
    ("log1mexp", (inf,), -0.0),
    ("log1mexp", (5e-324,), -744.4400719213812),
    ("logaddexp", (inf, inf), inf),
    ("logaddexp", (-inf, -inf), -inf),
    ("logaddexp", (-inf, inf), inf),
    ("logaddexp", (1000.0, 1000.0), 1000.6931471805599),
    ("logaddexp", (nan, inf), nan),
    ("xlogy", (0.0, 0.0), 0.0),
    ("xlogy", (0.0, -1.0), 0.0),
    ("xlogy", (0.0, inf), 0.0),
    ("xlogy", (0.0, nan), nan),
    ("xlogy", (1.0, 0.0), -inf),
    ("xlog1py", (0.0, -1.0), 0.0),
    ("xlog1py", (0.0, nan), nan),
    ("xlog1py", (2.0, 1e-20), 2e-20),
    ("logit", (0.0,), -inf),
    ("logit", (1.0,), inf),
    ("logit", (1.5,), nan),
    ("logit", (0.5,), 0.0),
    ("sinc", (0.0,), 1.0),
    ("sinc", (-0.0,), 1.0),
    ("sinc", (3.0,), -0.0),
    ("sinc", (1e17,), 0.0),
    ("sinc", (inf,), nan),
    ("norm", (), 0.0),
    ("norm", (0.0, 0.0), 0.0),
    ("norm", (3e200, 4e200), 5e200),
    ("norm", (3e-320, 4e-320), 5e-320),
    ("norm", (inf, nan), inf),
    ("norm", (-2.0,), 2.0),
]


@pytest.mark.parametrize(("name", "inputs", "expected"), SPECIAL)
def test_values_at_poles_zeros_infinities_and_ties(name, inputs, expected):
    operation = TABLE[name]
    for found in (operation.forward(*inputs), operation.form(*operation.split(inputs))):
        assert found == pytest.approx(expected, rel=1e-15, abs=0.0, nan_ok=True)
        assert math.copysign(1, found) == math.copysign(1, expected) or math.isnan(expected)


SLOPES = [
    ("logaddexp", (2.0, 2.0), (0.5, 0.5)),
    ("logaddexp", (-inf, -inf), (0.5, 0.5)),
    ("logaddexp", (inf, inf), (0.5, 0.5)),
    ("logaddexp", (-inf, 1.0), (0.0, 1.0)),
    ("xlogy", (0.0, 0.0), (0.0, 0.0)),  # PyTorch's
    ("xlogy", (0.0, 2.0), (math.log(2), 0.0)),
    ("xlogy", (0.0, 0.5), (math.log(0.5), 0.0)),
    ("xlogy", (1.0, 0.0), (-inf, inf)),
    ("xlog1py", (0.0, -1.0), (0.0, 0.0)),
    ("log1mexp", (0.0,), (inf,)),
    ("log1mexp", (1000.0,), (0.0,)),
    ("logit", (0.0,), (inf,)),
    ("logit", (1.0,), (inf,)),
    ("logit", (1e-300,), (1e300,)),
    ("sinc", (0.0,), (0.0,)),
    ("sinc", (1.0,), (-1.0,)),
    ("sinc", (1e-200,), (-(math.pi**2) / 3 * 1e-200,)),
    ("erfinv", (0.0,), (math.sqrt(math.pi) / 2,)),
    ("erfinv", (1.0,), (inf,)),
    ("lgamma", (1.0,), (-0.5772156649015329,)),
    ("lgamma", (1e200,), (460.51701859880916,)),
    ("digamma", (1.0,), (math.pi**2 / 6,)),
    ("gamma", (1.0,), (-0.5772156649015329,)),
    ("lbeta", (1.0, 1.0), (-1.0, -1.0)),
    ("polygamma", (1.0, 1.0), (0.0, -2.4041138063191886)),  # flat in its order
]


@pytest.mark.parametrize(("name", "inputs", "expected"), SLOPES)
def test_slopes_at_poles_zeros_infinities_and_ties(name, inputs, expected):
    values = [Value(x) for x in inputs]
    TABLE[name](*values).backward()
    assert [x.grad for x in values] == pytest.approx(expected, rel=1e-14, nan_ok=True)


def test_the_second_derivatives_at_ties_and_zeros():
    assert mg.hessian(lambda xs: mg.logaddexp(*xs))([3.0, 3.0]) == [[0.25, -0.25], [-0.25, 0.25]]
    assert mg.hessian(mg.sinc)(0.0) == pytest.approx(-(math.pi**2) / 3, rel=1e-15)
    assert mg.hessian(mg.log1mexp)(100.0) == pytest.approx(-math.exp(-100), rel=1e-14)


# Points inside of each row's domain, for the back ends.
ROWS = {
    **{"gamma": [2.3], "lgamma": [-2.3], "digamma": [0.4], "lbeta": [0.4, 12.0], "erfinv": [0.6], "log1mexp": [0.3]},
    **{"logaddexp": [0.1, 0.2], "xlogy": [0.5, 0.3], "xlog1py": [0.2, 0.3], "logit": [0.3], "sinc": [0.3]},
    **{"norm": [3.0, 4.0], "hypot": [3.0, 4.0], "polygamma": [2.0, 1.3]},
}


@pytest.mark.parametrize("backend", ["python", "native", "numpy", "jax", "torch"])
@pytest.mark.parametrize("name", ROWS)
def test_every_back_end_has_value_gradient_and_hessian(name, backend):
    if backend != "python":
        needs(backend)
    np = pytest.importorskip("numpy")
    operation, inputs = TABLE[name], ROWS[name]

    def function(*xs):
        return 2 * (operation(xs) if operation.vectors else operation(*xs))

    value, gradients = mg.compile(function, backend=backend).value_and_gradients(*inputs)
    eager = mg.value_and_grad(function, argnums=tuple(range(len(inputs))))(*inputs)
    assert (value, *gradients) == pytest.approx((eager[0], *eager[1]), rel=1e-13)
    batch = [np.full(9, x) for x in inputs]
    assert mg.compile(function, backend=backend)(*batch) == pytest.approx([value] * 9, rel=1e-13)
    curvature = mg.hessian(lambda xs: function(*xs))
    found = mg.compile(curvature, backend=backend)(inputs)
    assert [x for row in found for x in row] == pytest.approx([x for row in curvature(inputs) for x in row], rel=1e-11)


@pytest.mark.parametrize("backend", ["native", "numpy", "jax", "torch"])
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("digamma", [1.4616321449683622]),  # beside its zero, which is written in two numbers
        ("digamma", [1.4616321449683625]),
        ("polygamma", [4.0, 1.3347866663643788e64]),  # x**-5 is subnormal
        ("polygamma", [2.0, 1e-110]),
    ],
)
def test_an_array_program_keeps_what_the_order_of_operations_holds_together(name, inputs, backend):
    needs(backend)
    row = TABLE[name]
    program = mg.compile(lambda *xs: row(*inputs[:-1], xs[0]) * 1.0, backend=backend)
    np = pytest.importorskip("numpy")
    found = [program(inputs[-1]), *program(np.full(9, inputs[-1]))]
    assert found == pytest.approx([row(*inputs)] * 10, rel=1e-14, abs=0.0)


def test_a_form_that_was_given_a_number_is_simplified():
    program = mg.compile(lambda x: mg.polygamma(1, x), backend="numpy")
    program(2.0)
    assert "1 != 0" not in program.matrix_source
    assert program.matrix_source.count("xp.where(") < mg.compile(mg.polygamma, backend="numpy").trace(
        1.0, 2.0
    ).matrix_source.count("xp.where(")


def test_a_printed_program_brings_what_it_needs_of_them():
    program = mg.compile(lambda x: mg.lgamma(x) * mg.erfinv(x), backend="python")
    names = {}
    value = program(0.25)
    exec(program.python_source, names)
    assert names["program"](0.25)[0] == value == mg.lgamma(0.25) * mg.erfinv(0.25)
    assert "your own" not in program.python_source
