"""Where the time of a program goes: its instructions by operation and scope, or its array lines, with their times."""

from __future__ import annotations

import ast
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from microgrannd.calculus.profiling import Breakdown, quickest
from microgrannd.compiler.batches import Batch
from microgrannd.compiler.plan import Plan
from microgrannd.compiler.tape.tape import Tape
from microgrannd.ground.terminal import table
from microgrannd.operations import Operation

if TYPE_CHECKING:
    from microgrannd.compiler.arrays.kernel import ArrayKernel


class Part(NamedTuple):
    operation: str
    scope: str
    forward: int = 0
    backward: int = 0
    seconds: float = 0.0


class TimedLine(NamedTuple):
    code: str
    seconds: float


class ProgramProfile(Breakdown[Part]):
    """What a program is made of and what that takes; prints as tables, those of `by_operation()` and
    `by_scope(depth=1)`, the slowest first; `depth` names deep, as `layer0` is 1 and None all.

    A program on arrays has `lines`: those of `matrix_source`, each run on its own by the array library, or by
    NumPy where `call` is one of native loops. Any other has `parts`: its instructions, counted by operation and
    scope, and the time of each operation's Python function on the numbers that it gets, even where native code
    runs them as one piece. `call` is the measured time of one run by `backend`; on arrays, of the array function.
    """

    def __init__(self, backend: str, call: float, parts: Iterable[Part] = (), lines: Iterable[TimedLine] = ()) -> None:
        self.backend = backend
        self.call = call
        super().__init__(Part, parts)
        self.parts = self.rows
        self.lines = list(lines)

    @property
    def instructions(self) -> int:
        """How many there are, forward and backward; none where the program runs on arrays."""
        return sum(part.forward + part.backward for part in self.parts)

    def __repr__(self) -> str:
        size = f"{len(self.lines)} lines" if self.lines else f"{self.instructions} instructions"
        return f"ProgramProfile({size}, backend={self.backend!r})"

    def __str__(self) -> str:
        header = ["forward", "backward", "in Python µs", "share"]
        tables = _lines_table(self.lines) if self.lines else self.tables(header, _cells)
        return f"{tables}\n\none call ({self.backend}): {self.call * 1e6:,.1f} µs"


def profile_of_lines(
    plan: Plan, backend: str, call: Callable[[], object], given: Batch, repeats: int
) -> ProgramProfile:
    call()  # what is compiled at the first call is not counted
    parts = parts_of(plan.tape(plan.shown), given.first(), plan.numbers(), repeats)
    return ProgramProfile(backend, quickest(call, [()], repeats), parts)


def profile_on_arrays(plan: Plan, kernel: ArrayKernel, backend: str, given: Batch, repeats: int) -> ProgramProfile:
    over_batch = plan.shown == "parameters"
    matrices, whole = kernel.compiled(over_batch=over_batch)
    arguments = kernel.arguments(given.columns, plan.numbers(), given.length, over_batch=over_batch)
    with kernel.library.mode():
        given_once = [(whole, kernel.library.xp, *arguments)]
        _run(*given_once[0])
        seconds = quickest(_run, given_once, repeats)
    from microgrannd.compiler.arrays.libraries import library as array_library  # which needs NumPy

    library = array_library("numpy") if backend == "native" else kernel.library  # loops have no lines to stop at
    with library.mode():
        lines = lines_of(matrices.function(library), matrices.source.code, [library.xp, *arguments], repeats)
    return ProgramProfile(backend, seconds, lines=lines)


def parts_of(tape: Tape, inputs: Sequence[float], parameters: Sequence[float], repeats: int) -> list[Part]:
    values = [*inputs, *parameters]
    groups: dict[tuple[Operation, str], list[tuple[int, tuple[float, ...]]]] = defaultdict(list)
    for k, ((operation, operands), scope) in enumerate(zip(tape.instructions, scopes(tape), strict=True)):
        numbers = tuple([values[x] if isinstance(x, int) else x for x in operands])
        values.append(operation.forward(*numbers))
        groups[operation, scope].append((k, numbers))
    parts = []
    for (operation, scope), members in groups.items():
        forward = sum(k < tape.forward for k, _ in members)
        seconds = quickest(operation.forward, [numbers for _, numbers in members], repeats)
        parts.append(Part(operation.name, scope, forward, len(members) - forward, seconds))
    return parts


def scopes(tape: Tape) -> list[str]:
    """Each instruction's scope: a gradient's is that of its node, and what has no name belongs where it is used."""
    scopes: dict[int, str] = {}
    variables, backward = range(tape.leaves, tape.leaves + len(tape.instructions)), tape.leaves + tape.forward
    for v in reversed(variables):
        if v in tape.labels:
            scopes[v] = tape.labels[v].removeprefix("d_").rpartition(".")[0]
        scope = scopes.setdefault(v, "")
        if v >= backward:
            for x in tape.instructions[v - tape.leaves].operands:
                if isinstance(x, int) and x >= backward:
                    scopes.setdefault(x, scope)
    return [scopes[v] for v in variables]


def lines_of(function: Any, code: str, arguments: Sequence[Any], repeats: int) -> list[TimedLine]:
    [definition] = ast.parse(code).body
    assert isinstance(definition, ast.FunctionDef)
    names = [argument.arg for argument in definition.args.args]
    statements = [one for one in definition.body if isinstance(one, ast.Assign | ast.Return)]
    pieces = [_runnable(statement) for statement in statements]
    best = [float("inf")] * len(pieces)
    for _ in range(repeats):
        variables = dict(function.__globals__) | dict(zip(names, arguments, strict=True))
        for i, piece in enumerate(pieces):
            start = time.perf_counter()
            exec(piece, variables)
            _finished(variables["_"])
            best[i] = min(best[i], time.perf_counter() - start)
    texts = [ast.get_source_segment(code, statement) or "" for statement in statements]
    return [TimedLine(text, seconds) for text, seconds in zip(texts, best, strict=True)]


def _runnable(statement: ast.Assign | ast.Return) -> CodeType:
    targets = [*(statement.targets if isinstance(statement, ast.Assign) else []), ast.Name("_", ast.Store())]
    assignment = ast.Assign(targets, statement.value or ast.Constant(None))
    return compile(ast.fix_missing_locations(ast.Module([assignment], [])), "<line>", "exec")


def _run(function: Callable[..., Any], *arguments: Any) -> None:
    _finished(function(*arguments))


def _finished(thing: Any) -> None:
    for part in thing if isinstance(thing, tuple) else (thing,):
        getattr(part, "block_until_ready", int)()


def _cells(part: Part, every: Part) -> list[str]:
    return [f"{part.forward:,}", f"{part.backward:,}", *_time(part.seconds, every.seconds)]


def _lines_table(lines: list[TimedLine]) -> str:
    total = sum(line.seconds for line in lines)
    return table(["line", "µs", "share"], [[text, *_time(s, total)] for text, s in [*lines, TimedLine("all", total)]])


def _time(seconds: float, total: float) -> list[str]:
    return [f"{seconds * 1e6:,.1f}", f"{seconds / total:.0%}" if total else ""]
