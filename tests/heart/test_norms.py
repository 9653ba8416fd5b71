"""Norms at their tip: gradient 0, and the second derivatives of what is smooth there although the norm is not.

The neighbours that were tried: hypot and norm; the norm of one number, of zeros, of a list with a constant, of none;
NumPy's along an axis, of order 1, 2, 3 and ∞, and of matrices; np.std of equal numbers; squares, products of two nodes
for one norm, sums with the norm itself, cosines, Gaussians and fourth powers; forward over reverse and all the others.
"""

import math

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.calculus.passes import slopes
from tests.libraries import needs

NORMS = {"hypot": lambda p: mg.hypot(p[0], p[1]), "norm": mg.norm, "of three": lambda p: mg.norm([p[0], 0.0, p[1]])}
ORIGIN = [0.0, 0.0]

# A function of the norm h, and its second derivative by h at 0: of an even function, that is its curvature everywhere.
EVEN = {
    "h**2": (lambda h: h**2, 2.0),
    "square(h)": (mg.square, 2.0),
    "h * h": (lambda h: h * h, 2.0),
    "(h / 2) * h": (lambda h: (h / 2) * h, 1.0),
    "1 - cos(h)": (lambda h: 1 - mg.cos(h), 1.0),
    "exp(-h**2 / 2)": (lambda h: mg.exp(-(h**2) / 2), -1.0),
    "h**4": (lambda h: h**4, 0.0),
    "sinc(h)": (mg.sinc, -(math.pi**2) / 3),
}
even = pytest.mark.parametrize(("function", "curvature"), EVEN.values(), ids=EVEN)
norms = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)


@norms
def test_the_gradient_at_the_tip_is_zero(norm):
    p = [Value(0.0), Value(0.0)]
    norm(p).backward()
    assert [x.grad for x in p] == ORIGIN == mg.grad(norm)(ORIGIN) == slopes(norm(p), p)
    assert [x.data for x in mg.gradients(norm(p), p)] == ORIGIN
    assert mg.hessian(norm)(ORIGIN) == [ORIGIN, ORIGIN]


@norms
@even
def test_the_hessian_of_an_even_function_at_the_tip(norm, function, curvature):
    def f(p):
        return function(norm(p))

    v = [1.0, 2.0]
    expected = [[curvature, 0.0], [0.0, curvature]]
    assert mg.grad(f)(ORIGIN) == ORIGIN
    assert mg.hessian(f)(ORIGIN) == [pytest.approx(row, rel=1e-15) for row in expected]
    products = [
        mg.hvp(f)(ORIGIN, v),
        mg.jvp(mg.grad(f))(ORIGIN, v),
        mg.grad(lambda p: mg.jvp(f)(p, v))(ORIGIN),
    ]
    assert products == [pytest.approx([curvature, 2 * curvature], rel=1e-15)] * 3
    assert mg.jvp(lambda p: mg.jvp(f)(p, v))(ORIGIN, v) == pytest.approx(5 * curvature, rel=1e-15)


@pytest.mark.parametrize("backend", ["python", "native", "numpy", "jax", "torch"])
@norms
@pytest.mark.parametrize("name", ["h**2", "sinc(h)"])
def test_the_same_compiled_for_the_tip_and_for_elsewhere(name, norm, backend):
    if backend != "python":
        needs(backend)
    function, curvature = EVEN[name]
    compiled = mg.compile(mg.hessian(lambda p: function(norm(p))), backend=backend)
    eager = mg.hessian(lambda p: function(norm(p)))
    for p in ([0.5, -0.25], ORIGIN, [3.0, 4.0]):  # traced at one, run at the others
        assert [x for row in compiled(p) for x in row] == pytest.approx([x for row in eager(p) for x in row], abs=1e-12)
    assert compiled(ORIGIN)[0][0] == pytest.approx(curvature, rel=1e-14)
    value, (gradient,) = mg.compile(norm, backend=backend).value_and_gradients(ORIGIN)
    assert (value, list(gradient)) == (0.0, ORIGIN)


def test_two_nodes_for_one_norm_and_a_tip_that_is_elsewhere():
    assert mg.hessian(lambda p: mg.norm(p) * mg.norm(p))(ORIGIN) == [[2.0, 0.0], [0.0, 2.0]]
    assert mg.hessian(lambda p: mg.norm(p) * mg.hypot(*p))(ORIGIN) == [[2.0, 0.0], [0.0, 2.0]]
    assert mg.hessian(lambda p: mg.norm([p[0] - 1, 2 * p[1]]) ** 2)([1.0, 0.0]) == [[2.0, 0.0], [0.0, 8.0]]
    assert mg.hessian(lambda p: 3 * mg.norm(p) + mg.norm(p) ** 2)(ORIGIN) == [[2.0, 0.0], [0.0, 2.0]]
    assert mg.hessian(lambda p: (h := mg.norm(p)) * mg.hypot(*p) + h * h)(ORIGIN) == [[4.0, 0.0], [0.0, 4.0]]
    third = mg.jacobian(mg.hessian(lambda p: mg.norm(p) ** 4))(ORIGIN)
    assert third == [[ORIGIN, ORIGIN], [ORIGIN, ORIGIN]]


def test_the_norm_of_one_number_is_its_absolute_value_and_of_none_is_zero():
    assert mg.grad(lambda x: mg.norm([x]))(-3.0) == -1.0
    assert mg.grad(lambda x: mg.norm([x]))(0.0) == 0.0
    assert mg.norm([]) == 0.0
    assert mg.grad(lambda x: mg.norm([x, 4.0]))(3.0) == 0.6
    with pytest.raises(TypeError, match=r"norm takes lists .*, got a single Value"):
        mg.norm(Value(1.0))


@pytest.mark.parametrize("backend", [None, "python", "native", "numpy"])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e300, 1e-310])
def test_huge_and_tiny_numbers_neither_overflow_nor_vanish(scale, backend):
    if backend not in (None, "python"):
        needs(backend)
    if backend:
        value, (gradient,) = mg.compile(mg.norm, backend=backend).value_and_gradients([3 * scale, 4 * scale])
    else:
        value, gradient = mg.value_and_grad(mg.norm)([3 * scale, 4 * scale])
    assert value == pytest.approx(5 * scale, rel=1e-12, abs=0)
    assert list(gradient) == pytest.approx([0.6, 0.8], rel=1e-12)


# ---- NumPy's

np = pytest.importorskip("numpy")


def numpy_norm(p):
    return np.linalg.norm(np.array(p))


def test_numpys_norm_has_the_same_tip():
    assert mg.grad(numpy_norm)(ORIGIN) == ORIGIN
    for hessian in (mg.hessian(lambda p: numpy_norm(p) ** 2), mg.compile(mg.hessian(lambda p: numpy_norm(p) ** 2))):
        assert [list(row) for row in hessian(ORIGIN)] == [[2.0, 0.0], [0.0, 2.0]]
    assert mg.grad(lambda p: np.linalg.norm([p[0], 0.0]))([0.0]) == [0.0]
    assert mg.grad(lambda x: np.linalg.norm(x))(0.0) == 0.0
    assert mg.grad(lambda p: np.linalg.norm([p[0], 3.0]))([4.0]) == [0.8]


@pytest.mark.parametrize(
    "function",
    [
        lambda m: np.linalg.norm(m),
        lambda m: np.linalg.norm(m, "fro"),
        lambda m: np.linalg.norm(m, axis=0).sum(),
        lambda m: np.linalg.norm(m, axis=1).sum(),
        lambda m: np.linalg.norm(m.ravel(), ord=2),
        lambda m: np.std(m),
        lambda m: np.std(m, axis=0).sum(),
        lambda m: np.std(m, axis=1, ddof=1, keepdims=True).sum(),
    ],
)
def test_all_of_numpys_roots_of_squares_have_slope_zero_at_their_tip(function):
    assert (mg.grad(function)(np.zeros((2, 2))) == 0.0).all()


def test_a_root_that_numpy_did_not_take_is_a_root():
    x = Value(0.0)
    assert np.sqrt(x * x).op is mg.sqrt
    assert (x * x).sqrt().op is mg.sqrt
    assert np.linalg.norm(np.array([x, Value(1.0)])).op is mg.norm
    assert np.std(np.array([x, x + 1])).op is mg.div


def test_the_other_orders():
    x = np.array([1.0, -2.0, 4.0])
    assert mg.grad(lambda x: np.linalg.norm(x, ord=1))(x).tolist() == [1.0, -1.0, 1.0]
    assert mg.grad(lambda x: np.linalg.norm(x, ord=np.inf))(x).tolist() == [0.0, 0.0, 1.0]
    assert mg.grad(lambda x: np.linalg.norm(x, ord=-np.inf))(x).tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(AttributeError, match=r"norm of order p as mg\.sum"):
        mg.grad(lambda x: np.linalg.norm(x, ord=3))(x)
    assert not hasattr(Value(1.0), "dtype")
