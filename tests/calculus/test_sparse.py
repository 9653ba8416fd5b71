"""Sparse derivatives: only what is not 0 whatever the numbers are, and the numbers of the dense ones."""

import math
import sys
from itertools import pairwise
from random import Random

import mpmath as mp
import pytest

import microgrannd as mg
from microgrannd import Value

sparse = pytest.importorskip("scipy.sparse")
np = pytest.importorskip("numpy")


def rosenbrock(x):
    return mg.sum([100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x)])


def arrowhead(x):
    return mg.sum([x[0] * v * v for v in x[1:]])


FUNCTIONS = {  # and where their second derivatives are not 0
    "tridiagonal": (rosenbrock, lambda i, j: abs(i - j) <= 1),
    "arrowhead": (arrowhead, lambda i, j: i != 0 if i == j else 0 in (i, j)),
    "separable": (lambda x: mg.sum([mg.sin(v) for v in x]), lambda i, j: i == j),
    "dense": (lambda x: mg.exp(mg.sum(x)), lambda i, j: True),
    "linear": (lambda x: mg.dot(x, range(len(x))), lambda i, j: False),
    "constant": (lambda x: 3.0, lambda i, j: False),
    "pairs": (lambda x: mg.sum([a * b for a, b in zip(x[::2], x[1::2], strict=True)]), lambda i, j: i ^ 1 == j),
    "a step": (lambda x: mg.sum([mg.less(a, 0.5) * x[0] for a in x]), lambda i, j: False),
    "a choice": (lambda x: mg.where(mg.less(x[0], 0), x[1] ** 2, x[2] ** 2), lambda i, j: i == j and i in (1, 2)),
}
X = [0.3, -0.7, 1.2, 0.4, -1.1, 0.9]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_pattern_is_exact_and_the_numbers_are_the_dense_ones(name):
    function, expected = FUNCTIONS[name]
    dense = np.array(mg.hessian(function)(X), dtype=float)
    pattern = np.array([[expected(i, j) for j in range(6)] for i in range(6)])
    for backend in ("python", "native"):
        program = mg.compile(function, backend=backend).trace(X)
        found = program.hessian(X, sparse=True)
        assert (program.sparsity().toarray() == pattern).all()
        np.testing.assert_allclose(found.toarray(), dense, rtol=1e-13)
        assert found.nnz == pattern.sum()
    found = mg.hessian(function, sparse=True)(X)
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-13)
    assert found.nnz == pattern.sum()


def differences(x):
    return [b - a * a for a, b in pairwise(x)]


def test_a_jacobian_has_a_row_for_each_output():
    dense = np.array(mg.jacobian(differences)(X))
    program = mg.compile(differences, backend="python")
    for found in (mg.jacobian(differences, sparse=True)(X), program.jacobian(X, sparse=True)):
        assert found.shape == (5, 6)
        assert found.nnz == 10
        np.testing.assert_allclose(found.toarray(), dense)
    np.testing.assert_allclose(program.jacobian(X), dense)
    assert program.sparsity().nnz == 10


def test_nests_and_arguments():
    def function(x, w):
        return x["a"] * w[0] + mg.sum([v**3 for v in x["b"]]) * w[1]

    x, w = {"a": 2.0, "b": [3.0, 5.0]}, [7.0, 11.0]
    program = mg.compile(function, backend="python")
    assert program.hessian(x, w, sparse=True).toarray().tolist() == [[0, 0, 0], [0, 198.0, 0], [0, 0, 330.0]]
    assert program.hessian(x, w, argnums=1, sparse=True).nnz == 0
    assert mg.hessian(function, argnums=-2, sparse=True)(x, w).toarray()[1, 1] == 198.0
    assert program.jacobian(x, w, argnums=1) == [2.0, 152.0]
    assert program.sparsity(argnums=-1).shape == (2, 2)


def test_parameters_are_constants_of_a_program_and_of_no_grad():
    w = Value(2.0)

    def function(x):
        return w * x[0] ** 2

    program = mg.compile(function, backend="python")
    assert program.hessian([3.0], sparse=True).toarray() == [[4.0]]
    w.data = 5.0
    assert program.hessian([3.0], sparse=True).toarray() == [[10.0]]
    with pytest.raises(TypeError, match=r"depends on a Value from outside.*no_grad"):
        mg.hessian(function, sparse=True)([3.0])
    with mg.no_grad():
        assert mg.hessian(function, sparse=True)([3.0]).toarray() == [[10.0]]


def test_infinities_and_nan_stay_where_they_arise():
    found = mg.compile(lambda x: mg.sqrt(x[0]) + x[1] ** 3, backend="python").hessian([0.0, 2.0], sparse=True)
    assert found.toarray()[1, 1] == 12.0
    assert not math.isfinite(found.toarray()[0, 0])
    assert found.toarray()[0, 1] == 0.0


def test_misuse_is_named(monkeypatch):
    with pytest.raises(TypeError, match="argnums is an int"):
        mg.hessian(lambda x, y: x * y, argnums=(0, 1), sparse=True)
    program = mg.compile(lambda x: x[0] * x[1])
    with pytest.raises(mg.TracingError, match="not been traced"):
        program.sparsity()
    with pytest.raises(TypeError, match="argnums=3"):
        program.hessian([1.0, 2.0], argnums=3, sparse=True)
    with pytest.raises(TypeError, match="single number"):
        mg.compile(differences).hessian(X, sparse=True)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scipy"):
        program.hessian([1.0, 2.0], sparse=True)


def test_newton_and_scipy_take_it():
    optimize = pytest.importorskip("scipy.optimize")
    n = 60
    program = mg.compile(rosenbrock)
    found = optimize.minimize(
        lambda x: program(list(x)),
        np.zeros(n),
        jac=lambda x: np.array(program.value_and_gradients(list(x))[1][0]),
        hess=lambda x: program.hessian(list(x), sparse=True),
        method="trust-constr",
        options={"gtol": 1e-10, "maxiter": 2000},
    )
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


NAMES = ("sin", "cos", "tanh", "exp", "atan")


def random_sparse_function(random, size):
    """A sum of terms in a few variables each, for the functions of any library."""
    terms = []
    for _ in range(random.randint(1, 2 * size)):
        chosen = [random.randrange(size) for _ in range(random.randint(1, 3))]
        terms.append((chosen, [random.choice(NAMES) for _ in range(2)], random.gauss(0, 1), random.random() < 0.3))

    def function(x, library=mg.operations):
        total = 0.0
        for chosen, (first, second), factor, linear in terms:
            product = factor
            for k in chosen:
                product = product * (x[k] if linear else getattr(library, first)(x[k]))
            total = total + (product if linear else getattr(library, second)(product))
        return total

    return function


def by_differences(function, x):
    with mp.workdps(60):
        h = mp.mpf(10) ** -15

        def at(i, j, s, t):
            shifted = [mp.mpf(v) for v in x]
            shifted[i] += s * h
            shifted[j] += t * h
            return function(shifted, mp)

        size = range(len(x))
        corners = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        return [[float(sum(s * t * at(i, j, s, t) for s, t in corners) / (4 * h * h)) for j in size] for i in size]


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 500), marks=pytest.mark.slow)])
def test_random_sparse_functions_against_dense_ones_and_mpmath(seeds):
    for seed in seeds:
        random = Random(seed)
        size = random.randint(2, 6)
        function, x = random_sparse_function(random, size), [random.gauss(0, 1) for _ in range(size)]
        found = mg.compile(lambda x, f=function: f(x), backend="python").hessian(x, sparse=True)
        np.testing.assert_allclose(found.toarray(), np.array(mg.hessian(function)(x), float), rtol=1e-12, atol=1e-12)
        exact = np.array(by_differences(function, x))
        np.testing.assert_allclose(found.toarray(), exact, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(mg.hessian(function, sparse=True)(x).toarray(), exact, rtol=1e-11, atol=1e-11)
        outside = np.ones((size, size), bool)
        coordinates = found.tocoo()
        outside[coordinates.row, coordinates.col] = False
        assert (exact[outside] == 0).all() or abs(exact[outside]).max() < 1e-20
