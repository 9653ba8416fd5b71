"""Files with random damage: each is read, or refused by an error of one line that names it."""

import contextlib
import copy
import json
import random
import struct
import zlib
from importlib import resources

import pytest

import microgrannd as mg
from microgrannd.app.images import read_gray
from microgrannd.datasets import iris

TRIED = [300, pytest.param(3_000, marks=pytest.mark.long)]
STRANGE = [None, True, -1, 0, 1, 2, 10**9, 10**400, 1e308, float("nan"), "", "x", "nan", "MLP", [], [[]], {}, {"a": 1}]


def in_bytes(content, chance):
    """Some bytes changed, cut out or doubled."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place, length = chance.randrange(len(damaged)), chance.randint(1, 8)
        there = bytes(damaged[place : place + length])
        sign = bytes([chance.choice(b'[]{}",-e9')])
        damaged[place : place + length] = chance.choice([b"", there * 2, chance.randbytes(length), sign])
        damaged = damaged or bytearray(b"\n")
    return bytes(damaged)


def in_structure(content, chance):
    """JSON with something strange in one or two places."""
    whole = [json.loads(content)]
    for _ in range(chance.randint(1, 2)):
        inner, key = whole, 0
        while isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.8:
            inner = inner[key]
            key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        inner[key] = copy.deepcopy(chance.choice(STRANGE))
    return json.dumps(whole[0]).encode()


def damaged(path, content, how, tried, read, error):
    """How many of the damaged files were read all the same."""
    chance, refusals = random.Random(tried), []
    for _ in range(tried):
        path.write_bytes(how(content, chance))
        with contextlib.suppress(error):
            read(path)
            continue
        with pytest.raises(error) as refusal:
            read(path)
        refusals.append(str(refusal.value))
    assert [text for text in refusals if path.name not in text or not text.isprintable() or len(text) > 1500] == []
    return tried - len(refusals)


@pytest.mark.slow
@pytest.mark.parametrize("tried", TRIED)
@pytest.mark.parametrize("how", [in_bytes, in_structure])
@pytest.mark.parametrize("kind", ["Neuron", "Layer", "MLP"])
def test_a_damaged_model_is_loaded_or_refused(tmp_path, how, tried, kind):
    path = tmp_path / "model.json"
    model = {"Neuron": mg.Neuron(2), "Layer": mg.Layer(2, 2), "MLP": mg.MLP(2, [2, 1])}[kind]
    mg.save(model, path)
    assert damaged(path, path.read_bytes(), how, tried, mg.load, mg.ModelFileError) < tried


@pytest.mark.parametrize("tried", TRIED)
def test_a_damaged_image_is_read_or_refused(tmp_path, tried):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(bytes([r % 5, *range(r, r + 8)]) for r in range(8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert damaged(tmp_path / "a.png", content, in_bytes, tried, read_gray, ValueError) < tried


@pytest.mark.parametrize("tried", [100, pytest.param(3_000, marks=pytest.mark.long)])
def test_a_damaged_table_is_read_or_refused(tmp_path, tried):
    content = (resources.files("microgrannd.datasets") / "iris.csv").read_bytes()
    damaged(tmp_path / "mine.csv", content, in_bytes, tried, lambda path: iris(path=path), ValueError)
