"""`program.profile`: what it counts is exact, the lines are those that run; no figure is asserted."""

from __future__ import annotations

import pytest

import microgrannd as mg
from microgrannd import Operation
from microgrannd.nn import MLP


def counts(parts):
    return {part.operation or part.scope: (part.forward, part.backward) for part in parts}


def iris_loss(backend):
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    return mg.compile(lambda x, y: 0.5 * (model(x) - y) ** 2, backend=backend), model


def test_instructions_are_counted_by_operation_and_pass():
    program = mg.compile(lambda x, y: mg.sin(x) * y + y, backend="python")
    # d/dx = cos(x) y, d/dy = sin(x) + 1
    assert counts(program.profile(0.5, 2.0).by_operation()) == {
        "sin": (1, 0), "mul": (1, 1), "add": (1, 1), "cos": (0, 1),
    }  # fmt: skip


def test_the_instructions_are_those_of_the_tape():
    program, _ = iris_loss("python")
    found = program.profile([1.0, 2.0], 0.5)
    assert found.instructions == len(program.tape.instructions)
    assert sum(part.forward for part in found.parts) == program.tape.forward


def test_scopes_are_counted_with_their_gradients():
    program, _ = iris_loss("python")
    found = counts(program.profile([1.0, 2.0], 0.5).by_scope())
    # Two neurons of dot and sigmoid, one of dot; what is left is the difference, its square and the half.
    assert {scope: forward for scope, (forward, _) in found.items()} == {"layer0": 4, "layer1": 1, "": 3}
    # Of a hidden neuron: two products for its weights, its activation's gradient, the slope 1 - a, a (1 - a), δ.
    assert found["layer0"][1] == 12
    deep = counts(program.profile([1.0, 2.0], 0.5).by_scope(depth=None))
    assert deep["layer0.neuron0"] == deep["layer0.neuron1"] == (2, 6)


def test_an_operation_is_timed_on_the_numbers_that_it_gets():
    seen = []
    probe = Operation("probe", lambda x: seen.append(x) or x * 3.0, lambda x, out: (3.0,))
    program = mg.compile(lambda x: probe(x * 2.0), backend="python")
    program.profile(1.0)
    seen.clear()
    program.profile(5.0, repeats=2)
    assert set(seen) == {10.0}


def test_the_slow_operation_stands_first():
    def slow(x):
        for _ in range(3000):
            x = x * 1.0
        return x

    crawl = Operation("crawl", slow, lambda x, out: (1.0,))
    program = mg.compile(lambda x: crawl(x) + x * x, backend="python")
    assert program.profile(1.5).by_operation()[0].operation == "crawl"


def test_a_native_program_has_its_parts_too():
    pytest.importorskip("llvmlite")
    program, _ = iris_loss("native")
    found = program.profile([1.0, 2.0], 0.5)
    assert found.backend == "native"
    assert found.instructions == len(program.tape.instructions)
    assert found.call > 0


def test_a_program_of_values_only_has_no_backward_pass():
    program = mg.compile(lambda x: [x * 2.0, mg.exp(x)], backend="python")
    assert counts(program.profile(1.0).by_operation()) == {"mul": (1, 0), "exp": (1, 0)}


def test_an_array_program_is_told_line_by_line():
    np = pytest.importorskip("numpy")
    program, _ = iris_loss("numpy")
    found = program.profile(np.ones((5, 2)), np.zeros(5))
    code = program.matrix_source
    assert found.backend == "numpy"
    assert all(line.code in code and line.seconds > 0 for line in found.lines)
    statements = [line for line in code.splitlines() if line.startswith("    ") and (" = " in line or "return" in line)]
    assert len(found.lines) == len(statements)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_the_lines_run_on_the_program_s_own_library(library):
    pytest.importorskip(library)
    np = pytest.importorskip("numpy")
    program, _ = iris_loss(library)
    found = program.profile(np.ones((5, 2)), np.zeros(5), repeats=1)
    assert found.backend == library
    assert found.lines[-1].code.startswith("return")


def test_the_lines_of_native_loops_run_on_numpy():
    np = pytest.importorskip("numpy")
    pytest.importorskip("llvmlite")
    model = MLP(60, [100, 2], "tanh", seed=0)
    program = mg.compile(lambda x: mg.sum(model(x)), backend="native")
    found = program.profile(np.ones((3, 60)))
    assert found.backend == "native"
    assert any("@ W1.T" in line.code for line in found.lines)


def test_one_sample_and_a_batch_are_taken_and_none_is_refused():
    np = pytest.importorskip("numpy")
    program = mg.compile(lambda x: mg.sin(x), backend="python")
    assert program.profile(0.5).instructions == program.profile(np.ones(7)).instructions == 2
    with pytest.raises(ValueError, match="at least one sample"):
        program.profile(np.ones(0))


@pytest.mark.parametrize("backend", ["python", "numpy"])
def test_gradients_and_parameters_stay_as_they_are(backend):
    if backend == "numpy":
        pytest.importorskip("numpy")
    program, model = iris_loss(backend)
    before = [(p.data, p.grad) for p in model.parameters()]
    program.profile([1.0, 2.0], 0.5)
    assert [(p.data, p.grad) for p in model.parameters()] == before


def test_it_prints_as_tables_with_totals_and_the_whole_call():
    program, _ = iris_loss("python")
    lines = str(program.profile([1.0, 2.0], 0.5)).splitlines()
    assert lines[0].split() == ["operation", "forward", "backward", "in", "Python", "µs", "share"]
    assert [line.split()[:3] for line in lines if line.startswith("all")] == [["all", "8", "16"]] * 2
    assert lines[-1].startswith("one call (python):")
