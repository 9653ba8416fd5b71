"""Where parameters start: what `init=` and `seed=` of a network mean."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from microgrannd.ground.arguments import shown, whole_number
from microgrannd.operations import Number, is_number

Weights: TypeAlias = Callable[[random.Random, int, int], float]
Initialisation: TypeAlias = "Number | tuple[Number, Number] | str | Weights"
Draw: TypeAlias = Callable[[], float]
Seed: TypeAlias = "int | random.Random | None"

INITIALISATIONS: Final[dict[str, Callable[[int, int], float]]] = {
    "xavier": lambda inputs, outputs: math.sqrt(6 / (inputs + outputs)),
    "he": lambda inputs, outputs: math.sqrt(6 / inputs),
}


def generator_of(seed: Seed) -> random.Random:
    if seed is None:
        return cast(random.Random, random)  # the module is a generator too, the one that all share
    return cast(random.Random, seed) if hasattr(seed, "uniform") else random.Random(whole_number("seed", seed))


def within_layer(init: Initialisation, inputs: int, outputs: int) -> Initialisation:
    if isinstance(init, str):
        return _half_width(init, inputs, outputs)
    if callable(init):
        return lambda generator, inputs, _: init(generator, inputs, outputs)
    return init


def draws(init: Initialisation, generator: random.Random, inputs: int) -> tuple[Draw, Draw]:
    """What draws a weight, and what draws a bias. A half-width of 0 draws nothing."""

    def uniform(half_width: Number) -> Draw:
        return lambda: generator.uniform(-half_width, half_width) if half_width else 0.0

    if callable(init):
        return lambda: init(generator, inputs, 1), uniform(0)
    if isinstance(init, str):
        init = _half_width(init, inputs, 1)
    widths = init if isinstance(init, tuple | list) else (init, 0)
    if len(widths) != 2 or not all(is_number(width) and width >= 0 for width in widths):
        raise ValueError(f"init is a half-width ≥ 0, a pair of them, a name or a function; got {shown(init)}.")
    return uniform(widths[0]), uniform(widths[1])


def _half_width(name: str, inputs: int, outputs: int) -> float:
    if name not in INITIALISATIONS:
        raise ValueError(f"Unknown initialisation {name!r}; known: {', '.join(INITIALISATIONS)}.")
    return INITIALISATIONS[name](inputs, outputs)
