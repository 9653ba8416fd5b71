"""`derive`: the chain rule written out as a person would, along every path, with names and then with numbers.

Where a derivative is a factor of several, or a sum itself, it is worked out once and called δ₁.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from microgrannd.calculus.algebra import Polynomial, abridged, is_negative, opposite, symbol, times, written
from microgrannd.calculus.book_names import BookName
from microgrannd.calculus.named_graph import LARGEST, Link, NamedGraph
from microgrannd.engine import Value
from microgrannd.ground.arguments import list_of, must_be, whole_number
from microgrannd.nodes.refusing import refuse_unrecorded
from microgrannd.printing.labels import in_markup
from microgrannd.printing.mathematics import LATEX, MATHML, TEXT, Notation, number_in_text
from microgrannd.printing.printer import Expression

_WHICH: Final = re.compile(r' data-\w+="-?\d+"')  # what is not seen of a number: which one it is
TERMS: Final = 8  # of a long sum that a definition shows

Lines: TypeAlias = Iterator[tuple[str, str]]  # what is on the left, where it is new, and the rest with its sign


def derive(y: Value, x: Value | Sequence[Value], *, precision: int = 4) -> Derivation:
    """The derivative of y by a Value, or by each of several, derived on paper: `print` it, or see it in a notebook.

    First the chain rule, along every path; then its factors, by the rules of the table, in the labels of the
    Values and in the books' names for what is in networks; then their numbers, in `precision` digits. What several
    derivatives share is worked out once, as δ₁. `.latex` and `.html` (MathML, which needs nothing else) say the same.

    >>> w, x, y = Value(2.0, label="w"), Value(3.0, label="x"), Value(5.0, label="y")
    >>> a = w * x
    >>> loss = 0.5 * (a - y) ** 2
    >>> a.label, loss.label = "a", "L"
    >>> print(derive(loss, w))
    ∂L/∂w = ∂L/∂a · ∂a/∂w
          = (a − y) · x
          = (6 − 5) · 3
          = 3

    Raises ValueError where more than 1,500 named nodes are between y and x, GradientError where a leaf was set
    between two nodes that were computed from it.
    """
    must_be("y", y, Value)
    xs = [x] if isinstance(x, Value) else list_of("x", x, "a Value or a list of Values", Value)
    if not xs:
        raise ValueError("x is a Value or a list of Values, got an empty list.")
    precision = min(whole_number("precision", precision, 1), 17)
    refuse_unrecorded(y)
    _ = y.data  # which refuses while a function is traced
    return Derivation(NamedGraph(y, xs), xs, precision)


def leaf_derivations(order: Sequence[Value], most: int = 200_000) -> dict[int, str]:
    """The derivative of the last node by each leaf, as `.html`, by the leaf's position: what a page shows beside it.

    `order` is a topological order. When they come to more than `most` characters together, the others are left out; of
    a graph of more than 1,500 nodes all are.
    """
    leaves = [node for node in order if node.op is None and not node.is_constant]
    if len(order) > LARGEST:
        return {}
    graph, found = NamedGraph(order[-1], leaves), dict[int, str]()
    for i, node in enumerate(order):
        if node.op is None and not node.is_constant:
            found[i] = Derivation(graph, [node]).html
            most -= len(found[i])
            if most < 0:
                del found[i]
                break
    return found


class Equation(NamedTuple):
    """The derivative by a node: the paths to it from y, or from a node by which it is known."""

    node: Value
    paths: list[list[Link]]


class Derivation:
    """A derivative, derived: `str(derivation)`, `.latex` and `.html`; a notebook shows it as mathematics."""

    def __init__(self, graph: NamedGraph, xs: Sequence[Value], precision: int = 4) -> None:
        must_be("graph", graph, NamedGraph)
        self.graph, self.precision = graph, precision
        self.xs = list(dict.fromkeys(list_of("xs", xs, "a list of Values", Value)))
        above = _above(graph, self.xs)
        uses = Counter([edge.above for edges in above.values() for edge in edges])
        asked_for = {graph.y, *self.xs}
        shared = [n for n, edges in above.items() if n not in asked_for and (uses[n] > 1 or len(edges) > 1)]
        self.deltas = {node: i for i, node in enumerate(shared, 1)}
        known = {*shared, *self.xs}
        self.equations = [
            Equation(node, [_path(edge, above, known) for edge in above.get(node, [])]) for node in [*shared, *self.xs]
        ]
        several = [path for equation in self.equations if len(equation.paths) > 1 for path in equation.paths]
        self.has_direct_path = any(len(path) == 1 and path[0].above is graph.y for path in several)

    @property
    def latex(self) -> str:
        """The derivation in LaTeX, an `aligned` environment for mathematics."""
        lines = [rf"{left} &{signed}" for left, signed in self._lines(LATEX)]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    @property
    def html(self) -> str:
        """The derivation as a table of MathML, which browsers show without a library or a network.

        Numbers that depend on the leaves are `<mn data-value="3">` for the value of node 3 and `<mn data-slope="3">`
        for the derivative by it, so that a page can keep them up to date; nodes are counted as in
        `topological_order(y)`.
        """
        rows = []
        for left, signed in self._lines(MATHML):
            cells = [f'<math displaystyle="true"><mrow>{part}</mrow></math>' if part else "" for part in (left, signed)]
            rows.append(f'<tr><td align="right">{cells[0]}</td><td align="left">{cells[1]}</td></tr>')
        remarks = "".join([f"<p>{in_markup(remark)}</p>" for remark in self._remarks()])
        return f'<div class="derivation"><table>{"".join(rows)}</table>{remarks}</div>'

    def __str__(self) -> str:
        texts: list[str] = []
        margin = ""
        for left, signed in self._lines(TEXT):
            if left and texts:
                texts.append("")
            margin = " " * len(left) if left else margin
            texts.append(f"{left or margin} {signed}")
        return "\n".join([*texts, *self._remarks()])

    def __repr__(self) -> str:
        names = ", ".join([str(self.graph.names[x]) if x in self.graph.names else "x" for x in self.xs])
        return f"<Derivation of {self.graph.names[self.graph.y]} by {names}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = f'<div style="overflow-x: auto">{self.html}</div>'
        return {"text/html": html, "text/latex": f"$${self.latex}$$", "text/plain": str(self)}

    def _lines(self, notation: Notation) -> Lines:
        writer = _Writer(self, notation)
        paths = [path for equation in self.equations for path in equation.paths]
        steps = {node for path in paths for edge in path for node in edge[:2]}
        for node in self.graph.needed(steps, [self._formula(path) for path in paths]):
            yield from writer.definition(node)
        for equation in self.equations:
            yield from writer.equation(equation)

    def _formula(self, path: Sequence[Link], *, as_computed: bool = False) -> Polynomial:
        """The product along a path; as computed, with the engine's number where a formula does not give it."""
        start = path[0].above
        known = [] if start is self.graph.y else [symbol(("slope", self.graph.position[start]))]
        return times(*known, *[symbol(("found", e.number)) if as_computed and not e.holds else e.formula for e in path])

    def _remarks(self) -> Iterator[str]:
        """What the formulas do not say: at a kink the engine has a rule of its own."""
        names, paths = self.graph.names, [path for equation in self.equations for path in equation.paths]
        strange = {(e.above, e.below): e for path in paths for e in path if not e.holds}
        for equation in self.equations:
            if not equation.paths and equation.node is not self.graph.y:
                y, x = names[self.graph.y], names.get(equation.node, "x")
                connected = self.graph.y in self.graph.on_path and equation.node in self.graph.position
                yield f"Each path from {y} to {x} has a factor 0." if connected else f"{y} does not depend on {x}."
        for edge in strange.values():
            digits = number_in_text(edge.number, self.precision).text()
            factor = f"∂{names[edge.above]}/∂{names[edge.below]}"
            yield f"At this point {factor} is {digits}, by the rule for awkward points, not by its formula."


def _above(graph: NamedGraph, xs: Sequence[Value]) -> dict[Value, list[Link]]:
    """The factors above each node that is between y and the xs, level by level from y downwards."""
    by_node: dict[Value, list[Link]] = {}
    levels = {graph.y: 0}
    for edge in graph.edges:
        if edge.above in levels:  # else nothing flows from y to there: a step is in between
            by_node.setdefault(edge.below, []).insert(0, edge)
            levels[edge.below] = max(levels.get(edge.below, 0), levels[edge.above] + 1)
    inside, waiting = set(xs), list(xs)
    while waiting:
        for edge in by_node.get(waiting.pop(), []):
            if edge.above not in inside:
                inside.add(edge.above)
                waiting.append(edge.above)
    ordered = sorted(inside & levels.keys(), key=lambda node: (levels[node], graph.position[node]))
    return {node: by_node.get(node, []) for node in ordered}


def _path(last: Link, above: Mapping[Value, list[Link]], known: set[Value]) -> list[Link]:
    """From y, or from a node by which the derivative is known, to a last factor."""
    path = [last]
    while above[path[-1].above] and path[-1].above not in known:
        path.append(above[path[-1].above][0])
    return path[::-1]


class _Writer:
    """The parts of a derivation in one notation."""

    def __init__(self, derivation: Derivation, notation: Notation) -> None:
        self.derivation, self.graph, self.notation = derivation, derivation.graph, notation

    def definition(self, node: Value) -> Lines:
        known = self.graph.written.setdefault((id(self.notation), self.derivation.precision), {})
        if node not in known:  # the derivations by the leaves of a network have most of their definitions in common
            formula = abridged(self.graph.definitions[node], TERMS)
            known[node] = [
                (self._name(node).text(), self._signed(written(formula, self.notation, self._letter))),
                ("", self._signed(self._number(("value", self.graph.position[node])))),
            ]
        yield from known[node]

    def equation(self, equation: Equation) -> Lines:
        """The derivative, the chain rule, its factors as letters and as numbers, and the result."""
        known, left = self._total(equation.node), self._slope(equation.node)
        paths = equation.paths
        letters = [self.derivation._formula(path) for path in paths]
        computed = [self.derivation._formula(path, as_computed=True) for path in paths]
        rows = [
            [self._signed(known)],
            [self._signed(self._chain(path), first=not i) for i, path in enumerate(paths)],
            self._sum(letters, self._letter),
            self._sum(computed, self._number),
            [self._signed(self._number(("slope", self.graph.position.get(equation.node, -1))))],
        ]
        name, before = left.text(), [self._signed(left)]
        for row in rows:
            seen = [_WHICH.sub("", line) for line in row]
            if row and seen != before:
                yield from zip([name, *[""] * len(row)], row, strict=False)
                name, before = "", seen

    def _sum(self, terms: Sequence[Polynomial], write: Any) -> list[str]:
        """A term for each path through which anything flows."""
        rows: list[str] = []
        for term in filter(None, terms):
            negative = bool(rows) and is_negative(term)
            expression = written(opposite(term) if negative else term, self.notation, write)
            expression = self.notation.term(expression, first=not rows) if len(terms) > 1 else expression
            rows.append(self._signed(expression, first=not rows, negative=negative))
        return rows

    def _signed(self, x: Expression, *, first: bool = True, negative: bool = False) -> str:
        signs = self.notation.signs
        return (signs[0] if first else signs[2] if negative else signs[1]) + x.text()

    def _chain(self, path: Sequence[Link]) -> Expression:
        start = [] if path[0].above is self.graph.y else [self._total(path[0].above)]
        return self.notation.product([*start, *[self._derivative(edge.above, edge.below) for edge in path]])

    def _total(self, node: Value) -> Expression:
        """The derivative of y by all paths: dL/dx where ∂L/∂x is but that by one of them, the direct one."""
        return self._derivative(self.graph.y, node, total=self.derivation.has_direct_path)

    def _derivative(self, y: Value, x: Value, *, total: bool = False) -> Expression:
        return self.notation.derivative(self._name(y), self._name(x), total)

    def _name(self, node: Value) -> Expression:
        name = self.graph.names.get(node) or BookName("x")
        return self.notation.name(name.letter, name.layer, name.below)

    def _slope(self, node: Value) -> Expression:
        if delta := self.derivation.deltas.get(node):
            return self.notation.name("δ", "", str(delta))
        return self._total(node)

    def _letter(self, of: Any) -> Expression:
        kind, i = of
        if kind == "more":
            return self.notation.more(i)
        return self._name(self.graph.order[i]) if kind == "value" else self._slope(self.graph.order[i])

    def _number(self, of: Any) -> Expression:
        kind, i = of
        if kind == "found":
            return self.notation.number(i, self.derivation.precision)
        table = self.graph.values if kind == "value" else self.graph.slopes
        number = table.get(self.graph.order[i], 0.0) if i >= 0 else 0.0
        found = self.notation.number(number, self.derivation.precision)
        return found._replace(template=found.template.replace("<mn>", f'<mn data-{kind}="{i}">'))
