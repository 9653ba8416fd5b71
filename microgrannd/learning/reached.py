"""What a function looks at besides its arguments: the plain state that it reaches, and whether that has changed.

That is closures, globals, defaults and attributes that its code names, and those of the functions that it calls; but
not of this package, of the standard library or of what is installed.
"""

from __future__ import annotations

import enum
import functools
import os
import pickle
import random
import sys
import types
from collections.abc import Iterator, Mapping, MutableSequence, Set
from numbers import Number
from operator import is_
from typing import Any, Final, TypeAlias

from microgrannd.engine import Value
from microgrannd.ground.functions import argument_names
from microgrannd.ground.nests import is_array
from microgrannd.learning.modules import Module
from microgrannd.learning.optimizer import Optimizer

_MOST: Final = 5000  # places that are looked at
_LARGE: Final = 2000  # numbers of an array beyond which only some are
_PLAIN: Final = (Number, str, bytes, type(None), enum.Enum)
_ASIDE: Final = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__getstate__", "__setstate__", "__reduce__"}
_STANDARD_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_FUNCTIONS: Final = (types.FunctionType, staticmethod, classmethod)
_Found: TypeAlias = "Iterator[_Place | tuple[str, Any]]"  # state, and what to look into next


class _Place:
    """Some names of a namespace or attributes of an object, or the items of a container: what it is now, by key."""

    def __init__(self, path: str, owner: Any, names: Set[str] = frozenset()) -> None:
        self.path = path
        self.owner = owner
        self.names = names

    def read(self) -> Any:
        owner = self.owner
        if isinstance(owner, Module):
            return owner.parameters()
        if isinstance(owner, list | tuple):
            return list(owner)
        if is_array(owner):
            return owner.flat[:: max(1, owner.size // _LARGE)].tolist()
        if isinstance(owner, Set):
            return dict.fromkeys(owner, True)
        return dict(owner) if isinstance(owner, Mapping) else list(owner)

    def write(self, before: Any) -> None:
        if is_array(self.owner):
            if len(before) == self.owner.size:
                self.owner.flat[:] = before
        elif isinstance(self.owner, MutableSequence):
            self.owner[:] = before
        elif hasattr(self.owner, "clear"):
            self.owner.clear()
            self.owner.update(before)

    def name(self, key: Any) -> str:
        return f"{self.path}[{key!r}]"


class _Names(_Place):
    """Those of a namespace that are in `names`, now or later."""

    def read(self) -> Any:
        return {name: self.owner[name] for name in sorted(self.names & self.owner.keys())}

    def write(self, before: Any) -> None:
        for name in self.read().keys() - before.keys():
            del self.owner[name]
        self.owner.update(before)

    def name(self, key: Any) -> str:
        return f"{self.path}{key}"


class _Attributes(_Names):
    """Attributes that are found in another place than the object's own namespace."""

    def read(self) -> Any:
        found = {name: _attribute(self.owner, name) for name in sorted(self.names)}
        return {name: x for name, x in found.items() if x is not _Place}

    def write(self, before: Any) -> None:
        for name, x in before.items():
            if not isinstance(getattr(type(self.owner), name, None), property):
                setattr(self.owner, name, x)

    def name(self, key: Any) -> str:
        return self.path if key == "cell_contents" else f"{self.path}{key}"


class _Generator(_Place):
    def read(self) -> Any:
        get = getattr(self.owner, "getstate", None) or getattr(self.owner, "get_state", None)
        return get() if get else self.owner.bit_generator.state

    def write(self, before: Any) -> None:
        put = getattr(self.owner, "setstate", None) or getattr(self.owner, "set_state", None)
        if put:
            put(before)
        else:
            self.owner.bit_generator.state = before


class Reached:
    """The plain state that functions reach, as it is when this is made, but for the numbers of `apart_from`."""

    def __init__(self, *functions: Any, apart_from: Any = None) -> None:
        self.names: set[str] = set()
        self.apart_from = apart_from
        known = -1
        while known < len(self.names):  # a function may name attributes of what was found before it
            known = len(self.names)
            self.iterators: list[str] = []  # which cannot be looked into without moving them on
            self.meets_values = False  # or an optimizer, which has them
            self.generators: list[tuple[_Place, Any]] = []
            self.places: list[tuple[_Place, Any]] = []
            roots = [("numpy.random", sys.modules.get("numpy.random")), ("random", random)]
            self._walk([*roots, *[("the loss", function) for function in functions]])

    def drawn(self) -> str | None:
        drawn = (place.path for place, before in self.generators if pickle.dumps(before) != pickle.dumps(place.read()))
        return next(drawn, None)

    def shares(self, other: Reached) -> bool:
        """Whether both reach a place, so that one may change what the other looks at."""
        return not self._keys().isdisjoint(other._keys())

    def _keys(self) -> set[tuple[int, Any]]:
        named = [(id(place.owner), before) for place, before in self.places if isinstance(before, dict)]
        return {(owner, key) for owner, before in named for key in before}

    def changed(self) -> str | None:
        """What has changed since, in words; None where nothing has."""
        return next((_in_words(*change) for change in self._changes()), None)

    def restore(self) -> None:
        for place, before, *_ in [*self.generators, *self._changes()]:
            place.write(before)

    def _changes(self) -> Iterator[tuple[_Place, Any, Any]]:
        """Each place that is another now, what was in it, and what is."""
        for place, before in self.places:
            if not _same(before, now := place.read()):
                yield place, before, now

    def _walk(self, waiting: list[tuple[str, Any]]) -> None:
        seen: dict[int, Any] = {}
        while waiting and len(self.places) < _MOST:
            path, thing = waiting.pop()
            if isinstance(thing, _PLAIN) or id(thing) in seen:
                continue
            seen[id(thing)] = thing
            if _is_generator(thing):
                place: _Place = _Generator(path, thing)
                self.generators.append((place, place.read()))
            elif hasattr(type(thing), "__next__") or isinstance(thing, random.SystemRandom):
                self.iterators.append(path)
            else:
                for found in self._found(path, thing):
                    waiting += [found] if isinstance(found, tuple) else self._kept(found)

    def _kept(self, place: _Place) -> list[tuple[str, Any]]:
        """What is in a place that is kept in mind; what is made anew whenever it is asked for says nothing."""
        before = place.read()
        if isinstance(place, _Attributes):
            again = place.read()
            place.names = {name for name, x in before.items() if name in again and _equal(x, again[name])}
            before = {name: before[name] for name in sorted(place.names)}
        if place.owner is not self.apart_from:
            self.places.append((place, before))
        held = before.values() if isinstance(before, dict) else before
        self.meets_values = self.meets_values or any(isinstance(x, (Value, Optimizer)) for x in held)
        pairs = before.items() if isinstance(before, dict) else enumerate(before)
        return [(place.name(key), x) for key, x in pairs if not isinstance(x, (float, int, str, Value))]

    def _found(self, path: str, thing: Any) -> _Found:
        if isinstance(thing, types.FunctionType):
            yield from self._of_function(thing)
        elif isinstance(thing, types.MethodType):
            yield from ((path, thing.__self__), (path, thing.__func__))
        elif isinstance(thing, types.BuiltinMethodType):
            yield path, thing.__self__  # of a generator's `random`, say, the generator
        elif isinstance(thing, functools.partial):
            names = argument_names(thing.func, len(thing.args), "argument")
            yield from [(path, thing.func), ("the partial's keywords", thing.keywords)]
            yield from [(f"the partial's {name}", x) for name, x in zip(names, thing.args, strict=True)]
        elif is_array(thing) or isinstance(thing, Mapping | MutableSequence | Set | tuple):
            yield _Place(path, thing)
        elif not isinstance(thing, types.ModuleType):
            yield from self._of_object(path, thing)
        elif not _is_foreign(thing.__name__):
            yield _Names(f"{path}.", vars(thing), self.names)

    def _of_function(self, function: types.FunctionType) -> _Found:
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            yield _Attributes(f"the closure's {name}", cell, {"cell_contents"})
        yield _Names(f"{function.__name__}.", vars(function), self.names)
        if _is_foreign(function.__globals__.get("__name__", ""), code.co_filename):
            return
        called = set(_names(code))
        self.names |= called
        yield _Names("the global ", function.__globals__, called)
        arguments = ", ".join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        yield _Attributes(f"{function.__name__}({arguments}).", function, {"__defaults__", "__kwdefaults__"})

    def _of_object(self, path: str, thing: Any) -> _Found:
        if isinstance(thing, Module):
            yield _Place(f"{path}.parameters()", thing)
        if wrapped := getattr(thing, "__wrapped__", None):
            yield path, wrapped
        elsewhere = set()
        for base in (thing if isinstance(thing, type) else type(thing)).__mro__:
            for name, x in () if _is_foreign(base.__module__) else vars(base).items():
                named = name in self.names
                if named and not isinstance(x, _FUNCTIONS):
                    elsewhere.add(name)
                if named or (name[:2] == "__" and name not in _ASIDE):
                    function = getattr(x, "fget", None) or getattr(x, "__func__", x)
                    yield from [(path, function)] if isinstance(function, types.FunctionType) else []
        yield _Attributes(f"{path}.", thing, elsewhere)
        if type(getattr(thing, "__dict__", None)) is dict:
            yield _Names(f"{path}.", vars(thing), self.names)


def _attribute(thing: Any, name: str) -> Any:
    """An attribute; this class where there is none."""
    try:
        return getattr(thing, name)
    except Exception:
        return _Place


def _is_generator(thing: Any) -> bool:
    numpy = sys.modules.get("numpy.random")
    if thing is random or thing is numpy or isinstance(thing, random.Random):
        return not isinstance(thing, random.SystemRandom)
    return numpy is not None and isinstance(thing, (numpy.Generator, numpy.RandomState))


@functools.cache
def _is_foreign(module: str, file: str = "") -> bool:
    root = module.partition(".")[0]
    if root == "microgrannd" or root in sys.stdlib_module_names:
        return root != "__main__"
    path = file or getattr(sys.modules.get(module), "__file__", None) or ""
    return path.startswith(_STANDARD_LIBRARY) or not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that code, and the code within it, looks up; texts too, since they may be names."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            yield constant


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, dict):
        if before.keys() != now.keys():
            return False
        before, now = before.values(), [now[key] for key in before]
    return len(before) == len(now) and (all(map(is_, before, now)) or all(map(_equal, before, now)))


def _equal(x: Any, y: Any) -> bool:
    """Whether one is the other or, for plain things, the same."""
    return x is y or (type(x) is type(y) and isinstance(x, _PLAIN) and bool(x == y or (x != x and y != y)))


def _in_words(place: _Place, before: Any, now: Any) -> str:
    x, y = (found if isinstance(found, dict) else dict(enumerate(found)) for found in (before, now))
    key = next(key for key in (*x, *y) if key not in x or key not in y or not _equal(x[key], y[key]))
    was, is_now = (_shown(found[key]) if key in found else "not there" for found in (x, y))
    name = f"{key!r} in {place.path}" if isinstance(place.owner, Set) else place.name(key)
    return f"{name} was {was} when the loss was compiled and is {is_now if was != is_now else 'another one'} now"


def _shown(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) < 60 else f"{text[:57]}..."
