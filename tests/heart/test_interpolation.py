"""`interp` against numpy.interp and jax.numpy.interp, at knots, between and outside of them, eager and compiled."""

import math
from math import inf, nan

import pytest

import microgrannd as mg
from microgrannd import Value
from tests.libraries import needs

np = pytest.importorskip("numpy")

KNOTS, HEIGHTS = [0.0, 1.0, 2.5, 4.0], [1.0, 3.0, -1.0, 0.5]
PLACES = [-1.0, -0.0, 0.0, 0.3, 1.0, 2.0, 2.5, 3.9, 4.0, 5.0, inf, -inf]


@pytest.mark.parametrize("x", [*PLACES, nan, 5e-324, 1e308])
def test_it_is_numpys_number_for_number(x):
    assert repr(mg.interp(x, KNOTS, HEIGHTS)) == repr(float(np.interp(x, KNOTS, HEIGHTS)))
    assert repr(mg.interp(Value(x), KNOTS, HEIGHTS).data) == repr(float(np.interp(x, KNOTS, HEIGHTS)))
    assert repr(mg.interp(x, KNOTS, HEIGHTS, 7, 8)) == repr(float(np.interp(x, KNOTS, HEIGHTS, 7, 8)))


def test_a_period_sorts_the_points_and_goes_around():
    points = [10.0, 350.0, 90.0], [1.0, 2.0, 3.0]
    for x in (-20.0, 0.0, 10.0, 50.0, 355.0, 360.0, 1000.0):
        assert mg.interp(x, *points, period=360) == pytest.approx(np.interp(x, *points, period=360), rel=1e-15)
    assert mg.grad(lambda x: mg.interp(x, *points, period=360))(0.0) == pytest.approx(-1 / 20, rel=1e-15)


@pytest.mark.parametrize("x", PLACES[:-2])
def test_the_gradients_by_x_by_the_heights_and_by_the_knots_are_those_of_jax(x):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)

    def heights_last(interp):
        return lambda x, xp, fp: interp(x, xp, fp)

    ours = mg.grad(heights_last(mg.interp), argnums=(0, 1, 2))(x, KNOTS, HEIGHTS)
    theirs = jax.grad(heights_last(jax.numpy.interp), argnums=(0, 1, 2))(x, np.array(KNOTS), np.array(HEIGHTS))
    assert ours[0] == pytest.approx(float(theirs[0]))
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine == pytest.approx(other.tolist())


@pytest.mark.parametrize(("x", "slope"), [(0.0, 2.0), (1.0, -8 / 3), (4.0, 1.0), (-1.0, 0.0), (9.0, 0.0)])
def test_at_a_knot_the_slope_is_that_on_its_right_and_at_the_last_that_on_its_left(x, slope):
    assert mg.grad(lambda x: mg.interp(x, KNOTS, HEIGHTS))(x) == pytest.approx(slope, rel=1e-15)


@pytest.mark.parametrize("backend", ["python", "native", "numpy", "jax", "torch"])
def test_compiled_it_is_the_same_at_every_place(backend):
    if backend != "python":
        needs(backend)
    heights = [Value(y) for y in HEIGHTS]
    program = mg.compile(lambda x: mg.interp(x, KNOTS, heights), backend=backend)
    program(0.3)
    for x in [*PLACES, nan]:
        value, (slope,) = program.value_and_gradients(x)
        y = mg.interp(variable := Value(x), KNOTS, heights)
        y.backward()
        assert value == pytest.approx(y.data, rel=1e-14, nan_ok=True)
        assert slope == pytest.approx(variable.grad, rel=1e-14)
    everything = mg.compile(mg.interp, backend=backend)
    value, gradients = everything.value_and_gradients(2.0, KNOTS, HEIGHTS)
    expected = mg.grad(mg.interp, argnums=(0, 1, 2))(2.0, KNOTS, HEIGHTS)
    assert [list(map(float, np.ravel(g))) for g in gradients] == [
        pytest.approx(list(np.ravel(g)), rel=1e-14, abs=1e-15) for g in expected
    ]


def test_arrays_and_numpys_own_name():
    xs = np.array([-1.0, 0.3, 9.0])
    assert mg.interp(xs, KNOTS, HEIGHTS).tolist() == np.interp(xs, KNOTS, HEIGHTS).tolist()
    assert mg.grad(lambda x: mg.interp(x, KNOTS, HEIGHTS).sum())(xs).tolist() == [0.0, 2.0, 0.0]
    assert np.interp(Value(0.3), KNOTS, HEIGHTS).data == 1.6
    assert mg.grad(lambda x: np.interp(x, KNOTS, HEIGHTS))(0.3) == 2.0


def test_one_point_is_a_flat_line():
    assert mg.interp(3.0, [1.0], [2.0]) == 2.0
    assert mg.value_and_grad(lambda x: mg.interp(x, [1.0], [2.0]))(1.0) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.0, [1.0, 1.0], [2.0, 3.0]), ValueError, "an xp that increases"),
        ((1.0, [2.0, 1.0], [2.0, 3.0]), ValueError, "an xp that increases"),
        ((1.0, [0.0, nan], [2.0, 3.0]), ValueError, "an xp that increases"),
        ((1.0, [1.0], [2.0, 3.0]), ValueError, "got 2 fp and 1 xp"),
        ((1.0, [], []), ValueError, "one at least"),
        (("a", [1.0], [2.0]), TypeError, "real number"),
        ((1.0, [1.0], [2.0], None, None, 0), ValueError, "period other than 0"),
    ],
)
def test_what_is_no_table_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        mg.interp(*arguments)


def test_the_check_of_increase_holds_while_tracing():
    with pytest.raises(ValueError, match="an xp that increases"):
        mg.compile(lambda x: mg.interp(x, [1.0, 0.0], [0.0, 1.0]), backend="python")(1.0)
    assert math.isnan(mg.interp(nan, KNOTS, HEIGHTS))
