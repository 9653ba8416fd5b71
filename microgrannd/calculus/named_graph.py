"""A graph between its named nodes: each as a formula of others, and the factors of the chain rule between them.

A named node has a label, is a part of a neuron, or would make a formula too long: then it is called u₁.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import heappop, heappush
from typing import Final, NamedTuple

from microgrannd.calculus.algebra import (
    Formal,
    Polynomial,
    evaluated,
    formula_of,
    literal,
    plus,
    simplified,
    symbol,
    symbols_of,
    times,
)  # fmt: skip
from microgrannd.calculus.book_names import BookName, book_names
from microgrannd.calculus.passes import all_slopes
from microgrannd.engine import Value, inputs_of, number_of, topological_order
from microgrannd.ground.errors import GradientError
from microgrannd.operations import contributed
from microgrannd.printing.labels import in_message

LARGEST: Final = 1500  # named nodes on the paths: nobody reads more
LONGEST: Final = 6  # operations in a formula; what would be longer gets a name
ANONYMOUS: Final = ("L", "y", "f")  # what an output without a label is called, the first that is free


class Link(NamedTuple):
    """The factor ∂above/∂below: its formula, and the number that it is for the engine."""

    above: Value
    below: Value
    formula: Polynomial
    number: float
    holds: bool  # whether the formula gives the number: not at a kink, where the engine has a rule of its own


class NamedGraph:
    """The graph under y, ready for the derivatives by any of the xs."""

    def __init__(self, y: Value, xs: Sequence[Value]) -> None:
        self.y = y
        self.order = topological_order(y)
        self.position = {node: i for i, node in enumerate(self.order)}
        self.values = _values_then(self.order)
        self.names = book_names(self.order)
        self._lengthy, self._between = set[Value](), 0
        self._texts = set(map(str, self.names.values()))
        self._name(y, *ANONYMOUS)
        for x in xs:
            if x.op is None or x not in self.position:
                self._name(x, *filter(None, [in_message(x.label).strip()]), "x")
        asked_for, self.on_path = set(xs), set(xs)
        for node in self.order:
            if not self.on_path.isdisjoint(node.parents):
                self.on_path.add(node)
        self.definitions: dict[Value, Polynomial] = {}
        self.written: dict[tuple[int, int], dict[Value, list[tuple[str, str]]]] = {}  # by notation and precision
        self._formulas: dict[Value, Polynomial] = {}
        sizes: dict[Value, int] = {}
        for node in self.order:
            sizes[node] = self._describe(node, sum([sizes[parent] for parent in node.parents]), node in asked_for)

    def _name(self, node: Value, *proposals: str) -> None:
        """Give a node without a name the first proposal that is free."""
        if node in self.names:
            return
        numbered = (f"{proposals[0]}[{i}]" for i in range(2, len(self.order) + 3))
        self.names[node] = BookName(next(text for text in (*proposals, *numbered) if text not in self._texts))
        self._texts.add(str(self.names[node]))

    def _describe(self, node: Value, size: int, asked_for: bool) -> int:
        """Note how a node is written in the formulas of others; returns how many operations that are."""
        if node.op is None:
            self._formulas[node] = self.symbol(node) if node in self.names else literal(self.values[node])
            return 0
        formula = simplified(node.op, [self._formulas[parent] for parent in node.parents])
        size += len(node.parents) // node.op.vectors if node.op.vectors else 1
        if (size > LONGEST or asked_for) and node not in self.names:
            self._lengthy.add(node)
            self.names[node] = BookName("u", "", (str(len(self._lengthy)),))
        if node not in self.names:
            self._formulas[node] = formula
            return size
        self.definitions[node] = formula
        self._between += node in self.on_path
        if self._between > LARGEST:
            raise ValueError(
                f"A derivation is written for up to {LARGEST:,} named nodes between y and x, and here are more. "
                "Derive by a Value that is nearer to y."
            )
        self._formulas[node] = self.symbol(node)
        return 0

    def symbol(self, node: Value) -> Polynomial:
        """The node as a letter in formulas."""
        return symbol(("value", self.position[node]))

    def value(self, of: tuple[str, int]) -> float:
        """The number of such a letter."""
        return self.values[self.order[of[1]]]

    def needed(self, nodes: set[Value], formulas: Sequence[Polynomial]) -> list[Value]:
        """The nodes that formulas speak of and that the reader has not named, in order, to be defined."""
        found: set[Value] = set()
        waiting = [*nodes, *(node for formula in formulas for node in self._letters(formula))]
        while waiting:
            node = waiting.pop()
            if node in self.definitions and not node.label.strip() and node not in found:
                found.add(node)
                waiting += self._lengthy.intersection(self._letters(self.definitions[node]))
        return sorted(found, key=self.position.__getitem__)

    def _letters(self, formula: Polynomial) -> list[Value]:
        return [self.order[i] for kind, i in symbols_of(formula) if kind == "value"]

    @cached_property
    def edges(self) -> list[Link]:
        """The factors of the chain rule, from y downwards."""
        named = [node for node in reversed(self.order) if node in self.definitions and node in self.on_path]
        return [edge for node in named for edge in self._edges_below(node)]

    @cached_property
    def slopes(self) -> dict[Value, float]:
        """The derivative of y by every node, in numbers."""
        return all_slopes(self.y)

    def _edges_below(self, top: Value) -> Iterator[Link]:
        """From a named node to the named nodes that it was computed from, by way of those without a name."""
        formulas, numbers, waiting = {top: literal(1.0)}, {top: 1.0}, [-self.position[top]]
        while waiting:
            node = self.order[-heappop(waiting)]
            upstream, arrived, routes = formulas.pop(node), numbers.pop(node), bool(node.op and node.op.routes)
            for parent, formula, local in self._local_gradients(node):
                if parent in self.on_path:
                    if parent not in formulas and parent not in self.names:
                        heappush(waiting, -self.position[parent])
                    formulas[parent] = plus(formulas.get(parent, ()), times(upstream, formula))
                    numbers[parent] = numbers.get(parent, 0.0) + contributed(arrived, local, routes)
        for below in sorted(formulas, key=self.position.__getitem__):
            formula, found = formulas[below], numbers[below]
            if formula or found:
                holds = _close(evaluated(formula, self.value), found)
                yield Link(top, below, formula, found, holds)

    def _local_gradients(self, node: Value) -> Iterator[tuple[Value, Polynomial, float]]:
        """Each parent with the local gradient, as the textbook has it and as a number; a rule may have no formula."""
        assert node.op is not None
        numbers = [float(x) for x in node.op.local_gradients(*inputs_of(node), number_of(node))]
        try:
            operands = [Formal(self._formulas[parent]) for parent in node.parents]
            formulas = [formula_of(x) for x in node.op.textbook(*operands, Formal(self._formulas[node]))]
        except (TypeError, ValueError, AttributeError):
            formulas = [literal(x) for x in numbers]
        return zip(node.parents, formulas, numbers, strict=True)


def _values_then(order: Sequence[Value]) -> dict[Value, float]:
    """The numbers at which the graph is differentiated: those that the nodes saw when they were made."""
    values = {}
    for node in order:
        if node.op is not None:
            values[node] = number_of(node)
            for parent, x in zip(node.parents, inputs_of(node), strict=True):
                if values.setdefault(parent, x) != x and x == x:
                    raise GradientError(
                        f"{parent!r} was {values[parent]!r} for one node and {x!r} for another: compute y again first."
                    )
    for node in order:
        values.setdefault(node, number_of(node))
    return values


def _close(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-12) or (x != x and y != y)
