"""`import microgrannd` in a fresh interpreter, above an empty one; and what it loads.

Timed by the processor: what the interpreters that have ended took of it.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.harness import OURS, installed, interleaved, print_rows, row

NAME = "import"
EMPTY = f"{OURS}, not imported"


def interpreter(code):
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def time_of_children():
    """What the interpreters that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run():
    imports = {OURS: "import microgrannd"}
    imports |= {name: f"import {name}.engine" for name in installed("micrograd")}
    imports |= {name: f"import {name}" for name in installed("minigrad", "oxigrad", "xad", "autograd", "casadi")}
    imports |= {name: f"import {name}" for name in installed("numba", "torch", "jax")}
    imports |= dict.fromkeys(installed("micrograd-rust"), "import micrograd_rust")
    peers = {EMPTY: interpreter("pass")} | {n: interpreter(c) for n, c in imports.items()}
    medians = interleaved(peers, rounds=5, clock=time_of_children)
    empty = medians.pop(EMPTY)
    rows = [row(NAME, name, "import", max(seconds - empty, 0.0) * 1e3, "ms", "") for name, seconds in medians.items()]
    outside = (
        "import sys; before = set(sys.modules); import microgrannd; "
        "print(len({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names - {'microgrannd'}))"
    )
    count = subprocess.run([sys.executable, "-c", outside], check=True, capture_output=True, text=True).stdout
    return [*rows, row(NAME, OURS, "modules from outside the standard library", int(count), "")]


if __name__ == "__main__":
    print_rows(run())
