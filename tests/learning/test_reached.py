"""The plain state that a function reaches: what counts, what does not, and what is said of a change."""

import os
import random
from types import SimpleNamespace

import pytest

from microgrannd import Value
from microgrannd.learning.reached import Reached

LIMIT = 1.0


def test_what_has_changed_is_named_with_both_numbers():
    beta, config = [0.0, {"now": 1.0}], SimpleNamespace(rate=0.5, log=[])
    reached = Reached(lambda x: x * beta[0] * beta[1]["now"] * config.rate)
    assert reached.changed() is None
    config.log.append(1)  # which the function does not name
    assert reached.changed() is None
    beta[1]["now"] = 2.0
    told = "the closure's beta[1]['now'] was 1.0 when the loss was compiled and is 2.0 now"
    assert reached.changed() == told
    beta[1]["now"] = 1.0
    config.rate = 0.25
    assert "the closure's config.rate was 0.5" in reached.changed()


def test_globals_count_by_the_names_in_the_code(monkeypatch):
    reached = Reached(lambda x: x * LIMIT)
    monkeypatch.setitem(globals(), "OTHER", 1.0)
    assert reached.changed() is None
    monkeypatch.setitem(globals(), "LIMIT", 2.0)
    assert reached.changed() == "the global LIMIT was 1.0 when the loss was compiled and is 2.0 now"


def test_another_value_in_the_place_of_one_counts_but_not_another_number_in_it():
    w = [Value(1.0)]
    reached = Reached(lambda x: x * w[0])
    w[0].data = 2.0
    assert reached.changed() is None
    w[0] = Value(2.0)
    assert "the closure's w[0] was" in reached.changed()


def test_everything_is_put_back():
    generator, seen, total = random.Random(1), [], {"n": 0}

    def loss(x):
        seen.append(x)
        total["n"] += 1
        return generator.random()

    reached = Reached(loss)
    first = loss(1.0)
    assert reached.drawn() == "the closure's generator"
    reached.restore()
    assert (seen, total, reached.changed(), reached.drawn()) == ([], {"n": 0}, None, None)
    assert loss(1.0) == first


@pytest.mark.parametrize("thing", [iter([1.0]), (i for i in [1.0])])
def test_what_cannot_be_looked_into_is_named(thing):
    assert Reached(lambda x: next(thing)).iterators == ["the closure's thing"]


@pytest.mark.parametrize(("folder", "counts"), [("my-site-packages-notes", True), ("site-packages", False)])
def test_code_is_installed_by_its_folder_not_by_a_name_like_it(folder, counts):
    names = {"__name__": "somebodys_module", "rate": 1.0}
    path = os.path.join(os.sep, "home", folder, "somebodys_module.py")
    exec(compile("def loss():\n    return rate\n", path, "exec"), names)
    before = Reached(names["loss"])
    names["rate"] = 2.0
    assert (before.changed() is not None) is counts
