"""The goals that the package set itself, each held against the saved figures: reached or not.

A line is a workload, a measure (or how its name begins) and a condition: on a peer's figure in the measure's unit,
or on the ratio of two peers' figures. `ours` is the package as it is, `built` its compiled build and `native` its
native backend. An aim is more than was promised.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from benchmarks.harness import COMPILED, OURS

GOALS = """
ops    | forward + backward, 100,000                 | micrograd ÷ ours ≥ 8
ops    | forward + backward, 5,000                   | micrograd ÷ ours ≥ 1.5
ops    | forward + backward, 100,000                 | ours ≤ 1000
ops    | forward + backward, 5,000                   | ours ≤ 1000
ops    | forward + backward, 100,000                 | built ≤ 300
ops    | forward + backward, 100,000                 | built ≤ 200 (aim)
ops    | forward + backward, 100,000                 | built ÷ minigrad ≤ 1 (aim)
ops    | memory built                                | ours ≤ 200
ops    | objects left to the collector               | ours ≤ 0
moons  | an epoch, a new graph each time             | micrograd ÷ ours ≥ 60
moons  | an epoch, a new graph each time             | ours ≤ 13
moons  | an epoch, compiled before or by hand        | ours ≤ 10
iris   | 1000 epochs by mg.fit, compiling included   | ours ≤ 1060
iris   | 1000 epochs, a new graph each time          | micrograd ÷ ours ≥ 10
iris   | 1000 epochs, compiled before or by hand     | ours ≤ 1.2
iris   | 1000 epochs, compiled before or by hand     | ours ≤ 0.4 (aim)
iris   | compiled: from the loss to the result       | ours ≤ 120
iris   | compiled and watched                        | ours ≤ 1.02
iris   | one sample: loss and gradients              | ours ÷ printed Python ≥ 8
small  | Black-Scholes, a call                       | ours ≤ 450
small  | Black-Scholes, each of                      | ours ≤ 30
small  | Rosenbrock-10, a call                       | ours ÷ CasADi, cc -O3 ≤ 1
small  | Rosenbrock-10, each of                      | ours ≤ 12
growth | compile 100,000, to the first result        | ours ≤ 5
growth | run 100,000 compiled, each operation        | ours ≤ 8.6
growth | compile, exponent of the time               | ours ≤ 1.1
growth | eager chain, exponent of the time           | ours ≤ 1.1
growth | eager chain, exponent of the memory         | ours ≤ 1.1
growth | eager sum, exponent of the time             | ours ≤ 1.1
growth | eager sum, exponent of the memory           | ours ≤ 1.1
mnist  | a minibatch of 64                           | ours ÷ NumPy by hand ≤ 1.15
mnist  | a minibatch of 64                           | native ÷ JAX jit ≤ 1
mnist  | a minibatch of 64                           | native ÷ C by hand, cc -O3 ≤ 1 (aim)
mnist  | to the first step, 95,263                   | ours ≤ 1.5
mnist  | to the first step, 784-50-10                | ours ≤ 3
mnist  | to the first step, the exponent of growth   | ours ≤ 1.1
mnist  | memory, peak of the process                 | ours ÷ NumPy by hand ≤ 3
mnist  | memory, peak of the process                 | native ÷ NumPy by hand ≤ 3
digits | 196-100-50-10, accuracy, lowest             | ours ≥ 0.970
digits | 196-100-50-10, accuracy, mean               | ours ≥ 0.9715
digits | 196-100-50-10, 40,000 minibatches           | ours ≤ 30
digits | 784-50-10, accuracy, lowest                 | ours ≥ 0.969
draw   | 178 nodes to SVG                            | ours ≤ 20
draw   | 440 nodes to SVG                            | ours ≤ 60
draw   | 1,285 nodes to SVG                          | ours ≤ 200
draw   | 5,479 nodes to SVG                          | ours ≤ 1200
draw   | 22,212 nodes to SVG                         | ours ≤ 8000
draw   | 178 nodes to SVG                            | ours ÷ dot ≤ 1
draw   | 440 nodes to SVG                            | ours ÷ dot ≤ 1
draw   | 1,285 nodes to SVG                          | ours ÷ dot ≤ 1
draw   | 5,479 nodes to SVG                          | ours ÷ dot ≤ 1
draw   | 22,212 nodes to SVG                         | ours ÷ dot ≤ 1
draw   | crossings, 2-4-4-1                          | ours ÷ dot ≤ 1.15
draw   | crossings, 3-4-4-1                          | ours ÷ dot ≤ 1.15
draw   | summary of 1,000,746 nodes                  | ours ≤ 10
draw   | summary of 1,000,746 nodes, with the graph  | ours ≤ 2000
player | size of the page                            | ours ≤ 1000
player | first paint                                 | ours ≤ 1000
player | a step, median                              | ours ≤ 16
import | import                                      | ours ≤ 30
import | modules from outside the standard library   | ours ≤ 0
"""
PEERS = {"ours": OURS, "built": COMPILED} | {name: f"{OURS}, {name}" for name in ("printed Python", "native")}
CONDITION = re.compile(r"(?P<peer>.+?)(?: ÷ (?P<other>.+?))? (?P<sign>[≤≥]) (?P<limit>[\d.]+)(?P<aim> \(aim\))?")


class Mark(NamedTuple):
    """A goal and what was measured: None where it was not."""

    workload: str
    measure: str
    goal: str
    measured: float | None
    unit: str
    reached: bool


def marks(saved: dict[str, Any]) -> list[Mark]:
    """All goals, held against the saved figures."""
    return [mark(*map(str.strip, line.split("|")), saved) for line in GOALS.strip().splitlines()]


def mark(workload: str, measure: str, goal: str, saved: dict[str, Any]) -> Mark:
    condition = CONDITION.fullmatch(goal)
    assert condition, goal
    rows = saved.get(workload, {"rows": []})["rows"]
    rows = [row for row in rows if row["measure"] == measure] or [r for r in rows if r["measure"].startswith(measure)]
    figures = {row["peer"]: float(row["median"]) for row in rows}
    measure = rows[0]["measure"] if rows else measure
    unit = rows[0]["unit"] if rows else ""
    mine = figures.get(PEERS.get(condition["peer"], condition["peer"]))
    if condition["other"]:
        other = figures.get(PEERS.get(condition["other"], condition["other"]))
        mine, unit = (mine / other if mine is not None and other else None), "times"
    limit, least = float(condition["limit"]), condition["sign"] == "≥"
    reached = mine is not None and (mine >= limit if least else mine <= limit)
    shown = f"{condition['sign']} {limit:,g} {unit}".rstrip() + (condition["aim"] or "")
    peers = [condition["peer"], *([condition["other"]] if condition["other"] else [])]
    names = " ÷ ".join({"ours": OURS, "built": "compiled build"}.get(peer, peer) for peer in peers)
    return Mark(workload, measure, f"{names} {shown}", mine, unit, reached)


def table(saved: dict[str, Any]) -> str:
    """How many goals are reached, then a line for each."""
    found = marks(saved)
    promised = [mark for mark in found if not mark.goal.endswith("(aim)")]
    reached = sum(mark.reached for mark in promised)
    lines = [f"{reached} of {len(promised)} goals are reached; what is only an aim is marked so.\n"]
    lines += ["| | measure | goal | measured | |", "|---|---|---|--:|---|"]
    for m in found:
        shown = "" if m.measured is None else f"{_number(m.measured)} {m.unit}".strip()
        verdict = "not measured" if m.measured is None else "reached" if m.reached else "**not reached**"
        lines.append(f"| {m.workload} | {m.measure} | {m.goal} | {shown} | {verdict} |")
    return "\n".join(lines) + "\n"


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 1000 else f"{x:.4g}"
