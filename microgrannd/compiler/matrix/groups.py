"""Groups: nodes of one level that compute the same way on the same arrays become one array.

For sums of products the products' groups count, not how many there are of each. A group is ordered by where its
operands stand, so that regular structure shows in their positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from microgrannd.compiler.matrix.terms import Apply, MatrixNode, Sum, Term, Terms
from microgrannd.operations import Operation

Positions: TypeAlias = Any  # an array of ints: a row for each node, a column for each term


class LeafBlock(NamedTuple):
    """Leaves that come as one array: their name, the first and how many; `per_sample` has a batch axis."""

    name: str
    start: int
    size: int
    per_sample: bool


class Family(NamedTuple):
    """Σ over the columns of coefficient · factor · factor ... The factors are in the groups `of`."""

    of: tuple[int, ...]
    positions: tuple[Positions, ...]
    coefficients: Any


class SumPart(NamedTuple):
    """Sums of as many products of each kind; `constants` has a number for each, or is None for zeros."""

    families: tuple[Family, ...]
    constants: Any


class ApplyPart(NamedTuple):
    operation: Operation
    operands: tuple[tuple[int | None, Any], ...]


@dataclass
class Group:
    """One array: its variables in order, and its parts; `final` ones are outputs that nothing else reads."""

    members: list[int]
    per_sample: bool
    final: bool = False
    name: str = ""
    parts: list[tuple[int, SumPart | ApplyPart]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.members)


class Grouping(NamedTuple):
    groups: list[Group]
    places: dict[int, tuple[int, int]]


def grouped(terms: Terms, blocks: Sequence[LeafBlock], *, final: bool = False) -> Grouping:
    """The groups of the nodes above these leaves; with `final`, outputs that nothing reads are in their own."""
    return _Grouper(terms, blocks, final).grouping()


class _Grouper:
    def __init__(self, terms: Terms, blocks: Sequence[LeafBlock], final: bool) -> None:
        self.terms = terms
        self.groups: list[Group] = []
        self.places: dict[int, tuple[int, int]] = {}
        # By variable: group and place as one number, in which groups that vary from sample to sample go first.
        self.codes = np.zeros(max(terms.nodes, default=0) + terms.leaves + 1, dtype=np.int64)
        self.order = {v: i for i, v in enumerate(terms.outputs) if isinstance(v, int)}
        self.derivatives: dict[str, list[int]] = {}
        for v, labels in terms.labels.items():
            for label in labels:
                if label.startswith("d_"):
                    self.derivatives.setdefault(label, []).append(v)
        self.derivative_by: dict[int, tuple[int, int]] = {}  # the place of what a derivative is by
        used = set(chain.from_iterable(map(variables_of, terms.nodes.values())))
        once = Counter(terms.outputs)
        ends = [v for v in terms.outputs[1:] if isinstance(v, int) and once[v] == 1] if final else []
        self.final = {v for v in ends if v >= terms.leaves and v not in used}
        for block in blocks:
            members = list(range(block.start, block.start + block.size))
            self._place(Group(members, block.per_sample, name=block.name))

    def grouping(self) -> Grouping:
        for level in _levels(self.terms):
            self._add_applications([v for v in level if isinstance(self.terms.nodes[v], Apply)])
            self._add_sums([v for v in level if isinstance(self.terms.nodes[v], Sum)])
        return Grouping(self.groups, self.places)

    def _place(self, group: Group) -> None:
        g = len(self.groups)
        rank = g if group.per_sample else g + _INVARIANT
        self.groups.append(group)
        self.codes[group.members] = (rank << _BITS) + np.arange(group.size)
        for i, v in enumerate(group.members):
            self.places[v] = (g, i)
        if group.final:
            return
        for i, v in enumerate(group.members):
            for label in self.terms.labels.get(v, ()):
                for derivative in self.derivatives.get(f"d_{label}", ()):
                    self.derivative_by.setdefault(derivative, (g, i))

    def _sorted(self, members: list[int], columns: list[Any], final: bool) -> Any:
        """The outputs' order for what nothing reads; what derivatives are by gives theirs, else the operands do."""
        if final:
            return np.argsort([self.order[v] for v in members], kind="stable")
        by = [self.derivative_by.get(v, (-1, 0)) for v in members]
        if len(set(by)) == len(by) and len({g for g, _ in by}) == 1:
            return np.argsort([i for _, i in by])
        return np.lexsort(columns[::-1]) if columns else np.arange(len(members))

    def _add_applications(self, level: list[int]) -> None:
        alike: dict[Any, list[int]] = {}
        for v in level:
            node: Apply = self.terms.nodes[v]  # type: ignore[assignment]
            of = tuple([self.places[x][0] if isinstance(x, int) else -1 for x in node.operands])
            alike.setdefault((node.operation, of, v in self.final), []).append(v)
        for (operation, of, final), members in alike.items():
            nodes = [self.terms.nodes[v] for v in members]
            columns = []
            for i, g in enumerate(of):
                column = [node.operands[i] for node in nodes]  # type: ignore[union-attr]
                columns.append(np.array(column if g < 0 else [self.places[x][1] for x in column]))  # type: ignore[index]
            order = self._sorted(members, [column for g, column in zip(of, columns, strict=True) if g >= 0], final)
            read = tuple((None if g < 0 else g, column[order]) for g, column in zip(of, columns, strict=True))
            varies = any(g >= 0 and self.groups[g].per_sample for g in of)
            part = ApplyPart(operation, read)
            self._place(Group([members[i] for i in order], varies, final, parts=[(len(members), part)]))

    def _add_sums(self, level: list[int]) -> None:
        tables = self._tables(level)
        kinds: list[list[tuple[int, int]]] = [[] for _ in level]  # of each sum: the families and how many of each
        for k, table in enumerate(tables):
            for i in np.flatnonzero(table.counts).tolist():
                kinds[i].append((k, int(table.counts[i])))
        alike: dict[Any, dict[Any, list[int]]] = {}
        for i, v in enumerate(level):
            constant = bool(self.terms.nodes[v][0])
            key = (constant, tuple([k for k, _ in kinds[i]]), v in self.final)
            alike.setdefault(key, {}).setdefault(tuple(kinds[i]), []).append(i)
        for (_, families, final), parts in alike.items():
            chosen = [tables[k] for k in families]
            group = Group([], any(self.groups[g].per_sample for table in chosen for g in table.of), final)
            for rows in parts.values():
                members, part = self._part(level, np.array(rows), chosen, final)
                group.members += members
                group.parts.append((len(members), part))
            self._place(group)

    def _part(self, level: list[int], rows: Any, tables: list[_Table], final: bool) -> tuple[list[int], SumPart]:
        places = [table.starts[rows][:, None] + np.arange(table.counts[rows[0]]) for table in tables]
        firsts = [table.positions[place[:, 0], f] for table, place in zip(tables, places, strict=True)
                  for f in range(len(table.of))]  # fmt: skip
        order = self._sorted([level[i] for i in rows], firsts, final)
        families = [
            Family(table.of, tuple(table.positions[place[order], f] for f in range(len(table.of))),
                   table.coefficients[place[order]])
            for table, place in zip(tables, places, strict=True)
        ]  # fmt: skip
        members = [level[i] for i in rows[order]]
        constants = np.array([self.terms.nodes[v][0] for v in members])
        return members, SumPart(tuple(families), constants if constants.any() else None)

    def _tables(self, level: list[int]) -> list[_Table]:
        owners: dict[int, list[int]] = {}
        products: dict[int, list[Term]] = {}
        for i, v in enumerate(level):
            for term in self.terms.nodes[v][1]:
                size = len(term[1])  # type: ignore[index]
                owners.setdefault(size, []).append(i)
                products.setdefault(size, []).append(term)  # type: ignore[arg-type]
        tables = []
        for size in sorted(products, reverse=True):
            factors = np.fromiter(chain.from_iterable([term[1] for term in products[size]]), dtype=np.int64)
            codes = np.sort(self.codes[factors].reshape(-1, size), axis=1)
            if size == 2:
                codes = _sided(codes)
            kinds, kind = np.unique(codes >> _BITS, axis=0, return_inverse=True)
            owner, coefficients = np.array(owners[size]), np.array([term[0] for term in products[size]])
            order = np.lexsort((*codes.T[::-1], owner, kind.ravel()))
            codes, owner, kind, coefficients = codes[order], owner[order], kind.ravel()[order], coefficients[order]
            ends = np.searchsorted(kind, np.arange(len(kinds) + 1))
            for k, ranks in enumerate(kinds):
                here = slice(ends[k], ends[k + 1])
                counts = np.bincount(owner[here], minlength=len(level))
                starts = np.searchsorted(owner[here], np.arange(len(level)))
                of = tuple([int(rank % _INVARIANT) for rank in ranks])
                tables.append(_Table(of, codes[here] & _PLACE, coefficients[here], starts, counts))
        return tables


def _sided(codes: Any) -> Any:
    """Pairs from one group, each scalar always on one side where possible: a product of two parts shows then."""
    alike = np.flatnonzero(codes[:, 0] >> _BITS == codes[:, 1] >> _BITS)
    pairs = codes[alike].tolist()
    if not pairs or any(x == y for x, y in pairs):
        return codes
    partners: dict[int, list[int]] = {}
    for x, y in pairs:
        partners.setdefault(x, []).append(y)
        partners.setdefault(y, []).append(x)
    side: dict[int, int] = {}
    for first in sorted(partners):  # the first of each connected component is on the left
        waiting = [] if first in side else [first]
        side.setdefault(first, 0)
        while waiting:
            x = waiting.pop()
            for y in partners[x]:
                if y not in side:
                    side[y] = 1 - side[x]
                    waiting.append(y)
                elif side[y] == side[x]:
                    return codes
    ordered = codes.copy()
    ordered[alike] = [(x, y) if side[x] == 0 else (y, x) for x, y in pairs]
    return ordered


class _Table(NamedTuple):
    """Products of one kind, sorted by whose they are and where their factors stand."""

    of: tuple[int, ...]
    positions: Any
    coefficients: Any
    starts: Any  # by sum: its first product
    counts: Any  # by sum: how many it has


_BITS: Final = 32
_PLACE: Final = (1 << _BITS) - 1
_INVARIANT: Final = 1 << 24


def variables_of(node: MatrixNode) -> Iterable[int]:
    if isinstance(node, Apply):
        return [x for x in node.operands if isinstance(x, int)]
    return chain.from_iterable([factors for _, factors in node.terms])


def _levels(terms: Terms) -> list[list[int]]:
    """The nodes by the length of the longest way to a leaf."""
    level = [0] * (max(terms.nodes, default=0) + terms.leaves + 1)
    levels: list[list[int]] = []
    for v, node in terms.nodes.items():
        height = level[v] = 1 + max(map(level.__getitem__, variables_of(node)), default=0)
        if height > len(levels):
            levels.append([])
        levels[height - 1].append(v)
    return levels
