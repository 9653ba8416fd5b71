"""Sums of products of arrays as matrix products, wherever the positions allow it.

Factors of a family whose rows repeat in the same way are one bundle of distinct rows. One bundle is summed along its
rows. Two that meet each other's rows all over a grid are a matrix product: a matrix times a common vector, an outer
product, a convolution's patches times its kernels. Anything else is gathered, multiplied and summed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from microgrannd.compiler.matrix.array_views import ArrayViews
from microgrannd.compiler.matrix.groups import Family
from microgrannd.printing.arrays import (
    indexed,
    matrix_product,
    product,
    summed,
    transposed,
    transposed_each,
    with_suffix,
)
from microgrannd.printing.printer import Expression, called


class Factor(NamedTuple):
    source: Any
    positions: Any


class Bundle(NamedTuple):
    """Factors that share rows: row `which[n]` of each of the positions is what scalar n needs."""

    which: Any
    factors: tuple[Factor, ...]

    @property
    def rows(self) -> int:
        return len(self.factors[0].positions)


class FamilyCode(NamedTuple):
    """The code of a family and whether it has a batch axis; `grid` is its shape where it is one over a batch."""

    text: Expression
    varies: bool
    grid: tuple[int, int] | None = None


def factors_of(family: Family) -> tuple[float, list[Factor]]:
    """The common coefficient and the factors; coefficients that differ are a factor themselves."""
    coefficients = family.coefficients
    first = coefficients.flat[0]
    factors = [Factor(g, positions) for g, positions in zip(family.of, family.positions, strict=True)]
    if coefficients.tobytes() == np.full_like(coefficients, first).tobytes():
        return float(first), factors
    return 1.0, [*factors, Factor(_Numbers(coefficients), np.arange(coefficients.size).reshape(coefficients.shape))]


class _Numbers:
    def __init__(self, table: Any) -> None:
        self.table = table


def per_sample(arrays: ArrayViews, factors: list[Factor]) -> FamilyCode:
    varies = any(_varies(arrays, factor) for factor in factors)
    if factors[0].positions.shape[1] == 1:
        return FamilyCode(_elementwise(arrays, factors), varies)
    bundles = _bundles(arrays, factors)
    grid = _grid(*bundles) if len(bundles) == 2 else None
    if grid is not None:
        return FamilyCode(_matrix_product(arrays, *grid), varies)
    return FamilyCode(_row_sums(arrays, factors), varies)


def over_batch(arrays: ArrayViews, factors: list[Factor], count: Callable[[], Expression]) -> FamilyCode:
    if not any(_varies(arrays, factor) for factor in factors):
        return FamilyCode(product([count(), per_sample(arrays, factors).text]), False)
    bundles = _bundles(arrays, factors)
    grid = _grid(*bundles) if len(bundles) == 2 and all(_bundle_varies(arrays, b) for b in bundles) else None
    if grid is not None:
        first, second, place = grid
        matrix = _outer_product(arrays, first, second)
        if place is None:
            return FamilyCode(matrix, False, (first.rows, second.rows))
        return FamilyCode(indexed(with_suffix(matrix, ".reshape(-1)"), "", arrays.constant(place)), False)
    return FamilyCode(summed(per_sample(arrays, factors).text, 0), False)


def _elementwise(arrays: ArrayViews, factors: list[Factor]) -> Expression:
    """A product of vectors. True and false count as 1 and 0 where another factor is a number."""
    flags = [None if isinstance(f.source, _Numbers) else arrays.flag(f.source, f.positions[:, 0]) for f in factors]
    if None not in flags:
        flags = [None] * len(factors)
    return product([flag or _vector(arrays, factor, 0) for factor, flag in zip(factors, flags, strict=True)])


def _bundles(arrays: ArrayViews, factors: list[Factor]) -> list[Bundle]:
    bundles: list[Bundle] = []
    for factor in factors:
        which, rows = _distinct_rows(factor)
        for i, bundle in enumerate(bundles):
            if np.array_equal(bundle.which, which):
                bundles[i] = Bundle(which, (*bundle.factors, Factor(factor.source, rows)))
                break
        else:
            bundles.append(Bundle(which, (Factor(factor.source, rows),)))
    if len(bundles) > 2:  # a common row goes along with any other
        bundles.sort(key=lambda bundle: -bundle.rows)
        while len(bundles) > 2 and bundles[-1].rows == 1:
            common = bundles.pop()
            bundles[-1] = Bundle(bundles[-1].which, bundles[-1].factors + common.factors)
    if len(bundles) == 1 and len(factors[0].positions) == 1:  # one scalar: what varies, and what does not
        [bundle] = bundles
        kinds = [tuple(f for f in bundle.factors if _varies(arrays, f) is varies) for varies in (True, False)]
        bundles = [Bundle(bundle.which, kind) for kind in kinds if kind]
    return bundles


def _distinct_rows(factor: Factor) -> tuple[Any, Any]:
    """For each row of positions which distinct one it is, and these, in the order of their appearance."""
    positions = factor.positions
    if (positions == positions[0]).all():
        return np.zeros(len(positions), dtype=int), positions[:1]
    table = factor.source.table if isinstance(factor.source, _Numbers) else positions
    if table.shape[1] == 1:
        _, first, inverse = np.unique(table[:, 0], return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        return rank[inverse], positions[np.sort(first)]
    place: dict[bytes, int] = {}
    which = np.array([place.setdefault(row.tobytes(), len(place)) for row in np.ascontiguousarray(table)])
    return which, positions[np.unique(which, return_index=True)[1]]


def _grid(x: Bundle, y: Bundle) -> tuple[Bundle, Bundle, Any] | None:
    """The bundles in the order of their grid, and other places of scalars in it; None where most would be wasted."""
    size, count = x.rows * y.rows, len(x.which)
    place = x.which * y.rows + y.which
    if size > 4 * count or (size != count and min(x.rows, y.rows) == 1):
        return None
    if np.array_equal(place, np.arange(count)) and size == count:
        return x, y, None
    swapped = y.which * x.rows + x.which
    if np.array_equal(swapped, np.arange(count)) and size == count:
        return y, x, None
    return x, y, place


def _matrix_product(arrays: ArrayViews, x: Bundle, y: Bundle, place: Any) -> Expression:
    if y.rows > 1 and x.rows == 1 and not _bundle_varies(arrays, x):
        x, y = y, x  # the common vector is a parameter's: the matrix times it
    if x.rows == 1 and _bundle_varies(arrays, x) and not _bundle_varies(arrays, y):
        return matrix_product(_plain(arrays, x), transposed(_plain(arrays, y)))
    if y.rows == 1 and _bundle_varies(arrays, y) and not _bundle_varies(arrays, x):
        return matrix_product(_plain(arrays, y), transposed(_plain(arrays, x)))
    both = _bundle_varies(arrays, x) and _bundle_varies(arrays, y)
    if both and 1 in (x.rows, y.rows):
        vector, rows = (x, y) if x.rows == 1 else (y, x)
        return called("xp.einsum", [Expression('"bk,bnk->bn"'), _plain(arrays, vector), _plain(arrays, rows)])
    left, right = _plain(arrays, x), _plain(arrays, y)
    matrix = matrix_product(left, transposed_each(right) if _bundle_varies(arrays, y) else transposed(right))
    varies = _bundle_varies(arrays, x) or _bundle_varies(arrays, y)
    flat = with_suffix(matrix, f".reshape(-1, {x.rows * y.rows})" if varies else ".reshape(-1)")
    return flat if place is None else indexed(flat, ":, " if varies else "", arrays.constant(place))


def _outer_product(arrays: ArrayViews, x: Bundle, y: Bundle) -> Expression:
    if x.factors[0].positions.shape[1] == 1:
        left, right = (product([_vector(arrays, f, 0) for f in bundle.factors]) for bundle in (x, y))
        return matrix_product(transposed(left), right)
    left, right = (product([_matrix(arrays, f) for f in bundle.factors]) for bundle in (x, y))
    return called("xp.tensordot", [left, right, Expression("([0, 2], [0, 2])")])


def _row_sums(arrays: ArrayViews, factors: list[Factor]) -> Expression:
    if len(factors[0].positions) == 1:  # which leaves an axis for the only scalar
        keep = any(_varies(arrays, factor) for factor in factors)
        return summed(product([_vector(arrays, factor, None) for factor in factors]), 1 if keep else 0, keep=True)
    return summed(product([_matrix(arrays, factor) for factor in factors]), -1)


def _plain(arrays: ArrayViews, bundle: Bundle) -> Expression:
    """The bundle as a matrix; a single row that varies from sample to sample as a vector."""
    if bundle.rows == 1 and _bundle_varies(arrays, bundle):
        return product([_row(arrays, factor) for factor in bundle.factors])
    return product([_matrix(arrays, factor) for factor in bundle.factors])


def _read(arrays: ArrayViews, take: Callable[[Any, Any], Expression], source: Any, positions: Any) -> Expression:
    return arrays.constant(source.table.ravel()[positions]) if isinstance(source, _Numbers) else take(source, positions)


def _vector(arrays: ArrayViews, factor: Factor, column: int | None) -> Expression:
    positions = factor.positions[0] if column is None else factor.positions[:, column]
    return _read(arrays, arrays.vector, factor.source, positions)


def _row(arrays: ArrayViews, factor: Factor) -> Expression:
    return _read(arrays, arrays.row, factor.source, factor.positions[0])


def _matrix(arrays: ArrayViews, factor: Factor) -> Expression:
    return _read(arrays, arrays.matrix, factor.source, factor.positions)


def _varies(arrays: ArrayViews, factor: Factor) -> bool:
    return not isinstance(factor.source, _Numbers) and arrays.varies(factor.source)


def _bundle_varies(arrays: ArrayViews, bundle: Bundle) -> bool:
    return any(_varies(arrays, factor) for factor in bundle.factors)
