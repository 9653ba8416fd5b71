"""Run the workloads named on the command line, or all of them, and print and save the figures.

python -m benchmarks [WORKLOAD ...] [--json FILE]
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks.harness import print_rows, save_rows

WORKLOADS = sorted(
    module.name for module in iter_modules([str(Path(__file__).parent)]) if module.name not in ("__main__", "harness")
)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Every peer on the same work.")
    parser.add_argument("workload", nargs="*", help=f"which to run (all): {', '.join(WORKLOADS)}")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/latest.json"), help="where to save")
    arguments = parser.parse_args()
    unknown = set(arguments.workload) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    rows = []
    for name in arguments.workload or WORKLOADS:
        found = import_module(f"benchmarks.{name}").run()
        print_rows(found)
        rows += found
    save_rows(rows, arguments.json)
    print(f"saved {arguments.json}")


if __name__ == "__main__":
    main()
