"""What the workloads share: interleaved rounds, medians, a table, JSON.

The machine is noisy, so peers are timed in turn, round after round, and a figure is the median of the
rounds; a ratio compares medians of one run. A round is timed with the garbage collector as the user has
it, unless a peer says otherwise. `smoke` asks for one round of little work, to see that all runs; `alone()`
tells whether microgrannd is timed without its peers, in less time, to be compared with another checkout.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from types import ModuleType

OURS = "microgrannd"
COMPILED = f"{OURS}, compiled build"
RESULTS = Path(__file__).parent / "results"
WORKLOADS = (
    *("ops", "moons", "iris", "small", "hessian", "growth", "recurrences", "sparse"),
    *("gpt", "mnist", "digits", "draw", "player", "import"),
)
STARTED = time.perf_counter()
ALONE = "MICROGRANND_ALONE"  # in the environment, so that the processes that a workload starts know it too
smoke = False
versions: dict[str, str] = {}  # of the peers that were found
missing: list[str] = []
omitted: list[str] = []  # peers that cannot do a workload, and why


def module_of(workload: str) -> str:
    """The module of a workload: it has its name, except where that is a keyword of the language."""
    return f"benchmarks.workloads.{'startup' if workload == 'import' else workload}"


def be_alone() -> None:
    """Time microgrannd without its peers from here on; to be said before anything imports NumPy."""
    os.environ |= dict.fromkeys((ALONE, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def alone() -> bool:
    return ALONE in os.environ


def timed(peers: Iterable[str]) -> list[str]:
    """The peers that are to be timed; the others may still serve to check that all compute the same."""
    return [peer for peer in peers if not alone() or peer.startswith(OURS)]


def now() -> float:
    """Seconds on the wall or, alone, of this process, which has one thread: what others take does not count."""
    return time.process_time() if alone() else time.perf_counter()


def interleaved(
    peers: dict[str, Callable[[], object]],
    rounds: int = 7,
    warmups: int = 1,
    clock: Callable[[], float] = now,
) -> dict[str, float]:
    """The typical time of each peer's function in seconds, the peers taking turns."""
    return {name: typical(seconds) for name, seconds in turns(peers, rounds, warmups, clock).items()}


def typical(seconds: Sequence[float]) -> float:
    """The median or, alone, the least: what disturbs a single process only ever adds."""
    return min(seconds) if alone() else statistics.median(seconds)


def turns(
    peers: dict[str, Callable[[], object]], rounds: int, warmups: int = 1, clock: Callable[[], float] = now
) -> dict[str, list[float]]:
    """The seconds of each peer's function in each round.

    With `time.process_time` as the clock, what other processes take does not count: for peers that run
    on one thread. Objects that exist already, such as the modules of all the peers, are kept from the garbage
    collector meanwhile, so that none walks through another's.
    """
    if smoke:
        rounds, warmups = 1, 0
    peers = {name: peers[name] for name in timed(peers)}
    for function in peers.values():
        for _ in range(warmups):
            function()
    times: dict[str, list[float]] = {name: [] for name in peers}
    gc.collect()
    gc.freeze()
    try:
        for _ in range(min(rounds, 5) if alone() else rounds):
            for name, function in peers.items():
                gc.collect()
                start = clock()
                function()
                times[name].append(clock() - start)
    finally:
        gc.unfreeze()
    return times


def peak_memory() -> float:
    """The most that this process ever held of the machine's memory, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage reports at least what the parent process held
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def row(workload: str, peer: str, measure: str, median: float, unit: str, note: str = "") -> dict[str, object]:
    """One figure."""
    return {"workload": workload, "peer": peer, "measure": measure, "median": median, "unit": unit, "note": note}


def many(function: Callable[..., object], times: int, *arguments: object) -> Callable[[], None]:
    """The function called `times` times in a row, for what is too short for a clock."""
    if smoke:
        times = 1

    def run() -> None:
        for _ in range(times):
            function(*arguments)

    return run


def made(makers: dict[str, Callable[[], Callable[..., object]]], *arguments: object) -> tuple[dict, dict, dict]:
    """What each maker makes, what that returns at its first call, and the seconds for both together."""
    peers, answers, seconds = {}, {}, {}
    for name, make in makers.items():
        gc.collect()
        start = now()
        peers[name] = make()
        answers[name] = peers[name](*arguments)
        seconds[name] = now() - start
    return peers, answers, {name: seconds[name] for name in timed(peers)}


def timed_rows(
    workload: str, measure: str, medians: dict[str, float], unit: str, per: float = 1.0, note: str = ""
) -> list[dict[str, object]]:
    """Rows of medians in a unit (s, ms, µs, ns), divided by `per` operations."""
    scale = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}[unit]
    return [row(workload, peer, measure, seconds * scale / per, unit, note) for peer, seconds in medians.items()]


def build_compiled(checkout: Path, target: Path) -> Path:
    """Build the package of a checkout with Cython into the folder `target`, which is returned."""
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(target / "c"), "--build-lib", str(target)]
    environment = {**os.environ, "MICROGRANND_COMPILED": "1"}
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    if not list((target / OURS).glob("engine.*.so")):
        raise RuntimeError(f"The compiled build of {checkout} failed: {done.stderr.strip()}")
    return target


@functools.cache
def compiled_build() -> dict[str, ModuleType] | None:
    """The modules of the build by Cython, made and loaded beside the package that runs; None without Cython or cc."""
    if smoke or not installed("cython") or not which("cc"):
        return None
    target = build_compiled(Path(__file__).parents[1], RESULTS / "compiled")
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == OURS}
    sys.path.insert(0, str(target))
    try:
        for name in ("engine", "nn", "optim", "losses"):
            import_module(f"{OURS}.{name}")
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == OURS}
    finally:
        sys.path.remove(str(target))
        sys.modules |= ours


C_FLAGS = {
    "C by hand, cc -O3": ("-O3", "-march=native"),
    "C by hand, cc -O3 -ffast-math": ("-O3", "-march=native", "-ffast-math"),
}


def has_cc() -> bool:
    """Whether C can be compiled for a peer; a missing compiler is reported once."""
    if alone():
        return False
    if not which("cc") and "cc" not in missing:
        missing.append("cc")
        print("there is no C compiler, cc: skipped", file=sys.stderr)
    return bool(which("cc"))


def c_library(source: str, *flags: str) -> ctypes.CDLL | None:
    """A piece of C, compiled by the system's compiler; None where there is none."""
    if not has_cc():
        return None
    folder = RESULTS / "c"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{zlib.crc32(' '.join([source, *flags]).encode()):x}"
    (folder / f"{name}.c").write_text(source)
    library = folder / f"{name}.so"
    subprocess.run(["cc", *flags, "-shared", "-fPIC", f"{folder / name}.c", "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def installed(*packages: str) -> list[str]:
    """Those of the peers' packages that are installed; the others are named on standard error."""
    if alone():
        return []
    found = []
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            if package not in missing:
                missing.append(package)
                print(f"{package} is not installed: skipped", file=sys.stderr)
        else:
            found.append(package)
    return found


def loaded(*packages: str) -> list[str]:
    """Those that are installed, imported here: the time of an import is measured by the workload of that name alone."""
    found = installed(*packages)
    for package in found:
        if package not in sys.modules:
            import_module(package.replace("-", "_"))
    return found


def left_out(workload: str, peer: str, why: str) -> None:
    """Name a peer that is installed but cannot do this work."""
    omitted.append(f"{peer}: {why}")
    print(f"{workload}: {peer} is left out: {why}", file=sys.stderr)


def print_rows(rows: list[dict[str, object]]) -> None:
    """A table: each measure with its peers, and each peer's multiple of ours and of the fastest C."""
    ours: dict[object, float] = {}
    in_c: dict[object, float] = {}
    for r in rows:
        figure = float(r["median"])  # type: ignore[arg-type]
        if r["peer"] == OURS:
            ours[r["measure"]] = figure
        elif str(r["peer"]).startswith("C "):
            in_c[r["measure"]] = min(figure, in_c.get(r["measure"], math.inf))
    print(f"{'workload':8} {'measure':42} {'peer':31} {'median':>12}      {'to ours':>9} {'to C':>9}")
    for r in rows:
        ratios = [_ratio(float(r["median"]), to.get(r["measure"])) for to in (ours, in_c)]  # type: ignore[arg-type]
        figure_and_unit = f"{r['median']:12,.4g} {r['unit']:4}"
        print(f"{r['workload']:8} {r['measure']:42} {r['peer']:31} {figure_and_unit} {' '.join(ratios)}  {r['note']}")


def _ratio(figure: float, to: float | None) -> str:
    return f"{figure / to:9,.2f}" if to else " " * 9


def save_rows(workload: str, rows: list[dict[str, object]], path: Path) -> None:
    """Save a workload's rows as JSON, with what they were measured on; the rows of other workloads are kept."""
    measured = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
        "versions": versions,
        "missing": missing,
        "omitted": omitted,
        "threads": os.environ.get("OMP_NUM_THREADS", "as the libraries choose"),
        "seconds": round(time.perf_counter() - STARTED, 1),
        "command": f"python -m benchmarks {workload}{' --smoke' * smoke}",
    }
    saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    saved[workload] = {"measured": measured, "rows": rows}
    saved = {name: saved[name] for name in WORKLOADS if name in saved}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(saved, indent=1, ensure_ascii=False), encoding="utf-8")
