"""A minibatch of 64 through the 196-100-50-10 network: forward, backward and update, as the book trains it.

The network is built of scalars; the peers on arrays are written with matrices by hand. Every peer's weights
after twenty steps are held against NumPy's before anything is timed. Engines of scalars do one sample, whose
gradients are held against NumPy's, and a minibatch is 64 times that.
"""

from __future__ import annotations

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.mnist import c_by_hand, numba_by_hand
from benchmarks.harness import OURS, interleaved, loaded, row, timed_rows
from benchmarks.mnist import costs, in_scalars
from benchmarks.mnist.peers import (
    BATCH,
    NAME,
    RATE,
    SIZES,
    STEPS,
    Autograd,
    Jax,
    Native,
    NumpyByHand,
    Ours,
    SampleBySample,
    Torch,
    batch,
    batches,
    first_weights,
    program,
)

MANY = 100  # times the steps, in one `fit` of ours, whose own start and end would show in few


def makers():
    """What makes each peer that trains with matrices."""
    weights = first_weights()
    found = {OURS: Ours, f"{OURS}, native": Native}
    by_hand = {"NumPy by hand": NumpyByHand, "NumPy by hand, sample by sample": SampleBySample}
    known = {"jax": ("JAX jit", Jax), "torch": ("PyTorch", Torch), "autograd": ("autograd", Autograd)}
    on_arrays = by_hand | dict(known[package] for package in loaded(*known))
    found |= {name: lambda peer=peer: peer(weights) for name, peer in on_arrays.items()}
    if loaded("numba"):
        found["numba by hand"] = lambda: numba_by_hand(first_weights, batches, RATE / BATCH)
    return found | c_by_hand(first_weights, batches, RATE / BATCH)


def minibatch_rows():
    found, _, first = harness.made(makers())
    wanted = found["NumPy by hand"].weights()
    for name, peer in found.items():
        assert all(np.abs(a - b).max() < 1e-9 for a, b in zip(peer.weights(), wanted, strict=True)), name
    times = {name: 1 if harness.smoke or not isinstance(peer, Ours) else MANY for name, peer in found.items()}
    calls = {name: peer for name, peer in found.items() if times[name] == 1}
    calls |= {name: lambda peer=found[name]: peer(STEPS * MANY) for name in found if times[name] > 1}
    medians = {name: seconds / times[name] for name, seconds in interleaved(calls, rounds=15).items()}
    rows = timed_rows(NAME, "a minibatch of 64", medians, "µs", per=STEPS)
    note = "made, compiled, and twenty minibatches; the import is apart"
    return rows, [row(NAME, name, "to the first twenty minibatches", s, "s", note) for name, s in first.items()]


def run():
    started = costs.first_step_rows()  # before the peers are imported, whose modules would be on the bill
    rows, first = minibatch_rows()
    rows += in_scalars.rows(first_weights(), *[array[0] for array in batch()], BATCH)
    compiled, _ = program()
    compiled.trace([0.5] * SIZES[0], [0.0] * SIZES[-1])
    lines = sum(" = " in line for line in compiled.matrix_source.splitlines())
    rows += [*first, row(NAME, OURS, "array statements found", lines, "", "")]
    return rows + started + costs.memory_rows()


if __name__ == "__main__":
    harness.print_rows(run())
