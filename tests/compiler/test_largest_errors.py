"""What rows promise of their exactness (`ulps`), on which `error_bounds` relies: a search for larger errors.

It draws arguments in every binade and then climbs, from the worst that it has found to its neighbours. The error is
counted in units in the last place of 2^-52 of the result, as the bounds count it.
"""

import math
import sys
from random import Random

import mpmath as mp
import pytest

from microgrannd.operations import TABLE
from tests.oracles import closed_form

PROMISES = {
    name: row
    for name, row in TABLE.items()
    if row.ulps and not row.vectors and not row.flag and closed_form(name) and name not in ("contribution", "lbeta")
}
RIGHT_OF_ZERO = ("lgamma", "digamma", "polygamma")  # left of it nothing is promised
REACH = {  # how large arguments can be that do not overflow, or lose all that mpmath knows of them
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), 10),
    **{"gamma": 7.4, "polygamma": 60, "erfc": 4.8, "erf": 3, "erfinv": 0, "asin": 0, "acos": 0, "atanh": 0, "tanh": 5},
    **dict.fromkeys(("sin", "cos", "tan"), 60),
}


def argument(name, random):
    """A number of any size that the function may take; half of them near to 1, or to where sine and cosine are 0."""
    if random.random() < 0.3:
        near = random.choice((1.0, -1.0, 0.5, 2.0, random.randint(-40, 40) * math.pi / 2))
        return near * (1 + random.choice((-1, 1)) * 2.0 ** random.uniform(-50, -1))
    return random.choice((-1, 1)) * 2.0 ** random.uniform(-60, min(REACH.get(name, 300), 300))


def arguments(name, row, random):
    if name == "polygamma":
        return float(random.randint(0, 6)), abs(argument(name, random))
    if name == "pow":
        x, y = abs(argument("log", random)), random.choice((random.uniform(-4, 4), random.randint(-6, 6) * 1.0))
        return x, y
    if name in ("hypot", "atan2"):
        x = argument("log", random)
        return x, random.choice((-1, 1)) * x * 2.0 ** random.uniform(-30, 30)
    if name in ("mod", "floordiv"):
        x = argument("log", random)
        return x, x * 2.0 ** random.uniform(-80, 3) * random.choice((-1, 1))
    found = [argument(name, random) for _ in row.inputs]
    return tuple(map(abs, found)) if name in (*RIGHT_OF_ZERO, "log", "log2", "log10", "sqrt") else tuple(found)


def error(row, exact, numbers):
    """In units; 0 where there is nothing to compare: no number, no normal float."""
    try:
        found = float(row.forward(*numbers))
        wanted = exact(*map(mp.mpf, numbers))
    except (OverflowError, ValueError, ZeroDivisionError):
        return 0.0
    if not (isinstance(wanted, mp.mpf) and mp.isfinite(wanted) and math.isfinite(found)):
        return 0.0
    if not sys.float_info.min < abs(wanted) < sys.float_info.max:
        return 0.0
    return float(abs(wanted - mp.mpf(found)) / abs(found or wanted) * 2**52)


def neighbour(x, random):
    return x * (1 + random.choice((-1, 1)) * 2.0 ** random.uniform(-52, -6)) if random.random() < 0.8 else x


def largest(name, tries, seed=0):
    """The largest error that was found, and where."""
    row, exact, random = PROMISES[name], closed_form(name), Random(f"{name} {seed}")
    with mp.workdps(120 if name in ("sin", "cos", "tan", "mod", "floordiv") else 50):
        drawn = (arguments(name, row, random) for _ in range(tries))
        best = sorted(((error(row, exact, numbers), numbers) for numbers in drawn), reverse=True)[:8]
        for k in range(tries):
            _, numbers = best[k % len(best)]
            fixed = numbers[:1] if name == "polygamma" else ()
            moved = (*fixed, *[neighbour(x, random) for x in numbers[len(fixed) :]])
            if (found := error(row, exact, moved)) > best[-1][0]:
                best = sorted([*best[:-1], (found, moved)], reverse=True)
    return best[0]


@pytest.mark.parametrize("name", PROMISES)
def test_no_error_is_larger_than_its_row_promises(name):
    found, numbers = largest(name, 40)
    assert found <= promised(name, numbers), numbers


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("name", PROMISES)
def test_nor_after_a_longer_search(name, seed):
    found, numbers = largest(name, 1_000, seed)
    assert found <= promised(name, numbers), numbers


def promised(name, numbers):
    return 3.0 + numbers[0] if name == "polygamma" else PROMISES[name].ulps


def test_the_search_finds_a_promise_that_is_too_small():
    assert largest("tanh", 300)[0] > 0.9  # and so would find out a row that promises 0.55, as exp does
    assert largest("floordiv", 2_000)[0] > 1.0
