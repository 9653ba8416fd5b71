"""`Module`: what holds parameters, finds them, names them and tells them where they belong."""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Set
from typing import Any, ClassVar, Final

from microgrannd.engine import Value, zero_grad
from microgrannd.ground import modes
from microgrannd.ground.nests import is_array
from microgrannd.nodes.elsewhere import answering

_PLAIN: Final = frozenset([int, float, bool, str, type(None), modes.Origin])  # kinds that hold no parameters
_FIELDS: Final = "__dataclass_fields__"  # what dataclasses have; the module of that name is slow to load


class _Naming(type):
    """Once a module is made, all its parts learn their place in it, for the names in drawings."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        module = super().__call__(*arguments, **keywords)
        module._place("")
        return module


@answering("Module")
class Module(metaclass=_Naming):
    """A part of a network: its attributes hold its parameters and the modules it is made of.

    A parameter is a leaf `Value`. Parameters and modules are found in the attributes, and in lists, tuples, dicts,
    sets, dataclasses and arrays of objects there; one that is used in several places is listed once, under its first
    name.

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

    replacements: ClassVar[int] = 0  # how often a module's attribute that may hold parameters was set anew
    node_origin = modes.Origin("", "")  # what the nodes carry that the module makes: its place in the outermost module

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get(name).__class__ not in _PLAIN:
            Module.replacements += 1
        object.__setattr__(self, name, value)

    def parameters(self) -> list[Value]:
        """The leaves that training changes, in the order of `named_parameters()`."""
        return parameters_in(self)

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Each parameter with its name: the attributes that lead to it, joined by dots.

        An element of a list has the list's name in the singular and its position: `model.layers[1]` is
        `layer1`, `neuron.w[2]` is `w2`. An element of a set has no position. Raises ValueError where two parameters
        have one name, so that no file and no dict of them loses one.
        """
        found: dict[Value, str] = {}
        for name, part in _found(self):
            if isinstance(part, Value):
                found.setdefault(part, name)
        if twice := [name for name, count in Counter(found.values()).items() if count > 1]:
            remedy = "rename an attribute, or keep them in a list or a dict where they are in a set"
            raise ValueError(f"Two parameters of {type(self).__name__} are called {twice[0]!r}: {remedy}.")
        return [(name, parameter) for parameter, name in found.items()]

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
    seen: dict[int, Any] = {}
    stack: list[tuple[str, Any]] = [("", module)]
    while stack:
        path, thing = stack.pop()
        if isinstance(thing, Value):
            if thing.op is None:
                found.append((path, thing))
            continue
        if not _may_hold(thing.__class__) or id(thing) in seen:
            continue
        seen[id(thing)] = thing  # itself, so that no other has its id
        if path and isinstance(thing, Module):
            found.append((path, thing))
        named = f"{path}." if path else ""
        numbered = f"{_singular(path)}{'.' * path[-1:].isdigit()}"
        inner = [
            (_singular(path) if key is None else f"{numbered if isinstance(key, int) else named}{key}", child)
            for key, child in _held(thing)
            if child.__class__ not in _PLAIN
        ]
        stack += reversed(inner)
    return found


def parameters_in(*things: Any) -> list[Value]:
    """The parameters in modules and containers, without their names, which takes a tenth of the time."""
    found: dict[Value, None] = {}
    seen: dict[int, Any] = {}
    outer: list[Iterator[Any]] = [iter(things)]
    while outer:
        for child in outer[-1]:
            if isinstance(child, Value):
                if child.op is None:
                    found[child] = None
            elif child.__class__ not in _PLAIN and _may_hold(child.__class__) and id(child) not in seen:
                seen[id(child)] = child
                outer.append(_contents(child))
                break
        else:
            outer.pop()
    return list(found)


def _contents(thing: Any) -> Iterator[Any]:
    if isinstance(thing, (list, tuple)):  # these take half the time of a union
        return iter(thing)
    if isinstance(thing, Module) and not _slots(thing.__class__):
        return iter(thing.__dict__.values())
    return iter([part for _, part in _held(thing)])


@functools.lru_cache(maxsize=1024)
def _may_hold(kind: type) -> bool:
    """Whether things of this kind may hold parameters."""
    holders = (Module, list, tuple, Mapping, MutableSequence, Set)
    return issubclass(kind, holders) or hasattr(kind, _FIELDS) or kind.__name__ == "ndarray"


@functools.lru_cache(maxsize=1024)
def _slots(kind: type) -> list[str]:
    slots = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    return [name for names in slots for name in ((names,) if isinstance(names, str) else names) if name[:2] != "__"]


def _held(thing: Any) -> Iterable[tuple[Any, Any]]:
    """What a thing holds, by name or position, and by None where it has neither."""
    if isinstance(thing, Module):
        slots = [(name, getattr(thing, name)) for name in _slots(type(thing)) if hasattr(thing, name)]
        return [*slots, *vars(thing).items()]
    if isinstance(thing, Mapping):
        return thing.items()
    if isinstance(thing, tuple | MutableSequence):
        return enumerate(thing)
    if isinstance(thing, Set):
        return [(None, part) for part in thing]
    if is_array(thing) and thing.dtype.hasobject:
        return enumerate(thing.tolist()) if thing.ndim else [(None, thing.item())]
    names = () if isinstance(thing, type) else getattr(thing, _FIELDS, ())
    return [(name, getattr(thing, name)) for name in names if hasattr(thing, name)]


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name.removesuffix("ies") + "y"
    return name if name.endswith(("as", "is", "ss", "us")) else name.removesuffix("s")
