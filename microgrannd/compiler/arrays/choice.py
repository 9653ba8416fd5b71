"""Whether a program runs on arrays, and what it runs and trains with then."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from microgrannd.compiler.plan import Plan, Wanted, without_collection
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.tape.tape import Tape

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.kernel import ArrayKernel
    from microgrannd.compiler.arrays.recurrent import RecurrentKernel

ARRAY_BACKENDS: Final = ("numpy", "jax", "torch")
# Operands: from here on native loops are the faster to compile and to run, and NumPy where there is no native code.
_LARGE: Final = {"native": 2_000, "numpy": 10_000}
_FEW_LOOPS: Final = 8
_WIDE: Final = 50  # operands for each step of the longest way through: for fewer there is little to put side by side


def suits_arrays(tape: Tape, backend: str) -> bool:
    size = sum(len(instruction.operands) for instruction in tape.instructions)
    return size >= _LARGE[backend] and find_spec("numpy") is not None and is_wide(tape)


def is_wide(tape: Tape) -> bool:
    size = sum(len(instruction.operands) for instruction in tape.instructions)
    depth = [0] * (tape.leaves + len(tape.instructions))
    for v, (_, operands) in enumerate(tape.instructions, tape.leaves):
        deepest = 0
        for x in operands:
            if x.__class__ is int and depth[x] > deepest:
                deepest = depth[x]
        depth[v] = 1 + deepest
    return size > _WIDE * max(depth)


def array_kernel(
    plan: Plan, wanted: Wanted, backend: str, float32: bool = False, threads: int = 1, cache: Path | None = None,
    *, guarded: bool = False,
) -> ArrayKernel:  # fmt: skip
    _need_numpy()
    from microgrannd.compiler.arrays.kernel import ArrayKernel

    if wanted != "values" and plan.trace.result.kind is not None:
        plan.tape(wanted)  # which says why there is no gradient
    options: dict[str, Any] = {"float32": float32, "threads": threads, "cache": cache}
    with without_collection():
        return ArrayKernel(plan.trace, plan.leaves(wanted), guarded=guarded, backend=backend, **options)


def recurrent_kernel(
    plan: Plan, wanted: Wanted, backend: str, float32: bool = False, *, guarded: bool = False
) -> RecurrentKernel:
    """The same for a program that runs in steps."""
    _need_numpy()
    from microgrannd.compiler.arrays.recurrent import RecurrentKernel

    program = plan.program(wanted, guarded=guarded)
    assert isinstance(program, Rolled)
    return RecurrentKernel(program, backend, float32=float32)


def runs_in_steps(plan: Plan) -> bool:
    """Whether a program is recurrences on arrays too: a few of them, that have little to put side by side."""
    if not plan.recurrences:
        return False
    loops = sum(segment.steps > 1 for segment in plan.recurrences[1])
    return loops <= _FEW_LOOPS and not is_wide(plan.trace.tape)


def _need_numpy() -> None:
    try:
        import numpy  # noqa: F401
    except ModuleNotFoundError:
        message = "A program on arrays needs NumPy: pip install 'microgrannd[native]'"
        raise ModuleNotFoundError(message, name="numpy") from None
