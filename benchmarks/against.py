"""Two packages under the same benchmarks, to show that a change makes no workload slower.

The workloads of this checkout are run on the package of each, in processes of their own that take turns, round after
round: `before` is the package of the other checkout, `after` the one of this. Each process has microgrannd alone
(`--alone`), on one thread, timed by the processor. In each round the two stand close together in time, so the
ratio is taken round by round; what counts is the median of these ratios.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import harness

HERE = Path(__file__).parents[1]
# Python runs this first. An editable install would fill in the modules that a package lacks, from its own checkout.
ONLY_HERE = """\
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
"""
TIMES = ("s", "ms", "µs", "ns")
Figures = dict[tuple[str, str], tuple[float, str]]  # by measure and peer: the median and its unit


def compare(checkout: Path, workloads: Sequence[str], rounds: int, *, compiled: bool) -> None:
    """Print a table with each row of the workloads in both packages, and a line for each workload as a whole."""
    packages = {"before": checkout.resolve(), "after": HERE}
    for path in packages.values():
        if not (path / harness.OURS).is_dir():
            sys.exit(f"There is no package {harness.OURS} in {path}.")
    with tempfile.TemporaryDirectory() as folder:
        sides = [side_of(Path(folder) / name, path, compiled=compiled) for name, path in packages.items()]
        print(f"{'workload':8} {'row':66} {'before':>10} {'after':>10}      {'ratio':>6}  {'spread'}")
        for workload in workloads:
            turns = []
            for i in range(rounds):
                if sys.stderr.isatty():
                    print(f"{workload}: round {i + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
                order = (0, 1) if i % 2 else (1, 0)  # neither is always the first
                found = {side: _figures(sides[side], workload) for side in order}
                turns.append((found[0], found[1]))
            print("\n".join(lines(workload, turns)), flush=True)


def side_of(folder: Path, checkout: Path, *, compiled: bool) -> Path:
    """A folder with the benchmarks of this checkout and the package of that one."""
    folder.mkdir()
    source = harness.build_compiled(checkout, folder / "build") if compiled else checkout
    (folder / harness.OURS).symlink_to(source / harness.OURS)
    (folder / "benchmarks").symlink_to(HERE / "benchmarks")
    (folder / "sitecustomize.py").write_text(ONLY_HERE)
    return folder


def _figures(side: Path, workload: str) -> Figures:
    """The rows of one run; none where it fails, as where a package lacks what the workload uses."""
    path = side / "figures.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks", workload, "--alone", "--json", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(side)}
    done = subprocess.run(command, cwd=side, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{workload} failed in the package {side.name}: {last}", file=sys.stderr)
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))[workload]["rows"]
    return {(row["measure"], row["peer"]): (float(row["median"]), row["unit"]) for row in rows}


def lines(workload: str, turns: Sequence[tuple[Figures, Figures]]) -> Iterator[str]:
    """A line for each row that both have, and the mean of those that are times."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    units = {key: unit for before, _ in turns for key, (_, unit) in before.items()}
    for before, after in turns:
        for key in before.keys() & after.keys():
            found[key].append((before[key][0], after[key][0]))
    whole: list[float] = []
    for (measure, peer), unit in units.items():
        pairs = found[measure, peer]
        ratios = [after / before for before, after in pairs if before > 0]
        if not ratios:
            continue
        label = measure + peer.removeprefix(harness.OURS)
        before, after = (statistics.median(figures) for figures in zip(*pairs, strict=True))
        yield f"{workload:8} {label:66} {before:10,.4g} {after:10,.4g} {unit:4} {_ratio(ratios)}"
        whole += [statistics.median(ratios)] if unit in TIMES else []
    if whole:
        mean = math.exp(statistics.fmean(map(math.log, whole)))
        yield f"{workload:8} {f'as a whole: the geometric mean of {len(whole)} times':92} {mean:6.3f}\n"


def _ratio(ratios: Sequence[float]) -> str:
    """The median and, as the spread, the least and the greatest."""
    return f"{statistics.median(ratios):6.3f}  {min(ratios):.3f} to {max(ratios):.3f}"
