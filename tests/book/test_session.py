"""What runs a reader's code in the browser, tried in this Python: what it tells the page."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "docs" / "playground" / "session.py"
spec = importlib.util.spec_from_file_location("session", FILE)
session = importlib.util.module_from_spec(spec)
spec.loader.exec_module(session)

EXAMPLES = sorted(FILE.parent.glob("examples/*.py"))
WRONG = {"04-trust-and-check": "GradientError", "14-awkward": "AnomalyError"}  # those that show an error


@pytest.fixture
def run():
    """Run cells one after the other; gives what the page is told of the last."""
    told = []
    running = session.Session(told.append)

    def run(code, cell="program"):
        told.clear()
        running.run(code, cell)
        return list(told)

    return run


@pytest.fixture
def without(monkeypatch):
    """Make libraries missing."""

    def without(*libraries):
        find = session.find_spec
        for name in [name for name in sys.modules if name.partition(".")[0] in libraries]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(session, "find_spec", lambda name: None if name in libraries else find(name))

    return without


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_and_shows_something(path, run):
    told = run(path.read_text("utf-8"))
    errors = [event["name"] for event in told if event["kind"] == "error"]
    assert errors == ([WRONG[path.stem]] if path.stem in WRONG else [])
    assert told[-1]["kind"] in ("show", "error", "text")


def test_there_are_a_dozen_examples_with_titles_of_their_own():
    titles = [path.read_text("utf-8").partition("\n")[0] for path in EXAMPLES]
    assert len(set(titles)) == len(titles) >= 12
    assert all(title.startswith("# ") and len(title) < 60 for title in titles)


def test_the_micrograd_example_prints_what_micrograd_prints(run):
    text = "".join(event["text"] for event in run(EXAMPLES[4].read_text("utf-8")) if event["kind"] == "text")
    assert text == "24.7041\n138.8338\n645.5773\n"


def test_the_last_expression_is_shown_and_nothing_else(run):
    assert run("1\n2 + 3") == [{"kind": "show", "plain": "5"}]
    assert run("x = 3") == run("None") == run("") == []


def test_cells_share_their_names(run):
    run("x = 3", "cell 1")
    assert run("x + 1", "cell 2") == [{"kind": "show", "plain": "4"}]


def test_a_drawing_is_shown_as_markup_with_its_tree_as_text(run):
    [event] = run("import microgrannd as mg\nmg.draw(mg.sin(mg.Value(0.0, label='x')))")
    assert "<img" in event["html"]
    assert event["plain"].startswith("sin 0")


def test_lines_are_sent_as_they_end_and_what_has_no_end_when_flushed(run):
    told = run(
        "print('a')\nprint('b', end='')\nprint('c', end='', flush=True)\nimport sys\nprint('d', file=sys.stderr)"
    )
    assert [(event["stream"], event["text"]) for event in told] == [("out", "a\n"), ("out", "bc"), ("err", "d\n")]


def test_what_is_printed_has_a_limit_and_says_so(run):
    told = run("for _ in range(30_000):\n    print('0123456789')")
    shown = "".join(event["text"] for event in told)
    head, _, tail = shown.partition("\n… ")
    assert len(head) == session.MOST
    assert tail == "and 230,000 characters more, which are not shown.\n"


def test_an_error_names_the_readers_own_line_and_shows_no_frame_of_ours(run):
    run("def f(x):\n    return 1 / x", "cell 1")
    [event] = run("\nf(0)", "cell 2")
    assert (event["name"], event["cell"], event["line"]) == ("ZeroDivisionError", "cell 1", 2)
    assert "return 1 / x" in event["trace"]
    assert "session.py" not in event["trace"]


def test_an_error_within_the_package_is_at_the_line_that_called_it(run):
    [event] = run("import microgrannd as mg\nx = 1\nmg.Value('3')")
    assert (event["name"], event["line"], event["library"]) == ("TypeError", 3, None)
    [event] = run("import microgrannd as mg\nmg.check_gradients(lambda x: mg.stop_gradient(x), 1.0)")
    assert event["text"].startswith("GradientError: ")


def test_a_mistake_of_syntax_has_its_line(run):
    [event] = run("x = 1\ny = = 2")
    assert (event["name"], event["line"]) == ("SyntaxError", 2)


@pytest.mark.parametrize("code", ["exit()", "raise KeyboardInterrupt", "import sys; sys.exit(3)"])
def test_an_exit_ends_the_cell_and_not_the_session(code, run):
    assert run(code)[-1]["kind"] == "error"
    assert run("1 + 1") == [{"kind": "show", "plain": "2"}]


def test_input_says_that_nobody_is_there(run):
    [event] = run("input('name? ')")
    assert "write the value into the code" in event["text"]


def test_what_python_prints_to_is_put_back(run):
    before = sys.stdout, sys.stderr, sys.modules["__main__"]
    run("1 / 0")
    assert (sys.stdout, sys.stderr, sys.modules["__main__"]) == before


def test_a_class_of_the_reader_can_be_pickled(run):
    code = "import pickle\nclass A:\n    pass\ntype(pickle.loads(pickle.dumps(A()))) is A"
    assert run(code) == [{"kind": "show", "plain": "True"}]


def test_a_notebooks_magics_for_plots_are_passed_over_and_lines_keep_their_numbers(run):
    [event] = run('%matplotlib inline\n%config InlineBackend.figure_formats = ["svg"]\n1 / 0')
    assert event["line"] == 3


def test_a_missing_library_is_named_where_it_is_used_and_the_cell_goes_on_before(run, without):
    without("matplotlib")
    assert run("from matplotlib import pyplot\nimport matplotlib.cm as cm\nx = 3\nx", "cell 1")[-1]["plain"] == "3"
    for use in ["pyplot.plot([1])", "pyplot()", "cm + 1", "len(cm)", "print(pyplot)", "for x in cm: pass", "pyplot"]:
        event = run(use, "cell 2")[-1]
        assert event["library"] == "matplotlib", use
        assert event["name"] == "MissingLibraryError"


def test_what_a_cell_could_not_make_for_want_of_a_library_is_missing_for_the_same_reason(run, without):
    without("numpy")
    run("figure = 'of before'\nmade = 1", "cell 1")
    run("import numpy as np\nmade = 2\nfigure = np.eye(3)\n\ndef later():\n    pass", "cell 2")
    assert run("made", "cell 3") == [{"kind": "show", "plain": "2"}]
    for name in ["figure.shape", "later()"]:
        assert run(name, "cell 4")[-1]["library"] == "numpy"


def test_an_import_that_a_program_guards_is_left_to_it(run, without, monkeypatch):
    without("numpy")
    monkeypatch.setitem(sys.modules, "numpy", None)  # which makes an import fail
    assert (
        run("try:\n    import numpy\nexcept ModuleNotFoundError:\n    numpy = 'none'\nnumpy")[-1]["plain"] == "'none'"
    )


def test_a_library_that_the_package_wanted_is_found_in_its_error(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    event = run("import microgrannd as mg\nmg.plots.decision_boundary(lambda p: 1, [[0, 0]], [0])")[-1]
    assert event["library"] == "matplotlib"


def test_a_name_that_is_simply_wrong_is_an_error_at_once(run):
    event = run("import nump")[-1]
    assert (event["name"], event["line"], event["library"]) == ("ModuleNotFoundError", 1, None)


def test_figures_are_shown_where_matplotlib_is(run):
    pytest.importorskip("matplotlib").use("Agg")
    told = run("from matplotlib import pyplot\npyplot.plot([1, 2])\npyplot.show()")
    assert told[-1]["image"].startswith("data:image/svg+xml;base64,")
    told = run("from matplotlib.figure import Figure\nFigure()")
    assert "image" in told[-1]
