"""The program, as people call it: its results, its files, its errors."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import microgrannd as mg
from microgrannd.app.cli import main


def run(*arguments, **environment):
    """The program in a process of its own, without Graphviz and without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "microgrannd", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": os.path.dirname(sys.executable), **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iris")
    return run("iris", "--out", folder), folder


def test_iris_prints_the_confusion_matrices_the_accuracy_and_the_time(iris):  # K-06, K-07
    result, _ = iris
    assert result.returncode == 0, result.stderr
    assert "before  TN 15  FP 0  FN 15  TP 0" in result.stdout
    assert "after   TN 14  FP 1  FN 1  TP 14" in result.stdout
    assert "accuracy 28/30 = 0.9333" in result.stdout
    assert re.search(r"trained in [\d.]+ s", result.stdout)
    assert "a 2-2-1 network, 9 parameters, 1000 epochs" in result.stdout


def test_iris_writes_what_it_says(iris):
    result, folder = iris
    written = re.findall(r"wrote (\S+):", result.stdout)
    assert {os.path.basename(name) for name in written} >= {"model.json", "graph.svg", "steps.html"}
    assert all(os.path.getsize(name) > 0 for name in written)
    assert (folder / "graph.svg").read_text(encoding="utf-8").startswith("<svg")
    model = mg.load(folder / "model.json")
    assert model.parameter_count == 9


def test_output_in_a_pipe_is_plain_and_progress_goes_to_standard_error(iris):
    result, _ = iris
    assert "\033" not in result.stdout + result.stderr
    assert "epoch" in result.stderr
    assert len(result.stderr.splitlines()) <= 12


def test_quiet_prints_the_result_only(tmp_path):
    result = run("iris", "--quiet", "--epochs", 3, "--out", tmp_path)
    assert result.stderr == ""
    assert "3 epochs" in result.stdout


def test_one_hot_trains_two_outputs(tmp_path):  # K-16
    result = run("iris", "--hidden", 2, "--one-hot", "--quiet", "--out", tmp_path)
    assert "after   TN 14  FP 1  FN 0  TP 15" in result.stdout
    assert "accuracy 29/30" in result.stdout


def test_without_matplotlib_it_says_so_and_goes_on(tmp_path):
    hidden = tmp_path / "matplotlib"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('No module named matplotlib')")
    result = run("iris", "--quiet", "--epochs", 1, "--out", tmp_path / "out", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0
    assert "no plots: Plots need matplotlib: pip install 'microgrannd[plot]'" in result.stdout
    assert (tmp_path / "out" / "graph.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iris", "--eta", "-1"], "learning rate"),
        (["iris", "--hidden", "0"], "at least 1"),
        (["iris", "--epochs", "-3"], "epochs"),
        (["iris", "--data", "missing.csv"], "missing.csv"),
        (["draw", "x +", "x=1"], "x +"),
        (["draw", "x * y", "x=1"], "y"),
        (["draw", "x", "x=one"], "NAME=NUMBER"),
        (["draw", "x", "1=x"], "NAME=NUMBER"),
        (["draw", "x*x", "x=2", "-o", "picture.gif"], ".gif"),
        (["step", "__import__('os')"], "__import__"),
    ],
)
def test_an_error_is_one_story_on_standard_error(arguments, message, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "microgrannd", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        check=False,
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("*.*")), "nothing is half-written"


def test_an_unwritable_folder_is_found_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("iris", "--out", tmp_path / "file" / "below")
    assert result.returncode == 2
    assert "--out" in result.stderr
    assert "before" not in result.stdout


def test_an_iris_file_with_a_missing_column_is_named(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("sepal_length,species\n5.1,setosa\n")
    result = run("iris", "--data", file, "--out", tmp_path)
    assert result.returncode == 2
    assert "mine.csv has no column 'sepal_width'" in result.stderr


def test_draw_prints_a_table_and_writes_the_picture(tmp_path, capsys):  # C-01
    file = tmp_path / "circuit.svg"
    assert main(["draw", "(x + y) * z", "x=-2", "y=5", "z=-4", "-o", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "node         value  gradient",
        "x               -2        -4",
        "y                5        -4",
        "x + y            3        -4",
        "z               -4         3",
        "(x + y) * z    -12         1",
        f"wrote {file}",
    ]
    assert file.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(("command", "name"), [("step", "steps.html"), ("draw", "circuit.svg")])
def test_what_was_written_is_opened_if_asked_for(command, name, tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) == 1)
    for _ in range(2):
        assert main([command, "x * y", "x=2", "y=3", "-o", str(tmp_path / name), "--open"]) == 0
    assert opened == [(tmp_path / name).as_uri()] * 2
    assert "There is no browser to open: file://" in capsys.readouterr().err  # the second time
    assert main([command, "x * y", "x=2", "y=3", "-o", str(tmp_path / name)]) == 0
    assert len(opened) == 2


def test_draw_takes_the_backward_pass_and_the_rules(tmp_path):
    plain, backward = tmp_path / "plain.svg", tmp_path / "backward.svg"
    expression = ["draw", "tanh(x * y)", "x=0.5", "y=2"]
    assert main([*expression, "-o", str(plain)]) == 0
    assert main([*expression, "-o", str(backward), "--backward", "--rules"]) == 0
    assert backward.stat().st_size > plain.stat().st_size


def test_step_writes_a_page_and_prints_the_same_numbers(tmp_path, capsys):  # C-06
    file = tmp_path / "steps.html"
    inputs = ["w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"]
    assert main(["step", "sigmoid(w0*x0 + w1*x1 + w2)", *inputs, "-o", str(file)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^w0 +2 +-0\.196612$", printed, re.MULTILINE)
    assert re.search(r"^x1 +-2 +-0\.589836$", printed, re.MULTILINE)
    page = file.read_text(encoding="utf-8")
    assert "default-src 'none'" in page


def test_source_prints_the_program_as_it_would_be_derived_by_hand(capsys):
    assert main(["source", "sigmoid(w*x + b)", "w=2", "x=-1", "b=0.5"]) == 0
    printed = capsys.readouterr().out
    assert "d_b = value * (1 - value)" in printed
    names = {}
    exec(printed, names)
    value, (d_w, d_x, d_b) = names["graph"](2.0, -1.0, 0.5)
    assert (value, d_w, d_x) == (mg.sigmoid(-1.5), -d_b, 2 * d_b)


def test_source_prints_c_that_a_compiler_takes(tmp_path, capsys):
    assert main(["source", "tanh(w*x) / 3", "w=2", "x=-1", "--c"]) == 0
    file = tmp_path / "graph.c"
    file.write_text(capsys.readouterr().out)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler")
    flags = ["-std=c99", "-Wall", "-Werror", "-c"]
    done = subprocess.run([compiler, *flags, file], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_mnist_without_its_files_says_what_is_missing(tmp_path):
    result = run("mnist", "--data", tmp_path, "--quiet")
    assert result.returncode == 2
    assert str(tmp_path) in result.stderr


def test_version_tells_which_build_runs():
    build = "pure Python" if mg.engine.__file__.endswith(".py") else "compiled"
    assert run("--version").stdout.strip() == f"microgrannd {mg.__version__} ({build})"


def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m microgrannd --help | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.stderr == ""


def test_the_model_file_is_readable(iris):
    _, folder = iris
    assert "layer1.neuron0.w1" in json.dumps(json.loads((folder / "model.json").read_text()))


@pytest.mark.parametrize("before", [["draw"], ["draw", "--backward"], ["step"], ["source"], ["source", "--c"]])
@pytest.mark.parametrize("expression", ["-x**2", "--x * x * -1", "-sin(x)", "-(x)", "-x"])
def test_an_expression_may_start_with_a_minus(before, expression, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in ([*before, expression, "x=3"], [*before, "--", expression, "x=3"]):
        assert main(arguments) == 0
    if before == ["draw"] and expression == "-x**2":
        assert "-9" in capsys.readouterr().out


def test_an_unknown_option_is_still_one():
    with pytest.raises(SystemExit):
        main(["draw", "--frobnicate", "x", "x=3"])


def test_iris_says_in_which_epoch_a_training_diverged_and_keeps_finite_parameters(tmp_path):
    result = run("iris", "--eta", "1e9", "--quiet", "--out", tmp_path)
    assert result.returncode == 0
    [line] = [line for line in result.stderr.splitlines() if "diverged" in line]
    found = re.match(r"microgrannd: The training diverged in epoch (\d+) of 1000: .*learning rate, 1e\+09", line)
    assert found, line
    assert f"diverged in epoch {found[1]}; this is what was learned until then" in result.stdout
    numbers = json.loads((tmp_path / "model.json").read_text())["parameters"].values()
    assert all(type(number) is float for number in numbers)  # what is not finite is written as a text


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
def test_a_closed_standard_stream_stops_nothing(closed, tmp_path):
    program = f"{sys.executable} -m microgrannd"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}

    def shell(arguments):
        command = f"{program} {arguments} {closed}"
        return subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    drawn = shell("draw 'x*y' x=1 y=2")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert (tmp_path / "circuit.svg").read_text("utf-8").endswith("</svg>\n")
    trained = shell("iris --epochs 20 --out iris")
    assert trained.returncode == 0
    assert "Traceback" not in trained.stderr
    assert "epoch " not in trained.stdout, "progress is for standard error, or for nobody"
    assert mg.load(tmp_path / "iris" / "model.json").parameter_count == 9
    wrong = shell("draw 'x*'")
    assert wrong.returncode == 2
    assert "expression" not in wrong.stdout


def test_an_image_and_a_data_file_that_are_bombs_are_one_line(tmp_path):
    mg.save(mg.MLP(196, [10], seed=0), tmp_path / "model.json")
    image = tmp_path / "x.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\0\0\0\0\x08\0\0\0\0crc ")
    done = run("predict", tmp_path / "model.json", image)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"microgrannd: {image} is a PNG file of 4,294,967,295 × 0 pixels; they may be 1 to 4,194,304."
    ]
