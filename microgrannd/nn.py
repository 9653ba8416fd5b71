"""Networks: `Neuron`, `Layer` and `MLP`. Your own are subclasses of `Module`, as these are.

A neuron is one `dot` node and one activation node or, with `expand=True`, the tree of small multiplies and adds that
the `dot` stands for. Its nodes carry its name, such as `layer1.neuron0`, as their scope.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from microgrannd import operations
from microgrannd.engine import Constant, Operand, Value, neuron, number_of
from microgrannd.ground import modes
from microgrannd.ground.arguments import shown, truth
from microgrannd.learning.initialisation import Initialisation, Seed, draws, generator_of, within_layer
from microgrannd.learning.modules import Module
from microgrannd.nodes.elsewhere import answers_of
from microgrannd.nodes.micrograd import spelled
from microgrannd.operations import Operation

Activation: TypeAlias = "str | Operation | Callable[[Value], Value]"


class _Activations(Mapping[str, Operation | None]):
    """The rows of the table that one number is enough for, as they are now, and "linear", which does nothing."""

    def __getitem__(self, name: str) -> Operation | None:
        if name == "linear":
            return None
        operation = operations.TABLE[name]
        if operation.vectors or (operation.defaults or (None,) * len(operation.inputs)).count(None) != 1:
            raise KeyError(name)
        return operation

    def __iter__(self) -> Iterator[str]:
        return (name for name in ["linear", *operations.TABLE] if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


ACTIVATIONS: Final = _Activations()


class Neuron(Module):
    """The activation of w·x + b.

    `activation` is a name (`ACTIVATIONS` has them), an `Operation`, or any function of a Value. `init` says
    where the parameters start:

    - a number h: weights uniform in ±h, bias 0. The default is micrograd's, 1;
    - two numbers: the weights uniform in plus or minus the first, the bias the second;
    - `"xavier"` or `"he"`: weights uniform in ±√(6 / (inputs + outputs)) or ±√(6 / inputs), bias 0;
    - a function `init(random, inputs, outputs)` that gives a weight, bias 0. `random` is a generator with
      `gauss`, `uniform` and the like; `inputs` and `outputs` are the sizes of the layer.

    `seed` is a number, a `random.Random` to draw from, or None for Python's global generator.

    >>> neuron = Neuron(2, activation="tanh", seed=0)
    >>> [name for name, _ in neuron.named_parameters()]
    ['w0', 'w1', 'b']
    >>> neuron([1.0, 0.5]).op
    Operation('tanh')
    """

    w: list[Value]
    b: Value

    @spelled(nin="inputs", nonlin="activation")
    def __init__(
        self, inputs: int, activation: Activation = "relu",
        *, seed: Seed = None, init: Initialisation = 1.0, expand: bool = False,
    ) -> None:  # fmt: skip
        inputs = _size("inputs", inputs)
        weight, bias = draws(init, generator_of(seed), inputs)
        self.w = [Value(weight()) for _ in range(inputs)]
        self.b = Value(bias())
        self.activation = _activation(activation)
        self.expand = truth("expand", expand)

    def __call__(self, x: Iterable[Operand]) -> Value:
        """The neuron's output, a Value. Raises ValueError for a wrong number of inputs."""
        return _outputs([self], _inputs(self, x, len(self.w)))[0]

    def _compose(self, inputs: Sequence[Value]) -> Value:
        """The output by ordinary operations, whatever the inputs are and whatever modes are open."""
        with modes.scope(self.scope) if self.scope else nullcontext():
            if self.expand:
                z = sum(map(operator.mul, self.w, inputs), self.b)
            else:
                z = operations.dot(self.w, inputs, self.b)
            return self.activation(z) if self.activation else z

    def __repr__(self) -> str:
        return f"Neuron({len(self.w)}, activation={_name(self.activation)!r})"


class Layer(Module):
    """Neurons side by side, all fed with the same inputs. The arguments are those of `Neuron`.

    >>> layer = Layer(3, 2, activation="sigmoid", seed=0)
    >>> len(layer([1.0, 2.0, 3.0])), layer.parameter_count
    (2, 8)
    """

    neurons: list[Neuron]

    @spelled(nin="inputs", nout="outputs", nonlin="activation")
    def __init__(
        self, inputs: int, outputs: int, activation: Activation = "relu",
        *, seed: Seed = None, init: Initialisation = 1.0, expand: bool = False,
    ) -> None:  # fmt: skip
        generator, outputs = generator_of(seed), _size("outputs", outputs)
        init = within_layer(init, _size("inputs", inputs), outputs)
        self.neurons = [Neuron(inputs, activation, seed=generator, init=init, expand=expand) for _ in range(outputs)]

    def __call__(self, x: Iterable[Operand]) -> Any:
        """A Value where there is one neuron, else a list. Raises ValueError for a wrong number of inputs."""
        outputs = _outputs(self.neurons, _inputs(self, x, len(self.neurons[0].w)))
        return outputs[0] if len(outputs) == 1 else outputs

    def __repr__(self) -> str:
        neuron = self.neurons[0]
        return f"Layer({len(neuron.w)}, {len(self.neurons)}, activation={_name(neuron.activation)!r})"


class MLP(Module):
    """A multilayer perceptron: layers in a row, each fed with the outputs of the one before.

    `sizes` are the numbers of neurons of the layers; `activation` is that of the hidden layers and
    `output` that of the last. The other arguments are those of `Neuron`.

    >>> model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    >>> model.parameter_count
    9
    >>> model.layers[1].neurons[0].w[1].label
    'w1'
    >>> model([0.5, -1.0]).scope
    'layer1.neuron0'
    """

    layers: list[Layer]

    @spelled(nin="inputs", nouts="sizes")
    def __init__(
        self, inputs: int, sizes: Sequence[int], activation: Activation = "relu", output: Activation = "linear",
        *, seed: Seed = None, init: Initialisation = 1.0, expand: bool = False,
    ) -> None:  # fmt: skip
        widths = [_size("inputs", inputs), *_sizes(sizes)]
        activations = [activation] * (len(widths) - 2) + [output]
        generator = generator_of(seed)
        self.inputs = widths[0]
        self.layers = [
            Layer(before, after, function, seed=generator, init=init, expand=expand)
            for before, after, function in zip(widths, widths[1:], activations, strict=False)
        ]

    def __call__(self, x: Iterable[Operand]) -> Any:
        """A Value where there is one output, else a list. Raises ValueError for a wrong number of inputs."""
        values = _inputs(self, x, self.inputs)
        for layer in self.layers:
            values = _outputs(layer.neurons, values) if type(layer) is Layer else _listed(layer(values))
        return values[0] if len(values) == 1 else values

    def __repr__(self) -> str:
        first, last = self.layers[0].neurons[0], self.layers[-1].neurons[0]
        sizes = [len(layer.neurons) for layer in self.layers]
        hidden = f"activation={_name(first.activation)!r}, " if len(sizes) > 1 else ""
        return f"MLP({self.inputs}, {sizes}, {hidden}output={_name(last.activation)!r})"


def _inputs(module: Module, x: Iterable[Operand], expected: int) -> list[Value]:
    """The inputs as Values, checked; what records operations in its own way stays as it is."""
    kind = type(module).__name__
    if isinstance(x, (dict, set)):
        raise TypeError(
            f"{kind} expects a list of {expected} inputs, got a {type(x).__name__}, which has another order."
        )
    try:
        inputs = [value if type(value) is Value or hasattr(value, "record") else Constant(value) for value in x]
    except TypeError:
        if hasattr(x, "__iter__") and getattr(x, "shape", None) != ():
            if any(hasattr(row, "__iter__") and not isinstance(row, str) for row in x):
                remedy = "[model(x) for x in batch], or mg.compile(model)(batch)"
                raise TypeError(f"{kind} takes one sample of {expected} at a time, got several: {remedy}.") from None
            raise
        raise TypeError(f"{kind} expects a list of {expected} inputs, got a single {type(x).__name__}.") from None
    if len(inputs) != expected:
        raise ValueError(f"{kind} expects {expected} input{'s' * (expected != 1)}, got {len(inputs)}.")
    return inputs  # type: ignore[return-value]


def _listed(outputs: Any) -> list[Value]:
    """The outputs of a layer of the user's, which may be one."""
    return [outputs] if hasattr(outputs, "record") else outputs


_PLAIN: Final = frozenset([Value, Constant])


def _outputs(neurons: Sequence[Neuron], inputs: list[Value]) -> list[Value]:
    """The same as by `Neuron._compose`, bit for bit, but faster: here training spends its time."""
    plain = not modes.opened and _PLAIN.issuperset(map(type, inputs))
    numbers = tuple(map(number_of, inputs)) if plain else ()
    outputs = []
    for unit in neurons:
        activation = unit.activation
        if type(unit) is not Neuron and type(unit).__call__ is not Neuron.__call__:
            outputs.append(unit(inputs))  # a subclass that computes something else
        elif not plain or unit.expand or (activation and (type(activation) is not Operation or activation.defaults)):
            outputs.append(unit._compose(inputs))
        else:
            outputs.append(neuron(unit.w, inputs, numbers, unit.b, activation, unit.node_origin))
    return outputs


def _activation(activation: Activation) -> Operation | Callable[[Value], Value] | None:
    if callable(activation):
        return activation
    if isinstance(activation, bool):  # micrograd's nonlin
        activation = "relu" if activation else "linear"
    if not isinstance(activation, str):
        raise TypeError(f"An activation is a name, an Operation or a function of a Value; got {shown(activation)}.")
    if activation not in ACTIVATIONS:
        from difflib import get_close_matches  # slow to load

        near = ", ".join(get_close_matches(activation, ACTIVATIONS) or ["relu", "tanh", "sigmoid"])
        raise ValueError(
            f"Unknown activation {activation!r}; it is 'linear' or an operation on one number, such as {near}."
        )
    return ACTIVATIONS[activation]


def _name(activation: Operation | Callable[[Value], Value] | None) -> str:
    if activation is None:
        return "linear"
    return str(getattr(activation, "name", None) or getattr(activation, "__name__", activation))


def _sizes(sizes: Sequence[int]) -> list[int]:
    if isinstance(sizes, str) or not hasattr(sizes, "__iter__") or getattr(sizes, "shape", None) == ():
        raise TypeError(f"An MLP takes a list of layer sizes, such as [16, 1]; got {shown(sizes)}.")
    widths = [_size("neurons", size) for size in sizes]
    if not widths:
        raise ValueError("An MLP needs at least one layer; the list of layer sizes is empty.")
    return widths


def _size(what: str, number: int) -> int:
    try:
        size = operator.index(number)
    except TypeError:
        raise TypeError(f"The number of {what} is an int, got {shown(number)}.") from None
    if size < 1:
        raise ValueError(f"The number of {what} is at least 1, got {size}.")
    return size


if not TYPE_CHECKING:  # for which a name that does not exist is an error
    __getattr__, __dir__ = answers_of(__name__, globals())
