"""What the workloads share: interleaved rounds, medians, a table, JSON.

The machine is noisy, so peers are timed in turn, round after round, and a figure is the median of the
rounds; a ratio compares medians of one run. A round is timed with the garbage collector as the user has
it, unless a peer says otherwise.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OURS = "microgrannd"


def interleaved(peers: dict[str, Callable[[], object]], rounds: int = 7, warmups: int = 1) -> dict[str, float]:
    """The median time of each peer's function in seconds, the peers taking turns."""
    for function in peers.values():
        for _ in range(warmups):
            function()
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, function in peers.items():
            gc.collect()
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def row(workload: str, peer: str, measure: str, median: float, unit: str, note: str = "") -> dict[str, object]:
    """One figure."""
    return {"workload": workload, "peer": peer, "measure": measure, "median": median, "unit": unit, "note": note}


def timed_rows(
    workload: str, measure: str, medians: dict[str, float], unit: str, per: float = 1.0, note: str = ""
) -> list[dict[str, object]]:
    """Rows of medians in a unit (s, ms, µs, ns), divided by `per` operations."""
    scale = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}[unit]
    return [row(workload, peer, measure, seconds * scale / per, unit, note) for peer, seconds in medians.items()]


def installed(*packages: str) -> list[str]:
    """Those of the packages that are installed; the others are named on standard error."""
    found = []
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            print(f"{package} is not installed: skipped", file=sys.stderr)
        else:
            found.append(package)
    return found


def print_rows(rows: list[dict[str, object]]) -> None:
    """A table: each measure with its peers, and how each stands to ours."""
    ours = {(r["workload"], r["measure"]): r["median"] for r in rows if r["peer"] == OURS}
    print(f"{'workload':10} {'measure':38} {'peer':26} {'median':>12}      {'to ours':>8}")
    for r in rows:
        mine = ours.get((r["workload"], r["measure"]))
        ratio = f"{float(r['median']) / float(mine):8.2f}" if mine else " " * 8  # type: ignore[arg-type]
        figure = f"{r['median']:12.4g} {r['unit']:4} {ratio}"
        print(f"{r['workload']:10} {r['measure']:38} {r['peer']:26} {figure}  {r['note']}")


def save_rows(rows: list[dict[str, object]], path: Path) -> None:
    """The rows as JSON, with what they were measured on."""
    machine = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "command": "python -m " + " ".join(["benchmarks", *sys.argv[1:]]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"measured": machine, "rows": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
