"""The definitions that a printed function needs, copied out of our files, so that it stands without the package."""

import ast
import functools
from collections.abc import Iterable
from pathlib import Path

from microgrannd.printing.python import OURS


def definitions(names: Iterable[str]) -> list[str]:
    statements, chosen, waiting = _our_statements(), set(), list(names)
    while waiting:
        if (name := waiting.pop()) in statements and name not in chosen:
            chosen.add(name)
            waiting += statements[name][1]
    return [text for name, (text, _) in statements.items() if name in chosen]


@functools.cache
def _our_statements() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By the name that it defines: each statement of these files without its annotations, and the names it uses."""
    found = {}
    names = [f"{module.__name__.rpartition('.')[2]}.py" for module in OURS]
    # The sources are there in the compiled build too.
    files = [Path(str(module.__file__)).with_name(name) for module, name in zip(OURS, names, strict=True)]
    for statement in [statement for file in files for statement in ast.parse(file.read_text(encoding="utf-8")).body]:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            elif isinstance(node, ast.arg):
                node.annotation = None
        used = tuple(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        match statement:
            case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value):
                found[name] = (f"{name} = {ast.unparse(value)}", used)
            case ast.FunctionDef(name) | ast.Assign(targets=[ast.Name(name)]):
                found[name] = (ast.unparse(statement), used)
    return found
