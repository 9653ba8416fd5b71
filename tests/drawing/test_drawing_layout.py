"""The layout, from ranks to coordinates: what must hold for every graph, and how good it is on known ones."""

import shutil
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.workloads.draw import crossings, dot_edges, mlp_loss, our_edges
from microgrannd.drawing import draw
from microgrannd.drawing.layout.layout import layered
from microgrannd.drawing.layout.ordering import Layers
from microgrannd.drawing.layout.ranks import longest_paths, tight_ranks

ROUNDED = 0.1 + 1e-9  # the place of a box and the size of the picture, each to a tenth


@st.composite
def graphs(draw, largest=24):
    """Nodes numbered with parents first; edges may come twice, nodes may be alone."""
    count = draw(st.integers(1, largest))
    edges = []
    for target in range(1, count):
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3)):
            edges.append((source, target))
    return count, edges


@st.composite
def pictures(draw):
    count, edges = draw(graphs())
    size = st.tuples(st.sampled_from([28.0, 60.5, 140.0]), st.sampled_from([24.0, 43.0, 88.0]))
    return [draw(size) for _ in range(count)], edges


@given(graphs())
def test_every_edge_leads_to_a_higher_rank(graph):
    count, edges = graph
    for ranks in (longest_paths(count, edges), tight_ranks(count, edges)):
        assert all(ranks[source] < ranks[target] for source, target in edges)
        assert min(ranks) == 0


@given(graphs(12))
@settings(max_examples=60, deadline=None)
def test_the_edges_together_are_as_short_as_linear_programming_makes_them(graph):
    optimize = pytest.importorskip("scipy.optimize")
    count, edges = graph
    distinct = sorted(set(edges))
    if not distinct:
        return
    cost = [0.0] * count
    for source, target in distinct:
        cost[source] -= 1
        cost[target] += 1
    rows = [[(v == source) - (v == target) for v in range(count)] for source, target in distinct]
    best = optimize.linprog(cost, A_ub=rows, b_ub=[-1] * len(rows), bounds=[(0, count)] * count).fun
    ranks = tight_ranks(count, edges)
    assert sum(ranks[target] - ranks[source] for source, target in distinct) == pytest.approx(best)


def test_a_leaf_stands_beside_its_first_consumer():
    chain = [(0, 1), (1, 2), (2, 3), (4, 3)]
    assert tight_ranks(5, chain)[4] == 2


@given(pictures(), st.sampled_from(["LR", "RL", "TB", "BT"]))
@settings(max_examples=60, deadline=None)
def test_nodes_do_not_overlap_and_lie_within_the_picture(picture, rankdir):
    sizes, edges = picture
    layout = layered(sizes, edges, rankdir=rankdir)
    boxes = [_box(centre, size) for centre, size in zip(layout.centres, sizes, strict=True)]
    for (left, top, right, bottom), other in combinations(boxes, 2):
        assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    for left, top, right, bottom in boxes:
        assert left >= -ROUNDED
        assert top >= -ROUNDED
        assert right <= layout.width + ROUNDED
        assert bottom <= layout.height + ROUNDED


@given(pictures(), st.sampled_from(["LR", "RL", "TB", "BT"]))
@settings(max_examples=60, deadline=None)
def test_an_edge_begins_and_ends_on_the_border_of_its_nodes(picture, rankdir):
    sizes, edges = picture
    layout = layered(sizes, edges, rankdir=rankdir)
    for (source, target), path in zip(edges, layout.paths, strict=True):
        for node, point in ((source, path[0]), (target, path[-1])):
            left, top, right, bottom = _box(layout.centres[node], sizes[node])
            along, low, high = (point[0], left, right) if layout.horizontal else (point[1], top, bottom)
            beside, first, last = (point[1], top, bottom) if layout.horizontal else (point[0], left, right)
            assert min(abs(along - low), abs(along - high)) <= 0.11
            assert first <= beside <= last


@given(pictures())
@settings(max_examples=60, deadline=None)
def test_no_edge_runs_through_another_node(picture):
    sizes, edges = picture
    layout = layered(sizes, edges)
    boxes = [_box(centre, size) for centre, size in zip(layout.centres, sizes, strict=True)]
    for (source, target), path in zip(edges, layout.paths, strict=True):
        for x, y in _sampled(path):
            for node, (left, top, right, bottom) in enumerate(boxes):
                if node not in (source, target):
                    assert not (left + 0.2 < x < right - 0.2 and top + 0.2 < y < bottom - 0.2)


@given(graphs())
@settings(deadline=None)
def test_crossings_are_counted_as_by_comparing_every_pair(graph):
    count, edges = graph
    layers = Layers(tight_ranks(count, edges), edges)
    layers.arrange()
    expected = 0
    for layer in layers.layers:
        steps = [(layers.position[v], layers.position[w]) for v in layer for w in layers.down[v]]
        expected += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(steps, 2))
    assert layers.crossings() == expected


def test_a_tree_is_drawn_without_crossings():
    edges = [(0, 2), (1, 2), (3, 5), (4, 5), (2, 6), (5, 6), (7, 8), (6, 8)]
    layers = Layers(tight_ranks(9, edges), edges)
    layers.arrange()
    assert layers.crossings() == 0


def test_the_same_node_twice_in_one_gate_has_two_edges_apart():
    layout = layered([(60.0, 43.0), (60.0, 43.0)], [(0, 1), (0, 1)])
    first, second = layout.paths
    assert all(abs(a[1] - b[1]) >= 5 for a, b in zip(first, second, strict=True))


def test_tags_cover_neither_nodes_nor_each_other():
    sizes, edges = [(60.0, 43.0)] * 4, [(0, 2), (1, 2), (2, 3), (0, 3)]
    tags = [(90.0, 18.0), (50.0, 18.0), None, (120.0, 18.0)]
    layout = layered(sizes, edges, tags=tags)
    boxes = [_box(centre, size) for centre, size in zip(layout.centres, sizes, strict=True)]
    boxes += [_box(at, size) for at, size in zip(layout.tags, tags, strict=True) if size]
    assert layout.tags[2] is None
    for (left, top, right, bottom), other in combinations(boxes, 2):
        assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_lanes_keep_to_their_own_side():
    sizes, edges = [(60.0, 43.0)] * 6, [(0, 2), (1, 2), (3, 5), (4, 5), (0, 5)]
    lanes = [0, 0, 0, 1, 1, 1]
    layout = layered(sizes, edges, ranks=[0, 0, 2, 0, 0, 2], lanes=lanes)
    for rank in ((0, 1, 3, 4), (2, 5)):
        upper = max(layout.centres[v][1] for v in rank if lanes[v] == 0)
        assert upper < min(layout.centres[v][1] for v in rank if lanes[v] == 1)


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz's dot is not installed")
@pytest.mark.parametrize(("sizes", "samples"), [((2, 4, 4, 1), 2), ((3, 4, 1), 4)])
def test_few_more_edges_cross_than_in_graphviz(sizes, samples):
    drawing = draw(mlp_loss(sizes, samples), fold="none")
    assert crossings(*our_edges(drawing)) <= 1.15 * crossings(*dot_edges(drawing))


def _box(centre, size):
    (x, y), (width, height) = centre, size
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _sampled(path):
    """Points on the drawn curve: every other piece is straight."""
    for i, ((ax, ay), (bx, by)) in enumerate(pairwise(path)):
        for k in range(9):
            t = k / 8
            bend = t if i % 2 else t * t * (3 - 2 * t)
            middle = (ax + bx) / 2
            x = ax + t * (bx - ax) if i % 2 else _cubic(t, ax, middle, middle, bx)
            yield x, ay + bend * (by - ay)


def _cubic(t, a, b, c, d):
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t**3 * d
