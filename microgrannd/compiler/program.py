"""`compile` and `Program`: a function of scalars, traced once, run as printed Python or as native code."""

from __future__ import annotations

import math
import os
import types
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from microgrannd.compiler.arrays.choice import ARRAY_BACKENDS, array_kernel, runs_in_steps
from microgrannd.compiler.batches import Batch, in_parts, samples, space_for
from microgrannd.compiler.calls import Call, Forms
from microgrannd.compiler.native.kernel_source import module
from microgrannd.compiler.native.loop_kernel import assembly
from microgrannd.compiler.plan import Plan, Wanted
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.refusals import refuse_samples
from microgrannd.compiler.runtime import Options, Runtime
from microgrannd.compiler.tape.adjoints import PROVED
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import trace_graph
from microgrannd.engine import Value
from microgrannd.ground.arguments import list_of, one_of, path_of, shown, truth, whole_number
from microgrannd.ground.data import Data
from microgrannd.ground.errors import TracingError
from microgrannd.ground.files import write_whole
from microgrannd.ground.nests import SCALAR, builder
from microgrannd.learning.arguments import check_arguments
from microgrannd.learning.checkpoint import CheckpointPath, checkpoint_of
from microgrannd.learning.clipping import clip_of
from microgrannd.learning.epochs import Batches, ByBatch, Pace, train
from microgrannd.learning.history import History
from microgrannd.learning.optimizer import Optimizer

if TYPE_CHECKING:
    from microgrannd.compiler.matrix.matrix_source import MatrixSource
    from microgrannd.compiler.profiles import ProgramProfile
    from microgrannd.compiler.text.coq_source import CoqSource
    from microgrannd.compiler.text.coqc import Proof

Result = TypeVar("Result")
ErrorBounds: TypeAlias = tuple[float, tuple[Any, ...], tuple[float, ...]]  # value, by arguments, by parameters


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
    static: int | str | Sequence[int | str] = (),
) -> Program:
    """A program that computes what the function computes, and its gradients, without building graphs.

    The function takes scalars, or lists, tuples and dicts of them, and returns a scalar or a nest of
    scalars. Values that it closes over are parameters, read anew at each call; plain numbers are
    constants. Or else `graph=y, inputs=[...]` compiles a graph that is there already. `reassociate` lets the
    compiler reorder additions; results may differ in the last bits.

    `backend` is "python"; "native" for machine code, which is straight lines or, for large wide programs,
    loops over arrays; or the array library on which the matrix program runs: "numpy", "jax" or "torch", there
    with `float32` if asked for. "auto" takes what is installed and suits. Programs on arrays reorder additions
    too. Native code splits large batches over `threads` threads, and is kept in the directory `cache`, if one is
    given, for the next time. Code from there runs only if it is signed with your own key, which lies elsewhere: whoever
    can write in the directory but cannot read the key can have code compiled anew, and nothing more. Where code cannot
    be kept, a RuntimeWarning says why.

    Arguments may go by keyword. An int, bool or str that the function looks at, as `range(n)` and `if mode == "sin"`
    do, is static: the function is traced anew for each of its values, and the gradient by it is None. Which they are
    is found out where a trace fails; `static` says so at once, by position or by name.

    >>> from microgrannd import operations as mg
    >>> program = compile(lambda x, y: mg.sin(x) * y, backend="python")
    >>> program(0.0, 2.0)
    0.0
    >>> program.value_and_gradients(0.0, 2.0)
    (0.0, (2.0, 0.0))
    >>> times = compile(lambda x, n: mg.sum([x] * n), backend="python")
    >>> times(2.0, n=3), times.value_and_gradients(2.0, n=4)
    (6.0, (8.0, (4.0, None)))
    """
    if (function is None) == (graph is None):
        raise TypeError("compile takes a function, or graph=y with inputs=[...].")
    if function is not None and not callable(function):
        raise TypeError(f"compile takes a function, got {shown(function)}; a graph goes as graph=y, inputs=[...].")
    folder = None if cache is None else path_of("cache", cache)
    named = (
        (static,) if isinstance(static, int | str) else tuple(list_of("static", static, "a list of names or positions"))
    )
    program = Program(function, Options(backend, reassociate, float32, threads, folder, named))
    if graph is not None:
        program.runtime.add(trace_graph(graph, list_of("inputs", inputs, "a list of Values", Value)))
    return program


def _value(form: Program, call: Call) -> Any:
    return form(*call.numbers)


def _value_and_gradients(form: Program, call: Call) -> tuple[Any, tuple[Any, ...]]:
    value, gradients = form.value_and_gradients(*call.numbers)
    return value, call.spread(gradients)


def _error_bounds(form: Program, call: Call) -> ErrorBounds:
    value, gradients, parameters = form.error_bounds(*call.numbers)
    return value, call.spread(gradients), parameters


def _traced(form: Program, call: Call) -> None:
    form._trace(call.numbers)


def _position(argnums: int, count: int) -> int:
    position = whole_number("argnums", argnums)
    if position not in range(-count, count):
        raise TypeError(f"argnums={argnums} asks for an argument that was not given: there are {count}.")
    return position % count


class Program:
    """A compiled function. It is traced at the first call, and again for arguments of another structure."""

    def __init__(self, function: Callable[..., Any] | None, options: Options) -> None:
        self.function = function
        self.runtime = Runtime(function, options)
        self._forms = Forms(function, options, Program)
        self._direct: Callable[..., Any] | None = None
        self._direct_gradients: Callable[..., tuple[Any, tuple[Any, ...]]] | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """The result: floats for one sample, arrays for arrays with a batch axis."""
        if keywords:
            return self._call(*arguments, **keywords)
        return (self._direct or self._call)(*arguments)

    def _call(self, *arguments: Any, **keywords: Any) -> Any:
        if keywords or self._forms.needed:
            return self._by_form(_value, arguments, keywords)
        try:
            if batch := self.runtime.batch(arguments):
                plan, given = batch
                [result], columns = space_for([plan.trace.result], [True], given.length)
                self.runtime.kernel(plan, "values").each(given.columns, plan.numbers(), given.length, columns)
                return result
            plan, sample = self.runtime.sample(arguments)
        except TypeError:
            return self._once_static(_value, arguments)
        if direct := self.runtime.direct(plan, "values", self._call):
            self._direct = direct
            return direct(*arguments)
        return plan.arrange_result(self.runtime.kernel(plan, "values").one(sample, plan.numbers()), 0)

    def value_and_gradients(self, *arguments: Any, **keywords: Any) -> tuple[Any, tuple[Any, ...]]:
        """The value and a tuple with the gradient by each argument, in the structure of the argument."""
        if keywords:
            return self._value_and_gradients(*arguments, **keywords)
        return (self._direct_gradients or self._value_and_gradients)(*arguments)

    def _value_and_gradients(self, *arguments: Any, **keywords: Any) -> tuple[Any, tuple[Any, ...]]:
        if keywords or self._forms.needed:
            return self._by_form(_value_and_gradients, arguments, keywords)
        try:
            if batch := self.runtime.batch(arguments):
                plan, given = batch
                (value, *gradients), columns = space_for([SCALAR, *given.shapes], [False, *given.arrays], given.length)
                self.runtime.kernel(plan, "inputs").each(given.columns, plan.numbers(), given.length, columns)
                return value, tuple(gradients)
            plan, sample = self.runtime.sample(arguments)
        except TypeError:
            return self._once_static(_value_and_gradients, arguments)
        if direct := self.runtime.direct(plan, "inputs", self._value_and_gradients):
            # From now on it is the method itself, too: one Python call less for who asks for it now.
            self._direct_gradients = self.value_and_gradients = direct  # type: ignore[method-assign]
            return direct(*arguments)  # type: ignore[no-any-return]
        value, *flat = self.runtime.kernel(plan, "inputs").one(sample, plan.numbers())
        return value, plan.arranged(flat)

    def _by_form(
        self, run: Callable[[Program, Call], Result], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Result:
        form, call = self._forms.of(arguments, keywords)
        try:
            result = run(form, call)
        except TypeError:
            if not self._forms.looks(arguments, keywords):
                raise
            form, call = self._forms.of(arguments, keywords)
            result = run(form, call)
        self.runtime.latest = form.runtime.latest
        return result

    def _once_static(self, run: Callable[[Program, Call], Result], arguments: tuple[Any, ...]) -> Result:
        """Where an error is being handled: the same with some arguments static, if that will do, else the error."""
        if not self._forms.looks(arguments, {}):
            raise
        return self._by_form(run, arguments, {})

    def error_bounds(self, *arguments: Any, **keywords: Any) -> ErrorBounds:
        """How far the value and each gradient of a run with these arguments are from the exact ones, at most.

        A bound for the value, a tuple with those of the gradient by each argument, in the argument's structure, and a
        tuple with those of the gradient by each of `parameters`. Exact is what the function and its derivatives give
        for these very floats if nothing is rounded. The bounds are rigorous, for one sample in Python or native code,
        as far as each operation keeps to its `ulps`. A bound is wide or infinite where a number comes so near a kink or
        a jump that rounding may have crossed it, and infinite where a result is, or is no number.

        Raises TypeError for a batch, for a program that runs on arrays, which add in an order of their own, and for an
        operation that does not say its `ulps`.

        >>> program = compile(lambda x, y: (x + y) * (x - y), backend="python")
        >>> value, (by_x, by_y), by_parameters = program.error_bounds(0.1, 0.3)
        >>> 0 < value < 1e-16, 0 < by_x < 1e-16, by_parameters
        (True, True, ())
        """
        if keywords or self._forms.needed:
            return self._by_form(_error_bounds, arguments, keywords)
        runtime = self.runtime
        try:
            if runtime.batch(arguments):
                raise TypeError("error_bounds takes one sample, got a batch: call it for each sample.")
            plan, sample = runtime.sample(arguments)
        except TypeError:
            return self._once_static(_error_bounds, arguments)
        if runtime.array_backend(plan):
            raise TypeError(
                "error_bounds is for straight lines, and this program runs on arrays, which add in an order of their "
                "own: compile it with backend='python'."
            )
        if direct := runtime.direct(plan, "bounds", self.error_bounds):
            self.error_bounds = direct  # type: ignore[method-assign]
            return direct(*arguments)  # type: ignore[no-any-return]
        value, *flat = runtime.kernel(plan, "bounds").one(sample, plan.numbers())
        flat = [math.inf if x != x else x for x in flat]
        return value, plan.arranged(flat), tuple(flat[len(sample) :])

    def jacobian(self, *arguments: Any, argnums: int = 0, sparse: bool = False) -> Any:
        """The derivatives of every output by one argument, as nests in the place of each output.

        `sparse` gives a `scipy.sparse.csr_array`: a row for each scalar of the result, a column for each of the
        argument, and only what is not 0 whatever the numbers are.

        >>> program = compile(lambda x: [x[0] * 3, x[1] * x[2]], backend="python")
        >>> program.jacobian([1.0, 2.0, 5.0])
        [[3.0, 0.0, 0.0], [0.0, 5.0, 2.0]]
        >>> program.jacobian([1.0, 2.0, 5.0], sparse=True).data.tolist()
        [3.0, 5.0, 2.0]
        """
        if self._forms.needed:
            form, call = self._forms.of(arguments, {})
            return form.jacobian(*call.numbers, argnums=call.place(argnums), sparse=sparse)
        plan, sample, position = self._one_argument(arguments, argnums)
        found = plan.sparse(position, twice=False)
        numbers = self.runtime.sparse_kernel(plan, found).one(sample, plan.numbers())
        if truth("sparse", sparse):
            return found.array(numbers)
        rows = [[0.0] * found.shape[1] for _ in range(found.shape[0])]
        for row, column, number in zip(found.rows, found.columns, numbers, strict=True):
            rows[row][column] = number
        nest = builder(plan.trace.shapes[position])
        return plan.arrange_result([nest(row, 0) for row in rows], 0)

    def hessian(self, *arguments: Any, argnums: int = 0, sparse: bool = False) -> Any:
        """The second derivatives by one argument: for each of its scalars a nest like the argument itself.

        `sparse` gives a `scipy.sparse.csr_array` with only what is not 0 whatever the numbers are.

        >>> from microgrannd import operations as mg
        >>> program = compile(lambda x: x[0] ** 2 * x[1], backend="python")
        >>> program.hessian([3.0, 5.0])
        [[10.0, 6.0], [6.0, 0.0]]
        >>> program.hessian([3.0, 5.0], sparse=True).data.tolist()
        [10.0, 6.0, 6.0]
        """
        if self._forms.needed:
            form, call = self._forms.of(arguments, {})
            return form.hessian(*call.numbers, argnums=call.place(argnums), sparse=sparse)
        plan, sample, position = self._one_argument(arguments, argnums)
        if truth("sparse", sparse):
            found = plan.sparse(position, twice=True)
            return found.array(self.runtime.sparse_kernel(plan, found).one(sample, plan.numbers()))
        outputs = self.runtime.kernel(plan, "curvature").one(sample, plan.numbers())
        shape, start, size = plan.trace.shapes[position], plan.starts[position], len(sample)
        nest, rows = builder(shape), range(start, start + shape.size)
        return nest([nest(outputs[i * size : (i + 1) * size], start) for i in rows], 0)

    def sparsity(self, argnums: int = 0) -> Any:
        """Where derivatives by one argument can be other than 0, as a sparse array of bools.

        They are the second derivatives of a function that returns a number, and the first ones of one that returns
        several. The program must have been traced: by a call, or by `trace`.

        >>> program = compile(lambda x: x[0] * x[1] + x[2], backend="python").trace([1.0, 2.0, 3.0])
        >>> program.sparsity().toarray().astype(int).tolist()
        [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
        """
        plan = self.runtime.traced()
        found = plan.sparse(_position(argnums, len(plan.trace.shapes)), twice=plan.trace.result.kind is None)
        return found.array([True] * len(found.tape.outputs))

    def _one_argument(self, arguments: Sequence[Any], argnums: int) -> tuple[Plan, list[float], int]:
        plan, sample = self.runtime.sample(arguments)
        return plan, sample, _position(argnums, len(arguments))

    def backward(self, *batch: Any) -> float:
        """The mean value over a batch; the mean gradient is added to each parameter's `.grad`."""
        totals: list[float] = []
        count = 0
        for part in in_parts(batch):
            given = samples(part)
            if not given.length:
                raise ValueError("backward takes the mean over a batch of at least one sample, got none.")
            plan = self.runtime.plan(given.shapes, given.first())
            refuse_samples(plan.trace, self.function, part)
            sums = self.runtime.kernel(plan, "parameters").total(given.columns, plan.numbers(), given.length)
            totals = [x + y for x, y in zip(totals, sums, strict=True)] if totals else list(sums)
            count += given.length
        for parameter, gradient in zip(plan.trace.parameters, totals[1:], strict=True):
            parameter._grad += gradient / count
        return float(totals[0] / count)

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
        per_step: bool = False,
        clip: float | tuple[str, float] | None = None,
        callbacks: Iterable[Callable[[int, History], object]] = (),
        progress: bool = False,
        checkpoint: CheckpointPath = None,
        every: int = 1,
        resume: bool = False,
    ) -> History:
        """Lower the mean of the function over the data, as `mg.fit` does and with the same arguments.

        All epochs run in native code or on arrays, the optimizer's `update` too; an optimizer that cannot be
        compiled gets its gradients from the program. Raises TracingError where what the function looks at has
        changed since it was compiled.
        """
        from microgrannd.compiler.fitting import training

        callbacks = check_arguments(self.function or self, data, optimizer, epochs, schedule, callbacks)
        clipping = clip_of(clip, optimizer)
        batches = Batches(data, epochs, batch_size=batch_size, replace=replace, seed=seed)
        saved = checkpoint_of(checkpoint, every, resume, self.function, batches, optimizer)
        idle = ByBatch(self.backward, batches, optimizer)
        run = training(self, batches, optimizer, epochs, clipping) if epochs else idle
        pace = Pace(schedule, per_step, batches, optimizer)
        return train(
            run, batches, optimizer, epochs=epochs, pace=pace, callbacks=callbacks, progress=progress, checkpoint=saved
        )

    def trace(self, *arguments: Any, **keywords: Any) -> Program:
        """Trace for arguments like these now rather than at the first call.

        A function that cannot be traced is refused where the program is used.
        """
        try:
            if keywords or self._forms.needed:
                self._by_form(_traced, arguments, keywords)
            else:
                self._trace(arguments)
        except TracingError as refusal:
            self.runtime.refusal = refusal
            if not keywords and self._forms.looks(arguments, keywords):
                self._by_form(_traced, arguments, keywords)
        return self

    def _trace(self, arguments: Sequence[Any]) -> None:
        if self.runtime.batch(arguments) is None:
            self.runtime.sample(arguments)

    @property
    def parameters(self) -> list[Value]:
        """The Values that the function closes over, in the order of their first use."""
        return list(self.runtime.traced().trace.parameters)

    @property
    def tape(self) -> Tape:
        """The simplified instructions: the value and its gradient by the parameters or, without any, by the inputs."""
        plan = self.runtime.traced()
        return plan.tape(plan.shown, guarded=plan.chooses)

    @property
    def python_source(self) -> str:
        """The `tape` as a Python function of its own: forward lines, then backward lines.

        Where the program chooses (`relu`, `where`, `maximum` ...), guards keep a way that is not taken out of the
        gradients, whatever the numbers are. Elsewhere it is written for finite ones: 0 times infinity is NaN.
        """
        plan = self.runtime.traced()
        return str(plan.source(plan.shown, guarded=plan.chooses))

    @property
    def matrix_source(self) -> str:
        """The program as a function over whole arrays, found in the scalars, as the array backends run it.

        Where it is a recurrence, that is a loop over its steps, each for all samples at once.
        """
        plan = self.runtime.traced()
        if runs_in_steps(plan) and self.runtime.options.backend in ARRAY_BACKENDS:
            from microgrannd.compiler.arrays.recurrent import numpy_source

            program = plan.program(plan.shown, guarded=plan.chooses)
            assert isinstance(program, Rolled)
            return numpy_source(plan.trace, program, f"{plan.trace.name} and its derivatives, for arrays.")
        return str(self._matrices())

    @property
    def shapes(self) -> dict[str, str]:
        """The arrays of `matrix_source` by name: their shape, and their first and last scalar."""
        return self._matrices().shapes

    def _matrices(self) -> MatrixSource:
        plan = self.runtime.traced()
        runs = bool(self.runtime.array_backend(plan)) and not runs_in_steps(plan)
        kernel = self.runtime.array_kernel(plan, plan.shown) if runs else array_kernel(plan, plan.shown, "numpy")
        return kernel.matrix_function(over_batch=plan.shown == "parameters").source

    def to_c(self, path: str | os.PathLike[str]) -> None:
        """Write the program as C99: `path` with the value, its gradients and the parameters, and a header beside it."""
        from microgrannd.compiler.recurrences.c_loops import c_loops
        from microgrannd.compiler.text.c_source import CBody, c_source, straight_lines

        plan, file = self.runtime.traced(), path_of("path", path)
        if not file.name:
            raise ValueError(f"path names no file: {shown(path)}.")
        header = file.with_suffix(".h")
        wanted: list[Wanted] = ["values", "all"] if plan.trace.result.kind is None else ["values"]
        values, *gradients = [plan.program(which, guarded=True) for which in wanted]

        def body_of(program: Tape | Rolled) -> CBody:
            return straight_lines(program) if isinstance(program, Tape) else c_loops(program)

        found = gradients[0] if gradients else None
        source = c_source(plan.trace.name, values, found, plan.numbers(), header.name, body_of)
        write_whole(header, source.header)
        write_whole(file, source.body)

    def to_coq(self, path: str | os.PathLike[str], *, of: str = "gradients") -> None:
        """Write the `tape` as a file for the proof assistant Coq: real functions, and theorems with their proofs.

        For each gradient a theorem says that its line is the derivative of the value's, for all real numbers that meet
        the conditions listed. `of="hessian"` adds the second derivatives; `of="jvp"` has the lines of forward mode, and
        the theorem that they are how fast the value changes along any path. `coqc` checks it, with the library
        Coquelicot and nothing else. Raises ProofError where an operation has no lemma in Coq.
        """
        file = path_of("path", path)
        write_whole(file, self._coq(of).text)

    def prove(self, *, of: str = "gradients", timeout: float = 600.0) -> Proof:
        """Run Coq on what `to_coq` writes. Returns the theorems that it accepted, and under which conditions they hold.

        Raises ProofError where Coq is not installed, has not finished after `timeout` seconds, or refuses a theorem.

        >>> from microgrannd import operations as mg
        >>> program = compile(lambda x, y: mg.log(x) * y, backend="python").trace(2.0, 3.0)
        >>> program.prove()  # doctest: +SKIP
        Proof(2 theorems, 1 condition: 0 < x)
        """
        from microgrannd.compiler.text.coqc import checked

        return checked(self._coq(of), timeout)

    def _coq(self, of: str) -> CoqSource:
        from microgrannd.compiler.text.coq_source import coq_source

        one_of("of", of, PROVED)
        plan = self.runtime.traced()
        return coq_source(plan.trace.name, plan.adjoints(of))

    @property
    def llvm_ir(self) -> str:
        """LLVM's assembly of the kernel with which `backward` sums a batch, unless the program runs on arrays."""
        plan = self.runtime.traced()
        return module(assembly(plan.native_program(plan.shown), "total"))

    def profile(self, *arguments: Any, repeats: int = 20) -> ProgramProfile:
        """Where the time of a call goes, as tables: by operation and scope or, on arrays, line by line.

        The program is that of `tape` and `matrix_source`, value and gradients; it is run on one sample or on a
        batch, as in a call, and the quickest of the repeats counts. Nothing is added to any `.grad`.

        >>> from microgrannd import operations as mg
        >>> profile = compile(lambda x, y: mg.sin(x) * y, backend="python").profile(0.5, 2.0)
        >>> profile
        ProgramProfile(4 instructions, backend='python')
        >>> sorted((part.operation, part.forward, part.backward) for part in profile.by_operation())
        [('cos', 0, 1), ('mul', 1, 1), ('sin', 1, 0)]
        """
        from microgrannd.compiler.profiles import profile_of_lines, profile_on_arrays

        repeats = whole_number("repeats", repeats, 1)
        if self._forms.needed:
            form, call = self._forms.of(arguments, {})
            return form.profile(*call.numbers, repeats=repeats)
        runtime = self.runtime
        if batch := runtime.batch(arguments):
            plan, given = batch
        else:
            plan, sample = runtime.sample(arguments)
            given = Batch(plan.trace.shapes, [[x] for x in sample], 1, ())
        if not given.length:
            raise ValueError("profile runs the program on at least one sample, got none.")
        calls: dict[Wanted, Callable[[], object]] = {
            "values": lambda: self(*arguments),
            "inputs": lambda: self.value_and_gradients(*arguments),
            "parameters": lambda: runtime.kernel(plan, "parameters").total(given.columns, plan.numbers(), given.length),
        }
        backend = runtime.backend(plan, plan.shown)
        if runtime.array_backend(plan):
            return profile_on_arrays(plan, runtime.array_kernel(plan, plan.shown), backend, given, repeats)
        return profile_of_lines(plan, backend, calls[plan.shown], given, repeats)

    def __repr__(self) -> str:
        plan = self.runtime.latest
        if plan is None:
            return f"Program({getattr(self.function, '__name__', self.function)}, not traced yet)"
        tape = plan.trace.tape
        counts = f"{len(tape.inputs)} inputs, {len(tape.parameters)} parameters, {len(tape.instructions)} operations"
        return f"Program({plan.trace.name}: {counts})"

    def __getstate__(self) -> dict[str, Any]:
        # A function that pickles as its name is traced anew where it is loaded; of a local one the traces go.
        function = self.function
        named = isinstance(function, types.FunctionType | types.BuiltinFunctionType | type)
        local = named and any(mark in getattr(function, "__qualname__", "") for mark in ("<locals>", "<lambda>"))
        return {
            "function": None if local else function,
            "options": self.runtime.options,
            "traces": [] if named and not local else [plan.trace for plan in self.runtime.plans.values()],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Program.__init__(self, state["function"], state["options"])
        for trace in state["traces"]:
            self.runtime.add(trace)
