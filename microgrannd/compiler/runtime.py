"""Which plan and which kernel: what a program has traced and compiled so far, and how it finds more.

This room may import everything in the compiler but the program, which is its public face.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.arrays.choice import ARRAY_BACKENDS, array_kernel, suits_arrays
from microgrannd.compiler.batches import Batch, batch, is_sample, whole_shape
from microgrannd.compiler.interpreted import Kernel, PythonKernel
from microgrannd.compiler.llvm.machine import available as native_available
from microgrannd.compiler.llvm.operations import unsupported
from microgrannd.compiler.native.kernels import NativeKernel
from microgrannd.compiler.native.training import NativeFit
from microgrannd.compiler.plan import Aim, Plan, starts_of, without_collection
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import Trace, trace
from microgrannd.ground.errors import TracingError
from microgrannd.ground.nests import Shape, builder, leaves
from microgrannd.operations import as_float

BACKENDS: Final = ("auto", "python", "native", *ARRAY_BACKENDS)


class Runtime:
    """The plans of a function, by the structure of its arguments, and the kernels that run them."""

    def __init__(
        self,
        function: Callable[..., Any] | None,
        *,
        backend: str = "auto",
        reassociate: bool = False,
        float32: bool = False,
        threads: int = 1,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend is one of {', '.join(BACKENDS)}; got {backend!r}.")
        self.function = function
        self.backend = backend
        if float32 and backend not in ARRAY_BACKENDS:
            raise ValueError(f"float32 is for the backends {', '.join(ARRAY_BACKENDS)}; got backend={backend!r}.")
        self.reassociate = reassociate
        self.float32 = float32
        if threads < 1:
            raise ValueError(f"threads is at least 1, got {threads}.")
        self.threads = threads
        self.cache = None if cache is None else Path(cache)
        self._plans: dict[tuple[Shape, ...], Plan] = {}
        self._kernels: dict[tuple[int, Aim, bool], Kernel] = {}
        self._fits: dict[Any, NativeFit] = {}
        self._libraries: list[Any] = []
        self._suited: dict[int, str] = {}
        self._tried: set[tuple[int, Aim]] = set()
        self._lock = threading.RLock()
        self._latest: Plan | None = None

    def _batch(self, arguments: Sequence[Any]) -> tuple[Plan, Batch] | None:
        """The arguments as a batch; None where the arrays are one sample of a structure that is known."""
        for shapes in self._plans:
            if len(shapes) == len(arguments) and all(map(is_sample, arguments, shapes)):
                return None
        given = batch(arguments)
        return self._plan(given.shapes, given.first()), given

    def _sample(self, arguments: Sequence[Any]) -> tuple[Plan, list[float]]:
        numbers = [x if x.__class__ is float else as_float(x) for argument in arguments for x in leaves(argument)]
        return self._plan(tuple(map(whole_shape, arguments)), numbers), numbers

    def _plan(self, shapes: tuple[Shape, ...], numbers: Sequence[float]) -> Plan:
        plan = self._plans.get(shapes)
        if plan is not None:
            return plan
        if self.function is None:
            raise TypeError(f"This program takes {self._known()}; got {_listed(shapes)}.")
        starts = starts_of(shapes)
        nests = [builder(shape)(numbers, start) for shape, start in zip(shapes, starts, strict=False)]
        with without_collection():
            found = trace(self.function, nests)
        return self._add(found)

    def _add(self, found: Trace) -> Plan:
        with self._lock:
            self._latest = self._plans.setdefault(found.shapes, Plan(found, reassociate=self.reassociate))
            return self._latest

    def _known(self) -> str:
        return " or ".join(map(_listed, self._plans)) or "nothing: it was pickled before it was traced"

    def _traced(self) -> Plan:
        if self._latest is None:
            raise TracingError(
                "The program has not been traced yet: call it once, or program.trace(*arguments) with arguments "
                "of the structure it will get."
            )
        return self._latest

    def _kernel(self, plan: Plan, aim: Aim, *, guarded: bool = False) -> Kernel:
        key = (id(plan), aim, guarded)
        kernel = self._kernels.get(key)
        if kernel is None:
            with self._lock:
                kernel = self._kernels.setdefault(key, self._made(plan, aim, guarded))
        return kernel

    def _made(self, plan: Plan, aim: Aim, guarded: bool) -> Kernel:
        if library := self._library(plan):
            options = {"float32": self.float32, "threads": self.threads, "cache": self.cache}
            return array_kernel(plan, aim, library, guarded=guarded, **options)
        tape = plan.tape(aim, guarded=guarded)
        if self._backend_for(tape) == "native":
            return NativeKernel(tape, self.threads, self.cache)
        outputs = len(tape.outputs)
        return PythonKernel(
            plan.source(aim, guarded=guarded), grouped=aim not in ("values", "curvature"), outputs=outputs
        )

    def _library(self, plan: Plan) -> str:
        """What runs a plan on arrays: the library asked for, or native loops or NumPy where that suits; else ""."""
        if self.backend in ARRAY_BACKENDS:
            return self.backend
        if self.backend == "python":
            return ""
        if id(plan) not in self._suited:
            self._suited[id(plan)] = self._suitable(plan.trace.tape)
        return self._suited[id(plan)]

    def _suitable(self, tape: Tape) -> str:
        if native_available() and not unsupported(tape):
            return "native" if suits_arrays(tape, "native") else ""
        return "numpy" if self.backend == "auto" and suits_arrays(tape, "numpy") else ""

    def _backend_for(self, tape: Tape) -> str:
        """The backend that runs a tape: native where it is installed and knows all operations, unless told."""
        if self.backend == "auto":
            return "native" if native_available() and not unsupported(tape) else "python"
        if self.backend == "native" and (foreign := unsupported(tape)):
            names = ", ".join(operation.name for operation in foreign)
            raise TypeError(
                f"Native code knows the operations of the table, not your own: {names}. "
                "Compose it of operations in a function, or take backend='python'."
            )
        return self.backend

    def _each(self, plan: Plan, aim: Aim, given: Batch, into: Sequence[Any]) -> None:
        """Fill the columns with the outputs for each sample, as `_run` gives those of one."""
        arguments = (given.columns, numbers_of(plan), given.length, into)
        if self._kernel(plan, aim).each(*arguments) and aim != "values":
            self._kernel(plan, aim, guarded=True).each(*arguments)

    def _run(self, plan: Plan, aim: Aim, how: str, inputs: Any, *count: int) -> Sequence[Any]:
        """The outputs; where a gradient is NaN, those of the guarded program, which is the last word."""
        results = getattr(self._kernel(plan, aim), how)(inputs, numbers_of(plan), *count)
        if any(result != result for result in results[1:]):
            results = getattr(self._kernel(plan, aim, guarded=True), how)(inputs, numbers_of(plan), *count)
        return results  # type: ignore[no-any-return]


def numbers_of(plan: Plan) -> list[float]:
    """The parameters' numbers as they stand."""
    return [parameter._data for parameter in plan.trace.parameters]


def _listed(shapes: Sequence[Shape]) -> str:
    return f"({', '.join(map(str, shapes))})"
