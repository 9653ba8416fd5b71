"""Whether a program runs on arrays, and what it runs and trains with then."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from microgrannd.compiler.plan import Plan, Wanted, without_collection
from microgrannd.compiler.tape.tape import Tape

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.kernel import ArrayKernel

ARRAY_BACKENDS: Final = ("numpy", "jax", "torch")
# Operands: from here on native loops are the faster to compile and to run, and NumPy where there is no native code.
_LARGE: Final = {"native": 2_000, "numpy": 10_000}
_WIDE: Final = 50  # operands for each step of the longest way through: for fewer there is little to put side by side


def suits_arrays(tape: Tape, backend: str) -> bool:
    size = sum(len(instruction.operands) for instruction in tape.instructions)
    if size < _LARGE[backend] or find_spec("numpy") is None:
        return False
    depth = [0] * (tape.leaves + len(tape.instructions))
    for v, (_, operands) in enumerate(tape.instructions, tape.leaves):
        depth[v] = 1 + max([depth[x] for x in operands if isinstance(x, int)], default=0)
    return size > _WIDE * max(depth)


def array_kernel(
    plan: Plan, wanted: Wanted, backend: str, float32: bool = False, threads: int = 1, cache: Path | None = None,
    *, guarded: bool = False,
) -> ArrayKernel:  # fmt: skip
    try:
        from microgrannd.compiler.arrays.kernel import ArrayKernel
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        message = "A program on arrays needs NumPy: pip install 'microgrannd[native]'"
        raise ModuleNotFoundError(message, name="numpy") from None

    if wanted != "values" and plan.trace.result.kind is not None:
        plan.tape(wanted)  # which says why there is no gradient
    options: dict[str, Any] = {"float32": float32, "threads": threads, "cache": cache}
    with without_collection():
        return ArrayKernel(plan.trace, plan.leaves(wanted), guarded=guarded, backend=backend, **options)
