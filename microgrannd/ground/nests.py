"""Nests: numbers in lists, tuples, dicts and NumPy arrays, taken apart and put together again."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, product
from typing import Any, Final, NamedTuple

_CONTAINERS: Final = (list, tuple, dict)


def too_deep() -> ValueError:
    return ValueError("What holds the numbers (lists, tuples, dicts, modules) is nested too deeply, or holds itself.")


def items(nest: Any) -> list[Any]:
    """What the lists, tuples and dicts of a nest hold, in order; an array is one item."""
    if not isinstance(nest, _CONTAINERS):
        return [nest]
    found: list[Any] = []
    try:
        for part in nest.values() if isinstance(nest, dict) else nest:
            if isinstance(part, _CONTAINERS):
                found += items(part)
            else:
                found.append(part)
    except RecursionError:
        raise too_deep() from None
    return found


def leaves(nest: Any) -> list[Any]:
    """The scalars of a nest, in order, those of its arrays too; whatever is not a container counts as one."""
    return [x for item in items(nest) for x in (item.ravel().tolist() if is_array(item) else (item,))]


def mapped(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with the function of each item in the item's place."""
    if not isinstance(nest, _CONTAINERS):
        return function(nest)
    if isinstance(nest, dict):
        return {key: mapped(function, part) for key, part in nest.items()}
    parts = [mapped(function, part) if isinstance(part, _CONTAINERS) else function(part) for part in nest]
    return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)


def rebuilt(nest: Any, scalars: Iterator[Any]) -> Any:
    """A nest of the same structure with the next scalar in place of each leaf."""

    def next_for(item: Any) -> Any:
        return _array(item.shape, [next(scalars) for _ in range(item.size)]) if is_array(item) else next(scalars)

    return mapped(next_for, nest)


def paths(nest: Any, root: str) -> Iterator[str]:
    """How the user would write each leaf, in the same order.

    >>> list(paths([1, {"a": 2}], "x"))
    ['x[0]', "x[1]['a']"]
    """
    if isinstance(nest, dict):
        for key, part in nest.items():
            yield from paths(part, f"{root}[{key!r}]")
    elif isinstance(nest, list | tuple):
        for i, part in enumerate(nest):
            yield from paths(part, f"{root}[{i}]")
    elif is_array(nest):
        for index in product(*map(range, nest.shape)):
            yield f"{root}[{', '.join(map(str, index))}]" if index else root
    else:
        yield root


def each(function: Callable[..., Any], *nests: Any) -> Any:
    """The function on numbers and whole arrays; element by element where one is a list, with the others.

    >>> each(lambda x, y: x * y, [1, [2, 3]], 10)
    [10, [20, 30]]
    """
    sizes = {len(nest) for nest in nests if isinstance(nest, list | tuple)}
    if not sizes:
        return function(*nests)
    if len(sizes) > 1:
        raise ValueError(f"Lists that go together have one length, got {' and '.join(map(str, sorted(sizes)))}.")
    rows = ([nest[i] if isinstance(nest, list | tuple) else nest for nest in nests] for i in range(sizes.pop()))
    try:
        return [each(function, *row) for row in rows]
    except RecursionError:
        raise too_deep() from None


def is_array(thing: Any) -> bool:
    """Whether it is a NumPy array; NumPy is not imported to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


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
    """The shape of a nest: `kind` is None for a scalar, else list, dict or a kind of tuple, with `parts`."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        return 1 if self.kind is None else sum(part.size for part in self.parts)

    def __str__(self) -> str:
        if self.kind is None:
            return "a number"
        if self.kind is not dict and len(set(self.parts)) == 1 and len(self.parts) > 1:
            return f"{self.kind.__name__} of {len(self.parts)} ({self.parts[0]})"
        inner = ", ".join(
            f"{key!r}: {part}" if self.kind is dict else str(part)
            for key, part in zip(self.keys or self.parts, self.parts, strict=True)
        )
        return f"{self.kind.__name__} of ({inner})"


SCALAR = Shape(None)


def shape_of(nest: Any, of_item: Callable[[Any], Shape] | None = None) -> Shape:
    """The shape of a nest, in which an item is a scalar unless `of_item` says otherwise."""
    if not isinstance(nest, _CONTAINERS):
        return of_item(nest) if of_item else SCALAR
    if isinstance(nest, dict):
        return Shape(dict, tuple(nest), tuple([shape_of(part, of_item) for part in nest.values()]))
    kind = type(nest) if hasattr(nest, "_fields") else list if isinstance(nest, list) else tuple
    try:
        return Shape(kind, (), tuple([shape_of(part, of_item) for part in nest]))
    except RecursionError:
        raise too_deep() from None


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
    make: Callable[..., Any] = getattr(shape.kind, "_make", shape.kind)
    return lambda flat, start: make([build(flat, start + offset) for build, offset in placed])


def leaf_names(name: str, shape: Shape) -> list[str]:
    """A name for each scalar: `x` for a scalar x, `x0`, `x1` for a list of two, `x_0_1` further inside.

    >>> leaf_names("x", shape_of([0, 0])), leaf_names("p", shape_of({"a": 0, "b": [0]}))
    (['x0', 'x1'], ['p_a', 'p_b_0'])
    """
    if shape.kind is None:
        return [name]
    keys = shape.keys or tuple(range(len(shape.parts)))
    flat = shape.kind is not dict and all(part.kind is None for part in shape.parts)
    glue = "" if flat and not name[-1:].isdigit() and "_" not in name else "_"
    return [
        leaf for key, part in zip(keys, shape.parts, strict=True) for leaf in leaf_names(f"{name}{glue}{key}", part)
    ]
