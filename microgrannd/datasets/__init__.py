"""Data to train on: `iris` comes with the package, `moons` is made on the spot.

Each gives its samples as `Samples`, which `fit` takes as they are.
"""

from microgrannd.datasets.iris import Iris, iris
from microgrannd.datasets.moons import moons
from microgrannd.datasets.samples import Samples

__all__ = ["Iris", "Samples", "iris", "moons"]
