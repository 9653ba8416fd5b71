"""Exercises: the graphs are friendly, the mistakes are named, sheets and notebooks hold what they say.

The wrong answers are those of the simulated students in docs/build_exercises.py, who know nothing of the checker.
"""

import contextlib
import io
import json
import random
import re
from pathlib import Path

import pytest

import microgrannd as mg
from microgrannd.app.cli import main
from microgrannd.app.exercises import sheets

students = pytest.importorskip("docs.build_exercises", reason="the documentation is not beside the tests")
exercises = mg.exercises
ROOT = Path(__file__).parents[2]


def made(difficulty, size=5, n=6, seed=3):
    return exercises.generate(n, seed=seed, size=size, difficulty=difficulty)


# ---- the graphs


@pytest.mark.parametrize("difficulty", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 5, 8])
def test_a_graph_has_the_size_asked_for_and_friendly_numbers(difficulty, size):
    for exercise in made(difficulty, size, n=4):
        assert sum(node.op is not None for node in exercise.nodes) == size
        numbers = [node.data for node in exercise.nodes] + list(exercise.gradients.values())
        assert all(abs(x) <= 60 and (4 * x).is_integer() for x in numbers)
        assert exercise.nodes[-1] is exercise.f
        assert sorted(exercise.asked) == sorted(exercise.gradients)
        assert len(exercise.gradients) == len(exercise.nodes) - 1  # every label is another


def test_the_largest_size_of_each_difficulty_is_found():
    for difficulty in (1, 2, 3):
        assert len(made(difficulty, size=9, n=1)) == 1


def test_a_seed_gives_the_same_graphs_and_another_seed_others():
    texts = [[str(exercise) for exercise in exercises.generate(5, seed=seed)] for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]
    assert [str(exercise) for exercise in exercises.generate(2, seed=7)] == texts[0][:2]


def test_difficulty_1_uses_each_number_once_and_2_adds_gradients_up():
    def uses(exercise):
        parents = [parent for node in exercise.nodes for parent in node.parents]
        return [parents.count(node) for node in exercise.nodes[:-1]]

    assert {count for exercise in made(1) for count in uses(exercise)} == {1}
    assert all(sum(count > 1 for count in uses(exercise)) >= 2 for exercise in made(2))
    names = {node.op.name for exercise in made(3, size=8, n=12) for node in exercise.nodes if node.op}
    assert names >= {"div", "square", "mul"}
    assert names & {"maximum", "relu"}


def test_the_gradients_are_those_of_a_pass_by_hand():
    for difficulty in (1, 2, 3):
        for exercise in made(difficulty):
            assert students.answer(exercise, None, random.Random(0)) == pytest.approx(exercise.gradients)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"n": 0}, "n"), ({"size": 1}, "size"), ({"size": 12}, "size"), ({"difficulty": 4}, "difficulty")],
)
def test_what_cannot_be_made_is_refused_by_name(arguments, named):
    with pytest.raises(ValueError, match=rf"\b{named}\b"):
        exercises.generate(**arguments)


# ---- what is wrong


def test_of_a_thousand_wrong_answers_95_percent_are_named_rightly_and_no_right_one_is_refused():
    found, refused = students.simulated(1000, seed=11)
    assert refused == 0
    assert found.total() == 1000
    assert sum(found[kind, kind] for kind in exercises.MISTAKES) >= 950
    for kind in exercises.MISTAKES:  # and none of the eight is only guessed
        assert found[kind, kind] >= 0.85 * sum(count for (was, _), count in found.items() if was == kind)


@pytest.mark.long
def test_the_table_of_ten_thousand_is_that_of_today():
    page = ROOT / "docs" / "exercises.md"
    text = page.read_text("utf-8")
    assert students.page(text) == text, "python -m docs.build exercises"


def by_hand():
    """p = b × a, q = b − p, f = p × q at b = 2, a = 3."""
    found = exercises.generate(12, seed=7, size=3)[0]
    assert str(found) == "p = b × a\nq = b − p\nf = p × q\nat b = 2, a = 3"
    return found


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [
        # ∂f/∂q = p = 6; ∂f/∂p = q − 6 = −10; ∂f/∂b = 6 + 3·(−10) = −24; ∂f/∂a = 2·(−10) = −20
        ({"q": 6, "p": -6, "b": -18, "a": -12}, "= for +="),  # p keeps the −6 from q, b the 3·(−6) from p
        ({"q": 6, "p": -10, "b": -6, "a": -8}, "order"),  # p hands on −4 before the −6 from q has come
        ({"q": 6, "p": -10, "b": 6, "a": 0}, "chain cut"),  # nothing comes through p
        ({"q": -4, "p": 0, "b": -4, "a": 0}, "other factor"),  # q gets what p should get
        ({"q": 6, "p": 2, "b": 12, "a": 4}, "sign"),  # + 6 from q in place of − 6
        ({"q": 6, "p": -5, "b": -9, "a": -10}, "local gradient"),  # −1 from q in place of −6
        ({"q": 6, "p": -10, "b": 6, "a": -20}, "path forgotten"),  # b by way of p
    ],
)
def test_mistakes_made_by_hand(answer, mistake):
    finding = exercises.check(by_hand(), answer)
    assert not finding.right
    assert finding.mistake == mistake
    assert str(finding) == finding.words


def test_the_derivative_at_the_wrong_value():
    for exercise in exercises.generate(12, seed=7):
        answer = students.answer(exercise, "wrong value", random.Random(0))
        if answer is not None:
            assert exercises.check(exercise, answer).mistake == "wrong value"
            break
    else:
        pytest.fail("none of them has a square")


def test_two_mistakes_are_told_from_the_first():
    finding = exercises.check(by_hand(), {"q": -6, "p": 8, "b": 3, "a": 100})
    assert not finding.right
    assert finding.nodes[0] == "q"
    assert "∂f/∂q" in finding.words


def test_a_right_answer_may_be_of_any_numbers_rounded_or_in_part():
    from fractions import Fraction

    one = by_hand()
    for answer in ({"a": -20}, {"b": Fraction(-24)}, {"q": 6.004}, one.gradients, {"f": 1, "q": 6}):
        assert exercises.check(one, answer).right, answer
    assert not exercises.check(one, {"a": -19.75}).right


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"z": 1}, ValueError, "'z'; the nodes of the exercise are q, p"),
        ({"a": "-20"}, TypeError, r"answer\['a'\] is a number"),
        ({}, TypeError, "answer is gradients"),
        (-20, TypeError, "answer is gradients"),
    ],
)
def test_what_is_no_answer_is_refused(answer, error, words):
    with pytest.raises(error, match=words):
        exercises.check(by_hand(), answer)


def test_the_player_says_the_same_of_the_mistakes_that_it_names():
    """Its hints are in its page, in the language of the page; these are the words that both have."""
    page = Path(mg.drawing.__file__).parent / "player" / "page"
    hints = "".join(file.read_text("utf-8") for file in page.iterdir()).lower()
    both = {
        "= for +=": "+= does not overwrite it",
        "other factor": "the other parent",
        "sign": "the size is right. what about the sign",
        "local gradient": "it is still to be multiplied by the upstream",
    }
    for mistake, words in both.items():
        assert words in hints
        assert words in exercises.MISTAKES[mistake].lower()


# ---- on paper and to play


def test_a_sheet_has_the_answers_on_a_page_of_their_own_and_loads_nothing():
    found = made(2)
    html = exercises.sheet(found).html
    tasks, answers = html.split("<section class='answers'>")
    assert "break-before: page" in html
    assert tasks.count("<article>") == answers.count("<article>") == len(found)
    assert tasks.count("data:image/svg+xml") == len(found)
    for exercise in found:
        for label, gradient in exercise.gradients.items():
            text = f"∂f/∂{label} = {gradient:g}".replace("-", "−")
            assert text in answers
            assert text not in tasks
    assert not re.search(r'(?:src|href)="(?!data:)', html)


def test_a_sheet_as_svg_is_well_formed_and_its_answers_are_another_file(tmp_path):
    from xml.etree import ElementTree

    paths = exercises.sheet(made(3, n=3)).save(tmp_path / "sheet.svg")
    assert [Path(path).name for path in paths] == ["sheet.svg", "sheet-answers.svg"]
    for path in paths:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match=r"\.html or \.svg"):
        exercises.sheet(made(1)).save(tmp_path / "sheet.pdf")


def test_the_page_to_play_lets_in_its_own_script_and_no_other():
    html = exercises.page(made(2, n=2))
    players = json.loads(re.search(r'<script type="application/json" id="players">(.*?)</script>', html)[1])
    assert len(players) == 2
    for player in players:
        assert "default-src 'none'" in player
        assert sheets.ASKING in player
    assert html.count("</script>") == 2  # those of the players are in the data, escaped


@pytest.mark.parametrize("name", ["sheet", "page", "notebook"])
def test_what_is_no_list_of_exercises_is_refused(name):
    with pytest.raises(TypeError, match="exercises"):
        getattr(exercises, name)([3])
    if name != "notebook":
        with pytest.raises(ValueError, match="exercises"):
            getattr(exercises, name)([])


# ---- in a notebook


def run(cells):
    """What the cells print, run without us: nothing of microgrannd is in their text."""
    output, names = io.StringIO(), {}
    with contextlib.redirect_stdout(output):
        for cell in cells:
            assert "microgrannd" not in cell
            exec(cell, names)
    return output.getvalue()


def code(text):
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


def test_the_plain_checks_know_right_from_wrong_and_do_not_give_the_answers_away():
    [one] = found = [by_hand()]
    blank, check = code(exercises.notebook(found))
    assert set(run([blank, check]).split()) & {"right", "not"} == {"not"}
    filled = f"answer_1 = {one.gradients}"
    assert run([filled, check]).count("right") == 4
    assert run([filled + '\nanswer_1["a"] = 20', check]).count("not yet") == 1
    assert "-20" not in blank + check


@pytest.mark.parametrize("grader", ["nbgrader", "otter"])
def test_the_source_of_an_assignment_passes_its_own_tests_and_fails_a_wrong_answer(grader):
    cells = code(exercises.notebook([by_hand()], grader))
    run(cells)
    with pytest.raises(AssertionError):
        run([cells[0].replace("-20", "20"), *cells[1:]])
    with pytest.raises(ValueError, match="grader"):
        exercises.notebook([by_hand()], "other")


# ---- on the command line


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["-n", "12", "--seed", "7", "-o", "sheet.html"], ["sheet.html"]),
        (["-n", "2", "-o", "sheet.svg"], ["sheet-answers.svg", "sheet.svg"]),
        (["-n", "2", "--size", "3", "--play", "-o", "play.html"], ["play.html"]),
        (["-n", "2", "--for", "otter", "-o", "some.ipynb"], ["some.ipynb"]),
    ],
)
def test_the_command_writes_what_it_says(arguments, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["exercises", *arguments]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert capsys.readouterr().out.count("wrote ") == len(files)


@pytest.mark.parametrize(
    "arguments", [["--for", "otter"], ["--play", "-o", "play.svg"], ["--size", "99"], ["-o", "sheet.docx"]]
)
def test_the_command_refuses_in_a_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["exercises", *arguments]) == 2
    assert capsys.readouterr().err.startswith("microgrannd: ")
    assert not list(tmp_path.iterdir())
