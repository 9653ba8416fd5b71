"""The benchmarks' page: goals, losses and ratios follow from the figures; no figure is measured here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks import against, harness, marks, report
from benchmarks.harness import OURS, WORKLOADS, module_of


def row(peer, measure, median, unit="ms", note=""):
    return {"workload": "moons", "peer": peer, "measure": measure, "median": median, "unit": unit, "note": note}


def saved(*rows, workload="moons"):
    measured = {
        "date": "2026-01-02", "python": "3.11.7", "machine": "x86_64, 2 cores", "load": 0.5, "threads": "1",
        "versions": {"torch": "2.0"}, "missing": ["oxigrad", "cc"], "omitted": ["minigrad: it has no exp"],
        "seconds": 90.0, "command": "python -m benchmarks moons",
    }  # fmt: skip
    return {workload: {"measured": measured, "rows": list(rows)}}


def goal(condition, figures):
    return marks.mark("moons", "an epoch", condition, figures)


EPOCHS = saved(row(OURS, "an epoch, eager", 12.0), row("micrograd", "an epoch, eager", 900.0))


def test_every_goal_names_a_workload_that_there_is():
    found = marks.marks({})
    assert {mark.workload for mark in found} <= set(WORKLOADS)
    assert all(mark.measured is None and not mark.reached for mark in found)


def test_a_figure_is_held_against_its_limit():
    assert goal("ours ≤ 13", EPOCHS) == ("moons", "an epoch, eager", f"{OURS} ≤ 13 ms", 12.0, "ms", True)
    assert not goal("ours ≤ 11.9", EPOCHS).reached
    assert goal("ours ≥ 12", EPOCHS).reached


def test_a_ratio_is_held_against_its_limit():
    mark = goal("micrograd ÷ ours ≥ 60", EPOCHS)
    assert (mark.measured, mark.unit, mark.reached) == (75.0, "times", True)
    assert not goal("micrograd ÷ ours ≥ 76", EPOCHS).reached


def test_a_peer_that_was_not_there_leaves_the_goal_unmeasured():
    mark = goal("xad ÷ ours ≥ 2", EPOCHS)
    assert (mark.measured, mark.reached) == (None, False)
    assert "| not measured |" in marks.table(EPOCHS)


def test_aims_do_not_count_among_the_goals():
    first = marks.table({}).splitlines()[0]
    promised = sum(not line.endswith("(aim)") for line in marks.GOALS.strip().splitlines())
    assert first.startswith(f"0 of {promised} goals")


def test_who_is_ahead_is_named_with_the_best_of_ours_and_c_is_a_limit_only():
    figures = saved(
        row(OURS, "an epoch", 12.0), row(f"{OURS}, compiled build", "an epoch", 8.0), row("slow", "an epoch", 9.0),
        row("quick", "an epoch", 2.5), row("C by hand, cc -O3", "an epoch", 1.0),
    )  # fmt: skip
    assert report.losses(figures) == (
        f"- **moons**, an epoch: {OURS}, compiled build takes 8 ms; ahead of it: quick (2.5 ms).\n"
    )


def test_ratios_stand_to_ours_and_to_the_fastest_c():
    text = report.section(
        "moons", saved(row(OURS, "e", 12.0), row("C by hand", "e", 4.0), row("C too", "e", 3.0))["moons"]
    )
    assert f"| e | **{OURS}** | 12 ms | 1 | 4 |  |" in text
    assert "|  | C by hand | 4 ms | 0.33 | 1.3 |  |" in text


def test_the_page_is_written_from_the_json_with_versions_and_who_is_missing(tmp_path):
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    figures.write_text(json.dumps(saved(row(OURS, "modules", 0, ""), workload="import")), encoding="utf-8")
    report.write(figures, page)
    text = page.read_text(encoding="utf-8")
    for words in ("2026-01-02", "torch 2.0", "Not installed: cc, oxigrad.", "- import, minigrad: it has no exp"):
        assert words in text
    assert "## import" in text


def test_the_import_is_measured_under_its_own_name():
    assert module_of("import") == "benchmarks.workloads.startup"
    assert all(module_of(name) == f"benchmarks.workloads.{name}" for name in WORKLOADS if name != "import")


def test_each_workload_says_what_it_measures():
    assert all(len(report.purpose(name)) > 40 for name in WORKLOADS)


def test_a_comparison_takes_the_ratio_round_by_round():
    def figures(time, memory):
        return {("an epoch", OURS): (time, "ms"), ("memory", f"{OURS}, native"): (memory, "MB")}

    turns = [(figures(10.0, 8.0), figures(11.0, 4.0)), (figures(20.0, 8.0), figures(21.0, 4.0)),
             (figures(10.0, 8.0), figures(10.5, 4.0))]  # fmt: skip
    first, second, whole = against.lines("moons", turns)
    assert first.split() == "moons an epoch 10 11 ms 1.050 1.050 to 1.100".split()
    assert second.split() == "moons memory, native 8 4 MB 0.500 0.500 to 0.500".split()
    assert whole.split()[-1] == "1.050"


def test_a_comparison_leaves_out_rows_that_one_of_the_two_lacks():
    turns = [({("old", OURS): (1.0, "s")}, {("new", OURS): (1.0, "s")})]
    assert list(against.lines("moons", turns)) == []


def test_a_comparison_runs_these_benchmarks_on_the_other_package(tmp_path):
    package = tmp_path / "other" / OURS
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the other package')")
    with pytest.raises(SystemExit, match="There is no package microgrannd in"):
        against.compare(tmp_path, ["import"], 1, compiled=False)
    side = against.side_of(tmp_path / "side", tmp_path / "other", compiled=False)
    assert (side / "benchmarks" / "against.py").samefile(against.__file__)
    assert (side / OURS).samefile(package)


def test_a_compared_package_gets_no_module_from_an_installed_one(tmp_path):
    package = tmp_path / "other" / OURS
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    side = against.side_of(tmp_path / "side", tmp_path / "other", compiled=False)
    command = [sys.executable, "-c", f"import {OURS}; print({OURS}.__file__); import {OURS}.engine"]
    environment = {**os.environ, "PYTHONPATH": str(side)}
    done = subprocess.run(command, cwd=side, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(side / OURS / "__init__.py")
    assert f"No module named '{OURS}.engine'" in done.stderr


def test_a_run_alone_is_without_peers(monkeypatch):
    peers = [OURS, f"{OURS}, native", "micrograd"]
    monkeypatch.setenv(harness.ALONE, "1")
    assert harness.timed(peers) == peers[:2]
    assert not harness.installed("pytest")
    monkeypatch.delenv(harness.ALONE)
    assert harness.timed(peers) == peers
    assert harness.installed("pytest")
