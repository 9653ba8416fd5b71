"""The chapters of the book run, as plain Python and in a fresh kernel, and their numbers are the right ones.

Expected numbers are those of the worked examples, read from `tests/data/examples.json`, or are written out.
"""

import ast
import contextlib
import io
import json
import math
import re
from functools import cache
from pathlib import Path

import pytest

from docs.build_outputs import digest, drawing_of

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
EXAMPLES = {
    example["id"]: example
    for example in json.loads((Path(__file__).parents[1] / "data" / "examples.json").read_text("utf-8"))["examples"]
}
LONG = (10, 12)  # chapters that train for a while
NEEDS = {"matplotlib": "plot", "numpy": "native", "llvmlite": "native"}


def cells(path, kind="code"):
    notebook = json.loads(path.read_text("utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def code(cell):
    """The cell's Python, without IPython's magics."""
    return "".join(line for line in cell["source"] if not line.lstrip().startswith(("%", "!")))


@cache
def names(number):
    """What a chapter's names stand for when it has run as plain Python; what it printed is `printed`."""
    (path,) = NOTEBOOKS.glob(f"{number:02}-*.ipynb")
    for package in NEEDS:
        pytest.importorskip(package)
    import matplotlib.pyplot

    if number == 10:
        digits_or_skip()
    matplotlib.use("Agg")
    found, outputs = {"__name__": path.stem}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(NOTEBOOKS)
        for cell in cells(path):
            tree = ast.parse(code(cell), str(path))
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(tree, str(path), "exec"), found)
                thing = eval(compile(ast.Expression(last.value), str(path), "eval"), found) if last else None
            outputs.append((printed.getvalue(), shown(thing)))
    matplotlib.pyplot.close("all")
    return found | {"printed": "".join(printed for printed, _ in outputs), "outputs": outputs}


def digits_or_skip():
    """Chapter 10 fetches MNIST where it is not there yet; a test does not."""
    import microgrannd as mg

    try:
        mg.datasets.mnist(download=False)
    except FileNotFoundError:
        pytest.skip("MNIST is not on this machine: set MICROGRANND_DATA")


def shown(thing):
    """What a notebook would show of the last expression of a cell."""
    if hasattr(thing, "_repr_mimebundle_"):
        bundle = thing._repr_mimebundle_()
        assert bundle
        return bundle
    return {} if thing is None else {"text/plain": repr(thing)}


def grads(values):
    return [value.grad for value in values]


def approx(expected):
    return pytest.approx(expected, rel=1e-12, abs=1e-12)


def chapters():
    for path in PATHS:
        number = int(path.name[:2])
        yield pytest.param(number, marks=[pytest.mark.long] * (number in LONG))


@pytest.mark.parametrize("number", [*chapters()])
def test_the_chapter_runs_as_plain_python(number):
    names(number)


# What another computer, or another day, prints otherwise: times, whether Coq is there.
VARIES = re.compile(r"perf_counter|digits_per_second|print\(history\)|\.prove\(|\.plot\(|boundary\(|\bpyplot\b")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.mark.parametrize("number", [*chapters()])
def test_the_outputs_that_a_chapter_carries_are_those_of_today(number):
    """If this fails, the cell or what it shows has changed since: python -m docs.build outputs."""
    ran = names(number)["outputs"]
    (path,) = NOTEBOOKS.glob(f"{number:02}-*.ipynb")
    for cell, (printed, bundle) in zip(cells(path), ran, strict=True):
        source = code(cell)
        streams = "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
        results = [o for o in cell["outputs"] if o["output_type"] == "execute_result"]
        stale = f"stale: {path.name}: {source}"
        if not VARIES.search(source):
            assert alike(streams, printed), stale
            assert bool(results) == bool(bundle), stale
        for result in results if not VARIES.search(source) else ():
            assert alike("".join(result["data"]["text/plain"]), bundle["text/plain"]), stale
            svg = drawing_of(bundle)
            assert ("image/png" in result["data"]) == (svg is not None), stale
            if "drawing" in result["metadata"]:
                assert result["metadata"]["drawing"] == digest(svg), stale
        if re.search(r"^(pyplot\.show|show|mg\.plots|history\.plot|boundary)\(", source, re.MULTILINE):
            assert any("image/png" in o.get("data", {}) for o in cell["outputs"]), stale


def alike(stored, found):
    """Word for word but for times and places, and the numbers to ten digits: the last ones are the processor's."""
    stored, found = (re.sub(r"\b[\d.e-]+ (?=s\b)|, made at .*", "", text) for text in (stored, found))
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (stored, found)]
    numbers = [[float(x) for x in NUMBER.findall(text)] for text in (stored, found)]
    return words[0] == words[1] and numbers[0] == pytest.approx(numbers[1], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_outputs_are_text_and_pictures_of_moderate_size(path):
    """GitHub takes scripts and styles out, and shows nothing of a notebook that is too large."""
    assert path.stat().st_size < 600_000
    counts = [cell["execution_count"] for cell in cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    pictures = 0
    for cell in cells(path):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert set(output.get("data", {})) <= {"text/plain", "text/latex", "image/png"}
            pictures += "image/png" in output.get("data", {})
    assert pictures


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_cells_are_short(path):
    for cell in cells(path):
        lines = [line for line in code(cell).splitlines() if line.strip()]
        assert len(lines) <= 10, "".join(cell["source"])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_chapter_has_a_question_a_picture_a_takeaway_and_exercises_with_answers(path):
    text = "".join("".join(cell["source"]) + "\n" for cell in cells(path, "markdown"))
    program = "".join(map(code, cells(path)))
    assert text.startswith(f"# {int(path.name[:2])}. ")
    assert "?" in "".join(cells(path, "markdown")[0]["source"])
    assert re.search(r"mg\.(draw|step)\(|pyplot|\.plot\(", program)
    assert "> **Takeaway.**" in text
    exercises = re.findall(r"^\*\*\d\.\*\* .*?(?=^\*\*\d\.|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(exercises) >= 2
    for exercise in exercises:
        assert "<details><summary>Answer</summary>" in exercise, exercise


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_prose_has_none_of_our_codes(path):
    """The worked examples have names such as K-18, which say nothing to a reader."""
    text = "".join("".join(cell["source"]) + "\n" for cell in json.loads(path.read_text("utf-8"))["cells"])
    assert not re.findall(r"\b[KNSBCX]-\d\d[a-z]?\b", text)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_links_between_chapters_lead_somewhere(path):
    text = "".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert target.startswith("https://") or (NOTEBOOKS / target).exists(), target


# ---- the numbers, chapter by chapter


@pytest.mark.parametrize(
    ("number", "said", "example", "value"),
    [
        (1, "`bill = (radio + apple * apples) * tax` is 4620", "S-03", lambda e: e["value"] == 4620),
        (1, "its gradient by `tax` is 4200", "S-03", lambda e: e["grads"]["tax"] == 4200),
        (1, "1.1: the radio is bought once", "S-03", lambda e: e["grads"]["other"] == 1.1),
        (2, "f = 9.", "C-10", lambda e: e["value"] == 9),
        (2, "6 · 1, twice: 6, then 12", "C-10", lambda e: e["grads"]["a"] == 12),
        (2, "= −11.92, which is more than −12", "C-02", lambda e: "-11.92 > -12" in e["expect"]),
        (5, "(3 + 1)·4 + (4 + 1)·2 = 26", "C-23", lambda e: 26 in e["outputs"]["params"]),
        (5, "= 25,260.", "K-17", lambda e: e["outputs"]["params"][2] == 25260),
        (7, "differ by 1.6·10⁻⁷", "S-21", lambda e: round(e["outputs"]["text_printed"]["b2"], 8) == 1.6e-7),
        (8, "δ ≈ 0.008", "N-07", lambda e: round(e["outputs"]["delta"], 3) == 0.008),
        (9, "log 10 = 2.302585", "S-17", lambda e: round(e["outputs"]["loss_uniform_10"], 6) == 2.302585),
        (9, "0.01, −0.01, 0.", "S-15", lambda e: e["outputs"]["backward"] == [0.01, -0.01, 0]),
        (10, "has 0.972", "K-14", lambda e: e["outputs"]["accuracy"] == 0.972),
        (10, "a 7 taken for a 2", "K-14", lambda e: e["outputs"]["largest_errors"][0][0] == "7->2"),
    ],
)
def test_what_the_text_says_of_an_example_is_so(number, said, example, value):
    (path,) = NOTEBOOKS.glob(f"{number:02}-*.ipynb")
    assert said in "".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert value(EXAMPLES[example])


def test_chapter_1_fruit_and_a_line():
    ns, fruit, line = names(1), EXAMPLES["S-02"], EXAMPLES["K-18"]
    assert ns["bill"].data == approx(fruit["value"])
    leaves = [ns[name] for name in ("apple", "apples", "orange", "oranges", "tax")]
    assert grads(leaves) == approx([fruit["grads"][k] for k in ("apple", "apple_num", "orange", "orange_num", "tax")])
    assert [ns[name].data for name in ("for_apples", "for_oranges", "before_tax")] == [200, 450, 650]
    assert ns["y"].data == line["value"]
    assert grads([ns["m"], ns["x"], ns["b"]]) == [line["grads"][k] for k in "mxb"]


def test_chapter_2_paths_and_order():
    ns = names(2)
    example = EXAMPLES["C-09"]  # the cells before have reused the names, so C-01 and C-04 are run again below
    assert ns["f"].data == example["value"]
    assert grads([ns["x"], ns["y"]]) == [example["grads"]["x"], example["grads"]["y"]]
    assert ns["a"].grad == 2**60


def test_chapter_2_circuits():
    printed, small, large = names(2)["printed"], EXAMPLES["C-01"], EXAMPLES["C-04"]
    for name in "xyz":
        assert re.search(rf"grad\({name}\) \+= .* → {small['grads'][name]:g}$", printed, re.MULTILINE)
    assert " ".join(str(float(large["grads"][name])) for name in "xyzw") in printed


def test_chapter_3_the_readers_value_is_ours_to_the_last_bit():
    ns = names(3)
    assert ns["losses"] == ns["our_losses"]
    assert ns["losses"][-1] < 0.05 < ns["losses"][0]
    assert "Value(3, grad 3)\nValue(3, grad 6)\n" in ns["printed"]  # = and +=
    assert "Value(3, grad 243)\nValue(3, grad 405)" in ns["printed"]  # 405 = 5 · 3⁴, and too early
    assert "RecursionError" in ns["printed"]


def test_chapter_3_the_file_that_is_shown_whole_has_sixty_lines_and_gives_the_same():
    ns = names(3)
    (path,) = NOTEBOOKS.glob("03-*.ipynb")
    text = "".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    (file,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in file.splitlines() if line.strip()]) <= 64
    whole = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(file, whole)
    assert float(printed.getvalue()) == ns["losses"][-1]
    assert whole["train"](whole["network"]([2, 4, 1], whole["Value"])) == ns["our_losses"]


def test_chapter_3_two_backward_passes_give_the_reader_more_than_twice():
    Value = names(3)["Value"]
    x = Value(2.0)
    f = (x * x) * x
    f.backward()
    first = x.grad
    f.backward()
    assert (first, x.grad) == (12.0, 32.0)


def test_chapter_4_gates():
    ns, example = names(4), EXAMPLES["C-06"]
    assert ns["one_gate"].data == approx(EXAMPLES["S-10a"]["value"])
    assert grads([ns["w0"], ns["w1"], ns["w2"]]) == approx(example["grads"]["w"])
    assert grads([ns["x0"], ns["x1"]]) == approx(example["grads"]["x"])
    assert ns["denominator"].data == approx(EXAMPLES["C-08"]["intermediates"]["den"]["value"])
    assert ns["numerator"].grad == approx(EXAMPLES["C-08"]["intermediates"]["num"]["grad"])
    staged = EXAMPLES["C-08"]
    (line,) = re.findall(r"^1\.545.*$", ns["printed"], re.MULTILINE)
    assert list(map(float, line.split())) == approx([staged["value"], staged["grads"]["x"], staged["grads"]["y"]])
    assert math.isnan(ns["in_gates"].data)
    assert ns["whole"].data == 1.0


def test_chapter_5_nine_derivatives_three_ways_and_the_training():
    ns, example, training = names(5), EXAMPLES["K-03"], EXAMPLES["K-08"]["outputs"]["epoch_1000"]
    expected = [example["grads"][p.label] for p in ns["w"] + ns["b"]]
    assert ns["by_hand"] == approx(expected)
    assert ns["by_engine"] == approx(expected)
    assert ns["by_program"] == approx(expected)
    order = ["w0", "w2", "b0", "w1", "w3", "b1", "w4", "w5", "b2"]
    found = [p.data for p in ns["model"].parameters()]
    assert found == pytest.approx([training["params"][name] for name in order], rel=1e-9, abs=1e-12)
    twins = [[p.data for p in neuron.parameters()] for neuron in ns["model"].layers[0].neurons]
    assert twins[0] == pytest.approx(twins[1], abs=1e-3)  # as the text says
    matrix, counts = ns["test"](), EXAMPLES["K-07"]["expected_confusion"]
    assert (matrix.tn, matrix.fp, matrix.fn, matrix.tp) == tuple(counts[k] for k in ("TN", "FP", "FN", "TP"))
    wrong = [(i, y) for i, (x, y) in enumerate(zip(*ns["data"].test, strict=True)) if (ns["model"](x).data >= 0.5) != y]
    assert wrong == [(6, 0), (15, 1)]  # rows 41 and 85 of the file, as K-07 says


def test_chapter_6_what_the_text_says_of_training():
    ns = names(6)
    ends = [ns["walk"](lambda p, rate=rate: ns["mg"].optim.SGD(p, lr=rate))[-1] for rate in ns["RATES_OF_THE_VALLEY"]]
    far = [math.hypot(*end) for end in ends]
    assert far[1] < 0.2 < far[0]
    assert far[2] < 0.2
    assert far[3] > 4.0
    twins = [[p.grad for p in neuron.parameters()] for neuron in ns["twins"].layers[0].neurons]
    assert twins[0] == twins[1]
    tested, trained = ns["tested"], ns["trained"]
    assert trained[-1] < tested[-1] / 10
    assert min(tested) < tested[-1] / 1.2
    assert ns["dead_after"](1.0)[-1] > 12
    assert ns["dead_after"](1.0, "leaky_relu")[-1] == 0


def test_chapter_7_a_valley_and_a_wrong_rule():
    import microgrannd as mg

    ns, example = names(7), EXAMPLES["S-30"]
    found = ns["central_difference"](lambda x: x**3, 2.0, example["inputs"]["h"])
    assert found == pytest.approx(example["outputs"]["numerical"][0], abs=1e-9)
    error, step = ns["best"]
    assert 1e-7 < step < 1e-4
    assert error < 1e-10
    with pytest.raises(mg.GradientError):
        mg.check_gradients(lambda x: ns["wrong"](x), 3.0)


def test_chapter_8_finds_the_four_equations_in_the_scalars():
    source = names(8)["source"]
    for line in [
        "z2 = a1 @ W2.T + b2",
        "d_W2 = d_z2.T @ a1",
        "d_z1 = (d_z2 @ W2) * a1 * (1 - a1)",
        "d_W1 = d_z1.T @ x",
    ]:
        assert line in source


def test_chapter_8_the_layer_view_is_that_of_the_worked_example():
    ns, example = names(8), EXAMPLES["N-03"]
    numbers = example["intermediates"]
    for layer, l in zip(ns["view"], (2, 3), strict=True):
        assert layer.z == approx([numbers[f"z{l}[{j}]"]["value"] for j in range(len(layer.z))])
        assert layer.a == approx([numbers[f"a{l}[{j}]"]["value"] for j in range(len(layer.a))])
        assert layer.delta == approx(example["grads"][f"b{l}"])
    assert ns["before"] == approx(example["value"])
    nudged = EXAMPLES["N-07"]["outputs"]
    changes = re.findall(r"change +(\S+) +delta × nudge +(\S+)", ns["printed"])
    assert [float(change) for change, _ in changes] == pytest.approx(
        [after - nudged["C"] for after in nudged["C_after"]], abs=1e-9
    )
    assert [float(line) for _, line in changes] == pytest.approx(nudged["linear_estimate"], abs=1e-9)
    silent = EXAMPLES["N-08"]
    assert grads([ns["w"], ns["b"]]) == approx([silent["grads"]["w"], silent["grads"]["b"]])


def test_chapter_9_softmax_and_why_y_minus_t():
    ns = names(9)
    shares = ", ".join(f"{round(share, 4)}" for share in EXAMPLES["S-17"]["outputs"]["y"][0])
    assert ns["printed"].count(f"[{shares}]") == 2
    assert grads(ns["a"]) == approx(EXAMPLES["S-14"]["grads"]["a"])
    assert grads(ns["w"]) == approx(EXAMPLES["B-03"]["grads"]["w"])
    assert ns["score"].grad == approx(EXAMPLES["B-03"]["intermediates"]["a"]["grad"])
    assert "xp.exp(a - v1) - t" in ns["found"].matrix_source  # softmax minus truth, as the text says
    assert ns["stable"].data == 800.0
    assert ns["naive"].data == math.inf
    right = sum(guess == label for guess, label in zip(ns["guesses"], ns["points"].y, strict=True))
    assert right >= 76


@pytest.mark.long
def test_chapter_10_reads_digits_with_the_gradients_of_the_scalars():
    ns = names(10)
    model, program, loss = ns["model"], ns["program"], ns["loss"]
    assert model.parameter_count == EXAMPLES["K-17"]["outputs"]["params"][2]
    assert ns["matrix"].accuracy > 0.88  # of K-14's 0.972, after a twentieth of its training
    model.zero_grad()
    program.backward(ns["X"][:3], ns["Y"][:3])
    found = grads(model.parameters())
    model.zero_grad()
    for x, y in zip(ns["X"][:3], ns["Y"][:3], strict=True):
        loss(x, y).backward(1 / 3)
    assert found == approx(grads(model.parameters()))


def test_chapter_11_newton_and_the_hessian():
    import microgrannd as mg

    ns, example = names(11), EXAMPLES["B-10"]
    assert mg.grad(ns["f"])([1.0, 2.0]) == approx([example["grads"]["x1"], example["grads"]["x2"]])
    assert ns["newton"][-1] == pytest.approx([1.0, 1.0], abs=1e-9)
    assert len(ns["newton"]) < 10
    assert mg.hessian(ns["rosenbrock"])([1.0, 1.0]) == [[802.0, -400.0], [-400.0, 200.0]]  # by hand
    assert (ns["bend"].data, ns["change_of_bend"].data) == (12.0, 6.0)


@pytest.mark.long
def test_chapter_12_learns_to_babble():
    import random

    ns = names(12)
    assert ns["model"].parameter_count == 2171
    assert ns["more"].losses[-1] < 1.7 < ns["history"].losses[-1] < 2.5 < math.log(27)
    words = [ns["babble"](random.Random(i)) for i in range(20)]
    assert len(set(words)) > 10
    assert all(set(word) <= set(ns["letters"]) for word in words)
