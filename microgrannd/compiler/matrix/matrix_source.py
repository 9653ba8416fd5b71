"""Matrix source: the array lines as a function that a person could have written, and the very text that runs.

Names tell what was found: `W` a matrix of parameters, `z` what it makes of its inputs, `a` a function of that, `d_`
the derivative by what follows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from microgrannd import operations as ops
from microgrannd.compiler.matrix.array_views import GroupArray
from microgrannd.compiler.matrix.groups import ApplyPart
from microgrannd.compiler.matrix.matrix_program import MatrixProgram, Piece, live, uses
from microgrannd.compiler.matrix.recognition import equations
from microgrannd.printing.arrays import flag, multiplies_matrices
from microgrannd.printing.labels import Names, in_message
from microgrannd.printing.printer import Expression
from microgrannd.printing.python import RESERVED

INLINE: Final = 44  # a longer expression has a line of its own
LETTERS: Final = "WUVQRST"


class MatrixSource(NamedTuple):
    """The code of the function, what arrays it found, and the outputs in the order in which it returns them."""

    name: str
    code: str
    shapes: dict[str, str]
    pieces: list[Piece]
    constants: dict[str, Any]

    def __str__(self) -> str:
        tables = [_table(name, numbers) for name, numbers in self.constants.items()]
        return "\n".join([*tables, "", "", self.code] if tables else [self.code])


def matrix_source(
    name: str, program: MatrixProgram, leaves: Sequence[int], labels: Mapping[int, str] | None = None
) -> MatrixSource:
    """The outputs after the first are gradients by `leaves`; `labels` names variables by their numbers."""
    return _ArrayFunction(name, program, leaves, labels or {}).source()


class _ArrayFunction:
    def __init__(self, name: str, program: MatrixProgram, leaves: Sequence[int], labels: Mapping[int, str]) -> None:
        self.program = program
        self.leaves = leaves
        self.labels = labels
        own = (*program.constants, *program.functions)
        self.identifiers = Names({*RESERVED, "xp", "n", "logsumexp_of", *ops.TABLE, *own}, second="_2")
        self.named: dict[Any, Expression] = {}  # what stands for a group or a view of the parameters
        self.made: dict[str, Expression] = {}  # the lines by name
        self.counts: dict[str, int] = {}  # how many names of a kind there are
        self.views: dict[str, str] = {}
        self.name = self._fresh(name)
        self.blocks = sorted(enumerate(program.blocks), key=lambda numbered: numbered[1].per_sample)
        self.names = {g: self._fresh(block.name) for g, block in self.blocks}
        self.named |= {GroupArray(g): Expression(name) for g, name in self.names.items()}
        self.inlined: set[int] = set()
        self.lines = live(program)
        order = sorted(self.lines, key=lambda g: (not self.lines[g].forward, g))
        self.forward = [g for g in order if self.lines[g].forward]
        self.backward = [g for g in order if not self.lines[g].forward]
        self.uses = uses(self.lines, program.pieces)
        self.value = next((p.group for p in program.pieces if 0 in p.outputs), -1)

    def source(self) -> MatrixSource:
        program = self.program
        for g in (*self.forward, *self.backward):
            self._name(g)
        self._name_pieces()
        rows: list[tuple[str, str]] = []
        for g in self.forward:
            rows += self._row(g)
        backward: list[tuple[str, str]] = []
        for g in sorted({*self.backward, *[piece.group for piece in program.pieces]}):
            if g in self.backward:
                backward += self._row(g)
            for piece in program.pieces:
                if piece.group == g:
                    backward += self._piece_row(piece)
        if backward:
            comments = ["backward", *equations(self.made)]
            rows += [("", ""), *[(f"# {text}", "") for text in comments], *backward]
        returned = self._returned()
        code = _aligned([*self._head(), *rows, ("", ""), (returned, "")])
        counted = [] if any(block.per_sample for _, block in self.blocks) else ["n"]
        arguments = ", ".join(["xp", *[self.names[g] for g, _ in self.blocks], *counted])
        text = f"def {self.name}({arguments}):\n" + "\n".join(f"    {line}" if line else "" for line in code) + "\n"
        return MatrixSource(self.name, text, self._shapes(), program.pieces, program.constants)

    def _name(self, g: int) -> None:
        line = self.lines[g]
        fresh = [view for view in dict.fromkeys(line.views) if view not in self.views]
        matrices = [view for view in fresh if self.program.views[view].positions.ndim == 2]
        vectors = [view for view in fresh if self.program.views[view].positions.ndim == 1]
        products = multiplies_matrices(line.text) and any(self.program.views[v].positions.ndim == 2 for v in line.views)
        number = self.counts.get("z", 0) + 1
        known = self._derivative_of(g)
        if g == self.value:
            self.names[g] = self._fresh("value")
        elif known:
            self.names[g] = self._fresh(f"d_{known}")
        elif products and line.forward:
            self.names[g] = self._counted("z")
        elif (of := self._function_of(g)) and f"a{of}" not in self.identifiers.taken:
            self.names[g] = self._fresh(f"a{of}")
        else:
            self.names[g] = self._counted("v" if line.forward else "g")
        self.named[GroupArray(g)] = Expression(self.names[g])
        for i, view in enumerate(matrices):
            self.views[view] = self._fresh(f"{LETTERS[i % len(LETTERS)]}{number}")
        for i, view in enumerate(vectors):
            plain = f"b{number}" if i == 0 and matrices else ""
            self.views[view] = self._fresh(plain) if plain else self._counted("w")

    def _function_of(self, g: int) -> str:
        parts = self.program.groups[g].parts
        line = self.lines[g]
        if not line.forward or len(parts) != 1 or not isinstance(parts[0][1], ApplyPart):
            return ""
        part = parts[0][1]
        sources = [h for h, _ in part.operands if h is not None]
        if len(sources) != 1 or part.operation in _NO_ACTIVATION or flag(part.operation, [line.text] * 2):
            return ""
        of = self.names.get(sources[0], "")
        whole = self.program.groups[sources[0]].size == self.program.groups[g].size
        return of[1:] if whole and of[:1] == "z" and of[1:].isdigit() else ""

    def _derivative_of(self, g: int) -> str:
        labels, labelled = self.program.terms.labels, self.program.labelled
        found = set()
        for v in self.program.groups[g].members:
            of = [labelled[label[2:]] for label in labels.get(v, ()) if label[:2] == "d_" and label[2:] in labelled]
            found.add(of[0] if of else -1)
        return self.names.get(found.pop(), "") if len(found) == 1 else ""

    def _name_pieces(self) -> None:
        for view in self.program.views:
            if view not in self.views:
                self.views[view] = self._counted("w")
        self.named |= {view: Expression(name) for view, name in self.views.items()}
        by_positions = {found.positions.tobytes(): self.views[view] for view, found in self.program.views.items()}
        start = next((block.start for block in self.program.blocks if not block.per_sample), 0)
        inputs = {np.arange(b.start, b.start + b.size).tobytes(): self.names[g] for g, b in self.blocks}
        for piece in self.program.pieces:
            if 0 in piece.outputs or not len(self.leaves):
                continue
            of = np.array(self.leaves)[piece.outputs - 1]
            name = by_positions.get((of - start).tobytes()) or inputs.get(of.tobytes())
            piece.name = self._fresh(f"d_{name}") if name else self._counted("d")

    def _fresh(self, name: str) -> str:
        return self.identifiers.identifier(name)

    def _counted(self, letter: str) -> str:
        while True:
            number = self.counts[letter] = self.counts.get(letter, 0) + 1
            if f"{letter}{number}" not in self.identifiers.taken:
                return self._fresh(f"{letter}{number}")

    def _row(self, g: int) -> list[tuple[str, str]]:
        line = self.lines[g]
        code = line.text.text(named=self.named)
        has_name = self.names[g][:1] == "z" or g == self.value
        if self.uses[g] == 1 and len(code) <= INLINE and not has_name:
            self.inlined.add(g)
            self.named[GroupArray(g)] = line.text
            return []
        self.made[self.names[g]] = line.text.resolved(self.named)
        return [(f"{self.names[g]} = {code}", _shape(line.shape, line.per_sample))]

    def _piece_row(self, piece: Piece) -> list[tuple[str, str]]:
        if not piece.name or isinstance(piece.text.of, GroupArray):
            return []
        self.made[piece.name] = piece.text.resolved(self.named)
        return [(f"{piece.name} = {piece.text.text(named=self.named)}", _shape(piece.shape, piece.per_sample))]

    def _returned(self) -> str:
        parts = [p.name if p.name in self.made else p.text.text(named=self.named) for p in self.program.pieces]
        return f"return {', '.join(parts)}{',' if len(parts) == 1 else ''}" if parts else "return ()"

    def _head(self) -> list[tuple[str, str]]:
        texts = [*[line.text for line in self.lines.values()], *[piece.text for piece in self.program.pieces]]
        used = {part.of for text in texts for part in text.parts()}
        rows = [(f'"""{self._docstring()}"""', "")]
        array = next((self.names[g] for g, block in self.blocks if block.per_sample), None)
        if self.program.counts_samples and array:
            rows.append((f"n = {array}.shape[0]", ""))
        for view, found in self.program.views.items():
            if view in used:
                code = f"{self.views[view]} = {found.text.text(named=self.named)}"
                rows.append((code, _shape(found.positions.shape, False)))
        return [*rows, ("", "")] if len(rows) > 1 else rows

    def _docstring(self) -> str:
        given = [f"{self.names[g]} {_shape((block.size,), block.per_sample)}" for g, block in self.blocks]
        return f"{self.name} of {', '.join(given)}." if given else f"{self.name}."

    def _shapes(self) -> dict[str, str]:
        given = [*self.program.tape.inputs, *self.program.tape.parameters]

        def shown(v: int) -> str:
            if v < len(given):
                return in_message(given[v])
            label = next(iter(self.program.terms.labels.get(v, ())), "")
            original = label.removeprefix("d_v").removeprefix("v")
            known = self.labels.get(int(original), f"v{original}") if original.isdigit() else label or f"t{v}"
            known = in_message(known)
            return f"d_{known}" if label.startswith("d_v") else known

        found = {}
        start = next((block.start for block in self.program.blocks if not block.per_sample), 0)
        for view, made in self.program.views.items():
            ends = [shown(start + int(made.positions.flat[i])) for i in (0, -1)]
            found[self.views[view]] = f"{_shape(made.positions.shape, False)}: {' ... '.join(dict.fromkeys(ends))}"
        for g, line in self.lines.items():
            if g in self.inlined:
                continue
            ends = [shown(line.members[i]) for i in (0, -1)]
            found[self.names[g]] = f"{_shape(line.shape, line.per_sample)}: {' ... '.join(dict.fromkeys(ends))}"
        return found


_NO_ACTIVATION: Final = {ops.contribution, ops.where}


def _shape(shape: tuple[int, ...], per_sample: bool) -> str:
    sizes = (["n"] if per_sample else []) + [str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _table(name: str, numbers: Any) -> str:
    kind = "positions" if numbers.dtype.kind == "i" else "numbers"
    if numbers.size > 16:
        return f"# {name}: a table of {numbers.size} {kind}, shape {numbers.shape}"
    return f"{name} = {numbers.tolist()}  # {kind}"


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(code) for code, comment in rows if comment and len(code) <= 60), default=0)
    return [f"{code.ljust(width)}  # {comment}" if comment else code for code, comment in rows]
