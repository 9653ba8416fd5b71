"""Nests: numbers in lists, tuples, dicts and NumPy arrays, taken apart and put together again.

A namedtuple stays what it is, and so does the shape of an array. This room imports nothing of the package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def leaves(nest: Any) -> Iterator[Any]:
    """What is in the nest, in order; whatever is no container counts as a leaf.

    >>> list(leaves([1, {"a": 2, "b": (3, 4)}]))
    [1, 2, 3, 4]
    """
    if isinstance(nest, dict):
        for part in nest.values():
            yield from leaves(part)
    elif isinstance(nest, list | tuple):
        for part in nest:
            yield from leaves(part)
    elif is_array(nest):
        yield from nest.ravel().tolist()
    else:
        yield nest


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
        from itertools import product

        for index in product(*map(range, nest.shape)):
            yield f"{root}[{', '.join(map(str, index))}]" if index else root
    else:
        yield root


def rebuilt(nest: Any, items: Iterator[Any]) -> Any:
    """A nest of the same structure with the next item in place of each leaf.

    >>> rebuilt([1, {"a": 2, "b": (3, 4)}], iter("wxyz"))
    ['w', {'a': 'x', 'b': ('y', 'z')}]
    """
    if isinstance(nest, dict):
        return {key: rebuilt(part, items) for key, part in nest.items()}
    if isinstance(nest, list | tuple):
        parts = [rebuilt(part, items) for part in nest]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    return _array(nest.shape, [next(items) for _ in range(nest.size)]) if is_array(nest) else next(items)


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
    return [each(function, *row) for row in rows]


def is_array(thing: Any) -> bool:
    """Whether it is a NumPy array; NumPy is not imported to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def _array(shape: tuple[int, ...], items: list[Any]) -> Any:
    """An array of the items; where they are arrays themselves, their axes come last."""
    import numpy

    numbers = all(isinstance(item, float) or is_array(item) for item in items)
    if numbers:
        inner = numpy.shape(items[0]) if items else ()
        return numpy.array(items, dtype=None if items and is_array(items[0]) else float).reshape(shape + inner)
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)
