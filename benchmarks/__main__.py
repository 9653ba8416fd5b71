"""Run the workloads named on the command line, or all of them, and print and save the figures.

python -m benchmarks [WORKLOAD ...] [--json FILE] [--write PAGE] [--smoke]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks import harness, report

ROOMS = ("__main__", "harness", "report")
WORKLOADS = sorted(module.name for module in iter_modules([str(Path(__file__).parent)]) if module.name not in ROOMS)
QUICK = ("ops", "moons", "gpt", "startup")


def main() -> int:
    """Run, print, save; the exit status is the number of workloads that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Every peer on the same work.")
    parser.add_argument("workload", nargs="*", help=f"which to run (all): {', '.join(WORKLOADS)}")
    parser.add_argument("--json", type=Path, default=harness.RESULTS / "latest.json", help="where to save the figures")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page of all saved figures, as Markdown")
    parser.add_argument("--smoke", action="store_true", help="one round of the quick ones, to see that they run")
    arguments = parser.parse_args()
    unknown = set(arguments.workload) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    chosen = arguments.workload or [name for name in WORKLOADS if not arguments.smoke or name in QUICK]
    failed = 0
    if len(chosen) == 1:
        harness.smoke = arguments.smoke
        rows = import_module(f"benchmarks.{chosen[0]}").run()
        harness.print_rows(rows)
        harness.save_rows(chosen[0], rows, arguments.json)
    else:  # each in an interpreter of its own: what one imports and leaves behind is not on another's bill
        for name in chosen:
            command = [sys.executable, "-m", "benchmarks", name, "--json", str(arguments.json)]
            status = subprocess.run([*command, *["--smoke"] * arguments.smoke], check=False).returncode
            if status:
                print(f"{name} failed with status {status}", file=sys.stderr)
                failed += 1
        print(f"saved {arguments.json}")
    if arguments.write:
        report.write(arguments.json, arguments.write)
        print(f"wrote {arguments.write}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
