"""A training as a page: what the model makes of the plane at each step, beside the loss, the weights and the passes."""

from __future__ import annotations

import json
import random
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple

from microgrannd.drawing.player.player import Player
from microgrannd.drawing.player.recording import Recording, playable_order, record
from microgrannd.drawing.player.training_recording import loss_of_sample, record_training, samples_of
from microgrannd.engine import Value
from microgrannd.ground.modes import no_grad
from microgrannd.operations import is_number
from microgrannd.optim import Optimizer
from microgrannd.printing.labels import in_script

RESOLUTION: Final = 32  # of the plane, along each side
MARGIN: Final = 0.15  # of the samples' range, around them


class Plane(NamedTuple):
    """Samples with two inputs, the rectangle around them, and the heights of the model there, step by step."""

    points: list[tuple[float, float, float]]  # the inputs, and the target
    edges: tuple[float, float, float, float]  # left, right, bottom, top
    level: float | None  # the height of the boundary, between the two targets
    heights: list[list[float]]  # row by row from the bottom


class TrainingPlayer(Player):
    """The player of a training; `plane` is None where a sample has not two inputs and one output."""

    def __init__(
        self, recording: Recording, order: Sequence[Value], plane: Plane | None = None, sample: Player | None = None,
        parameters: Sequence[dict[str, float]] = (),
    ) -> None:  # fmt: skip
        super().__init__(recording, order)
        self.plane, self.sample, self.parameters = plane, sample, list(parameters)

    @cached_property
    def html(self) -> str:
        """The page: that of the player, with the plane above the panel and the graph of a sample on demand."""
        page = Player.html.func(self)  # type: ignore[attr-defined]
        if self.plane is None:
            return str(page)
        style, script = _asset("training.css"), _asset("training.js")
        sample = self.sample.html if self.sample else ""
        scripts = "".join(f" {found}" for found in re.findall(r"script-src ([^;]*);", sample)[:1])
        policy = f"script-src {_hash(script)}{scripts} "
        page = page.replace("script-src ", policy, 1).replace(
            "style-src ", f"frame-src blob:; style-src {_hash(style)} ", 1
        )
        data = {**self.plane._asdict(), "resolution": RESOLUTION, "sample": sample, "parameters": self.parameters}
        added = (
            f'<style>{style}</style><script type="application/json" id="training-data">'
            f"{in_script(json.dumps(data, allow_nan=False))}</script><script>{script}</script>\n</body>"
        )
        start, _, end = page.rpartition("</body>")
        return f"{start}{added}{end}"


def training_player(
    model: Value | Callable[..., Any], data: Sequence[Any], loss: str | Callable[..., Value] | None,
    optimizer: Optimizer | None, steps: int,
) -> TrainingPlayer:  # fmt: skip
    """Train, and record the passes and what becomes of the plane."""
    frames: list[list[float]] = []
    numbers: list[dict[str, float]] = []
    sample: Player | None = None
    plane: Plane | None = None
    leaves: dict[str, Value] = {}

    def watch() -> None:
        nonlocal plane, sample
        state = random.getstate()  # what is only looked at draws nothing from the training
        try:
            if not frames:
                plane = _plane(model, data, loss, frames)
                if plane:
                    sample, found = _sample_player(model, plane, loss)
                    leaves.update(found)
            if plane:
                frames.append(_heights(model, plane))
                numbers.append({name: leaf.data for name, leaf in leaves.items()})
        except (ArithmeticError, TypeError, ValueError):  # a model that is not for every point of the plane
            plane = None
        random.setstate(state)

    recording, order = record_training(model, data, loss, optimizer, steps, watch)
    return TrainingPlayer(recording, order, plane, sample, numbers)


def _plane(model: Any, data: Sequence[Any], loss: Any, frames: list[list[float]]) -> Plane | None:
    """None unless a sample is two numbers and a target, and the model gives one number."""
    samples = samples_of(data)
    if loss is None or not samples or len(samples[0]) != 2:
        return None
    if not all(_is_pair(x) and is_number(y) for x, y in samples) or not isinstance(model(samples[0][0]), Value):
        return None
    points = [(float(x[0]), float(x[1]), float(y)) for x, y in samples]
    targets = sorted({y for *_, y in points})
    logits = "logits" in (name := loss if isinstance(loss, str) else getattr(loss, "__name__", "")) or "hinge" in name
    level = None if len(targets) != 2 else 0.0 if logits else (targets[0] + targets[1]) / 2
    left, right = _around([x for x, _, _ in points])
    bottom, top = _around([y for _, y, _ in points])
    return Plane(points, (left, right, bottom, top), level, frames)


def _is_pair(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) == 2 and all(map(is_number, x))


def _around(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    margin = MARGIN * (high - low or 1.0)
    return low - margin, high + margin


def _heights(model: Any, plane: Plane) -> list[float]:
    """The model's output in the middle of each cell, in three digits; what is no finite number is as the level is."""
    left, right, bottom, top = plane.edges
    middle = [(i + 0.5) / RESOLUTION for i in range(RESOLUTION)]
    with no_grad():
        found = [model([left + u * (right - left), bottom + v * (top - bottom)]).data for v in middle for u in middle]
    return [float(f"{x:.3g}") if abs(x) < 1e300 else plane.level or 0.0 for x in found]


def _sample_player(model: Any, plane: Plane, loss: Any) -> tuple[Player | None, dict[str, Value]]:
    """The player of a sample's loss, whose page takes other numbers; and its parameters by their names there."""
    (x0, x1, y), loss_of = plane.points[0], loss_of_sample(model, loss)
    try:
        output = loss_of([Value(x0, "x0"), Value(x1, "x1")], Value(y, "y"))
    except (TypeError, ValueError):  # a loss that takes plain labels only
        return None, {}
    order = playable_order(output)
    leaves = [node for node in order if node.op is None and not node.is_constant]
    before = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = 0.0
    player = Player(record(order), order)
    for leaf, gradient in zip(leaves, before, strict=True):
        leaf.grad = gradient
    paths = {node: described.path for node, described in zip(order, player.recording.nodes, strict=True)}
    return player, {paths[leaf]: leaf for leaf in leaves if paths[leaf] not in ("x0", "x1", "y")}


def _asset(name: str) -> str:
    return files("microgrannd.drawing.player").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
