"""Recognition: whether lines of array code are the four equations of backpropagation.

It reads the lines that were found, and nothing depends on it but a comment. This room imports nothing of
the package.
"""

from __future__ import annotations

from collections.abc import Sequence

FOUR_EQUATIONS = [
    "the four equations of backpropagation, with δ = d_z and σ' the slope of a at z:",
    "δ of the last z = ∂loss/∂z   δ of another = (δ of the next @ its W) ⊙ σ'(z)",
    "∂loss/∂b = Σ δ               ∂loss/∂W = Σ δ aᵀ, a being what W was multiplied with",
]


def equations(lines: Sequence[str]) -> list[str]:
    """What may be said of the backward lines: the four equations if every line of them is there, else nothing.

    >>> lines = [
    ...     "z1 = x @ W1.T + b1", "a1 = xp.tanh(z1)", "z2 = a1 @ W2.T + b2", "a2 = xp.tanh(z2)",
    ...     "d_z2 = (a2 - y) * (1 - a2 * a2)", "d_W2 = d_z2.T @ a1", "d_b2 = xp.sum(d_z2, 0)",
    ...     "d_z1 = (d_z2 @ W2) * (1 - a1 * a1)", "d_W1 = d_z1.T @ x", "d_b1 = xp.sum(d_z1, 0)",
    ... ]
    >>> len(equations(lines)), equations(lines[:-1])
    (3, [])
    """
    made = dict(line.split(" = ", 1) for line in lines if " = " in line)
    last = sum(name[:1] == "z" for name in made)
    return FOUR_EQUATIONS if last > 1 and all(_holds(made, k, last) for k in range(1, last + 1)) else []


def _holds(made: dict[str, str], k: int, last: int) -> bool:
    """Whether z of that number is an affine function, and its derivatives those of the textbook."""
    source, _, rest = made.get(f"z{k}", "").partition(" @ ")
    if not source.isidentifier() or rest != f"W{k}.T + b{k}":
        return False
    delta = made.get(f"d_z{k}", "")
    from_behind = f"d_z{k + 1} @ W{k + 1}"
    follows = bool(delta) and "@" not in delta if k == last else delta.startswith(f"({from_behind}) * ")
    return follows and made.get(f"d_W{k}") == f"d_z{k}.T @ {source}" and made.get(f"d_b{k}") == f"xp.sum(d_z{k}, 0)"
