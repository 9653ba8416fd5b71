"""Arguments of a program, taken apart: one sample or a batch, a column for each scalar.

An array has the samples along its first axis; a number beside arrays is the same for all samples.
"""

import functools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from microgrannd.ground.arguments import shown
from microgrannd.ground.nests import SCALAR, Shape, builder, contents, is_array, items, leaves, shape_of
from microgrannd.operations import as_float, is_number

Column = Any  # a list of floats or a NumPy array
PART: Final = 1 << 22  # the largest copy as floats that is made at once, in numbers: 32 MB


class Batch(NamedTuple):
    """A batch taken apart: the shape of one sample of each argument, and the columns of all."""

    shapes: tuple[Shape, ...]
    columns: list[Column]
    length: int
    arrays: tuple[bool, ...]  # which arguments came as one array

    def first(self) -> list[float]:
        return [float(column[0]) if self.length else 0.0 for column in self.columns]


def holds_array(argument: Any) -> bool:
    return argument.__class__ is not float and any(map(_has_samples, items(argument)))


def whole_shape(argument: Any) -> Shape:
    return shape_of(argument, lambda item: nested(item.shape) if is_array(item) else SCALAR)


def is_sample(argument: Any, shape: Shape) -> bool:
    if is_array(argument):
        return bool(argument.shape == dimensions(shape))
    if (parts := contents(argument)) is not None:
        same = shape.kind is not None and isinstance(argument, shape.kind) and len(parts) == len(shape.parts)
        return same and all(is_sample(part, wanted) for part, wanted in zip(parts, shape.parts, strict=True))
    return shape.kind is None


def nested(lengths: Sequence[int]) -> Shape:
    """The shape of lists nested to these lengths."""
    return Shape(list, (), (nested(lengths[1:]),) * lengths[0]) if lengths else SCALAR


def batch(arguments: Sequence[Any]) -> Batch:
    """Arguments of which some are or hold arrays; numbers are repeated for all samples."""
    import numpy

    every = [item for argument in arguments for item in items(argument)]
    counts = {len(item) for item in every if _has_samples(item)}
    if len(counts) != 1:
        raise ValueError(f"The arrays of a batch have one length, got {' and '.join(map(str, sorted(counts)))}.")
    [count] = counts
    columns = [numpy.asarray(column, dtype=float) for item in every for column in _columns(item, count)]
    shapes = [shape_of(argument, _sample_shape) for argument in arguments]
    return Batch(tuple(shapes), columns, count, tuple(map(is_array, arguments)))


def samples(arguments: Sequence[Any]) -> Batch:
    """Arguments that are arrays or lists with one entry, a number or a nest, for each sample."""
    lengths = [len(argument) if _is_column(argument) else None for argument in arguments]
    if None in lengths or len(set(lengths)) != 1:
        given = zip(arguments, lengths, strict=True)
        found = ", ".join(str(length) if length is not None else _kind(argument) for argument, length in given)
        raise ValueError(f"A batch has an array or a list of samples for each argument, of one length; got {found}.")
    count = lengths[0] or 0
    shapes: list[Shape] = []
    columns: list[Column] = []
    for argument in arguments:
        regular = argument if is_array(argument) else _as_array(argument)
        if regular is not None:
            part = batch([regular])
            shapes += part.shapes
            columns += part.columns
        else:
            shapes.append(shape_of(_as_nest(argument[0])) if count else SCALAR)
            rows = [_row(sample, shapes[-1], i) for i, sample in enumerate(argument)]
            columns += [list(column) for column in zip(*rows, strict=True)] if rows else [[]]
    return Batch(tuple(shapes), columns, count, tuple(map(is_array, arguments)))


def _is_column(thing: Any) -> bool:
    return isinstance(thing, list | tuple) or _has_samples(thing)


def _kind(thing: Any) -> str:
    return "a number" if is_number(thing) else shown(thing)


def ends(columns: Sequence[Any]) -> list[Any]:
    for column in columns:
        if not is_array(column):
            samples([column])  # which checks that all of them have one shape
    return [column[[0, -1]] if is_array(column) else [column[0], column[-1]] for column in columns]


def sample_shapes(columns: Sequence[Any]) -> list[Shape]:
    return [nested(column.shape[1:]) if is_array(column) else shape_of(_as_nest(column[0])) for column in columns]


def rows_of(columns: Sequence[Any], shapes: Sequence[Shape]) -> list[Any]:
    """For each argument with numbers an array with a row for each sample. Arrays are taken as they are."""
    import numpy

    rows = []
    for column, shape in zip(columns, shapes, strict=True):
        if shape.size and is_array(column) and column.dtype.kind in "fiub":
            rows.append(column.reshape(len(column), shape.size))
        elif shape.size:
            rows.append(numpy.stack([numpy.asarray(one, dtype=float) for one in samples([column]).columns], axis=1))
    return rows


def chosen(array: Any, rows: Any) -> Any:
    if isinstance(rows, slice) or not (array.flags.c_contiguous and array.flags.aligned):
        return array[rows]
    return array.take(rows, 0)  # several times as fast, but it would copy an array whose rows have gaps


def in_parts(columns: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The samples in turn, in parts of PART numbers where all columns are arrays; else all at once."""
    if not all(map(_has_samples, columns)) or len(set(map(len, columns))) != 1:
        yield columns
        return
    count = len(columns[0])
    size = max(1, PART * count // max(1, sum(column.size for column in columns)))
    for start in range(0, max(1, count), size):
        yield [column[start : start + size] for column in columns]


def space_for(shapes: Sequence[Shape], as_arrays: Sequence[bool], length: int) -> tuple[list[Any], list[Column]]:
    """Space for results of these shapes: a nest of arrays for each (one array, where asked for), and all columns."""
    import numpy

    rows = max(length, 8)  # native code writes eight samples at once
    block = numpy.empty(rows * sum(shape.size for shape in shapes))  # one is allocated faster than many
    nests, columns, start = [], [], 0
    for shape, as_array in zip(shapes, as_arrays, strict=True):
        part = block[start : start + rows * shape.size]
        start += len(part)
        if as_array and (lengths := dimensions(shape)):
            nests.append(part.reshape(rows, *lengths)[:length])
            columns += list(part.reshape(rows, -1).T)
        else:
            arrays = list(part.reshape(-1, rows))
            nests.append(builder(shape)([array[:length] for array in arrays], 0))
            columns += arrays
    return nests, columns


@functools.cache
def dimensions(shape: Shape) -> tuple[int, ...] | None:
    if shape.kind is None:
        return ()
    inner = {dimensions(part) for part in shape.parts}
    if shape.kind is dict or len(inner) != 1 or None in inner:
        return None
    [rest] = inner
    return (len(shape.parts), *(rest or ()))


def _as_array(samples: Any) -> Any:
    """A list of numbers or of lists as an array, where NumPy is in use and they are regular; else None."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not samples or samples[0].__class__ not in (float, int, list):
        return None
    try:
        array = numpy.asarray(samples)
    except ValueError:
        return None
    plain = samples[0].__class__ is not list or all(x.__class__ is not tuple for x in samples[0])
    return array if array.dtype.kind in "fiu" and plain else None


def _as_nest(thing: Any) -> Any:
    return thing.tolist() if is_array(thing) else thing


def _row(sample: Any, shape: Shape, i: int) -> list[float]:
    sample = _as_nest(sample)
    if shape_of(sample) != shape:
        raise ValueError(f"All samples have one shape, but the first is {shape} and sample {i} is {shape_of(sample)}.")
    return [as_float(x) for x in leaves(sample)]


def _has_samples(item: Any) -> bool:
    return is_array(item) and item.ndim > 0


def _sample_shape(item: Any) -> Shape:
    return nested(item.shape[1:]) if _has_samples(item) else SCALAR


def _columns(item: Any, count: int) -> list[Column]:
    import numpy

    if not _has_samples(item):
        return [numpy.broadcast_to(as_float(item.item() if is_array(item) else item), (count,))]
    if item.dtype.kind not in "fiub":
        raise TypeError(f"Arrays of numbers are needed, got one of {item.dtype}.")
    return list(item.reshape(count, math.prod(item.shape[1:])).T)
