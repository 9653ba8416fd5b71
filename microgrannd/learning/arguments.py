"""The arguments of a training: what is none is answered before anything is done, by an error that says what is."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any

from microgrannd.optim import Optimizer


def check_arguments(
    loss: Any, data: Any, optimizer: Any, epochs: Any, schedule: Any, callbacks: Any
) -> list[Callable[..., Any]]:
    """Raise TypeError for what `fit` cannot take; the callbacks as a list."""
    if not callable(loss):
        raise TypeError(f"The loss is a function of one sample, such as lambda x, y: ...; got {loss!r}.")
    if not isinstance(optimizer, Optimizer):
        example = "SGD(model.parameters(), lr=0.1)"
        if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
            example = f"{optimizer.__name__}(model.parameters(), lr=0.1)"
        raise TypeError(f"fit takes an optimizer, such as {example}; got {optimizer!r}.")
    try:
        operator.index(epochs)
    except TypeError:
        raise TypeError(f"epochs is an int, got {epochs!r}.") from None
    if schedule is not None and not callable(schedule):
        raise TypeError(f"The schedule is a function that gives the learning rate, got {schedule!r}.")
    if callable(callbacks) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks is a list of functions, such as [f]; got {callbacks!r}.")
    functions = list(callbacks)
    if strange := [callback for callback in functions if not callable(callback)]:
        raise TypeError(f"A callback is a function of the epoch and the history, got {strange[0]!r}.")
    if isinstance(data, list | tuple) and data and all(hasattr(column, "__len__") for column in data):
        _check_columns(getattr(loss, "function", None) or loss, data)
    return functions


def _check_columns(loss: Callable[..., Any], data: list[Any] | tuple[Any, ...]) -> None:
    """Columns go with the arguments of the loss; a list of samples, the other way round, is easily taken for them."""
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # a builtin that does not tell
        return
    columns, fields = len(data), {len(column) for column in data}
    of_samples = len(fields) == 1 and _takes(signature, fields.pop())
    tuples = isinstance(data, list) and all(type(column) is tuple for column in data)
    if _takes(signature, columns) and not (of_samples and tuples):
        return
    if of_samples:
        remedy = "it looks like a list of samples, which tuple(zip(*data)) turns into columns"
    else:
        remedy = f"got {columns}, which the loss, of {signature}, does not take"
    raise TypeError(
        f"The data is a tuple with an array or list for each argument of the loss, such as (X, Y): {remedy}."
    )


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
