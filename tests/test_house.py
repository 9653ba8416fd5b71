"""The house: each file has its floor and imports only from those beneath it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import microgrannd

PACKAGE = Path(microgrannd.__file__).parent
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# From the ground up. A file imports from lower lines, and from its own room; the longest name that fits a file is its.
FLOORS = [
    ["ground"],
    ["operations"],
    ["nodes.refusing", "nodes.interpolation", "nodes.roots"],
    ["nodes.arithmetic"],
    ["printing"],
    ["nodes"],
    ["engine"],
    ["calculus", "losses", "learning.optimizer", "evaluation", "expressions", "layers.gates"],
    ["optim"],
    ["learning", "layers", "plots"],
    ["nn"],
    ["datasets", "persistence"],
    ["drawing.layout", "compiler.tape", "compiler.locking"],
    ["drawing.picture", "compiler.text", "compiler.batches"],
    ["drawing.write", "compiler.matrix", "compiler.llvm", "compiler.recurrences"],
    ["compiler.plan"],
    ["drawing.player", "compiler.native"],
    ["drawing", "compiler.arrays"],
    ["compiler"],
    ["training"],
    ["app"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FRONT_DOOR = {"__init__", "__main__"}


def files():
    """The name of each module of the package, and its syntax."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text(encoding="utf-8"))


def room_of(module):
    """The longest prefix that has a floor."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in FLOOR:
            return ".".join(parts[:end])
    return None


def imports(tree):
    """The modules of the package that a file imports, wherever in it, but for those named in annotations alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "microgrannd":
            base = node.module.partition(".")[2]
            for alias in node.names:
                name = f"{base}.{alias.name}".strip(".")
                is_module = (PACKAGE / name.replace(".", "/")).is_dir() or (
                    PACKAGE / f"{name.replace('.', '/')}.py"
                ).exists()
                yield name if is_module else base


def test_each_file_imports_only_from_the_floors_beneath_it():
    for module, tree in files():
        if module in FRONT_DOOR:
            continue
        room = room_of(module)
        assert room, f"{module}: give it a floor"
        for name in imports(tree):
            below = room_of(name)
            if not name and room == "app":
                continue  # a program of ours comes in by the front door, as any other
            assert below, f"{module} imports {name or 'the front door'}, which has no floor"
            assert below == room or FLOOR[below] < FLOOR[room], f"{module} imports {name}, which is not beneath it"


def imported_modules(path, known):
    """Those of the known modules that a file imports, wherever in it; `from package import module` included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (inner | {node.module}) & known


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not beside the tests")
def test_the_benchmarks_import_each_other_in_no_circle():
    names = {}
    for path in BENCHMARKS.rglob("*.py"):
        *folders, name = path.relative_to(BENCHMARKS.parent).with_suffix("").parts
        names[".".join(folders + [name] * (name != "__init__"))] = path
    graph = {name: set(imported_modules(path, names.keys())) for name, path in names.items()}
    assert len(graph) > 20
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"the benchmarks import each other in a circle: {' ← '.join(error.args[1])}")


# Python's own names that begin with an underscore.
OF_PYTHON = {"_getframe", "_fields", "_make", "_replace", "_asdict", "_fields_", "_", "_clear_type_cache"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in OF_PYTHON


def private_names_made(tree):
    """The private names that a file defines: functions, classes, attributes that it sets, slots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # a slot, a key of __getstate__


def private_names_used(tree):
    """The private attributes and imports that a file asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("microgrannd"):
            yield from (alias.name for alias in node.names if is_private(alias.name))


def test_a_private_name_is_used_in_its_folder_alone():
    made = {}
    for module, tree in files():
        made.setdefault(module.rpartition(".")[0], set()).update(private_names_made(tree))
    made["nodes"] |= made[""]  # what is said of nodes in general knows how they are laid out
    for module, tree in files():
        strange = set(private_names_used(tree)) - made[module.rpartition(".")[0]]
        assert not strange, f"{module} reaches into another room for {', '.join(sorted(strange))}"


# One thing under one name: an operation's forward function, its form on vectors, the public function of that name;
# and the programs, which `run` and `train`.
ALIKE = {"run", "train", "sigmoid", "softplus", "step"}


def test_one_name_is_for_one_thing():
    """No two classes have one name, nor two public functions of different rooms."""
    places = {}
    for module, tree in files():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not is_private(node.name)):
                places.setdefault(node.name, []).append(module)
    twice = {name: found for name, found in places.items() if len(found) > 1 and not name.startswith("__")}
    assert not twice.keys() - ALIKE, twice


def test_a_folder_has_about_ten_files_and_the_front_door_few_entries():
    for folder in {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}:
        count = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        assert count <= 11, f"{folder.relative_to(PACKAGE)} has {count} files"
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__" and path.suffix != ".so"]
    assert len(entries) <= 24, sorted(entries)


def test_each_folder_says_what_it_is_for():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_the_engine_is_read_in_one_sitting():
    assert len((PACKAGE / "engine.py").read_text(encoding="utf-8").splitlines()) <= 380
