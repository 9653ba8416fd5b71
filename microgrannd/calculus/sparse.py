"""SciPy's sparse arrays."""

from collections.abc import Sequence
from typing import Any


def sparse_array(rows: Sequence[int], columns: Sequence[int], numbers: Any, shape: tuple[int, int]) -> Any:
    """A `scipy.sparse.csr_array` with these numbers, zeros among them, and no others."""
    try:
        from scipy import sparse
    except ModuleNotFoundError:
        message = "Sparse derivatives are SciPy's sparse arrays: pip install scipy"
        raise ModuleNotFoundError(message, name="scipy") from None
    return sparse.csr_array((numbers, (rows, columns)), shape)


def mirrored(rows: Sequence[int], columns: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Of a symmetric matrix whose upper half this is: all rows and columns, and where the number of each stands."""
    below = [i for i, (row, column) in enumerate(zip(rows, columns, strict=True)) if row < column]
    return (
        [*rows, *[columns[i] for i in below]],
        [*columns, *[rows[i] for i in below]],
        [*range(len(rows)), *below],
    )
