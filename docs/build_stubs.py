"""What type checkers read: `microgrannd/__init__.pyi` and `microgrannd/nodes/arithmetic.pyi`.

At run time names and methods follow from the operations table and from the rooms of the front door; a type
checker runs nothing, so these files list for it what there is.
"""

import ast
import inspect
from importlib import import_module
from types import ModuleType

import microgrannd as mg
from microgrannd.nodes import arithmetic
from microgrannd.operations import TABLE

HEAD = "# Written by `python -m docs.build stubs`.\n"


def front_door() -> str:
    """The stub of the package: every public name, and where it comes from."""
    places = {name: _module_of(name) for name in sorted({*mg.__all__, "abs", "compile", "pow", "sum"})}
    lines = [HEAD]
    for module in sorted(set(places.values())):
        names = [name for name, place in places.items() if place == module]
        lines.append(f"from {module} import (\n" + "".join(f"    {name} as {name},\n" for name in names) + ")")
    listed = "".join(f'    "{name}",\n' for name in mg.__all__)
    return "\n".join([*lines, f"\n__all__ = [\n{listed}]\n"])


def _module_of(name: str) -> str:
    thing = getattr(mg, name)
    if isinstance(thing, ModuleType):
        return thing.__name__.rpartition(".")[0]
    if TABLE.get(name) is thing:
        return "microgrannd.operations"
    if name in ("TABLE", "__version__"):
        return {"TABLE": "microgrannd.operations", "__version__": "microgrannd.ground.version"}[name]
    module = thing.__module__
    assert getattr(import_module(module), name) is thing
    return str(module)


def methods() -> str:
    """The stub of `Arithmetic`: its own methods, and one for each row that has one."""
    own, *_ = [node for node in ast.parse(inspect.getsource(arithmetic)).body if isinstance(node, ast.ClassDef)]
    lines = [HEAD, "from collections.abc import Callable", "from typing import Any, Self\n"]
    lines += ["from microgrannd.operations import Operation\n", "class Arithmetic:", "    __slots__ = ()"]
    for node in own.body:
        if isinstance(node, ast.FunctionDef) and node.name != "__getattr__":
            node.args.defaults = [ast.Constant(...) for _ in node.args.defaults]
            lines.append(f"    def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}: ...")
        elif isinstance(node, ast.Assign) and node.targets[0].id != "__slots__":
            lines.append(f"    {ast.unparse(node)}")
    written = {node.name for node in own.body if isinstance(node, ast.FunctionDef)}
    for operation in TABLE.values():
        if not operation.vectors and not operation.flag:
            others = operation.inputs[1:]
            defaults = [" = ..." if default is not None else "" for default in (operation.defaults or [None] * 9)[1:]]
            given = [f"{name}: Any{default}" for name, default in zip(others, defaults, strict=False)]
            head = ", ".join(["self", *given, *["/"] * bool(given)])
            for name in dict.fromkeys([operation.name, operation.numpy or operation.name]):
                if name in written:
                    continue
                lines.append(f"    def {name}({head}) -> Self: ...")
    return "\n".join(
        [*lines, "", "class Explained(str): ...\n", "def method(operation: Operation) -> Callable[..., Any]: ...\n"]
    )
