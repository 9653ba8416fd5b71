"""Plots with matplotlib: what a trained model decides where. (`History.plot` has the loss curve.)"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

from microgrannd.ground.arguments import function_of, list_of, whole_number
from microgrannd.ground.files import write_figure
from microgrannd.ground.modes import no_grad
from microgrannd.operations import as_float


def decision_boundary(
    decide: Callable[[list[float]], float], x: Sequence[Sequence[float]], y: Sequence[int],
    *, path: str | PathLike[str] | None = None, names: Sequence[str] = ("x0", "x1"),
    classes: Sequence[str] = ("class 0", "class 1"), resolution: int = 80,
) -> Any:  # fmt: skip
    """The plane of two inputs in the colours of `decide`, with the samples on it, as a matplotlib figure.

    `decide` takes two inputs and returns a number; the boundary is where it crosses one half. Classes also
    differ in the shape of their markers. The figure is saved at `path` if there is one. Raises
    ModuleNotFoundError without matplotlib, saying what to install.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Plots need matplotlib: pip install 'microgrannd[plot]'") from None
    decide, count = function_of("decide", decide), whole_number("resolution", resolution, 2)
    points = [_point(sample) for sample in list_of("x", x, "a list of points")]
    labels = list_of("y", y, "a list of classes")
    if len(points) != len(labels) or not points:
        raise ValueError(f"Each point has one class, and there is one at least; got {len(points)} and {len(labels)}.")
    names, classes = (_pair(*given) for given in (("names", names), ("classes", classes)))
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    axes = figure.subplots()
    across, up = (_ticks([point[i] for point in points], count) for i in (0, 1))
    with no_grad():
        heights = [[as_float(decide([u, v])) for u in across] for v in up]
    axes.contourf(across, up, heights, levels=20, cmap="PuOr", alpha=0.75)
    axes.contour(across, up, heights, levels=[0.5], colors="black", linewidths=1.5)
    for label, marker, colour in ((0, "o", "#b35806"), (1, "^", "#542788")):
        chosen = [point for point, of in zip(points, labels, strict=True) if of == label]
        us, vs = [u for u, _ in chosen], [v for _, v in chosen]
        axes.scatter(us, vs, marker=marker, c=colour, edgecolors="white", label=classes[label])
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.legend(loc="best")
    if path is not None:
        write_figure(path, figure, dpi=144)
    return figure


def _point(sample: Any) -> list[float]:
    numbers = [as_float(number) for number in list_of("A point", sample, "a list of two numbers")]
    if len(numbers) != 2:
        raise ValueError(f"A point of the plane has two numbers, got {len(numbers)}.")
    return numbers


def _pair(name: str, given: Sequence[str]) -> list[str]:
    texts = list_of(name, given, "two texts", str)
    if len(texts) != 2:
        raise ValueError(f"{name} has two texts, got {len(texts)}.")
    return texts


def _ticks(numbers: Sequence[float], count: int) -> list[float]:
    low, high = min(numbers), max(numbers)
    margin = 0.15 * (high - low or 1.0)
    return [low - margin + (high - low + 2 * margin) * i / (count - 1) for i in range(count)]
