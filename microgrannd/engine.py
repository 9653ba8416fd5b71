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
from typing import Any, Final, NamedTuple, TypeAlias

from microgrannd import modes, notation, operations
from microgrannd.errors import AnomalyError, TracingError
from microgrannd.operations import Number, Operation, as_float, is_number

Operand: TypeAlias = "Value | Number"

_new: Final = object.__new__


def _unary(operation: Operation) -> Callable[[Value], Value]:
    forward = operation.forward

    def method(self: Value) -> Value:
        x = self._data
        return _node(operation, forward(x), (x, self))

    return method


def _binary(operation: Operation) -> tuple[Callable[[Value, Operand], Value], Callable[[Value, Number], Value]]:
    """The operator and its reflection; NotImplemented for what is no number, so that arrays take over."""
    forward = operation.forward

    def method(self: Value, other: Operand) -> Value:
        if other.__class__ is not Value and not isinstance(other, Value):
            if not is_number(other):
                return NotImplemented  # type: ignore[no-any-return]
            other = Constant(other)
        x, y = self._data, other._data
        return _node(operation, forward(x, y), (x, y, self, other))

    def reflected(self: Value, other: Number) -> Value:
        return method(Constant(other), self) if is_number(other) else NotImplemented

    return method, reflected


def _with_others(operation: Operation) -> Callable[..., Value]:
    def method(self: Value, *others: Operand) -> Value:
        return operation(self, *others)  # type: ignore[no-any-return]

    return method


def _comparison(operation: Operation, holds: Callable[[float, Any], bool]) -> Callable[[Value, object], bool]:
    def method(self: Value, other: object) -> bool:
        if modes.opened and modes.current.trace is not None and (isinstance(other, Value) or is_number(other)):
            return operation(self, other)  # type: ignore[no-any-return]
        if isinstance(other, Value):
            return holds(self._data, other._data)
        return holds(self._data, other) if is_number(other) else NotImplemented

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

    __slots__ = ("__weakref__", "_data", "_grad", "_operands", "_origin", "label", "op")

    label: str
    op: Operation | None
    _data: float
    _grad: float
    # The parents' numbers when the node was made, then the parents: () for a leaf. A node is
    # differentiated at these numbers, whatever becomes of the leaves afterwards.
    _operands: tuple[Any, ...]
    _origin: modes.Origin | None

    def __init__(self, data: Number, label: str = "") -> None:
        self._data = data if data.__class__ is float else as_float(data)
        self._grad = 0.0
        self.label = label
        self.op = None
        self._operands = ()
        self._origin = None

    @property
    def data(self) -> float:
        """The number. A leaf's may be set; a node's is computed from its parents."""
        if modes.opened:
            _refuse_while_tracing("Its .data is one number: take the Value itself, or stop_gradient of it.")
        return self._data

    @data.setter
    def data(self, number: Number) -> None:
        if self.op is not None:
            raise AttributeError(
                f"The data of {self!r} is computed by {self.op.name!r}; set a leaf's data and compute again, "
                "or take .detach() for a leaf of its own."
            )
        self._data = number if number.__class__ is float else as_float(number)

    @property
    def grad(self) -> float:
        """The derivative of the output with respect to this Value, as `backward()` left it."""
        return self._grad

    @grad.setter
    def grad(self, number: Number) -> None:
        self._grad = number if number.__class__ is float else as_float(number)

    @property
    def parents(self) -> tuple[Value, ...]:
        """The inputs of the operation that made this node, in order, one for each use; () for a leaf."""
        return self._operands[len(self._operands) // 2 :]

    @property
    def inputs(self) -> tuple[float, ...]:
        """The parents' numbers at the moment when this node was made."""
        return self._operands[: len(self._operands) // 2]

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
    def scope(self) -> str:
        """Where the node was made, as named by `mg.scope` and by modules: `layer1.neuron0`."""
        return self._origin.scope if self._origin else ""

    @scope.setter
    def scope(self, name: str) -> None:
        self._origin = modes.Origin(name, self.line)

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
        if modes.opened and modes.current.detecting:
            _stop_at_anomalies(self.backward_steps(upstream))
            return
        for node in reversed(self._start(upstream)):
            gradient = node._grad
            if gradient == 0.0:
                continue
            operation: Operation = node.op  # type: ignore[assignment]  # a node in this order has one
            operands, routes = node._operands, operation.routes
            try:
                if len(operands) == 4:  # two parents: nearly all nodes have one or two, and this is the inner loop
                    x, y, first, second = operands
                    to_first, to_second = operation.local_gradients(x, y, node._data)
                    if to_first or not routes:
                        first._grad += gradient * to_first
                    if to_second or not routes:
                        second._grad += gradient * to_second
                elif len(operands) == 2:
                    x, parent = operands
                    (local,) = operation.local_gradients(x, node._data)
                    if local or not routes:
                        parent._grad += gradient * local
                else:
                    half = len(operands) // 2
                    local_gradients = operation.local_gradients(*operands[:half], node._data)
                    if len(local_gradients) != half:  # a check that costs less than zip's own
                        raise ValueError
                    for parent, local in zip(operands[half:], local_gradients):  # noqa: B905
                        if local or not routes:
                            parent._grad += gradient * local
            except ValueError:
                _check_count(operation, operands, node._data)
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
        nodes = topological_order(self, leaves=False)
        for node in nodes:
            node._grad = 0.0
        self._grad += upstream
        return nodes

    def detach(self) -> Value:
        """A new leaf with this Value's number and label: gradients stop here."""
        if modes.opened and modes.current.trace is not None:
            return operations.stop_gradient(self)  # type: ignore[no-any-return]
        return Value(self._data, self.label)

    # ---- recording

    def record(self, operation: Operation, arguments: tuple[Any, ...]) -> Value:
        """The node for an operation on Values and numbers; numbers become constants."""
        parents = [x if isinstance(x, Value) else Constant(x) for x in arguments]
        inputs = [parent._data for parent in parents]
        return _node(operation, float(operation.forward(*inputs)), (*inputs, *parents))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise TypeError(
                f"{self!r} has parents, and a graph is not copied or pickled: take .detach() for a leaf with "
                "its number, or save the model with mg.save."
            )
        return _restored, (type(self), self._data, self._grad, self.label, self._origin)

    # ---- numbers compare; identity is the object's, so that nodes live in sets and dicts

    __hash__ = object.__hash__
    __eq__ = _comparison(operations.equal, operator.eq)
    __ne__ = _comparison(operations.not_equal, operator.ne)
    __lt__ = _comparison(operations.less, operator.lt)
    __le__ = _comparison(operations.less_equal, operator.le)
    __gt__ = _comparison(operations.greater, operator.gt)
    __ge__ = _comparison(operations.greater_equal, operator.ge)

    def __bool__(self) -> bool:
        if modes.opened:
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

    __add__, __radd__ = _binary(operations.add)
    __sub__, __rsub__ = _binary(operations.sub)
    __mul__, __rmul__ = _binary(operations.mul)
    __truediv__, __rtruediv__ = _binary(operations.div)
    __floordiv__, __rfloordiv__ = _binary(operations.floordiv)
    __mod__, __rmod__ = _binary(operations.mod)
    __pow__, __rpow__ = _binary(operations.pow)
    __neg__ = _unary(operations.neg)
    __abs__ = _unary(operations.abs)

    def __pos__(self) -> Value:
        return self

    abs = absolute = _unary(operations.abs)
    square = _unary(operations.square)
    sqrt = _unary(operations.sqrt)
    cbrt = _unary(operations.cbrt)
    exp = _unary(operations.exp)
    exp2 = _unary(operations.exp2)
    expm1 = _unary(operations.expm1)
    log = _unary(operations.log)
    log2 = _unary(operations.log2)
    log10 = _unary(operations.log10)
    log1p = _unary(operations.log1p)
    sin = _unary(operations.sin)
    cos = _unary(operations.cos)
    tan = _unary(operations.tan)
    asin = arcsin = _unary(operations.asin)
    acos = arccos = _unary(operations.acos)
    atan = arctan = _unary(operations.atan)
    sinh = _unary(operations.sinh)
    cosh = _unary(operations.cosh)
    tanh = _unary(operations.tanh)
    asinh = arcsinh = _unary(operations.asinh)
    acosh = arccosh = _unary(operations.acosh)
    atanh = arctanh = _unary(operations.atanh)
    erf = _unary(operations.erf)
    erfc = _unary(operations.erfc)
    sigmoid = _unary(operations.sigmoid)
    logsigmoid = _unary(operations.logsigmoid)
    softplus = _unary(operations.softplus)
    relu = _unary(operations.relu)
    gelu = _unary(operations.gelu)
    silu = _unary(operations.silu)
    sign = _unary(operations.sign)
    step = _unary(operations.step)
    floor = _unary(operations.floor)
    ceil = _unary(operations.ceil)
    stop_gradient = _unary(operations.stop_gradient)

    add = _with_others(operations.add)
    sub = subtract = _with_others(operations.sub)
    mul = multiply = _with_others(operations.mul)
    div = divide = _with_others(operations.div)
    pow = power = _with_others(operations.pow)
    mod = remainder = _with_others(operations.mod)
    floordiv = floor_divide = _with_others(operations.floordiv)
    neg = negative = _unary(operations.neg)
    hypot = _with_others(operations.hypot)
    atan2 = arctan2 = _with_others(operations.atan2)
    maximum = _with_others(operations.maximum)
    minimum = _with_others(operations.minimum)
    clamp = clip = _with_others(operations.clamp)
    where = _with_others(operations.where)
    leaky_relu = _with_others(operations.leaky_relu)
    elu = _with_others(operations.elu)


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
        return local_gradient_formulas(self.node)[self.position]

    def __str__(self) -> str:
        name = self.parent.label or f"parent {self.position} of {self.node.op}"
        return (
            f"grad({name}) += {self.upstream:.6g} × {self.local_gradient:.6g} = {self.contribution:.6g}: "
            f"{self.before:.6g} → {self.after:.6g}"
        )


def local_gradient_formulas(node: Value) -> tuple[str, ...]:
    """The local gradients of a node as text, one for each parent, in the parents' labels.

    >>> a, b = Value(2.0, label="a"), Value(5.0, label="b")
    >>> local_gradient_formulas(a * b)
    ('b', 'a')
    """
    if node.op is None:
        return ()
    names = notation.input_names(node.op, len(node.parents))
    named = [parent.label or name for parent, name in zip(node.parents, names, strict=True)]
    return notation.rules(node.op, *named, out=node.label or "out")


def topological_order(*roots: Value, leaves: bool = True) -> list[Value]:
    """All nodes that the roots depend on, each once, parents before children.

    Parents are visited in their order, so straight-line code comes out in the order it was written.
    There is no recursion: the depth of a graph is bounded by memory alone.

    >>> x = Value(2.0, label="x")
    >>> [node.data for node in topological_order((x + 1) * x)]
    [2.0, 1.0, 3.0, 6.0]
    """
    order: list[Value] = []
    seen: set[Value] = set()
    stack: list[Value | None] = [*reversed(roots)]
    push, pop, visit, place = stack.append, stack.pop, seen.add, order.append
    while stack:
        node = pop()
        if node is None:  # all that the node below depends on is in place
            place(pop())  # type: ignore[arg-type]
        elif node not in seen:
            visit(node)
            if node.op is not None:
                push(node)
                push(None)
                operands = node._operands
                for parent in operands[: len(operands) // 2 - 1 : -1]:  # backwards: the first is visited first
                    if (leaves or parent.op is not None) and parent not in seen:
                        push(parent)
            elif leaves:
                place(node)
    return order


def zero_grad(values: Iterable[Value]) -> None:
    """Set the gradient of each of the Values to zero.

    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> zero_grad([x])
    >>> x.grad
    0.0
    """
    for value in values:
        value.grad = 0.0


def _node(operation: Operation, data: float, operands: tuple[Any, ...]) -> Value:
    node = _new(Value)
    node._data = data
    node._grad = 0.0
    node.label = ""
    node.op = operation
    node._operands = operands
    node._origin = None
    return node if not modes.opened else _observed(node)


def _observed(node: Value) -> Value:
    """The node as the open modes of this thread want it."""
    if modes.current.trace is not None:
        return _traced(node, modes.current.trace)
    if not modes.current.recording:
        return Value(node._data)
    node._origin = modes.origin()
    if modes.current.detecting and not math.isfinite(node._data):
        raise AnomalyError(f"{_described(node)} gave {node._data}{_made_at(node)}.")
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
        if not (math.isfinite(step.contribution) and math.isfinite(step.after)):
            name = step.parent.label or f"input {step.position}"
            raise AnomalyError(
                f"In the backward pass of {_described(step.node)} the gradient of {name} became {step.after}: "
                f"upstream {step.upstream} × local gradient {step.local_gradient} "
                f"({step.formula}){_made_at(step.node)}."
            )


def _check_count(operation: Operation, operands: tuple[Any, ...], data: float) -> None:
    """Say so where a user's operation has not one local gradient for each input."""
    half = len(operands) // 2
    found = len(operation.local_gradients(*operands[:half], data))
    if found != half:
        raise ValueError(f"{operation!r} gives {found} local gradients for {half} inputs: it must give one for each.")


def _described(node: Value) -> str:
    assert node.op is not None
    inputs = [f"{p.label}={x!r}" if p.label else repr(x) for p, x in zip(node.parents, node.inputs, strict=True)]
    shown = inputs if len(inputs) <= 8 else [*inputs[:8], f"... {len(inputs) - 8} more"]
    return f"{node.label + ' = ' if node.label else ''}{node.op.name}({', '.join(shown)})"


def _made_at(node: Value) -> str:
    where = f" in {node.scope}" if node.scope else ""
    return where + (f", made at {node.line}" if node.line else "")


def _restored(kind: type[Value], data: float, grad: float, label: str, origin: modes.Origin | None) -> Value:
    leaf = kind(data, label)
    leaf._grad = grad
    leaf._origin = origin
    return leaf
