"""The engine: a `Value` is a number that remembers how it was made; `backward()` walks that memory.

An operation on Values makes a node. It holds its result, the operation, its parents and the parents' numbers at that
moment: no closure, no reference to itself or to its children, so a graph that is dropped is freed at once. `backward()`
goes from the output to the leaves and adds upstream × local gradient to each parent's gradient. Operators and methods
are in `nodes.arithmetic`, the order in `nodes.order`, what `no_grad` and the like make of it in `nodes.observing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import attrgetter, eq, mul, ne
from typing import Any, TypeAlias

from microgrannd.ground import arguments, modes
from microgrannd.ground.ieee import sum as added
from microgrannd.ground.modes import UNNAMED, opened
from microgrannd.nodes.arithmetic import Arithmetic
from microgrannd.nodes.elsewhere import NamesElsewhere
from microgrannd.nodes.freeing import freed_in_a_loop
from microgrannd.nodes.micrograd import AsInMicrograd, named_or_by_hand
from microgrannd.nodes.observing import Step, cut_off, observed, stop_at_anomalies
from microgrannd.nodes.order import started, topological_order
from microgrannd.nodes.refusing import computed, no_leaf, no_operand, refuse_while_tracing
from microgrannd.operations import Number, Operation, as_float, contributed, dot, is_number, stop_gradient

__all__ = ["Constant", "Operand", "Step", "Value", "inputs_of", "neuron", "number_of", "topological_order", "zero_grad"]

Operand: TypeAlias = "Value | Number"


@freed_in_a_loop
class Value(AsInMicrograd, Arithmetic, NamesElsewhere):
    """A number that remembers how it was made.

    `data` is the number, a float, and `grad` a derivative with respect to it: for a leaf, the sum over every
    `backward()` since `zero_grad`; for a node, that of the last. A leaf is made from any real number (anything
    else is a TypeError); arithmetic on Values makes nodes with `parents` and `op`.

    >>> x = Value(3.0, label="x")
    >>> y = x * x + 1
    >>> y.backward()
    >>> y.data, x.grad
    (10.0, 6.0)
    """

    __slots__ = ("__weakref__", "_data", "_first", "_grad", "_origin", "_pass", "_second", "_x", "_y", "op")

    op: Operation | None
    is_constant = False
    _pass: int  # the last backward pass that came by
    _origin: modes.Origin | None  # the label, the scope, the line
    # Of a node: its parents, and their numbers when it was made, at which it is differentiated. Nearly all have one or
    # two parents. Where there are more, or the operation takes vectors, `_x` has the arguments and `_y` the parents.
    _first: Any  # Value | None
    _second: Any
    _x: Any
    _y: Any

    def __init__(self, data: Number, _children: Any = UNNAMED, _op: Any = UNNAMED, label: str = UNNAMED) -> None:
        self._data = data if type(data) is float else as_float(data)
        self._grad = 0.0
        self.op = None
        self._origin = None
        self._pass = 0
        if _children is not _op or label is not UNNAMED:  # one look at what is nearly never there: both are UNNAMED
            named_or_by_hand(self, _children, _op, label)

    @property
    def data(self) -> float:
        """The number. A leaf's may be set; a node's is computed from its parents."""
        if opened:
            refuse_while_tracing("number")
        return self._data

    @data.setter
    def data(self, number: Number) -> None:
        if opened:
            refuse_while_tracing("set")
        if self.op is not None:
            raise computed(self)
        self._data = number if type(number) is float else as_float(number)

    @property
    def grad(self) -> float:
        """The derivative of the output with respect to this Value, as `backward()` left it."""
        if opened:
            refuse_while_tracing("gradient")
        return self._grad

    @grad.setter
    def grad(self, number: Number) -> None:
        if opened:
            refuse_while_tracing("set")
        self._grad = number if type(number) is float else as_float(number)

    @property
    def parents(self) -> tuple[Value, ...]:
        """The inputs of the operation that made this node, in order, one for each use; () for a leaf."""
        if self.op is None:
            return ()
        if self._second is not None:
            return (self._first, self._second)
        return (self._first,) if self._first is not None else self._y

    @property
    def inputs(self) -> tuple[float, ...]:
        """The parents' numbers at the moment when this node was made."""
        if opened:
            refuse_while_tracing("gradient")
        return inputs_of(self)

    @property
    def local_gradients(self) -> tuple[Callable[[], float], ...]:
        """∂node/∂parent for each parent, as a function without arguments.

        >>> x, y = Value(3.0), Value(4.0)
        >>> [local_gradient() for local_gradient in (x * y).local_gradients]
        [4.0, 3.0]
        """

        def local_gradient(i: int) -> float:
            return float(self.op.local_gradients(*self.inputs, self._data)[i])  # type: ignore[union-attr]

        return tuple(partial(local_gradient, i) for i in range(len(self.parents)))

    @property
    def label(self) -> str:
        """The name that messages and drawings call it by."""
        return self._origin.label if self._origin else ""

    @label.setter
    def label(self, label: str) -> None:
        self._origin = modes.Origin(self.scope, self.line, arguments.text("label", label))

    @property
    def scope(self) -> str:
        """Where the node was made, as named by `mg.scope` and by modules: `layer1.neuron0`."""
        return self._origin.scope if self._origin else ""

    def named(self, scope: str, label: str) -> None:
        """Say where this Value belongs and what it is called: its `scope` and its `label`."""
        self._origin = modes.Origin(arguments.text("scope", scope), self.line, arguments.text("label", label))

    @property
    def line(self) -> str:
        """The line of the user's code that made the node, where `mg.source_lines()` was on."""
        return self._origin.line if self._origin else ""

    def backward(self, upstream: Number = 1.0, retain_graph: bool = True, gradient: Number | None = None) -> None:
        """Set every node's gradient afresh and add to every leaf's: the derivative of this Value.

        `upstream`, PyTorch's `gradient`, arrives here from outside; a leaf adds it to its own. Calling it twice doubles
        the leaves' gradients; `zero_grad` clears them. The graph is retained anyway. An upstream of exactly zero stops
        where it arises: a branch that was not taken contributes nothing, even if its derivative is infinite or NaN.
        """
        upstream = upstream if gradient is None else gradient
        if opened and modes.current.detecting:
            stop_at_anomalies(self, self.backward_steps(upstream))
            return
        for node in reversed(started(self, as_float(upstream))):
            arrived = node._grad
            if arrived == 0.0:
                continue
            operation: Operation = node.op  # a node in this order has one
            rule, first, second = operation.on_floats, node._first, node._second
            try:
                if second is not None and not operation.routes:
                    to_first, to_second = rule(node._x, node._y, node._data)
                    first._grad += arrived * to_first
                    second._grad += arrived * to_second
                elif first is not None and second is None:
                    (to_first,) = rule(node._x, node._data)
                    if to_first or not operation.routes:
                        first._grad += arrived * to_first
                else:
                    _distribute(node, arrived)
            except ValueError:
                operation.check_count(node.inputs, node._data)
                raise

    def backward_steps(self, upstream: Number = 1.0) -> Iterator[Step]:
        """Run `backward()`, giving each `+=` as it happens; the gradients end up the same, bit for bit.

        Nothing happens before the first step is asked for; one that is not asked for does not happen.

        >>> x = Value(3.0, label="x")
        >>> for step in (x * x).backward_steps():
        ...     print(step)
        grad(x) += 1 × 3 = 3: 0 → 3
        grad(x) += 1 × 3 = 3: 3 → 6
        """
        for node in reversed(started(self, as_float(upstream))):
            operation, gradient = node.op, node._grad
            local_gradients = operation.local_gradients(*node.inputs, node._data)
            for position, (parent, local) in enumerate(zip(node.parents, local_gradients, strict=True)):
                before, added = parent._grad, contributed(gradient, float(local), operation.routes)
                parent._grad += added
                yield Step(node, position, gradient, float(local), added, before, parent._grad)

    def detach(self) -> Value:
        """A new leaf with this Value's number and label: gradients stop here."""
        tracing = opened and modes.current.trace is not None
        return stop_gradient(self) if tracing else cut_off(Value(self._data, self.label))

    def _unary(self, operation: Operation, origin: modes.Origin | None = None) -> Value:
        """The node for an operation on this Value."""
        x, forward = self._data, operation.forward
        node = Value.__new__(Value)
        node._data = forward(x)
        node._grad = 0.0
        node._pass = 0
        node.op = operation
        node._x = x
        node._first = self
        node._second = None
        node._origin = origin
        return node if not opened else observed(node)

    def _binary(self, operation: Operation, other: Operand) -> Value:
        """The node for an operator; NotImplemented for anything else than a number, so that arrays take over."""
        second = other if type(other) is Value else _operand(other)
        if second is None:
            return NotImplemented  # type: ignore[no-any-return]
        x, y, forward = self._data, second._data, operation.forward
        node = Value.__new__(Value)
        node._data = forward(x, y)
        node._grad = 0.0
        node._pass = 0
        node.op = operation
        node._x = x
        node._y = y
        node._first = self
        node._second = second
        node._origin = None
        return node if not opened else observed(node)

    def _reflected(self, operation: Operation, other: Number) -> Value:
        """The node for an operator that has a number on the left."""
        first = _operand(other)
        return NotImplemented if first is None else first._binary(operation, self)

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Value:
        """The node for any operation on Values and numbers; numbers become constants."""
        parents = tuple([x if isinstance(x, Value) else Constant(x) for x in arguments])
        inputs = tuple([parent._data for parent in parents])
        node = _fused(operation, float(operation.forward(*inputs)), inputs, parents)
        if operation.vectors:
            node._x = operation.split(inputs)
        elif len(parents) == 2:  # the numbers and the parents in their usual places
            node._x, node._y = inputs
            node._first, node._second = parents
        elif len(parents) == 1:
            [node._x], [node._first] = inputs, parents
        return node if not opened else observed(node)

    def _compared(self, operation: Operation, holds: Callable[[float, Any], bool], other: Any) -> Any:
        """By data, == of two Values by identity, as `hash` is; while tracing, an operation like any other."""
        if isinstance(other, Value):
            if holds is eq or holds is ne:
                refuse_while_tracing("equal")
                return (self is other) is (holds is eq)
        elif not is_number(other):
            return NotImplemented
        if opened and modes.current.trace is not None:
            return operation(self, other)
        return holds(self._data, other._data if isinstance(other, Value) else other)

    def __bool__(self) -> bool:
        if opened:
            refuse_while_tracing("branch")
        return self._data != 0.0

    def __format__(self, specification: str) -> str:
        refuse_while_tracing("text")
        return format(self._data, specification) if specification else repr(self)

    def __str__(self) -> str:
        return format(self)

    def __repr__(self) -> str:
        refuse_while_tracing("repr")
        label = f", label={self.label!r}" if self.label else ""
        numbers = "traced" if modes.current.refused is not None else f"data={self._data!r}, grad={self._grad!r}"
        return f"{type(self).__name__}({numbers}{label})"

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_while_tracing("copy")
        if self.op is not None:
            raise no_leaf(self)
        return type(self), (self._data,), (None, {"_grad": self._grad, "_origin": self._origin})


class Constant(Value):
    """A plain number that met a Value: a leaf that nobody holds, and drawings keep quiet."""

    __slots__ = ()
    is_constant = True


# The number also while a function is traced, when `.data` refuses: for code on which no result depends.
number_of: Callable[[Value], float] = attrgetter("_data")


def inputs_of(node: Value) -> tuple[float, ...]:
    """The inputs also while a function is traced."""
    if node.op is None:
        return ()
    if node._second is not None:
        return (node._x, node._y)
    if node._first is not None:
        return (node._x,)
    vectors = node.op.vectors
    return (*chain.from_iterable(node._x[:vectors]), *node._x[vectors:])


def zero_grad(values: Iterable[Value]) -> None:
    """Set the gradient of each of the Values to zero.

    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> zero_grad([x])
    >>> x.grad
    0.0
    """
    if opened:
        refuse_while_tracing("set")
    for value in arguments.list_of("values", values, "a list of Values", Value):
        value._grad = 0.0


def neuron(
    weights: list[Value], inputs: list[Value], numbers: tuple[float, ...], bias: Value, activation: Operation | None,
    origin: modes.Origin | None,
) -> Value:  # fmt: skip
    """The nodes of a neuron, `dot` and its activation, in one go: training spends its time here. No mode is open."""
    w, b = tuple([weight._data for weight in weights]), bias._data
    z = added(map(mul, w, numbers), b)
    node = _fused(dot, z, (w, numbers, b), (*weights, *inputs, bias), origin)
    return node._unary(activation, origin) if activation else node


def _fused(
    operation: Operation, data: float, arguments: tuple[Any, ...], parents: tuple[Value, ...],
    origin: modes.Origin | None = None,
) -> Value:  # fmt: skip
    """The node for an operation that takes vectors or many inputs, its result given."""
    node = Value.__new__(Value)
    node._data = data
    node._grad = 0.0
    node._pass = 0
    node.op = operation
    node._x = arguments
    node._y = parents
    node._first = node._second = None
    node._origin = origin
    return node


def _distribute(node: Value, gradient: float) -> None:
    """What `backward()` does at a node with many parents, or one that routes between two."""
    operation: Operation = node.op  # type: ignore[assignment]
    parents, arguments = (node._y, node._x) if node._first is None else (node.parents, (node._x, node._y))
    local_gradients = operation.on_floats(*arguments, node._data)
    if len(local_gradients) != len(parents):  # a check that costs less than zip's own
        raise ValueError
    if operation.routes:
        for parent, local in zip(parents, local_gradients):  # noqa: B905
            if local:
                parent._grad += gradient * local
    else:
        for parent, local in zip(parents, local_gradients):  # noqa: B905
            parent._grad += gradient * local


def _operand(thing: Any) -> Value | None:
    """A number as a constant, a Value as it is, None for anything else."""
    return thing if isinstance(thing, Value) else Constant(thing) if is_number(thing) else no_operand(thing)
