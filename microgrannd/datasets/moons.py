"""Two interleaved half circles, as in scikit-learn's `make_moons`."""

import math
import random

from microgrannd.datasets.samples import Samples
from microgrannd.ground.arguments import whole_number
from microgrannd.operations import as_float


def moons(n: int = 100, noise: float = 0.1, seed: int | None = 0) -> Samples:
    """n points on two half circles, with Gaussian noise of that standard deviation, in random order.

    Class 0 is the upper half circle around (0, 0), class 1 the lower one around (1, ½).

    >>> points = moons(4, noise=0.0, seed=1)
    >>> sorted((label, round(x, 6), round(y, 6)) for (x, y), label in zip(*points))
    [(0, -1.0, 0.0), (0, 1.0, 0.0), (1, 0.0, 0.5), (1, 2.0, 0.5)]
    """
    n, noise = whole_number("n", n), as_float(noise)
    if n < 2:
        raise ValueError(f"Two moons have at least 2 points, got n={n}.")
    if not noise >= 0:
        raise ValueError(f"The noise is a standard deviation, at least 0; got {noise}.")
    generator = random.Random(None if seed is None else whole_number("seed", seed))
    upper = [(math.cos(t), math.sin(t)) for t in _angles(n // 2)]
    lower = [(1 - math.cos(t), 0.5 - math.sin(t)) for t in _angles(n - n // 2)]
    points = [(x, y, 0) for x, y in upper] + [(x, y, 1) for x, y in lower]
    generator.shuffle(points)
    return Samples(
        [[x + noise * generator.gauss(0, 1), y + noise * generator.gauss(0, 1)] for x, y, _ in points],
        [label for _, _, label in points],
    )


def _angles(count: int) -> list[float]:
    return [math.pi * i / max(1, count - 1) for i in range(count)]
