"""Numbers and labels as a picture shows them, and how much room they take.

Widths are generous estimates for common fonts: the same picture on every machine, whatever fonts it has.
"""

import math
import re
from html import escape
from typing import Final

LONGEST: Final = 28  # characters of a label that are drawn; the whole of it is in the node's title
MONOSPACE: Final = 7.0  # the width of one digit, at the size of the numbers

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NARROW: Final = frozenset("fijlrtI.,:;'`|!()[]{} /\\-")
_BROAD: Final = frozenset("mwMWQ@%&ΣΩ—…")


def numeral(x: float, precision: int = 4) -> str:
    """A number in `precision` significant digits, with a minus sign of a digit's width.

    >>> numeral(-0.000123456), numeral(1e21), numeral(float("inf")), numeral(3.0), numeral(-0.0)
    ('−0.0001235', '1e21', '∞', '3', '−0')
    """
    if x != x:
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    text = f"{x:.{precision}g}"
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}e{int(exponent)}"
    return text.replace("-", "−")


def printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return " ".join(_FORBIDDEN.sub("\ufffd", text).split())


def escaped(text: str) -> str:
    """The text, made safe between tags and in attributes of XML and HTML.

    >>> escaped('a < b & "c"\\x00')
    'a &lt; b &amp; &quot;c&quot;�'
    """
    return escape(printable(text))


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text on one line, cut to `longest` characters.

    >>> shortened("a label that nobody wants to read to its end")
    'a label that nobody wants t…'
    """
    text = printable(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def width(text: str) -> float:
    total = 0.0
    for character in text:
        if character in _NARROW:
            total += 4.6
        elif character in _BROAD or character > "\u10ff":  # symbols, Chinese, Japanese, Korean, emoji
            total += 7.6 if "\u2070" <= character <= "\u22ff" else 12.6
        else:
            total += 8.6 if character.isupper() else 7.4
    return total
