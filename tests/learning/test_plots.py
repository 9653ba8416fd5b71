"""The plots: drawn where matplotlib is, and refused in one line where it is not."""

import sys

import pytest

from microgrannd import Value, plots
from microgrannd.training import History


def test_the_decision_boundary_is_where_the_number_crosses_one_half(tmp_path):
    pytest.importorskip("matplotlib")
    figure = plots.decision_boundary(
        lambda x: (Value(x[0]) + 0.5).data,
        [[-1.0, 0.0], [1.0, 1.0]],
        [0, 1],
        path=tmp_path / "boundary.png",
        names=("length", "width"),
        classes=("setosa", "versicolor"),
    )
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length", "width")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["setosa", "versicolor"]
    boundary = next(c for c in axes.collections if getattr(c, "levels", [None])[0] == 0.5 and len(c.levels) == 1)
    points = boundary.get_paths()[0].vertices
    assert abs(points[:, 0]).max() < 1e-12
    assert (tmp_path / "boundary.png").stat().st_size > 0


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for plot in (lambda: plots.decision_boundary(sum, [[0, 0]], [0]), lambda: History([1.0], [0.1], [0.1]).plot()):
        with pytest.raises(ModuleNotFoundError, match=r"Plots need matplotlib: pip install 'microgrannd\[plot\]'"):
            plot()
