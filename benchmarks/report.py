"""The page of the figures: `docs/performance.md`, written from the saved JSON and from nothing else.

python -m benchmarks.report FIGURES.json PAGE.md
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from benchmarks import marks
from benchmarks.harness import OURS, module_of

START = """\
# Performance

Written by `python -m benchmarks --write docs/performance.md`, which anyone can run: the peers that are not
installed are named and left out. A figure is the median of rounds in which the peers take turns, after a
check that all compute the same. `to ours` is a peer's time as a multiple of microgrannd's in the same run, so
below 1 the peer is faster; `to C` is the multiple of the fastest C. "Compiled build" is the same package
installed with `MICROGRANND_COMPILED=1 pip install .`, which compiles the engine's own files.
"""

GOALS = """\
What the package set out to reach, from the same figures. `a ÷ b` is the time of a as a multiple of that of b.
"""

LOSSES = """\
Every measure in which some peer is ahead of the best of our builds. Graph by graph, the batched peers do other work
than an engine of scalars: there the scalars are matrices from the start, or an expression made beforehand is run.
What a person writes by hand is named as a peer, C as the limit only, in the column `to C`; in the time to a first
result it is not, since there the person's time is not counted.
"""


def write(figures: Path, page: Path) -> None:
    """The page, from the saved figures."""
    saved = json.loads(figures.read_text(encoding="utf-8"))
    sections = [section(name, saved[name]) for name in saved]
    goals = ["## The goals\n", GOALS, marks.table(saved)]
    text = "\n".join(
        [START, measured_on(saved), *goals, "## Where we lose, and to whom\n", LOSSES, losses(saved), *sections]
    )
    page.write_text(text, encoding="utf-8")


def measured_on(saved: dict) -> str:
    runs = [entry["measured"] for entry in saved.values()]
    versions = {name: version for run in runs for name, version in run["versions"].items()}
    missing = sorted({name for run in runs for name in run["missing"]} - set(versions))
    days = sorted({run["date"] for run in runs})
    loads = [run["load"] for run in runs]
    omitted = list(
        dict.fromkeys(f"{name}, {why}" for name, entry in saved.items() for why in entry["measured"].get("omitted", []))
    )
    took = sum(run.get("seconds", 0.0) for run in runs)
    threads = ", ".join(sorted({run.get("threads", "as the libraries choose") for run in runs}))
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"Measured {' and '.join(days)} with Python {runs[0]['python']} on {runs[0]['machine']}, the load between "
        f"{min(loads)} and {max(loads)} (above the number of cores, other programs took time from wall clocks). "
        f"All took {took / 60:.0f} minutes, with OMP_NUM_THREADS: {threads}.\n\n"
        f"Peers: {listed or 'none'}.{' Not installed: ' + ', '.join(missing) + '.' if missing else ''}\n"
        + ("\nLeft out, though installed:\n\n" + "".join(f"- {line}\n" for line in omitted) if omitted else "")
    )


def losses(saved: dict) -> str:
    """For each measure the peers that are ahead of the best of ours; hand-written C is the limit, not a peer."""
    lines = []
    for name, entry in saved.items():
        for measure, rows in by_measure(entry["rows"]).items():
            ours = [row for row in rows if row["peer"].startswith(OURS)]
            best = min(ours, key=median, default=None)
            others = [row for row in rows if row not in ours and not is_limit(row, measure)]
            ahead = [row for row in others if best and median(row) < median(best)]
            if ahead:
                peers = ", ".join(f"{row['peer']} ({shown(row)})" for row in sorted(ahead, key=median))
                lines.append(f"- **{name}**, {measure}: {best['peer']} takes {shown(best)}; ahead of it: {peers}.")
    return ("\n".join(lines) or "Nowhere, in what is measured here.") + "\n"


def section(name: str, entry: dict) -> str:
    lines = [f"## {name}\n", purpose(name) + "\n"]
    lines += ["| measure | peer | median | to ours | to C | |", "|---|---|--:|--:|--:|---|"]
    for measure, rows in by_measure(entry["rows"]).items():
        ours = next((median(row) for row in rows if row["peer"] == OURS), 0.0)
        fastest = min((median(row) for row in rows if is_c(row)), default=0.0)
        for row in rows:
            to_ours, to_c = ratio(row, ours), ratio(row, fastest)
            peer = f"**{row['peer']}**" if row["peer"].startswith(OURS) else row["peer"]
            lines.append(f"| {measure} | {peer} | {shown(row)} | {to_ours} | {to_c} | {row['note']} |")
            measure = ""
    return "\n".join([*lines, ""])


def by_measure(rows: list[dict]) -> dict[str, list[dict]]:
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["measure"], []).append(row)
    return groups


def is_limit(row: dict, measure: str) -> bool:
    """Whether it is no peer: C, and for the time to a first result whatever a person has written before."""
    first = "to the first" in measure or "to the result" in measure
    return is_c(row) or (first and "by hand" in row["peer"])


def is_c(row: dict) -> bool:
    return row["peer"].startswith("C ")


def median(row: dict) -> float:
    return float(row["median"])


def ratio(row: dict, to: float) -> str:
    if not to:
        return ""
    found = median(row) / to
    return f"{found:,.0f}" if found >= 100 else f"{found:.2g}"


def shown(row: dict) -> str:
    number = median(row)
    return f"{number:,.0f} {row['unit']}".strip() if number >= 1000 else f"{number:.3g} {row['unit']}".strip()


def purpose(workload: str) -> str:
    """The first paragraph of the workload's file."""
    source = Path(__file__).parents[1].joinpath(*module_of(workload).split(".")).with_suffix(".py").read_text("utf-8")
    return " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split())


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
