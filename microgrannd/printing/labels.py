"""What a user wrote (labels, the names of functions, arguments, scopes, keys), as each language may have it.

Nothing of it gets into a source but as a checked identifier of `Names` or as one of the escaped literals here.
"""

import html
import re
from collections.abc import Iterable
from typing import Final
from unicodedata import normalize

LONGEST_IN_DOT: Final = 3000  # characters of a string: escaped they are fewer than the 16,384 bytes that Graphviz takes
# What XML may not have, what a terminal obeys, and what turns the direction in which text is read.
_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)

_IN_LATEX: Final = {
    **{c: f"\\{c}" for c in "{}$&#%_ "},
    **{"\\": "\\backslash ", "^": "\\hat{}", "~": "\\sim ", "'": "{}'", "<": "\\lt ", ">": "\\gt "},
}


def in_message(text: str) -> str:
    r"""On one line of a message, with escapes for what is not printable.

    >>> print(in_message("my\nloss"))
    my\nloss
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def in_comment(text: str) -> str:
    """On one line, with spaces in all that begins or ends a comment anywhere."""
    return re.sub(r"(?<=[*(/])(?=\*)|(?<=\*)(?=[/)])", " ", in_message(text))


def in_coq_comment(text: str) -> str:
    """The same for Coq, where a quotation mark in a comment begins a string."""
    return in_comment(text).replace('"', "''")


def in_docstring(text: str) -> str:
    escaped = in_comment(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""'


def in_picture(text: str) -> str:
    """On one line, as it is but for what no picture can show; "" for blanks."""
    if text.isascii() and text.isprintable() and not text.isspace():
        return text
    return " ".join(_FORBIDDEN.sub("\ufffd", text).split())


def in_markup(text: str) -> str:
    """Between tags and in attributes of XML and HTML.

    >>> in_markup('a < b & "c"\\x00')
    'a &lt; b &amp; &quot;c&quot;�'
    """
    return html.escape(in_picture(text))


def in_latex(text: str) -> str:
    r"""As text within mathematics of LaTeX, where a user's backslash or brace commands nothing.

    >>> print(in_latex("my_loss"), in_latex(r"\input{x}"))
    my\_loss \backslash input\{x\}
    """
    return "".join([_IN_LATEX.get(c, c) for c in in_picture(text)])


def in_dot(*rows: str) -> str:
    """Rows of text as a string of the dot language, in which Graphviz sees nothing but text.

    >>> print(in_dot('say "hi"', "a & b"))
    "say \\"hi\\"\\na &amp; b"
    """
    room, texts = LONGEST_IN_DOT, []
    for row in map(in_picture, rows):
        row = row if len(row) <= room else row[: max(room - 1, 0)] + "…"
        room = max(room - len(row), 0)
        texts.append(row.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;"))
    return '"' + "\\n".join(texts) + '"'


def in_script(json: str) -> str:
    """JSON in a `<script>` of a page, which it cannot end."""
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", json)


class Names:
    """The names of one source, no two of them the same.

    >>> names = Names({"lambda"})
    >>> [names.identifier(label) for label in ("w", "w", "w", "lambda", "my loss", "1")]
    ['w', 'w_', 'w_3', 'lambda_', 'my_loss', '_1']
    """

    def __init__(self, taken: Iterable[str], *, ascii_only: bool = False, second: str = "_") -> None:
        self.taken = set(taken)
        self.second = second  # what tells a second thing of one name from the first
        self.ascii_only = ascii_only
        self._counts: dict[str, int] = {}

    def identifier(self, label: str) -> str:
        """The label as a name that is none of the others; Python takes letters of one compatible form for the same."""
        letters = normalize("NFKC", label)
        name = "".join([c if f"a{c}".isidentifier() and (c.isascii() or not self.ascii_only) else "_" for c in letters])
        if not name.isidentifier():
            name = f"_{name}"
        found = name
        while found in self.taken:
            self._counts[name] = count = self._counts.get(name, 1) + 1
            found = f"{name}{self.second}" if count == 2 else f"{name}_{count}"
        self.taken.add(found)
        return found
