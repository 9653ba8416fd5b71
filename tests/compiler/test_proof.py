"""Gradients with a proof: what Coq accepts, what it refuses, and what is said where there is no Coq."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import microgrannd as mg
from microgrannd import operations as ops
from microgrannd.compiler.text import coq_rows
from microgrannd.losses import half_squared_error, softmax_cross_entropy
from microgrannd.nn import MLP
from microgrannd.printing.coq import COQ

COQC = shutil.which("coqc")
needs_coq = pytest.mark.skipif(COQC is None, reason="needs Coq and Coquelicot")


def program(function, *arguments):
    return mg.compile(function, backend="python").trace(*arguments)


def network(activation, sizes=(2, 1)):
    model = MLP(2, list(sizes), activation=activation, seed=0)
    return program(lambda x, y: half_squared_error(model(x), y), [0.5, 0.5], 1.0)


def black_scholes(spot, strike, rate, sigma, years):
    d1 = (mg.log(spot / strike) + (rate + sigma * sigma / 2) * years) / (sigma * mg.sqrt(years))
    d2 = d1 - sigma * mg.sqrt(years)
    shares = [0.5 * mg.erfc(-d * math.sqrt(0.5)) for d in (d1, d2)]
    return spot * shares[0] - strike * mg.exp(-rate * years) * shares[1]


def recurrence(w, u, b, xs):
    h = 0.0
    for x in xs:
        h = mg.tanh(w * h + u * x + b)
    return h * h


def batch_loss():
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    samples = [([0.1, 0.2], 1.0), ([0.3, 0.4], 0.0), ([0.5, 0.6], 1.0), ([0.7, 0.8], 0.0)]

    def loss():
        return mg.mean([half_squared_error(model(x), y) for x, y in samples])

    return program(loss)


def softmax_loss():
    model = MLP(2, [3, 3], activation="tanh", seed=0)
    return program(lambda x: softmax_cross_entropy(model(x), 1), [0.1, 0.2])


def choices(x, y):
    return mg.where(x > y, mg.sqrt(x), y * y) + abs(x) + mg.maximum(x, y) + mg.clamp(x, -1, 1) + x % y


def vectors(x):
    return mg.norm(x) * mg.hypot(x[0], x[1]) + mg.logsumexp(x) + mg.dot(x, [1.0, 2.0, 3.0]) + mg.mean(x)


QUICK = ("an expression", "iris", "powers", "choices")
PROGRAMS = {
    "an expression": lambda: program(lambda x, y, z: (x + y) * z, 1.0, 2.0, 3.0),
    "iris": lambda: network("sigmoid"),
    **{f"a network of {name}": (lambda name=name: network(name, (3, 1))) for name in
       ("tanh", "softplus", "silu", "gelu", "logsigmoid", "sin", "relu", "leaky_relu", "elu")},
    "Black-Scholes": lambda: program(black_scholes, 100.0, 95.0, 0.05, 0.2, 1.0),
    "a recurrence": lambda: program(recurrence, 0.5, 0.4, 0.1, [1.0, 2.0, 3.0, 4.0]),
    "a batch": batch_loss,
    "softmax cross-entropy": softmax_loss,
    "powers": lambda: program(
        lambda x, y: x**2 + x**3 + x**-2 + x**0.5 + y**x + 2**x + x**0.1 + x**1 + (x * x) ** 1.5, 2.0, 3.0
    ),
    "choices": lambda: program(choices, 2.0, 3.0),
    "opposites": lambda: program(lambda x, y: mg.gelu(-x) + mg.silu(-(x * y)) - mg.erf(-x) - (-x) * (-y), 2.0, 3.0),
    "the same twice": lambda: program(lambda x, y: mg.sin(x) * y + mg.sin(x) + x + x + 0.1 * x * 0.2 * y, 2.0, 3.0),
    "vectors": lambda: program(vectors, [1.0, 2.0, 3.0]),
    "a number": lambda: program(lambda x: 3.0, 1.0),
    "an input": lambda: program(lambda x, y: x, 1.0, 2.0),
    "what is held": lambda: program(lambda x, y: x * mg.stop_gradient(x * y) + y, 2.0, 3.0),
}  # fmt: skip


@pytest.mark.slow
@needs_coq
@pytest.mark.parametrize("name", QUICK)
def test_coq_accepts_the_gradients(name):
    made = PROGRAMS[name]()
    proof = made.prove()
    assert proof.seconds > 0
    assert len(proof.theorems) == len(made.parameters or made.tape.inputs)


@needs_coq
@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in QUICK])
def test_coq_accepts_the_gradients_of_all_kinds_of_programs(name):
    test_coq_accepts_the_gradients(name)


@needs_coq
@pytest.mark.long
def test_coq_accepts_second_derivatives():
    made = program(lambda x: mg.tanh(x[0] * x[1] + x[2]) + mg.exp(-x[0] * x[0]) / x[1], [1.0, 2.0, 3.0])
    proof = made.prove(of="hessian")
    assert len(proof.theorems) == 3 + 9
    assert proof.conditions == ("x1 <> 0",)


@pytest.mark.slow
@needs_coq
@pytest.mark.parametrize(("function", "arguments", "conditions"), [
    (lambda x, y: mg.tanh(x * y) + mg.sin(x) / y - mg.gelu(-x) * 3, (1.0, 2.0), ("y <> 0",)),
    (lambda x: mg.dot(x, [1.0, 2.0]) * mg.logsumexp(x) + mg.relu(x[0]) + mg.mean(x), ([1.0, 2.0],), ("x0 <> 0",)),
])  # fmt: skip
def test_coq_accepts_the_lines_of_forward_mode(function, arguments, conditions):
    proof = program(function, *arguments).prove(of="jvp")
    assert len(proof.theorems) == 1
    assert proof.conditions == conditions


def test_the_lines_of_forward_mode_give_what_jvp_gives():
    def function(x, y):
        return mg.tanh(x * y) + mg.sin(x) / y

    plan = program(function, 1.5, 2.0).runtime.traced()
    found = plan.adjoints("jvp")
    values = [1.5, 2.0, 0.25, -3.0]
    for operation, operands in found.writer.instructions:
        values.append(operation.forward(*[values[x] if isinstance(x, int) else x for x in operands]))
    expected = mg.jvp(lambda p: function(*p))([1.5, 2.0], [0.25, -3.0])
    assert values[found.speeds[found.passes[0].output]] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("of", ["hessian", "jvp"])
def test_the_tip_of_a_norm_is_named(of, tmp_path):
    with pytest.raises(mg.ProofError, match="norm has a kink"):
        program(lambda x: mg.norm(x), [1.0, 2.0]).to_coq(tmp_path / "no.v", of=of)


def test_what_is_proved_is_one_of_three(tmp_path):
    with pytest.raises(ValueError, match="of"):
        program(lambda x: x * x, 1.0).to_coq(tmp_path / "no.v", of="gradient")


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_lines_that_are_proved_give_what_eager_mode_gives(name):
    made = PROGRAMS[name]()
    plan = made.runtime.traced()
    found = plan.adjoints()
    numbers = [*plan.trace.numbers]
    values = [*numbers]
    for leaf, held in sorted(found.held.items()):
        assert leaf == len(values)
        values.append(eager_value(plan.trace.tape, numbers, held, found))
    for operation, operands in found.writer.instructions:
        values.append(operation.forward(*[values[x] if isinstance(x, int) else x for x in operands]))
    passing = found.passes[0]

    def number(x):
        return values[x] if isinstance(x, int) else x

    lines = [number(passing.place(passing.output)), *[number(passing.adjoint(v)) for v in found.of]]
    shown = plan.tape(plan.shown, guarded=True)
    inputs = len(plan.trace.tape.inputs)
    assert lines == shown.run(numbers[:inputs], numbers[inputs:])


def eager_value(tape, numbers, held, found):
    """What `stop_gradient` passes on in the program above: the product of its inputs."""
    return numbers[0] * numbers[1]


def conditions(function, *arguments, tmp_path):
    path = tmp_path / "program.v"
    program(function, *arguments).to_coq(path)
    return re.search(r"conditions : list Prop := \[(.*?)\]\.", path.read_text(encoding="utf-8"), re.DOTALL)


def test_domains_and_kinks_are_conditions_that_the_file_lists(tmp_path):
    found = conditions(lambda x, y: mg.log(x) / y + mg.relu(x - y), 2.0, 3.0, tmp_path=tmp_path)
    assert found[1].split(";\n  ") == ["0 < x", "y <> 0", "t3 <> 0"]
    assert conditions(lambda x, y: mg.tanh(x) * y / 3, 2.0, 3.0, tmp_path=tmp_path) is None


def test_an_operation_without_a_lemma_is_named(tmp_path):
    with pytest.raises(mg.ProofError, match="gamma has no lemma"):
        program(lambda x: mg.gamma(x) * x, 2.0).to_coq(tmp_path / "no.v")
    own = mg.Operation("tanh", math.tanh, lambda x, out: (2.0,))
    with pytest.raises(mg.ProofError, match="tanh has no lemma"):
        program(lambda x: own(x) * x, 2.0).to_coq(tmp_path / "no.v")


def test_infinity_is_no_real_number(tmp_path):
    with pytest.raises(mg.ProofError, match="the constant inf"):
        program(lambda x: mg.clamp(x, 0.0), 2.0).to_coq(tmp_path / "no.v")


def test_what_holds_nowhere_is_not_proved(tmp_path):
    with pytest.raises(mg.ProofError, match="x <> x, which is nowhere"):
        program(lambda x: mg.share(x, x) * x, 2.0).to_coq(tmp_path / "no.v")


def test_a_program_of_several_numbers_has_no_gradient_to_prove(tmp_path):
    with pytest.raises(TypeError, match="a single number"):
        program(lambda x: [x, x * x], 2.0).to_coq(tmp_path / "no.v")


def test_without_coq_it_is_said_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(mg.ProofError, match=r"apt-get install coq libcoq-coquelicot.*to_coq") as raised:
        PROGRAMS["an expression"]().prove()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("timeout", ["soon", None, -1, 0, math.nan])
def test_a_timeout_is_a_number_above_zero(timeout):
    with pytest.raises((TypeError, ValueError), match="timeout"):
        PROGRAMS["an expression"]().prove(timeout=timeout)


def stand_in(tmp_path, text):
    """A `coqc` that notes its process and does not come to an end."""
    script = tmp_path / "coqc"
    script.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def gone(pid):
    """Whether it runs no more; a zombie that nobody has collected does not."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if not state.strip() or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_timeout_leaves_no_process_behind(tmp_path, monkeypatch):
    environment = stand_in(tmp_path, f'sleep 60 &\necho $! > "{tmp_path}/pid"\nwait')
    monkeypatch.setenv("PATH", environment["PATH"])
    with pytest.raises(mg.ProofError, match="had not finished after 1 s"):
        PROGRAMS["an expression"]().prove(timeout=1)
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(os.name != "posix", reason="needs a shell and signals")
def test_an_interrupt_leaves_no_process_behind(tmp_path):
    environment = stand_in(tmp_path, f'sleep 60 &\necho $! > "{tmp_path}/pid"\nwait')
    # Ignored in the background, and so for what is started there.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; from microgrannd.app.cli import main; raise SystemExit(main(['prove', 'x * y']))"
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == "interrupted"
    assert gone(int((tmp_path / "pid").read_text()))


HOSTILE = [
    *(
        "*)",
        "(*",
        '"',
        "x. Axiom cheat : False. Definition y",
        "\n",
        "Definition",
        "forall",
        "R",
        "exp",
        "value",
        "leaf",
    ),
    *("t", "s", "d_a", "σ", "", "_", "sum", "row_mul", "rows'1", "match", "is", "by", "where", "x'", "Qed.", "t1'rate"),
]


def hostile_program():
    leaves = [mg.Value(float(i + 1), label=label) for i, label in enumerate(HOSTILE)]
    total = leaves[0]
    for label, leaf in zip(HOSTILE, leaves[1:], strict=False):
        total = total * leaf + leaf
        total.label = label
    made = mg.compile(graph=total, inputs=leaves, backend="python")
    made.function = None
    return made


def test_labels_get_into_a_file_as_names_alone(tmp_path):
    hostile_program().to_coq(tmp_path / "hostile.v")
    text = (tmp_path / "hostile.v").read_text(encoding="utf-8")
    assert not re.search(r"\b(Axiom|Admitted|Parameter|admit)\b", text)
    assert COQ.comment('*) "x" (*\n') == "(* * ) ''x'' ( *\\n *)"


@needs_coq
@pytest.mark.long
def test_coq_reads_a_file_with_hostile_labels():
    assert len(hostile_program().prove().theorems) == len(HOSTILE)


def test_each_lemma_of_the_file_says_what_its_row_says():
    found = 0
    for operation in ops.TABLE.values():
        lemma = coq_rows.lemma_of(operation)
        if lemma and not operation.vectors:
            assert lemma.inputs == operation.inputs
            assert lemma.conclusion == coq_rows.statement(operation, lemma.conclusion.split()[0]), operation.name
            found += 1
    assert found > 60


def test_what_has_no_lemma_is_known():
    without = {name for name, operation in ops.TABLE.items() if not coq_rows.proved_as(operation)}
    assert without == {"gamma", "lgamma", "digamma", "polygamma", "lbeta"}


def test_nothing_is_admitted():
    text = "\n".join(coq_rows.copied(coq_rows.words_of_rows()))
    assert not re.search(r"\b(Admitted|Axiom|Parameter|Conjecture|admit|Abort)\b", text)


def accepted(text, tmp_path):
    """Whether Coq accepts a file; that it refuses is worth nothing if it could not read it."""
    (tmp_path / "file.v").write_text(text, encoding="utf-8")
    run = subprocess.run(
        [COQC, "-q", "file.v"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert not re.search("Syntax error|was not found", run.stderr), run.stderr
    return run.returncode == 0


@needs_coq
@pytest.mark.long
def test_all_lemmas_of_the_rows_hold(tmp_path):
    rows = [operation for operation in ops.TABLE.values() if coq_rows.lemma_of(operation)]
    text = coq_rows.copied([f"row_{operation.name}" for operation in rows], rows)
    assert accepted("\n".join([coq_rows.preamble(), *text]), tmp_path)


FAULTS = [(name, line, kind) for name in ("iris", "Black-Scholes") for line in range(1, 11) for kind in [line % 3]]


@needs_coq
@pytest.mark.long
@pytest.mark.parametrize(("name", "line", "kind"), FAULTS)
def test_a_fault_in_a_gradient_is_refused(name, line, kind, tmp_path):
    PROGRAMS[name]().to_coq(tmp_path / "right.v")
    text = (tmp_path / "right.v").read_text(encoding="utf-8")
    before, mark, after = text.partition("(* backward *)\n")
    lines = after.splitlines()
    backward = [i for i, said in enumerate(lines[: lines.index("End Lines.")]) if " : R := " in said]
    place = backward[(line * 7) % len(backward)]
    head, _, expression = lines[place].removesuffix(".").partition(" := ")
    lines[place] = f"{head} := " + ("-({})", "2 * ({})", "({}) + 1")[kind].format(expression) + "."
    assert not accepted(before + mark + "\n".join(lines), tmp_path)


CHANGED = {
    "tanh": lambda x, out: (1 + out * out,),
    "sigmoid": lambda x, out: (out * (1 + out),),
    "exp": lambda x, out: (-out,),
    "log": lambda x, out: (ops.div(2.0, x),),
    "sqrt": lambda x, out: (ops.div(1.0, out),),
    "sin": lambda x, out: (-ops.cos(x),),
    "mul": lambda x, y, out: (x, y),
    "div": lambda x, y, out: (ops.div(1.0, y), ops.div(out, y)),
    "relu": lambda x, out: (ops.less(x, 0.0),),
    "erf": lambda x, out: (ops.exp(-x * x),),
}


@needs_coq
@pytest.mark.long
@pytest.mark.parametrize("name", CHANGED)
def test_a_row_that_is_changed_has_its_lemma_refused(name, tmp_path, monkeypatch):
    row = ops.TABLE[name]
    monkeypatch.setattr(row, "local_gradients", CHANGED[name])
    text = "\n".join([coq_rows.preamble(), *coq_rows.copied([f"row_{name}"], [row])])
    assert not accepted(text, tmp_path)


@needs_coq
def test_a_refusal_names_the_lemma(monkeypatch):
    monkeypatch.setattr(ops.tanh, "local_gradients", CHANGED["tanh"])
    with pytest.raises(mg.ProofError, match="Coq refuses row_tanh"):
        program(lambda x: mg.tanh(x) * x, 1.0).prove()
