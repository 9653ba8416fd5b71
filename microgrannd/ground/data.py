"""Data to train on: aligned columns, or a stream of batches of which one at a time is in memory."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from microgrannd.ground.arguments import shown, whole_number
from microgrannd.ground.nests import items, mapped

Column: TypeAlias = Any  # an array or a list, samples along the first axis
Data: TypeAlias = "Sequence[Column] | Iterable[Sequence[Column]] | Callable[[], Iterable[Sequence[Column]]]"


def columns_of(data: Any, what: str = "The data") -> tuple[list[Column], int]:
    if not isinstance(data, tuple | list) or not all(hasattr(column, "__len__") for column in data):
        kind = type(data).__name__
        if isinstance(data, tuple | list):
            item = next(type(column).__name__ for column in data if not hasattr(column, "__len__"))
            kind = f"a {kind} with a {item} in it"
        raise TypeError(
            f"{what} is a tuple with an array or list for each argument of the loss, such as (X, Y); got {kind}."
        )
    lengths = [len(column) for column in data]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"{what} has arrays of one length, at least 1; got lengths {lengths}.")
    if any(hasattr(column, "__array__") for column in data):
        import numpy

        return [numpy.asarray(column) if hasattr(column, "__array__") else column for column in data], lengths[0]
    return list(data), lengths[0]


def batch_size_of(batch_size: int | None, count: int) -> int:
    if batch_size is None:
        return count
    size = whole_number("batch_size", batch_size)
    if not 1 <= size <= count:
        raise ValueError(f"batch_size is {size}, but the data has {count} samples: it is from 1 to {count}.")
    return size


def plain_samples(column: Column) -> Any:
    """The samples of a column as the loss gets them in eager mode: numbers as Python's, in which bytes do not wrap."""
    if hasattr(column, "dtype"):
        return column.tolist() if column.ndim == 1 else _widened(column)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return column
    foreign = (numpy.generic, numpy.ndarray)
    if any(isinstance(sample, foreign) for sample in column) or any(isinstance(x, foreign) for x in items(column[0])):
        return [mapped(_plain, sample) for sample in column]
    return column


class Stream:
    """Batches that come one after another, anew for each epoch; each is released before the next is made."""

    def __init__(self, begin: Callable[[], Iterator[Any]]) -> None:
        self._begin = begin
        self._ahead: tuple[list[Column], Iterator[list[Column]]] | None = None
        self._epochs = 0
        self.place = 0  # the number of the last batch given in this epoch, counted from 1

    def first(self) -> list[Column]:
        """The first batch, which the next epoch begins with all the same."""
        if self._ahead is None:
            batches = self._epoch()
            self._ahead = next(batches), batches
        return self._ahead[0]

    def __iter__(self) -> Iterator[list[Column]]:
        return self._epoch() if self._ahead is None else self._continued(*self._ahead)

    def _continued(self, first: list[Column], batches: Iterator[list[Column]]) -> Iterator[list[Column]]:
        self._ahead = None
        yield first
        del first
        yield from batches

    def _epoch(self) -> Iterator[list[Column]]:
        self._epochs += 1
        self.place = 0
        width = 0
        for batch in self._begin():
            self.place += 1
            columns, _ = columns_of(batch, f"Batch {self.place} of the data")
            width = width or len(columns)
            if len(columns) != width:
                raise ValueError(f"Batch {self.place} of the data has {len(columns)} arrays, the first has {width}.")
            del batch
            yield columns
            del columns
        if not self.place:
            raise ValueError(f"The data gave no batch in epoch {self._epochs}: it is spent, or was empty.")


def stream_of(data: Any, epochs: int, *, batch_size: int | None, replace: bool, seed: int | None) -> Stream | None:
    if isinstance(data, Stream):
        return data
    in_columns = isinstance(data, tuple | list | dict | str) or hasattr(data, "shape")
    if in_columns or not (callable(data) or isinstance(data, Iterable)):
        return None
    if batch_size is not None or replace or seed is not None:
        raise ValueError(
            "batch_size, replace and seed say how batches are drawn from arrays; data that come in batches "
            "have their own sizes and order: leave them out."
        )
    if isinstance(data, Iterator) and epochs > 1:
        raise ValueError(
            f"An iterator gives its batches once, so epochs is 1, got {epochs}. For more, give a function that "
            "makes an iterator: it is called for each epoch."
        )
    return Stream(lambda: _batches(data))


def _batches(data: Any) -> Iterator[Any]:
    batches = data if isinstance(data, Iterable) else data()
    if not isinstance(batches, Iterable):
        raise TypeError(f"A function that is the data gives batches, as a generator does; got {shown(batches)}.")
    return iter(batches)


def _plain(thing: Any) -> Any:
    if not hasattr(thing, "dtype"):
        return thing
    return thing.item() if thing.ndim == 0 else _widened(thing)


def _widened(array: Any) -> Any:
    """The array with its bytes, bools and short numbers as int64, or as float64 where they do not fit."""
    kind = array.dtype.kind
    wide = {"b": "int64", "i": "int64", "u": "int64" if array.dtype.itemsize < 8 else "float64", "f": "float64"}
    return array.astype(wide[kind], copy=False) if kind in wide else array
