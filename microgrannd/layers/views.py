"""The layer view: each neuron's weighted input z, activation a and error δ, to check the equations by eye."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from microgrannd import operations
from microgrannd.calculus.passes import all_slopes
from microgrannd.engine import Value, topological_order
from microgrannd.ground.arguments import must_be, whole_number, wrong
from microgrannd.operations import Operation


@dataclass(frozen=True)
class LayerPass:
    """One layer's numbers, a list with an entry for each neuron."""

    z: list[float]  # weighted inputs
    a: list[float]  # activations
    slope: list[float]  # σ'(z)
    a_gradient: list[float]  # ∂C/∂a
    delta: list[float]  # the errors δ = ∂C/∂z


class LayerView(list[LayerPass]):
    """The layers' numbers in order; it prints as a table."""

    def __str__(self) -> str:
        lines = [f"{'layer':>5}  {'neuron':>6}" + "".join(f"  {name:>13}" for name in _COLUMNS)]
        for i, layer in enumerate(self):
            for j, numbers in enumerate(zip(*(getattr(layer, name) for name in _COLUMNS.values()), strict=True)):
                lines.append(f"{i:>5}  {j:>6}" + "".join(f"  {number:>13.6g}" for number in numbers))
        return "\n".join(lines)

    __repr__ = __str__


_COLUMNS = {"z": "z", "a": "a", "σ'(z)": "slope", "∂C/∂a": "a_gradient", "δ = ∂C/∂z": "delta"}


def layer_view(model: Any, loss: Value, sample: int = 0) -> LayerView:
    """What each layer of an MLP saw on the way to the loss, and the error that came back to it.

    With several samples in the loss, `sample` says which. The four equations of backpropagation hold
    between the numbers: δ = ∂C/∂a ⊙ σ'(z) in the last layer, δ = (Wᵀδ) ⊙ σ'(z) before it, and for the
    parameters ∂C/∂b = δ, ∂C/∂W = δ aᵀ.

    >>> from microgrannd.nn import MLP
    >>> model = MLP(2, [1], output="sigmoid", init=lambda random, inputs, outputs: 0.5)
    >>> print(layer_view(model, (model([1.0, 1.0]) - 1) ** 2 / 2))
    layer  neuron              z              a          σ'(z)          ∂C/∂a      δ = ∂C/∂z
        0       0              1       0.731059       0.196612      -0.268941     -0.0528771
    """
    must_be("loss", loss, Value)
    sample, layers = whole_number("sample", sample), getattr(model, "layers", [model])
    if not (layers and isinstance(layers, list) and all(hasattr(layer, "neurons") for layer in layers)):
        raise wrong("model", "an MLP, or a Layer", model)
    slopes = all_slopes(loss)
    children: dict[Value, list[Value]] = {}
    for node in topological_order(loss):
        for parent in dict.fromkeys(node.parents):
            children.setdefault(parent, []).append(node)
    view = LayerView()
    for layer in layers:
        pairs = [_weighted_input_and_activation(neuron, children, sample) for neuron in layer.neurons]
        numbers = [z.data for z, _ in pairs], [a.data for _, a in pairs]
        slope = [1.0 if a is z else all_slopes(a).get(z, 0.0) for z, a in pairs]
        errors = [slopes.get(a, 0.0) for _, a in pairs], [slopes.get(z, 0.0) for z, _ in pairs]
        view.append(LayerPass(*numbers, slope, *errors))
    return view


def _weighted_input_and_activation(neuron: Any, children: dict[Value, list[Value]], sample: int) -> tuple[Value, Value]:
    sums = list(_weighted_inputs(neuron, children))
    if not -len(sums) <= sample < len(sums):
        name = neuron.scope or repr(neuron)
        raise ValueError(f"The loss uses {name} in {len(sums)} sample(s); there is no sample {sample}.")
    z = sums[sample]
    activation = neuron.activation
    if activation is None:
        return z, z
    if isinstance(activation, Operation):
        return z, next((child for child in children.get(z, []) if child.op is activation), z)
    a = z  # a function of the user's own: its result is the last node within the neuron's scope
    while inside := [child for child in children.get(a, []) if child.scope == z.scope]:
        a = inside[0]
    return z, a


def _weighted_inputs(neuron: Any, children: dict[Value, list[Value]]) -> Iterator[Value]:
    """The node w·x + b for each sample: one `dot`, or as many `+` as there are weights, from the bias on."""
    for node in children.get(neuron.b, []):
        if node.op is operations.dot:
            yield node
        elif node.op is operations.add:
            for _ in neuron.w[1:]:
                node = next(child for child in children[node] if child.op is operations.add)
            yield node
