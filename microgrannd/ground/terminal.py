"""Headings and tables for a terminal, never wider than it; bold only on one, and without NO_COLOR (no-color.org)."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether it is a terminal; None is a standard stream that was closed when Python began."""
    return stream is not None and not stream.closed and stream.isatty()


def tell(text: str, end: str = "\n") -> None:
    """Progress and errors, for whoever reads standard error; if nobody does, or its disk is full, work goes on."""
    if sys.stderr is not None:  # which `print` would take for standard output
        with suppress(OSError, ValueError):
            print(text, end=end, file=sys.stderr, flush=True)


def clickable(path: Any) -> str:
    """A file's path, as a link where a terminal shows the text."""
    target = path.resolve().as_uri()
    return f"\033]8;;{target}\033\\{path}\033]8;;\033\\" if _styled() else str(path)


def _styled() -> bool:
    return is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def heading(text: str) -> str:
    return f"\033[1m{text}\033[0m" if _styled() else text


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns of text; those at `left` are flush left, the others flush right.

    What is too long for the terminal, or for COLUMNS, is wrapped in the first column.

    >>> print(table(["name", "value"], [["x", "-2"], ["product", "12.5"]]))
    name     value
    x           -2
    product   12.5
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    spare = shutil.get_terminal_size().columns - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = max(8, min(widths[0], spare)) if is_terminal(sys.stdout) or "COLUMNS" in os.environ else widths[0]
    aligned = [str.ljust if i in left else str.rjust for i in range(len(widths))]
    written = []
    for first, *others in lines:
        head, *more = _wrapped(first, widths[0])
        cells = zip(aligned, [head, *others], widths, strict=True)
        written.append("  ".join([align(text, width) for align, text, width in cells]).rstrip())
        written += more
    return "\n".join(written)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of the width, broken at blanks where that is possible, all but the first indented."""
    if len(text) <= width:
        return [text]
    from textwrap import wrap  # slow to load

    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
