"""The slope of a function of one number, found from its values alone, and how far it can be trusted.

A step h gives a slope to the right, a slope to the left, and the central one between them. Taken at h, h/2 and
h/4 they are extrapolated to h = 0: the central ones as polynomials in h², the others in h (L. F. Richardson,
Phil. Trans. A 210, 1911). What the last extrapolation still changed is the error (C. J. F. Ridders, Adv. Eng.
Software 4, 1982).

Wide steps are exact for a smooth function and blind to anything narrower; narrow steps see everything, through
rounding. So the answer of wide steps counts only if the narrowest step that rounding permits agrees, and a kink or a
jump only if it is still there at that step. Where they disagree, the search starts from the narrowest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

EPSILON = 2.0**-52
WIDEST = 0.739 / 256  # of x's size, and no round number: sin(2π·1024·x) has the same value every 1/1024
KINK, NOISE = "not differentiable here", "too noisy to tell"


class Estimate(NamedTuple):
    """A slope and its probable error; how steep f is where it was found, and at most; or why there is no telling."""

    slope: float
    error: float = math.inf
    steepness: float = math.nan
    steepest: float = math.nan
    doubt: str = ""


class _Pair(NamedTuple):
    """The slopes at one step, and what rounding may have done to the central one."""

    right: float
    left: float
    central: float
    rounding: float

    @property
    def gap(self) -> float:
        return abs(self.right - self.left)

    @property
    def steepness(self) -> float:
        return max(abs(self.right), abs(self.left))


class _Window(NamedTuple):
    """The slopes at h, h/2 and h/4, and what they tend to."""

    step: float
    pairs: tuple[_Pair, _Pair, _Pair]
    slope: float
    error: float

    @property
    def narrowest(self) -> _Pair:
        return self.pairs[2]

    @property
    def is_finite(self) -> bool:
        return all(math.isfinite(pair.gap) for pair in self.pairs)

    @property
    def is_swamped(self) -> bool:
        """Whether rounding is more than a thousandth of what is measured."""
        return not self.narrowest.rounding <= 1e-3 * self.narrowest.steepness

    @property
    def closes(self) -> bool:
        """Whether the slopes to the right and to the left approach each other, as where a function is smooth."""
        return self.narrowest.gap <= 0.55 * self.pairs[0].gap + 6 * self.narrowest.rounding

    @property
    def converges(self) -> bool:
        return self.closes and self.error <= 0.01 * self.narrowest.steepness

    @property
    def breaks(self) -> bool:
        """Whether there is a kink (the gap stays), or a jump or an infinite slope (the slopes grow as h shrinks)."""
        if not self.is_finite or self.is_swamped:
            return False
        wide, middle, narrow = self.pairs
        stays = not self.closes and abs(narrow.gap - wide.gap) <= 0.3 * narrow.gap
        if self.converges or stays or not 0 < wide.steepness < middle.steepness < narrow.steepness:
            return stays
        growth, before = narrow.steepness / middle.steepness, middle.steepness / wide.steepness
        return growth > 1.01 and abs(growth - before) <= 0.1 * (growth - 1)


class _Surroundings:
    """A function near a point. Each step is tried once."""

    def __init__(self, f: Callable[[float], float], x: float, value: float, noise: float, claimed: float) -> None:
        self.f, self.x, self.value = f, x, value
        # Where f is steeper than it is at x, rounding is as if x moved by this.
        self.blur = min(EPSILON * abs(x), noise / abs(claimed)) if claimed else EPSILON * abs(x)
        self.noise = max(noise, EPSILON * abs(value), 4 * math.ulp(0.0))
        self.floor = max(abs(x) * 2.0**-46, 64 * math.ulp(0.0)) if x else 1e-60
        self.tried: dict[float, _Pair] = {}
        self.widest = _wide_steps(x)[0]

    def pair(self, h: float) -> _Pair:
        if h not in self.tried:
            above, below = self.x + h, self.x - h
            high, low, up, down = self.f(above), self.f(below), above - self.x, self.x - below
            right, left = (high - self.value) / up, (self.value - low) / down
            rounded = max(EPSILON * abs(high), EPSILON * abs(low), self.blur * abs(right), self.blur * abs(left))
            rounding = max(self.noise, rounded) / h
            self.tried[h] = _Pair(right, left, (right * down + left * up) / (up + down), rounding)
        return self.tried[h]

    def window(self, h: float) -> _Window:
        digit = 4 * math.ulp(abs(self.x) + h)
        h = round(h / digit) * digit if h < 2**50 * digit else h  # so that x ± h/4 is exact
        wide, middle, narrow = pairs = self.pair(h), self.pair(h / 2), self.pair(h / 4)
        rounding = narrow.rounding
        central, error = _limit(wide.central, middle.central, narrow.central, 4, rounding)
        right, above = _limit(wide.right, middle.right, narrow.right, 2, 3 * rounding)
        left, below = _limit(wide.left, middle.left, narrow.left, 2, 3 * rounding)
        joint = max(above, below) + abs(right - left) / 2
        if joint < error:  # where the slope has a kink, as that of relu(x)² has
            central, error = (right + left) / 2, joint
        return _Window(h, pairs, central, error + max(0.0, narrow.gap - 0.55 * wide.gap) / 5)

    def estimate(self, window: _Window, doubt: str = "") -> Estimate:
        steepest = max(pair.steepness for pair in self.tried.values() if math.isfinite(pair.steepness))
        return Estimate(window.slope, window.error, window.pairs[0].steepness, steepest, doubt)

    def is_settled(self, window: _Window, precision: float) -> bool:
        """Whether the slope is as precise as wanted, or all that is left is the rounding of f here."""
        rounding = window.narrowest.rounding
        return window.closes and (
            window.error <= precision * abs(window.slope)
            or window.error <= 2 * rounding <= 16 * self.noise / window.step
        )

    def narrowest_step(self, steepness: float) -> float:
        """The step at which rounding comes to a millionth of the slope."""
        return max(self.floor, self.noise / (1e-6 * steepness) if steepness else self.widest * 2.0**-40)

    def agrees_below(self, window: _Window) -> bool:
        """Whether narrower steps, as far down as rounding permits, give the slope that the window has found."""
        narrow = self.narrowest_step(window.pairs[0].steepness)
        for h in (
            narrow,
            max(self.floor, 1e-3 * narrow),
        ):  # where rounding is a millionth and a thousandth of the slope
            self.pair(min(window.step / 17.3, h))  # no power of 2: what repeats itself would look flat
        left = abs(window.narrowest.central - window.slope) + window.error  # a narrower step is closer still
        return all(
            abs(pair.central - window.slope) <= left + 10 * (window.error + pair.rounding)
            and pair.gap <= window.narrowest.gap + 20 * pair.rounding
            for h, pair in self.tried.items()
            if h < window.step / 4
        )

    def jump_beside(self, window: _Window) -> float:
        """The height of the jump by which f leaves the line of the window, as by a step of rounding; 0 if in a bend."""

        def departure(t: float) -> float:
            return abs(self.f(self.x + t) - self.value - window.slope * ((self.x + t) - self.x))

        h = window.step
        while h < self.widest:
            h *= 2
            for low, high in ((0.0, h), (0.0, -h)):
                height = departure(high)
                if not 10 * (h * window.error + self.noise) < height < math.inf:
                    continue
                for _ in range(32):
                    middle = (low + high) / 2
                    low, high = (low, middle) if departure(middle) > height / 2 else (middle, high)
                jump = departure(high) - departure(low)
                return jump if jump > height / 4 else 0.0
        return 0.0

    def breaks_at(self, window: _Window) -> bool:
        """Whether there is a kink or a jump in the window, and at each narrower step that lets it be seen."""
        if window.narrowest.gap > 0:
            self.pair(max(self.floor, 40 * self.noise / window.narrowest.gap))
        return window.breaks and all(
            pair.gap >= 0.5 * window.narrowest.gap - 10 * pair.rounding
            and pair.steepness >= 0.5 * window.narrowest.steepness - 10 * pair.rounding
            for h, pair in self.tried.items()
            if h < window.step / 4
        )


def estimated_slope(
    f: Callable[[float], float], x: float, value: float, noise: float, claimed: float = 0.0, precision: float = 1e-8
) -> Estimate:
    """The derivative of f at x, where it has that value.

    `noise` bounds what rounding does to a value of f nearby; `claimed` is what the derivative is said to be. A
    smooth function is evaluated ten times, a difficult one some sixty times.

    >>> estimated_slope(lambda x: x * x, 3.0, 9.0, 1e-15).slope
    6.0
    >>> estimated_slope(abs, 0.0, 0.0, 0.0).doubt
    'not differentiable here'
    """
    if not math.isfinite(value):
        return Estimate(math.nan, doubt=KINK)
    found, window, near = _search(_Surroundings(f, x, value, noise, claimed), precision)
    if found.doubt == KINK or abs(found.slope - claimed) <= 1e-3 * abs(claimed):
        return found
    height = near.jump_beside(window)  # an operation may round more than it shows
    if height > 2 * near.noise:
        found, window, near = _search(_Surroundings(f, x, value, height, claimed), precision)
    # Where the slope is not precise, a wider step may well have given the one that is claimed.
    seen = any(abs(pair.central - claimed) <= 1e-3 * abs(claimed) for pair in near.tried.values())
    return found._replace(doubt=NOISE) if seen and found.error > 1e-5 * abs(found.slope) else found


def _search(near: _Surroundings, precision: float) -> tuple[Estimate, _Window, _Surroundings]:
    for h in _wide_steps(near.x):
        window = near.window(h)
        if near.is_settled(window, precision):
            if near.agrees_below(window):
                is_flat = window.pairs[0].steepness == 0
                window = window if is_flat else _refined(near, window, precision)[0]
                return near.estimate(window), window, near
            break
    return *_from_the_narrowest(near, precision), near


def _from_the_narrowest(near: _Surroundings, precision: float) -> tuple[Estimate, _Window]:
    """The slope where wide steps do not tell, and the window it is from."""
    narrowest = near.window(_descent(near, near.widest))
    if not narrowest.is_finite:
        return Estimate(narrowest.slope, doubt=KINK), narrowest
    if near.breaks_at(narrowest):
        return near.estimate(narrowest, KINK), narrowest
    best, widest = _refined(near, narrowest, precision)
    if best.closes and 10 * best.error <= 1e-5 * abs(best.slope) and near.agrees_below(best):
        return near.estimate(best), best
    clear = narrowest
    while clear.is_swamped and clear.step < near.widest:
        clear = near.window(8 * clear.step)
    if near.breaks_at(clear) or near.breaks_at(widest):
        return near.estimate(clear, KINK), clear
    if best.pairs[0].steepness == 0:  # no more than the last digit, which stays the same?
        return near.estimate(best, NOISE if widest.is_finite else KINK), best
    return near.estimate(best, "" if best.closes and near.agrees_below(best) else NOISE), best


def _descent(near: _Surroundings, h: float) -> float:
    """The narrowest step worth trying: the function is smooth on that scale, or rounding swamps it."""
    while h > near.floor:
        window = near.window(h)
        if not window.is_finite:
            h = h / 16 if near.window(near.floor).is_finite else near.floor
            continue
        narrowest = near.narrowest_step(window.narrowest.steepness)
        if window.closes and (window.is_swamped or narrowest > h / 16) and near.agrees_below(window):
            break
        h = min(h / 16, narrowest)
    return max(h, near.floor)


def _refined(near: _Surroundings, window: _Window, precision: float) -> tuple[_Window, _Window]:
    """The most precise of the windows around this one that agree with it, and the widest one tried."""
    best = window
    while best.closes and best.error > 2 * best.narrowest.rounding:
        narrower = near.window(best.step / 2)
        if not (narrower.closes and narrower.error < best.error and best.step > near.floor):
            break
        best = narrower
    while window.closes and window.step < 64 * near.widest:
        steepness = best.narrowest.steepness
        if best.error <= precision * max(abs(best.slope), 1e-3 * steepness):
            break
        window = near.window(2 * window.step)
        if not abs(window.slope - best.slope) <= 10 * (window.error + best.error) or window.error > 10 * best.error:
            break
        if window.closes and window.error < best.error:
            best = window
    return best, window


def _wide_steps(x: float) -> list[float]:
    sizes = {max(abs(x), 1.0), abs(x) or 1.0}
    steps = {WIDEST * 2.0 ** math.frexp(size)[1] for size in sizes}
    return sorted(steps | {h / 16 for h in steps}, reverse=True)


def _limit(wide: float, middle: float, narrow: float, factor: int, rounding: float) -> tuple[float, float]:
    """What three numbers tend to whose error shrinks by a factor, and an estimate of the error left."""
    first = middle + (middle - wide) / (factor - 1)
    second = narrow + (narrow - middle) / (factor - 1)
    limit = second + (second - first) / (factor**2 - 1)
    excess = abs(narrow - middle) - 1.2 / factor * abs(middle - wide)
    if excess > 4 * rounding:  # they do not shrink as they should
        return limit, abs(middle - wide) + abs(narrow - middle)
    return limit, abs(limit - second) + 2 * max(0.0, excess) + rounding / 2
