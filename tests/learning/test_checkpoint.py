"""A training that is stopped and resumed ends with the same bits as one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import microgrannd as mg
from microgrannd.ground.errors import ModelFileError
from microgrannd.nn import MLP

X = [[random.Random(i).uniform(-1, 1), random.Random(-i - 1).uniform(-1, 1)] for i in range(23)]
Y = [a * b for a, b in X]
BACKENDS = [
    "eager",
    "auto",
    "native",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("python", "numpy", "jax")),
]


class Stopped(Exception):
    pass


def trained(backend, *, data=(X, Y), optimizer=mg.optim.Adam, neurons=3, stop=None, callbacks=(), lr=0.01, **options):
    """The parameters, the optimizer and the history after 12 epochs; an exception ends them after `stop`."""
    model = MLP(2, [neurons, 1], activation="tanh", seed=0)
    optimizer = optimizer(model.parameters(), lr=lr)

    def loss(x, y):
        return (model(x) - y) ** 2

    def stops(epoch, history):
        if epoch == stop:
            raise Stopped

    options = {"epochs": 12, "callbacks": [*callbacks, stops], **options}
    if not callable(data):
        options = {"batch_size": 5, "seed": 1, **options}
    if backend in ("eager", "auto"):
        history = mg.fit(loss, data, optimizer, compiled="auto" if backend == "auto" else False, **options)
    else:
        if backend in ("jax", "numpy"):
            pytest.importorskip(backend)
        history = mg.compile(loss, backend=backend).fit(data, optimizer, **options)
    state = optimizer.state_dict()
    return [p.data.hex() for p in model.parameters()], state, history.losses, history.rates


def shuffled_batches():
    order = random.sample(range(23), 23)
    for start in range(0, 23, 6):
        yield [X[i] for i in order[start : start + 6]], [Y[i] for i in order[start : start + 6]]


KINDS = {
    "shuffled": {},
    "all at once": {"batch_size": None, "seed": None},
    "drawn anew": {"replace": True},
    "every third": {"every": 3},
    "a rate a step": {"schedule": lambda step: 0.01 / (1 + step), "per_step": True},
    "a stream": {"data": shuffled_batches},
    "momentum": {"optimizer": lambda p, lr: mg.optim.SGD(p, lr, momentum=0.9)},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_resumed_training_has_the_bits_of_one_that_was_not_stopped(backend, kind, tmp_path):
    options = KINDS[kind]
    random.seed(7)
    expected = trained(backend, **{name: option for name, option in options.items() if name != "every"})
    random.seed(7)
    with pytest.raises(Stopped):
        trained(backend, stop=7, checkpoint=tmp_path / "run.json", **options)
    random.seed(8)
    assert trained(backend, checkpoint=tmp_path / "run.json", resume=True, **options) == expected


def test_resume_goes_on_and_does_not_start_again(tmp_path):
    seen = []
    path = tmp_path / "run.json"
    with pytest.raises(Stopped):
        trained("eager", stop=7, checkpoint=path, every=3)
    trained("eager", checkpoint=path, resume=True, callbacks=[lambda epoch, history: seen.append(epoch)])
    assert seen == [6, 7, 8, 9, 10, 11]


def test_where_a_callback_ended_the_training_it_stays_ended(tmp_path):
    path = tmp_path / "run.json"
    ended = trained("eager", checkpoint=path, callbacks=[lambda epoch, history: epoch == 4])
    assert len(ended[2]) == 5
    assert trained("eager", checkpoint=path, resume=True) == ended


def test_a_setting_that_was_changed_on_the_way_is_kept(tmp_path):
    model = MLP(2, [1], seed=0)
    optimizers = [mg.optim.Adam(model.parameters(), lr=0.01) for _ in range(2)]

    def changes(epoch, history):
        optimizers[0].betas, optimizers[0].lr = (0.5, 0.75), 0.25

    options = {"epochs": 1, "checkpoint": tmp_path / "run.json", "compiled": False}
    mg.fit(lambda x, y: (model(x) - y) ** 2, (X, Y), optimizers[0], callbacks=[changes], **options)
    mg.fit(lambda x, y: (model(x) - y) ** 2, (X, Y), optimizers[1], resume=True, **options)
    assert (optimizers[1].betas, optimizers[1].lr) == ((0.5, 0.75), 0.25)


def test_an_optimizer_with_a_state_of_its_own_is_refused(tmp_path):
    class Remembering(mg.optim.SGD):
        def __init__(self, parameters, lr):
            super().__init__(parameters, lr)
            self.seen = []

    with pytest.raises(TypeError, match="cannot keep seen of Remembering, a list"):
        trained("eager", optimizer=Remembering, checkpoint=tmp_path / "run.json")


OTHERS = {
    "number of parameters": {"neurons": 4},
    "optimizer": {"optimizer": mg.optim.SGD},
    "settings of the optimizer": {"lr": 0.02},
    "batch_size": {"batch_size": 6},
    "seed": {"seed": 2},
    "number of samples": {"data": (X[1:], Y[1:])},
    "digest of the data": {"data": (X, [*Y[:-1], 5.0])},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_checkpoint_of_another_training_is_refused(what, tmp_path):
    path = tmp_path / "run.json"
    trained("eager", checkpoint=path, epochs=1)
    with pytest.raises(ModelFileError, match=f"another training: its {what} was"):
        trained("eager", checkpoint=path, resume=True, **OTHERS[what])


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "cut", "a bit", "a model"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    path = tmp_path / "run.json"
    trained("eager", checkpoint=path, epochs=1)
    whole = path.read_text()
    content = json.loads(whole)
    content["state"]["parameters"][0] += 1e-9
    damaged = {"cut": whole[:-20], "a bit": json.dumps(content), "a model": '{"format": "microgrannd model"}'}
    path.write_text(damaged.get(damage, damage))
    with pytest.raises(ModelFileError, match="damaged or no checkpoint"):
        trained("eager", checkpoint=path, resume=True)


def test_arguments_that_go_with_a_checkpoint_alone():
    with pytest.raises(ValueError, match="go with a checkpoint"):
        trained("eager", resume=True)


def test_a_file_that_cannot_be_written_is_known_before_an_epoch(tmp_path):
    with pytest.raises(FileNotFoundError):
        trained("eager", stop=0, checkpoint=tmp_path / "none" / "run.json")


SCRIPT = """
import random, sys
import microgrannd as mg
from microgrannd.nn import MLP
X = [[random.Random(i).uniform(-1, 1), i / 40] for i in range(40)]
model = MLP(2, [3, 1], activation="tanh", seed=0)
optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
print("ready", flush=True)
mg.fit(lambda x: (model(x) - x[0] * x[1]) ** 2, (X,), optimizer, epochs=60, batch_size=7, seed=3, compiled=False,
       checkpoint=sys.argv[1], resume=True)
print([p.data.hex() for p in model.parameters()])
"""


@pytest.mark.slow
def test_a_process_killed_at_thirty_moments_ends_the_same(tmp_path):
    def started(name):
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / name)], stdout=subprocess.PIPE, text=True, env=os.environ
        )

    expected = started("whole.json").communicate(timeout=120)[0]
    moments = random.Random(0)
    for _ in range(30):
        process = started("killed.json")
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.04))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert started("killed.json").communicate(timeout=120)[0] == expected


@pytest.mark.parametrize("kind", ["random", "numpy", "RandomState"])
def test_a_generator_that_the_loss_has_goes_on_where_it_was(kind, tmp_path):
    """Dropout from a generator of one's own."""

    def run(stop, **options):
        if kind == "random":
            draw = random.Random(3).random
        else:
            numpy = pytest.importorskip("numpy")
            draw = (numpy.random.default_rng(3) if kind == "numpy" else numpy.random.RandomState(3)).uniform
        w = mg.Value(0.5)

        def loss(x, y):
            return (w * x[0] * (draw() < 0.5) - y) ** 2

        def stops(epoch, history):
            if epoch == stop:
                raise Stopped

        optimizer = mg.optim.SGD([w], lr=0.05)
        mg.fit(loss, (X, Y), optimizer, epochs=8, batch_size=5, seed=1, callbacks=[stops], **options)
        return w.data.hex()

    wanted, path = run(None), tmp_path / "run.json"
    with pytest.raises(Stopped):
        run(4, checkpoint=path)
    assert run(None, checkpoint=path, resume=True) == wanted


def test_an_iterator_in_the_loss_is_refused(tmp_path):
    numbers, w = iter(range(10**6)), mg.Value(0.5)
    optimizer = mg.optim.SGD([w], lr=0.05)
    with pytest.raises(TypeError, match="which is an iterator"):
        mg.fit(lambda x, y: (w * next(numbers) - y) ** 2, (X, Y), optimizer, checkpoint=tmp_path / "run.json")
