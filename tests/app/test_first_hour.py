"""What a user of PyTorch, NumPy or JAX tries in the first hour gets an answer."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from inspect import getdoc

import pytest

import microgrannd as mg
from microgrannd.app.cli import main
from microgrannd.ground import terminal
from microgrannd.nodes.arithmetic import Explained
from microgrannd.nodes.elsewhere import DEAD_ENDS

THINGS = {"Value": lambda: mg.Value(2.0) * 3.0, "Module": lambda: mg.MLP(2, [1], seed=0)}


def the_thing(place):
    return THINGS[place]() if place in THINGS else import_module(place)


@pytest.mark.parametrize(("place", "name"), [(place, name) for place in DEAD_ENDS for name in DEAD_ENDS[place]])
def test_a_dead_end_says_what_to_write_instead(place, name):
    thing = the_thing(place)
    with pytest.raises(AttributeError) as caught:
        getattr(thing, name)
    assert DEAD_ENDS[place][name] in str(caught.value)
    assert repr(name) in str(caught.value)
    assert not hasattr(thing, name)
    assert name not in dir(thing)


@pytest.mark.parametrize("place", DEAD_ENDS)
def test_dir_shows_public_names_that_are_there(place):
    thing = the_thing(place)
    names = dir(thing)
    assert len(names) > 3
    assert not [name for name in names if name[0] == "_" and name != "__version__"]
    assert all(hasattr(thing, name) for name in names)


def test_what_the_dead_ends_name_is_there():
    """Every mg.name in an answer exists."""
    for names in DEAD_ENDS.values():
        for told in names.values():
            for part in told.replace("(", " ").replace(")", " ").replace(",", " ").split():
                if part.startswith("mg."):
                    thing = mg
                    for name in part.split(".")[1:]:
                        thing = getattr(thing, name)


def test_numpys_name_of_an_operation_leads_to_it():
    with pytest.raises(AttributeError, match=r"mg\.asin"):
        _ = mg.arcsin
    with pytest.raises(AttributeError, match=r"no attribute 'nope'$"):
        _ = mg.nope


def test_a_subclass_may_have_what_is_a_dead_end():
    class Net(mg.Module):
        def __init__(self):
            self.weight = [mg.Value(1.0)]

        def forward(self, x):
            return self.weight[0] * x

    class Named(mg.Value):
        pass

    assert Net().forward(2.0).data == 2.0
    assert len(Net().parameters()) == 1
    named = Named(1.0)
    named.name = "mine"
    assert named.name == "mine"


def test_backward_takes_pytorchs_arguments_that_mean_the_same():
    x = mg.Value(3.0)
    y = x * x
    y.backward(retain_graph=True)
    assert x.grad == 6.0
    y.backward(gradient=2.0)
    assert x.grad == 18.0


@pytest.mark.parametrize("name", [name for name, row in mg.TABLE.items() if not (row.vectors or row.flag)])
def test_help_of_a_method_is_what_the_row_says(name):
    method = getattr(mg.Value, name, None)
    if method is None or not isinstance(method.__doc__, Explained):
        pytest.skip("no method, or one that is written by hand")
    assert getdoc(method) == getdoc(mg.TABLE[name])
    assert "The derivative by" in getdoc(method)


def test_a_data_set_at_the_prompt_is_a_summary():
    assert repr(mg.datasets.iris()).startswith("<Iris of sepal_length, sepal_width: 70 to train, 30 to test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replace": "no"}, "replace is True or False"),
        ({"per_step": "x"}, "per_step is True or False"),
        ({"progress": "x"}, "progress is True or False"),
        ({"clip": -1.0}, "clip, the largest norm, is above 0"),
        ({"clip": ("value", 0)}, "clip, the largest value, is above 0"),
        ({"schedule": lambda epoch: None}, "schedule gives the learning rate of epoch 0"),
        ({"schedule": lambda step: -1.0, "per_step": True}, "schedule gives the learning rate of step 0"),
    ],
)
def test_fit_names_the_argument_that_is_wrong(arguments, message):
    w = mg.Value(0.0)
    given = {"data": ([1, 2], [2, 4]), "epochs": 2} | arguments
    with pytest.raises((TypeError, ValueError), match=message):
        mg.fit(lambda x, y: (w * x - y) ** 2, optimizer=mg.optim.SGD([w], lr=0.1), **given)


# ---- the command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x^2", "x=3"], "A power is written **"),
        (["2x", "x=3"], "2*x"),
        (["1 + 3(x)", "x=3"], "3*("),
        (["ln(x)", "x=3"], "try log."),
        (["x", "x=1", "y=2"], "has no y"),
        (["x", "x=1", "x=2"], "given twice"),
        (["x", "x=1/"], "NAME=NUMBER"),
    ],
)
def test_a_slip_on_the_command_line_is_answered(arguments, message, tmp_path, capsys):
    assert main(["draw", *arguments, "-o", str(tmp_path / "x.svg")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.svg").exists()


def test_fractions_nans_and_the_browser(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("webbrowser.open", seen.append)
    assert main(["draw", "log(x - 1) + 1", "x=1/2", "--open", "-o", str(tmp_path / "x.svg")]) == 0
    assert "The NaN arises in log(-0.5)." in capsys.readouterr().out
    assert seen == [(tmp_path / "x.svg").as_uri()]


def test_columns_are_honoured(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    main(["draw", "+".join(["sin(x)"] * 30), "x=1", "-o", str(tmp_path / "x.svg")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 50


def test_what_is_too_long_is_wrapped_and_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    expression = " + ".join([f"sin({k} * x)" for k in range(2, 12)])
    head, first, *rest = terminal.table(["node", "value"], [[expression, "1.25"], ["x", "2"]]).splitlines()
    assert max(map(len, [head, first, *rest])) <= 50
    assert (first.split()[-1], rest.pop().split()) == ("1.25", ["x", "2"])
    assert " ".join([first.removesuffix("1.25").strip(), *map(str.strip, rest)]) == expression


def test_the_file_that_cannot_be_written_is_named(capsys):
    assert main(["draw", "x", "x=1", "-o", "/proc/foo.svg"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("microgrannd: /proc/foo.svg cannot be written to (")
    assert "choose another folder" in told


def test_exit_codes_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Exit codes: 0 all went well, 2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("init", "twins"), [(None, True), ("0.00005", True), ("0.5", False), ("xavier", False)])
def test_iris_says_what_was_learned_and_which_neurons_are_twins_where_they_are(init, twins, tmp_path, capsys):
    chosen = [] if init is None else ["--init", init]
    assert main(["iris", "--out", str(tmp_path), *chosen]) == 0
    out = capsys.readouterr().out
    # The species as Fisher measured them: a setosa's sepals are shorter and wider.
    assert re.search(r"a larger sepal length speaks for versicolor \(mean slope \+0\.\d+\)", out)
    assert re.search(r"a larger sepal width speaks for setosa \(mean slope -0\.\d+\)", out)
    assert ("twins" in out) is twins
    assert ("--init 0.5" in out) is twins


# ---- editors

SCRIPT = """
import microgrannd as mg
from microgrannd import Value

x = Value(2.0, label="x")
y: Value = mg.tanh(x) * 2 + 1
n: float = mg.tanh(0.5)
model = mg.MLP(2, [4, 1], activation="tanh", seed=0)


def loss(a: list[float], b: float) -> Value:
    error: Value = mg.losses.mean_squared_error(model(a), b)
    return error


history = mg.fit(loss, ([[0.0, 1.0]], [1.0]), mg.optim.SGD(model.parameters(), lr=0.1), epochs=2)
parameters: list[Value] = model.parameters()
program = mg.compile(loss)
y.backward()
print(x.grad, history.losses)
"""


WRONG = {
    "mg.nope(x)": 'has no attribute "nope"',
    "mg.losses.mse": 'has no attribute "mse"',
    "x.item()": '"Value" has no attribute "item"',
    "z: str = mg.tanh(x)": "Incompatible types",
    "x.label = 3": "Incompatible types",
}


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_a_script_of_a_user_is_checked_strictly(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    lines = ["import microgrannd as mg", "x = mg.Value(1.0)", *WRONG]
    (tmp_path / "wrong.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache")]
    check = [sys.executable, "-m", "mypy", *options, str(tmp_path / "script.py"), str(tmp_path / "wrong.py")]
    told = subprocess.run(check, capture_output=True, text=True, check=False).stdout
    assert "script.py" not in told, told
    for number, (line, error) in enumerate(WRONG.items(), start=3):
        assert any(f"wrong.py:{number}:" in said and error in said for said in told.splitlines()), (line, told)


# ---- IPython


@pytest.fixture
def shell():
    interactive = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    interactive.run_line_magic("load_ext", "microgrannd")
    return interactive


def test_backprop_plays_the_last_value_of_a_cell_with_its_source_lines(shell):
    shell.run_cell("from microgrannd import Value\nx = Value(3.0, label='x')")
    by_name = shell.run_cell_magic("backprop", "", "y = x * x\nz = y + 1")
    by_value = shell.run_cell_magic("backprop", "", "y = x * x\nz = y + 1\ny.exp()")
    assert isinstance(by_name, mg.Player)
    assert "z = y + 1" in by_name.html
    assert "y.exp()" in by_value.html
    assert shell.user_ns["z"].data == 10.0
    with pytest.raises(ValueError, match="last Value of a cell"):
        shell.run_cell_magic("backprop", "", "1 + 1")
