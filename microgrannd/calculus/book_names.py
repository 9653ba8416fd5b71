"""What books call the nodes of a network: w¹₀₂ for `layer1.neuron0.w2`, z and a for what a neuron computes."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.printing.labels import in_message

Node = Any  # a Value, which stands above

_NEURON: Final = re.compile(r"(?:(?:^|\.)layer(\d+)\.|^)neuron(\d+)$")
_WEIGHT: Final = re.compile(r"w(\d+)")
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class BookName(NamedTuple):
    """A letter, or a whole label, with the layer above it and indices below.

    >>> str(BookName("w", "1", ("2", "3"))), str(BookName("a", "2", ("12", "0")))
    ('w¹₂₃', 'a²₁₂,₀')
    """

    letter: str
    layer: str = ""
    indices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.letter + self.layer.translate(_RAISED) + self.below.translate(_LOWERED)

    @property
    def below(self) -> str:
        """The indices as one text, with commas where one has two digits."""
        return self._comma.join(self.indices)

    @property
    def divided(self) -> tuple[str, int | None]:
        """The name up to its last index, and that; None where it has none.

        >>> BookName("w", "1", ("2", "3")).divided, BookName("loss").divided
        (('w¹₂', 3), ('loss', None))
        """
        if not self.indices:
            return str(self), None
        *others, last = self.indices
        before = self._comma.join([*others, ""]) if self._comma else "".join(others)
        return self.letter + self.layer.translate(_RAISED) + before.translate(_LOWERED), int(last)

    @property
    def _comma(self) -> str:
        return "," if any(len(index) > 1 for index in self.indices) and len(self.indices) > 1 else ""


def book_names(order: Sequence[Node]) -> dict[Node, BookName]:
    """The names of those nodes that have one, no two the same: a label, or a part of a neuron.

    Layers, neurons and inputs are counted as in the code, from 0. A neuron without an activation gives z.

    >>> from microgrannd import Value, topological_order
    >>> from microgrannd.nn import MLP
    >>> y = MLP(2, [1, 1], activation="tanh")([Value(1.0), 2.0])
    >>> print(*book_names(topological_order(y)).values())
    w¹₀₀ w⁰₀₀ w⁰₀₁ x₀ x₁ b⁰₀ z⁰₀ a⁰₀ b¹₀ z¹₀
    """
    return _named(order, _parts_of_neurons(order))


def names_in_neurons(order: Sequence[Node]) -> dict[Node, BookName]:
    """Those of these names that parts of neurons have, and the inputs."""
    parts = _parts_of_neurons(order)
    names = _named(order, parts)
    return {node: names[node] for node in parts}


def _parts_of_neurons(order: Sequence[Node]) -> dict[Node, BookName]:
    """What a person has labelled keeps its label, but for parameters."""
    found = {}
    for node, name in _in_neurons(order):
        if not node.label.strip() or name.letter in "wb":
            found[node] = name
    return found


def _named(order: Sequence[Node], parts: dict[Node, BookName]) -> dict[Node, BookName]:
    proposed = {node: BookName(in_message(node.label)) for node in order if node.label.strip()} | parts
    names: dict[Node, BookName] = {}
    taken: dict[str, int] = {}
    for node in order:
        if node in proposed:
            name = proposed[node]
            text = first = str(name)
            while text in taken:
                taken[first] += 1
                text = f"{first}[{taken[first]}]"
            taken[text] = 1
            names[node] = name if text == first else BookName(text)
    return names


def _in_neurons(order: Sequence[Node]) -> Iterator[tuple[Node, BookName]]:
    """Parameters, inputs, and what neurons compute: z, and a where it leaves the neuron."""
    if not any(map(_place, {node.scope for node in order})):
        return
    consumed = {parent for node in order if node.op for parent in node.parents if parent.scope == node.scope}
    for node in order:
        if not (place := _place(node.scope)):
            continue
        layer, neuron = place
        if node.op is None:
            if weight := _WEIGHT.fullmatch(node.label):
                yield node, BookName("w", layer, (neuron, weight[1]))
            elif node.label == "b":
                yield node, BookName("b", layer, (neuron,))
            continue
        yield from _inputs(node)
        if node not in consumed:
            activated = len(node.parents) == 1 and node.parents[0].op and node.parents[0].scope == node.scope
            yield node, BookName("a" if activated else "z", layer, (neuron,))
            if activated:
                yield node.parents[0], BookName("z", layer, (neuron,))


def _inputs(node: Node) -> Iterator[tuple[Node, BookName]]:
    """The leaves that a neuron's weights are multiplied by; those without a name are the network's inputs."""
    if node.op not in (ops.dot, ops.mul):
        return
    size = len(node.parents) // 2
    for parent, weight in zip(node.parents[size : 2 * size], node.parents[:size], strict=True):
        if parent.op is None and not parent.scope and (found := _WEIGHT.fullmatch(weight.label)):
            yield parent, BookName("x", "", (found[1],))


@lru_cache(maxsize=10_000)
def _place(scope: str) -> tuple[str, str] | None:
    """The layer, if it is in one, and the neuron that a scope is."""
    found = _NEURON.search(scope)
    return (found[1] or "", found[2]) if found else None
