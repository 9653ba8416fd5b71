"""Array code in native loops against NumPy on the same code, and matrix products of all sizes."""

import copy
import ctypes
import math
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from microgrannd.compiler.arrays.libraries import library
from microgrannd.compiler.arrays.loops.function import LoopFunction, loops_library
from microgrannd.compiler.arrays.loops.products import product_source
from microgrannd.compiler.arrays.loops.strides import regrouped, row_major
from microgrannd.compiler.llvm.machine import MachineCode

NUMPY, LOOPS = library("numpy"), loops_library()
TABLE = np.array([[0, 3, 1], [2, 2, 5]])
NUMBERS = np.array([0.5, -2.0, 1.0, 3.0, 0.25, -1.0])


def arguments(seed=0, samples=5):
    """A row of 12 parameters, and 6 and 4 numbers for each sample."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=12), generator.normal(size=(samples, 6)), generator.normal(size=(samples, 4))


def both(code, given):
    """What the code gives on NumPy, and in loops; in the code `f` are the operations that NumPy lacks."""
    want = code(NUMPY.xp, NUMPY.names, *copy.deepcopy(given))
    got = LoopFunction(lambda xp, *inner: code(xp, LOOPS.names, *inner))(LOOPS.xp, *given)
    return got, want


def the_same(got, want):
    assert len(got) == len(want)
    for x, y in zip(got, want, strict=True):
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x) == pytest.approx(np.asarray(y), rel=1e-13, abs=1e-13, nan_ok=True)


CODES = {
    "elementwise": lambda xp, f, p, x, y: (xp.tanh(x) * 2 - xp.exp(-x) / (1 + x * x), y - 1, -y),
    "repeated": lambda xp, f, p, x, y: (x * p[:6] + p[6:7], x[:, :4] * y + y[:, 1:2]),
    "views": lambda xp, f, p, x, y: (x[:, 1:6:2] * 2, x[:, ::-1] + x, p[:6].reshape(2, 3).T * 1, p[4:8] + p[8:]),
    "gathers": lambda xp, f, p, x, y: (p[TABLE], x[:, TABLE], x[:, TABLE] * p[TABLE], p[TABLE[0]] * x[:, TABLE[1]]),
    "sums": lambda xp, f, p, x, y: (xp.sum(x, 0), xp.sum(x * x, 1), xp.sum(x, 1, keepdims=True) * y, xp.sum(p, 0)),
    "of one number": lambda xp, f, p, x, y: (xp.sum(x[:, :1], 1), xp.sum(x[:, 2:3] * y[:, :1], 0)),
    "of three axes": lambda xp, f, p, x, y: (
        xp.sum(x.reshape(-1, 2, 3) * p[:6].reshape(2, 3), -1),
        xp.sum(x.reshape(-1, 3, 2), 1),
    ),
    "products": lambda xp, f, p, x, y: (x @ p.reshape(6, 2), x @ p.reshape(2, 6).T, y.T @ x, x @ p[:6][None].T),
    "of parameters": lambda xp, f, p, x, y: ((p.reshape(3, 4) @ p.reshape(4, 3)).reshape(-1) * 1, x + p[:6]),
    "for each sample": lambda xp, f, p, x, y: (
        (x.reshape(-1, 3, 2) @ p.reshape(2, 6)).reshape(-1, 18),
        (p[:6].reshape(3, 2) @ x.reshape(-1, 2, 3)).reshape(-1, 9),
        x.reshape(-1, 2, 3) @ xp.swapaxes(x.reshape(-1, 2, 3), 1, 2),
        xp.einsum("bk,bnk->bn", x[:, :2], y.reshape(-1, 2, 2)),
    ),
    "summed over samples": lambda xp, f, p, x, y: (
        xp.tensordot(x.reshape(-1, 3, 2), y.reshape(-1, 2, 2), ([0, 2], [0, 2])),
        (x[:, :3] * 2).T @ (y - 1),
    ),
    "joined": lambda xp, f, p, x, y: (
        xp.concatenate([x[:, :1] * 2, y, xp.sum(x, 1, keepdims=True)], 1),
        xp.concatenate([p[3:], p[:3] * 2]),
        xp.exp(xp.concatenate([p[:2], xp.sum(x, 0), p[2:4]])) * p[:10],
    ),
    "conditions": lambda xp, f, p, x, y: (
        xp.where(x > 0, x, 0.0),
        (x <= 0.1) * x,
        1.0 * (x == x),
        xp.where(p[:6] * x != 0, 1.0, x),
    ),
    "largest": lambda xp, f, p, x, y: (
        xp.max(x, -1, keepdims=True) - x,
        f["logsumexp"](x, True),
        f["logsumexp"](x * 300, False),
        f["logsumexp_of"]([x[:, :4], y, p[:4]]),
    ),
    "how many": lambda xp, f, p, x, y: (x.shape[0] * p[:3], x.shape[0] * NUMBERS, xp.sum(x, 0) / x.shape[0]),
    "known": lambda xp, f, p, x, y: (
        NUMBERS * x,
        NUMBERS - x,
        x @ NUMBERS.reshape(6, 1),
        NUMBERS,
        0.5,
        x * NUMBERS[:1],
    ),
    "unchanged": lambda xp, f, p, x, y: (p, x, x, p[2:5], x[:, 1:3]),
    "operations": lambda xp, f, p, x, y: (
        f["erf"](x),
        xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.absolute(x))),
        0.5 * x * f["erfc"](-x * math.sqrt(0.5)),
        x / (1 + xp.exp(-x)),
        xp.where(x != x, x, 1.0 * (x > 0)),
    ),
}


@pytest.mark.parametrize("samples", [1, 5, 37])
@pytest.mark.parametrize("code", CODES)
def test_code_gives_in_loops_what_it_gives_on_numpy(code, samples):
    the_same(*both(CODES[code], arguments(samples, samples)))


def test_no_samples_but_how_many():
    the_same(*both(lambda xp, f, p, n: (n * p[:3], p * p), (arguments()[0], 7)))


def test_nests_and_numbers_and_parts_that_are_written_over():
    def step(xp, f, state, rate, x):
        gradient = xp.sum(x, 0)
        state[0][2:8] -= rate[0] * gradient
        state[0][np.array([9, 11, 8])] -= rate[1] * gradient[:3]
        return gradient, state, 3.0

    p, x, _ = arguments()
    state = [p.copy(), p + 1]
    (gradient, found, three), want = both(step, (state, (0.5, 2.0), x))
    assert found[0] is state[0]
    assert found[1] is state[1]
    the_same([gradient, *found, three], [want[0], *want[1], want[2]])
    assert (state[0] != p).sum() == 9


def test_special_numbers_go_through():
    x = np.array([[0.0, -0.0, math.inf, -math.inf, math.nan, 1e308]])
    p, y = np.ones(12), np.zeros((1, 4))
    with np.errstate(all="ignore"):
        the_same(*both(CODES["elementwise"], (p, x, y)))
        the_same(*both(CODES["conditions"], (p, x, y)))
        the_same(*both(lambda xp, f, p, x, y: (xp.sum(x, 1), xp.max(x, 1), xp.max(x[:, :4], 1)), (p, x, y)))


def test_a_long_chain_is_put_down_in_between():
    def code(xp, f, p, x, y):
        for _ in range(1500):  # operations within one another would be too deep
            x = x * 0.99 + p[:6]
        return (x,)

    the_same(*both(code, arguments()))


def test_a_program_runs_in_several_threads_at_a_time():
    def code(xp, p, x):
        return x @ p.reshape(6, 2), xp.sum(x, 0)

    p, x, _ = arguments(samples=1000)
    want = LoopFunction(code)(LOOPS.xp, p, x)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            function = LoopFunction(code)  # which the first of the threads compiles
            for found in pool.map(lambda _, run=function: run(LOOPS.xp, p, x), range(8)):
                the_same(found, want)


def test_rows_that_are_read_only_or_of_a_file_are_read(tmp_path):
    p, x, _ = arguments()
    np.save(tmp_path / "x.npy", x)
    mapped = LOOPS.rows(np.load(tmp_path / "x.npy", mmap_mode="r"))
    [found] = LoopFunction(lambda xp, p, x: (x * p[:6],))(LOOPS.xp, p, mapped)
    assert found == pytest.approx(x * p[:6], rel=1e-15)


def test_what_has_no_loops_says_so():
    p, x, _ = arguments()
    with pytest.raises(NotImplementedError, match="fft"):
        LoopFunction(lambda xp, p, x: (xp.fft(x),))(LOOPS.xp, p, x)
    with pytest.raises(NotImplementedError, match="look at numbers"):
        LoopFunction(lambda xp, p, x: (x if x > 0 else p,))(LOOPS.xp, p, x)
    with pytest.raises(NotImplementedError, match="common shape"):
        LoopFunction(lambda xp, p, x: (x + p,))(LOOPS.xp, p, x)


# ---- products


@pytest.fixture(scope="module", params=[True, False], ids=["many registers", "few registers"])
def functions(request):
    """The product and the transpose of matrices, for arrays."""
    module = MachineCode(product_source(many_registers=request.param), 1)
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    kinds = [pointer, whole, whole, pointer, whole, pointer, whole, whole, whole, whole, ctypes.c_bool]
    product = ctypes.CFUNCTYPE(None, *kinds)(module.address("product"))
    transpose = ctypes.CFUNCTYPE(None, pointer, whole, pointer, whole, whole, whole)(module.address("transpose"))

    def multiply(a, b, c, adds=False):
        (row, along), rows = [stride // 8 for stride in a.strides], (b.strides[0] // 8, c.strides[0] // 8)
        product(a.ctypes.data, row, along, b.ctypes.data, rows[0], c.ctypes.data, rows[1], *c.shape, a.shape[1], adds)

    def transposed(a):
        found = np.full(a.shape[::-1], math.nan)
        transpose(a.ctypes.data, a.strides[0] // 8, found.ctypes.data, found.strides[0] // 8, *a.shape)
        return found

    yield multiply, transposed
    del module


@pytest.mark.slow
def test_products_of_all_small_sizes(functions):
    multiply, _ = functions
    generator = np.random.default_rng(0)
    sizes = random.Random(0)
    for _ in range(300):
        rows, depth, columns = (sizes.randint(1, 60) for _ in range(3))
        a, b = generator.normal(size=(rows, depth)), generator.normal(size=(depth, columns))
        for left in (a, np.asfortranarray(a)):
            around = np.full((rows + 2, columns + 3), 7.0)
            multiply(left, b, around[1:-1, 1:-2])
            assert around[1:-1, 1:-2] == pytest.approx(a @ b, rel=1e-12, abs=1e-12)
            assert (around[[0, -1]] == 7).all()
            assert (around[:, [0, -2, -1]] == 7).all()
        multiply(a, b, around[1:-1, 1:-2], adds=True)
        assert around[1:-1, 1:-2] == pytest.approx(2 * (a @ b), rel=1e-12, abs=1e-12)


def test_transposes_of_all_small_sizes(functions):
    _, transposed = functions
    for rows in range(1, 20):
        for columns in range(1, 20):
            a = np.arange(float(rows * columns)).reshape(rows, columns)
            assert (transposed(a) == a.T).all()


# ---- strides


def test_a_new_shape_is_a_view_exactly_where_numpy_needs_no_copy():
    generator = random.Random(0)
    shapes = [(12,), (3, 4), (2, 6), (2, 3, 2), (4, 3), (1, 12), (6, 1, 2), (2, 2, 3)]
    for _ in range(500):
        shape, wanted = generator.choice(shapes), generator.choice(shapes)
        axes = generator.sample(range(len(shape)), len(shape))
        array = np.arange(12.0).reshape(shape).transpose(axes)
        strides = tuple(stride // 8 for stride in array.strides)
        found = regrouped(array.shape, strides, wanted)
        reshaped = array.reshape(wanted)
        assert (found is not None) == np.shares_memory(reshaped, array)
        if found is not None:
            places = sum(np.indices(wanted)[k] * stride for k, stride in enumerate(found))
            assert (np.arange(12.0)[places] == reshaped).all()
    assert row_major((2, 3, 4)) == (12, 4, 1)
