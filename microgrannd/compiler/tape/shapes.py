"""The shapes of nests: which lists, tuples and dicts the scalars of an argument stand in.

Arguments with equal shapes are handled by one program. This room imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """The shape of a nest: `kind` is None for a scalar, else list, dict or a kind of tuple, with `parts`."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """How many scalars there are in it."""
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


def shape_of(nest: Any) -> Shape:
    """The shape of a nest; whatever is no list, tuple or dict counts as a scalar.

    >>> print(shape_of([1.0, (2.0, 3.0)]))
    list of (a number, tuple of 2 (a number))
    """
    if isinstance(nest, dict):
        return Shape(dict, tuple(nest), tuple(shape_of(part) for part in nest.values()))
    if isinstance(nest, list | tuple):
        plain = list if isinstance(nest, list) else tuple
        kind = type(nest) if hasattr(nest, "_fields") else plain
        return Shape(kind, (), tuple(shape_of(part) for part in nest))
    return SCALAR


def builder(shape: Shape) -> Callable[[Any, int], Any]:
    """A function `build(flat, start)` that makes a nest of this shape of the scalars from `start` on.

    >>> builder(shape_of([0, (0, 0)]))([1.0, 2.0, 3.0, 4.0], 1)
    [2.0, (3.0, 4.0)]
    """
    if shape.kind is None:
        return lambda flat, start: flat[start]
    if shape.kind in (list, tuple) and all(part.kind is None for part in shape.parts):
        size, kind = len(shape.parts), shape.kind
        return lambda flat, start: kind(flat[start : start + size])
    builders = [builder(part) for part in shape.parts]
    starts = [0]
    for part in shape.parts:
        starts.append(starts[-1] + part.size)
    placed = list(zip(builders, starts, strict=False))
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
