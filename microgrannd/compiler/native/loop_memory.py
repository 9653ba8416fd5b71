"""The memory of a program with recurrences in native code: a slot for each number that does not stay in a register."""

from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.recurrences.segments import PerStep
from microgrannd.compiler.tape.tape import TapeOperand


class LoopMemory:
    """Which slot holds a variable, and which the gradient that arrives at it."""

    def __init__(self, program: Rolled) -> None:
        self.program = program
        inputs, leaves = len(program.tape.inputs), program.tape.leaves
        self.size = inputs
        # By segment: the first slot, the column of a result, the rows before the first step.
        self.values: list[tuple[int, dict[int, int], int]] = []
        self.gradients: list[tuple[int, dict[int, int]]] = []
        self.last: dict[tuple[int, int], int] = {}
        for q, (segment, push) in enumerate(zip(program.segments, program.pushes, strict=True)):
            columns = {j: k for k, j in enumerate(sorted(push.kept))}
            before = max([program.before(q, j) for j in columns], default=0)
            self.values.append((self._taken((segment.steps + before) * len(columns)), columns, before))
        for q, push in enumerate(program.pushes):
            for j in sorted(push.last):
                self.last[q, j] = self._taken(1)
        self.copies = {  # of series in which constants, parameters and variables mix
            (q, k): self._taken(segment.steps)
            for q, segment in enumerate(program.segments)
            for k, read in enumerate(segment.reads)
            if isinstance(read, PerStep) and len(set(map(self._home, read.operands))) > 1
        }
        self.cleared = self._taken(1)  # the first of these takes what nobody asks for
        self.leaves_at = self._taken(leaves)
        for q, (segment, pull) in enumerate(zip(program.segments, program.pulls, strict=True)):
            arriving = {seed.number for seed in pull.seeds if seed.kind == "outside"} if pull else set()
            columns = {j: k for k, j in enumerate(sorted(arriving))}
            self.gradients.append((self._taken(segment.steps * len(columns)), columns))
            for j in sorted(pull.from_last.values()) if pull else ():
                self.last[q, -1 - j] = self._taken(1)

    def _taken(self, count: int) -> int:
        self.size += count
        return self.size - count

    def _home(self, x: TapeOperand) -> str:
        if isinstance(x, float):
            return "constant"
        return "parameter" if len(self.program.tape.inputs) <= x < self.program.tape.leaves else "slot"

    def value(self, v: int) -> int:
        """For an input or a result."""
        if v < self.program.tape.leaves:
            return v
        q, step, j = self.program.maker(v)
        first, columns, before = self.values[q]
        if j not in columns:
            return self.last[q, j]
        return first + (step + before) * len(columns) + columns[j]

    def gradient(self, x: TapeOperand) -> int:
        if not self.program.has_gradient(x):
            return self.cleared
        if int(x) < self.program.tape.leaves:
            return self.leaves_at + int(x)
        q, step, j = self.program.maker(int(x))
        first, columns = self.gradients[q]
        return first + step * len(columns) + columns[j] if j in columns else self.last[q, -1 - j]
