"""`compile` and `Program`: a function of scalars, traced once, run as printed Python or as native code.

This room may import everything else in the compiler.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from microgrannd.compiler.arrays.choice import array_kernel
from microgrannd.compiler.batches import Batch, holds_array, in_parts, room, samples
from microgrannd.compiler.native.direct_calls import fast_function
from microgrannd.compiler.native.kernel_source import kernel_source, work
from microgrannd.compiler.plan import Aim, Plan
from microgrannd.compiler.profiles import ProgramProfile, profiled
from microgrannd.compiler.runtime import Runtime, numbers_of
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import trace_graph
from microgrannd.compiler.text.c_source import c_source
from microgrannd.engine import Value
from microgrannd.ground.data import Data
from microgrannd.ground.nests import SCALAR, builder
from microgrannd.learning.epochs import History
from microgrannd.optim import Optimizer

if TYPE_CHECKING:
    from microgrannd.compiler.matrix.matrix_source import MatrixSource

_WORTHWHILE: Final = 2000  # samples to go through; for fewer eager mode is done before LLVM is loaded
_LONGEST_DIRECT: Final = 8000  # operands; beyond them what ctypes takes for a call does not show
_LONGEST_PYTHON: Final = 20_000  # instructions that Python compiles within about a second


def compile(
    function: Callable[..., Any] | None = None,
    *,
    graph: Value | None = None,
    inputs: Sequence[Value] = (),
    backend: str = "auto",
    reassociate: bool = False,
    float32: bool = False,
    threads: int = 1,
    cache: str | os.PathLike[str] | None = None,
) -> Program:
    """A program that computes what the function computes, and its gradients, without building graphs.

    The function takes scalars, or lists, tuples and dicts of them, and returns a scalar or a nest of
    scalars. Values that it closes over are parameters, read anew at each call; plain numbers are
    constants. Or else `graph=y, inputs=[...]` compiles a graph that stands already. `reassociate` allows
    sums to be added in another order.

    `backend` is "python"; "native" for machine code, which is straight lines or, for large wide programs,
    loops over arrays; or the array library on which the matrix program runs: "numpy", "jax" or "torch", there
    with `float32` if asked for. "auto" takes what is installed and suits. Programs on arrays add up in the
    order that suits them.
    Native code runs large batches in so many `threads`, and is kept in the directory `cache` if there is one
    for the next time; a file there that has been altered is not used.

    >>> from microgrannd import operations as mg
    >>> program = compile(lambda x, y: mg.sin(x) * y, backend="python")
    >>> program(0.0, 2.0)
    0.0
    >>> program.value_and_gradients(0.0, 2.0)
    (0.0, (2.0, 0.0))
    """
    if (function is None) == (graph is None):
        raise TypeError("compile takes a function, or graph=y with inputs=[...].")
    if function is not None and not callable(function):
        raise TypeError(f"compile takes a function, got {function!r}; a graph goes as graph=y, inputs=[...].")
    options: dict[str, Any] = {"reassociate": reassociate, "float32": float32, "threads": threads, "cache": cache}
    program = Program(function, backend=backend, **options)
    if graph is not None:
        program._add(trace_graph(graph, inputs))
    return program


class Program(Runtime):
    """A compiled function. It is traced at the first call, and again for arguments of another structure."""

    # ---- running

    def __call__(self, *arguments: Any) -> Any:
        """The result: floats for one sample, arrays for arrays with a batch axis."""
        return self._call(*arguments)

    def _call(self, *arguments: Any) -> Any:
        # This and the next are hidden by native functions once the program has been traced.
        if any(map(holds_array, arguments)) and (found := self._batch(arguments)):
            plan, given = found
            [result], columns = room([plan.trace.result], [True], given.length)
            self._each(plan, "values", given, columns)
            return result
        plan, numbers = self._sample(arguments)
        if self._quicken(plan, "values"):
            return self._call(*arguments)
        return plan.arrange_result(self._kernel(plan, "values").one(numbers, numbers_of(plan)), 0)

    def value_and_gradients(self, *arguments: Any) -> tuple[Any, tuple[Any, ...]]:
        """The value and a tuple with the gradient by each argument, in the structure of the argument."""
        return self._value_and_gradients(*arguments)

    def _value_and_gradients(self, *arguments: Any) -> tuple[Any, tuple[Any, ...]]:
        if any(map(holds_array, arguments)) and (found := self._batch(arguments)):
            plan, given = found
            (value, *gradients), columns = room([SCALAR, *given.shapes], [False, *given.arrays], given.length)
            self._each(plan, "inputs", given, columns)
            return value, tuple(gradients)
        plan, numbers = self._sample(arguments)
        if self._quicken(plan, "inputs"):
            return self._value_and_gradients(*arguments)
        value, *flat = self._run(plan, "inputs", "one", numbers)
        return value, plan.arranged(flat)

    def hessian(self, *arguments: Any, argnums: int = 0) -> Any:
        """The second derivatives by one argument: for each of its scalars a nest like the argument itself.

        >>> from microgrannd import operations as mg
        >>> compile(lambda x: x[0] ** 2 * x[1], backend="python").hessian([3.0, 5.0])
        [[10.0, 6.0], [6.0, 0.0]]
        """
        plan, numbers = self._sample(arguments)
        outputs = self._kernel(plan, "curvature").one(numbers, numbers_of(plan))
        shapes, size = plan.trace.shapes, len(numbers)
        start = plan.starts[argnums]
        nest, rows = builder(shapes[argnums]), range(start, start + shapes[argnums].size)
        return nest([nest(outputs[i * size : (i + 1) * size], start) for i in rows], 0)

    def backward(self, *batch: Any) -> float:
        """The mean value over a batch; the mean gradient is added to each parameter's `.grad`."""
        sums: list[float] = []
        count = 0
        for part in in_parts(batch):
            given = samples(part)
            if not given.length:
                raise ValueError("backward takes the mean over a batch of at least one sample, got none.")
            plan = self._plan(given.shapes, given.first())
            found = self._run(plan, "parameters", "total", given.columns, given.length)
            sums = [x + y for x, y in zip(sums, found, strict=True)] if sums else list(found)
            count += given.length
        for parameter, gradient in zip(plan.trace.parameters, sums[1:], strict=True):
            parameter._grad += gradient / count
        return float(sums[0] / count)

    def fit(
        self,
        data: Data,
        optimizer: Optimizer,
        *,
        epochs: int = 100,
        batch_size: int | None = None,
        replace: bool = False,
        seed: int | None = None,
        schedule: Callable[[int], float] | None = None,
        callbacks: Iterable[Callable[[int, History], object]] = (),
        progress: bool = False,
    ) -> History:
        """Lower the mean of the function over the data, as `mg.fit` does and with the same arguments.

        With SGD, Adam or AdamW on exactly the program's parameters all epochs run in native code, or on flat
        arrays; another optimizer gets its gradients from the program.
        """
        options: dict[str, Any] = {"batch_size": batch_size, "replace": replace, "seed": seed}
        options |= {"schedule": schedule, "callbacks": callbacks, "progress": progress}
        from microgrannd.compiler.fitting import fit

        return fit(self, data, optimizer, epochs=epochs, **options)

    # ---- looking

    def trace(self, *arguments: Any) -> Program:
        """Trace for arguments like these now rather than at the first call."""
        if not (any(map(holds_array, arguments)) and self._batch(arguments)):
            self._sample(arguments)
        return self

    @property
    def parameters(self) -> list[Value]:
        """The Values that the function closes over, in the order of their first use."""
        return list(self._traced().trace.parameters)

    @property
    def tape(self) -> Tape:
        """The simplified instructions: the value and its gradient by the parameters or, without any, by the inputs."""
        plan = self._traced()
        return plan.tape(_aim(plan))

    @property
    def python_source(self) -> str:
        """The program as a Python function of its own: forward lines, then backward lines.

        The gradients are those by the parameters or, where there are none, by the inputs.
        """
        plan = self._traced()
        return str(plan.source(_aim(plan)))

    @property
    def matrix_source(self) -> str:
        """The program as a function over whole arrays, found in the scalars, as the array backends run it."""
        return str(self._matrices())

    @property
    def shapes(self) -> dict[str, str]:
        """The arrays of `matrix_source` by name: their shape, and their first and last scalar."""
        return self._matrices().shapes

    def _matrices(self) -> MatrixSource:
        plan = self._traced()
        aim = _aim(plan)
        kernel: Any = self._kernel(plan, aim) if self._library(plan) else array_kernel(plan, aim, "numpy")
        return kernel.rolled(over_batch=aim == "parameters").source  # type: ignore[no-any-return]

    def to_c(self, path: str | os.PathLike[str]) -> None:
        """Write the program as C: `path` with the value, its gradients and the parameters, and a header beside it.

        The file is C99 and needs nothing but its library.
        """
        plan, file = self._traced(), Path(path)
        header = file.with_suffix(".h")
        gradients = plan.tape("all") if plan.trace.result.kind is None else None
        source = c_source(plan.trace.name, plan.tape("values"), gradients, numbers_of(plan), header.name)
        file.write_text(source.body, encoding="utf-8")
        header.write_text(source.header, encoding="utf-8")

    def profile(self, *arguments: Any, repeats: int = 20) -> ProgramProfile:
        """Where the time of a call goes, as tables: by operation and scope or, on arrays, line by line.

        The program is that of `tape` and `matrix_source`, value and gradients; it is run on one sample or on a
        batch, as in a call, and the quickest of the repeats counts. Nothing is added to any `.grad`.

        >>> from microgrannd import operations as mg
        >>> found = compile(lambda x, y: mg.sin(x) * y, backend="python").profile(0.5, 2.0)
        >>> found
        ProgramProfile(4 instructions, backend='python')
        >>> sorted((part.operation, part.forward, part.backward) for part in found.by_operation())
        [('cos', 0, 1), ('mul', 1, 1), ('sin', 1, 0)]
        """
        if any(map(holds_array, arguments)) and (found := self._batch(arguments)):
            plan, given = found
        else:
            plan, numbers = self._sample(arguments)
            given = Batch(plan.trace.shapes, [[x] for x in numbers], 1, ())
        aim = _aim(plan)
        calls: dict[Aim, Callable[[], object]] = {
            "values": lambda: self(*arguments),
            "inputs": lambda: self.value_and_gradients(*arguments),
            "parameters": lambda: self._run(plan, aim, "total", given.columns, given.length),
        }
        backend = self._library(plan) or self._backend_for(plan.tape(aim))
        return profiled(plan, aim, self._kernel(plan, aim), backend, calls[aim], given, repeats)

    @property
    def llvm_ir(self) -> str:
        """LLVM's assembly of the batch kernel that sums the value and its gradients, as `backward` runs it."""
        return kernel_source(self.tape, "total")

    def __repr__(self) -> str:
        if self._latest is None:
            return f"Program({getattr(self.function, '__name__', self.function)}, not traced yet)"
        tape = self._latest.trace.tape
        counts = f"{len(tape.inputs)} inputs, {len(tape.parameters)} parameters, {len(tape.instructions)} operations"
        return f"Program({self._latest.trace.name}: {counts})"

    # ---- pickling

    def __getstate__(self) -> dict[str, Any]:
        # A function that pickles as its name is traced anew where it is loaded; of a local one the traces go.
        function = self.function
        named = isinstance(function, types.FunctionType | types.BuiltinFunctionType | type)
        local = named and any(mark in getattr(function, "__qualname__", "") for mark in ("<locals>", "<lambda>"))
        return {
            "function": None if local else function,
            "backend": self.backend,
            "reassociate": self.reassociate,
            "float32": self.float32,
            "threads": self.threads,
            "cache": self.cache,
            "traces": [] if named and not local else [plan.trace for plan in self._plans.values()],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = {name: state[name] for name in ("backend", "reassociate", "float32", "threads", "cache")}
        Program.__init__(self, state["function"], **options)
        for found in state["traces"]:
            self._add(found)

    def _quicken(self, plan: Plan, aim: Aim) -> bool:
        """Let a native function take the calls for one sample from now on; what it cannot take comes here.

        Whether there is one since now.
        """
        name = "_call" if aim == "values" else "_value_and_gradients"
        if name in self.__dict__ or (id(plan), aim) in self._tried:
            return False
        self._tried.add((id(plan), aim))
        if self._library(plan):
            return False
        tape = plan.tape(aim)
        if self._backend_for(tape) != "native" or work(tape) > _LONGEST_DIRECT:
            return False
        with self._lock:
            if name in self.__dict__:
                return False
            result = plan.trace.result if aim == "values" else None
            slow = types.MethodType(getattr(Program, name), self)
            quick = fast_function(tape, plan.trace.shapes, result, plan.trace.parameters, slow)
            self.__dict__[name] = quick[0] if quick else slow
            if quick and aim == "inputs":
                self.__dict__["value_and_gradients"] = quick[0]
            self._libraries.append(quick)
            return quick is not None


def _aim(plan: Plan) -> Aim:
    if plan.trace.result.kind is not None:
        return "values"
    return "parameters" if plan.trace.parameters else "inputs"
