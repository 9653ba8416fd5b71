"""What a Value refuses while a function is traced: its number, its hash, its text; the refusal is remembered."""

import functools
import os
import sys
from _thread import RLock  # threading takes a tenth of the package's import
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from microgrannd.ground import modes
from microgrannd.ground.errors import GradientError, TracingError
from microgrannd.operations import as_float

# Why a function that is being traced may not have what it asks for, and what to say instead.
_REMEDIES: Final = {
    "number": "Its .data is one number: take the Value itself, or stop_gradient of it.",
    "float": "float() and math's functions take one number: use the package's own, such as mg.exp.",
    "int": "int(), round(), divmod() and indices take one number: use mg.floor, // and %.",
    "set": "What is set meanwhile would be set once, not at each call: set it outside.",
    "backward": "Its .backward() would run once, not at each call: mg.grad gives derivatives as Values.",
    "branch": "`if`, `and`, `or`, `not`, max() and min() take one branch for good: "
    "say where(condition, a, b), maximum(a, b) or minimum(a, b).",
    "gradient": "Its .grad, .inputs and .local_gradients are numbers: mg.grad gives derivatives as Values.",
    "text": "str() and f-strings show one number: print after the call, or leave it out.",
    "repr": "repr() and f-strings show one number: print after the call, or leave it out.",
    "hash": "Sets, dicts and caches look for one number: say where(x == 1, a, b).",
    "equal": "== of two Values says whether they are the same node: say mg.equal(x, y) to compare their numbers.",
    "hand": "A node by hand has one number and one slope for good: say how it is computed, in operations.",
    "copy": "A copy is cut off from what is computed: take the Value itself, or stop_gradient of it.",
}
# What this package's own code may ask for: it knows what it does.
_ALLOWED_TO_US: Final = {"equal", "gradient", "hash", "repr"}
_DOORS: Final = tuple(  # files of the package that ask on behalf of the user, or of the rest of it
    os.path.join("microgrannd", *path) for path in (["engine.py"], ["nodes", "refusing.py"], ["nodes", "arithmetic.py"])
)


def no_number(name: str, instead: str, operation: str) -> TypeError:
    """The error of `float(y)` and its kin; while tracing, the one that says why there is no number yet."""
    refuse_while_tracing(name)
    return TypeError(
        f"{name}(Value) would lose the gradient without a word: take {instead} for the number, "
        f"or an operation that knows Values, such as {operation}."
    )


def refuse_while_tracing(what: str) -> None:
    """Raise TracingError where a compiled function is being traced and asks for a number, a hash, a text ..."""
    refused = modes.current.refused
    if refused is None or (what in _ALLOWED_TO_US and _asked_by_us()):
        return
    refused.append(
        TracingError(
            "A compiled function is traced once and runs on other numbers, so it cannot look at a Value's. "
            f"{_REMEDIES[what]} In {modes.user_line()}"
        )
    )
    raise refused[-1]


def no_operand(thing: object) -> Any:
    """Nothing, so that arrays take over; a TypeError for a complex number, which says what to do instead."""
    if isinstance(thing, complex):
        as_float(thing)


def computed(node: Any) -> AttributeError:
    """The error of setting a node's data."""
    return AttributeError(
        f"The data of {node!r} is computed by {node.op.name!r}; set a leaf's data and compute again, "
        "or take .detach() for a leaf of its own."
    )


def no_leaf(node: Any) -> TypeError:
    """The error of copying a node, or pickling it."""
    return TypeError(
        f"{node!r} has parents, and a graph is not copied or pickled: use it as it is, take .detach() "
        "for a leaf with its number, or save the model with mg.save."
    )


def refuse_unrecorded(y: Any) -> None:
    """Raise GradientError where y is what an operation gave within `no_grad`: nothing is known of its inputs."""
    if y.op is None and (operation := getattr(y, "_x", None)) is not None:
        raise GradientError(
            f"{y!r} was computed by {operation.name!r} within no_grad, where nothing is remembered, so it has no "
            "gradients: compute it outside of that block, or take .detach() for a leaf of its own."
        )


def refused_where(condition: Callable[[], Any]) -> bool:
    """While a function is traced: note that it would raise for plain numbers for which `condition()` is not 0.

    True while one is traced.
    """
    if not modes.opened or (refusals := modes.current.refusals) is None:
        return False
    refusals.append(condition())
    return True


def _asked_by_us() -> bool:
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.endswith(_DOORS):
        frame = frame.f_back
    return _is_ours(frame.f_code.co_filename)


@functools.cache
def _is_ours(file: str) -> bool:
    return file.startswith(modes.PACKAGE) and not file.endswith(_DOORS)


def _hash_for_us(node: Any) -> int:
    if not _is_ours(sys._getframe(1).f_code.co_filename):
        refuse_while_tracing("hash")
    return _identity(node)


_identity: Final = object.__hash__
_hashing = RLock()
if hasattr(os, "register_at_fork"):  # a child never inherits it from a thread that it does not have
    os.register_at_fork(before=_hashing.acquire, after_in_parent=_hashing.release, after_in_child=_hashing.release)
_traces = 0


@contextmanager
def tracing_user_code(kind: type) -> Iterator[list[Any]]:
    """`modes.tracing` of a user's function. Values, which are of this `kind`, are hashed with care meanwhile."""
    global _traces
    with _hashing:
        _traces += 1
        if kind.__flags__ & _SETTABLE:
            kind.__hash__ = _hash_for_us  # type: ignore[method-assign, assignment]
    try:
        with modes.tracing() as nodes:
            yield nodes
    finally:
        with _hashing:
            _traces -= 1
            if not _traces and kind.__flags__ & _SETTABLE:
                kind.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]


_SETTABLE: Final = 1 << 9  # a class written in Python; that of the compiled build is careful at all times
