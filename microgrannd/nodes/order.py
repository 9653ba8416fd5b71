"""The order of a graph: parents before children, without recursion, so that depth is bounded by memory alone.

Both functions visit parents in their order, so straight-line code comes out as it was written.
"""

from itertools import count
from typing import Any, TypeAlias

from microgrannd.ground.arguments import truth, wrong
from microgrannd.ground.modes import opened
from microgrannd.nodes.refusing import refuse_unrecorded, refuse_while_tracing

Node: TypeAlias = Any  # a Value, which stands above

_passes = count(1)


def topological_order(*roots: Node, leaves: bool = True) -> list[Node]:
    """All nodes that the roots depend on, each once, parents before children.

    >>> from microgrannd import Value
    >>> x = Value(2.0, label="x")
    >>> [node.data for node in topological_order((x + 1) * x)]
    [2.0, 1.0, 3.0, 6.0]
    """
    for root in roots:
        if not hasattr(root, "op") or isinstance(root, type):
            raise wrong("Each root", "a Value", root)
    if leaves.__class__ is not bool:
        leaves = truth("leaves", leaves)
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node] = [*reversed(roots)]
    while stack:
        node = stack.pop()
        if node is None:  # all that the node below depends on is in place
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            if node.op is None:
                if leaves:
                    order.append(node)
                continue
            stack.append(node)
            stack.append(None)
            first, second = node._first, node._second
            if second is not None and (leaves or second.op is not None) and second not in seen:
                stack.append(second)  # before the first, so that the first is visited first
            if first is None:
                parents = node._y
                if not seen.issuperset(parents):
                    stack += [parent for parent in reversed(parents) if parent not in seen]
            elif (leaves or first.op is not None) and first not in seen:
                stack.append(first)
    return order


def started(root: Node, upstream: float) -> list[Node]:
    """`topological_order(root, leaves=False)` for `backward()`: all gradients 0, the root's `upstream`."""
    if opened:
        refuse_while_tracing("backward")
    this_pass = next(_passes)
    order: list[Node] = []
    unfinished: list[Node] = []  # the path from the output to where we are
    waiting: list[list[Node]] = []  # for each node on it with many parents, those to visit yet, the first one last
    node = root
    while True:
        node._pass = this_pass  # a mark costs half as much as a set of the nodes that were visited
        if node.op is not None:
            node._grad = 0.0
            unfinished.append(node)
            first = node._first
            if first is None:
                parents, unseen = node._y, []
                for parent in reversed(parents):  # a loop, because a comprehension takes longer
                    if parent._pass != this_pass:
                        unseen.append(parent)
                if unseen:
                    waiting.append(unseen)
                else:
                    order.append(unfinished.pop())
            elif first._pass != this_pass:
                node = first
                continue
        while unfinished:
            last = unfinished[-1]
            following = last._second
            if following is None and last._first is None:
                while waiting[-1]:
                    following = waiting[-1].pop()
                    if following._pass != this_pass:
                        break
                else:
                    waiting.pop()
            if following is not None and following._pass != this_pass:
                node = following
                break
            order.append(unfinished.pop())  # all that it depends on is in place
        else:
            if not order:
                refuse_unrecorded(root)
            root._grad += upstream
            return order
