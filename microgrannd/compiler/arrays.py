"""Whether a program runs on arrays, and what it runs and trains with then.

NumPy is imported only when it does. This room may import the array kernels and the floors beneath them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from microgrannd.compiler.batches import samples
from microgrannd.compiler.plan import Aim, Plan, without_collection
from microgrannd.compiler.steps import steps
from microgrannd.compiler.tape import Tape
from microgrannd.optim import Optimizer

if TYPE_CHECKING:
    from microgrannd.compiler.array_fit import ArrayTraining
    from microgrannd.compiler.array_run import ArrayKernel

ARRAY_BACKENDS: Final = ("numpy", "jax", "torch")
_LARGE: Final = 10_000  # operands: from here on straight-line native code takes long to compile
_WIDE: Final = 50  # operands for each step of the longest way through: for fewer there is little to put side by side


def suits_arrays(tape: Tape) -> bool:
    """Whether a tape is so large and so wide that array code is the way to run it, and NumPy is installed."""
    size = sum(len(instruction.operands) for instruction in tape.instructions)
    if size < _LARGE or find_spec("numpy") is None:
        return False
    depth = [0] * (tape.leaves + len(tape.instructions))
    for v, (_, operands) in enumerate(tape.instructions, tape.leaves):
        depth[v] = 1 + max([depth[x] for x in operands if isinstance(x, int)], default=0)
    return size > _WIDE * max(depth)


def array_kernel(plan: Plan, aim: Aim, backend: str, *, guarded: bool = False, float32: bool = False) -> ArrayKernel:
    """The kernel of a plan for one aim."""
    from microgrannd.compiler.array_run import ArrayKernel

    if aim != "values" and plan.trace.result.kind is not None:
        plan.tape(aim)  # which says why there is no gradient
    with without_collection():
        return ArrayKernel(plan.trace, plan.leaves(aim), guarded=guarded, backend=backend, float32=float32)


def array_training(
    kernels: Any, plan: Plan, optimizer: Optimizer, columns: Sequence[Any], count: int
) -> ArrayTraining | None:
    """A training on arrays of exactly the plan's parameters; None for an optimizer of the user's own.

    `kernels(guarded)` gives the kernel; `columns` are the data, for each argument an array or a list.
    """
    if steps(optimizer) is None or set(optimizer.parameters) != set(plan.trace.parameters):
        return None
    from microgrannd.compiler.array_fit import ArrayTraining

    return ArrayTraining(kernels, plan.trace.parameters, optimizer, _rows(plan, columns, count), count)


def _rows(plan: Plan, columns: Sequence[Any], count: int) -> list[Any]:
    """For each argument with numbers an array with a row for each sample. Arrays are taken as they are."""
    import numpy

    rows = []
    for column, shape in zip(columns, plan.trace.shapes, strict=True):
        if not shape.size:
            continue
        if hasattr(column, "dtype") and column.dtype.kind in "fiub":
            rows.append(column.reshape(count, shape.size))
        else:
            rows.append(numpy.stack([numpy.asarray(one, dtype=float) for one in samples([column]).columns], axis=1))
    return rows
