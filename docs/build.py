"""The documentation's press: `python -m docs.build` writes all that is not written by hand.

    python -m docs.build operations api    docs/operations.md and docs/api.md, from the package
    python -m docs.build elsewhere         the names of other libraries in docs/coming-from-pytorch.md
    python -m docs.build exercises         the table of docs/exercises.md: what wrong answers are called
    python -m docs.build stubs             what type checkers read, beside the package's own files
    python -m docs.build images            docs/images/, drawn by the package
    python -m docs.build outputs           the outputs that the notebooks carry (needs Chromium)
    python -m docs.build book              docs/book/, the notebooks run and rendered as HTML
    python -m docs.build playground        build/playground/, Python in a page, and the book live (needs npm)
    python -m docs.build site              build/site/, everything as a web site (needs mkdocs)

Without an argument it does all of them, in this order. The playground has Pyodide in its folder; with `--cdn` its pages
fetch it, and with it NumPy and matplotlib when a program wants them, from Pyodide's CDN or from the address given.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from docs import (
    build_api,
    build_book,
    build_elsewhere,
    build_exercises,
    build_images,
    build_operations,
    build_outputs,
    build_playground,
    build_stubs,
)

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "microgrannd"
BUILT = HERE.parent / "build"


def operations() -> None:
    """Write docs/operations.md."""
    (HERE / "operations.md").write_text(build_operations.page(), encoding="utf-8")


def api() -> None:
    """Write docs/api.md."""
    (HERE / "api.md").write_text(build_api.page(), encoding="utf-8")


def elsewhere() -> None:
    """Write the table of docs/coming-from-pytorch.md."""
    path = HERE / "coming-from-pytorch.md"
    path.write_text(build_elsewhere.page(path.read_text(encoding="utf-8")), encoding="utf-8")


def exercises() -> None:
    """Write the table of docs/exercises.md."""
    path = HERE / "exercises.md"
    path.write_text(build_exercises.page(path.read_text(encoding="utf-8")), encoding="utf-8")


def stubs() -> None:
    """Write what type checkers read in place of the front door and of the methods."""
    (PACKAGE / "__init__.pyi").write_text(build_stubs.front_door(), encoding="utf-8")
    (PACKAGE / "nodes" / "arithmetic.pyi").write_text(build_stubs.methods(), encoding="utf-8")


def images() -> None:
    """Draw docs/images/."""
    build_images.draw_all(HERE / "images")


def outputs() -> None:
    """Run the notebooks and write their outputs into them."""
    _needs("nbclient", "ipykernel", "matplotlib", "llvmlite", "selenium", "PIL")
    build_outputs.store_all(sorted((HERE.parent / "notebooks").glob("*.ipynb")))


def book() -> None:
    """Run the notebooks and write docs/book/."""
    _needs("nbclient", "nbconvert", "ipykernel", "matplotlib", "llvmlite")
    build_book.render_all(HERE.parent / "notebooks", HERE / "book")


def playground(cdn: str | None = None) -> None:
    """Build build/playground/, with the chapters of docs/book/ if they are there."""
    if missing := [program for program in ("npm", "node") if shutil.which(program) is None]:
        sys.exit(f"This part needs {' and '.join(missing)}: install Node.js.")
    build_playground.build(BUILT / "playground", HERE / "book", cdn)


def site() -> None:
    """Build build/site/ with mkdocs, and put the playground into it if it has been built."""
    _needs("mkdocs", "material")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=HERE.parent, check=True)
    if (BUILT / "playground").is_dir():
        build_playground.into_site(BUILT / "playground", BUILT / "site")


def _needs(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        sys.exit(f"This part needs {', '.join(missing)}: pip install {' '.join(missing)}")


_WRITERS = (operations, api, elsewhere, exercises, stubs, images, outputs, book, playground, site)
PARTS: dict[str, Callable[[], None]] = {f.__name__: f for f in _WRITERS}


def main(arguments: list[str]) -> None:
    """Write the parts that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Write all that is not written by hand.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--cdn", nargs="?", const=build_playground.cdn(), metavar="URL", help="of Pyodide's files")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        sys.exit(f"There is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}.")
    parts = PARTS | {"playground": partial(playground, options.cdn)}
    for name in options.parts or parts:
        parts[name]()
        print(f"{name}: done")


if __name__ == "__main__":
    main(sys.argv[1:])
