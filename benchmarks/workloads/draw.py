"""Drawing graphs of MLP losses, beside Graphviz's dot: the time to SVG, crossing edges, a million nodes."""

from __future__ import annotations

import gc
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

from benchmarks import harness
from benchmarks.harness import OURS, interleaved, peak_memory, print_rows, row
from microgrannd import Value, operations
from microgrannd.drawing import Drawing, draw
from microgrannd.engine import topological_order

NAME = "draw"

# By the approximate number of nodes: the network's sizes and the number of samples.
GRAPHS = {
    150: ((2, 4, 4, 1), 2),
    400: ((3, 4, 4, 1), 5),
    1_300: ((4, 8, 8, 1), 5),
    5_500: ((4, 8, 8, 1), 23),
    22_000: ((6, 16, 16, 1), 28),
}
AT_MOST = {150: 0.020, 400: 0.060, 1_300: 0.2, 5_500: 1.2, 22_000: 8.0}  # seconds to SVG
PATIENCE = 60  # seconds that dot gets

Polyline = list[tuple[float, float]]


def mlp_loss(sizes: tuple[int, ...], samples: int, *, fused: bool = False) -> Value:
    """The squared error of a tanh network, after backward(), in small multiplies and adds, or in `dot`s."""
    number = random.Random(0).uniform
    layers = [
        [([Value(number(-1, 1), f"w{k}{j}{i}") for i in range(n)], Value(0.0, f"b{k}{j}")) for j in range(m)]
        for k, (n, m) in enumerate(pairwise(sizes))
    ]
    total = None
    for _ in range(samples):
        activations = [Value(number(-1, 1), f"x{i}") for i in range(sizes[0])]
        for layer in layers:
            last = layer is layers[-1]
            sums = [_weighted(weights, activations, bias, fused) for weights, bias in layer]
            activations = sums if last else [z.tanh() for z in sums]
        for a in activations:
            error = (a - 1.0) ** 2
            total = error if total is None else total + error
    total.backward()
    return total


def _weighted(weights: list[Value], inputs: list[Value], bias: Value, fused: bool) -> Value:
    if fused:
        return operations.dot(weights, inputs, bias)
    z = bias
    for w, x in zip(weights, inputs, strict=True):
        z = z + w * x
    return z


def dot_svg(text: str) -> bytes:
    return subprocess.run(
        ["dot", "-Tsvg"], input=text.encode(), capture_output=True, check=True, timeout=PATIENCE
    ).stdout


def dot_edges(drawing: Drawing) -> tuple[list[Polyline], list[tuple[int, int]]]:
    """The curves of dot's edges, as drawn, and which nodes they join."""
    number = {node.id: i for i, node in enumerate(drawing.picture.nodes)}
    command = ["dot", "-Tplain", "-y"]
    plain = subprocess.run(command, input=drawing.dot, capture_output=True, check=True, text=True).stdout
    curves, ends = [], []
    for line in plain.replace("\\\n", "").splitlines():
        if line.startswith("edge "):
            _, tail, head, count, *rest = shlex.split(line)
            points = [(float(rest[2 * i]), float(rest[2 * i + 1])) for i in range(int(count))]
            curves.append(flattened(points))
            ends.append((number[tail], number[head]))
    return curves, ends


def our_edges(drawing: Drawing) -> tuple[list[Polyline], list[tuple[int, int]]]:
    """The same for our layout, which is made of curves with level ends and straight lines."""
    curves = []
    for path in drawing.geometry.paths:
        points = [path[0]]
        for i, (x, y) in enumerate(path[1:]):
            from_x, from_y = points[-1]
            middle = (from_x + x) / 2
            points += [(from_x, from_y), (x, y), (x, y)] if i % 2 else [(middle, from_y), (middle, y), (x, y)]
        curves.append(flattened(points))
    return curves, [(edge.source, edge.target) for edge in drawing.picture.edges]


def flattened(points: Polyline, steps: int = 8) -> Polyline:
    """A chain of cubic Bézier curves as short straight lines."""
    line = [points[0]]
    for k in range(0, len(points) - 3, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[k : k + 4]
        if (ax, ay) == (dx, dy):
            continue
        for step in range(1, steps + 1):
            t = step / steps
            a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
            line.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return line


def crossings(curves: list[Polyline], ends: list[tuple[int, int]]) -> int:
    """How many pairs of edges that share no node cross, counted from their coordinates."""
    pieces = sorted(
        (min(a[0], b[0]), max(a[0], b[0]), min(a[1], b[1]), max(a[1], b[1]), edge, a, b)
        for edge, curve in enumerate(curves)
        for a, b in pairwise(curve)
    )
    crossing = set()
    active: list[tuple] = []
    for piece in pieces:
        left, _, low, high, edge, a, b = piece
        active = [other for other in active if other[1] >= left]
        for _, _, its_low, its_high, other, c, d in active:
            apart = its_low > high or its_high < low or other == edge
            if apart or set(ends[edge]) & set(ends[other]):
                continue
            if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
                crossing.add((min(edge, other), max(edge, other)))
        active.append(piece)
    return len(crossing)


def _side(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def run() -> list[dict[str, object]]:
    has_dot = shutil.which("dot") is not None and not harness.alone()
    if not has_dot:
        print("Graphviz's dot is not installed: skipped", file=sys.stderr)
    rows = _times(has_dot)
    if has_dot:
        rows += _crossings()
    return rows + ([] if harness.smoke or harness.alone() else _million())


def _times(has_dot: bool) -> list[dict[str, object]]:
    rows = []
    patient = has_dot
    for size, (sizes, samples) in list(GRAPHS.items())[: 2 if harness.smoke else 3 if harness.alone() else None]:
        loss = mlp_loss(sizes, samples)
        count = len(topological_order(loss))
        peers = {OURS: lambda loss=loss: draw(loss, fold="none").svg}
        if patient:
            text = draw(loss, fold="none").dot
            peers["dot"] = lambda text=text: dot_svg(text)
        measure = f"{count:,} nodes to SVG"
        rounds = 7 if size < 5_000 else 1
        try:
            medians = interleaved(peers, rounds=rounds, warmups=1 if size < 5_000 else 0)
        except subprocess.TimeoutExpired:
            patient = False
            medians = interleaved({OURS: peers[OURS]}, rounds=rounds)
            rows.append(row(NAME, "dot", measure, PATIENCE * 1e3, "ms", "and more: stopped"))
        processor = _processor_time(peers[OURS], 3) * 1e3  # what it takes where the machine is not busy otherwise
        note = f"at most {AT_MOST[size] * 1e3:g}; {processor:.4g} ms of processor time"
        rows += [row(NAME, peer, measure, s * 1e3, "ms", note if peer == OURS else "") for peer, s in medians.items()]
    return rows


def _processor_time(function: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def _crossings() -> list[dict[str, object]]:
    rows = []
    graphs = [(*GRAPHS[150], False), ((3, 4, 1), 4, False), (*GRAPHS[400], False), ((2, 6, 6, 1), 3, False)]
    for sizes, samples, fused in graphs[:1] if harness.smoke else [*graphs, ((4, 8, 8, 1), 5, True)]:
        drawing = draw(mlp_loss(sizes, samples, fused=fused), fold="none")
        name = "-".join(map(str, sizes)) + (" of dot products" if fused else "")
        measure = f"crossings, {name}, {len(drawing.picture.nodes)} nodes"
        for peer, edges in ((OURS, our_edges(drawing)), ("dot", dot_edges(drawing))):
            rows.append(row(NAME, peer, measure, crossings(*edges), "", "at most 1.15 times dot's"))
    return rows


def _million() -> list[dict[str, object]]:
    """In a process of its own, so that the memory is this graph's and no other's."""
    code = "from benchmarks.workloads.draw import million; million()"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    seconds, processor, megabytes, nodes = output.split()
    measure = f"summary of {int(nodes):,} nodes"
    return [
        row(NAME, OURS, measure, float(seconds), "s", f"at most 10; {float(processor):.4g} s of processor time"),
        row(NAME, OURS, measure + ", with the graph", float(megabytes), "MB", "at most 2,000"),
    ]


def million() -> None:
    loss = mlp_loss((8, 32, 32, 1), 370)
    nodes = len(topological_order(loss))
    start, processor = time.perf_counter(), time.process_time()
    draw(loss).svg  # noqa: B018
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    print(seconds, processor, peak_memory(), nodes)


if __name__ == "__main__":
    print_rows(run())
