"""Models on disk: every bit comes back, and a bad file changes nothing."""

import json
import math
import os
import stat
import sys
import tracemalloc

import pytest

import microgrannd as mg
from microgrannd import ModelFileError, Operation, Value, load, save
from microgrannd.nn import MLP, Layer, Module, Neuron

NEWEST = 1


class Twin(Module):
    """A class of one's own, with a shared weight."""

    def __init__(self, seed=None):
        self.body = MLP(2, [2, 1], activation="tanh", seed=seed)
        self.body.layers[0].neurons[1].w[0] = self.body.layers[0].neurons[0].w[0]
        self.gain = Value(1.5)

    def __call__(self, x):
        return self.body(x) * self.gain


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.json"


def numbers(model):
    return [p.data for p in model.parameters()]


# ---- there and back


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Neuron(3, "sigmoid", seed=0), [1.0, -2.0, 0.5]),
        (Layer(2, 3, "gelu", seed=0, expand=True), [1.0, -2.0]),
        (MLP(2, [2, 1], activation="sigmoid", seed=0, init=5e-5), [0.3, 0.7]),
        (MLP(2, [16, 16, 2], output="tanh", seed=0), [0.3, 0.7]),
        (MLP(4, [3], seed=0), [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_a_built_in_model_comes_back_without_being_described(model, inputs, path):
    save(model, path)
    again = load(path)
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert numbers(again) == numbers(model)
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in model.named_parameters()]
    before, after = model(inputs), again(inputs)
    before, after = (before, after) if isinstance(before, list) else ([before], [after])
    assert [y.data for y in after] == [y.data for y in before]
    assert [y.scope for y in after] == [y.scope for y in before]
    assert [y.op for y in after] == [y.op for y in before]


def test_every_bit_of_a_float_comes_back(path):
    awkward = [0.1, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308, 2**53 + 2.0, math.pi, math.inf, -math.inf]
    neuron = Neuron(len(awkward) - 1)
    for p, number in zip(neuron.parameters(), awkward, strict=True):
        p.data = number
    save(neuron, path)
    assert [number.hex() for number in numbers(load(path))] == [number.hex() for number in awkward]
    neuron.b.data = math.nan
    save(neuron, path)
    assert math.isnan(load(path).b.data)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_person_can_read_the_file(path):
    save(MLP(2, [2, 1], activation="sigmoid", seed=0), path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["format"] == "microgrannd model"
    assert content["version"] == NEWEST
    assert content["architecture"] == {
        "class": "MLP",
        "inputs": 2,
        "layers": [{"neurons": 2, "activation": "sigmoid"}, {"neurons": 1, "activation": "linear"}],
        "expand": False,
    }
    assert list(content["parameters"])[:3] == ["layer0.neuron0.w0", "layer0.neuron0.w1", "layer0.neuron0.b"]
    assert len(path.read_text().splitlines()) > 20


def test_a_number_written_by_hand_is_read(path):
    save(Neuron(1), path)
    content = json.loads(path.read_text())
    content["parameters"] = {"w0": 2, "b": -1}
    path.write_text(json.dumps(content))
    assert numbers(load(path)) == [2.0, -1.0]
    assert all(type(number) is float for number in numbers(load(path)))


def test_a_class_of_ones_own_is_loaded_into_one(path):
    model, other = Twin(seed=0), Twin(seed=1)
    save(model, path)
    assert load(path, into=other) is other
    assert numbers(other) == numbers(model)
    with pytest.raises(ModelFileError, match=r"holds a Twin, a class of your own: build one and call load\(path, into"):
        load(path)


def test_a_network_with_an_activation_of_ones_own_is_loaded_into_one(path):
    softsign = Operation("relu", lambda x: x / (1 + abs(x)), lambda x, out: (1 / (1 + mg.abs(x)) ** 2,))
    for activation, name in [(softsign, "custom relu"), (lambda z: z * 2, "custom <lambda>")]:
        model, other = (MLP(2, [2, 1], activation=activation, seed=seed) for seed in (0, 1))
        save(model, path)
        with pytest.raises(ModelFileError, match=f"activation '{name}', which is not built in"):
            load(path)
        load(path, into=other)
        assert numbers(other) == numbers(model)


def test_neurons_that_differ_within_a_layer_are_loaded_into_one(path):
    model = Layer(1, 2, "relu")
    model.neurons[0].activation = mg.tanh
    save(model, path)
    with pytest.raises(ModelFileError, match="activation 'mixed'"):
        load(path)


# ---- bad files


def saved(path, **changes):
    save(MLP(2, [1], seed=0), path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: part for name, part in content.items() if part is not None}))


ARCHITECTURE = {"class": "MLP", "inputs": 2, "layers": [{"neurons": 1, "activation": "linear"}], "expand": False}
PARAMETERS = {"layer0.neuron0.w0": 1.0, "layer0.neuron0.w1": 2.0, "layer0.neuron0.b": 3.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "is not a model file: its format is not 'microgrannd model'"),
        ({"format": "another"}, "is not a model file"),
        ({"version": NEWEST + 1}, f"a newer microgrannd .version {NEWEST + 1} .* reads up to {NEWEST}.: upgrade"),
        ({"version": "1"}, "its version is '1'"),
        ({"version": True}, "its version is True"),
        ({"version": None}, "its version is None"),
        ({"architecture": None}, "has no architecture"),
        ({"parameters": None}, "has no parameters"),
        ({"parameters": [1.0]}, "has no parameters"),
        (
            {"parameters": PARAMETERS | {"layer0.neuron0.b": "three"}},
            "neuron0.b is 'three', which is not a number",
        ),
        ({"parameters": PARAMETERS | {"layer0.neuron0.b": True}}, "is True, which is not a number"),
        ({"parameters": PARAMETERS | {"layer0.neuron0.b": [3.0]}}, "which is not a number"),
        ({"parameters": PARAMETERS | {"layer0.neuron0.b": 10**400}}, "too large for a float"),
        ({"parameters": {"layer0.neuron0.w0": 1.0}}, "has 1 parameters where 3 are expected"),
        ({"parameters": {"a": 1.0, "b": 2.0, "c": 3.0}}, "lacks layer0.neuron0.w0, .*; the model has no a, b, c"),
        ({"architecture": ARCHITECTURE | {"class": "Mlp"}}, "holds a Mlp"),
        ({"architecture": {"class": "MLP"}}, "its architecture is incomplete"),
        ({"architecture": ARCHITECTURE | {"layers": 3}}, "its architecture is incomplete"),
        ({"architecture": ARCHITECTURE | {"layers": []}}, "has 3 parameters where 0 are expected"),
        ({"architecture": ARCHITECTURE | {"inputs": "2"}}, "its architecture is incomplete"),
        ({"architecture": ARCHITECTURE | {"inputs": 2.0}}, "number of inputs is an int, got 2.0"),
        ({"architecture": ARCHITECTURE | {"inputs": 10**12}}, "1000000000001 are expected"),
        ({"architecture": ARCHITECTURE | {"layers": [{"neurons": 1, "activation": ["relu"]}]}}, "not built in"),
        (
            {"architecture": ARCHITECTURE | {"inputs": -4, "layers": [{"neurons": -1, "activation": "relu"}]}},
            "at least",
        ),
    ],
)
def test_a_file_that_is_foreign_newer_or_damaged_is_one_error_and_changes_nothing(changes, message, path):
    saved(path, **changes)
    with pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    if "architecture" not in changes:
        model = MLP(2, [1], seed=5)
        before = numbers(model)
        with pytest.raises(ModelFileError):
            load(path, into=model)
        assert numbers(model) == before


def test_a_file_cut_off_anywhere_is_an_error(path):
    save(MLP(2, [1], seed=0), path)
    whole = path.read_text().rstrip()
    model = MLP(2, [1], seed=5)
    before = numbers(model)
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(ModelFileError, match="is damaged or not a model file: it is not JSON"):
            load(path, into=model)
    assert numbers(model) == before


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x89PNG\r\n", b"[1, 2]", b"null", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_model_file_is_an_error(content, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        load(path)


def test_a_model_of_another_shape_is_an_error_that_names_the_difference(path):
    save(MLP(2, [2, 1]), path)
    with pytest.raises(ModelFileError, match=r"does not fit the model: the model has no layer1.neuron0.w0, "):
        load(path, into=MLP(2, [2]))
    with pytest.raises(ModelFileError, match=r"lacks layer0.neuron2.w0, layer0.neuron2.w1, .* and 1 more"):
        load(path, into=MLP(2, [3, 1]))


def test_the_error_is_a_value_error_and_a_missing_file_is_what_it_is(path):
    assert issubclass(ModelFileError, ValueError)
    assert issubclass(ModelFileError, mg.MicrogranndError)
    with pytest.raises(FileNotFoundError):
        load(path)


# ---- whole or not at all


def test_only_modules_are_saved(path):
    with pytest.raises(TypeError, match="Only a Module can be saved, such as an MLP; got list"):
        save([Value(1.0)], path)
    assert not path.exists()


def test_only_into_modules_is_loaded(path):
    save(MLP(1, [1]), path)
    with pytest.raises(TypeError, match="loaded into a Module, such as an MLP; got list"):
        load(path, into=[MLP(1, [1])])


def test_what_fails_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    save(MLP(2, [1], seed=0), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save(MLP(2, [1], seed=1), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.* model.json"):
        save(MLP(1, [1]), tmp_path / "nowhere" / "model.json")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
def test_the_file_keeps_its_permissions_and_a_link_stays_a_link(path, tmp_path):
    save(MLP(1, [1], seed=0), path)
    path.chmod(0o640)
    link = tmp_path / "latest.json"
    link.symlink_to(path)
    model = MLP(1, [1], seed=1)
    save(model, str(link))
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert numbers(load(path)) == numbers(model)


# ---- files from others


LAYER = {"neurons": 1, "activation": "tanh"}
BOMBS = [
    {"class": "Neuron", "inputs": 10**9, "layers": [{"neurons": 0, "activation": "tanh"}]},
    {"class": "Neuron", "inputs": 10**9, "layers": []},
    {"class": "Layer", "inputs": 10**9, "layers": [{"neurons": 10**9, "activation": "tanh"}] * 0},
    {"class": "Layer", "inputs": -1, "layers": [{"neurons": 10**9, "activation": "tanh"}]},
    {"class": "MLP", "inputs": -1, "layers": [{"neurons": 10**9, "activation": "tanh"}]},
    {"class": "MLP", "inputs": 10**9, "layers": [{"neurons": 0, "activation": "tanh"}] * 2},
    {"class": "MLP", "inputs": 10**9, "layers": [{"neurons": "ab", "activation": "tanh"}]},
    {"class": "MLP", "inputs": 10**9, "layers": [{"neurons": [1], "activation": "tanh"}]},
    {"class": "MLP", "inputs": 10**4000, "layers": [{"neurons": 10**4000, "activation": "tanh"}]},
    {"class": "MLP", "inputs": math.inf, "layers": [LAYER]},
    {"class": "MLP", "inputs": math.nan, "layers": [LAYER]},
    {"class": "MLP", "inputs": None, "layers": [LAYER]},
]


@pytest.mark.parametrize("architecture", BOMBS)
def test_a_small_file_never_makes_a_large_model(architecture, path):
    content = {"format": "microgrannd model", "version": 1, "architecture": architecture | {"expand": False}}
    path.write_text(json.dumps(content | {"parameters": {}}))
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="is damaged"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_work_of_loading_grows_as_the_file_does(path):
    def calls(neurons):
        """How many functions are called to load a layer."""
        save(Layer(3, neurons, seed=0), path)
        counted = [0]
        sys.setprofile(lambda frame, event, argument: counted.__setitem__(0, counted[0] + 1))
        load(path)
        sys.setprofile(None)
        return counted[0]

    calls(10)
    assert calls(2000) < 2.2 * calls(1000)


HOSTILE = "\33]0;owned\7\33[2J\n" + "x" * 100_000


@pytest.mark.parametrize(
    "changes",
    [
        {"version": HOSTILE},
        {"architecture": ARCHITECTURE | {"class": HOSTILE}},
        {"architecture": ARCHITECTURE | {"layers": [{"neurons": 1, "activation": HOSTILE}]}},
        {"parameters": {HOSTILE: 1.0, HOSTILE + "y": 2.0, "z": 3.0}},
        {"parameters": PARAMETERS | {"layer0.neuron0.b": HOSTILE}},
        {"parameters": PARAMETERS | {HOSTILE: "no number"}},
        {"parameters": PARAMETERS | {HOSTILE: 10**400}},
        {"parameters": PARAMETERS | {"layer0.neuron0.b": [HOSTILE] * 100}},
    ],
)
def test_an_error_shows_a_little_of_the_file_on_one_line(changes, path):
    saved(path, **changes)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert len(str(caught.value)) < 600 + len(str(path))
    assert str(caught.value).isprintable()
