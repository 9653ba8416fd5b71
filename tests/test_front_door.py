"""The front door: the names of the design are there, and entering costs little."""

import subprocess
import sys

import pytest

import microgrannd as mg
from tests.heart.test_worked_examples import x01

DESIGN = """
Value zero_grad no_grad detect_anomaly scope gradients grad value_and_grad jacobian hessian hvp check_gradients
draw step save load fit nn optim losses datasets GradientError MicrogranndError
exp exp2 expm1 log log2 log10 log1p sqrt cbrt square sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh
atanh hypot erf erfc sigmoid logsigmoid softplus relu leaky_relu elu gelu silu maximum minimum clamp where sign
floor ceil dot sum mean logsumexp softmax abs
""".split()


def in_a_fresh_interpreter(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", DESIGN)
def test_a_name_of_the_design_is_there(name):
    assert getattr(mg, name) is not None
    assert name in dir(mg)


def test_every_listed_name_exists():
    for name in mg.__all__:
        assert getattr(mg, name) is not None


def test_a_star_import_leaves_the_builtins_alone():
    assert not {"sum", "abs", "pow", "compile"} & set(mg.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'grda'"):
        mg.grda  # noqa: B018


def test_the_import_loads_the_standard_library_only():
    loaded = in_a_fresh_interpreter(
        "import sys; before = set(sys.modules); import microgrannd; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    ours = {name for name in loaded.split() if "cython" not in name}  # a compiled build makes two modules in memory
    assert ours - sys.stdlib_module_names == {"microgrannd"}


def test_the_rooms_are_entered_when_they_are_needed():
    assert in_a_fresh_interpreter("import sys, microgrannd; print('microgrannd.nn' in sys.modules)") == "False"
    assert in_a_fresh_interpreter("import microgrannd as mg; print(mg.nn.MLP is mg.MLP)") == "True"


def test_a_script_for_micrograd_needs_another_import_only():
    from microgrannd.engine import Value
    from microgrannd.nn import MLP

    a, b = Value(-4.0), Value(2.0)
    g = x01(a, b)[""]
    g.backward()
    assert (f"{g.data:.4f}", f"{a.grad:.4f}", f"{b.grad:.4f}") == ("24.7041", "138.8338", "645.5773")
    assert len(MLP(3, [4, 4, 1]).parameters()) == 41


def test_all_that_needs_no_numpy_runs_where_there_is_none():
    code = """
import sys
sys.modules["numpy"] = sys.modules["llvmlite"] = None
import microgrannd as mg
model = mg.nn.MLP(2, [2, 1], activation="sigmoid", seed=0)
loss = lambda x, y: mg.losses.half_squared_error(model(x), y)
data = [[0.1, 0.2], [0.3, 0.4]] * 20, [0, 1] * 20
history = mg.fit(loss, data, mg.optim.Adam(model.parameters(), lr=0.1), epochs=100, batch_size=8)
program = mg.compile(loss, backend="python").trace([0.1, 0.2], 1.0)
program.profile([0.1, 0.2], 1.0)
mg.draw(loss([0.1, 0.2], 1.0)), mg.step(loss([0.1, 0.2], 1.0)), mg.check_gradients(mg.tanh, 0.5)
print(history.losses[-1] < history.losses[0], "def" in program.python_source)
"""
    assert in_a_fresh_interpreter(code) == "True True"
