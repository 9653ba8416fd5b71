"""Calls with keywords and with static arguments: for each kind of call a program of its numbers alone.

A static argument (an int, a bool, a str, None) is looked at by the function, as in `range(n)` or `if mode == "sin"`.
The function is traced anew for each of its values, and there is no gradient by it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

from microgrannd.compiler.runtime import Options
from microgrannd.ground.arguments import shown
from microgrannd.ground.errors import TracingError
from microgrannd.ground.functions import argument_names, name_of

if TYPE_CHECKING:
    from microgrannd.compiler.program import Program


@dataclass(frozen=True)
class Call:
    """The arguments of a call by name, in the order of the parameters; so many of them go by position."""

    given: dict[str, Any]
    positional: int
    static: frozenset[str]

    @property
    def numbers(self) -> list[Any]:
        """The arguments that are not static."""
        return [value for name, value in self.given.items() if name not in self.static]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What it has in common with calls that the same program serves. True, 1 and 1.0 are three values."""
        return self.positional, *[(x, type(v), v) if x in self.static else x for x, v in self.given.items()]

    def candidates(self) -> list[str]:
        """The arguments that might be static, too."""
        return [x for x, value in self.given.items() if x not in self.static and _is_discrete(value)]

    def with_static(self, names: Iterable[str]) -> Call:
        """The same call with these arguments static, too."""
        return replace(self, static=self.static | frozenset(names))

    def place(self, position: int) -> int:
        """Which of the numbers an argument is. Raises TypeError for one that is static."""
        name = list(self.given)[position]
        if name in self.static:
            raise TypeError(f"{name} is static: there is no derivative by it.")
        return [other for other in self.given if other not in self.static].index(name)

    def spread(self, gradients: Sequence[Any]) -> tuple[Any, ...]:
        """An entry for each argument: a gradient, or None where it is static."""
        found = iter(gradients)
        return tuple([None if name in self.static else next(found) for name in self.given])


def of_numbers(function: Callable[..., Any], call: Call) -> Callable[..., Any]:
    """The function of the numbers of a call, its static arguments in place; what that reaches, this one does."""
    names, first_keyword = list(call.given), call.positional
    fixed = {name: call.given[name] for name in call.static}

    def of_these(*numbers: Any) -> Any:
        given = iter(numbers)
        values = [fixed[name] if name in fixed else next(given) for name in names]
        keywords = dict(zip(names[first_keyword:], values[first_keyword:], strict=True))
        return function(*values[:first_keyword], **keywords)

    of_these.__name__ = name_of(function)
    kind = inspect.Parameter.POSITIONAL_ONLY  # with their names, by which the program calls them
    parameters = [inspect.Parameter(x, kind) for x in names if x not in fixed]
    of_these.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return of_these


class Forms:
    """The programs of a function for calls by keyword or with static arguments."""

    def __init__(self, function: Callable[..., Any] | None, options: Options, program: type[Program]) -> None:
        self.function = function
        self.is_open = options.static is not None and function is not None  # not itself one of them
        self.declared = options.static or ()
        self.needed = bool(options.static)  # by calls without keywords, too
        self._found: set[str] = set()  # arguments that the function was seen to look at
        self._programs: dict[Any, Program] = {}
        self._new = partial(program, options=replace(options, static=None))

    def of(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Program, Call]:
        """The program for a call, and its arguments. Raises TypeError where they do not fit the function."""
        call = self._call(arguments, keywords)
        return self._program(call), call

    def looks(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
        """Whether the function can be traced once some ints, bools and strs are static: as few as need be, noted."""
        if not self.is_open:
            return False
        call = self._call(arguments, keywords)
        static = call.candidates()
        if not static or self._traces(call) or not self._traces(call.with_static(static)):
            return False
        for name in call.candidates():
            fewer = [other for other in static if other != name]
            static = fewer if self._traces(call.with_static(fewer)) else static
        self._found.update(static)
        self.needed = True
        return True

    def _call(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Call:
        if self.function is None:
            raise TypeError("The inputs of a compiled graph go by position.")
        if keywords:
            try:
                bound = inspect.signature(self.function).bind(*arguments, **keywords)
            except TypeError as error:
                raise TypeError(f"{name_of(self.function)}: {error}") from None
            arguments, keywords = bound.args, bound.kwargs
        names = argument_names(self.function, len(arguments), "x")
        given = dict(zip(names, arguments, strict=True)) | keywords
        declared: set[Any] = {
            names[i] if isinstance(i, int) and -len(names) <= i < len(names) else i for i in self.declared
        }
        for name in declared.intersection(given):
            if not (given[name] is None or isinstance(given[name], Enum) or _is_discrete(given[name])):
                raise TypeError(
                    f"{name} was declared static, so it is an int, a bool, a str or None; got {shown(given[name])}."
                )
        static = {x for x, v in given.items() if x in declared or (x in self._found and _is_discrete(v))}
        return Call(given, len(arguments), frozenset(static))

    def _program(self, call: Call) -> Program:
        if found := self._programs.get(call.kind):
            return found
        assert self.function is not None
        return self._programs.setdefault(call.kind, self._new(of_numbers(self.function, call)))

    def _traces(self, call: Call) -> bool:
        try:
            self._program(call).trace(*call.numbers).runtime.traced()
        except (TypeError, TracingError):
            return False
        return True


def _is_discrete(x: object) -> bool:
    numpy = sys.modules.get("numpy")
    return isinstance(x, Integral | str) or bool(numpy and isinstance(x, numpy.bool_))
