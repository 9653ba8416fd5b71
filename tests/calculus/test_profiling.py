"""`profile`: what it counts is exact, what it times is there; no figure is asserted."""

from __future__ import annotations

import math

import pytest

from microgrannd import Operation, Value, scope
from microgrannd.calculus.profiling import profile
from microgrannd.nn import MLP


def test_the_nodes_of_each_operation_are_counted_and_leaves_are_not():
    x, y = Value(2.0), Value(3.0)
    found = profile((x * y + x * 4.0).exp() * y)
    assert {share.operation: share.nodes for share in found.by_operation()} == {"mul": 3, "add": 1, "exp": 1}
    assert found.nodes == 5


def test_a_node_that_is_used_twice_counts_once_and_several_outputs_count_together():
    x = Value(2.0)
    shared = x.sin()
    assert profile(shared * shared, shared + x).nodes == 3


def test_a_network_is_counted_by_layer_and_deeper():
    model = MLP(2, [3, 1], activation="tanh", seed=0)
    found = profile(model([0.5, -1.0]))
    assert {share.scope: share.nodes for share in found.by_scope()} == {"layer0": 6, "layer1": 1}
    deep = {share.scope: share.nodes for share in found.by_scope(depth=None)}
    assert deep == {"layer0.neuron0": 2, "layer0.neuron1": 2, "layer0.neuron2": 2, "layer1.neuron0": 1}


def test_both_functions_of_an_operation_are_called_on_the_numbers_of_the_node():
    seen = []
    probe = Operation(
        "probe", lambda x: seen.append(("forward", x)) or x, lambda x, out: (seen.append(("local", x, out)) or 1.0,)
    )
    y = probe(Value(3.0))
    seen.clear()
    profile(y, repeats=2)
    assert seen == [("forward", 3.0)] * 2 + [("local", 3.0, 3.0)] * 2


def test_the_slow_operation_stands_first():
    def slow(x):
        for _ in range(2000):
            x = math.sin(x)
        return x

    crawl = Operation("crawl", slow, lambda x, out: (1.0,))
    x = Value(1.0)
    assert profile(crawl(x + x)).by_operation()[0].operation == "crawl"


def test_the_graph_stays_as_it_is():
    x = Value(2.0)
    y = x * x
    y.backward()
    profile(y)
    assert (y.data, y.grad, x.grad) == (4.0, 1.0, 4.0)


def test_it_prints_as_tables_with_a_total():
    x = Value(2.0)
    with scope("part"):
        y = x * x
    lines = str(profile(y + 1.0)).splitlines()
    assert lines[0].split() == ["operation", "nodes", "forward", "µs", "local", "gradients", "µs", "share"]
    assert {line.split()[0] for line in lines if line} == {"operation", "mul", "add", "all", "scope", "part", "(none)"}
    assert [line.split()[1] for line in lines if line.startswith("all")] == ["2", "2"]


@pytest.mark.parametrize("y", [Value(1.0)])
def test_a_leaf_has_nothing_to_time(y):
    assert profile(y).nodes == 0
    assert str(profile(y)).splitlines()[-1].split() == ["all", "0", "0.0", "0.0"]
