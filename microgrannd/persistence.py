"""Models on disk: `save` and `load`, as JSON that a person can read and that keeps every bit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from microgrannd.ground.arguments import brief, legible, path_of
from microgrannd.ground.errors import ModelFileError
from microgrannd.ground.files import write_whole
from microgrannd.learning.modules import Module
from microgrannd.nn import ACTIVATIONS, MLP, Layer, Neuron

FORMAT: Final = "microgrannd model"
VERSION: Final = 1

AnyPath: TypeAlias = "str | os.PathLike[str]"


def save(model: Module, path: AnyPath) -> None:
    """Write the model's architecture and parameters to a JSON file, all of it or nothing.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    >>> save(model, f"{folder}/model.json")
    >>> load(f"{folder}/model.json")([1.0, 2.0]).data == model([1.0, 2.0]).data
    True
    """
    if not isinstance(model, Module):
        raise TypeError(f"Only a Module can be saved, such as an MLP; got {type(model).__name__}.")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": _architecture(model),
        "parameters": {name: _spelled(parameter.data) for name, parameter in model.named_parameters()},
    }
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def load(path: AnyPath, into: Module | None = None) -> Any:
    """The model that `save` wrote.

    Neurons, layers and MLPs are built anew. For a class of your own, build the model and pass it as
    `into`: it gets the file's parameters if all their names match. Raises ModelFileError, a ValueError,
    for a file that is damaged, foreign or newer than this package, and then changes nothing.
    """
    if into is not None and not isinstance(into, Module):
        raise TypeError(f"Parameters are loaded into a Module, such as an MLP; got {type(into).__name__}.")
    content = _content(path)
    architecture, numbers = content["architecture"], content["parameters"]
    model = into if into is not None else _built(path, architecture, len(numbers))
    parameters = dict(model.named_parameters())
    if parameters.keys() != numbers.keys():
        raise ModelFileError(f"{path} does not fit the model: {_difference(parameters, numbers)}.")
    for name, number in numbers.items():
        parameters[name].data = number
    return model


def _content(path: AnyPath) -> dict[str, Any]:
    try:
        content = json.loads(path_of("path", path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged or not a model file: it is not JSON ({error}).") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError(f"{path} is not a model file: its format is not {FORMAT!r}.")
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{path} is damaged: its version is {brief(version)}.")
    if version > VERSION:
        newer = f"a newer microgrannd (version {brief(version)} of the format, this one reads up to {VERSION})"
        raise ModelFileError(f"{path} was written by {newer}: upgrade with pip install -U microgrannd.")
    for part in ("architecture", "parameters"):
        if not isinstance(content.get(part), dict):
            raise ModelFileError(f"{path} is damaged: it has no {part}.")
    content["parameters"] = {name: _number(path, name, text) for name, text in content["parameters"].items()}
    return content


def _spelled(number: float) -> float | str:
    """A float is written so that it reads back the same; JSON has no infinities and no NaN."""
    return number if number - number == 0 else str(number)


def _number(path: AnyPath, name: str, written: Any) -> float:
    if type(written) not in (int, float) and written not in ("inf", "-inf", "nan"):
        raise ModelFileError(f"{path} is damaged: {legible(name)} is {brief(written)}, which is not a number.")
    try:
        return float(written)
    except OverflowError:
        raise ModelFileError(f"{path} is damaged: {legible(name)} is too large for a float.") from None


def _difference(parameters: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    def some(what: str, names: list[str]) -> list[str]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return [f"{what} {', '.join(map(legible, names[:3]))}{more}"] if names else []

    missing = [name for name in parameters if name not in numbers]
    unknown = [name for name in numbers if name not in parameters]
    return "; ".join(some("the file lacks", missing) + some("the model has no", unknown))


def _architecture(model: Module) -> dict[str, Any]:
    name = type(model).__name__
    if type(model) not in (Neuron, Layer, MLP):
        return {"class": name}
    rows: Any = [model] if not isinstance(model, MLP) else model.layers
    neurons = [row.neurons if isinstance(row, Layer) else [row] for row in rows]
    layers = [{"neurons": len(layer), "activation": _activation_name(layer)} for layer in neurons]
    return {"class": name, "inputs": len(neurons[0][0].w), "layers": layers, "expand": neurons[0][0].expand}


def _activation_name(neurons: list[Neuron]) -> str:
    activation = neurons[0].activation
    if any(neuron.activation is not activation for neuron in neurons):
        return "mixed"
    custom = f"custom {getattr(activation, 'name', None) or getattr(activation, '__name__', activation)}"
    return next((name for name, function in ACTIVATIONS.items() if function is activation), custom)


def _built(path: AnyPath, architecture: dict[str, Any], count: int) -> Module:
    kind = architecture.get("class")
    if kind not in ("Neuron", "Layer", "MLP"):
        raise ModelFileError(
            f"{path} holds a {legible(kind)}, a class of your own: build one and call load(path, into=it)."
        )
    try:
        inputs, expand = architecture["inputs"], architecture["expand"] is True
        sizes = [layer["neurons"] for layer in architecture["layers"]]
        activations = [layer["activation"] for layer in architecture["layers"]]
        if not all(isinstance(size, int | float) for size in (inputs, *sizes)):
            raise TypeError
        expected = sum((before + 1) * after for before, after in zip([inputs, *sizes], sizes, strict=False))
    except (KeyError, TypeError):
        raise ModelFileError(f"{path} is damaged: its architecture is incomplete.") from None
    if sizes != {"Neuron": [1], "Layer": sizes[:1]}.get(kind, sizes):
        raise ModelFileError(f"{path} is damaged: its {kind} has layers of {brief(sizes)} neurons.")
    if expected != count:  # checked first, because a damaged file may ask for a model of any size
        raise ModelFileError(f"{path} is damaged: it has {count} parameters where {brief(expected)} are expected.")
    for activation in activations:
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            remedy = "build the model and call load(path, into=model)"
            raise ModelFileError(f"{path} has the activation {brief(activation)}, which is not built in: {remedy}.")
    try:
        if kind == "Neuron":
            return Neuron(inputs, activations[0], init=0, expand=expand)
        if kind == "Layer":
            return Layer(inputs, sizes[0], activations[0], init=0, expand=expand)
        model = MLP(inputs, sizes, init=0, expand=expand)
    except (ValueError, TypeError, IndexError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from None
    for layer, activation in zip(model.layers, activations, strict=True):
        for neuron in layer.neurons:
            neuron.activation = ACTIVATIONS[activation]
    return model
