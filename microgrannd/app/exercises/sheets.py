"""Exercises on paper and to play: a sheet with its answers on another page, and a page of step players that ask."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from microgrannd.app.exercises.graphs import Exercise
from microgrannd.drawing import step
from microgrannd.drawing.picture.lettering import numeral
from microgrannd.ground.arguments import list_of, path_of
from microgrannd.ground.files import write_whole

TITLE: Final = "Backpropagation by hand"
TASK: Final = (
    "The numbers in the boxes are the values. Write the gradient of f by each of them, from the output back: "
    "upstream × local gradient, added up where a number is used more than once."
)
SMALLEST: Final = 0.62  # of a drawing's own size, at which its letters are still read
WIDTH: Final = 760.0  # of a sheet as SVG, in pixels
ROW: Final = 24.0
FONT: Final = "font-family='system-ui, sans-serif'"
# What is added to a player's page: it asks from the start, and tells the page around it how the guesses go.
ASKING: Final = """\
byId("predict").click();
byId("ask").value = "all";
byId("ask").dispatchEvent(new Event("change"));
new MutationObserver(() => parent.postMessage({ ...score, steps: timeline.length, position }, "*"))
  .observe(document.body, { subtree: true, childList: true, characterData: true });
"""


class Sheet:
    """Exercises to print: `.html` with the answers on a page of their own, `.svg` and `.svg_of_answers`.

    `.save(path)` writes the one that the path's suffix names; of SVGs two, the answers in `NAME-answers.svg`.
    """

    def __init__(self, exercises: Sequence[Exercise], title: str = TITLE) -> None:
        self.exercises = _exercises(exercises)
        self.title = title

    @property
    def html(self) -> str:
        """The sheet as a page that needs nothing else."""
        tasks = "".join(_task(i, exercise) for i, exercise in enumerate(self.exercises, 1))
        answers = "".join(_answer(i, exercise) for i, exercise in enumerate(self.exercises, 1))
        title = escape(self.title)
        return _page(
            title,
            f"<section><h1>{title}</h1><p>{TASK}</p><p class='who'>Name <span></span> Date <span></span></p>{tasks}"
            f"</section>\n<section class='answers'><h1>{title}: the answers</h1>{answers}</section>",
        )

    @property
    def svg(self) -> str:
        """The exercises as one picture."""
        return self._svg(answers=False)

    @property
    def svg_of_answers(self) -> str:
        """The answers as another."""
        return self._svg(answers=True)

    def save(self, path: str | os.PathLike[str]) -> list[str]:
        """Write it as .html or .svg; returns the paths of the files."""
        file = path_of("path", path)
        if file.suffix.lower() in (".html", ".htm"):
            write_whole(file, self.html)
            return [os.fspath(file)]
        if file.suffix.lower() != ".svg":
            raise ValueError(f"A sheet is saved as .html or .svg, not as {file.suffix or 'a file without a suffix'!r}.")
        beside = file.with_name(f"{file.stem}-answers.svg")
        write_whole(file, self.svg)
        write_whole(beside, self.svg_of_answers)
        return [os.fspath(file), os.fspath(beside)]

    def _repr_html_(self) -> str:
        frame = f'<iframe sandbox title="{escape(self.title)}" width="100%" height="640" '
        return f'{frame}srcdoc="{escape(self.html)}"></iframe>'

    def _svg(self, *, answers: bool) -> str:
        """One below the other: a number, the drawing, and the gradients to write or to read."""
        parts, y = [], 84.0
        for i, exercise in enumerate(self.exercises, 1):
            svg = exercise.draw(answers).svg
            width, height = _size(svg)
            scale = min(1.0, (WIDTH - 60) / width)
            data = b64encode(svg.encode()).decode()
            parts.append(f"<text x='20' y='{y:g}' font-weight='bold'>{i}.</text>")
            parts.append(
                f"<image x='44' y='{y - 16:g}' width='{width * scale:.1f}' height='{height * scale:.1f}' "
                f"href='data:image/svg+xml;base64,{data}'/>"
            )
            y += height * scale + 10
            for row in _rows(_gradients(exercise, answers)):
                parts.append(f"<text x='60' y='{y:g}' xml:space='preserve'>{escape('     '.join(row))}</text>")
                y += ROW
            y += 26
        title = escape(f"{self.title}: the answers" if answers else self.title)
        size = f"width='{WIDTH:g}' height='{y:g}' viewBox='0 0 {WIDTH:g} {y:g}'"
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT} font-size='14' color-scheme='light'>"
            f"<rect width='100%' height='100%' fill='white'/><text x='20' y='36' font-size='22'>{title}</text>\n"
            + "\n".join(parts)
            + "</svg>\n"
        )


def sheet(exercises: Sequence[Exercise], title: str = TITLE) -> Sheet:
    """A sheet to print, with the answers on another page.

    >>> from microgrannd.app.exercises import generate
    >>> "the answers" in sheet(generate(2, seed=1)).html
    True
    """
    return Sheet(exercises, title)


def page(exercises: Sequence[Exercise], title: str = TITLE) -> str:
    """A page that plays each exercise and asks for every number on the way back, and keeps the score.

    It is a whole HTML document that loads nothing. The questions are those of the step player's box *Predict*.
    """
    players = [_asking_player(exercise) for exercise in _exercises(exercises)]
    script = _asset("page.js")
    data = json.dumps(players).replace("<", "\\u003c")
    body = (
        f"<h1>{escape(title)}</h1><p>Say each number before it is shown: the player asks. A first try that is right "
        f'counts.</p><nav id="choice" aria-label="Exercises"></nav><p id="total" role="status"></p>'
        f'<div id="place"></div><script type="application/json" id="players">{data}</script><script>{script}</script>'
    )
    return _page(escape(title), body)


def _asking_player(exercise: Exercise) -> str:
    """The player's page, with what is added to it let in by its policy."""
    exercise.f.backward()  # of a pass that is played the gradients are set afresh
    for node in exercise.nodes:
        node.grad = 0.0
    html = step(exercise.f).html
    allowed = f"'sha256-{b64encode(sha256(ASKING.encode()).digest()).decode()}'"
    start, _, end = html.replace("script-src ", f"script-src {allowed} ", 1).rpartition("</body>")
    return f"{start}<script>{ASKING}</script>\n</body>{end}"


def _exercises(exercises: Sequence[Exercise]) -> list[Exercise]:
    found: list[Exercise] = list_of("exercises", exercises, "a list of exercises", Exercise)
    if not found:
        raise ValueError("exercises is empty: mg.exercises.generate() makes some.")
    return found


def _task(i: int, exercise: Exercise) -> str:
    blanks = "".join(f"<li>∂f/∂{label} = <span></span></li>" for label in exercise.asked)
    return f"<article><h2>{i}.</h2>{_lines(exercise)}{_image(exercise, False)}<ul>{blanks}</ul></article>\n"


def _answer(i: int, exercise: Exercise) -> str:
    found = "".join(f"<li>{text}</li>" for text in _gradients(exercise, True))
    return f"<article><h2>{i}.</h2>{_lines(exercise)}<ul class='found'>{found}</ul></article>\n"


def _lines(exercise: Exercise) -> str:
    return "<p class='lines'>" + ", &ensp;".join(f"<span>{escape(line)}</span>" for line in exercise.lines) + "</p>"


def _gradients(exercise: Exercise, answers: bool) -> list[str]:
    """∂f/∂x = and the number, or a line to write it on."""
    return [f"∂f/∂{label} = {numeral(exercise.gradients[label]) if answers else '_______'}" for label in exercise.asked]


def _rows(texts: list[str], count: int = 5) -> list[list[str]]:
    return [texts[i : i + count] for i in range(0, len(texts), count)]


def _image(exercise: Exercise, answers: bool) -> str:
    drawing = exercise.draw(answers)
    data = b64encode(drawing.svg.encode()).decode()
    alt = escape(", ".join(exercise.lines))
    least = SMALLEST * _size(drawing.svg)[0]
    return (
        f'<div class="graph"><img alt="The graph of {alt}" style="max-width: max(100%, {least:.0f}px)" '
        f'src="data:image/svg+xml;base64,{data}"></div>'
    )


def _size(svg: str) -> tuple[float, float]:
    found = re.search(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"', svg)
    assert found
    return float(found[1]), float(found[2])


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><link rel="icon" href="data:,">'
        f"<style>{_asset('sheet.css')}</style></head>\n<body>{body}</body></html>\n"
    )


def _asset(name: str) -> str:
    return Path(str(files("microgrannd.app.exercises"))).joinpath(name).read_text(encoding="utf-8")
