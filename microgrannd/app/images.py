"""PNG files as rows of grey bytes, with the standard library alone; an image whose border is bright is inverted."""

import os
import struct
import zlib
from collections.abc import Sequence
from math import ceil
from operator import mul
from typing import Final, NamedTuple

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
DEPTHS: Final = (1, 2, 4, 8)  # bits for a number
MOST_PIXELS: Final = 1 << 22
MOST_BYTES: Final = 5 * MOST_PIXELS  # of a file, more than so many pixels take unpacked
FAINT: Final = 32  # differences of brightness that are no ink
CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG's colour type: grey, RGB, palette, grey and RGB with alpha


class Gray(NamedTuple):
    width: int
    rows: list[list[int]]


def read_gray(path: str | os.PathLike[str]) -> Gray:
    """A PNG file as grey bytes; transparent pixels count as black. Raises ValueError for what it cannot read."""
    with open(path, "rb") as file:
        signature = file.read(8)
        content = file.read(MOST_BYTES + 1) if signature == SIGNATURE else b""
    if not content:
        raise ValueError(f"{path} is not a PNG file; save the image as PNG.")
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} is a PNG file of more than {MOST_BYTES:,} bytes; save a smaller image.")
    try:
        return _decoded(content)
    except NotImplementedError as error:
        raise ValueError(f"{path} is a PNG file {error}.") from None
    except (struct.error, zlib.error, IndexError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is a damaged PNG file: {error!r}.") from None


def squared(image: Gray, side: int) -> list[int]:
    """The image as `side` × `side` grey bytes, each the rounded mean of a block, with bright ink as in MNIST."""
    height = len(image.rows)
    if image.width != height or height % side:
        raise ValueError(
            f"The image is {image.width} × {height} pixels; a square of {side} × {side}, or of a multiple, is needed."
        )
    block = height // side
    starts, area = range(0, height, block), block * block
    totals = [sum(sum(row[c : c + block]) for row in image.rows[r : r + block]) for r in starts for c in starts]
    pixels = [(total + area // 2) // area for total in totals]
    border = pixels[:side] + pixels[-side:] + pixels[::side] + pixels[side - 1 :: side]
    return [255 - pixel for pixel in pixels] if sum(border) > 127 * len(border) else pixels


def digit_of(image: Gray, side: int) -> list[int]:
    """A digit in an image of any size as MNIST has it, bright on black; all 0 where nothing stands out.

    A square of `side` or of a multiple is taken to have its digit in place. From any other the ink is cut out, made as
    large as five sevenths of the side, and put where its centre of mass is in the middle.
    """
    darkest, brightest = min(map(min, image.rows)), max(map(max, image.rows))
    if brightest - darkest < FAINT:
        return [0] * side * side
    if image.width == len(image.rows) and image.width % side == 0:
        return squared(image, side)
    edge = [*image.rows[0], *image.rows[-1], *(row[0] for row in image.rows), *(row[-1] for row in image.rows)]
    paper = sorted(edge)[len(edge) // 2]
    scale = 255 / max(brightest - paper, paper - darkest)
    ink = [[round(abs(pixel - paper) * scale) for pixel in row] for row in image.rows]
    ink = _transposed(_trimmed(_transposed(_trimmed(ink))))
    longest, room = max(len(ink), len(ink[0])), side * 5 / 7
    height, width = (max(1, round(room * size / longest)) for size in (len(ink), len(ink[0])))
    return _centred(_transposed(_shrunk(_transposed(_shrunk(ink, height)), width)), side)


def _transposed(rows: list[list[int]]) -> list[list[int]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _trimmed(rows: list[list[int]]) -> list[list[int]]:
    """The rows from the first that has ink to the last."""
    inked = [i for i, row in enumerate(rows) if max(row) >= FAINT]
    return rows[inked[0] : inked[-1] + 1]


def _shrunk(rows: list[list[int]], count: int) -> list[list[int]]:
    """So many rows, each the mean of those that it covers, by how much of them it covers."""
    step, shrunk = len(rows) / count, []
    for i in range(count):
        start, end = i * step, min((i + 1) * step, len(rows))
        covered = range(int(start), min(ceil(end), len(rows)))
        shares = [(min(r + 1, end) - max(r, start)) / step for r in covered]
        columns = zip(*[rows[r] for r in covered], strict=True)
        shrunk.append([round(sum(map(mul, shares, column))) for column in columns])
    return shrunk


def _centred(ink: list[list[int]], side: int) -> list[int]:
    """On a black square, the centre of mass in its middle as far as there is room."""
    total = sum(map(sum, ink)) or 1
    down = sum(r * sum(row) for r, row in enumerate(ink)) / total
    across = sum(c * pixel for row in ink for c, pixel in enumerate(row)) / total
    middle = (side - 1) / 2
    top = min(max(0, round(middle - down)), side - len(ink))
    left = min(max(0, round(middle - across)), side - len(ink[0]))
    pixels = [0] * side * side
    for r, row in enumerate(ink):
        start = (top + r) * side + left
        pixels[start : start + len(row)] = row
    return pixels


def _decoded(content: bytes) -> Gray:
    chunks = _chunks(content)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][:13])
    if interlaced or depth == 16:
        what = "that is interlaced" if interlaced else "of 16 bits per colour"
        raise NotImplementedError(f"{what}; save it with 8 bits per colour, not interlaced")
    if not 0 < width * height <= MOST_PIXELS:
        raise NotImplementedError(f"of {width:,} × {height:,} pixels; they may be 1 to {MOST_PIXELS:,}")
    channels = CHANNELS[colour]
    if depth not in DEPTHS:
        raise ValueError(f"{depth} bits per colour")
    stride = -(-width * channels * depth // 8)
    size = height * (stride + 1)
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(chunks[b"IDAT"], size + 1)
    if len(data) != size or not unpacking.eof:
        raise ValueError("it has more than its rows" if len(data) > size else "its rows are incomplete")
    palette, largest, shifts = chunks[b"PLTE"], 2**depth - 1, range(8 - depth, -1, -depth)
    rows = []
    for line in _unfiltered(data, height, stride, max(1, channels * depth // 8)):
        values: Sequence[int] = line
        if depth < 8:
            values = [byte >> shift & largest for byte in line for shift in shifts][: width * channels]
        if depth < 8 and colour != 3:
            values = [value * 255 // largest for value in values]
        rows.append([_grey(values[i : i + channels], colour, palette) for i in range(0, width * channels, channels)])
    return Gray(width, rows)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """What stands in the chunks of each kind that is needed, together."""
    parts: dict[bytes, list[bytes]] = {b"IHDR": [], b"PLTE": [], b"IDAT": []}
    place = 0
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind in parts:
            parts[kind].append(content[place + 8 : place + 8 + length])
        place += 12 + length
    return {kind: b"".join(found) for kind, found in parts.items()}


def _unfiltered(data: bytes, height: int, stride: int, size: int) -> list[bytearray]:
    """The rows, each of which says how its bytes differ from those to the left and above."""
    lines: list[bytearray] = []
    above = bytearray(stride)
    for r in range(height):
        start = r * (stride + 1)
        kind, line = data[start], bytearray(data[start + 1 : start + 1 + stride])
        for i in range(stride):
            left = line[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            line[i] = (line[i] + _predicted(kind, left, above[i], corner)) & 0xFF
        lines.append(line)
        above = line
    return lines


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    if kind == 4:  # Paeth: the one of the three that is nearest to left + above - corner
        guess = left + above - corner
        return min((left, above, corner), key=lambda x: abs(guess - x))
    return (0, left, above, (left + above) // 2)[kind]


def _grey(values: Sequence[int], colour: int, palette: bytes) -> int:
    if colour == 3:
        values = palette[3 * values[0] : 3 * values[0] + 3]
    red, green, blue = (values[0],) * 3 if colour in (0, 4) else values[:3]
    alpha = values[-1] if colour in (4, 6) else 255
    return (299 * red + 587 * green + 114 * blue + 500) // 1000 * alpha // 255
