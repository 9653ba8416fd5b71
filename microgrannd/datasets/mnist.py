"""MNIST, the handwritten digits of LeCun and Cortes, from the original files, each checked before it is used."""

import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from microgrannd.ground.arguments import path_of
from microgrannd.ground.files import write_whole
from microgrannd.ground.terminal import is_terminal, tell

MIRRORS: Final = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FOLDER_VARIABLE: Final = "MICROGRANND_DATA"
SIDE: Final = 28
SMALL_SIDE: Final = 14
LONGEST: Final = 16 + 60_000 * SIDE * SIDE  # bytes of the content of the largest file


class File(NamedTuple):
    """One of the four: its name, the size and checksum of the packed file, the checksum of its content."""

    name: str
    size: int
    sha256: str
    content_md5: str


# fmt: off
FILES: Final = (
    File("train-images-idx3-ubyte", 9_912_422,
         "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", "6bbc9ace898e44ae57da46a324031adb"),
    File("train-labels-idx1-ubyte", 28_881,
         "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", "a25bea736e30d166cdddb491f175f624"),
    File("t10k-images-idx3-ubyte", 1_648_877,
         "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", "2646ac647ad5339dbf082846283269ea"),
    File("t10k-labels-idx1-ubyte", 4_542,
         "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", "27ae3e4e09519cfbb04c329615203637"),
)
# fmt: on


class Digits(NamedTuple):
    """Images as rows of bytes, 0 for the background and 255 for ink, and the digit of each."""

    x: Any
    y: Any


class Mnist(NamedTuple):
    """The digits to train on and to test with; each image is a row of `side` × `side` bytes."""

    train: Digits
    test: Digits
    side: int


def mnist(folder: str | Path | None = None, *, small: bool = False, download: bool = True) -> Mnist:
    """The digits, from the original files in a folder, or from the cache, into which they are downloaded once.

    `folder` has the four files, packed (.gz) or unpacked; if it is None, the environment variable
    MICROGRANND_DATA may name it. `small` makes the images 14 × 14: each pixel is the rounded mean of four.
    Raises ValueError for a file that is not the original, and FileNotFoundError if files are missing and
    `download` is False.
    """
    try:
        import numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError("MNIST needs NumPy: pip install 'microgrannd[native]'") from None
    named = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
    where = path_of("folder", named) if named is not None else cache()
    arrays = []
    for file in FILES:
        content = _content(where, file, fetched=download and named is None)
        header = 4 + 4 * content[3]  # the fourth byte is the number of dimensions
        array = numpy.frombuffer(content, dtype=numpy.uint8, offset=header)
        arrays.append(array.reshape(-1, SIDE * SIDE) if "images" in file.name else array)
    if small:
        arrays = [shrunk(array) if array.ndim == 2 else array for array in arrays]
    return Mnist(Digits(*arrays[:2]), Digits(*arrays[2:]), SMALL_SIDE if small else SIDE)


def shrunk(images: Any) -> Any:
    """Images of 28 × 28 bytes as images of 14 × 14: the rounded mean (a + b + c + d + 2) // 4 of each block.

    >>> import numpy
    >>> image = numpy.zeros((1, 784), dtype=numpy.uint8)
    >>> image[0, [0, 1, 28]] = 255, 255, 4
    >>> int(shrunk(image)[0, 0])
    129
    """
    blocks = images.reshape(-1, SMALL_SIDE, 2, SMALL_SIDE, 2)
    total = blocks[:, :, 0, :, 0].astype("uint16")
    for row, column in ((0, 1), (1, 0), (1, 1)):
        total += blocks[:, :, row, :, column]
    return ((total + 2) // 4).astype("uint8").reshape(-1, SMALL_SIDE * SMALL_SIDE)


def cache() -> Path:
    """The folder in which downloaded files are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "microgrannd" / "mnist"


def _content(folder: Path, file: File, *, fetched: bool) -> bytes:
    path = folder / file.name
    opened: Any = open
    if not path.is_file():
        path, opened = folder / f"{file.name}.gz", gzip.open
        if not path.is_file() and not fetched:
            raise FileNotFoundError(
                f"There is no {path.name} in {folder}: it is one of MNIST's four files; "
                f"name the folder that has them, or the environment variable {FOLDER_VARIABLE}."
            )
        if not path.is_file():
            fetch(path, file)
    try:
        with opened(path, "rb") as packed:
            content: bytes = packed.read(LONGEST + 1)  # a byte more than MNIST's has another checksum
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}. Delete it, and it is downloaded again.") from None
    _check(path, hashlib.md5(content, usedforsecurity=False).hexdigest(), file.content_md5)
    return content


def _check(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(
            f"{path} is damaged or not MNIST's: its content has the MD5 checksum {found}, not {expected}. "
            "Delete it, and it is downloaded again."
        )


def fetch(path: Path, file: File, mirrors: Sequence[str] = MIRRORS) -> None:
    """Download a file, resuming an earlier attempt; it gets its name only once it is complete and checked."""
    import urllib.error

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    reasons = []
    for mirror in mirrors:
        try:
            _fetch_from(mirror + path.name, partial, file.size)
        except (urllib.error.URLError, OSError) as error:
            reasons.append(f"{mirror}: {error}")
            continue
        content = partial.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found == file.sha256:
            write_whole(path, content)
            partial.unlink()
            return
        partial.unlink()
        reasons.append(f"{mirror}: what it sent has the SHA-256 checksum {found}, not {file.sha256}")
    raise OSError(
        f"{path.name} could not be fetched ({'; '.join(reasons)}). Put MNIST's four files into a folder and "
        f"name it with --data or the environment variable {FOLDER_VARIABLE}."
    )


def _fetch_from(url: str, partial: Path, size: int) -> None:
    """Append to the partial file what it lacks, or start again if the server cannot resume."""
    import urllib.request

    have = partial.stat().st_size if partial.exists() else 0
    if have >= size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        if have and answer.status != 206:
            have = 0
        with partial.open("ab" if have else "wb") as out, _reporting(url.rpartition("/")[2], size) as report:
            while have < size and (block := answer.read(min(1 << 16, size - have))):
                out.write(block)
                have += len(block)
                report(have)
    if have < size:
        raise OSError(f"the connection ended after {have} of {size} bytes")


@contextmanager
def _reporting(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of bytes received: a bar on a terminal, one plain line elsewhere."""
    if not is_terminal(sys.stderr):
        tell(f"fetching {name} ({size / 1e6:.1f} MB)")
        yield lambda have: None
        return

    def report(have: int) -> None:
        bar = "#" * (30 * have // size)
        tell(f"\r{name} [{bar:<30}] {have / 1e6:.1f} of {size / 1e6:.1f} MB", end="")

    try:
        yield report
    finally:
        tell("")
