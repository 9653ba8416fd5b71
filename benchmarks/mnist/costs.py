"""What the matrix program costs before and beside its arithmetic: the time to the first step, and the memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np

from benchmarks import harness
from benchmarks.harness import OURS, row
from benchmarks.mnist.peers import BATCH, NAME, SIZES, Native, NumpyByHand, Ours


def first_step(sizes, expand, softmax=False, backend="numpy"):
    """Seconds from the scalar code to the first minibatch done: trace, gradients, matrices, run."""
    import microgrannd as mg
    from microgrannd.losses import half_squared_error, softmax_cross_entropy

    inputs, *outputs = sizes
    kinds = ("relu", "linear") if softmax else ("sigmoid", "sigmoid")
    network = mg.MLP(inputs, outputs, *kinds, seed=0, init=(0.5, 0.5), expand=expand)
    loss = softmax_cross_entropy if softmax else half_squared_error
    x, y = np.random.default_rng(0).random((BATCH, inputs)), np.eye(sizes[-1])[np.arange(BATCH) % sizes[-1]]
    start = harness.now()
    compiled = mg.compile(lambda x, y: loss(network(x), y), backend=backend)
    compiled.fit((x, y), mg.optim.SGD(network.parameters(), lr=1.0), epochs=1, batch_size=BATCH)
    return harness.now() - start


STEPS_TO = {
    "to the first step, 26,252 nodes, with dot": (SIZES, False),
    "to the first step, 95,263 nodes, sums of products": (SIZES, True),
    "to the first step, 784-50-10, ReLU and softmax": ((784, 50, 10), False, True),
}
SIZES_TO_COMPARE = ((49, 25, 13, 10), (98, 50, 25, 10), SIZES)


def first_step_rows():
    rounds = 1 if harness.smoke or harness.alone() else 3
    rows = []
    for measure, arguments in list(STEPS_TO.items())[: 1 if harness.smoke else 2 if harness.alone() else None]:
        for name, backend in ((OURS, "numpy"), (f"{OURS}, native", "native")):
            seconds = sorted(first_step(*arguments, backend=backend) for _ in range(rounds))[rounds // 2]
            rows.append(row(NAME, name, measure, seconds, "s", "trace, gradients, matrices, run"))
    if harness.smoke or harness.alone():
        return rows
    weights = [sum((n + 1) * m for n, m in pairwise(sizes)) for sizes in SIZES_TO_COMPARE]
    seconds = [min(first_step(sizes, True) for _ in range(2)) for sizes in SIZES_TO_COMPARE]
    slope = np.polyfit(np.log(weights), np.log(seconds), 1)[0]
    note = "time ~ size to this power, over " + ", ".join("-".join(map(str, sizes)) for sizes in SIZES_TO_COMPARE)
    return [*rows, row(NAME, OURS, "to the first step, the exponent of growth", slope, "", note)]


def memory_of(name):
    """Print the peak of this process in MB, and that of Python's and NumPy's blocks while it does the work again."""
    if name == "NumPy by hand":  # whose weights come from no model: scalars of ours would be on its bill
        numbers = np.random.default_rng(0)
        layers = [(numbers.uniform(-0.5, 0.5, (n, m)), numbers.uniform(-0.5, 0.5, m)) for n, m in pairwise(SIZES)]
        work = NumpyByHand(layers)
    else:
        work = {OURS: Ours, f"{OURS}, native": Native}[name]()
    work()
    peak = harness.peak_memory()
    tracemalloc.start()
    work()
    print(peak, tracemalloc.get_traced_memory()[1] / 1e6)


def memory_rows():
    """Each in a process of its own."""
    if harness.smoke:
        return []
    rows = []
    for name in harness.timed((OURS, f"{OURS}, native", "NumPy by hand")):
        code = f"from benchmarks.mnist import costs; costs.memory_of({name!r})"
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
        peak, training = map(float, output.split())
        rows += [
            row(NAME, name, "memory, peak of the process", peak, "MB", "import, trace and twenty minibatches"),
            row(NAME, name, "memory, taken while it trains", training, "MB", "what a minibatch needs beside the data"),
        ]
    return rows
