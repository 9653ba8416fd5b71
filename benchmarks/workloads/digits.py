"""The full training runs on MNIST: what `microgrannd mnist` does, its accuracy and seconds over three seeds.

The images come from the folder that MICROGRANND_DATA names, or from the cache; nothing is fetched.
"""

from __future__ import annotations

import statistics
import time

from microgrannd.mnist_program import RECIPES, confusion, network, train

from benchmarks import harness
from benchmarks.harness import OURS
from microgrannd.datasets.mnist import mnist

NAME = "digits"
SEEDS = (0, 1, 2)


def run_of(recipe, seed):
    """The accuracy on the 10,000 test images, and the seconds of everything, reading the files included."""
    start = time.perf_counter()
    data = mnist(small=recipe.sizes[0] == 14 * 14, download=False)
    model = network(recipe, seed)
    minibatches = 20 if harness.smoke else recipe.minibatches
    train(model, recipe, data.train, minibatches, recipe.rate, seed=seed)
    accuracy = confusion(model, data).accuracy
    return accuracy, time.perf_counter() - start


def run():
    try:
        mnist(download=False)
    except FileNotFoundError:
        harness.left_out(NAME, "MNIST", "its four files are not here; MICROGRANND_DATA names their folder")
        return []
    rows = []
    for name, recipe in RECIPES.items():
        sizes = "-".join(map(str, recipe.sizes))
        count = 20 if harness.smoke else recipe.minibatches
        measure = f"{sizes}, {count:,} minibatches of {recipe.batch_size}"
        found = [run_of(recipe, seed) for seed in SEEDS[: 1 if harness.smoke else None]]
        accuracies = [accuracy for accuracy, _ in found]
        each = "seeds 0, 1, 2: " + ", ".join(f"{accuracy:.4f}" for accuracy in accuracies)
        note = f"the network that `microgrannd mnist --network {name}` trains; reading and testing included"
        rows += [
            harness.row(NAME, OURS, measure, statistics.median(seconds for _, seconds in found), "s", note),
            harness.row(NAME, OURS, f"{sizes}, accuracy, mean of the seeds", statistics.mean(accuracies), "", each),
            harness.row(NAME, OURS, f"{sizes}, accuracy, lowest of the seeds", min(accuracies), "", each),
        ]
    return rows


if __name__ == "__main__":
    harness.print_rows(run())
