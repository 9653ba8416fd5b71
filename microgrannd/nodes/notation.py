"""Nodes in words: how one was computed, where it was made, its local gradients in its parents' labels."""

from typing import Any

from microgrannd.printing.labels import in_message
from microgrannd.printing.words import Formula, formula, input_names, rules

__all__ = ["Formula", "formula", "in_words", "input_names", "local_gradients_in_words", "place_in_words", "rules"]


def local_gradients_in_words(node: Any) -> tuple[str, ...]:
    """The local gradients of a node as text, one for each parent, in the parents' labels.

    >>> from microgrannd import Value
    >>> a, b = Value(2.0, label="a"), Value(5.0, label="b")
    >>> local_gradients_in_words(a * b)
    ('b', 'a')
    """
    if node.op is None:
        return ()
    names = input_names(node.op, len(node.parents))
    named = [in_message(parent.label) or name for parent, name in zip(node.parents, names, strict=True)]
    return rules(node.op, *named, out=in_message(node.label) or "out")


def in_words(node: Any) -> str:
    given = zip(node.parents, node.inputs, strict=True)
    inputs = [f"{in_message(p.label)}={x!r}" if p.label else repr(x) for p, x in given]
    shown = inputs if len(inputs) <= 8 else [*inputs[:8], f"... {len(inputs) - 8} more"]
    return f"{in_message(node.label) + ' = ' if node.label else ''}{node.op.name}({', '.join(shown)})"


def place_in_words(node: Any) -> str:
    where = f" in {in_message(node.scope)}" if node.scope else ""
    return where + (f", made at {node.line}" if node.line else "")
