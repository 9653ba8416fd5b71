"""What holds while a `with` block runs: `no_grad`, `detect_anomaly`, `scope`, `source_lines`, `tracing`.

A block holds for the thread or the task that opened it, until it ends, in whatever order blocks end. `opened` has
an entry for each block that is open anywhere: while it is empty, which is nearly always, making a node costs one
look at it and no more.
"""

import functools
import os
import sys
from _weakref import ref  # all of weakref takes a tenth of the package's import
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, TypeVar

from microgrannd.ground.arguments import function_of, shown

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


UNNAMED: Final = ""  # the one empty str, so that it is known by its identity, whatever else a label is


class Origin(NamedTuple):
    """Where a node was made, in which scope and at which line of the user's code, and its label (each may be "")."""

    scope: str
    line: str
    label: str = UNNAMED


class Modes(NamedTuple):
    """What the open blocks make of it all."""

    recording: bool = True
    detecting: bool = False
    scope: str = ""
    locating: bool = False
    trace: list[Any] | None = None
    refused: list[Exception] | None = None  # what a function that is being traced asked for, but may not have
    refusals: list[Any] | None = None  # conditions under which it would raise for plain numbers


class Block:
    """One `with` block, or as a decorator one for each call of the function: the settings that it changes.

    It is open until it ends or nobody holds it any more, which a `with` statement does while it runs. So whatever
    interrupts entering or leaving it, it does not stay open.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.is_open = False

    def __enter__(self) -> None:
        if self.is_open:
            raise RuntimeError("This block is open already: make another for a block within it.")
        self.is_open = True
        mark = ref(self, _close)
        opened.append(mark)
        marks, modes, end = _open_here.get()
        _open_here.set(((*marks, mark), _with(modes, self.settings), end))

    def __exit__(self, *error: object) -> None:
        global _last_end
        _last_end = object()  # here too, since an interrupt may come before the next one
        self.is_open = False
        _close(ref(self))
        now()

    def __call__(self, function: Decorated) -> Decorated:
        """The function, or the coroutine or the generator step by step, inside a block of its own at each call."""
        function = function_of("What is decorated", function)  # type: ignore[assignment]
        import inspect  # not needed by those who import the package alone, and slow to load

        kind, settings = type(self), self.settings

        @functools.wraps(function)
        def within(*arguments: Any, **keywords: Any) -> Any:
            with kind(**settings):
                return function(*arguments, **keywords)

        @functools.wraps(function)
        async def within_a_task(*arguments: Any, **keywords: Any) -> Any:
            with kind(**settings):
                return await function(*arguments, **keywords)

        @functools.wraps(function)
        def step_by_step(*arguments: Any, **keywords: Any) -> Any:
            generator = function(*arguments, **keywords)
            resume: Callable[[], Any] = functools.partial(next, generator)
            while True:
                try:
                    with kind(**settings):
                        item = resume()
                except StopIteration as end:
                    return end.value
                try:
                    resume = functools.partial(generator.send, (yield item))
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)

        if inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is an asynchronous generator: write `with` inside it.")
        if inspect.iscoroutinefunction(function):
            return within_a_task  # type: ignore[return-value]
        return step_by_step if inspect.isgeneratorfunction(function) else within  # type: ignore[return-value]


opened: list[ref[Block]] = []
_last_end = object()  # of a block, anywhere: another object for each
_open_here: ContextVar[tuple[tuple[ref[Block], ...], Modes, object]] = ContextVar("open", default=((), Modes(), None))
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_python = os.path.dirname(os.__file__) + os.sep


def now() -> Modes:
    marks, modes, end = _open_here.get()
    if end is _last_end:
        return modes
    end, modes = _last_end, Modes()
    left = [(mark, block) for mark in marks if (block := mark()) is not None and block.is_open]
    for _, block in left:
        modes = _with(modes, block.settings)
    _open_here.set((tuple([mark for mark, _ in left]), modes, end))
    return modes


class _Current:
    def __getattr__(self, name: str) -> Any:
        return getattr(now(), name)


current = _Current()  # what `now()` gives, asked for by name: `modes.current.recording`


def _with(modes: Modes, settings: dict[str, Any]) -> Modes:
    if modes.scope and "scope" in settings:
        settings = settings | {"scope": f"{modes.scope}.{settings['scope']}"}
    return modes._replace(**settings)


def _close(mark: ref[Block]) -> None:
    global _last_end
    _last_end = object()
    if mark in opened:
        opened.remove(mark)


def no_grad() -> Block:
    """Operations give leaves: numbers are computed, nothing is remembered.

    For evaluating a trained model, or for arithmetic on parameters. Also a decorator.

    >>> from microgrannd import Value, no_grad
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.parents
    ()
    """
    return Block(recording=False)


def detect_anomaly() -> Block:
    """The first NaN or infinity raises AnomalyError, in forward and in backward, and the zero that stopped one.

    The error names the operation, its inputs, its label and the line of your code that made it.

    >>> from microgrannd import Value, detect_anomaly
    >>> with detect_anomaly():
    ...     Value(0.0, label="x").log()
    Traceback (most recent call last):
    microgrannd.ground.errors.AnomalyError: log(x=0.0) gave -inf...
    """
    return Block(detecting=True, locating=True)


def no_detection() -> Block:
    """Anomalies pass inside: for what is computed on the way and may never be used."""
    return Block(detecting=False)


def recording() -> Block:
    """Operations make nodes inside, even within `no_grad`: for a derivative that is asked for there."""
    return Block(recording=True)


def scope(name: str) -> Block:
    """Nodes made inside carry the name, joined to the scopes around it by dots; drawings fold by it.

    >>> from microgrannd import Value, scope
    >>> with scope("encoder"), scope("gate"):
    ...     y = Value(2.0).exp()
    >>> y.scope
    'encoder.gate'
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"A scope has a name, a str that is not empty; got {shown(name)}.")
    return Block(scope=name)


def source_lines() -> Block:
    """Nodes made inside remember the line of your code that made them, in `node.line`.

    The step player shows it. It costs a few microseconds a node, so it is not on by itself.
    """
    return Block(locating=True)


@contextmanager
def tracing() -> Iterator[list[Any]]:
    """Every node made inside is kept in the list that this gives, in the order of making.

    Asking a Value for its number meanwhile raises TracingError, and again at the end, so that an `except Exception`
    inside does not hide it. Comparisons become operations.
    """
    nodes: list[Any] = []
    refused: list[Exception] = []
    try:
        with Block(trace=nodes, refused=refused, refusals=[]):
            yield nodes
    finally:
        if refused:
            raise refused[0] from None


def origin(modes: Modes) -> Origin | None:
    wanted = modes.scope or modes.locating
    return Origin(modes.scope, user_line() if modes.locating else "") if wanted else None


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
    return file.startswith((PACKAGE, "<frozen")) or (file.startswith(_python) and "site-packages" not in file)
