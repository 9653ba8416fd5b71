"""The documentation's press: `python -m docs.build` writes all that is not written by hand.

    python -m docs.build operations api    docs/operations.md and docs/api.md, from the package
    python -m docs.build elsewhere         the names of other libraries in docs/coming-from-pytorch.md
    python -m docs.build stubs             what type checkers read, beside the package's own files
    python -m docs.build images            docs/images/, drawn by the package
    python -m docs.build book              docs/book/, the notebooks run and rendered as HTML
    python -m docs.build site              build/site/, everything as a web site (needs mkdocs)

Without an argument it does all of them, in this order.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from docs import build_api, build_book, build_elsewhere, build_images, build_operations, build_stubs

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "microgrannd"


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


def stubs() -> None:
    """Write what type checkers read in place of the front door and of the methods."""
    (PACKAGE / "__init__.pyi").write_text(build_stubs.front_door(), encoding="utf-8")
    (PACKAGE / "nodes" / "arithmetic.pyi").write_text(build_stubs.methods(), encoding="utf-8")


def images() -> None:
    """Draw docs/images/."""
    build_images.draw_all(HERE / "images")


def book() -> None:
    """Run the notebooks and write docs/book/."""
    _needs("nbclient", "nbconvert", "ipykernel", "matplotlib", "llvmlite")
    build_book.render_all(HERE.parent / "notebooks", HERE / "book")


def site() -> None:
    """Build build/site/ with mkdocs."""
    _needs("mkdocs", "material")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=HERE.parent, check=True)


def _needs(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        sys.exit(f"This part needs {', '.join(missing)}: pip install {' '.join(missing)}")


PARTS: dict[str, Callable[[], None]] = {f.__name__: f for f in (operations, api, elsewhere, stubs, images, book, site)}


def main(names: list[str]) -> None:
    """Write the parts that are named, or all."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"There is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}.")
    for name in names or PARTS:
        PARTS[name]()
        print(f"{name}: done")


if __name__ == "__main__":
    main(sys.argv[1:])
