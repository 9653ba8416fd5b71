"""Roots of sums of squares, as NumPy adds them up, told by their graph: they are norms, which have a slope at 0."""

import math
from typing import Any

from microgrannd import operations as ops


def root_of_squares(node: Any) -> Any:
    """The norm, or a multiple of one, that the root of this node is; None where the node is no sum of squares."""
    if not hasattr(node, "parents"):  # a formula
        return None
    count = 1.0
    if node.op is ops.div and (number := _constant(node.parents[1])) is not None and number > 0:
        node, count = node.parents[0], number
    sides, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        if node.op in (ops.add, ops.sum):
            waiting += reversed(node.parents)
        elif (side := _side(node)) is not None:
            sides.append(side)
        else:
            return None
    norm = ops.norm(sides)
    return norm if count == 1.0 else norm / math.sqrt(count)


def _side(node: Any) -> Any:
    """What the node is the square of; None where it is no square."""
    if node.op is None:
        number = _constant(node)
        return math.sqrt(number) if number is not None and number >= 0.0 else None
    base, *others = node.parents
    squared = {ops.square: True, ops.mul: others and others[0] is base, ops.pow: others and _constant(others[0]) == 2.0}
    return base if squared.get(node.op) else None


def _constant(node: Any) -> float | None:
    """The number of a constant; no NaN for what is none, since NumPy, who calls this, would report a comparison."""
    return float(node._data) if node.is_constant else None
