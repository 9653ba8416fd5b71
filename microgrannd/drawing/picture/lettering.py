"""Numbers and labels as a picture shows them; their widths are generous estimates, the same on every machine."""

import math
from typing import Final

from microgrannd.printing.labels import in_picture

LONGEST: Final = 28  # characters of a label that are drawn; the whole of it is in the node's title
MONOSPACE: Final = 7.0  # the width of one digit, at the size of the numbers

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


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text on one line, cut to `longest` characters.

    >>> shortened("a label that nobody wants to read to its end")
    'a label that nobody wants t…'
    """
    text = in_picture(text)
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
