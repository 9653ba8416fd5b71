"""What can go wrong, by name; each error is also the built-in error that fits, for code that knows no more."""


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


class ProofError(MicrogranndError, RuntimeError):
    """There is no proof: an operation has no lemma, Coq is not there, it took too long, or it refused."""


class ExpressionError(MicrogranndError, ValueError):
    """An expression is not understood; the message shows it, with a caret under the column."""

    def __init__(self, message: str, expression: str, column: int) -> None:
        column = min(column, len(expression))
        first = max(0, column - 60)
        super().__init__(f"{message}\n  {expression[first : first + 76]}\n  {' ' * (column - first)}^")
        self.expression = expression
        self.column = column
