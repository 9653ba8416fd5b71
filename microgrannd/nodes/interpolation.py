"""A function of one number that is given by a table of points, with straight lines between them."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import lt
from typing import Any

from microgrannd import operations as ops
from microgrannd.ground import modes
from microgrannd.ground.arguments import list_of
from microgrannd.operations import as_float


def interp(
    x: Any, xp: Iterable[Any], fp: Iterable[Any], left: Any = None, right: Any = None, period: float | None = None
) -> Any:
    """What `numpy.interp` gives: the height at x of the straight lines through the points (xp, fp).

    `xp` increases. Below its first it is `left` (None: the first fp), above its last `right` (None: the last fp). With
    a `period` the points repeat, in any order. x is a number, a Value or an array of them; Values among xp and fp have
    gradients too. At a knot the slope is that on its right, at the last knot that on its left, outside it is 0.
    Raises ValueError where xp does not increase, or where xp and fp are not of one length.

    >>> interp(2.5, [1.0, 2.0, 4.0], [0.0, 10.0, 20.0])
    12.5
    >>> from microgrannd import Value
    >>> height = Value(10.0)
    >>> interp(2.5, [1.0, 2.0, 4.0], [0.0, height, 20.0]).backward()
    >>> height.grad
    0.75
    """
    knots, heights = [list(map(_number, list_of(name, thing))) for name, thing in (("xp", xp), ("fp", fp))]
    if len(knots) != len(heights) or not knots:
        raise ValueError(f"interp takes as many fp as xp, one at least; got {len(heights)} fp and {len(knots)} xp.")
    if getattr(x, "shape", ()):
        numpy = sys.modules["numpy"]
        found = numpy.frompyfunc(lambda one: interp(one, knots, heights, left, right, period), 1, 1)(x)
        return found.astype(float) if all(isinstance(one, float) for one in found.flat) else found
    x = _number(x)
    if period is not None:
        x, knots, heights = _periodic(x, knots, heights, abs(as_float(period)))
        left = right = None
    tracing = modes.opened and modes.current.trace is not None
    places = [_place(knot) for knot in knots]
    if not (tracing and any(hasattr(knot, "record") for knot in knots)) and not all(map(lt, places, places[1:])):
        raise ValueError(f"interp takes an xp that increases, got {places}.")
    left, right = heights[0] if left is None else _number(left), heights[-1] if right is None else _number(right)
    if tracing:
        return _by_choices(x, knots, heights, left, right)
    place = _place(x)
    if place < places[0] or place > places[-1]:
        outside = left if place < places[0] else right
        return ops.where(0.0, x, outside)  # a Value if x is one, and flat
    return _line(x, knots, heights, bisect_right(places, place) - 1 if place == place else 0)


def _number(thing: Any) -> Any:
    return thing if hasattr(thing, "record") else as_float(thing)


def _place(thing: Any) -> float:
    return float(thing._data) if hasattr(thing, "record") else float(thing)


def _line(x: Any, knots: Sequence[Any], heights: Sequence[Any], i: int) -> Any:
    """The line from knot i on; from the last one that which ends there, so that its height is exact."""
    if len(knots) == 1:
        return ops.where(0.0, x, heights[0])
    start = min(i, len(knots) - 2)
    slope = (heights[start + 1] - heights[start]) / (knots[start + 1] - knots[start])
    return slope * (x - knots[i]) + heights[i]


def _by_choices(x: Any, knots: Sequence[Any], heights: Sequence[Any], left: Any, right: Any) -> Any:
    """The same without a look at x."""
    found = _line(x, knots, heights, 0)
    for i in range(1, len(knots)):
        found = ops.where(ops.greater_equal(x, knots[i]), _line(x, knots, heights, i), found)
    found = ops.where(ops.less(x, knots[0]), left, found)
    return ops.where(ops.greater(x, knots[-1]), right, found)


def _periodic(x: Any, knots: Sequence[Any], heights: Sequence[Any], period: float) -> tuple[Any, list[Any], list[Any]]:
    if not period:
        raise ValueError("interp takes a period other than 0.")
    points = sorted(
        zip([ops.mod(knot, period) for knot in knots], heights, strict=True), key=lambda point: _place(point[0])
    )
    (first, first_height), (last, last_height) = points[0], points[-1]
    points = [(last - period, last_height), *points, (first + period, first_height)]
    return ops.mod(x, period), [knot for knot, _ in points], [height for _, height in points]
