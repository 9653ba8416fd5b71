"""Roots of sums of squares, as NumPy adds them up, told by their graph: they are norms, which have a slope at 0."""

import math
from typing import Any

from microgrannd import operations as ops


def root_of_squares(node: Any) -> Any:
    """The norm that the root of this node is, or a multiple of one; None where the node is no sum of squares."""
    scale = 1.0
    if getattr(node, "op", None) is ops.div and node.parents[1].is_constant and node.parents[1]._data > 0:
        node, scale = node.parents[0], math.sqrt(node.parents[1]._data)
    terms, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        operation, parents = getattr(node, "op", None), getattr(node, "parents", ())
        if operation in (ops.add, ops.sum):
            waiting += reversed(parents)
        elif operation is ops.square or (operation is ops.mul and parents[0] is parents[1]):
            terms.append(parents[0])
        elif operation is ops.pow and parents[1].is_constant and parents[1]._data == 2.0:
            terms.append(parents[0])
        elif operation is None and getattr(node, "is_constant", False) and node._data >= 0.0:
            terms.append(math.sqrt(node._data))
        else:
            return None
    found = ops.norm(terms)
    return found / scale if scale != 1.0 else found
