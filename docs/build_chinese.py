"""The book in Chinese: its prose is written here, its code and outputs are those of the English notebooks.

`notebooks/zh/NAME.md` has the Markdown cells of the chapter NAME (without its number), each below a comment with the
cell's id and a mark of the English text that it was written from:

    <!-- cell-03 1a2b3c4d -->

Numbers of chapters are left to the build: `# ` is followed by no number, links name a chapter without it, and
`第 # 章` before such a link gets the right one. `<!-- code -->` stands for a block of code of the English cell.

    python -m docs.build_chinese                  which cells are missing or stale
    python -m docs.build_chinese --current NAME   the chapter's translation says again what the English text says
"""

import argparse
import copy
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

BOOK = Path(__file__).parents[1] / "notebooks"
CELL = re.compile(r"^<!-- (\S+) ([0-9a-f]{8}|new) -->\n", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\[[^]]*?)(#?)([^]#]*\]\()([a-z][\w-]+)\.ipynb\)")


def name_of(path: Path) -> str:
    """A chapter's name without its number, which may change."""
    return re.sub(r"^\d+-", "", path.stem)


def mark(english: str) -> str:
    """What a translation was written from, whatever the numbers of the chapters are."""
    text = re.sub(r"\]\(\d+-", "](", re.sub(r"^# \d+\. ", "# ", english))
    text = re.sub(r"\[[Cc]hapter \d+\]", "[chapter]", text)
    return sha256(text.encode()).hexdigest()[:8]


def translation(name: str, book: Path = BOOK) -> dict[str, tuple[str, str]]:
    """By the id of each cell: the mark of the English text, and the Chinese one."""
    path = book / "zh" / f"{name}.md"
    parts = CELL.split(path.read_text("utf-8")) if path.exists() else [""]
    return {cell: (of, text.strip()) for cell, of, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)}


def gaps(path: Path) -> list[str]:
    """Which cells of a chapter have no translation, an old one, or one of a cell that is gone; one line for each."""
    import nbformat

    name, found = name_of(path), translation(name_of(path), path.parent)
    english = {c.id: c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"}
    missing = [f"{name}, {cell}: not translated" for cell in english if cell not in found]
    stale = [f"{name}, {cell}: the English text has changed since" for cell, (of, _) in found.items()
             if cell in english and of != mark(english[cell])]  # fmt: skip
    return missing + stale + [f"{name}, {cell}: there is no such cell" for cell in found if cell not in english]


def chinese(notebook: Any, path: Path) -> Any:
    """The notebook with its prose in Chinese; a cell without a translation stays as it is."""
    numbers = {name_of(other): other.stem.partition("-")[0] for other in path.parent.glob("*.ipynb")}
    found, result = translation(name_of(path), path.parent), copy.deepcopy(notebook)
    for cell in result.cells:
        if cell.cell_type == "markdown" and cell.id in found:
            cell.source = _filled(found[cell.id][1], cell.source, numbers)
    result.cells[0].source = re.sub(r"^# ", f"# {int(path.stem.partition('-')[0])}. ", result.cells[0].source)
    return result


def _filled(text: str, english: str, numbers: dict[str, str]) -> str:
    for block in FENCE.findall(english):
        text = text.replace("<!-- code -->", block, 1)

    def link(match: re.Match[str]) -> str:
        before, place, after, name = match.groups()
        number = numbers[name]
        return f"{before}{place and int(number)}{after}{number}-{name}.ipynb)"

    return LINK.sub(link, text)


def main() -> None:
    """Print the gaps, or write the marks of a chapter anew."""
    parser = argparse.ArgumentParser(prog="python -m docs.build_chinese", description="The book in Chinese.")
    parser.add_argument(
        "--current", nargs="+", metavar="NAME", default=[], help="chapters whose translation is current"
    )
    names = parser.parse_args().current
    for path in sorted(BOOK.glob("*.ipynb")):
        if name_of(path) in names:
            _set_marks(path)
        print(*gaps(path), sep="\n", end="\n" if gaps(path) else "")


def _set_marks(path: Path) -> None:
    import nbformat

    marks = {c.id: mark(c.source) for c in nbformat.read(path, as_version=4).cells}
    file = path.parent / "zh" / f"{name_of(path)}.md"
    text = CELL.sub(lambda m: f"<!-- {m[1]} {marks.get(m[1], m[2])} -->\n", file.read_text("utf-8"))
    file.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
