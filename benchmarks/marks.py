"""The goals that the package set itself, each held against the saved figures: reached or not."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.harness import COMPILED, OURS

Saved = dict[str, Any]


class Goal(NamedTuple):
    """A figure, or with `beside` its ratio to another peer's, is at most so much; with `at_least`, at least.

    The measure's name may be cut where it says sizes that the graph decides.
    """

    text: str
    workload: str
    measure: str
    limit: float
    peer: str = OURS
    beside: str = ""
    at_least: bool = False


CHAIN, SUM = "eager chain", "eager sum"
EPOCH, GRAPHS = "an epoch, compiled before or by hand", "an epoch, a new graph each time"
MINIBATCH = "a minibatch of 64"
GOALS = (
    Goal("100,000 operations: at least 8 times faster than micrograd", "ops", "forward + backward, 100,000", 8, "micrograd", OURS, True),
    Goal("5,000 operations: at least 1.5 times faster than micrograd", "ops", "forward + backward, 5,000", 1.5, "micrograd", OURS, True),
    Goal("an operation forward and backward, pure Python: at most 1,000 ns", "ops", "forward + backward, 100,000", 1000),
    Goal("the same among 5,000", "ops", "forward + backward, 5,000", 1000),
    Goal("an operation, compiled build: at most 300 ns", "ops", "forward + backward, 100,000", 300, COMPILED),
    Goal("aim: under 200 ns", "ops", "forward + backward, 100,000", 200, COMPILED),
    Goal("aim: ahead of minigrad, whose core is C", "ops", "forward + backward, 100,000", 1, COMPILED, "minigrad"),
    Goal("a node: at most 200 bytes", "ops", "memory built", 200),
    Goal("nothing is left to the garbage collector", "ops", "objects left to the collector", 0),
    Goal("two moons, an epoch: at least 60 times faster than micrograd", "moons", GRAPHS, 60, "micrograd", OURS, True),
    Goal("two moons, an epoch, pure Python: at most 13 ms", "moons", GRAPHS, 13),
    Goal("two moons compiled, an epoch: at most 10 µs", "moons", EPOCH, 10),
    Goal("iris, 1000 epochs: at least 10 times faster than micrograd, graph by graph", "iris", "1000 epochs, a new graph", 10, "micrograd", OURS, True),
    Goal("iris, 1000 epochs in `fit`: at most 1.2 ms", "iris", "1000 epochs, compiled before", 1.2),
    Goal("aim: 0.4 ms", "iris", "1000 epochs, compiled before", 0.4),
    Goal("iris, from the loss to the result: at most 120 ms", "iris", "compiled: from the loss to the result", 120),
    Goal("iris: the printed Python at least 8 times faster than eager", "iris", "one sample: loss and gradients", 8, OURS, f"{OURS}, printed Python", True),
    Goal("Black-Scholes, a call: at most 450 ns", "small", "Black-Scholes, a call", 450),
    Goal("Black-Scholes, each of a batch: at most 30 ns", "small", "Black-Scholes, each of", 30),
    Goal("Rosenbrock-10, a call: not over CasADi's generated code", "small", "Rosenbrock-10, a call", 1, OURS, "CasADi, cc -O3"),
    Goal("Rosenbrock-10, each of a batch: at most 12 ns", "small", "Rosenbrock-10, each of", 12),
    Goal("a chain of 100,000: compiled in at most 5 s", "growth", "compile 100,000, to the first", 5),
    Goal("a chain of 100,000: replayed at 8.6 ns an operation at most", "growth", "run 100,000 compiled", 8.6),
    Goal("compiling: linear in the size (exponent at most 1.1)", "growth", "compile, exponent", 1.1),
    Goal("a chain to 1,000,000, eager: time linear (exponent at most 1.1)", "growth", f"{CHAIN}, exponent of the time", 1.1),
    Goal("the same in memory", "growth", f"{CHAIN}, exponent of the memory", 1.1),
    Goal("a sum to 1,000,000, eager: time linear (exponent at most 1.1)", "growth", f"{SUM}, exponent of the time", 1.1),
    Goal("the same in memory", "growth", f"{SUM}, exponent of the memory", 1.1),
    Goal("196-100-50-10, a minibatch: at most 1.15 times NumPy by hand", "mnist", MINIBATCH, 1.15, OURS, "NumPy by hand"),
    Goal("the same: ahead of JAX", "mnist", MINIBATCH, 1, OURS, "JAX jit"),
    Goal("aim: level with C, -O3", "mnist", MINIBATCH, 1, OURS, "C by hand, cc -O3"),
    Goal("to the first step, 95,263 nodes: at most 1.5 s", "mnist", "to the first step, 95,263", 1.5),
    Goal("to the first step, 784-50-10: at most 3 s", "mnist", "to the first step, 784-50-10", 3),
    Goal("to the first step: linear in the size (exponent at most 1.1)", "mnist", "to the first step, the exponent", 1.1),
    Goal("memory: at most 3 times the program by hand", "mnist", "memory, peak of the process", 3, OURS, "NumPy by hand"),
    Goal("MNIST, 196-100-50-10: accuracy of every seed at least 0.970", "digits", "196-100-50-10, accuracy, lowest", 0.970, at_least=True),
    Goal("the mean of the seeds at least 0.9715", "digits", "196-100-50-10, accuracy, mean", 0.9715, at_least=True),
    Goal("the whole run: at most 30 s", "digits", "196-100-50-10, 40,000 minibatches", 30),
    Goal("MNIST, 784-50-10: accuracy at least 0.969", "digits", "784-50-10, accuracy, lowest", 0.969, at_least=True),
    *[Goal(f"about {n} nodes to SVG: at most {ms:,} ms", "draw", f"{exact} nodes to SVG", ms)
      for n, exact, ms in (("150", "178", 20), ("400", "440", 60), ("1,300", "1,285", 200), ("5,500", "5,479", 1200), ("22,000", "22,212", 8000))],
    *[Goal(f"{exact} nodes: never slower than dot", "draw", f"{exact} nodes to SVG", 1, OURS, "dot")
      for exact in ("178", "440", "1,285", "5,479", "22,212")],
    *[Goal(f"crossing edges, {what}: at most 1.15 times dot's", "draw", f"crossings, {what}", 1.15, OURS, "dot")
      for what in ("2-4-4-1, 178 nodes", "3-4-4-1, 440 nodes")],
    Goal("a million nodes summarised in at most 10 s", "draw", "summary of 1,000,746 nodes", 10),
    Goal("in at most 2,000 MB, the graph included", "draw", "summary of 1,000,746 nodes, with the graph", 2000),
    Goal("the step player's page: at most 1,000 kB", "player", "size of the page", 1000),
    Goal("first paint: at most 1,000 ms", "player", "first paint", 1000),
    Goal("a step: at most 16 ms", "player", "a step, median", 16),
    Goal("`import microgrannd`: at most 30 ms", "import", "import", 30),
    Goal("nothing from outside the standard library", "import", "modules from outside", 0),
)  # fmt: skip


def table(saved: Saved) -> str:
    """A line for each goal."""
    lines = ["| | goal | measured | reached |", "|---|---|--:|---|"]
    for goal in GOALS:
        found = measured(goal, saved)
        shown = "" if found is None else figure(goal, found, saved)
        lines.append(f"| {goal.workload} | {goal.text} | {shown} | {verdict(goal, found)} |")
    return "\n".join(lines) + "\n"


def measured(goal: Goal, saved: Saved) -> float | None:
    """The figure or the ratio; None where it was not measured."""
    mine, other = (_median(goal, saved, peer) for peer in (goal.peer, goal.beside))
    if mine is None or (goal.beside and not other):
        return None
    return mine / other if goal.beside and other else mine


def verdict(goal: Goal, found: float | None) -> str:
    if found is None:
        return "not measured"
    return "yes" if (found >= goal.limit if goal.at_least else found <= goal.limit) else "no"


def figure(goal: Goal, found: float, saved: Saved) -> str:
    if goal.beside:
        return f"{found:.3g} times"
    unit = next(row["unit"] for row in _rows(goal, saved) if row["peer"] == goal.peer)
    return f"{found:,.0f} {unit}".strip() if found >= 1000 else f"{found:.4g} {unit}".strip()


def _median(goal: Goal, saved: Saved, peer: str) -> float | None:
    return next((float(row["median"]) for row in _rows(goal, saved) if row["peer"] == peer), None)


def _rows(goal: Goal, saved: Saved) -> list[dict[str, Any]]:
    rows = saved.get(goal.workload, {"rows": []})["rows"]
    exact = [row for row in rows if row["measure"] == goal.measure]
    return exact or [row for row in rows if row["measure"].startswith(goal.measure)]
