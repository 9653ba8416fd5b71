"""Texts of the steps of a loop that differ by indices alone, as one text with an index that moves."""

import re
from collections.abc import Sequence
from typing import Final

_INDEX: Final = re.compile(r"(?<=\[)(\d+)(?=\])")


def stepping(texts: Sequence[str], index: str) -> str:
    """One text for all, if their indices go up or down in equal steps; else "". What stands in a key is no index.

    >>> stepping(["x[3][1]", "x[2][1]", "x[1][1]"], "i")
    'x[3 - i][1]'
    >>> stepping(["x['[0]']", "x['[1]']"], "i")
    ''
    """
    pieces = [_INDEX.split(text) for text in texts]
    first, second = pieces[0], pieces[1]
    if any(len(re.findall("['\"]", "".join(first[:k]))) % 2 for k in range(1, len(first), 2)):
        return ""
    if any(len(other) != len(first) or other[::2] != first[::2] for other in pieces):
        return ""
    indices = []
    for k in range(1, len(first), 2):
        start = int(first[k])
        stride = int(second[k]) - start
        if any(int(other[k]) != start + i * stride for i, other in enumerate(pieces)):
            return ""
        indices.append(position(index, stride, start))
    return "".join(piece if k % 2 == 0 else indices[k // 2] for k, piece in enumerate(first))


def position(index: str, stride: int, start: int) -> str:
    """The index times the stride from the start on."""
    if not stride:
        return str(start)
    scaled = index if abs(stride) == 1 else f"{abs(stride)} * {index}"
    if stride < 0:
        return f"{start} - {scaled}"
    return scaled if not start else f"{scaled} {'+' if start > 0 else '-'} {abs(start)}"
