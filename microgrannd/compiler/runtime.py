"""Which plan and which kernel: what a program has traced and compiled so far, and how it finds more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from microgrannd.compiler.arrays.choice import (
    ARRAY_BACKENDS,
    array_kernel,
    recurrent_kernel,
    runs_in_steps,
    suits_arrays,
)
from microgrannd.compiler.batches import Batch, batch, holds_array, is_sample, whole_shape
from microgrannd.compiler.interpreted import CheckedKernel, Kernel, PythonKernel, TapeKernel
from microgrannd.compiler.llvm.machine import available as native_available
from microgrannd.compiler.llvm.operations import unsupported
from microgrannd.compiler.locking import COMPILING
from microgrannd.compiler.native.direct_calls import fast_function
from microgrannd.compiler.native.kernel_source import work
from microgrannd.compiler.native.kernels import NativeKernel
from microgrannd.compiler.plan import Plan, SparseDerivatives, Wanted, without_collection
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.refusals import refuse_batch, refuse_sample
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import Trace, trace
from microgrannd.ground.arguments import one_of, truth, whole_number
from microgrannd.ground.errors import TracingError
from microgrannd.ground.nests import Shape, builder, leaves, starts_of
from microgrannd.learning.held import Held
from microgrannd.learning.reached import Reached
from microgrannd.operations import as_float

BACKENDS: Final = ("auto", "python", "native", *ARRAY_BACKENDS)
_LONGEST_DIRECT: Final = 40_000  # operands; beyond them the 10 µs or more that ctypes takes for a call hardly show
_LONGEST_UNKEPT: Final = 8_000  # the same beside a cache, which would keep the code that ctypes calls


@dataclass(frozen=True)
class Options:
    backend: str = "auto"
    reassociate: bool = False
    float32: bool = False
    threads: int = 1
    cache: Path | None = None
    static: tuple[int | str, ...] | None = ()  # arguments, by position or by name; None where all are numbers

    def __post_init__(self) -> None:
        one_of("backend", self.backend, BACKENDS)
        if truth("float32", self.float32) and self.backend not in ARRAY_BACKENDS:
            raise ValueError(f"float32 is for {', '.join(ARRAY_BACKENDS)}; got backend={self.backend!r}.")
        if whole_number("threads", self.threads) < 1:
            raise ValueError(f"threads is at least 1, got {self.threads}.")


class Runtime:
    def __init__(self, function: Callable[..., Any] | None, options: Options) -> None:
        self.function = function
        self.options = options
        self.plans: dict[tuple[Shape, ...], Plan] = {}
        self.latest: Plan | None = None
        self.refusal: TracingError | None = None  # of the last trace that was asked for, to be raised at the next use
        self.reached: dict[tuple[Shape, ...], Reached] = {}  # what the function looked at when it was traced
        self.held: dict[tuple[Shape, ...], Held] = {}  # and where it found its parameters
        self.lock = COMPILING
        self.fits: dict[Any, Any] = {}  # native training loops, by plan and optimizer
        self._kernels: dict[tuple[int, Wanted], Kernel] = {}
        self._sparse: dict[tuple[int, int], NativeKernel | TapeKernel] = {}
        self._array_backends: dict[int, str] = {}
        self._direct: dict[Wanted, Any] = {}  # functions that Python calls directly, and their machine code
        self._offered: set[tuple[int, Wanted]] = set()

    def batch(self, arguments: Sequence[Any]) -> tuple[Plan, Batch] | None:
        """The arguments as a batch; None where they are one sample, in arrays too if its structure is known."""
        if not any(map(holds_array, arguments)):
            return None
        if any(len(shapes) == len(arguments) and all(map(is_sample, arguments, shapes)) for shapes in self.plans):
            return None
        given = batch(arguments)
        plan = self.plan(given.shapes, given.first())
        refuse_batch(plan.trace, self.function, given)
        return plan, given

    def sample(self, arguments: Sequence[Any]) -> tuple[Plan, list[float]]:
        numbers = [x if x.__class__ is float else as_float(x) for argument in arguments for x in leaves(argument)]
        plan = self.plan(tuple(map(whole_shape, arguments)), numbers)
        refuse_sample(plan.trace, self.function, numbers, arguments)
        return plan, numbers

    def plan(self, shapes: tuple[Shape, ...], numbers: Sequence[float]) -> Plan:
        if plan := self.plans.get(shapes):
            if plan.trace.parameters and shapes in self.held:
                self.held[shapes].check(plan.trace.parameters)
            return plan
        if self.function is None:
            known = " or ".join(map(_listed, self.plans)) or "nothing: it was pickled before it was traced"
            raise TypeError(f"This program takes {known}; got {_listed(shapes)}.")
        nests = [builder(shape)(numbers, start) for shape, start in zip(shapes, starts_of(shapes), strict=False)]
        before = Reached(self.function)
        with without_collection():
            traced = trace(self.function, nests)
        if drawn := before.drawn():
            before.restore()
            raise TracingError(f"A compiled function is traced once, but this one draws random numbers from {drawn}.")
        self.reached[shapes], self.held[shapes] = Reached(self.function), Held(self.function)
        return self.add(traced)

    def add(self, traced: Trace) -> Plan:
        with self.lock:
            new = Plan(traced, reassociate=self.options.reassociate)
            self.latest = self.plans.setdefault(traced.shapes, new)
            return self.latest

    def traced(self) -> Plan:
        if self.latest is None:
            raise self.refusal or TracingError(
                "The program has not been traced yet: call it once, or program.trace(*arguments) with arguments "
                "of the structure it will get."
            )
        return self.latest

    def kernel(self, plan: Plan, wanted: Wanted) -> Kernel:
        key = (id(plan), wanted)
        if kernel := self._kernels.get(key):
            return kernel
        with self.lock:
            self._kernels[key] = self._kernels.get(key) or self._compiled(plan, wanted)
            return self._kernels[key]

    def sparse_kernel(self, plan: Plan, derivatives: SparseDerivatives) -> NativeKernel | TapeKernel:
        """The kernel of sparse derivatives, in native code where that is chosen or there, else in Python."""
        key = (id(plan), id(derivatives))
        with self.lock:
            if key not in self._sparse:
                tape = derivatives.tape
                chosen = self.options.backend != "python" and native_available() and not unsupported(tape.instructions)
                self._sparse[key] = NativeKernel(tape, cache=self.options.cache) if chosen else TapeKernel(tape)
            return self._sparse[key]

    def array_kernel(self, plan: Plan, wanted: Wanted, *, guarded: bool = False) -> Any:
        kernel = self.kernel(plan, wanted)
        if isinstance(kernel, CheckedKernel):
            return kernel.guarded() if guarded else kernel.plain
        return kernel

    def _compiled(self, plan: Plan, wanted: Wanted) -> Kernel:
        options = self.options
        make: Callable[..., Kernel] = partial(PythonKernel, plan, wanted)
        if wanted != "curvature" and (library := self.array_backend(plan)):
            make = partial(array_kernel, plan, wanted, library, options.float32, options.threads, options.cache)
            if library in ARRAY_BACKENDS and runs_in_steps(plan):
                make = partial(recurrent_kernel, plan, wanted, library, options.float32)
        elif self.backend(plan, wanted) == "native":
            make = partial(self._native, plan, wanted)
        if wanted in ("values", "curvature"):
            return make()
        return CheckedKernel(make(), cache(partial(make, guarded=True)), reorders=bool(library))

    def _native(self, plan: Plan, wanted: Wanted, *, guarded: bool = False) -> Kernel:
        return NativeKernel(plan.native_program(wanted, guarded=guarded), self.options.threads, self.options.cache)

    def backend(self, plan: Plan, wanted: Wanted) -> str:
        if wanted != "curvature" and (library := self.array_backend(plan)):  # which has first derivatives alone
            return library
        chosen = self.options.backend
        if chosen in ("python", *ARRAY_BACKENDS) or (chosen == "auto" and not native_available()):
            return "python"
        own = unsupported(plan.native_program(wanted).instructions)
        if own and self.options.backend == "native":
            names = ", ".join(operation.name for operation in own)
            raise TypeError(
                f"Native code knows the operations of the table, not your own: {names}. "
                "Compose it of operations in a function, or take backend='python'."
            )
        return "python" if own else "native"

    def array_backend(self, plan: Plan) -> str:
        """What runs a plan on arrays: the library asked for, or native loops or NumPy where that suits; else ""."""
        if self.options.backend in ARRAY_BACKENDS:
            return self.options.backend
        if self.options.backend == "python":
            return ""
        if id(plan) not in self._array_backends:
            self._array_backends[id(plan)] = self._suitable(plan.trace.tape)
        return self._array_backends[id(plan)]

    def _suitable(self, tape: Tape) -> str:
        if native_available() and not unsupported(tape.instructions):
            return "native" if suits_arrays(tape, "native") else ""
        return "numpy" if self.options.backend == "auto" and suits_arrays(tape, "numpy") else ""

    def direct(self, plan: Plan, wanted: Wanted, otherwise: Callable[..., Any]) -> Callable[..., Any] | None:
        """Given once: a native function that Python calls directly, which hands `otherwise` what it cannot take."""
        if (id(plan), wanted) in self._offered or plan.trace.refusals is not None:
            return None
        with self.lock:
            self._offered.add((id(plan), wanted))
            if wanted in self._direct or self.array_backend(plan) or self.backend(plan, wanted) != "native":
                return None
            tape = plan.native_program(wanted)
            if isinstance(tape, Rolled) or work(tape) > (_LONGEST_UNKEPT if self.options.cache else _LONGEST_DIRECT):
                return None
            trace, checked = plan.trace, wanted != "values"
            result = plan.shape(wanted)
            function = fast_function(tape, trace.shapes, result, trace.parameters, otherwise, checked=checked)
            if function:
                self._direct[wanted] = function
            held = self.held.get(plan.trace.shapes)
            return function and (held.checked(function[0], plan.trace.parameters) if held else function[0])


def _listed(shapes: Sequence[Shape]) -> str:
    return f"({', '.join(map(str, shapes))})"
