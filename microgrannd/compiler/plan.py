"""The tapes of one trace: values, gradients by the inputs, gradients by the parameters.

The gradients come in two forms. The plain one leaves out the guards that only infinite or overflowing numbers need,
where it gives a NaN that reaches a result. The guarded one is eager mode in every case: the plain one's kernels hand on
to it where they find a NaN. Text has nothing to hand on to: C is guarded, and Python where the program chooses.
"""

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from microgrannd.calculus.sparse import mirrored, sparse_array
from microgrannd.compiler.locking import COMPILING
from microgrannd.compiler.recurrences.derive import Rolled, rolled
from microgrannd.compiler.recurrences.find import recurrences
from microgrannd.compiler.recurrences.python_loops import recurrent_source
from microgrannd.compiler.recurrences.segments import Segment
from microgrannd.compiler.tape.adjoints import Adjoints, adjoints
from microgrannd.compiler.tape.bounds import bounds
from microgrannd.compiler.tape.simplify import reassociate, simplify
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.trace import Trace, differentiate, differentiate_sparsely, differentiate_twice
from microgrannd.compiler.text.python_source import Source, python_source
from microgrannd.engine import number_of
from microgrannd.ground.nests import SCALAR, Shape, builder, starts_of

# The values alone; the value and its gradient by these leaves; the second derivatives by the inputs, row by row; bounds
# on the rounding errors of all.
Wanted = Literal["values", "inputs", "parameters", "all", "curvature", "bounds"]


_WITH_LOOPS: Final = ("values", "inputs", "parameters", "all")
_SHORT: Final = 1_000  # instructions


class SparseDerivatives(NamedTuple):
    """The numbers that `tape` computes stand in these rows and columns; `mirrored` says which, where some are twice."""

    tape: Tape
    rows: list[int]
    columns: list[int]
    shape: tuple[int, int]
    mirrored: list[int] | None

    def array(self, numbers: Sequence[Any]) -> Any:
        """A sparse array of these numbers."""
        if self.mirrored is not None:
            numbers = [numbers[k] for k in self.mirrored]
        return sparse_array(self.rows, self.columns, numbers, self.shape)


class Plan:
    """One trace and what is made of it when it is first asked for."""

    def __init__(self, trace: Trace, *, reassociate: bool = False) -> None:
        self.trace = trace
        self.reassociate = reassociate
        self.starts = starts_of(trace.shapes)
        self.arrange_result = builder(trace.result)
        self._arrange = [builder(shape) for shape in trace.shapes]
        self._tapes: dict[tuple[str, bool], Tape] = {}
        self._loops: dict[tuple[str, bool], Rolled] = {}
        self._sparse: dict[tuple[int, bool], SparseDerivatives] = {}

    @property
    def shown(self) -> Wanted:
        """What is printed: the gradients by the parameters or, without any, by the inputs; else the values."""
        if self.trace.result.kind is not None:
            return "values"
        return "parameters" if self.trace.parameters else "inputs"

    @property
    def chooses(self) -> bool:
        """Whether there are ways that are not taken: then the printed program has the guards that keep NaN off them."""
        return any(operation.routes for operation, _ in self.trace.tape.instructions)

    def numbers(self) -> list[float]:
        return list(map(number_of, self.trace.parameters))

    def arranged(self, flat: Sequence[Any]) -> tuple[Any, ...]:
        return tuple([build(flat, start) for build, start in zip(self._arrange, self.starts, strict=False)])

    def tape(self, wanted: Wanted, *, guarded: bool = False) -> Tape:
        key = (wanted, guarded and wanted not in ("values", "curvature"))
        if key not in self._tapes:
            with COMPILING, without_collection():
                self._tapes[key] = self._tapes.get(key) or self._derived(wanted, key[1])
        return self._tapes[key]

    def program(self, wanted: Wanted, *, guarded: bool = False) -> Tape | Rolled:
        """The tape, its recurrences as loops where they make up most of it."""
        if wanted not in _WITH_LOOPS or not self.recurrences:
            return self.tape(wanted, guarded=guarded)
        key = (wanted, guarded and wanted != "values")
        if key not in self._loops:
            gradients = wanted != "values"
            if gradients:
                self._refuse_several()
            with COMPILING, without_collection():
                given = (*self.recurrences, self.trace.numbers, self.leaves(wanted))
                self._loops[key] = rolled(*given, gradients=gradients, guarded=key[1])
        return self._loops[key]

    def native_program(self, wanted: Wanted, *, guarded: bool = False) -> Tape | Rolled:
        """The same for machine code, for which short straight lines are better: Python calls them directly."""
        short = len(self.trace.tape.instructions) < _SHORT
        return self.tape(wanted, guarded=guarded) if short else self.program(wanted, guarded=guarded)

    def sparse(self, position: int, *, twice: bool) -> SparseDerivatives:
        """The derivatives of all outputs by one argument or, `twice`, the second ones of the single output."""
        if twice:
            self._refuse_several()
        key, trace = (position, twice), self.trace
        if key not in self._sparse:
            start, size = self.starts[position], trace.shapes[position].size
            with COMPILING, without_collection():
                nans = [math.nan] * trace.tape.leaves
                of = range(start, start + size)
                tape, rows, columns = differentiate_sparsely(self._reassociated(trace.tape), nans, of, twice=twice)
                shape, places = (size if twice else len(trace.tape.outputs), size), None
                if twice:
                    rows, columns, places = mirrored(rows, columns)
                self._sparse[key] = SparseDerivatives(simplify(tape), rows, columns, shape, places)
        return self._sparse[key]

    def work(self, wanted: Wanted) -> int:
        """How many instructions run."""
        program = self.program(wanted)
        return program.work if isinstance(program, Rolled) else len(program.instructions)

    @cached_property
    def recurrences(self) -> tuple[Tape, list[Segment]] | None:
        return None if self.reassociate else recurrences(self.trace.tape)

    def leaves(self, wanted: Wanted) -> range:
        trace = self.trace.tape
        inputs = len(trace.inputs)
        if wanted in ("values", "curvature"):
            return range(0)
        return range(inputs if wanted == "parameters" else 0, inputs if wanted == "inputs" else trace.leaves)

    def shape(self, wanted: Wanted) -> Shape:
        """How a program's caller gets the outputs; the bounds of the parameters' gradients come last."""
        trace = self.trace
        if wanted == "values":
            return trace.result
        by_parameters = [Shape(tuple, (), (SCALAR,) * len(trace.parameters))] if wanted == "bounds" else []
        return Shape(tuple, (), (SCALAR, Shape(tuple, (), trace.shapes), *by_parameters))

    def source(self, wanted: Wanted, *, guarded: bool = False) -> Source:
        tape, of, name = self.program(wanted, guarded=guarded), self.leaves(wanted), self.trace.name
        if wanted in ("values", "curvature"):
            text = f"The {'value' if wanted == 'values' else 'second derivatives'} of {name}."
            if isinstance(tape, Rolled):
                return recurrent_source(self.trace, tape, text)
            return python_source(name, tape, text, [len(tape.outputs)])
        if wanted == "bounds":
            assert isinstance(tape, Tape)
            return python_source(name, tape, f"Bounds on the rounding errors of {name}.", [1, len(of)])
        by = "inputs and parameters" if wanted == "all" else wanted
        text = f"The value of {name} and its derivatives by the {by}."
        if isinstance(tape, Rolled):
            return recurrent_source(self.trace, tape, text)
        return python_source(name, tape, text, [1, len(of)], of)

    def adjoints(self, kind: str = "gradients") -> Adjoints:
        """What is printed, as a proof needs it: "gradients", "hessian" for second derivatives too, or "jvp"."""
        self._refuse_several()
        return adjoints(self.trace.tape, self.trace.numbers, self.leaves(self.shown), kind)

    def _derived(self, wanted: Wanted, guarded: bool) -> Tape:
        trace = self.trace
        if wanted == "values":
            return self._simplified(trace.tape)
        self._refuse_several()
        numbers = [math.nan] * trace.tape.leaves if guarded or wanted == "curvature" else trace.numbers
        if wanted == "curvature":
            return self._simplified(differentiate_twice(trace.tape, numbers, range(len(trace.tape.inputs))))
        if wanted == "bounds":
            return bounds(self._reassociated(trace.tape), numbers, self.leaves(wanted), guarded=guarded)
        return self._simplified(differentiate(trace.tape, numbers, self.leaves(wanted)))

    def _refuse_several(self) -> None:
        trace = self.trace
        if len(trace.tape.outputs) != 1 or trace.result.kind is not None:
            raise TypeError(
                f"Gradients are those of a single number, but {trace.name} returns {trace.result}; "
                "compile a function that returns one, such as a sum or a loss."
            )

    def _simplified(self, tape: Tape) -> Tape:
        return simplify(self._reassociated(tape))

    def _reassociated(self, tape: Tape) -> Tape:
        return reassociate(tape) if self.reassociate else tape


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for cyclic garbage meanwhile: a long tape is many objects that all live, and no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
