"""Letting go of a deep graph: in a loop where Python itself would recurse from node to node until the stack is full.

CPython's own guard against that works on any stack before 3.13, and knows how much stack there is from 3.14 on. In 3.13
it takes for granted what a small thread has not, and in a browser it asks for more than the engine there has.
"""

import sys
from sys import getrefcount
from typing import Any, Final, TypeVar

RECURSES: Final = sys.version_info[:2] == (3, 13) or sys.platform == "emscripten"

Node = TypeVar("Node")


def freed_in_a_loop(cls: type[Node]) -> type[Node]:
    """The class of nodes, with a `__del__` only where Python needs it: it costs a call for each node."""
    if RECURSES:
        cls.__del__ = let_go_of_parents  # type: ignore[attr-defined]
    return cls


def let_go_of_parents(node: Any) -> None:
    """Unlink the node, and one after the other those that nobody holds but what is unlinked already."""
    if getattr(node, "op", None) is None:  # a leaf, one that was unlinked, or one that was never finished
        return
    waiting = list(node.parents)
    _unlink(node)
    while waiting:
        parent = waiting.pop()
        if getrefcount(parent) == _ALONE and parent.op is not None:
            waiting += parent.parents
            _unlink(parent)


def _unlink(node: Any) -> None:
    node.op = node._first = node._second = node._y = None


def _count_of_one_held_here() -> int:
    """What `getrefcount` says, in the place where it is asked above, of a thing that nobody else holds."""
    waiting = [object()]
    while waiting:
        parent = waiting.pop()
        if count := getrefcount(parent):
            return count
    return 0


_ALONE: Final = _count_of_one_held_here()
