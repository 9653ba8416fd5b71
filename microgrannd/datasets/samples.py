"""What a data set consists of: inputs and labels, row by row."""

from typing import NamedTuple


class Samples(NamedTuple):
    """Inputs and labels of one length: `x[i]` is the list of inputs of sample i and `y[i]` its class.

    It is a tuple of two columns, so it is the data that `fit` takes for a loss of x and y.
    """

    x: list[list[float]]
    y: list[int]
