"""Data to train on: `iris` comes with the package, `moons` is generated, `mnist` is downloaded once."""

from microgrannd.datasets.iris import Iris, iris
from microgrannd.datasets.mnist import Mnist, mnist
from microgrannd.datasets.moons import moons
from microgrannd.datasets.samples import Samples

__all__ = ["Iris", "Mnist", "Samples", "iris", "mnist", "moons"]
