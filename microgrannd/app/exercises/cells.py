"""Exercises as the cells of a notebook: a picture, a cell to fill in, and a check that needs none of our code."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from microgrannd.app.exercises.graphs import Exercise
from microgrannd.app.exercises.sheets import TASK, TITLE
from microgrannd.ground.arguments import list_of, one_of

GRADERS: Final = ("plain", "nbgrader", "otter")
Cell = dict[str, Any]


def notebook(exercises: Sequence[Exercise], grader: str = "plain", title: str = TITLE) -> str:
    """A notebook to fill in, as text; the checks in it run wherever Python does, without microgrannd.

    - "plain": each check compares fingerprints of the numbers, so that the answers are not there to be read.
    - "nbgrader": the source of an assignment. `nbgrader generate_assignment` takes solutions and tests out.
    - "otter": a notebook for `otter assign`, which makes of it the one for students and the one for grading.

    >>> import json
    >>> from microgrannd.app.exercises import generate
    >>> len(json.loads(notebook(generate(2, seed=1)))["cells"])
    7
    """
    found: list[Exercise] = list_of("exercises", exercises, "a list of exercises", Exercise)
    one_of("grader", grader, GRADERS)
    cells = [_markdown(f"# {title}\n\n{TASK}")]
    if grader == "otter":
        cells.insert(0, _raw("# ASSIGNMENT CONFIG\nname: backpropagation\nshow_question_points: true"))
    for i, exercise in enumerate(found, 1):
        cells += _FORMS[grader](i, exercise)
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _plain(i: int, exercise: Exercise) -> list[Cell]:
    right = {label: _fingerprint(i, label, number) for label, number in exercise.gradients.items()}
    check = [
        "from hashlib import sha256",
        "",
        f"right = {right}",
        f"for label, number in answer_{i}.items():",
        f'    text = f"{i} {{label}} {{round(4 * number) / 4 + 0.0}}" if number is not ... else ""',
        '    print(label, "right" if sha256(text.encode()).hexdigest()[:16] == right[label] else "not yet")',
    ]
    return [_task(i, exercise), _code(_blank(i, exercise)), _code("\n".join(check))]


def _nbgrader(i: int, exercise: Exercise) -> list[Cell]:
    solution = f"### BEGIN SOLUTION\n{_solved(i, exercise)}\n### END SOLUTION"
    tests = f"### BEGIN HIDDEN TESTS\n{_tests(i, exercise)}\n### END HIDDEN TESTS"
    return [
        _task(i, exercise),
        _code(f"{_blank(i, exercise)}\n{solution}", _graded(f"exercise-{i}", solution=True)),
        _code(
            f"{_shape(i, exercise)}\n{tests}",
            _graded(f"exercise-{i}-tests", solution=False, points=len(exercise.asked)),
        ),
    ]


def _otter(i: int, exercise: Exercise) -> list[Cell]:
    prompt = f'""" # BEGIN PROMPT\n{_blank(i, exercise)}\n""" # END PROMPT'
    return [
        _raw(f"# BEGIN QUESTION\nname: exercise_{i}"),
        _task(i, exercise),
        _raw("# BEGIN SOLUTION"),
        _code(f"# BEGIN SOLUTION NO PROMPT\n{_solved(i, exercise)}\n# END SOLUTION\n{prompt}"),
        _raw("# END SOLUTION"),
        _raw("# BEGIN TESTS"),
        _code(_worth(0, hidden=False) + _shape(i, exercise)),
        *[_code(_worth(1, hidden=True) + test) for test in _tests(i, exercise).splitlines()],
        _raw("# END TESTS"),
        _raw("# END QUESTION"),
    ]


_FORMS: Final = {"plain": _plain, "nbgrader": _nbgrader, "otter": _otter}


def _task(i: int, exercise: Exercise) -> Cell:
    drawing = b64encode(exercise.draw().svg.encode()).decode()
    lines = "<br>\n".join(str(exercise).splitlines())
    cell = _markdown(f"## {i}.\n\n{lines}\n\n![The graph](attachment:graph.svg)")
    cell["attachments"] = {"graph.svg": {"image/svg+xml": drawing}}
    return cell


def _blank(i: int, exercise: Exercise) -> str:
    """The answer to fill in, each gradient an ellipsis."""
    return f"answer_{i} = {{" + ", ".join(f'"{label}": ...' for label in exercise.asked) + "}"


def _solved(i: int, exercise: Exercise) -> str:
    found = exercise.gradients
    return f"answer_{i} = {{" + ", ".join(f'"{label}": {found[label] + 0.0:g}' for label in exercise.asked) + "}"


def _shape(i: int, exercise: Exercise) -> str:
    """What a student may see of the tests: that all is filled in."""
    labels = ", ".join(f'"{label}"' for label in sorted(exercise.asked))
    return f"assert sorted(answer_{i}) == [{labels}] and ... not in answer_{i}.values()"


def _tests(i: int, exercise: Exercise) -> str:
    found = exercise.gradients
    return "\n".join(f'assert abs(answer_{i}["{label}"] - {found[label] + 0.0:g}) < 0.01' for label in exercise.asked)


def _worth(points: int, *, hidden: bool) -> str:
    """Otter's configuration of a test: a point for each gradient."""
    return f'""" # BEGIN TEST CONFIG\npoints: {points}\nhidden: {str(hidden).lower()}\n""" # END TEST CONFIG\n'


def _fingerprint(i: int, label: str, number: float) -> str:
    """As the cell computes it from the nearest quarter."""
    return sha256(f"{i} {label} {round(4 * number) / 4 + 0.0}".encode()).hexdigest()[:16]


def _graded(name: str, *, solution: bool, points: int = 0) -> Cell:
    about: Cell = {"grade": not solution, "solution": solution, "locked": not solution, "task": False}
    about |= {"grade_id": name, "schema_version": 3, "cell_type": "code"} | ({} if solution else {"points": points})
    return {"nbgrader": about}


def _markdown(source: str) -> Cell:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def _raw(source: str) -> Cell:
    return {"cell_type": "raw", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str, metadata: Cell | None = None) -> Cell:
    cell: Cell = {"cell_type": "code", "execution_count": None, "metadata": metadata or {}, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}
