"""micrograd's own words for a node, for the programs that were written for it: a door beside the engine.

`_prev`, `_op` and `_backward` are views of what a node has anyway; nothing is kept for them. Nodes by hand, whose
number and local gradients the caller has worked out, are nodes like any other: their operation is a `ByHand`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Final, ParamSpec

from microgrannd import operations as ops
from microgrannd.ground.arguments import function_of, shown, text
from microgrannd.ground.errors import GradientError
from microgrannd.ground.modes import UNNAMED, Origin, opened
from microgrannd.nodes.observing import observed
from microgrannd.nodes.refusing import refuse_while_tracing
from microgrannd.operations import Operation, as_float, contributed

_UNSAID: Final = "by hand"  # the symbol of a node that was made without one
_tuple: Final[Callable[..., Any]] = tuple.__new__  # a third of what `Origin(...)` costs
_SPELLED: Final = {ops.relu: "ReLU"}


class ByHand(Operation):
    """What made a node that was made by hand: its local gradients are numbers, or nobody knows them."""

    __slots__ = ("count", "slopes")

    def __init__(self, symbol: str, count: int, slopes: tuple[float, ...] | None) -> None:
        def local_gradients(*inputs_and_out: Any) -> tuple[Any, ...]:
            *inputs, out = inputs_and_out
            if slopes is None:
                raise GradientError(
                    f"A node ({symbol}) was made by hand with {count} parents and without their local gradients, so it "
                    "passes nothing on: make it as Value(data, parents, local_gradients), or set its _backward."
                )
            if not hasattr(out, "parents"):  # numbers, or names for a text
                return slopes
            return tuple([_once_differentiated(symbol, slope, inputs, out) for slope in slopes])

        super().__init__(symbol or _UNSAID, _not_computed, local_gradients)
        self.count, self.slopes = count, slopes

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names for the inputs, which have none."""
        return tuple([f"x{i}" for i in range(self.count)])


def _not_computed(*inputs: float) -> float:
    raise GradientError(
        "A node that was made by hand has the number that it was given, and cannot be computed again from others: "
        "say how it is computed in operations, or as an mg.Operation of your own."
    )


def _once_differentiated(symbol: str, slope: float, inputs: list[Any], out: Any) -> Any:
    """A local gradient as a graph: its number, with parents of which nobody knows how it depends on them."""
    operation = ByHand(f"slope of {symbol}", len(inputs), None)
    operation.forward = lambda *numbers: slope
    node = out.record(operation, tuple(inputs))
    operation.forward = _not_computed
    return node


class AsInMicrograd:
    """The attributes that micrograd's nodes have, for programs that read or set them."""

    __slots__ = ()

    @property
    def _prev(self: Any) -> set[Any]:
        """The parents as a set; `parents` has them in order, one for each use."""
        parents = self.parents
        return {parents[0]} if _is_power(self) else set(parents)

    @_prev.setter
    def _prev(self: Any, children: Iterable[Any]) -> None:
        _refuse_computed(self, "_prev")
        parents, known = _parents("_prev", children), isinstance(self.op, ByHand)
        if parents or known:
            _make(self, self.op.symbol if known else _UNSAID, parents, None)

    @property
    def _op(self: Any) -> str:
        """The operation as micrograd writes it: `*`, `**2`, `ReLU`; "" for a leaf."""
        if self.op is None or self.op.symbol == _UNSAID:
            return ""
        return f"**{self.inputs[1]:g}" if _is_power(self) else _SPELLED.get(self.op, self.op.symbol)

    @_op.setter
    def _op(self: Any, symbol: str) -> None:
        _refuse_computed(self, "_op")
        if text("_op", symbol) or self.op is not None:
            _make(self, symbol or _UNSAID, self.parents, getattr(self.op, "slopes", None))

    @property
    def _children(self: Any) -> tuple[Any, ...]:
        return self.parents  # type: ignore[no-any-return]

    @property
    def _local_grads(self: Any) -> tuple[float, ...]:
        return tuple([local_gradient() for local_gradient in self.local_gradients])

    @property
    def _backward(self: Any) -> Callable[[], None]:
        """A function that adds upstream × local gradient to each parent's gradient, for this node alone."""
        return partial(_pass_on, self)

    @_backward.setter
    def _backward(self: Any, closure: Callable[[], None]) -> None:
        refuse_while_tracing("hand")
        parents, slopes = _slopes(self, function_of("_backward", closure))
        if parents:
            _make(self, self.op.symbol, parents, slopes)


def named_or_by_hand(leaf: Any, children: Any, op: Any, label: str) -> None:
    """Make a leaf what `Value(data, children, op, label)` says, where `op` may be the local gradients.

    A str in the place of the children is a label. Raises TypeError for what is neither, ValueError for local
    gradients that are not one for each parent.
    """
    if children is not UNNAMED or op is not UNNAMED:
        if isinstance(children, str) and label is UNNAMED:
            children, label = (), children
        elif not isinstance(children, Iterable):
            text("label", children)
        parents: tuple[Any, ...]
        slopes: tuple[float, ...] | None
        given = () if isinstance(children, str) and not children else children  # an array says not if it is empty
        parents, slopes, symbol = _parents("_children", given), None, op
        if not isinstance(op, str):
            slopes, symbol = _local_gradients(op, len(parents)), UNNAMED
        if parents or symbol:
            _make(leaf, symbol or _UNSAID, parents, slopes)
    if label is not UNNAMED:
        scope, line, _ = leaf._origin or ("", "", "")
        leaf._origin = _tuple(Origin, (scope, line, label if type(label) is str else text("label", label)))


def _local_gradients(numbers: Any, count: int) -> tuple[float, ...]:
    if not isinstance(numbers, Iterable):
        raise TypeError(f"_op is a str, or a local gradient for each parent, got {shown(numbers)}.")
    slopes = tuple([as_float(number) for number in numbers])
    if len(slopes) != count:
        raise ValueError(f"A node by hand has a local gradient for each parent: {count}, got {len(slopes)}.")
    return slopes


Parameters = ParamSpec("Parameters")


def spelled(**ours: str) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """An `__init__` that also takes micrograd's keywords, each for one of ours: `@spelled(nin="inputs")`."""

    def with_both(init: Callable[Parameters, None]) -> Callable[Parameters, None]:
        @wraps(init)
        def translated(*arguments: Any, **keywords: Any) -> None:
            for name in keywords.keys() & ours.keys():
                if ours[name] in keywords:
                    raise TypeError(f"{name} is micrograd's name of {ours[name]}: give one of them.")
                keywords[ours[name]] = keywords.pop(name)
            init(*arguments, **keywords)

        return translated

    return with_both


def _make(node: Any, symbol: str, parents: tuple[Any, ...], slopes: tuple[float, ...] | None) -> None:
    """Make the Value a node with these parents, laid out as the engine has it."""
    refuse_while_tracing("hand")
    numbers, label = tuple([parent._data for parent in parents]), node.label
    node.op = ByHand(symbol, len(parents), slopes)
    node._first = node._second = None
    node._x, node._y = numbers, parents
    if len(parents) == 1:
        [node._x], [node._first] = numbers, parents
    elif len(parents) == 2:
        node._x, node._y = numbers
        node._first, node._second = parents
    if opened:
        observed(node)
        if label:
            node.label = label


def _parents(name: str, children: Any) -> tuple[Any, ...]:
    parents = tuple(children) if isinstance(children, Iterable) and not isinstance(children, str) else (children,)
    for parent in parents:
        if not hasattr(parent, "_data"):
            raise TypeError(f"{name} is a tuple of Values, the parents of the node; got {shown(children)}.")
    return parents


def _is_power(node: Any) -> bool:
    """Whether micrograd has one parent where we have two: a Value to a plain number."""
    return node.op is ops.pow and bool(node.parents[1].is_constant)


def _refuse_computed(node: Any, name: str) -> None:
    if node.op is not None and not isinstance(node.op, ByHand):
        raise AttributeError(
            f"{name} cannot be set: {node!r} is computed by {node.op.name!r}. Take .detach() for a leaf with its "
            "number, and give it a label for a name in drawings."
        )


def _pass_on(node: Any) -> None:
    """What micrograd's `_backward()` does."""
    refuse_while_tracing("backward")
    if _asking:
        raise GradientError(
            "A closure that is set as _backward passes on its own node's gradient alone; this one calls the _backward "
            "of another node."
        )
    if node.op is None:
        return
    local_gradients = node.op.local_gradients(*node.inputs, node._data)
    for parent, local in zip(node.parents, local_gradients, strict=True):
        parent._grad += contributed(node._grad, float(local), node.op.routes)


_asking: list[Any] = []  # the nodes whose closures are being asked, one after the other


def _slopes(node: Any, closure: Callable[[], None]) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """The parents, each once, and what the closure adds to their gradients for an upstream of 1.

    It is asked again with 2, and must add twice as much. Raises GradientError where it does not, or adds elsewhere.
    """
    parents = tuple(dict.fromkeys(node.parents))
    others = [value for value in dict.fromkeys(_held_by(closure)) if value is not node and value not in parents]
    with _gradients_put_back([node, *parents, *others]):
        once, twice = (_added(node, closure, upstream, [*parents, *others]) for upstream in (1.0, 2.0))
    for value, first, second in zip([*parents, *others], once, twice, strict=True):
        if not (second == 2.0 * first or (first != first and second != second)):
            raise GradientError(
                f"The closure set as _backward of {node!r} adds {first:g} to a gradient of {value!r} where out.grad is "
                f"1, and {second:g} where it is 2, which should be twice as much: it adds out.grad × local gradient."
            )
        if first and value not in parents:
            raise GradientError(
                f"The closure set as _backward of {node!r} adds to the gradient of {value!r}, which is none of its "
                "parents: name it among them, Value(data, _children=...)."
            )
    return parents, tuple(once[: len(parents)])


def _added(node: Any, closure: Callable[[], None], upstream: float, values: list[Any]) -> list[float]:
    for value in values:
        value._grad = 0.0
    node._grad = upstream
    closure()
    return [value._grad for value in values]


@contextmanager
def _gradients_put_back(values: list[Any]) -> Iterator[None]:
    before = [value._grad for value in values]
    _asking.append(values[0])
    try:
        yield
    finally:
        _asking.pop()
        for value, gradient in zip(values, before, strict=True):
            value._grad = gradient


def _held_by(closure: Any) -> Iterator[Any]:
    """The Values that a function closes over, those in lists and tuples too."""
    for cell in getattr(closure, "__closure__", None) or ():
        try:
            held = cell.cell_contents
        except ValueError:  # it is set later
            continue
        for thing in held if isinstance(held, list | tuple) else (held,):
            if hasattr(thing, "_data") and hasattr(thing, "_grad"):
                yield thing
