"""Checks of arguments, for the door of a public function: the error names the argument and shows what was given."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Sequence
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path


class _Short(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxlist, self.maxtuple = 3, 60, 4, 4

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            return repr(x)  # called from here, where a Value may be shown while it is traced
        except Exception:
            return object.__repr__(x)


_SHORT: Final = _Short()


def brief(thing: object) -> str:
    """Anything at all, short, on one line, with no character that a terminal would obey.

    >>> print(brief("\\33[2J" + "x" * 100_000), brief([[[[1.5]]]]))
    '\\x1b[2Jxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxx' [[[[...]]]]
    """
    if isinstance(thing, int) and thing.bit_length() > 64:
        return f"an int of {thing.bit_length()} bits"
    text = " ".join(_SHORT.repr(thing).split())
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 80 else text[:77] + "..."


def shown(thing: object) -> str:
    """The same with its type, so that nobody takes one kind of thing for another.

    >>> shown("x"), shown([0] * 10_000), shown(10**400)
    ("'x' (str)", '[0, 0, 0, 0, ...] (list)', 'an int of 1329 bits (int)')
    """
    return f"{brief(thing)} ({type(thing).__name__})"


def legible(name: object) -> str:
    """A name from a file: as it is where that is short and can be shown on a line, else in brief."""
    return name if isinstance(name, str) and name.isprintable() and len(name) <= 80 else brief(name)


def wrong(name: str, wanted: str, thing: object) -> TypeError:
    return TypeError(f"{name} is {wanted}, got {shown(thing)}.")


def must_be(name: str, thing: Any, kind: type) -> None:
    if not isinstance(thing, kind):
        raise wrong(name, f"a{'n' * (kind.__name__[0] in 'AEIO')} {kind.__name__}", thing)


def function_of(name: str, thing: Any) -> Callable[..., Any]:
    """The argument, if it can be called; a class can, too."""
    if not callable(thing):
        raise wrong(name, "a function", thing)
    return thing  # type: ignore[no-any-return]


def one_of(name: str, thing: Any, known: Sequence[str]) -> None:
    if not isinstance(thing, str) or thing not in known:
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}; got {shown(thing)}.")


def truth(name: str, thing: Any) -> bool:
    try:
        if isinstance(thing, str):  # "no" is as true as "yes"
            raise TypeError
        return bool(thing)
    except (TypeError, ValueError):  # an array says neither
        raise wrong(name, "True or False", thing) from None


def text(name: str, thing: Any) -> str:
    if not isinstance(thing, str):
        raise wrong(name, "a str", thing)
    return thing


def whole_number(name: str, thing: Any, least: int | None = None) -> int:
    """The argument as an int, if it is a whole number and large enough."""
    try:
        number = operator.index(thing)
    except TypeError:
        raise wrong(name, "a whole number", thing) from None
    if least is not None and number < least:
        raise ValueError(f"{name} is a whole number from {least}, got {shown(thing)}.")
    return number


def list_of(name: str, thing: Any, wanted: str = "a list", kind: type = object) -> list[Any]:
    """The items of the argument, if it has some of this kind; a str has none.

    >>> list_of("labels", 5)
    Traceback (most recent call last):
    TypeError: labels is a list, got 5 (int).
    """
    listed = type(thing) is list or (isinstance(thing, Iterable) and not isinstance(thing, str | bytes))
    if not listed or getattr(thing, "shape", None) == ():
        raise wrong(name, wanted, thing)
    items = list(thing)
    if kind is not object and set(map(type, items)) != {kind}:  # which is quick, since zero_grad asks at every step
        for item in items:
            if not isinstance(item, kind):
                raise TypeError(f"{name} is {wanted}, got one with {shown(item)} in it.")
    return items


def path_of(name: str, thing: Any) -> Path:
    from pathlib import Path  # slow to load, and not needed by those who import the package alone

    if not isinstance(thing, str | os.PathLike):
        raise wrong(name, "the path of a file", thing)
    try:
        possible = b"\0" not in os.fsencode(thing)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ValueError(f"{name} has a character that no file's name may have: {shown(thing)}.")
    return Path(thing)
