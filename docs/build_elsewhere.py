"""The names of other libraries, as the errors answer them, for `docs/coming-from-pytorch.md`."""

from itertools import groupby

from microgrannd.nodes.elsewhere import DEAD_ENDS

START, END = "<!-- elsewhere -->\n", "<!-- end of elsewhere -->"
PLACES = {"Value": "of a Value `v`", "Module": "of a `model`", "microgrannd": "of the package, `mg`"}


def page(text: str) -> str:
    """The page with the tables between their two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{tables()}{END}{after}"


def tables() -> str:
    """A table for each place, with a row for each thing that is written instead."""
    lines: list[str] = []
    for place, names in DEAD_ENDS.items():
        title = PLACES.get(place, f"of `{place.replace('microgrannd', 'mg')}`")
        lines += ["", f"| {title} | write instead |", "|---|---|"]
        for instead, group in groupby(names, names.__getitem__):
            lines.append(f"| {', '.join(f'`{name}`' for name in group)} | {instead} |")
    return "\n".join([*lines, "", ""])
