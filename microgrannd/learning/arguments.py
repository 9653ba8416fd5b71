"""The arguments of a training: what is none is answered before anything is done, by an error that says what is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from microgrannd.ground.arguments import function_of, list_of, whole_number, wrong
from microgrannd.learning.optimizer import Optimizer
from microgrannd.optim import SGD


def check_arguments(
    loss: Any, data: Any, optimizer: Any, epochs: Any, schedule: Any, callbacks: Any
) -> list[Callable[..., Any]]:
    """Raise TypeError for what `fit` cannot take; the callbacks as a list."""
    function_of("loss", loss)
    if not isinstance(optimizer, Optimizer):
        kind = optimizer if isinstance(optimizer, type) and issubclass(optimizer, Optimizer) else SGD
        raise wrong("optimizer", f"one such as {kind.__name__}(model.parameters(), lr=0.1)", optimizer)
    whole_number("epochs", epochs)
    if schedule is not None:
        function_of("schedule", schedule)
    functions = list_of("callbacks", callbacks, "a list of functions of the epoch and the history")
    for callback in functions:
        function_of("Each of the callbacks", callback)
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
