"""NumPy's functions on arrays of Values: right, against jax.numpy, or an error that says what is not possible."""

import pytest

import microgrannd as mg
from microgrannd import Value

np = pytest.importorskip("numpy")

X = np.array([1.0, 2.0, 4.0])
M = np.array([[1.0, 2.0], [3.0, 5.0]])

# Of an array of one dimension, and of two; `n` is numpy or jax.numpy.
ON_VECTORS = {
    "var": lambda n, x: n.var(x),
    "var, ddof": lambda n, x: n.var(x, ddof=1),
    "std": lambda n, x: n.std(x),
    "mean": lambda n, x: n.mean(x),
    "median": lambda n, x: n.median(x),
    "percentile": lambda n, x: n.percentile(x, 40),
    "ptp": lambda n, x: n.ptp(x),
    "average by weights": lambda n, x: n.average(x, weights=np.array([1.0, 2.0, 3.0])),
    "average by Values": lambda n, x: n.average(np.array([1.0, 2.0, 3.0]), weights=x),
    "cumsum": lambda n, x: n.cumsum(x)[1],
    "prod": lambda n, x: n.prod(x),
    "cumprod": lambda n, x: n.cumprod(x)[2],
    "dot": lambda n, x: n.dot(x, x),
    "inner": lambda n, x: n.inner(x, x),
    "outer": lambda n, x: n.outer(x, x).sum(),
    "vdot": lambda n, x: n.vdot(x, x),
    "einsum": lambda n, x: n.einsum("i,i->", x, x),
    "tensordot": lambda n, x: n.tensordot(x, x, 1),
    "kron": lambda n, x: n.kron(x, x).sum(),
    "convolve": lambda n, x: n.convolve(x, x)[2],
    "diff": lambda n, x: (n.diff(x) ** 2).sum(),
    "trapezoid": lambda n, x: n.trapezoid(x * x, x),
    "max": lambda n, x: n.max(x),
    "min": lambda n, x: n.min(x),
    "clip": lambda n, x: n.clip(x, 1.5, 3.0).sum(),
    "norm": lambda n, x: n.linalg.norm(x),
    "norm, ord=1": lambda n, x: n.linalg.norm(x, ord=1),
    "conj": lambda n, x: n.conj(x).sum(),
    "real": lambda n, x: n.real(x).sum(),
    "polyval": lambda n, x: n.polyval(x, 2.0),
    "sinc": lambda n, x: n.sinc(x / 3).sum(),
    "hypot": lambda n, x: n.hypot(x, x**2).sum(),
}
ON_MATRICES = {
    "trace": lambda n, m: n.trace(m),
    "norm, axis": lambda n, m: n.linalg.norm(m, axis=1).sum(),
    "norm, axis, ord=3": lambda n, m: n.linalg.norm(m, ord=3, axis=1).sum(),
    "Frobenius": lambda n, m: n.linalg.norm(m),
    "norm of a matrix, ord=1": lambda n, m: n.linalg.norm(m, ord=1),
    "var, axis": lambda n, m: n.var(m, axis=0).sum(),
    "std, axis": lambda n, m: n.std(m, axis=1, keepdims=True).sum(),
    "cov by weights": lambda n, m: n.cov(m, aweights=np.ones(2))[0, 1],
    "einsum": lambda n, m: n.einsum("ij,jk->", m, m),
    "matrix_power": lambda n, m: n.linalg.matrix_power(m, 3).sum(),
    "multi_dot": lambda n, m: n.linalg.multi_dot([m, m, m]).sum(),
    "vdot": lambda n, m: n.vdot(m, m),
}
CASES = [*((name, f, X) for name, f in ON_VECTORS.items()), *((name, f, M) for name, f in ON_MATRICES.items())]


@pytest.mark.parametrize(("function", "point"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_function_of_numpys_has_the_gradient_that_jax_has(function, point):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    expected = jax.grad(lambda x: jax.numpy.asarray(function(jax.numpy, x)).reshape(()))(jax.numpy.array(point))
    found = mg.grad(lambda x: function(np, x))(point)
    np.testing.assert_allclose(found.astype(float), np.asarray(expected), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["var", "std", "vdot", "norm", "mean", "outer", "einsum", "prod", "cumsum"])
def test_the_same_compiled(name):
    function = ON_VECTORS[name]
    program = mg.compile(lambda xs: function(np, np.array(xs)), backend="python")
    value, (gradient,) = program.value_and_gradients(list(X))
    assert value == pytest.approx(float(function(np, X)), rel=1e-14)
    assert list(gradient) == pytest.approx(mg.grad(lambda x: function(np, x))(X).tolist(), rel=1e-13, abs=1e-15)


def test_reductions_by_ufuncs():
    values = np.array([Value(x) for x in X])
    assert np.maximum.reduce(values).data == 4.0
    assert np.add.reduce(values).data == 7.0
    assert np.multiply.reduce(values).data == 8.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: np.logaddexp(x, x), "logaddexp"),
        (lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), "Cannot cast"),
        (lambda x: np.linalg.det(np.outer(x, x)), "det"),
        (lambda x: np.fabs(x), "fabs"),
        (lambda x: np.floor(x), "mg.exp instead"),
        (lambda x: np.isfinite(x), "isfinite"),
    ],
)
def test_what_numpy_cannot_do_with_objects_says_so(function, message):
    with pytest.raises(TypeError, match=message):
        function(np.array([Value(1.0), Value(2.0)]))


def test_functions_of_a_single_value():
    x = Value(0.0)
    assert np.sinc(x).op is mg.sinc
    assert np.sum(x) is x
    assert np.conjugate(x) is x
    assert mg.hessian(lambda x: np.sinc(x))(0.0) == pytest.approx(-(np.pi**2) / 3, rel=1e-15)


TAKEN = {
    "where": lambda true: mg.where(true, Value(2.0), 3.0).data == 2.0,
    "Value": lambda true: Value(true).data == 1.0,
    "operators": lambda true: (true + Value(1.0)).data == (Value(1.0) + true).data == 2.0,
    "a power": lambda true: (Value(3.0) ** true).data == 3.0,
    "a row": lambda true: mg.gamma(true) == 1.0,
    "a vector": lambda true: mg.norm([true, Value(0.0)]).data == 1.0,
    "interp": lambda true: mg.interp(true, [0, true], [false := not true, true]) == 1.0 and not false,
    "clamp": lambda true: mg.clamp(Value(3.0), 0, true).data == 1.0,
    "grad": lambda true: mg.grad(lambda x: x * x)(true) == 2.0,
    "jvp": lambda true: mg.jvp(lambda x: x * x)(3.0, true) == 6.0,
    "gradients": lambda true: mg.gradients(3 * (x := Value(true)), [x], true)[0].data == 3.0,
    "compile": lambda true: mg.compile(lambda c, x: mg.where(c, x, 0.0), backend="python")(true, 3.0) == 3.0,
    "a model": lambda true: mg.MLP(1, [1], seed=0)([true]).data == mg.MLP(1, [1], seed=0)([1.0]).data,
    "a loss": lambda true: mg.losses.binary_cross_entropy_with_logits(0.0, true) == mg.softplus(0.0),
}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_a_bool_of_numpys_is_a_number_wherever_true_is(taken):
    assert taken(np.bool_(True))
    assert taken(True)


def test_data_and_gradients_take_one_too():
    x = Value(2.0)
    x.data, x.grad = np.bool_(True), np.bool_(True)
    assert (x.data, x.grad) == (1.0, 1.0)
    x.backward(np.bool_(True))
    assert x.grad == 2.0
