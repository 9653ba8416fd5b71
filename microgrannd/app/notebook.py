"""The IPython extension: after `%load_ext microgrannd`, `%%backprop` runs a cell and plays its last Value."""

import ast
from typing import Any

from microgrannd.drawing import Player, step
from microgrannd.engine import Value
from microgrannd.ground.modes import source_lines


def load_ipython_extension(shell: Any) -> None:
    """Give IPython or a notebook the magic `%%backprop`; what `%load_ext microgrannd` calls."""

    def backprop(line: str, cell: str) -> Player:
        return played(shell, cell)

    backprop.__doc__ = "Run the cell, and show the backpropagation of its last Value, source lines beside the nodes."
    shell.register_magic_function(backprop, "cell", "backprop")


def played(shell: Any, cell: str) -> Player:
    """Run a cell in the shell's names. Raises ValueError where no Value comes last."""
    source = shell.transform_cell(cell)
    name = shell.compile.cache(source)  # so that tracebacks and nodes know the cell's lines
    body = ast.parse(source, name).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    with source_lines():
        exec(compile(ast.Module(body, []), name, "exec"), shell.user_ns)
        value = eval(compile(ast.Expression(last.value), name, "eval"), shell.user_ns) if last else None
    for assigned in reversed(_assigned(body) if value is None else []):
        value = shell.user_ns.get(assigned)
        if isinstance(value, Value):
            break
    if not isinstance(value, Value):
        raise ValueError("%%backprop plays the last Value of a cell: end it with one, or with y = ... that makes one.")
    return step(value)


def _assigned(body: list[ast.stmt]) -> list[str]:
    """The names that the cell sets, in order."""
    names = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [node.id for node in names if isinstance(node.ctx, ast.Store)]
