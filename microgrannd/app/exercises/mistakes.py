"""The eight mistakes that are made with the chain rule, and which of them explains an answer.

An answer is followed, as a teacher follows it: each gradient is held against what the answer's own gradients behind it
imply. Where it is not implied, each mistake says which numbers it would have given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from microgrannd.app.exercises.graphs import Exercise, locals_of
from microgrannd.engine import Value
from microgrannd.ground.arguments import must_be, wrong
from microgrannd.operations import Number, is_number

# Their names, the likelier first where two explain a number equally well, and what is said of them. The hints that the
# player gives where one predicts (page/prediction.js) use the same words.
MISTAKES: Final = {
    "= for +=": "only what arrives from {child} is there, what had arrived before is lost. += does not overwrite it.",
    "order": "{child} was handed on too early: it had not received all of its gradient yet.",
    "chain cut": "{child} is used more than once, and nothing came through it. It hands its gradient on all the same.",
    "other factor": "that is what {other} gets, the other parent of {child}.",
    "sign": "the size is right. What about the sign of what arrives from {child}?",
    "wrong value": "the local gradient of {child} is right as a formula, and was taken at the wrong value.",
    "local gradient": "that is the local gradient of {child}. It is still to be multiplied by the upstream.",
    "path forgotten": "a path is missing, the one by way of {child}. Contributions of all paths add up.",
}
TITLES: Final = {
    "= for +=": "= in place of +=",
    "order": "The order",
    "chain cut": "The chain is cut",
    "other factor": "The other parent's factor",
    "wrong value": "The derivative at the wrong value",
    "sign": "A sign",
    "local gradient": "The local gradient alone",
    "path forgotten": "A path is forgotten",
}
NEAR: Final = 0.01  # numbers are multiples of a quarter, so that an answer may be rounded


class Way(NamedTuple):
    """One of the contributions to a node, in the order in which the backward pass adds them."""

    child: Value
    place: int  # of the node among the child's parents
    upstream: float
    local: float

    @property
    def contribution(self) -> float:
        return self.upstream * self.local


Act: TypeAlias = tuple[object, ...]  # what was done wrong once, however many numbers come out wrong for it


class Guess(NamedTuple):
    """A mistake that may have been made at a node, and the gradient that it would have given."""

    mistake: str
    act: Act
    gradient: float
    way: Way


@dataclass(frozen=True)
class Finding:
    """What is to be said of an answer: whether it is `right`; if not, which of the `MISTAKES`, where, and in words.

    `mistake` is None for a right answer, and for a wrong one that none of the eight explains. `nodes` are the labels
    of those whose gradients do not follow from the answer's own numbers.
    """

    right: bool
    mistake: str | None
    nodes: tuple[str, ...]
    words: str

    def __str__(self) -> str:
        return self.words


def check(exercise: Exercise, answer: Mapping[str, Number]) -> Finding:
    """What is right or wrong with an answer: the gradients of an exercise's nodes by label, `{"a": -4, "p": 2}`.

    Those that are left out are taken as right. A right answer is never refused.

    Raises TypeError and ValueError for what is no answer: a name that the exercise has not, a thing that is no number.
    """
    must_be("exercise", exercise, Exercise)
    given = _numbers(exercise, answer)
    if all(_agree(given[label], right) for label, right in exercise.gradients.items()):
        return Finding(True, None, (), "All of it is right.")
    strange = list(_strange(exercise, given))
    guesses = {
        node: [g for g in _guesses(ways, given) if _agree(g.gradient, given[node.label])] for node, ways in strange
    }
    for mistake in sorted(MISTAKES, key=lambda mistake: _cost(exercise, mistake, guesses, given)):
        if _cost(exercise, mistake, guesses, given) < float("inf"):
            return _finding(mistake, guesses)
    return _first_finding(strange, guesses)


def _numbers(exercise: Exercise, answer: Mapping[str, Number]) -> dict[str, float]:
    if not isinstance(answer, Mapping) or not answer:
        raise wrong("answer", 'gradients by the labels of nodes, such as {"a": -4}', answer)
    known = exercise.gradients | {"f": 1.0}
    for label, number in answer.items():
        if label not in known:
            raise ValueError(f"answer names {label!r}; the nodes of the exercise are {', '.join(exercise.asked)}.")
        if not is_number(number):
            raise wrong(f"answer[{label!r}]", "a number", number)
    return known | {label: float(number) for label, number in answer.items()}


def _agree(x: float, y: float) -> bool:
    return abs(x - y) <= NEAR


def ways_of(exercise: Exercise, given: Mapping[str, float]) -> dict[Value, list[Way]]:
    """The contributions to each node as the gradients given imply them, from the output back to the leaves."""
    ways: dict[Value, list[Way]] = {node: [] for node in reversed(exercise.nodes)}
    for node in reversed(exercise.nodes):
        for place, local in enumerate(locals_of(node) if node.op is not None else ()):
            ways[node.parents[place]].append(Way(node, place, given[node.label], local))
    return ways


def _strange(exercise: Exercise, given: Mapping[str, float]) -> Iterator[tuple[Value, dict[Value, list[Way]]]]:
    """The nodes whose gradients do not follow from those behind them."""
    ways = ways_of(exercise, given)
    for node in ways:
        expected = sum(way.contribution for way in ways[node]) if node is not exercise.f else 1.0
        if not _agree(given[node.label], expected):
            yield node, {node: ways[node], **{way.child: ways[way.child] for way in ways[node]}}


def _guesses(ways: dict[Value, list[Way]], given: Mapping[str, float]) -> Iterator[Guess]:
    """What each mistake would make of the first of the nodes."""
    node, *_ = ways
    arriving = ways[node]
    right = sum(way.contribution for way in arriving)
    if len(arriving) > 1:
        yield Guess("= for +=", ("=",), arriving[-1].contribution, arriving[-1])
    for way in arriving:
        child, place, upstream, local = way
        rest = right - way.contribution
        if len(arriving) > 1:
            yield Guess("path forgotten", (node, child, place), rest, way)
        yield Guess("sign", (node, child, place), rest - way.contribution, way)
        yield Guess("local gradient", (node, child, place), rest + local, way)
        for factor in locals_of(child):
            if abs(factor) != abs(local):  # that of a difference is a sign
                yield Guess("other factor", (child,), rest + upstream * factor, way)
        for k in range(len(child.inputs)):
            inputs = [*child.inputs[:k], child.data, *child.inputs[k + 1 :]]
            yield Guess("wrong value", (child,), rest + upstream * locals_of(child, inputs)[place], way)
        if len(ways[child]) > 1:
            slope = sum(other.local for other in arriving if other.child is child)
            without = right - upstream * slope
            yield Guess("chain cut", (child,), without, way)
            early = 0.0
            for other in ways[child][:-1]:
                early += other.contribution
                yield Guess("order", (child,), without + early * slope, way)


def _cost(exercise: Exercise, mistake: str, guesses: Mapping[Value, list[Guess]], given: Mapping[str, float]) -> float:
    """How often the mistake must have been made to explain all; infinite if it cannot explain it."""
    acts: set[Act] = set()
    for found in guesses.values():
        possible = [guess.act for guess in found if guess.mistake == mistake]
        if not possible:
            return float("inf")
        if not acts.intersection(possible):
            acts.add(possible[0])
    return len(acts) + _against(exercise, mistake, acts, guesses, given)


def _against(
    exercise: Exercise, mistake: str, acts: set[Act], guesses: Mapping[Value, list[Guess]], given: Mapping[str, float]
) -> float:
    """How many numbers speak against it: right ones that the mistake would have spoiled."""
    ways = ways_of(exercise, given)
    if mistake == "= for +=":
        summed = [node for node in ways if len(ways[node]) > 1 and node not in guesses]
        return sum(not _agree(given[node.label], ways[node][-1].contribution) for node in summed)
    if mistake in ("chain cut", "order"):
        children = [act[0] for act in acts]
        spared = [way for node in ways if node not in guesses for way in ways[node] if way.child in children]
        return sum(not _agree(way.contribution, 0.0) for way in spared)
    return 0


def _finding(mistake: str, guesses: Mapping[Value, list[Guess]]) -> Finding:
    node, found = next(iter(guesses.items()))
    guess = next(guess for guess in found if guess.mistake == mistake)
    return Finding(False, mistake, tuple([other.label for other in guesses]), _words(node, guess))


def _first_finding(
    strange: list[tuple[Value, dict[Value, list[Way]]]], guesses: Mapping[Value, list[Guess]]
) -> Finding:
    """Where no single mistake explains all: what explains the gradient nearest to the output."""
    labels = tuple([node.label for node, _ in strange])
    if not strange:  # every number follows from those given, and yet some are wrong: the output's own was changed
        return Finding(False, None, (), "The numbers follow from each other, but not from ∂f/∂f = 1.")
    node, _ = strange[0]
    if found := sorted(guesses[node], key=lambda guess: list(MISTAKES).index(guess.mistake)):
        return Finding(False, found[0].mistake, labels, _words(node, found[0]))
    words = f"∂f/∂{node.label} is not what follows from the gradients behind it: upstream × local gradient, added up."
    return Finding(False, None, labels, words)


def _words(node: Value, guess: Guess) -> str:
    child = guess.way.child
    others = [parent.label for k, parent in enumerate(child.parents) if k != guess.way.place]
    words = MISTAKES[guess.mistake].format(child=child.label, other="".join(others[:1]))
    return f"{TITLES[guess.mistake]}. ∂f/∂{node.label}: {words}"


def confusions(exercise: Exercise) -> int:
    """How often two different mistakes at a node give one number, or a mistake gives the right one."""
    ways = ways_of(exercise, exercise.gradients | {"f": 1.0})
    total = 0
    for node, arriving in ways.items():
        near = {node: arriving, **{way.child: ways[way.child] for way in arriving}}
        made = {(g.mistake, round(g.gradient, 2)) for g in _guesses(near, exercise.gradients)} if arriving else set()
        numbers = [number for _, number in made]
        total += sum(numbers.count(number) > 1 for number in numbers)
        total += 2 * numbers.count(round(exercise.gradients.get(node.label, 1.0), 2))
    return total
