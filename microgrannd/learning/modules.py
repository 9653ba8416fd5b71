"""`Module`: what holds parameters, finds them, names them and tells them where they belong."""

from collections.abc import Iterable
from typing import Any, Final

from microgrannd.engine import Value, zero_grad
from microgrannd.ground import modes
from microgrannd.ground.nests import too_deep

_PLAIN: Final = frozenset([int, float, bool, str, type(None), modes.Origin])  # kinds that hold no parameters


class _Naming(type):
    """Once a module is made, all its parts learn their place in it, for the names in drawings."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        module = super().__call__(*arguments, **keywords)
        module._place("")
        return module


class Module(metaclass=_Naming):
    """A part of a network: its attributes hold its parameters and the modules it is made of.

    A parameter is a leaf `Value`. Parameters and modules are found in the attributes, and in lists,
    tuples and dicts there; one that is used in several places is listed once, under its first name.

    >>> from microgrannd.nn import MLP
    >>> class Gain(Module):
    ...     def __init__(self):
    ...         self.body = MLP(2, [1])
    ...         self.factor = Value(1.5)
    ...     def __call__(self, x):
    ...         return self.body(x) * self.factor
    >>> [name for name, _ in Gain().named_parameters()]
    ['body.layer0.neuron0.w0', 'body.layer0.neuron0.w1', 'body.layer0.neuron0.b', 'factor']
    """

    node_origin = modes.Origin("", "")  # what the nodes carry that the module makes: its place in the outermost module

    def parameters(self) -> list[Value]:
        """The leaves that training changes, in the order of `named_parameters()`."""
        found: dict[Value, None] = {}
        try:
            _gather(self.__dict__, set(), found)
        except RecursionError:
            raise too_deep() from None
        return list(found)

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Each parameter with its name: the attributes that lead to it, joined by dots.

        An element of a list has the list's name in the singular and its position: `model.layers[1]` is
        `layer1`, `neuron.w[2]` is `w2`.
        """
        found: dict[int, tuple[str, Value]] = {}
        for name, part in self._parts():
            if isinstance(part, Value):
                found.setdefault(id(part), (name, part))
        return list(found.values())

    @property
    def parameter_count(self) -> int:
        """How many parameters there are."""
        return len(self.parameters())

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        zero_grad(self.parameters())

    @property
    def scope(self) -> str:
        """The module's place in the outermost module that holds it: `layer1.neuron0`."""
        return self.node_origin.scope

    def _parts(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        try:
            _find(self, "", set(), found)
        except RecursionError:
            raise too_deep() from None
        return found

    def _place(self, scope: str) -> None:
        self.node_origin = modes.Origin(scope, "")
        for name, part in self._parts():
            path = f"{scope}.{name}" if scope else name
            if isinstance(part, Module):
                part.node_origin = modes.Origin(path, "")
            else:
                within, _, last = path.rpartition(".")
                part.named(within, part.label or last)


def _find(thing: Any, path: str, seen: set[int], found: list[tuple[str, Any]]) -> None:
    if isinstance(thing, Value):
        if thing.op is None:
            found.append((path, thing))
        return
    if isinstance(thing, Module):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if path:
            found.append((path, thing))
        children: Iterable[tuple[object, Any]] = vars(thing).items()
    elif isinstance(thing, dict):
        children = thing.items()
    elif isinstance(thing, list | tuple):
        children = enumerate(thing)
    else:
        return
    named = f"{path}." if path else ""
    numbered = f"{_singular(path)}{'.' * path[-1:].isdigit()}"
    for key, child in children:
        _find(child, f"{numbered if isinstance(key, int) else named}{key}", seen, found)


def _gather(holder: Any, seen: set[int], found: dict[Value, None]) -> None:
    """The parameters alone, without their names, which takes a tenth of the time."""
    if id(holder) in seen:
        return
    seen.add(id(holder))
    for child in holder.values() if isinstance(holder, dict) else holder:
        if isinstance(child, Value):
            if child.op is None:
                found[child] = None
        elif child.__class__ in _PLAIN:
            pass
        elif isinstance(child, (list, tuple, dict)):  # these take half the time of a union
            _gather(child, seen, found)
        elif isinstance(child, Module):
            _gather(child.__dict__, seen, found)


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name.removesuffix("ies") + "y"
    return name if name.endswith(("as", "is", "ss", "us")) else name.removesuffix("s")
