"""`microgrannd exercises`: sheets, pages and notebooks of exercises."""

from argparse import Namespace
from pathlib import Path

from microgrannd.app.exercises import generate, notebook, page, sheet
from microgrannd.ground.files import write_whole
from microgrannd.ground.terminal import clickable


def run(arguments: Namespace) -> None:
    exercises = generate(arguments.n, seed=arguments.seed, size=arguments.size, difficulty=arguments.difficulty)
    output: Path = arguments.output
    written = [str(output)]
    if output.suffix == ".ipynb":
        write_whole(output, notebook(exercises, arguments.grader))
    elif arguments.grader != "plain":
        raise ValueError(f"Exercises for {arguments.grader} are a notebook: -o FILE.ipynb.")
    elif arguments.play:
        if output.suffix not in (".html", ".htm"):
            raise ValueError(f"A page to play is written as .html, not as {output.name!r}.")
        write_whole(output, page(exercises))
    else:
        written = sheet(exercises).save(output)
    for file in written:
        print(f"wrote {clickable(Path(file))}")
