"""The front door: the names of the design are there, and entering costs little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import microgrannd as mg
from tests.test_worked_examples import x01

PACKAGE = Path(mg.__file__).parent

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


FLOORS = [
    {"data", "ieee", "errors", "files", "images", "modes", "version", "progress", "terminal"},
    {"operations"},
    {"notation"},
    {"engine"},
    {"nests", "passes", "expressions", "modules", "initialisation", "evaluation"},
    {"calculus", "nn", "losses", "optim", "plots", "gates", "views", "profiling"},
    {"checks", "layers", "epochs", "persistence", "datasets"},
    {"drawing"},
    {"compiler"},
    {"training"},
    {"iris_program", "mnist_program"},
    {"cli"},
]


def test_each_file_imports_only_from_the_floors_beneath_it():
    floor = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = parts[0]
        if room in ("__init__", "__main__"):
            continue
        assert room in floor, f"{room}: give it a floor"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("microgrannd"):
                _, _, below = node.module.partition(".")
                names = [below.partition(".")[0]] if below else [alias.name for alias in node.names]
                for name in names:
                    if name in floor and name != room:
                        assert floor[name] < floor[room], f"{'/'.join(parts)} imports {name}, which is not beneath it"
