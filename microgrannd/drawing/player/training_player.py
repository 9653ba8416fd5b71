"""A training as a page: what the model makes of the plane at each step, beside the loss, the weights and the passes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from microgrannd.drawing.picture.lettering import numeral
from microgrannd.drawing.player.page import asset, hashed, in_json, in_page
from microgrannd.drawing.player.player import Player
from microgrannd.drawing.player.recording import Recording, playable_order, record
from microgrannd.drawing.player.training_recording import loss_of_sample, record_training, samples_of
from microgrannd.engine import Value, topological_order
from microgrannd.ground.modes import no_grad
from microgrannd.learning.reached import Reached
from microgrannd.operations import is_number
from microgrannd.optim import Optimizer

FINEST: Final = 32  # resolution of the plane, along each side
COARSEST: Final = 12
COST: Final = 2_000_000  # edges of the model's graph that are computed for all pictures together: some seconds
MARGIN: Final = 0.15  # of the samples' range, around them


class Plane(NamedTuple):
    """Samples with two inputs, the rectangle around them, and the heights of the model there, step by step."""

    points: list[tuple[float, float, float]]  # the inputs, and the target
    edges: tuple[float, float, float, float]  # left, right, bottom, top
    level: float | None  # the height of the boundary, between the two targets
    resolution: int  # cells along each side
    heights: list[list[float | str]]  # row by row from the bottom, in three digits; "nan", "inf" and "-inf" have names


class TrainingPlayer(Player):
    """The player of a training; `plane` is None where a sample has not two inputs and one output.

    `obstacle` says why there is no plane where the model cannot be asked about all of it, `no_sample` why a sample
    has no graph to open.
    """

    def __init__(
        self, recording: Recording, order: Sequence[Value], plane: Plane | None = None, sample: Player | None = None,
        parameters: Sequence[dict[str, float]] = (), obstacle: str = "", no_sample: str = "",
    ) -> None:  # fmt: skip
        super().__init__(recording, order)
        self.plane, self.sample, self.parameters = plane, sample, list(parameters)
        self.obstacle, self.no_sample = obstacle, no_sample

    @cached_property
    def html(self) -> str:
        """The page: that of the player, with the plane above the panel and the graph of a sample on demand."""
        page = Player.html.func(self)  # type: ignore[attr-defined]
        if self.plane is None and not self.obstacle:
            return str(page)
        style, script = asset("training.css"), asset("training.js")
        sample = self.sample.html if self.sample else ""
        scripts = "".join(f" {found}" for found in re.findall(r"script-src ([^;]*);", sample)[:1])
        policy = f"script-src {hashed(script)}{scripts} "
        page = page.replace("script-src ", policy, 1).replace(
            "style-src ", f"frame-src blob:; style-src {hashed(style)} ", 1
        )
        added = (
            f'<style>{style}</style><script type="application/json" id="training-data">'
            f"{in_page(self._plane_data(sample))}</script><script>{script}</script>\n</body>"
        )
        start, _, end = page.rpartition("</body>")
        return f"{start}{added}{end}"

    def _plane_data(self, sample: str) -> dict[str, Any]:
        if self.plane is None:
            return {"obstacle": self.obstacle}
        names = list(self.parameters[0]) if self.parameters else []
        numbers = [[in_json(x) for x in at_a_step.values()] for at_a_step in self.parameters]
        data: dict[str, Any] = {"sample": sample, "no_sample": self.no_sample}
        data |= {"names": names, "numbers": numbers}
        return {**self.plane._asdict(), **data}


def training_player(
    model: Value | Callable[..., Any], data: Sequence[Any], loss: str | Callable[..., Value] | None,
    optimizer: Optimizer | None, steps: int,
) -> TrainingPlayer:  # fmt: skip
    """Train, and record the passes and what becomes of the plane."""
    watcher = _Watcher(model, data, loss)
    recording, order = record_training(model, data, loss, optimizer, steps, watcher.watch)
    numbers = [dict(zip(watcher.leaves, row, strict=True)) for row in watcher.numbers]
    plane = None if watcher.obstacle else watcher.plane
    return TrainingPlayer(recording, order, plane, watcher.sample, numbers, watcher.obstacle, watcher.no_sample)


class _Watcher:
    """Looks at the plane as training goes on, and changes nothing that the model can see."""

    def __init__(self, model: Any, data: Sequence[Any], loss: Any) -> None:
        self.model, self.data, self.loss = model, data, loss
        self.plane: Plane | None = None
        self.sample: Player | None = None
        self.leaves: dict[str, Value] = {}
        self.numbers: list[list[float]] = []
        self.obstacle = self.no_sample = ""
        self._started = False

    def watch(self, pictures: int) -> None:
        if self.obstacle or (self._started and not self.plane):
            return
        before = Reached(self.model, self.loss)  # random generators, counters: what is only looked at changes none
        try:
            if not self._started:
                self._started = True
                self.plane = _plane(self.model, self.data, self.loss, pictures)
                if self.plane:
                    self._open_sample(self.plane)
            if self.plane:
                self.obstacle = self._look(self.plane)
                self.numbers.append([leaf.data for leaf in self.leaves.values()])
        finally:
            before.restore()

    def _open_sample(self, plane: Plane) -> None:
        """Make the player of a sample; where the loss is not for Values, as one of plain labels, say so."""
        try:
            self.sample, self.leaves = _sample_player(self.model, plane, self.loss)
        except Exception as error:  # the loss may be the user's, as the model is
            self.no_sample = f"A sample has no graph: given Values the loss raised {type(error).__name__}: {error}"

    def _look(self, plane: Plane) -> str:
        """Note the heights; where the model fails at a point, say which and how."""
        heights: list[float] = []
        with no_grad():
            for point in _points(plane):
                try:
                    heights.append(self.model(list(point)).data)
                except Exception as error:  # the model is the user's: it may raise anything
                    where = ", ".join(map(numeral, point))
                    return f"The plane is not shown: at ({where}) the model raised {type(error).__name__}: {error}"
        plane.heights.append([_rounded(x) for x in heights])
        return ""


def _plane(model: Any, data: Sequence[Any], loss: Any, pictures: int) -> Plane | None:
    """None unless a sample is two numbers and a target, and the model gives one number."""
    samples = samples_of(data)
    if loss is None or not samples or len(samples[0]) != 2:
        return None
    if not all(_is_pair(x) and is_number(y) for x, y in samples):
        return None
    if not isinstance(found := model(samples[0][0]), Value):
        return None
    points = [(float(x[0]), float(x[1]), float(y)) for x, y in samples]
    targets = sorted({y for *_, y in points})
    logits = "logits" in (name := loss if isinstance(loss, str) else getattr(loss, "__name__", "")) or "hinge" in name
    level = None if len(targets) != 2 else 0.0 if logits else (targets[0] + targets[1]) / 2
    left, right = _around([x for x, _, _ in points])
    bottom, top = _around([y for _, y, _ in points])
    return Plane(points, (left, right, bottom, top), level, _resolution(found, pictures), [])


def _resolution(output: Value, pictures: int) -> int:
    """The finer, the smaller the model's graph is."""
    edges = sum(len(node.parents) for node in topological_order(output))
    return max(COARSEST, min(FINEST, int((COST / (pictures * max(1, edges))) ** 0.5)))


def _is_pair(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) == 2 and all(map(is_number, x))


def _around(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    margin = MARGIN * (high - low or 1.0)
    return low - margin, high + margin


def _points(plane: Plane) -> Iterator[tuple[float, float]]:
    """The middle of each cell, row by row from the bottom."""
    left, right, bottom, top = plane.edges
    middle = [(i + 0.5) / plane.resolution for i in range(plane.resolution)]
    return ((left + u * (right - left), bottom + v * (top - bottom)) for v in middle for u in middle)


def _rounded(x: float) -> float | str:
    """In three digits; what is no finite number has a name, and no colour."""
    return float(f"{x:.3g}") if math.isfinite(x) else repr(x)


def _sample_player(model: Any, plane: Plane, loss: Any) -> tuple[Player, dict[str, Value]]:
    """The player of a sample's loss, whose page takes other numbers; and its parameters by their names there."""
    x0, x1, y = plane.points[0]
    output = loss_of_sample(model, loss)([Value(x0, "x0"), Value(x1, "x1")], Value(y, "y"))
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
