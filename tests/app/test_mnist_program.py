"""The programs for MNIST: what they train is what NumPy by hand trains, and they say what they found."""

import gzip
import os
import random
import struct
import sys
import tracemalloc
import zlib
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from microgrannd import persistence
from microgrannd.app.mnist_program import RECIPES, classes_of, confusion, network, predict, run, train
from microgrannd.compiler import compile
from microgrannd.datasets import mnist
from microgrannd.datasets.mnist import FILES, Digits
from microgrannd.learning.history import History
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP
from microgrannd.optim import SGD
from tests.oracles import example

FOLDER = Path(os.environ["MICROGRANND_DATA"]) if "MICROGRANND_DATA" in os.environ else None
with_the_files = pytest.mark.skipif(FOLDER is None, reason="MICROGRANND_DATA does not name MNIST's folder")


def digits(side, count=40):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, size=(count, side * side), dtype=np.uint8)
    return Digits(images, generator.integers(0, 10, count, dtype=np.uint8))


def weights(model):
    """For each layer the matrix and the biases."""
    rows = [[[value.data for value in (*neuron.w, neuron.b)] for neuron in layer.neurons] for layer in model.layers]
    return [(np.array(layer)[:, :-1], np.array(layer)[:, -1]) for layer in rows]


def one_step_by_hand(parameters, recipe, data, rate):
    """The parameters after a step on all the data, by NumPy."""
    activations = [data.x / 255]
    for i, (w, b) in enumerate(parameters):
        z = activations[-1] @ w.T + b
        last = i == len(parameters) - 1
        if recipe.activation == "sigmoid":
            activations.append(1 / (1 + np.exp(-z)))
        elif last:
            e = np.exp(z - z.max(axis=1, keepdims=True))
            activations.append(e / e.sum(axis=1, keepdims=True))
        else:
            activations.append(np.maximum(z, 0))
    delta = activations[-1] - np.eye(10)[data.y]
    stepped = []
    for i in reversed(range(len(parameters))):
        a, (w, b) = activations[i + 1], parameters[i]
        if recipe.activation == "sigmoid":
            delta = delta * a * (1 - a)
        elif i < len(parameters) - 1:
            delta = delta * (a > 0)
        stepped.append((w - rate * delta.T @ activations[i] / len(data.x), b - rate * delta.mean(axis=0)))
        delta = delta @ w
    return stepped[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["book", "saito"])
def test_a_step_is_that_of_numpy_by_hand(name):
    recipe = RECIPES[name]._replace(batch_size=40, replace=False)
    model = network(recipe, 0)
    data = digits(14 if name == "book" else 28)
    want = one_step_by_hand(weights(model), recipe, data, rate=0.5)
    train(model, recipe, data, 1, 0.5, seed=0)
    for (w, b), (want_w, want_b) in zip(weights(model), want, strict=True):
        assert np.abs(w - want_w).max() < 1e-12
        assert np.abs(b - want_b).max() < 1e-12


def test_the_book_s_network_starts_within_a_half():
    (first, biases), *_ = weights(network(RECIPES["book"], 0))
    assert first.shape == (100, 196)
    assert 0.49 < np.abs(first).max() <= 0.5
    assert 0.4 < np.abs(biases).max() <= 0.5


def test_minibatches_are_counted():
    recipe = RECIPES["book"]._replace(sizes=(196, 2, 10), batch_size=16)
    model = network(recipe, 0)
    assert len(train(model, recipe, digits(14), 7, 1.0, seed=0)) == 3  # two epochs of three, and one minibatch more


@pytest.mark.parametrize("replace", [False, True])
def test_the_minibatches_after_the_last_epoch_are_not_the_first_ones_again(replace, monkeypatch):
    seen = []

    class Noting:
        def fit(self, data, optimizer, **options):
            seen.append((data, options))
            return History()

    monkeypatch.setattr("microgrannd.app.mnist_program.compile", lambda loss: Noting())
    recipe = RECIPES["book"]._replace(sizes=(196, 2, 10), batch_size=16, replace=replace)
    data = digits(14, count=64)
    train(network(recipe, 0), recipe, data, 5, 1.0, seed=3)
    (whole, first), (part, last) = seen
    assert (len(whole[0]), first["epochs"], len(part[0]), last["epochs"]) == (64, 1, 16, 1)
    numbers = {image.tobytes(): i for i, image in enumerate(data.x)}
    drawn = [numbers[image.tobytes()] for image in part[0]]
    generator = random.Random(3)
    draws = generator.choices(range(64), k=64) if replace else generator.sample(range(64), 64)
    assert drawn != draws[:16]
    assert len(set(drawn)) == 16 or replace


def peak_of(work):
    """How many bytes Python and NumPy take at most while the work is done, the second time."""
    work()
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_training_takes_no_more_than_three_times_the_memory_of_numpy_by_hand(backend):
    pytest.importorskip("llvmlite" if backend == "native" else "numpy")
    recipe, data = RECIPES["book"], digits(14, count=640)
    targets = np.eye(10, dtype=np.uint8)[data.y]
    model = network(recipe, 0)
    first = weights(model)

    def by_hand():
        parameters, order = first, random.Random(0).sample(range(640), 640)
        for start in range(0, 640, 64):
            rows = order[start : start + 64]
            parameters = one_step_by_hand(parameters, recipe, Digits(data.x[rows], data.y[rows]), 1.0)

    program = compile(lambda x, y: half_squared_error(model([pixel / 255 for pixel in x]), y), backend=backend)
    optimizer = SGD(model.parameters(), lr=1.0)
    compiled = peak_of(lambda: program.fit((data.x, targets), optimizer, epochs=1, batch_size=64, seed=0))
    assert compiled < 3 * peak_of(by_hand)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four files of the right form with a few images, taken for the original ones."""
    monkeypatch.setattr(sys.modules["microgrannd.datasets.mnist"], "_check", lambda *_: None)
    data = digits(28, 80)
    for file in FILES:
        numbers = data.x if "images" in file.name else data.y
        sizes = (80, 28, 28) if "images" in file.name else (80,)
        header = struct.pack(f">{1 + len(sizes)}I", 0x800 + len(sizes), *sizes)
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(header + numbers.tobytes()))
    return tmp_path


def arguments(folder, **changed):
    given = {"network": "book", "data": folder, "seed": 0, "minibatches": 3, "eta": None, "quiet": True, "save": None}
    return Namespace(**given | changed)


def test_the_program_tells_what_came_of_it_and_the_model_is_saved(folder, capsys):
    run(arguments(folder, save=folder / "model.json"))
    out = capsys.readouterr().out
    assert "a 196-100-50-10 network, 25260 parameters, 3 minibatches" in out
    assert "accuracy " in out
    assert "/80 = 0." in out
    model = persistence.load(folder / "model.json")
    data = mnist(folder, small=True)
    right = sum(a == b for a, b in zip(classes_of(model)(data.test.x), data.test.y, strict=True))
    assert f"accuracy {right}/80" in out


def test_predict_says_which_digit_it_takes_an_image_for(folder, capsys):
    model = MLP(784, [10], output="linear", init=0)
    for pixel in range(784):
        model.layers[0].neurons[7].w[pixel].data = 0.01
    persistence.save(model, folder / "model.json")
    image = bytes([0, *[0] * 10, *[255] * 8, *[0] * 10]) * 28
    header = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(image)), (b"IEND", b"")):
        content += struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
    (folder / "seven.png").write_bytes(content)
    predict(Namespace(model=folder / "model.json", image=folder / "seven.png"))
    first, best, *_ = capsys.readouterr().out.splitlines()
    assert "7" in first
    score = 0.01 * 8 * 28  # the logit of 7, beside nine zeros
    assert best.split()[:2] == ["7", f"{np.exp(score) / (np.exp(score) + 9):.4f}"]


def test_a_model_of_another_size_is_refused(folder):
    persistence.save(MLP(3, [2], seed=0), folder / "model.json")
    with pytest.raises(ValueError, match="not a network for digits"):
        predict(Namespace(model=folder / "model.json", image=folder / "none.png"))


@with_the_files
def test_one_image_gives_the_gradients_of_the_worked_example():
    """K-27, through the matrix program."""
    want = example("K-27")["outputs"]
    model = MLP(196, [100, 50, 10], "sigmoid", "sigmoid", init=0)
    for number, layer in enumerate(model.layers, 1):
        for j, neuron in enumerate(layer.neurons):
            for i, value in enumerate([*neuron.w, neuron.b]):
                value.data = ((7919 * i + 104729 * j + 1299709 * number) % 1025 - 512) / 1024
    data = mnist(FOLDER, small=True)
    x, y = data.train.x[:1] / 255, np.eye(10)[data.train.y[:1]]
    program = compile(lambda x, y: half_squared_error(model(x), y), backend="numpy")
    assert program.backward(x, y) == pytest.approx(want["loss"], rel=1e-12)
    gradients = [
        (np.array([[w.grad for w in n.w] for n in layer.neurons]).T, np.array([n.b.grad for n in layer.neurons]))
        for layer in model.layers
    ]
    for number, (w, b) in enumerate(gradients, 1):
        assert w.sum() == pytest.approx(want[f"dW{number}"]["sum"], rel=1e-11)
        assert (w * w).sum() == pytest.approx(want[f"dW{number}"]["sum_of_squares"], rel=1e-12)
        assert np.abs(w).max() == pytest.approx(want[f"dW{number}"]["max_abs"], rel=1e-12)
        if number < 3:
            assert b.sum() == pytest.approx(want[f"db{number}"]["sum"], rel=1e-11)
    assert gradients[2][1] == pytest.approx(np.array(want["db3"]), rel=1e-12)
    assert gradients[0][0][104, 0] == pytest.approx(want["dW1[104][0]"], rel=1e-12)
    assert gradients[2][0][49, 9] == pytest.approx(want["dW3[49][9]"], rel=1e-12)


@with_the_files
@pytest.mark.long
@pytest.mark.parametrize(("name", "least"), [("book", 0.970), ("saito", 0.969)])
def test_the_whole_training_reaches_the_accuracy_of_the_books(name, least):
    """K-15 and S-22: 0.972 in the first book, 0.9694 to 0.9721 in the second; other seeds are apart as much."""
    recipe = RECIPES[name]
    data = mnist(FOLDER, small=name == "book")
    model = network(recipe, 0)
    losses = train(model, recipe, data.train, recipe.minibatches, recipe.rate, seed=0)
    assert losses[-1] < losses[0] / 8
    assert confusion(model, data).accuracy >= least
