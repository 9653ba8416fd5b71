"""What a function names outside itself: a weight that is another object now is not trained or used unseen."""

import dis
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from microgrannd.engine import Value
from microgrannd.ground.errors import TracingError
from microgrannd.ground.functions import name_of
from microgrannd.learning.modules import Module, parameters_in


class Held:
    """The variables in which a function found parameters when it was traced, by the names that it uses itself."""

    def __init__(self, function: Any) -> None:
        self.function = function
        plain, owner = getattr(function, "__func__", function), getattr(function, "__self__", function)
        self.owner = owner if isinstance(owner, Module) else None
        self.globals: dict[str, Any] = getattr(plain, "__globals__", {})
        names = sorted(set(_global_names(plain.__code__))) if isinstance(plain, FunctionType) else []
        cells = getattr(plain, "__closure__", None) or ()
        self._look([cell for cell in cells if parameters_in(_content(cell))],
                   [name for name in names if parameters_in(self.globals.get(name))])  # fmt: skip
        self.parameters = self._found()

    def _look(self, cells: Sequence[Any], names: Sequence[str]) -> None:
        self.cells = [(cell, _content(cell)) for cell in cells]
        self.names = [(name, self.globals.get(name)) for name in names]
        self.replacements = Module.replacements

    def _found(self) -> set[Value]:
        return set(parameters_in(self.owner, *[thing for _, thing in self.cells], *[thing for _, thing in self.names]))

    def check(self, parameters: Sequence[Value]) -> None:
        """Raise TracingError where one of these was held when the function was traced, and is not any more."""
        if not self.changed():
            return
        self._look([cell for cell, _ in self.cells], [name for name, _ in self.names])
        found = self._found()
        if lost := [parameter for parameter in parameters if parameter in self.parameters and parameter not in found]:
            self.replacements = -1  # look again at the next call
            raise TracingError(
                f"{lost[0]!r} was replaced by another object after {name_of(self.function)} was traced: change its "
                "data instead, or compile the function again."
            )

    def changed(self) -> bool:
        """Whether a variable holds another object, or an attribute of any module may."""
        for cell, before in self.cells:
            if _content(cell) is not before:
                return True
        for name, before in self.names:
            if self.globals.get(name) is not before:
                return True
        return self.replacements != Module.replacements

    def checked(self, call: Callable[..., Any], parameters: Sequence[Value]) -> Callable[..., Any]:
        """The same call, after the check; itself, where nothing is held."""
        if not self.parameters:
            return call
        changed, check = self.changed, self.check

        def checked(*arguments: Any, **keywords: Any) -> Any:
            if changed():
                check(parameters)
            return call(*arguments, **keywords)

        return checked


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _global_names(code: CodeType) -> Iterator[str]:
    """The global names that code, and the code within it, reads."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)
