"""PNG files of every kind that small images come in, written here byte by byte."""

import struct
import tracemalloc
import zlib

import pytest

from microgrannd.app.images import Gray, digit_of, read_gray, squared


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path, width, lines, *, colour=0, depth=8, interlaced=0, palette=None):
    """Write a file of lines that are filtered already: each a filter's number and bytes."""
    header = struct.pack(">IIBBBBB", width, len(lines), depth, colour, 0, 0, interlaced)
    data = b"".join(bytes(line) for line in lines)
    extra = chunk(b"PLTE", bytes(palette)) if palette else b""
    packed = zlib.compress(data)
    parts = chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", packed[5:])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + parts + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ([[0, 10, 20, 30], [0, 1, 2, 3]], [[10, 20, 30], [1, 2, 3]]),
        ([[1, 10, 10, 10], [0, 1, 2, 3]], [[10, 20, 30], [1, 2, 3]]),  # by the left neighbour
        ([[0, 10, 20, 30], [2, 1, 2, 250]], [[10, 20, 30], [11, 22, 24]]),  # by the one above, modulo 256
        ([[0, 10, 20, 30], [3, 1, 2, 3]], [[10, 20, 30], [6, 15, 25]]),  # by the mean of both: 1 + 5, 2 + 13, 3 + 22
        ([[0, 10, 20, 30], [4, 1, 2, 3]], [[10, 20, 30], [11, 22, 33]]),  # by Paeth's choice, here always above
        ([[4, 10, 20, 30], [0, 0, 0, 0]], [[10, 30, 60], [0, 0, 0]]),  # and here always to the left
    ],
)
def test_the_five_filters(tmp_path, lines, want):
    assert read_gray(png(tmp_path / "a.png", 3, lines)) == Gray(3, want)


@pytest.mark.parametrize(
    ("colour", "depth", "line", "palette", "want"),
    [
        (2, 8, [255, 0, 0, 0, 255, 0], None, [76, 150]),  # red and green weigh 0.299 and 0.587
        (6, 8, [255, 255, 255, 255, 255, 255, 255, 0], None, [255, 0]),
        (4, 8, [200, 255, 200, 128], None, [200, 100]),
        (3, 8, [1, 0], [0, 0, 0, 255, 255, 255], [255, 0]),
        (0, 1, [0b10000000], None, [255, 0]),
        (0, 4, [0xF1], None, [255, 17]),
        (3, 2, [0b01000000], [9, 9, 9, 7, 7, 7], [7, 9]),
    ],
)
def test_the_kinds_of_colour(tmp_path, colour, depth, line, palette, want):
    path = png(tmp_path / "a.png", 2, [[0, *line]], colour=colour, depth=depth, palette=palette)
    assert read_gray(path).rows == [want]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"GIF89a", "is not a PNG file"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "is a damaged PNG file")],
)
def test_what_is_no_image_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.png {message}"):
        read_gray(path)


def test_interlaced_files_and_cut_ones_are_refused(tmp_path):
    with pytest.raises(ValueError, match="interlaced"):
        read_gray(png(tmp_path / "a.png", 2, [[0, 1, 2]], interlaced=1))
    with pytest.raises(ValueError, match="damaged"):
        read_gray(png(tmp_path / "a.png", 20, [[0, 1, 2]]))


def test_a_larger_square_is_averaged_and_paper_is_turned_over():
    dark = Gray(4, [[0, 0, 0, 0], [0, 8, 5, 0], [0, 4, 2, 0], [0, 0, 0, 0]])
    assert squared(dark, 2) == [2, 1, 1, 1]  # 8 / 4, 5 / 4, 4 / 4, 2 / 4 rounded
    paper = Gray(3, [[255, 255, 255], [255, 0, 255], [255, 255, 255]])
    assert squared(paper, 3) == [0, 0, 0, 0, 255, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="4 × 2"):
        squared(Gray(4, dark.rows[:2]), 2)


@pytest.mark.parametrize(("paper", "ink"), [(250, 10), (5, 245), (130, 20)])
def test_a_digit_of_any_size_is_put_where_mnist_has_it(paper, ink):
    """A bar of 6 × 30 pixels, anywhere in 50 × 80: 20 high in 28, so 4 wide, its centre in the middle."""
    image = Gray(50, [[ink if 3 <= r < 33 and 40 <= c < 46 else paper for c in range(50)] for r in range(80)])
    pixels = digit_of(image, 28)
    assert pixels == [255 * (4 <= r < 24 and 12 <= c < 16) for r in range(28) for c in range(28)]


def test_the_ink_that_is_shrunk_is_averaged_and_its_centre_of_mass_is_in_the_middle():
    # An L of 41 × 60 pixels: all of it but its upper left corner of 20 × 20.
    inked = [[20 <= r < 61 and 20 <= c < 80 and (r >= 40 or c >= 40) for c in range(100)] for r in range(90)]
    image = Gray(100, [[255 * ink for ink in row] for row in inked])
    pixels = digit_of(image, 28)
    rows = [pixels[28 * r : 28 * r + 28] for r in range(28)]
    total = sum(pixels)
    assert abs(sum(r * sum(row) for r, row in enumerate(rows)) / total - 13.5) <= 0.5
    assert abs(sum(c * pixel for row in rows for c, pixel in enumerate(row)) / total - 13.5) <= 0.5
    share = (41 * 60 - 20 * 20) / (41 * 60)
    assert total == pytest.approx(255 * 20 * round(20 * 41 / 60) * share, rel=0.02)


@pytest.mark.parametrize("size", [(28, 28), (30, 41), (1, 1)])
def test_where_nothing_stands_out_there_is_no_digit(size):
    width, height = size
    assert not any(digit_of(Gray(width, [[200 + (r + c) % 9 for c in range(width)] for r in range(height)]), 28))


def filled(path, width, height, packed, *, colour=0, depth=8):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed))
    return path


NOTHING = zlib.compress(b"")
BOMB = zlib.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    ("size", "packed", "options"),
    [
        ((4_000_000_000, 0), NOTHING, {}),
        ((0, 4_000_000_000), NOTHING, {}),
        ((4_000_000_000, 4_000_000_000), NOTHING, {}),
        ((100_000, 100_000), NOTHING, {}),
        ((28, 28), BOMB, {}),
        ((2048, 2048), NOTHING, {"colour": 6, "depth": 255}),
        ((28, 28), NOTHING, {"depth": 0}),
        ((28, 28), NOTHING, {"colour": 3}),  # without a palette
        ((1, 1), zlib.compress(bytes(2)), {"colour": 3}),
        ((1, 1), zlib.compress(bytes([5, 0])), {}),  # there are five filters
        ((1, 1), zlib.compress(bytes(2))[:-1], {}),
    ],
)
def test_what_a_small_file_claims_is_not_made(tmp_path, size, packed, options):
    path = filled(tmp_path / "a.png", *size, packed, **options)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.png is a .*PNG file"):
        read_gray(path)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "a.png"
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(1 << 40)  # a terabyte of zeros that takes no space
    with pytest.raises(ValueError, match=r"a\.png is a PNG file of more than"):
        read_gray(path)
