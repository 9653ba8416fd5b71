"""What `mg.exercises.check` makes of answers by simulated students: the table of docs/exercises.md.

    python -m docs.build exercises

A student goes backward through a graph by hand and makes one of the eight mistakes, of which the checker knows nothing
but the numbers that come out. The students are written without it: a pass over a list of uses, with one line wrong.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import microgrannd as mg

ANSWERS = 10_000
BEGIN, END = "<!-- written by python -m docs.build exercises -->", "<!-- end -->"
HABITS = ("= for +=",)  # made everywhere; the others are made once
NONLINEAR = ("square", "div", "mul")


def page(text: str) -> str:
    """docs/exercises.md with the table of today."""
    found, refused = simulated(ANSWERS)
    start, _, rest = text.partition(f"{BEGIN}\n")
    _, _, end = rest.partition(END)
    return f"{start}{BEGIN}\n{table(found, refused)}\n{END}{end}"


def table(found: Counter[tuple[str, str]], refused: int) -> str:
    """Who was taken for whom, as Markdown."""
    kinds = list(mg.exercises.MISTAKES)
    columns = [*kinds, "None"]
    lines = ["| made | " + " | ".join([*kinds, "unnamed"]) + " |", "|---|" + "---|" * len(columns)]
    for kind in kinds:
        counts = [f"**{found[kind, name]:,}**" if name == kind else f"{found[kind, name] or ''}" for name in columns]
        lines.append(f"| {kind} | " + " | ".join(counts) + " |")
    right = sum(found[kind, kind] for kind in kinds)
    share = 100 * right / found.total()
    return "\n".join(
        [
            *lines,
            "",
            f"{right:,} of {found.total():,} are named rightly: {share:.1f} %. Right answers refused: {refused}.",
        ]
    )


def answer(exercise: Any, mistake: str | None, chance: random.Random) -> dict[str, float] | None:
    """The gradients that a student finds; None where the mistake cannot be made or does not show."""
    uses: dict[Any, list[tuple[Any, int]]] = {node: [] for node in exercise.nodes}
    for node in reversed(exercise.nodes):
        for k, parent in enumerate(node.parents):
            uses[parent].append((node, k))
    places = [place for place in places_of(exercise, uses, mistake) if place]
    chance.shuffle(places)
    for place in places:
        found = backward(exercise, uses, mistake, place)
        if mistake is None or any(abs(found[label] - right) > 0.02 for label, right in exercise.gradients.items()):
            return found
    return None


def places_of(exercise: Any, uses: Any, mistake: str | None) -> list[Any]:
    """Where the mistake can be made: at a use, or at a node as a whole."""
    every = [(node, k) for node in exercise.nodes for k in range(len(node.parents))]
    shared = [(node, None) for node in exercise.nodes if node.op is not None and len(uses[node]) > 1]
    if mistake is None or mistake in HABITS:
        return [(None, None)]
    if mistake in ("order", "chain cut"):
        return shared
    if mistake == "path forgotten":
        return [(node, k) for node, k in every if len(uses[node.parents[k]]) > 1]
    if mistake == "other factor":
        return [(node, k) for node, k in every if node.op.name in ("mul", "div")]
    if mistake == "wrong value":
        return [(node, k) for node, k in every if node.op.name in ("square", "div")]
    return every


def backward(exercise: Any, uses: Any, mistake: str | None, place: Any) -> dict[str, float]:
    """A backward pass by hand, wrong in one way."""
    gradient = dict.fromkeys(exercise.nodes, 0.0)
    gradient[exercise.f] = 1.0
    for node in reversed(exercise.nodes):
        if node.op is None:
            continue
        upstream = gradient[node]
        if mistake == "order" and node is place[0]:
            child, k = uses[node][0]  # handed on when the first contribution had come
            upstream = gradient[child] * slopes(child)[k]
        for k, parent in enumerate(node.parents):
            contribution = wrong(node, k, upstream, mistake) if (node, k) == place else upstream * slopes(node)[k]
            if mistake == "chain cut" and node is place[0]:
                contribution = 0.0
            gradient[parent] = contribution if mistake == "= for +=" else gradient[parent] + contribution
    return {node.label: gradient[node] for node in exercise.nodes[:-1]}


def wrong(node: Any, k: int, upstream: float, mistake: str | None) -> float:
    """A contribution with a mistake in it."""
    slope = slopes(node)[k]
    if mistake == "sign":
        return -upstream * slope
    if mistake == "local gradient":
        return slope
    if mistake == "other factor":
        return upstream * slopes(node)[1 - k]
    if mistake == "wrong value":  # at the output, where the input belongs
        x = node.inputs
        return upstream * (2 * node.data if node.op.name == "square" else (1 / node.data, -x[0] / node.data**2)[k])
    return 0.0  # forgotten


def slopes(node: Any) -> Sequence[float]:
    """The local gradients from a school book, not from the table."""
    x, *rest = node.inputs
    y = rest[0] if rest else 0.0
    return {
        "add": lambda: (1.0, 1.0),
        "sub": lambda: (1.0, -1.0),
        "mul": lambda: (y, x),
        "div": lambda: (1 / y, -x / y**2),
        "square": lambda: (2 * x,),
        "relu": lambda: (1.0 if x > 0 else 0.0,),
        "maximum": lambda: (0.5, 0.5) if x == y else (float(x > y), float(y > x)),
    }[node.op.name]()


def simulated(answers: int, seed: int = 0) -> tuple[Counter[tuple[str, str]], int]:
    """How often each mistake was made and taken for which; and how many right answers were refused."""
    chance, found, refused = random.Random(seed), Counter[tuple[str, str]](), 0
    pool = [
        exercise
        for difficulty in (1, 2, 3)
        for size in (3, 4, 5, 6, 7, 8)
        for exercise in mg.exercises.generate(max(2, answers // 400), seed=seed, size=size, difficulty=difficulty)
    ]
    kinds = list(mg.exercises.MISTAKES)
    refused += sum(not mg.exercises.check(exercise, answer(exercise, None, chance) or {}).right for exercise in pool)
    while found.total() < answers:
        exercise, kind = chance.choice(pool), kinds[found.total() % len(kinds)]
        given = answer(exercise, kind, chance)
        if given is not None:
            found[kind, str(mg.exercises.check(exercise, given).mistake)] += 1
    return found, refused
