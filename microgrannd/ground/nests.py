"""Nests: numbers in lists, tuples, dicts, dataclasses and NumPy arrays, taken apart and put together again.

A named tuple stays one, a dataclass is its fields, and None is a nest without numbers.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import accumulate, product
from typing import Any, Final, NamedTuple

_PLAIN: Final = frozenset([float, int, str])  # most of what nests hold, and seen at a glance
_SEQUENCES: Final = (list, tuple)  # `list | tuple` would be made anew at each look
_DEEPEST: Final = 100  # containers in containers; one that holds itself has no end


def contents(nest: Any) -> Collection[Any] | None:
    """What a list, tuple, dict or dataclass holds, in order; nothing for None; None for what is no container."""
    if nest.__class__ in _PLAIN:
        return None
    if isinstance(nest, _SEQUENCES):
        return nest
    if isinstance(nest, dict):
        return nest.values()
    if nest is None:
        return ()
    return [getattr(nest, name) for name in _fields(nest.__class__)] if _is_dataclass(nest.__class__) else None


def items(nest: Any, depth: int = 0) -> list[Any]:
    """What the containers of a nest hold, in order; an array is one item."""
    if (parts := contents(nest)) is None:
        return [nest]
    if depth > _DEEPEST:
        raise _endless()
    found: list[Any] = []
    for part in parts:
        if part.__class__ in _PLAIN:
            found.append(part)
        else:
            found += items(part, depth + 1)
    return found


def leaves(nest: Any) -> list[Any]:
    """The scalars of a nest, in order, those of its arrays too; whatever is not a container counts as one."""
    return [x for item in items(nest) for x in (item.ravel().tolist() if is_array(item) else (item,))]


def mapped(function: Callable[[Any], Any], nest: Any, depth: int = 0) -> Any:
    """The nest with the function of each item in the item's place."""
    if (parts := contents(nest)) is None:
        return function(nest)
    if depth > _DEEPEST:
        raise _endless()
    inner = depth + 1
    new = [function(part) if part.__class__ in _PLAIN else mapped(function, part, inner) for part in parts]
    if isinstance(nest, dict):
        return dict(zip(nest, new, strict=True))
    if isinstance(nest, _SEQUENCES):
        return type(nest)(*new) if hasattr(nest, "_fields") else type(nest)(new)
    return None if nest is None else _made(type(nest), new)


def rebuilt(nest: Any, scalars: Iterator[Any]) -> Any:
    """A nest of the same structure with the next scalar in place of each leaf."""

    def next_for(item: Any) -> Any:
        return _array(item.shape, [next(scalars) for _ in range(item.size)]) if is_array(item) else next(scalars)

    return mapped(next_for, nest)


def in_order_of(nest: Any, other: Any) -> list[Any]:
    """The scalars of another nest in the order of this one. Raises ValueError where the two differ in structure.

    Dicts go by key, and a list may stand for an array and an array for a list.

    >>> in_order_of({"a": 0, "b": [0, 0]}, {"b": [2, 3], "a": 1})
    [1, 2, 3]
    """
    if is_array(nest):
        nest = nest.tolist()
    if is_array(other):
        other = other.tolist()
    wanted, given = contents(nest), contents(other)
    if wanted is None and given is None:
        return [other]
    if wanted is None or given is None or _family(nest) is not _family(other) or len(wanted) != len(given):
        raise ValueError
    if isinstance(nest, dict):
        if nest.keys() != other.keys():
            raise ValueError
        given = [other[key] for key in nest]
    return [x for part, one in zip(wanted, given, strict=True) for x in in_order_of(part, one)]


def paths(nest: Any, root: str) -> Iterator[str]:
    """How the user would write each leaf, in the same order.

    >>> list(paths([1, {"a": 2}], "x"))
    ['x[0]', "x[1]['a']"]
    """
    if is_array(nest):
        for index in product(*map(range, nest.shape)):
            yield f"{root}[{', '.join(map(str, index))}]" if index else root
    elif (parts := contents(nest)) is None:
        yield root
    else:
        for key, part in zip(_keys(nest), parts, strict=True):
            yield from paths(part, f"{root}.{key}" if _is_dataclass(type(nest)) else f"{root}[{key!r}]")


def each(function: Callable[..., Any], *nests: Any, depth: int = 0) -> Any:
    """The function on numbers and whole arrays; element by element where one is a list, with the others.

    >>> each(lambda x, y: x * y, [1, [2, 3]], 10)
    [10, [20, 30]]
    """
    sizes = {len(nest) for nest in nests if isinstance(nest, _SEQUENCES)}
    if not sizes:
        return function(*nests)
    if len(sizes) > 1:
        raise ValueError(f"Lists that go together have one length, got {' and '.join(map(str, sorted(sizes)))}.")
    if depth > _DEEPEST:
        raise _endless()
    rows = ([nest[i] if isinstance(nest, _SEQUENCES) else nest for nest in nests] for i in range(sizes.pop()))
    return [each(function, *row, depth=depth + 1) for row in rows]


def _endless() -> ValueError:
    return ValueError(f"Lists, tuples and dicts are nested more than {_DEEPEST} deep here, or one holds itself.")


def is_array(thing: Any) -> bool:
    """Whether it is a NumPy array; NumPy is not imported to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def _is_dataclass(kind: type) -> bool:
    return hasattr(kind, "__dataclass_fields__")


def _fields(kind: Any) -> tuple[str, ...]:
    import dataclasses  # loaded by whoever has a dataclass

    return tuple([field.name for field in dataclasses.fields(kind)])


def _keys(nest: Any) -> tuple[Any, ...]:
    """By what the parts of a container are found: keys, names of fields, positions."""
    if isinstance(nest, dict):
        return tuple(nest)
    return _fields(type(nest)) if _is_dataclass(type(nest)) else tuple(range(len(contents(nest) or ())))


def _family(nest: Any) -> type:
    return list if isinstance(nest, _SEQUENCES) else type(nest)


def _made(kind: type, parts: Sequence[Any]) -> Any:
    """A dataclass of these parts, without its `__init__`: what that demands of numbers is not asked of gradients."""
    made: Any = object.__new__(kind)
    for name, part in zip(_fields(kind), parts, strict=True):
        object.__setattr__(made, name, part)
    return made


def _array(shape: tuple[int, ...], items: list[Any]) -> Any:
    """An array of the items; where they are arrays themselves, their axes come last."""
    import numpy

    if all(isinstance(item, float) or is_array(item) for item in items):
        inner = numpy.shape(items[0]) if items else ()
        return numpy.array(items, dtype=None if items and is_array(items[0]) else float).reshape(shape + inner)
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


class Shape(NamedTuple):
    """The shape of a nest: `kind` is None for a scalar, else the container's (that of None for None), with `parts`."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        return 1 if self.kind is None else sum(part.size for part in self.parts)

    def __str__(self) -> str:
        if self.kind is None:
            return "a number"
        if self.kind is type(None):
            return "None"
        if self.kind is not dict and len(set(self.parts)) == 1 and len(self.parts) > 1:
            return f"{self.kind.__name__} of {len(self.parts)} ({self.parts[0]})"
        inner = ", ".join(
            f"{key!r}: {part}" if self.kind is dict else str(part)
            for key, part in zip(self.keys or self.parts, self.parts, strict=True)
        )
        return f"{self.kind.__name__} of ({inner})"


SCALAR = Shape(None)


def shape_of(nest: Any, of_item: Callable[[Any], Shape] | None = None, depth: int = 0) -> Shape:
    """The shape of a nest, in which an item is a scalar unless `of_item` says otherwise."""
    if (parts := contents(nest)) is None:
        return of_item(nest) if of_item else SCALAR
    if depth > _DEEPEST:
        raise _endless()
    inner = tuple([shape_of(part, of_item, depth + 1) for part in parts])
    if isinstance(nest, list):
        return Shape(list, (), inner)
    if isinstance(nest, tuple):
        return Shape(type(nest) if hasattr(nest, "_fields") else tuple, (), inner)
    return Shape(dict if isinstance(nest, dict) else type(nest), _keys(nest), inner)


def starts_of(shapes: Sequence[Shape]) -> list[int]:
    """Where the scalars of each nest start in the flat list of all, and where the last end."""
    return list(accumulate([shape.size for shape in shapes], initial=0))


def builder(shape: Shape) -> Callable[[Any, int], Any]:
    """A function `build(flat, start)` that makes a nest of this shape of the scalars from `start` on."""
    if shape.kind is None:
        return lambda flat, start: flat[start]
    if shape.kind in (list, tuple) and all(part.kind is None for part in shape.parts):
        size, kind = len(shape.parts), shape.kind
        return lambda flat, start: kind(flat[start : start + size])
    placed = list(zip(map(builder, shape.parts), starts_of(shape.parts), strict=False))
    if shape.kind is dict:
        keys = shape.keys
        return lambda flat, start: {
            key: build(flat, start + offset) for key, (build, offset) in zip(keys, placed, strict=True)
        }
    if shape.kind is type(None):
        return lambda flat, start: None
    make: Callable[..., Any] = getattr(shape.kind, "_make", shape.kind)
    if _is_dataclass(shape.kind):
        make = partial(_made, shape.kind)
    return lambda flat, start: make([build(flat, start + offset) for build, offset in placed])


def leaf_names(name: str, shape: Shape) -> list[str]:
    """A name for each scalar: `x` for a scalar x, `x0`, `x1` for a list of two, `x_0_1` further inside.

    >>> leaf_names("x", shape_of([0, 0])), leaf_names("p", shape_of({"a": 0, "b": [0]}))
    (['x0', 'x1'], ['p_a', 'p_b_0'])
    """
    if shape.kind is None:
        return [name]
    keys = shape.keys or tuple(range(len(shape.parts)))
    flat = not shape.keys and all(part.kind is None for part in shape.parts)
    glue = "" if flat and not name[-1:].isdigit() and "_" not in name else "_"
    return [
        leaf for key, part in zip(keys, shape.parts, strict=True) for leaf in leaf_names(f"{name}{glue}{key}", part)
    ]
