"""What stands for an argument while a function is differentiated or compiled."""

from __future__ import annotations

from microgrannd.engine import Value


class Variable(Value):
    """A leaf in the place of an argument. A copy of it is itself: copying an argument cuts no gradient."""

    __slots__ = ()

    def __copy__(self) -> Variable:
        return self

    def __deepcopy__(self, memo: object) -> Variable:
        return self
