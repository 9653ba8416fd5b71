"""Recognition: whether lines of array code are the four equations of backpropagation, for a comment only."""

from collections.abc import Mapping

from microgrannd.printing.arrays import matrix_product, multiplies_matrices, summed, total, transposed
from microgrannd.printing.printer import Expression

FOUR_EQUATIONS = [
    "the four equations of backpropagation, with δ = d_z and σ' the slope of a at z:",
    "δ of the last z = ∂loss/∂z   δ of another = (δ of the next @ its W) ⊙ σ'(z)",
    "∂loss/∂b = Σ δ               ∂loss/∂W = Σ δ aᵀ, a being what W was multiplied with",
]


def equations(lines: Mapping[str, Expression]) -> list[str]:
    """What may be said of the lines, by name: the four equations if every line of them is there, else nothing."""
    last = sum(name[:1] == "z" for name in lines)
    return FOUR_EQUATIONS if last > 1 and all(_holds(lines, k, last) for k in range(1, last + 1)) else []


def _holds(lines: Mapping[str, Expression], k: int, last: int) -> bool:
    z, delta = lines.get(f"z{k}"), lines.get(f"d_z{k}")
    product = z.holes[0][0] if z and z.holes else None
    source = product.holes[0][0] if product and product.holes else None
    if not (z and source and delta):
        return False
    weights, bias, name = Expression(f"W{k}"), Expression(f"b{k}"), Expression(f"d_z{k}")
    from_behind = matrix_product(Expression(f"d_z{k + 1}"), Expression(f"W{k + 1}"))
    if k == last:
        follows = not multiplies_matrices(delta)
    else:
        follows = delta.template.startswith("{} * ") and delta.holes[0][0] == from_behind
    return (
        follows
        and not source.holes
        and z == total([(1.0, matrix_product(source, transposed(weights)))], bias)
        and lines.get(f"d_W{k}") == matrix_product(transposed(name), source)
        and lines.get(f"d_b{k}") == summed(name, 0)
    )
