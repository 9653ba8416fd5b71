"""What holds while a `with` block runs: `no_grad`, `detect_anomaly`, `scope`, `source_lines`, `tracing`.

Every thread has its own modes. `opened` has an entry for each block that is open in any thread: while it
is empty, which is nearly always, making a node costs one look at it and no more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where a node was made, in which scope and at which line of the user's code, and its label (each may be "")."""

    scope: str
    line: str
    label: str = ""


class _Modes(threading.local):
    recording = True
    detecting = False
    scope = ""
    locating = False
    trace: list[Any] | None = None
    refused: list[Exception] | None = None  # what a function that is being traced asked for, but may not have


current = _Modes()
opened: list[None] = []
_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_python = os.path.dirname(os.__file__) + os.sep


@contextmanager
def _set(**changes: Any) -> Iterator[None]:
    before = {name: getattr(current, name) for name in changes}
    opened.append(None)
    for name, setting in changes.items():
        setattr(current, name, setting)
    try:
        yield
    finally:
        for name, setting in before.items():
            setattr(current, name, setting)
        opened.pop()


@contextmanager
def no_grad() -> Iterator[None]:
    """Operations give leaves: numbers are computed, nothing is remembered.

    For evaluating a trained model, or for arithmetic on parameters. Also a decorator.

    >>> from microgrannd import Value, no_grad
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.parents
    ()
    """
    with _set(recording=False):
        yield


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """The first NaN or infinity raises AnomalyError, in forward and in backward.

    The error names the operation, its inputs, its label and the line of your code that made it.

    >>> from microgrannd import Value, detect_anomaly
    >>> with detect_anomaly():
    ...     Value(0.0, label="x").log()
    Traceback (most recent call last):
    microgrannd.ground.errors.AnomalyError: log(x=0.0) gave -inf...
    """
    with _set(detecting=True, locating=True):
        yield


@contextmanager
def no_detection() -> Iterator[None]:
    """Anomalies pass inside: for what is computed on the way and may never be used."""
    with _set(detecting=False):
        yield


@contextmanager
def recording() -> Iterator[None]:
    """Operations make nodes inside, even within `no_grad`: for a derivative that is asked for there."""
    with _set(recording=True):
        yield


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made inside carry the name, joined to the scopes around it by dots; drawings fold by it.

    >>> from microgrannd import Value, scope
    >>> with scope("encoder"), scope("gate"):
    ...     y = Value(2.0).exp()
    >>> y.scope
    'encoder.gate'
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"A scope has a name, a str that is not empty; got {name!r}.")
    with _set(scope=f"{current.scope}.{name}" if current.scope else name):
        yield


@contextmanager
def source_lines() -> Iterator[None]:
    """Nodes made inside remember the line of your code that made them, in `node.line`.

    The step player shows it. It costs a few microseconds a node, so it is not on by itself.
    """
    with _set(locating=True):
        yield


@contextmanager
def tracing() -> Iterator[list[Any]]:
    """Every node made inside is kept in the list that this gives, in the order of making.

    Asking a Value for its number meanwhile (`x.data`, `if x > 0`, `float(x)`, `x in {1}`, `f"{x}"`) raises
    TracingError: the compiler traces a function once and runs it on other numbers. The error is raised again
    at the end, so that an `except Exception` inside does not hide it. Comparisons become operations.
    """
    nodes: list[Any] = []
    refused: list[Exception] = []
    try:
        with _set(trace=nodes, refused=refused):
            yield nodes
    finally:
        if refused:
            raise refused[0] from None


def origin() -> Origin | None:
    """Where the node that is being made comes from, as far as the open modes want it known."""
    if not (current.scope or current.locating):
        return None
    return Origin(current.scope, user_line() if current.locating else "")


def called_by_us(*doors: str) -> bool:
    """Whether this package's own code asks rather than the user's; `doors` are files that ask on behalf of either."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.endswith(doors):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(_package)


def user_line() -> str:
    """`file.py:12: y = x * x`, the innermost line on the stack that is not this package's own, or Python's."""
    import linecache

    frame = sys._getframe(1)
    while frame.f_back and _is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, number).strip()
    return f"{os.path.basename(file)}:{number}" + (f": {text}" if text else "")


def _is_inside(file: str) -> bool:
    return file.startswith((_package, "<frozen")) or (file.startswith(_python) and "site-packages" not in file)
