"""The engine: a `Value` is a number that remembers how it was made; `backward()` walks that memory.

An operation on Values makes a node. It holds its result, the operation, its parents and the parents'
numbers at that moment, nothing else: no closure, no reference to itself or to its children, so a graph
that is dropped is freed at once. `backward()` goes through the nodes from the output to the leaves and
adds upstream × local gradient to each parent's gradient; the local gradients come from the operations
table. This room may import `operations`, `notation` and `errors`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, count
from typing import Any, NamedTuple, TypeAlias

from microgrannd import modes, notation, operations
from microgrannd.errors import AnomalyError, TracingError
from microgrannd.modes import opened
from microgrannd.operations import Number, Operation, add, as_float, div, floordiv, is_number, mod, mul, neg, sub

Operand: TypeAlias = "Value | Number"

_passes = count(1)  # a backward pass leaves its number on every node that it comes by


def _method(operation: Operation) -> Callable[[Value], Value]:
    """The method of an operation on one number."""

    def method(self: Value) -> Value:
        return _unary(operation, self)

    return method


def _method_with_others(operation: Operation) -> Callable[..., Value]:
    """The method of an operation on several."""

    def method(self: Value, *others: Operand) -> Value:
        return operation(self, *others)  # type: ignore[no-any-return]

    return method


class Value:
    """A number that remembers how it was made.

    `data` is the number and `grad` the derivative of the last output that ran `backward()` with respect
    to it. A leaf is made from any real number; arithmetic on Values makes nodes with `parents` and `op`.
    Both numbers are floats. Raises TypeError for what is no real number.

    >>> x = Value(3.0, label="x")
    >>> y = x * x + 1
    >>> y.backward()
    >>> y.data, x.grad
    (10.0, 6.0)
    """

    __slots__ = ("__weakref__", "_data", "_first", "_grad", "_origin", "_pass", "_second", "_x", "_y", "op")

    op: Operation | None
    _data: float
    _grad: float
    _pass: int  # the last backward pass that came by
    _origin: modes.Origin | None  # the label, the scope, the line
    # The parents, and their numbers when the node was made: a node is differentiated at these, whatever
    # becomes of the leaves afterwards. Nearly all nodes have one parent or two. Where there are more, or the
    # operation takes vectors, `_x` has the arguments and `_y` the parents, as tuples.
    _first: Any  # Value | None
    _second: Any
    _x: Any
    _y: Any

    def __init__(self, data: Number, label: str = "") -> None:
        self._data = data if type(data) is float else as_float(data)
        self._grad = 0.0
        self.op = None
        self._first = self._second = None
        self._origin = modes.Origin("", "", label) if label else None
        self._pass = 0

    @property
    def data(self) -> float:
        """The number. A leaf's may be set; a node's is computed from its parents."""
        if opened:
            _refuse_while_tracing("Its .data is one number: take the Value itself, or stop_gradient of it.")
        return self._data

    @data.setter
    def data(self, number: Number) -> None:
        if self.op is not None:
            raise AttributeError(
                f"The data of {self!r} is computed by {self.op.name!r}; set a leaf's data and compute again, "
                "or take .detach() for a leaf of its own."
            )
        self._data = number if type(number) is float else as_float(number)

    @property
    def grad(self) -> float:
        """The derivative of the output with respect to this Value, as `backward()` left it."""
        return self._grad

    @grad.setter
    def grad(self, number: Number) -> None:
        self._grad = number if type(number) is float else as_float(number)

    @property
    def parents(self) -> tuple[Value, ...]:
        """The inputs of the operation that made this node, in order, one for each use; () for a leaf."""
        if self._second is not None:
            return (self._first, self._second)
        if self._first is not None:
            return (self._first,)
        return self._y if self.op else ()

    @property
    def inputs(self) -> tuple[float, ...]:
        """The parents' numbers at the moment when this node was made."""
        if self._second is not None:
            return (self._x, self._y)
        if self._first is not None:
            return (self._x,)
        if self.op is None:
            return ()
        vectors = self.op.vectors
        return (*chain.from_iterable(self._x[:vectors]), *self._x[vectors:])

    @property
    def local_gradients(self) -> tuple[Callable[[], float], ...]:
        """A function without arguments for each parent, giving ∂node/∂parent.

        >>> x, y = Value(3.0), Value(4.0)
        >>> [local_gradient() for local_gradient in (x * y).local_gradients]
        [4.0, 3.0]
        """
        return tuple(partial(self._local_gradient, i) for i in range(len(self.parents)))

    def _local_gradient(self, index: int) -> float:
        assert self.op is not None
        return float(self.op.local_gradients(*self.inputs, self._data)[index])

    @property
    def label(self) -> str:
        """The name that messages and drawings call it by."""
        return self._origin.label if self._origin else ""

    @label.setter
    def label(self, label: str) -> None:
        self._origin = modes.Origin(self.scope, self.line, label)

    @property
    def scope(self) -> str:
        """Where the node was made, as named by `mg.scope` and by modules: `layer1.neuron0`."""
        return self._origin.scope if self._origin else ""

    @scope.setter
    def scope(self, name: str) -> None:
        self._origin = modes.Origin(name, self.line, self.label)

    @property
    def line(self) -> str:
        """The line of the user's code that made the node, where `mg.source_lines()` was on."""
        return self._origin.line if self._origin else ""

    # ---- backpropagation

    def backward(self, upstream: Number = 1.0) -> None:
        """Set every node's gradient afresh and add to every leaf's: the derivative of this Value.

        `upstream` is the gradient that arrives here from outside. Calling it twice doubles the leaves'
        gradients; `zero_grad` clears them. On a leaf it adds `upstream` to the leaf's own gradient.
        An upstream of exactly zero stops where it arises, so a branch that was not taken contributes
        nothing, even if its derivative is infinite or NaN.
        """
        if opened and modes.current.detecting:
            _stop_at_anomalies(self.backward_steps(upstream))
            return
        for node in reversed(self._start(upstream)):
            gradient = node._grad
            if gradient == 0.0:
                continue
            operation: Operation = node.op  # type: ignore[assignment]  # a node in this order has one
            rule, first, second = operation.on_floats, node._first, node._second
            try:
                if first is None:
                    _distribute(node, gradient)
                elif second is None:
                    (to_first,) = rule(node._x, node._data)
                    if to_first or not operation.routes:
                        first._grad += gradient * to_first
                else:
                    to_first, to_second = rule(node._x, node._y, node._data)
                    if operation.routes:
                        if to_first:
                            first._grad += gradient * to_first
                        if to_second:
                            second._grad += gradient * to_second
                    else:
                        first._grad += gradient * to_first
                        second._grad += gradient * to_second
            except ValueError:
                _check_count(node)
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
        for node in reversed(self._start(upstream)):
            assert node.op is not None
            gradient, routes = node._grad, node.op.routes
            local_gradients = node.op.local_gradients(*node.inputs, node._data)
            for position, (parent, local) in enumerate(zip(node.parents, local_gradients, strict=True)):
                passes = gradient and (local or not routes)
                contribution = gradient * local if passes else 0.0
                before = parent._grad
                if passes:
                    parent._grad += contribution
                yield Step(node, position, gradient, float(local), contribution, before, parent._grad)

    def _start(self, upstream: Number) -> list[Value]:
        """The nodes in topological order, their gradients cleared, and this Value's set to `upstream`."""
        upstream = as_float(upstream)
        nodes = _cleared(self)
        self._grad += upstream
        return nodes

    def detach(self) -> Value:
        """A new leaf with this Value's number and label: gradients stop here."""
        if opened and modes.current.trace is not None:
            return operations.stop_gradient(self)  # type: ignore[no-any-return]
        return Value(self._data, self.label)

    # ---- recording

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Value:
        """The node for an operation on Values and numbers; numbers become constants."""
        parents = [x if isinstance(x, Value) else Constant(x) for x in arguments]
        inputs = [parent._data for parent in parents]
        data = float(operation.forward(*inputs))
        return _node(operation, data, operation._split(tuple(inputs)), tuple(parents))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise TypeError(
                f"{self!r} has parents, and a graph is not copied or pickled: take .detach() for a leaf with "
                "its number, or save the model with mg.save."
            )
        return _restored, (type(self), self._data, self._grad, self._origin)

    # ---- numbers compare; identity is the object's, so that nodes live in sets and dicts

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return _compared(operations.equal, operator.eq, self, other)

    def __ne__(self, other: object) -> bool:
        return _compared(operations.not_equal, operator.ne, self, other)

    def __lt__(self, other: Operand) -> bool:
        return _compared(operations.less, operator.lt, self, other)

    def __le__(self, other: Operand) -> bool:
        return _compared(operations.less_equal, operator.le, self, other)

    def __gt__(self, other: Operand) -> bool:
        return _compared(operations.greater, operator.gt, self, other)

    def __ge__(self, other: Operand) -> bool:
        return _compared(operations.greater_equal, operator.ge, self, other)

    def __bool__(self) -> bool:
        if opened:
            _refuse_while_tracing(
                "`if`, `and`, `or`, `not`, max() and min() take one branch for good: "
                "say where(condition, a, b), maximum(a, b) or minimum(a, b)."
            )
        return self._data != 0.0

    def __float__(self) -> float:
        _refuse_while_tracing("float() and math's functions take one number: use the package's own, such as mg.exp.")
        raise TypeError(
            "float(Value) would lose the gradient without a word: take y.data for the number, "
            "or an operation that knows Values, such as mg.exp instead of math.exp."
        )

    def __int__(self) -> int:
        _refuse_while_tracing("int() takes one number: use mg.floor.")
        raise TypeError(
            "int(Value) would lose the gradient without a word: take int(y.data) for the number, "
            "or an operation that knows Values, such as mg.floor or mg.exp instead of math's."
        )

    def __format__(self, specification: str) -> str:
        return format(self._data, specification) if specification else repr(self)

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"{type(self).__name__}(data={self._data!r}, grad={self._grad!r}{label})"

    # ---- operators and methods: thin doors to the operations table

    def __add__(self, other: Operand) -> Value:
        return _binary(add, self, other)

    def __radd__(self, other: Number) -> Value:
        return _reflected(add, other, self)

    def __sub__(self, other: Operand) -> Value:
        return _binary(sub, self, other)

    def __rsub__(self, other: Number) -> Value:
        return _reflected(sub, other, self)

    def __mul__(self, other: Operand) -> Value:
        return _binary(mul, self, other)

    def __rmul__(self, other: Number) -> Value:
        return _reflected(mul, other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _binary(div, self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return _reflected(div, other, self)

    def __floordiv__(self, other: Operand) -> Value:
        return _binary(floordiv, self, other)

    def __rfloordiv__(self, other: Number) -> Value:
        return _reflected(floordiv, other, self)

    def __mod__(self, other: Operand) -> Value:
        return _binary(mod, self, other)

    def __rmod__(self, other: Number) -> Value:
        return _reflected(mod, other, self)

    def __pow__(self, other: Operand) -> Value:
        return _binary(operations.pow, self, other)

    def __rpow__(self, other: Number) -> Value:
        return _reflected(operations.pow, other, self)

    def __neg__(self) -> Value:
        return _unary(neg, self)

    def __abs__(self) -> Value:
        return _unary(operations.abs, self)

    def __pos__(self) -> Value:
        return self

    abs = absolute = _method(operations.abs)
    square = _method(operations.square)
    sqrt = _method(operations.sqrt)
    cbrt = _method(operations.cbrt)
    exp = _method(operations.exp)
    exp2 = _method(operations.exp2)
    expm1 = _method(operations.expm1)
    log = _method(operations.log)
    log2 = _method(operations.log2)
    log10 = _method(operations.log10)
    log1p = _method(operations.log1p)
    sin = _method(operations.sin)
    cos = _method(operations.cos)
    tan = _method(operations.tan)
    asin = arcsin = _method(operations.asin)
    acos = arccos = _method(operations.acos)
    atan = arctan = _method(operations.atan)
    sinh = _method(operations.sinh)
    cosh = _method(operations.cosh)
    tanh = _method(operations.tanh)
    asinh = arcsinh = _method(operations.asinh)
    acosh = arccosh = _method(operations.acosh)
    atanh = arctanh = _method(operations.atanh)
    erf = _method(operations.erf)
    erfc = _method(operations.erfc)
    sigmoid = _method(operations.sigmoid)
    logsigmoid = _method(operations.logsigmoid)
    softplus = _method(operations.softplus)
    relu = _method(operations.relu)
    gelu = _method(operations.gelu)
    silu = _method(operations.silu)
    sign = _method(operations.sign)
    step = _method(operations.step)
    floor = _method(operations.floor)
    ceil = _method(operations.ceil)
    stop_gradient = _method(operations.stop_gradient)

    add = _method_with_others(operations.add)
    sub = subtract = _method_with_others(operations.sub)
    mul = multiply = _method_with_others(operations.mul)
    div = divide = _method_with_others(operations.div)
    pow = power = _method_with_others(operations.pow)
    mod = remainder = _method_with_others(operations.mod)
    floordiv = floor_divide = _method_with_others(operations.floordiv)
    neg = negative = _method(operations.neg)
    hypot = _method_with_others(operations.hypot)
    atan2 = arctan2 = _method_with_others(operations.atan2)
    maximum = _method_with_others(operations.maximum)
    minimum = _method_with_others(operations.minimum)
    clamp = clip = _method_with_others(operations.clamp)
    where = _method_with_others(operations.where)
    leaky_relu = _method_with_others(operations.leaky_relu)
    elu = _method_with_others(operations.elu)


class Constant(Value):
    """A plain number that met a Value: a leaf that nobody holds, and drawings keep quiet."""

    __slots__ = ()


class Step(NamedTuple):
    """One `+=` of the backward pass: `contribution = upstream × local_gradient` goes to one parent.

    `position` says which parent of `node` it is; `before` and `after` are that parent's gradient.
    """

    node: Value
    position: int
    upstream: float
    local_gradient: float
    contribution: float
    before: float
    after: float

    @property
    def parent(self) -> Value:
        """The node that receives the contribution."""
        return self.node.parents[self.position]

    @property
    def formula(self) -> str:
        """The local gradient as text, with the parents' labels where they have one: `1 - out * out`."""
        return notation.local_gradients_in_words(self.node)[self.position]

    def __str__(self) -> str:
        name = self.parent.label or f"parent {self.position} of {self.node.op}"
        return (
            f"grad({name}) += {self.upstream:.6g} × {self.local_gradient:.6g} = {self.contribution:.6g}: "
            f"{self.before:.6g} → {self.after:.6g}"
        )


def topological_order(*roots: Value, leaves: bool = True) -> list[Value]:
    """All nodes that the roots depend on, each once, parents before children.

    Parents are visited in their order, so straight-line code comes out in the order it was written.
    There is no recursion: the depth of a graph is bounded by memory alone.

    >>> x = Value(2.0, label="x")
    >>> [node.data for node in topological_order((x + 1) * x)]
    [2.0, 1.0, 3.0, 6.0]
    """
    return _ordered([*reversed(roots)], leaves)


def _ordered(stack: list[Value | None], leaves: bool) -> list[Value]:
    order: list[Value] = []
    seen: set[Value] = set()
    while stack:
        node = stack.pop()
        if node is None:  # all that the node below depends on is in place
            order.append(stack.pop())  # type: ignore[arg-type]
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


def _cleared(node: Value) -> list[Value]:
    """The nodes of `topological_order(node, leaves=False)`, in the same order, with their gradients set to 0.

    This is for `backward()`, which writes on the nodes anyway: a mark on each that was visited costs half as
    much as a set of them.
    """
    this_pass = next(_passes)
    order: list[Value] = []
    unfinished: list[Value] = []  # the path from the output to where we are
    waiting: list[list[Value]] = []  # for each node on it with many parents, those to visit yet, the first one last
    while True:
        node._pass = this_pass
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
            return order


def _distribute(node: Value, gradient: float) -> None:
    """What `backward()` does at a node with many parents."""
    operation: Operation = node.op  # type: ignore[assignment]
    parents, local_gradients = node._y, operation.on_floats(*node._x, node._data)
    if len(local_gradients) != len(parents):  # a check that costs less than zip's own
        raise ValueError
    if operation.routes:
        for parent, local in zip(parents, local_gradients):  # noqa: B905
            if local:
                parent._grad += gradient * local
    else:
        for parent, local in zip(parents, local_gradients):  # noqa: B905
            parent._grad += gradient * local


def zero_grad(values: Iterable[Value]) -> None:
    """Set the gradient of each of the Values to zero.

    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> zero_grad([x])
    >>> x.grad
    0.0
    """
    for value in values:
        value._grad = 0.0


def _unary(operation: Operation, first: Value) -> Value:
    """The node for an operation on one Value."""
    x, forward = first._data, operation.forward
    node = Value.__new__(Value)
    node._data = forward(x)
    node._grad = 0.0
    node._pass = 0
    node.op = operation
    node._x = x
    node._first = first
    node._second = None
    node._origin = None
    return node if not opened else _observed(node)


def _binary(operation: Operation, first: Value, other: Operand) -> Value:
    """The node for an operator; NotImplemented for what is no number, so that arrays take over."""
    second = other if type(other) is Value else _operand(other)
    if second is None:
        return NotImplemented  # type: ignore[no-any-return]
    x, y, forward = first._data, second._data, operation.forward
    node = Value.__new__(Value)
    node._data = forward(x, y)
    node._grad = 0.0
    node._pass = 0
    node.op = operation
    node._x = x
    node._y = y
    node._first = first
    node._second = second
    node._origin = None
    return node if not opened else _observed(node)


def _reflected(operation: Operation, number: Number, second: Value) -> Value:
    """The node for an operator that has a number on the left."""
    first = _operand(number)
    return NotImplemented if first is None else _binary(operation, first, second)


def _node(operation: Operation, data: float, arguments: tuple[Any, ...], parents: tuple[Value, ...]) -> Value:
    """The node for any operation, given its result, its arguments as numbers and vectors of them, and the Values."""
    node = Value.__new__(Value)
    node._data = data
    node._grad = 0.0
    node._pass = 0
    node.op = operation
    node._first = node._second = None
    if operation.vectors or len(parents) > 2:
        node._x, node._y = arguments, parents
    elif len(parents) == 2:
        node._x, node._y = arguments
        node._first, node._second = parents
    else:
        (node._x,), (node._first,) = arguments, parents
    node._origin = None
    return node if not opened else _observed(node)


def _neuron(
    z: float,
    arguments: tuple[Any, ...],
    parents: tuple[Value, ...],
    activation: Operation | None,
    origin: modes.Origin | None,
) -> Value:
    """The nodes of a neuron, `dot` and its activation, in one go, because training spends its time here."""
    node = Value.__new__(Value)
    node._data = z
    node._grad = 0.0
    node._pass = 0
    node.op = operations.dot
    node._x = arguments
    node._y = parents
    node._first = node._second = None
    node._origin = origin
    if activation is None:
        return node
    output, forward = Value.__new__(Value), activation.forward
    output._data = forward(z)
    output._grad = 0.0
    output._pass = 0
    output.op = activation
    output._x = z
    output._first = node
    output._second = None
    output._origin = origin
    return output


def _operand(thing: object) -> Value | None:
    """A number as a constant, a Value as it is, None for what is neither."""
    if isinstance(thing, Value):
        return thing
    return Constant(thing) if is_number(thing) else None  # type: ignore[arg-type]


def _compared(operation: Operation, holds: Callable[[float, Any], bool], first: Value, other: Any) -> bool:
    """By data; while tracing, a comparison is an operation like any other."""
    if opened and modes.current.trace is not None and (isinstance(other, Value) or is_number(other)):
        return operation(first, other)  # type: ignore[no-any-return]
    if isinstance(other, Value):
        return holds(first._data, other._data)
    return holds(first._data, other) if is_number(other) else NotImplemented


def _observed(node: Value) -> Value:
    """The node as the open modes of this thread want it."""
    if modes.current.trace is not None:
        return _traced(node, modes.current.trace)
    if not modes.current.recording:
        return Value(node._data)
    node._origin = modes.origin()
    if modes.current.detecting and not math.isfinite(node._data):
        raise AnomalyError(f"{notation.in_words(node)} gave {node._data}{notation.place_in_words(node)}.")
    return node


def _traced(node: Value, trace: list[Value]) -> Value:
    """The node, kept in the trace; where nothing is recorded, gradients stop at it instead."""
    node._origin = modes.origin()
    trace.append(node)
    if modes.current.recording or node.op is operations.stop_gradient:
        return node
    return operations.stop_gradient(node)  # type: ignore[no-any-return]


def _refuse_while_tracing(remedy: str) -> None:
    if modes.current.trace is not None:
        raise TracingError(
            f"A compiled function is traced once and runs on other numbers, so it cannot look at a Value's. {remedy} "
            f"In {modes.user_line()}"
        )


def _stop_at_anomalies(steps: Iterator[Step]) -> None:
    for step in steps:
        # A constant's gradient is nobody's: that of the 2 in x**2 is NaN for every x below 0.
        if not (math.isfinite(step.after) or isinstance(step.parent, Constant)):
            name = step.parent.label or f"input {step.position}"
            raise AnomalyError(
                f"In the backward pass of {notation.in_words(step.node)} the gradient of {name} became {step.after}: "
                f"upstream {step.upstream} × local gradient {step.local_gradient} "
                f"({step.formula}){notation.place_in_words(step.node)}."
            )


def _check_count(node: Value) -> None:
    """Say so where a user's operation has not one local gradient for each input."""
    assert node.op is not None
    found = len(node.op.local_gradients(*node.inputs, node._data))
    if found != len(node.inputs):
        raise ValueError(
            f"{node.op!r} gives {found} local gradients for {len(node.inputs)} inputs: it must give one for each."
        )


def _restored(kind: type[Value], data: float, grad: float, origin: modes.Origin | None) -> Value:
    leaf = kind(data)
    leaf._grad = grad
    leaf._origin = origin
    return leaf
