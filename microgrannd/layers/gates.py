"""Gates: operations as objects with `forward` and `backward`, and graphs of gates wired by hand."""

import sys
from contextlib import AbstractContextManager, nullcontext
from graphlib import CycleError, TopologicalSorter
from typing import Any

from microgrannd import operations
from microgrannd.ground.arguments import shown, text
from microgrannd.ground.nests import each, is_array, leaves, rebuilt
from microgrannd.operations import FusedOperation, Operation


class Gate:
    """An operation with a memory: `forward` keeps its inputs and its output for `backward`.

    `Gate(mul)` is the MulLayer or MultiplyGate of the books, `Gate(relu)` the ReLU layer and so on.
    Lists and arrays go through element by element.

    >>> from microgrannd import mul, sigmoid
    >>> gate = Gate(mul)
    >>> gate.forward(100.0, 2.0)
    200.0
    >>> gate.backward(1.1)
    [2.2, 110.00000000000001]
    >>> Gate(sigmoid).forward([0.0, 0.0])
    [0.5, 0.5]
    """

    def __init__(self, operation: Operation) -> None:
        if not isinstance(operation, Operation):
            raise TypeError(f"A gate is made of an Operation, such as mul or relu; got {shown(operation)}.")
        self.operation = operation
        self.inputs: tuple[Any, ...] = ()
        self.output: Any = None

    def forward(self, *inputs: Any) -> Any:
        """The operation's result; the inputs are kept for `backward`."""
        self.inputs = inputs
        fused = isinstance(self.operation, FusedOperation)
        self.output = self.operation(*inputs) if fused else each(self.operation, *inputs)
        return self.output

    def backward(self, upstream: Any = 1.0) -> list[Any]:
        """The gradient of each input, given that of the output: upstream × local gradient."""
        if self.output is None:
            raise RuntimeError(f"The {self.operation.name} gate has no inputs yet: call forward before backward.")
        if isinstance(self.operation, FusedOperation):
            local_gradients = self.operation.local_gradients(*leaves(self.inputs), self.output)
            return list(rebuilt(self.inputs, iter([float(upstream * local) for local in local_gradients])))
        given = (upstream, self.output, *self.inputs)
        gradients = (each(lambda *x, i=i: self._contributions(*x)[i], *given) for i in range(len(self.inputs)))
        return [_summed_to(x, gradient) for x, gradient in zip(self.inputs, gradients, strict=True)]

    def _contributions(self, upstream: Any, output: Any, *inputs: Any) -> list[Any]:
        inputs += self.operation.defaults[len(inputs) :]
        with _without_warnings(inputs):
            local_gradients = self.operation.local_gradients(*inputs, output)
            return [operations.contributed(upstream, local, self.operation.routes) for local in local_gradients]


class ComputationalGraph:
    """Gates with names, wired by names; forward visits them in topological order, backward in reverse.

    >>> from microgrannd import add, mul
    >>> graph = ComputationalGraph()
    >>> graph.add("q", add, "x", "y")
    >>> graph.add("f", mul, "q", "z")
    >>> graph.forward(x=-2, y=5, z=-4)
    -12.0
    >>> graph.backward()
    {'x': -4.0, 'y': -4.0, 'z': 3.0}
    >>> graph.values["q"], graph.gradients["q"]
    (3.0, -4.0)
    """

    def __init__(self) -> None:
        self.gates: dict[str, Gate] = {}
        self.wires: dict[str, tuple[Any, ...]] = {}
        self.values: dict[str, Any] = {}
        self.gradients: dict[str, Any] = {}
        self._order: list[str] | None = None

    def add(self, name: str, operation: Operation, *inputs: Any) -> None:
        """Add a gate called `name`; its inputs are names of gates or of the graph's inputs, or plain numbers."""
        if text("name", name) in self.gates:
            raise ValueError(f"There is a gate {name!r} already.")
        self.gates[name] = Gate(operation)
        self.wires[name] = inputs
        self._order = None

    @property
    def order(self) -> list[str]:
        """The gates, each after those that it needs. Raises ValueError if they depend on each other in a circle."""
        if self._order is None:
            needs = {name: [x for x in wires if x in self.gates] for name, wires in self.wires.items()}
            try:
                self._order = list(TopologicalSorter(needs).static_order())
            except CycleError as error:
                raise ValueError(f"The gates depend on each other in a circle: {' ← '.join(error.args[1])}.") from None
        return self._order

    def forward(self, **inputs: Any) -> Any:
        """The last gate's output for these inputs; every gate's is in `values`."""
        self.values = dict(inputs)
        for name in self.order:
            missing = [x for x in self.wires[name] if isinstance(x, str) and x not in self.values]
            if missing:
                raise TypeError(f"Gate {name!r} needs {', '.join(missing)}: pass it to forward by its name.")
            wires = [self.values[x] if isinstance(x, str) else x for x in self.wires[name]]
            self.values[name] = self.gates[name].forward(*wires)
        return self.values[self.order[-1]]

    def backward(self, upstream: Any = 1.0) -> dict[str, Any]:
        """The gradients of the graph's inputs; every gate's is in `gradients`."""
        self.gradients = {self.order[-1]: upstream}
        for name in reversed(self.order):
            arriving = self.gradients.get(name, 0.0)
            for wire, gradient in zip(self.wires[name], self.gates[name].backward(arriving), strict=True):
                if isinstance(wire, str):
                    before = self.gradients.get(wire)
                    self.gradients[wire] = gradient if before is None else each(operations.add, before, gradient)
        return {name: self.gradients.get(name, 0.0) for name in self.values if name not in self.gates}


def _summed_to(x: Any, gradient: Any) -> Any:
    """The gradient in the shape of x, summed where x was broadcast over rows or columns."""
    if isinstance(gradient, list):
        return gradient if isinstance(x, list | tuple) else operations.sum(leaves(gradient))
    if not is_array(gradient):
        return gradient
    shape = getattr(x, "shape", ())
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    broadcast = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=broadcast, keepdims=True) if broadcast else gradient


def _without_warnings(inputs: tuple[Any, ...]) -> AbstractContextManager[Any]:
    """NumPy need not warn of a result that IEEE 754 defines."""
    return sys.modules["numpy"].errstate(all="ignore") if any(map(is_array, inputs)) else nullcontext()
