"""`docs/operations.md` from the operations table: a row of the table is a row of the page.

Groups and their order are those of `microgrannd/operations.py`; all else is what the rows say of themselves. Rows
that were added to the table since have a group of their own.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

from microgrannd import operations
from microgrannd.compiler.text.coq_rows import proved_as
from microgrannd.nodes import notation
from microgrannd.nodes.explanations import awkward_points, derivatives
from microgrannd.operations import Operation

HEAD = """\
# The operations

Every operation of the package, and its derivatives. This page is written by `python -m docs.build operations`
from the table in `microgrannd/operations.py`, the same rows that `backward()` runs.

Each is a function (`mg.tanh(x)`), most are methods too (`x.tanh()`), and those with a NumPy name work inside
NumPy functions as well. *Local gradients* are the partial derivatives by the inputs, in their order; `out` is
the operation's own result, used again so that nothing is computed twice. An operation marked ⊣ *routes*: it
passes some inputs on and drops the others, and where its local gradient is 0 nothing gets through, not even
an infinite upstream. `×` is the product that `+=` adds to a parent: a first factor of exactly 0 wins, even
over an infinity (see `contribution`). *Proved* is where its lemma in Coq holds ([proofs](proof.md)); an operation with
a dash there has none.

Arithmetic follows IEEE 754 and never raises: `log(0)` is −∞, `1 / 0` is ∞, `log(−1)` is NaN. Use
`mg.detect_anomaly()` to be told where the first of them arose.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for title, remark, names in groups():
        parts.append(f"\n## {title}\n")
        if remark:
            parts.append(f"In the words of the table: {remark}\n")
        parts.append("| operation | is | local gradients | at awkward points | proved |")
        parts.append("|---|---|---|---|---|")
        parts += [row(operations.TABLE[name]) for name in names]
    return "\n".join(parts) + "\n"


def groups() -> Iterator[tuple[str, str, list[str]]]:
    """Title, remark and names of each part of the table, as the comments in its source divide it."""
    source = files("microgrannd").joinpath("operations.py").read_text("utf-8")
    table = source[source.index("# fmt: off") : source.index("# fmt: on")]
    listed = set()
    for part in re.split(r"^# (?=[A-Z])", table, flags=re.MULTILINE)[1:]:
        title, _, rows = part.partition("\n")
        title, _, remark = re.sub(r"[.:] ", "\0", title, count=1).partition("\0")
        names = re.findall(r"^(\w+) = (?:Fused)?Operation\(", rows, re.MULTILINE)
        listed.update(names)
        remark = remark.strip().replace("*", "\\*")
        yield title, f"{remark.removesuffix('.')}." if remark else "", names
    if added := [name for name in operations.TABLE if name not in listed]:
        yield "Added to the table", "", added


def row(operation: Operation) -> str:
    """A line of the Markdown table."""
    name = f"`{operation.name}`" + (" ⊣" if operation.routes else "")
    if operation.numpy not in ("", operation.name):
        name += f"<br>NumPy: `{operation.numpy}`"
    what = operation.about.partition(": ")[0]
    definition = operation.about.partition(": ")[2] or _written(operation)
    meaning = f"{what}<br>`{definition}`" if what else f"`{definition}`"
    rules = "<br>".join(f"`{rule}`" for rule in _rules(operation))
    cells = [name, meaning, rules, "<br>".join(awkward_points(operation)), proved_as(operation) or "–"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def definitions() -> dict[str, str]:
    """What rows say that they are, in words of elementary functions; the tests hold each against the operation."""
    return {name: row.about.partition(": ")[2] for name, row in operations.TABLE.items() if ": " in row.about}


def _written(operation: Operation) -> str:
    return str(notation.formula(operation, *notation.input_names(operation, 2 * max(1, operation.vectors))))


def _rules(operation: Operation) -> tuple[str, ...]:
    if operation.name == "dot":
        return ("y1, y2, ...", "x1, x2, ...", "1")
    return derivatives(operation)
