"""Array statements: what each group of scalars is, as lines of code that know their shapes.

Arrays have the samples along their first axis; the parameters come as one flat array. With `over_batch` the outputs
after the first are summed over the samples, so that a sum of outer products is a matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.matrix.array_views import ArrayViews, GroupArray, ParameterView, whole
from microgrannd.compiler.matrix.groups import ApplyPart, Group, LeafBlock, SumPart, grouped, variables_of
from microgrannd.compiler.matrix.products import factors_of, over_batch, per_sample
from microgrannd.compiler.matrix.terms import Terms, flattened
from microgrannd.compiler.tape.tape import Tape
from microgrannd.operations import Operation
from microgrannd.printing import arrays
from microgrannd.printing.arrays import ARRAYS, indexed, listed, multiplies_matrices, with_suffix
from microgrannd.printing.printer import Expression, called

# What array code has itself besides NumPy's functions: sums of products, and these.
WRITTEN: Final = frozenset(
    (
        *(ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.square, ops.sum, ops.mean, ops.dot, ops.stop_gradient),
        *(ops.sigmoid, ops.erf, ops.erfc, ops.logsumexp, ops.contribution),
    )
)


@dataclass
class Line:
    """One array: its code, its shape without the samples' axis, and what it is made of."""

    text: Expression
    shape: tuple[int, ...]
    per_sample: bool
    members: Sequence[int]
    forward: bool
    views: list[str]  # the parts of the parameters that it reads


@dataclass
class Piece:
    """Outputs that are computed together: their code and which outputs they are."""

    text: Expression
    outputs: Any
    group: int
    shape: tuple[int, ...]
    per_sample: bool
    name: str = ""

    @property
    def multiplies_matrices(self) -> bool:
        return multiplies_matrices(self.text)


@dataclass
class MatrixProgram:
    """The lines by group, the views of the parameters, the outputs in pieces, and tables of numbers.

    `layout` tells which parameter stands where in the flat array, `fixed` are outputs that are numbers.
    """

    tape: Tape
    terms: Terms
    blocks: tuple[LeafBlock, ...]
    groups: list[Group]
    lines: dict[int, Line]
    layout: Any
    views: dict[str, ParameterView]
    pieces: list[Piece]
    fixed: dict[int, float]
    constants: dict[str, Any]
    counts_samples: bool
    functions: dict[str, Any]
    labelled: dict[str, int]


def matrix_program(tape: Tape, inputs: Sequence[tuple[str, int]], *, over_batch: bool) -> MatrixProgram:
    """The tape's lines. `inputs` are the names and sizes of the arguments, in the order of the tape's inputs."""
    return _Statements(tape, _blocks(tape, inputs), over_batch).program()


def live(program: MatrixProgram) -> dict[int, Line]:
    needed = {g for piece in program.pieces for g in _meant(piece.text)}
    for g in sorted(program.lines, reverse=True):
        if g in needed:
            needed.update(_meant(program.lines[g].text))
    return {g: line for g, line in program.lines.items() if g in needed}


def uses(lines: dict[int, Line], pieces: list[Piece]) -> dict[int, int]:
    counts = dict.fromkeys(lines, 0)
    for text in (*[line.text for line in lines.values()], *[piece.text for piece in pieces]):
        for g in _meant(text):
            if g in counts:
                counts[g] += 1
    return counts


def _meant(text: Expression) -> list[int]:
    return [part.of.group for part in text.parts() if isinstance(part.of, GroupArray)]


def _blocks(tape: Tape, inputs: Sequence[tuple[str, int]]) -> tuple[LeafBlock, ...]:
    blocks, start = [], 0
    for name, size in inputs:
        if size:
            blocks.append(LeafBlock(name, start, size, True))
        start += size
    if tape.parameters:
        blocks.append(LeafBlock("p", start, len(tape.parameters), False))
    return tuple(blocks)


class _Statements:
    def __init__(self, tape: Tape, blocks: tuple[LeafBlock, ...], over_batch: bool) -> None:
        self.tape = tape
        self.over_batch = over_batch
        self.terms = flattened(tape)
        self.blocks = blocks
        self.groups, self.places = grouped(self.terms, blocks, final=over_batch)
        self.output_of = {v: i for i, v in enumerate(self.terms.outputs) if isinstance(v, int)}
        labels = self.terms.labels
        self.derivatives = {
            g for g, group in enumerate(self.groups) if any(x[:2] == "d_" for x in labels.get(group.members[0], ()))
        }
        flat = next((g for g, block in enumerate(blocks) if not block.per_sample), None)
        self.arrays = ArrayViews(self.groups, flat)
        self.counts_samples = False
        self.functions: dict[Operation, str] = {}

    def program(self) -> MatrixProgram:
        lines: dict[int, Line] = {}
        pieces: list[Piece] = []
        forward = set(range(len(self.blocks)))
        limit = self.tape.leaves + self.tape.forward
        outputs, fixed = self._outputs()
        for g, group in enumerate(self.groups):
            if group.parts:
                self.arrays.used = []
                reads = {self.places[x][0] for v in group.members[:1] for x in variables_of(self.terms.nodes[v])}
                if all(v < limit for v in group.members) and reads <= forward:
                    forward.add(g)
                if group.final:
                    pieces.append(self._final_piece(g, group))
                    continue
                text = self._code(group)
                used = self.arrays.used
                lines[g] = Line(text, (group.size,), group.per_sample, group.members, g in forward, used)
            if g in outputs:
                pieces.append(self._piece(g, group, *outputs[g]))
        pieces.sort(key=lambda piece: int(piece.outputs.min()))
        return MatrixProgram(
            tape=self.tape,
            terms=self.terms,
            blocks=self.blocks,
            groups=self.groups,
            lines=lines,
            layout=self.arrays.layout(),
            views=self.arrays.views,
            pieces=pieces,
            fixed=fixed,
            constants=self.arrays.constants,
            counts_samples=self.counts_samples,
            functions={name: operation for operation, name in self.functions.items()},
            labelled=self._labelled(),
        )

    def _outputs(self) -> tuple[dict[int, tuple[list[int], list[int]]], dict[int, float]]:
        """By group: which outputs are in it and where in the group; and the outputs that are numbers."""
        outputs: dict[int, tuple[list[int], list[int]]] = {}
        fixed: dict[int, float] = {}
        for i, v in enumerate(self.terms.outputs):
            if isinstance(v, float):
                fixed[i] = v
                continue
            g, place = self.places[v]
            which, where = outputs.setdefault(g, ([], []))
            which.append(i)
            where.append(place)
        return outputs, fixed

    def _labelled(self) -> dict[str, int]:
        return {label: self.places[v][0] for v, labels in self.terms.labels.items() for label in labels}

    def _final_piece(self, g: int, group: Group) -> Piece:
        outputs = np.array([self.output_of[v] for v in group.members])
        shape: tuple[int, ...] = (group.size,)
        [(_, part), *more] = group.parts
        if not more and isinstance(part, SumPart) and len(part.families) == 1 and part.constants is None:
            coefficient, factors = factors_of(part.families[0])
            result = over_batch(self.arrays, factors, self._count)
            if result.grid is not None:
                shape = result.grid
            text = arrays.total([(coefficient, result.text)], None)
        else:
            texts = [self._summed_part(part) for _, part in group.parts]
            text = texts[0] if len(texts) == 1 else called("xp.concatenate", [listed(texts)])
        return Piece(text, outputs.reshape(shape), g, shape, False)

    def _summed_part(self, part: SumPart | ApplyPart) -> Expression:
        if isinstance(part, ApplyPart):
            text, varies = self._apply(part), any(g is not None and self.arrays.varies(g) for g, _ in part.operands)
            return arrays.summed(text, 0) if varies else arrays.product([self._count(), text])
        terms = []
        for family in part.families:
            coefficient, factors = factors_of(family)
            code = over_batch(self.arrays, factors, self._count)
            text = code.text if code.grid is None else with_suffix(code.text, ".reshape(-1)")
            terms.append((coefficient, text))
        constants = None
        if part.constants is not None:
            constants = arrays.product([self._count(), self.arrays.numbers(part.constants)])
        return arrays.total(terms, constants)

    def _piece(self, g: int, group: Group, which: list[int], where: list[int]) -> Piece:
        """Outputs that others read too, or that are leaves."""
        order = np.argsort(where, kind="stable")
        outputs, positions = np.array(which)[order], np.array(where)[order]
        text = whole(g)
        if not np.array_equal(positions, np.arange(group.size)):
            axes = ":, " if group.per_sample else ""
            text = indexed(text, axes, self.arrays.constant(positions))
        if self.over_batch:
            text = arrays.summed(text, 0) if group.per_sample else arrays.product([self._count(), text])
            return Piece(text, outputs, g, outputs.shape, False)
        return Piece(text, outputs, g, outputs.shape, group.per_sample)

    def _count(self) -> Expression:
        self.counts_samples = True
        return Expression("n")

    def _code(self, group: Group) -> Expression:
        texts = []
        for _, part in group.parts:
            texts.append(self._apply(part) if isinstance(part, ApplyPart) else self._sum(part))
        if len(texts) == 1:
            return texts[0]
        return called("xp.concatenate", [listed(texts), Expression(str(int(group.per_sample)))])

    def _sum(self, part: SumPart) -> Expression:
        terms = []
        for family in part.families:
            coefficient, factors = factors_of(family)
            if family.coefficients.shape[1] == 1:  # what comes from behind stands first, as people write it
                factors.sort(key=lambda factor: factor.source not in self.derivatives)
            terms.append((coefficient, per_sample(self.arrays, factors).text))
        constant = None if part.constants is None else self.arrays.numbers(part.constants)
        return arrays.total(terms, constant)

    def _apply(self, part: ApplyPart) -> Expression:
        operation = part.operation
        if operation is ops.logsumexp:
            return self._logsumexp(part)
        operands = [self.arrays.operand(g, positions) for g, positions in part.operands]
        if operation not in WRITTEN and not operation.numpy:
            name = self.functions.setdefault(operation, f"own{len(self.functions) + 1}")
            return called(name, operands)
        condition = self.arrays.flag(*part.operands[0]) if operation is ops.contribution else None
        if condition is not None:
            return called("xp.where", [condition, operands[1], Expression("0.0")])
        return ARRAYS.expression(operation, operands)

    def _logsumexp(self, part: ApplyPart) -> Expression:
        columns = [positions for _, positions in part.operands]
        sources = {g for g, _ in part.operands}
        if len(sources) > 1 or None in sources or len(columns) == 1:
            several = [self.arrays.operand(g, positions) for g, positions in part.operands]
            return called("logsumexp_of", [listed(several)])
        [g] = sources
        assert g is not None
        table = np.stack(columns, axis=1)
        if len(table) == 1:
            return called("logsumexp", [self.arrays.row(g, table[0]), Expression("True")])
        return called("logsumexp", [self.arrays.matrix(g, table), Expression("False")])
