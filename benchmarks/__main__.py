"""Run the workloads named on the command line, or all of them, and print and save the figures.

python -m benchmarks [WORKLOAD ...] [--json FILE] [--write PAGE] [--smoke] [--alone]
python -m benchmarks [WORKLOAD ...] --against CHECKOUT [--rounds N] [--compiled]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks import against, harness, report


def main() -> int:
    """Run, print, save; the exit status is the number of workloads that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Every peer on the same work.")
    parser.add_argument("workload", nargs="*", help=f"which to run (all): {', '.join(harness.WORKLOADS)}")
    parser.add_argument("--json", type=Path, default=harness.RESULTS / "latest.json", help="where to save the figures")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page of all saved figures, as Markdown")
    parser.add_argument("--smoke", action="store_true", help="one round of little work, to see that all runs")
    parser.add_argument("--alone", action="store_true", help="microgrannd without its peers, in less time")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with the package of another checkout")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison (5)")
    parser.add_argument("--compiled", action="store_true", help="compare the compiled builds")
    arguments = parser.parse_args()
    unknown = set(arguments.workload) - set(harness.WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(harness.WORKLOADS)}")
    if arguments.against:
        chosen = arguments.workload or [name for name in harness.WORKLOADS if name != "digits"]  # which takes minutes
        against.compare(arguments.against, chosen, arguments.rounds, compiled=arguments.compiled)
        return 0
    if arguments.alone:
        harness.be_alone()
    chosen = arguments.workload or harness.WORKLOADS
    failed = 0
    if len(chosen) == 1:
        [name] = chosen
        harness.smoke = arguments.smoke
        rows = import_module(harness.module_of(name)).run()
        harness.print_rows(rows)
        harness.save_rows(name, rows, arguments.json)
    else:  # each in an interpreter of its own: what one imports and leaves behind is not on another's bill
        for name in chosen:
            start = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks", name, "--json", str(arguments.json)]
            status = subprocess.run([*command, *["--smoke"] * arguments.smoke], check=False).returncode
            print(f"{name} took {time.perf_counter() - start:.1f} s", file=sys.stderr)
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
