"""`Module`: what holds parameters, finds them, names them and tells them where they belong."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from microgrannd.engine import Value, zero_grad
from microgrannd.ground import modes

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
        return _gathered(self)

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Each parameter with its name: the attributes that lead to it, joined by dots.

        An element of a list has the list's name in the singular and its position: `model.layers[1]` is
        `layer1`, `neuron.w[2]` is `w2`.
        """
        found: dict[int, tuple[str, Value]] = {}
        for name, part in _found(self):
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

    def _place(self, scope: str) -> None:
        self.node_origin = modes.Origin(scope, "")
        for name, part in _found(self):
            path = f"{scope}.{name}" if scope else name
            if isinstance(part, Module):
                part.node_origin = modes.Origin(path, "")
            else:
                within, _, last = path.rpartition(".")
                part.named(within, part.label or last)


def _found(module: Module) -> list[tuple[str, Any]]:
    """The parameters and modules in a module, with the paths that lead to them; what holds itself is met once."""
    found: list[tuple[str, Any]] = []
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [("", module)]
    while stack:
        path, thing = stack.pop()
        if isinstance(thing, Value):
            if thing.op is None:
                found.append((path, thing))
            continue
        if (children := _children(thing)) is None or id(thing) in seen:
            continue
        seen.add(id(thing))
        if path and isinstance(thing, Module):
            found.append((path, thing))
        named = f"{path}." if path else ""
        numbered = f"{_singular(path)}{'.' * path[-1:].isdigit()}"
        inner = [
            (f"{numbered if isinstance(key, int) else named}{key}", child)
            for key, child in children
            if child.__class__ not in _PLAIN
        ]
        stack += reversed(inner)
    return found


def _children(thing: Any) -> Iterable[tuple[object, Any]] | None:
    """What a container holds, by name, key or position; None for what is no container."""
    if isinstance(thing, (list, tuple)):  # a tuple of types takes half the time of a union
        return enumerate(thing)
    if isinstance(thing, dict):
        return thing.items()
    return thing.__dict__.items() if isinstance(thing, Module) else None


def _gathered(module: Module) -> list[Value]:
    """The parameters alone, without their names, which takes a tenth of the time."""
    found: dict[Value, None] = {}
    holder: Any = module.__dict__
    seen = {id(holder)}
    outer: list[Iterator[Any]] = []
    children = iter(holder.values())
    while True:
        for child in children:
            if isinstance(child, Value):
                if child.op is None:
                    found[child] = None
                continue
            if child.__class__ in _PLAIN:
                continue
            if isinstance(child, (list, tuple, dict)):
                holder = child
            elif isinstance(child, Module):
                holder = child.__dict__
            else:
                continue
            if id(holder) in seen:
                continue
            seen.add(id(holder))
            outer.append(children)
            children = iter(holder.values() if isinstance(holder, dict) else holder)
            break
        else:
            if not outer:
                return list(found)
            children = outer.pop()


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name.removesuffix("ies") + "y"
    return name if name.endswith(("as", "is", "ss", "us")) else name.removesuffix("s")
