"""The sources of the compiled build: the files that people read, with the C types of this folder beside them.

Cython is told three things that Python need not know. `Value` stands alone: each operator and method that it has
from `Arithmetic` is written out in it, a line each, so that it is a call in C, it hashes by a function of its own, and
what it has from its other bases it is given when it is there. The order of a graph is in the engine's file, where the C
structure of a Value is known. And `nodes` has how a graph is freed, and how later rows become methods. What is not
where it is expected is a LookupError that names it.
"""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

TYPES = Path(__file__).parent
PACKAGE = TYPES.parent / "microgrannd"
# A Python class has no C function that hashes, and swaps this one in only while a function is traced.
HASH = """
    def __hash__(self):
        if opened:
            refuse_while_tracing("hash")
        return identity(self)

"""


def write(folder: Path) -> None:
    """Write the package as Cython is to have it into the folder."""
    package = folder / PACKAGE.name
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TYPES, package, ignore=shutil.ignore_patterns("*.py", "__pycache__"), dirs_exist_ok=True)
    for file in package.rglob("*.pyx"):
        file.with_suffix(".py").unlink(missing_ok=True)
    (package / "operations.py").write_text(_without_overloads(_read(PACKAGE / "operations.py")), encoding="utf-8")
    (package / "operations.pxd").write_text(_with_slots("operations", "Operation"), encoding="utf-8")
    types = _with_slots("engine", "Value") + f"\ncdef Operation {', '.join(_rows().values())}\n"
    (package / "engine.pxd").write_text(types, encoding="utf-8")
    (package / "engine.py").write_text(_engine(), encoding="utf-8")


def _with_slots(room: str, kind: str) -> str:
    """The C types of a file, its class with the slots that have none there: those hold any object."""
    text = _read(TYPES / f"{room}.pxd")
    slots = getattr(import_module(f"microgrannd.{room}"), kind).__slots__
    declared = "".join(f"    cdef public object {slot}\n" for slot in slots if not re.search(rf"\b{slot}\b", text))
    return _replaced(text, f"cdef class {kind}:\n", f"cdef class {kind}:\n{declared}")


def _without_overloads(text: str) -> str:
    """A method's signatures for type checkers would take its place in a C class: their lines are left empty."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and "overload" in map(ast.unparse, node.decorator_list):
            for number in range(node.decorator_list[0].lineno, node.end_lineno + 1):
                lines[number - 1] = "\n"
    return "".join(lines)


def _engine() -> str:
    """The engine; as far as the end of its class, its lines keep their numbers."""
    text = _read(PACKAGE / "engine.py")
    imported = "from microgrannd.nodes.arithmetic import Arithmetic"
    rows = ", ".join(f"{name} as {row}" for name, row in _rows().items())
    text = _replaced(text, imported, f"{imported}; import operator; from microgrannd.operations import {rows}")
    text = _replaced(text, "from microgrannd.nodes.order import started, topological_order", "import cython")
    text = _replaced(
        text, "@freed_in_a_loop\nclass Value(AsInMicrograd, Arithmetic, NamesElsewhere):", "@cython.no_gc\nclass Value:"
    )
    text = _replaced(text, "from microgrannd.nodes.freeing import freed_in_a_loop", "")
    [value] = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "Value"]
    own = {node.name for node in value.body if isinstance(node, ast.FunctionDef)}
    methods = "".join(line for name, line in _methods().items() if name not in own)
    lines = text.splitlines(keepends=True)
    text = "".join([*lines[: value.end_lineno], HASH, methods, *lines[value.end_lineno :]])
    return f"{text}{_order()}\n\nimport microgrannd.nodes.freeing, microgrannd.nodes.rows\n"


def _order() -> str:
    """`nodes/order.py`, where a node is now a Value; the locals of a `def` are told in the file itself."""
    text = _replaced(_read(PACKAGE / "nodes" / "order.py"), "Node: TypeAlias = Any", "")
    types = "leaves=bint, order=list, seen=set, stack=list, node=Value, first=Value, second=Value, parents=tuple"
    return _replaced(text, "def topological_order(", f"@cython.locals({types})\ndef topological_order(")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise LookupError(f"{old!r} stands {text.count(old)} times where the compiled build expects it once.")
    return text.replace(old, new)


def _rows() -> dict[str, str]:
    """The rows of the table by name, and what the compiled engine calls them."""
    return {name: f"row_{name}" for name in import_module("microgrannd.operations").TABLE}


def _methods() -> dict[str, str]:
    """The operators and methods of Arithmetic: by name, the line that does the same in the compiled class."""
    arithmetic = import_module("microgrannd.nodes.arithmetic").Arithmetic
    methods = {}
    for name, method in vars(arithmetic).items():
        private = name.startswith("_") and not name.endswith("__")
        if inspect.isfunction(method) and not private:
            methods[name] = _method(arithmetic, name, method)
    missed = {"__add__", "__rmul__", "__neg__", "__eq__", "tanh", "maximum"} - methods.keys()
    if missed:
        raise LookupError(f"The compiled build does not find {', '.join(sorted(missed))} in Arithmetic.")
    return methods


def _method(arithmetic: Any, name: str, method: FunctionType) -> str:
    """Where a method only passes on an operation, the line does it in C; all else it leaves to Arithmetic."""

    class Asked(arithmetic):
        """Answers an operation with the text of the call that it comes by."""

        def _unary(self, operation):
            return f"self._unary(row_{operation.name})"

        def _binary(self, operation, other):
            return f"self._binary(row_{operation.name}, {other})"

        def _reflected(self, operation, other):
            return f"self._reflected(row_{operation.name}, {other})"

        def _compared(self, operation, holds, other):
            return f"self._compared(row_{operation.name}, operator.{holds.__name__}, {other})"

        def record(self, operation, arguments):
            return f"row_{operation.name}(self, *others)"

    parameters = [*inspect.signature(method).parameters.values()][1:]
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    others = [*required, "*others"] if len(required) < len(parameters) else required
    try:
        call = method(Asked(), *required)
    except (AttributeError, TypeError):
        call = None
    if not isinstance(call, str) or ("*others" in call) != (others == ["*others"]):
        call = f"Arithmetic.{name}({', '.join(['self', *others])})"
    return f"    def {name}({', '.join(['self', *others])}): {method.__doc__!r}; return {call}\n"
