"""Random scalar code with matrices hidden in it, and code with none: rolled against unrolled.

A tenth of MICROGRANND_RANDOM_GRAPHS is how many.
"""

import os
import random

import pytest

from microgrannd import Value
from microgrannd import operations as mg
from tests.compiler.test_matrices import check

COUNT = int(os.environ.get("MICROGRANND_RANDOM_GRAPHS", "1200")) // 10
KINDS = ["dot", "tanh", "chain", "elementwise", "polynomial", "mean", "grid", "logsumexp"]


def stage(generator, kind, width, same, current, weights, everything):
    """A list of scalars of the lists; `same` positions in each of them, or new ones for each."""

    def drawn():
        count = generator.randint(1, 5)
        return [(generator.randrange(len(current)), generator.randrange(len(weights))) for _ in range(count)]

    positions, found = drawn(), []
    for i in range(width):
        positions = positions if same else drawn()
        a = [current[p] for p, _ in positions]
        b = [weights[(q + i * len(positions)) % len(weights)] for _, q in positions]
        pairs = list(zip(a, b, strict=True))
        x, w = current[i % len(current)], weights[i % len(weights)]
        found.append(
            {
                "dot": lambda a=a, b=b, w=w: mg.dot(a, b, w),
                "tanh": lambda a=a, b=b: mg.tanh(mg.dot(a, b) - generator.choice([1.0, 2.0, current[0]])),
                "chain": lambda pairs=pairs: sum((p * q * generator.choice([1.0, -1.0, 0.5]) for p, q in pairs), 0.0),
                "elementwise": lambda x=x: mg.sin(x * generator.choice(everything)) - generator.choice(everything),
                "polynomial": lambda a=a, b=b: a[0] * a[0] * b[0] - a[-1] * 3 + b[-1] * b[0],
                "mean": lambda pairs=pairs: mg.mean([p - q for p, q in pairs]) / 3,
                "grid": lambda x=x, i=i: x * weights[i // len(current) % len(weights)],
                "logsumexp": lambda a=a, b=b: mg.logsumexp([*a, *b[:1]]),
            }[kind]()
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_random_code_agrees_with_the_scalar_tape(part):
    for seed in range(part, COUNT, 4):
        generator = random.Random(seed)
        inputs = generator.randint(1, 6)
        weights = [Value(generator.uniform(-1, 1)) for _ in range(generator.randint(1, 12))]
        stages = [
            (generator.choice(KINDS), generator.randint(1, 6), generator.random() < 0.5, generator.randrange(10**6))
            for _ in range(generator.randint(1, 4))
        ]

        def function(x, y, stages=stages, weights=weights):
            current, everything = list(x), [*x, *weights, y]
            for kind, width, same, own in stages:
                current = stage(random.Random(own), kind, width, same, current, weights, everything)
                everything += current
            return mg.sum([mg.sigmoid(v) for v in current]) * 0.5

        check(function, ([0.3] * inputs, 0.2))
