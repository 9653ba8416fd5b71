"""An exercise: a small graph whose values and gradients are friendly numbers, drawn by chance from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Final

from microgrannd.drawing import Drawing, draw
from microgrannd.engine import Value, topological_order
from microgrannd.ground.arguments import whole_number
from microgrannd.nodes.notation import Formula, formula
from microgrannd.operations import Operation, add, div, maximum, mul, relu, square, sub

# What is drawn at each difficulty; products more often than the rest, for without them every gradient is 1.
GATES: Final[tuple[tuple[Operation, ...], ...]] = (
    (add, sub, mul, mul),
    (add, sub, mul, mul, mul, square),
    (add, sub, mul, mul, mul, square, square, div, maximum, relu),
)
LEAVES: Final = "abcdeghijklmno"
GATED: Final = "pqrstuvwxyz"
LARGEST: Final = 60  # of a number in an exercise
FINEST: Final = 4  # numbers are multiples of a quarter
TRIES: Final = 4000
CHOICES: Final = 16  # of which the one is taken in which mistakes are told apart best


@dataclass(frozen=True, eq=False)
class Exercise:
    """A graph to be differentiated by hand: `f` with its `nodes`, parents first, and the right `gradients`.

    `gradients` has the gradient of every node but the output, by label; an answer has the same form.
    """

    f: Value
    nodes: tuple[Value, ...]
    gradients: dict[str, float]

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The formulas, in the order in which they are computed."""
        return tuple([f"{node.label} = {_formula(node)}" for node in self.nodes if node.op is not None])

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The labels of the nodes whose gradients are asked for, from the output back to the leaves."""
        return tuple([node.label for node in reversed(self.nodes[:-1])])

    def draw(self, answers: bool = False) -> Drawing:
        """The graph with its values, and with the gradients where answers are wanted."""
        return draw(self.f, gradients=answers)

    def __str__(self) -> str:
        leaves = ", ".join(f"{node.label} = {node.data:g}" for node in self.nodes if node.op is None)
        return "\n".join([*self.lines, f"at {leaves}"])


def generate(n: int = 12, *, seed: int = 0, size: int = 5, difficulty: int = 2) -> list[Exercise]:
    """So many exercises, the same for the same seed.

    `size` is the number of operations in each, 2 to 11. `difficulty` 1 has sums, differences and products, and uses
    each number once; 2 has squares, and numbers that are used more than once, so that gradients add up; 3 has
    quotients, maxima and ReLUs, too. All values and gradients are multiples of a quarter, at most 60.

    Raises ValueError for numbers out of these ranges.
    """
    n, size = whole_number("n", n, 1), whole_number("size", size, 2)
    if size > len(GATED):
        raise ValueError(f"size is at most {len(GATED)}, the letters that there are for nodes; got {size}.")
    if whole_number("difficulty", difficulty, 1) > len(GATES):
        raise ValueError(f"difficulty is 1, 2 or 3, got {difficulty}.")
    return [_best(random.Random(f"{seed} {size} {difficulty} {i}"), size, difficulty) for i in range(n)]


def _best(chance: random.Random, size: int, difficulty: int) -> Exercise:
    """Of a few that are friendly the one in which different mistakes most often give different numbers."""
    from microgrannd.app.exercises.mistakes import confusions  # which stands on this file

    found: list[Exercise] = []
    for tried in count(1):
        drawn = _drawn(chance, size, difficulty)
        if drawn is not None:
            found.append(drawn)
        if len(found) == CHOICES or (found and tried > TRIES):
            return min(found, key=confusions)
        if tried > 50 * TRIES:
            raise ValueError(f"No friendly graph of size {size} and difficulty {difficulty} was found: try another.")
    raise AssertionError


def _drawn(chance: random.Random, size: int, difficulty: int) -> Exercise | None:
    """A graph by chance; None if its numbers are not friendly."""
    pool = _leaves(chance, size, difficulty)
    unused = list(pool)
    for left, letter in zip(range(size, 0, -1), GATED, strict=False):
        gate = chance.choice(GATES[difficulty - 1])
        parents = _parents(chance, gate, pool, unused, left, reuse=difficulty > 1)
        if parents is None or len({abs(parent.data) for parent in parents}) < len(parents):
            return None  # of two numbers of one size nobody can tell whose factor was taken
        node = gate(*parents)
        if not _friendly(node.data) or not all(_friendly(local) for local in locals_of(node)):
            return None
        node.label = letter if left > 1 else "f"
        unused = [other for other in unused if other not in parents] + [node]
        pool.append(node)
    return _checked(pool[-1], difficulty) if len(unused) == 1 else None


def _leaves(chance: random.Random, size: int, difficulty: int) -> list[Value]:
    number = size + 1 if difficulty == 1 else max(2, min(len(LEAVES), (size + 2) // 2))
    numbers = [chance.choice([-5, -4, -3, -2, 2, 3, 4, 5]) for _ in range(number)]
    return [Value(x, label=letter) for x, letter in zip(numbers, LEAVES, strict=False)]


def _parents(
    chance: random.Random, gate: Operation, pool: Sequence[Value], unused: Sequence[Value], left: int, *, reuse: bool
) -> list[Value] | None:
    """The inputs of the next gate; None if then not all could be used by the last one."""
    arity = len(gate.inputs)
    if not reuse:
        return chance.sample(unused, arity) if len(unused) >= arity else None
    first = chance.choice(unused)
    if arity == 1:
        return [first] if len(unused) - 1 < left else None
    others = unused if len(unused) > left else pool
    choice = [node for node in others if node is not first]
    return chance.sample([first, chance.choice(choice)], 2) if choice else None


def _checked(f: Value, difficulty: int) -> Exercise | None:
    f.backward()
    nodes = topological_order(f)
    gradients = {node.label: node.grad for node in nodes[:-1]}
    if not all(_friendly(gradient) for gradient in gradients.values()):
        return None
    if difficulty < 3 and (0.0 in gradients.values() or 0.0 in [node.data for node in nodes]):
        return None
    if sum(abs(gradient) == 1 for gradient in gradients.values()) > len(gradients) / 2:
        return None  # nothing to compute
    if difficulty > 1 and not _adds_up(nodes):
        return None
    return Exercise(f, tuple(nodes), gradients)


def _adds_up(nodes: Sequence[Value]) -> bool:
    """Whether two nodes are used more than once, one of them no leaf; of two gates no more than one can be asked.

    With a single one `=` for `+=` and a forgotten path are the same thing.
    """
    uses: dict[Value, int] = {}
    for node in nodes:
        for parent in node.parents:
            uses[parent] = uses.get(parent, 0) + 1
    inner = any(number > 1 and node.op is not None for node, number in uses.items())
    gates = sum(node.op is not None for node in nodes)
    return sum(number > 1 for number in uses.values()) > (gates > 2) and (inner or gates <= 2)


def _friendly(x: float) -> bool:
    return abs(x) <= LARGEST and x * FINEST == round(x * FINEST)


def locals_of(node: Value, inputs: Sequence[float] | None = None) -> tuple[float, ...]:
    """The local gradients of a node, at its inputs or at others."""
    operation: Any = node.op
    x = node.inputs if inputs is None else inputs
    return tuple(map(float, operation.local_gradients(*x, operation.forward(*x))))


def _formula(node: Value) -> str:
    operation: Any = node.op
    words: Callable[..., Formula] = formula
    text = str(words(operation, *[Formula(parent.label) for parent in node.parents]))
    return text.replace(" * ", " × ").replace(" - ", " − ")
