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
    source: int | None  # a group; None for coefficients, which stand in place of positions
    positions: Any


class Bundle(NamedTuple):
    """Factors that share rows: row `which[n]` of each of the positions is what scalar n needs."""

    which: Any
    factors: tuple[Factor, ...]

    @property
    def rows(self) -> int:
        return len(self.factors[0].positions)


def factors_of(family: Family) -> tuple[float, list[Factor]]:
    """The common coefficient and the factors; coefficients that differ are a factor themselves."""
    coefficients = family.coefficients
    first = coefficients.flat[0]
    factors = [Factor(g, positions) for g, positions in zip(family.of, family.positions, strict=True)]
    if coefficients.tobytes() == np.full_like(coefficients, first).tobytes():
        return float(first), factors
    return 1.0, [*factors, Factor(None, coefficients)]


def per_sample(arrays: ArrayViews, factors: list[Factor]) -> Expression:
    if factors[0].positions.shape[1] == 1:
        return _elementwise(arrays, factors)
    bundles = _bundles(arrays, factors)
    grid = _grid(*bundles) if len(bundles) == 2 else None
    return _row_sums(arrays, factors) if grid is None else _matrix_product(arrays, *grid)


def over_batch(
    arrays: ArrayViews, factors: list[Factor], count: Callable[[], Expression]
) -> tuple[Expression, tuple[int, int] | None]:
    """The family summed over the samples, of which there are `count()`, and its shape where it is a matrix."""
    if not any(arrays.varies(factor.source) for factor in factors):
        return product([count(), per_sample(arrays, factors)]), None
    bundles = _bundles(arrays, factors)
    grid = _grid(*bundles) if len(bundles) == 2 and all(_bundle_varies(arrays, b) for b in bundles) else None
    if grid is None:
        return summed(per_sample(arrays, factors), 0), None
    first, second, place = grid
    matrix = _outer_product(arrays, first, second)
    if place is None:
        return matrix, (first.rows, second.rows)
    return indexed(with_suffix(matrix, ".reshape(-1)"), "", arrays.constant(place)), None


def _elementwise(arrays: ArrayViews, factors: list[Factor]) -> Expression:
    """A product of vectors. True and false count as 1 and 0 where another factor is a number."""
    columns = [(source, positions[:, 0]) for source, positions in factors]
    flags = [arrays.flag(*column) for column in columns]
    if None not in flags:
        flags = [None] * len(factors)
    return product([flag or arrays.vector(*column) for column, flag in zip(columns, flags, strict=True)])


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
        kinds = [tuple(f for f in bundle.factors if arrays.varies(f.source) is varies) for varies in (True, False)]
        bundles = [Bundle(bundle.which, kind) for kind in kinds if kind]
    return bundles


def _distinct_rows(factor: Factor) -> tuple[Any, Any]:
    """For each row of positions which distinct one it is, and these, in the order of their appearance."""
    positions = factor.positions
    if factor.source is not None and (positions == positions[0]).all():
        return np.zeros(len(positions), dtype=int), positions[:1]
    if positions.shape[1] == 1:
        _, first, inverse = np.unique(positions[:, 0], return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        return rank[inverse], positions[np.sort(first)]
    place: dict[bytes, int] = {}
    which = np.array([place.setdefault(row.tobytes(), len(place)) for row in np.ascontiguousarray(positions)])
    return which, positions[np.unique(which, return_index=True)[1]]


def _grid(x: Bundle, y: Bundle) -> tuple[Bundle, Bundle, Any] | None:
    """The bundles in order, and where in their grid each scalar is if not in turn; None where most would be wasted."""
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
        left, right = (product([arrays.vector(source, at[:, 0]) for source, at in bundle.factors]) for bundle in (x, y))
        return matrix_product(transposed(left), right)
    left, right = (product([arrays.matrix(*f) for f in bundle.factors]) for bundle in (x, y))
    return called("xp.tensordot", [left, right, Expression("([0, 2], [0, 2])")])


def _row_sums(arrays: ArrayViews, factors: list[Factor]) -> Expression:
    if len(factors[0].positions) == 1:  # which leaves an axis for the only scalar
        keep = any(arrays.varies(factor.source) for factor in factors)
        numbers = [arrays.vector(source, positions[0]) for source, positions in factors]
        return summed(product(numbers), 1 if keep else 0, keep=True)
    return summed(product([arrays.matrix(*factor) for factor in factors]), -1)


def _plain(arrays: ArrayViews, bundle: Bundle) -> Expression:
    """The bundle as a matrix; a single row that varies from sample to sample as a vector."""
    if bundle.rows == 1 and _bundle_varies(arrays, bundle):
        return product([arrays.row(factor.source, factor.positions[0]) for factor in bundle.factors])
    return product([arrays.matrix(*factor) for factor in bundle.factors])


def _bundle_varies(arrays: ArrayViews, bundle: Bundle) -> bool:
    return any(arrays.varies(factor.source) for factor in bundle.factors)
