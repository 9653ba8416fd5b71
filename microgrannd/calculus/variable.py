"""What stands for an argument while a function is differentiated or compiled."""

from __future__ import annotations

from typing import Any

from microgrannd.engine import Constant, Value, number_of
from microgrannd.ground import modes
from microgrannd.nodes.observing import observed
from microgrannd.nodes.refusing import refuse_while_tracing
from microgrannd.operations import mul


class Variable(Value):
    """A leaf in the place of an argument. A copy of it is itself: copying an argument cuts no gradient."""

    __slots__ = ()

    @classmethod
    def times_one(cls, x: Value) -> Variable:
        """The node x * 1 in the place of a Value, so that other uses of the Value are not counted."""
        node = cls(number_of(x))
        node.op = mul
        node._first, node._second = x, Constant(1.0)
        node._x, node._y = number_of(x), 1.0
        return observed(node) if modes.opened else node

    def finish(self) -> None:
        """The derivative has been found: a leaf is a constant from now on, and leaves no trace in others."""
        if self.op is None:
            self.__class__ = Finished  # type: ignore[assignment]

    def __copy__(self) -> Variable:
        return self

    def __deepcopy__(self, memo: object) -> Variable:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_while_tracing("copy")
        raise TypeError(
            "Pickling an argument of a function that is being differentiated would lose its gradient: copy.copy and "
            "copy.deepcopy keep it, stop_gradient drops it."
        )


class Finished(Value):
    """What was the variable of a derivative that has been found."""

    __slots__ = ()
    is_constant = True
