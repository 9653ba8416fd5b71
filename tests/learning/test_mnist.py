"""MNIST's files: read from a folder, checked, never used when damaged; and the digits as the books use them."""

import gzip
import hashlib
import io
import os
import struct
import sys
import tracemalloc
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest

from microgrannd.datasets import mnist
from microgrannd.datasets.mnist import FILES, File, fetch, shrunk

# The four original files, where the environment says that they are at hand.
FOLDER = Path(os.environ["MICROGRANND_DATA"]) if "MICROGRANND_DATA" in os.environ else None
with_the_files = pytest.mark.skipif(FOLDER is None, reason="MICROGRANND_DATA does not name MNIST's folder")


def images(count, seed=0):
    numbers = np.random.default_rng(seed).integers(0, 256, size=count * 784, dtype=np.uint8)
    return struct.pack(">IIII", 2051, count, 28, 28) + numbers.tobytes(), numbers.reshape(count, 784)


def labels(count, seed=0):
    numbers = np.random.default_rng(seed).integers(0, 10, size=count, dtype=np.uint8)
    return struct.pack(">II", 2049, count) + numbers.tobytes(), numbers


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A small set of four files in a folder, and the arrays in them."""
    contents = [images(5), labels(5), images(3, 1), labels(3, 1)]
    files = []
    for file, (content, _) in zip(FILES, contents, strict=True):
        packed = gzip.compress(content)
        (tmp_path / f"{file.name}.gz").write_bytes(packed)
        files.append(File(file.name, len(packed), hashlib.sha256(packed).hexdigest(), hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(sys.modules["microgrannd.datasets.mnist"], "FILES", tuple(files))
    monkeypatch.delenv("MICROGRANND_DATA", raising=False)
    return tmp_path, files, [numbers for _, numbers in contents]


def test_the_numbers_are_those_in_the_files(made):
    folder, _, (train_x, train_y, test_x, test_y) = made
    data = mnist(folder)
    assert data.side == 28
    assert np.array_equal(data.train.x, train_x)
    assert np.array_equal(data.train.y, train_y)
    assert np.array_equal(data.test.x, test_x)
    assert np.array_equal(data.test.y, test_y)


def test_unpacked_files_do_as_well_and_the_environment_may_name_the_folder(made, monkeypatch):
    folder, _, (train_x, *_) = made
    for path in folder.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    monkeypatch.setenv("MICROGRANND_DATA", str(folder))
    assert np.array_equal(mnist().train.x, train_x)


def test_a_small_pixel_is_the_rounded_mean_of_four():
    block = np.zeros((1, 28, 28), dtype=np.uint8)
    block[0, :2, :2] = [[1, 2], [3, 4]]
    block[0, 26:, 26:] = 255
    block[0, :2, 2:4] = [[0, 0], [0, 2]]
    small = shrunk(block.reshape(1, 784)).reshape(14, 14)
    assert (small[0, 0], small[0, 1], small[13, 13]) == (3, 1, 255)  # (10 + 2) // 4, (2 + 2) // 4
    assert small.sum() == 3 + 1 + 255


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_file_is_named_and_not_used(made, damage):
    folder, files, _ = made
    path = folder / f"{files[2].name}.gz"
    content = gzip.decompress(path.read_bytes())
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "changed":
        path.write_bytes(gzip.compress(content[:100] + bytes([content[100] ^ 1]) + content[101:]))
    else:
        path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        mnist(folder)


def test_a_file_that_is_missing_is_named(made):
    folder, files, _ = made
    (folder / f"{files[1].name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no train-labels-idx1-ubyte\.gz"):
        mnist(folder)


class Server:
    """Stands in for the network: gives a file, from where the request says, and ends the connection early."""

    def __init__(self, monkeypatch, content, *, ends_after=None, ranges=True):
        self.content, self.ends_after, self.ranges, self.requests = content, ends_after, ranges, []
        monkeypatch.setattr(urllib.request, "urlopen", self.open)

    def open(self, request, timeout):
        start = request.headers.get("Range")
        self.requests.append(start)
        begin = int(start[6:-1]) if start and self.ranges else 0
        answer = io.BytesIO(self.content[begin : begin + self.ends_after] if self.ends_after else self.content[begin:])
        answer.status = 206 if start and self.ranges else 200
        return answer


def test_fetching_goes_on_where_it_ended(made, tmp_path, monkeypatch):
    folder, files, _ = made
    content = (folder / f"{files[0].name}.gz").read_bytes()
    target = tmp_path / "cache" / f"{files[0].name}.gz"
    server = Server(monkeypatch, content, ends_after=1000)
    with pytest.raises(OSError, match="could not be fetched"):
        fetch(target, files[0], ["https://first/", "https://second/"])
    assert server.requests == [None, "bytes=1000-"]
    assert not target.exists()
    Server(monkeypatch, content)
    fetch(target, files[0], ["https://third/"])
    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]


def test_a_server_that_cannot_go_on_starts_again(made, tmp_path, monkeypatch):
    folder, files, _ = made
    content = (folder / f"{files[0].name}.gz").read_bytes()
    target = tmp_path / "cache" / f"{files[0].name}.gz"
    target.parent.mkdir()
    target.with_name(f"{target.name}.partial").write_bytes(content[:700])
    Server(monkeypatch, content, ranges=False)
    fetch(target, files[0], ["https://first/"])
    assert target.read_bytes() == content


def test_what_is_not_the_file_is_not_kept(made, tmp_path, monkeypatch):
    _, files, _ = made
    target = tmp_path / "cache" / f"{files[0].name}.gz"
    Server(monkeypatch, b"x" * files[0].size)
    with pytest.raises(OSError, match="SHA-256"):
        fetch(target, files[0], ["https://first/"])
    assert list(target.parent.iterdir()) == []


@with_the_files
def test_the_original_digits_and_their_small_images():
    data = mnist(FOLDER)
    assert data.train.x.shape == (60000, 784)
    assert data.test.x.shape == (10000, 784)
    assert np.bincount(data.train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    small = mnist(FOLDER, small=True)
    assert [hashlib.sha256(x.tobytes()).hexdigest() for x in (small.train.x, small.test.x)] == [
        "05116ef8e80aa40456f7a42f816fba434a8a7bb69131d1c1774fcac21b092db0",
        "d3554808a1d92e5223a853c393e4ee8cd4698c7b83434c83dadd25d3295a8abd",
    ]
    assert round(float(small.train.x.mean()), 4) == 33.3514


@pytest.mark.slow
def test_any_flipped_bit_is_a_damaged_file(made):
    folder, files, _ = made
    path = folder / f"{files[0].name}.gz"
    # As in the originals, mostly background, so that the packed file has tables that a bit can break.
    rows = b"".join(bytes(200) + os.urandom(40) + bytes(544) for _ in range(20))
    packed = gzip.compress(struct.pack(">IIII", 2051, 20, 28, 28) + rows, mtime=0)
    for place in range(10, len(packed)):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 1 << place % 8]) + packed[place + 1 :])
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged"):
            mnist(folder, download=False)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_is_not_read_beyond_the_length_of_the_largest(made, suffix):
    folder, files, _ = made
    path = folder / f"{files[0].name}{suffix}"
    if suffix:
        packing = zlib.compressobj(9, wbits=31)
        path.write_bytes(b"".join(packing.compress(bytes(10**7)) for _ in range(40)) + packing.flush())
    else:
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    tracemalloc.start()
    with pytest.raises(ValueError, match="is damaged"):
        mnist(folder, download=False)
    assert tracemalloc.get_traced_memory()[1] < 150_000_000
    tracemalloc.stop()


def test_a_fetched_file_follows_a_link(made, tmp_path, monkeypatch):
    folder, files, _ = made
    content = (folder / f"{files[0].name}.gz").read_bytes()
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    cache.mkdir()
    elsewhere.mkdir()
    link = cache / f"{files[0].name}.gz"
    link.symlink_to(elsewhere / "file.gz")
    Server(monkeypatch, content)
    fetch(link, files[0], ["https://first/"])
    assert link.is_symlink()
    assert (elsewhere / "file.gz").read_bytes() == content
    assert list(cache.iterdir()) == [link]
