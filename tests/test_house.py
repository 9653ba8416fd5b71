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
    ["nodes.refusing"],
    ["nodes.arithmetic"],
    ["printing"],
    ["nodes"],
    ["engine"],
    ["calculus", "losses", "optim", "evaluation", "expressions", "layers.gates"],
    ["learning", "layers", "plots"],
    ["nn"],
    ["datasets", "persistence"],
    ["drawing.layout", "compiler.tape"],
    ["drawing.picture", "compiler.text", "compiler.batches"],
    ["drawing.write", "compiler.matrix", "compiler.llvm", "compiler.plan"],
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
