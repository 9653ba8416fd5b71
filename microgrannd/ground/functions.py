"""What a function says of itself: its name, and those of its arguments."""

from collections.abc import Callable
from typing import Any


def name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or repr(function)


def argument_names(function: Callable[..., Any], count: int, otherwise: str) -> list[str]:
    """The names of the first `count` positional arguments; `otherwise` and a number where there are none.

    >>> argument_names(lambda x, *others: 0, 3, "argument")
    ['x', 'others0', 'others1']
    >>> argument_names(max, 1, "argument")
    ['argument0']
    """
    import inspect  # not needed by those who import the package alone, and slow to load

    names: list[str] = []
    try:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                names += [f"{parameter.name}{i}" for i in range(count - len(names))]
            elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                names.append(parameter.name)
    except (TypeError, ValueError):  # a builtin that does not tell
        pass
    return [*names, *[f"{otherwise}{i}" for i in range(len(names), count)]][:count]
