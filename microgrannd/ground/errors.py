"""What can go wrong, by name; each error is also the built-in error that fits, for code that knows no more."""

from reprlib import Repr
from typing import Final

_SHORT: Final = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 60, 60


class MicrogranndError(Exception):
    """The root of this package's own errors."""


class AnomalyError(MicrogranndError, FloatingPointError):
    """A NaN or an infinity arose under `detect_anomaly()`."""


class GradientError(MicrogranndError, ArithmeticError):
    """A gradient does not agree with the numerical one, or cannot be computed."""


class TracingError(MicrogranndError, TypeError):
    """A function that is being traced for the compiler looked at one number, or gave what is no number."""


class LayoutError(MicrogranndError, RuntimeError):
    """A drawing was asked of Graphviz, and Graphviz is not there or cannot do it."""


class ModelFileError(MicrogranndError, ValueError):
    """A file holds no model that can be loaded: it is damaged, foreign, newer, or of another shape."""


class ExpressionError(MicrogranndError, ValueError):
    """An expression is not understood; the message shows it, with a caret under the column."""

    def __init__(self, message: str, expression: str, column: int) -> None:
        column = min(column, len(expression))
        first = max(0, column - 60)
        super().__init__(f"{message}\n  {expression[first : first + 76]}\n  {' ' * (column - first)}^")
        self.expression = expression
        self.column = column


def quoted(thing: object) -> str:
    """A piece of a file as a message quotes it: short, on one line, with no character that a terminal would obey.

    >>> print(quoted("\\33[2J" + "x" * 100_000), quoted([[[1.5]]]), quoted(10**5000))
    '\\x1b[2Jxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxx' [[...]] an int of 16610 bits
    """
    if isinstance(thing, int) and thing.bit_length() > 64:
        return f"an int of {thing.bit_length()} bits"
    return _SHORT.repr(thing)


def legible(name: object) -> str:
    """A name from a file: as it is where that is short and can be shown on a line, else as a message quotes it."""
    return name if isinstance(name, str) and name.isprintable() and len(name) <= 80 else quoted(name)
