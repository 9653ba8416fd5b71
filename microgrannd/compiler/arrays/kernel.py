"""Running array code: the matrix program on NumPy, JAX, PyTorch or loops, in chunks that keep memory bounded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from microgrannd.compiler.arrays.libraries import Library, library
from microgrannd.compiler.matrix.matrix_program import matrix_program
from microgrannd.compiler.matrix.matrix_source import MatrixSource, matrix_source
from microgrannd.compiler.native.kernels import in_threads
from microgrannd.compiler.plan import without_collection
from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Instruction, Tape
from microgrannd.compiler.tape.trace import Trace, differentiate
from microgrannd.operations import Operation, contribution, mul
from microgrannd.printing.arrays import multiplies_matrices

CHUNK: Final = 1 << 22  # how many numbers the arrays of one chunk may have together
NATIVE_CHUNK: Final = 1 << 18  # for loops, which are fastest where these stay near to the processor


class MatrixFunction:
    """One tape as a function of the parameters, in the order of `layout`, and of arrays with a row for each sample."""

    def __init__(
        self, name: str, tape: Tape, inputs: Sequence[tuple[str, int]], leaves: Sequence[int],
        labels: Mapping[int, str], *, over_batch: bool,
    ) -> None:  # fmt: skip
        program = matrix_program(tape, inputs, over_batch=over_batch)
        self.source: MatrixSource = matrix_source(name, program, leaves, labels)
        self.layout = program.layout  # which parameter stands where
        self.slots = np.argsort(program.layout)  # where each parameter stands
        self.has_parameters = bool(tape.parameters)
        self.has_inputs = any(size for _, size in inputs)
        self.outputs_count = len(tape.outputs)
        self.fixed = program.fixed
        arrays = [group.size for group in program.groups if group.per_sample and not group.final]
        gathered = [piece.outputs.size for piece in program.pieces if not multiplies_matrices(piece.text)]
        self.width = sum(arrays) + sum(gathered)  # how many numbers there are for a sample
        self.functions = program.functions
        self.operations = list(dict.fromkeys(operation for operation, _ in tape.instructions))

    def function(self, library: Library) -> Any:
        own = [operation.name for operation in self.operations if operation not in library.known]
        if own and not library.runs_operations:
            raise TypeError(
                "This array library knows the operations of the table and those with a `form`, not your own: "
                f"{', '.join(own)}. Say with form= how it is made of others, or take backend='numpy'."
            )
        names = library.names | {name: partial(_each, operation) for name, operation in self.functions.items()}
        for name, numbers in self.source.constants.items():
            names[name] = (library.positions if numbers.dtype.kind == "i" else library.array)(numbers)
        exec(compile(self.source.code, f"<{self.source.name}>", "exec"), names)
        return names[self.source.name]


class ArrayKernel:
    """A backend: a trace's outputs, and gradients by `leaves` if there are any, by array code.

    `guarded` gradients hold for infinite numbers too; `threads` and `cache` are for the backend "native".
    """

    def __init__(
        self, trace: Trace, leaves: Sequence[int] = (), *, guarded: bool = False, backend: str = "numpy",
        float32: bool = False, threads: int = 1, cache: Path | None = None,
    ) -> None:  # fmt: skip
        native = backend == "native"
        self.threads = threads if native else 1  # the libraries have threads of their own
        self.chunk = NATIVE_CHUNK if native else CHUNK
        self.library = _loops(cache) if native else library(backend, float32=float32)
        self.name = trace.name
        self.inputs = [(name, shape.size) for name, shape in zip(trace.names, trace.shapes, strict=True)]
        self.leaves = leaves
        self.labels = trace.tape.labels
        self.tape = _labelled(trace.tape)
        if leaves:
            numbers = [float("nan")] * trace.tape.leaves if guarded else trace.numbers
            self.tape = differentiate(self.tape, numbers, leaves)
            if not guarded:
                self.tape = _unguarded(self.tape)
        self.tape = expanded(self.tape, self.library.known)
        self._functions: dict[bool, tuple[MatrixFunction, Any]] = {}
        self.steps: dict[int, Any] = {}  # what training has compiled, by the optimizer's steps

    def matrix_function(self, *, over_batch: bool) -> MatrixFunction:
        return self.compiled(over_batch=over_batch)[0]

    def one(self, inputs: Sequence[float], parameters: Sequence[float]) -> Sequence[float]:
        into = list(np.empty((len(self.tape.outputs), 1)))
        self.each([[x] for x in inputs], parameters, 1, into)
        return [float(column[0]) for column in into]

    def each(self, columns: Sequence[Any], parameters: Sequence[float], count: int, into: Sequence[Any]) -> None:
        for chunk, outputs in self._in_chunks(columns, parameters, count, over_batch=False):
            for column, numbers in zip(into, outputs, strict=True):
                column[chunk] = numbers

    def total(self, columns: Sequence[Any], parameters: Sequence[float], count: int) -> Sequence[float]:
        totals = np.zeros(len(self.tape.outputs))
        for _, sums in self._in_chunks(columns, parameters, count, over_batch=True):
            totals += sums
        return totals.tolist()

    def _in_chunks(
        self, columns: Sequence[Any], parameters: Sequence[float], count: int, *, over_batch: bool
    ) -> Iterator[tuple[slice, Any]]:
        """The samples in chunks, in order, with the outputs of each; several at a time in threads."""
        matrices = self.matrix_function(over_batch=over_batch)
        flat = self._flat(matrices, parameters)

        def run(chunk: slice) -> tuple[slice, Any]:
            return chunk, self._outputs([*flat, *self._rows(columns, chunk)], over_batch, chunk.stop - chunk.start)

        chunks = self._chunks(matrices, count)
        alone = self.threads == 1 or len(chunks) == 1
        return map(run, chunks) if alone else iter(in_threads(self.threads).map(run, chunks))

    def _outputs(self, given: Sequence[Any], over_batch: bool, count: int) -> Any:
        """All outputs: one array or, with the samples apart, a row for each output."""
        matrices, function = self.compiled(over_batch=over_batch)
        with self.library.mode():
            results = [np.asarray(self.library.numbers(result)) for result in function(self.library.xp, *given)]
        outputs = np.empty(matrices.outputs_count if over_batch else (matrices.outputs_count, count))
        for i, x in matrices.fixed.items():
            outputs[i] = x * count if over_batch else x
        for piece, result in zip(matrices.source.pieces, results, strict=True):
            outputs[piece.outputs] = result if over_batch else result.T if piece.per_sample else result[:, None]
        return outputs

    def arguments(self, columns: Sequence[Any], parameters: Any, count: int, *, over_batch: bool) -> list[Any]:
        matrices = self.matrix_function(over_batch=over_batch)
        return [*self._flat(matrices, parameters), *self._rows(columns, self._chunks(matrices, count)[0])]

    def _flat(self, matrices: MatrixFunction, parameters: Any) -> list[Any]:
        if not matrices.has_parameters:
            return []
        return [self.library.array(np.asarray(parameters, dtype=float)[matrices.layout])]

    def _rows(self, columns: Sequence[Any], chunk: slice) -> list[Any]:
        """An array for each argument, with a row for each sample; without any, how many samples there are."""
        arrays, rest = [], iter(columns)
        for _, size in self.inputs:
            if size:
                parts = [np.asarray(column, float)[chunk] for column in islice(rest, size)]
                arrays.append(self.library.rows(np.stack(parts, 1)))
        return arrays or [chunk.stop - chunk.start]

    def _chunks(self, matrices: MatrixFunction, count: int) -> list[slice]:
        size = max(1, self.chunk // max(1, matrices.width))
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def compiled(self, *, over_batch: bool) -> tuple[MatrixFunction, Any]:
        if over_batch not in self._functions:
            with without_collection():
                options = self.name, self.tape, self.inputs, self.leaves, self.labels
                matrices = MatrixFunction(*options, over_batch=over_batch)
            self._functions[over_batch] = matrices, self.library.compiled(matrices.function(self.library))
        return self._functions[over_batch]


def _each(operation: Operation, *arrays: Any) -> Any:
    return operation(*operation.split(arrays))


def _loops(cache: Path | None) -> Library:
    from microgrannd.compiler.arrays.loops.function import loops_library  # which needs llvmlite

    return loops_library(cache)


def _labelled(tape: Tape) -> Tape:
    """Every variable with a label of its own, so that a derivative's label tells what it is the derivative of."""
    return replace(tape, labels={v: f"v{v}" for v in range(tape.leaves, tape.leaves + len(tape.instructions))})


def _unguarded(tape: Tape) -> Tape:
    """Contributions as plain products: 0 · ∞ gives a NaN then, and whoever finds one runs the guarded program."""

    def plain(instruction: Instruction) -> Instruction:
        operation, operands = instruction
        return Instruction(mul, operands) if operation is contribution else instruction

    backward = tape.instructions[tape.forward :]
    return replace(tape, instructions=(*tape.instructions[: tape.forward], *map(plain, backward)))
