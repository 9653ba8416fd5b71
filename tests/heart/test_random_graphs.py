"""Random expression graphs against mpmath, PyTorch, JAX and autograd: value, gradient, Hessian × vector.

MICROGRANND_RANDOM_GRAPHS sets how many; `--long` runs a million.
"""

import math
import operator
import os
from random import Random

import mpmath as mp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrannd import Value
from microgrannd.calculus import hvp, value_and_grad
from microgrannd.calculus.passes import gradients, slopes
from microgrannd.operations import TABLE
from tests.libraries import in_autograd, in_jax, in_torch, torch_functions
from tests.oracles import CLOSED_FORMS, closed_form
from tests.random_graphs import AWKWARD_NUMBERS, awkward_graph, smooth_graph

COUNT = int(os.environ.get("MICROGRANND_RANDOM_GRAPHS", "300"))
ORACLES = {name: form for name in [*CLOSED_FORMS, *TABLE] if (form := closed_form(name))}
NOT_SUBNORMAL = tuple(x for x in AWKWARD_NUMBERS if not 0 < abs(x) < 1e-300)  # PyTorch's hypot has slope 0 there
SMOOTH = tuple(name for name in ORACLES if name != "stop_gradient")


def same(a, b):
    return a == b or (a != a and b != b)


@settings(max_examples=min(COUNT, 1000), deadline=None)  # it shrinks what it finds, and takes its time
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_a_gradient_as_a_graph_has_the_numbers_of_backward_bit_for_bit(random, size):
    compare_with_backward(awkward_graph(random, size))


def test_the_same_for_many_graphs_small_and_large():
    for seed in range(max(3000, COUNT)):
        random = Random(seed)
        compare_with_backward(awkward_graph(random, random.randint(1, random.choice((12, 60)))))


def compare_with_backward(graph):
    xs = [Value(x) for x in graph.inputs]
    y = graph.run(xs)
    if not isinstance(y, Value):
        return
    as_graph = [x.data for x in gradients(y, xs)]
    in_numbers = slopes(y, xs)
    assert [x.grad for x in xs] == [0.0] * 3
    y.backward()
    for x, one, other in zip(xs, as_graph, in_numbers, strict=True):
        assert same(x.grad, one), graph
        assert same(x.grad, other), graph


def ours(graph, vector):
    """The value, the gradient, and the Hessian times a vector."""
    inputs = list(graph.inputs)
    value, gradient = value_and_grad(graph.run)(inputs)
    return [value, *gradient, *hvp(graph.run)(inputs, vector)]


def in_mpmath(graph, vector):
    """The value, the gradient, and vᵀHv by central differences at 50 digits, which know no rule at all."""
    with mp.workdps(50):
        h = mp.mpf(10) ** -16

        def at(shift):
            return graph.run([mp.mpf(x) + h * s for x, s in zip(graph.inputs, shift, strict=True)], ORACLES)

        def sides(direction):
            return at(direction), at([-s for s in direction])

        value, units = at([0] * len(vector)), [[int(i == k) for k in range(len(vector))] for i in range(len(vector))]
        gradient = [(right - left) / (2 * h) for right, left in map(sides, units)]
        right, left = sides(vector)
        return [float(x) for x in (value, *gradient, (right - 2 * value + left) / h**2)]


def smooth_graphs(seeds, names=SMOOTH, largest=60):
    """Graphs to compare, each with a vector to multiply the Hessian by."""
    for seed in seeds:
        random = Random(seed)
        yield smooth_graph(random, random.randint(1, largest), names), [random.gauss(0, 1) for _ in range(3)]


def agree(found, expected):
    """Whether they agree to eleven digits of the largest: a graph of 60 nodes may well lose five."""
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 1e-11 * max(1, *map(abs, expected))


def check_against_mpmath(seeds, largest=60):
    for graph, vector in smooth_graphs(seeds, largest=largest):
        value, *found = ours(graph, vector)
        gradient, product = found[:3], found[3:]
        assert agree([value, *gradient, sum(map(operator.mul, vector, product))], in_mpmath(graph, vector)), graph


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_value_gradient_and_hessian_against_mpmath(part):
    check_against_mpmath(range(part, COUNT, 4))


@pytest.mark.long
def test_a_million_graphs_against_mpmath():
    check_against_mpmath(range(1_000_000), largest=12)


# The other libraries take longer for a graph, JAX a second: one graph in so many is theirs.
@pytest.mark.filterwarnings("ignore:Output seems independent of input")
@pytest.mark.parametrize(("library", "one_in"), [(in_torch, 8), (in_autograd, 16), (in_jax, 1000)])
def test_value_gradient_and_hessian_times_vector_against(library, one_in):
    functions, derivatives = library()
    names = tuple(name for name in SMOOTH if name in functions)
    for graph, vector in smooth_graphs(range(max(2, COUNT // one_in)), names):
        assert agree(ours(graph, vector), derivatives(graph, vector)), graph


def test_at_awkward_points_the_gradient_is_pytorchs_or_better():
    """Where PyTorch has a finite gradient, ours is the same; where it has NaN, a zero upstream may have stopped."""
    functions = torch_functions()
    import torch

    # Between bounds that are equal PyTorch's clamp passes nothing on, not even to the bound; and x**0 shuts
    # out an infinite upstream there, as x**2 at 0 does not. At 1e200 its rules for three others overflow.
    names = [name for name in functions if name not in ("clamp", "pow", "asinh", "acosh", "atan2")]

    compared = 0
    for seed in range(COUNT):
        random = Random(seed)
        graph = awkward_graph(random, random.randint(1, 12), names, NOT_SUBNORMAL)
        xs, tensors = [Value(x) for x in graph.inputs], [torch.tensor(x, dtype=torch.float64) for x in graph.inputs]
        for tensor in tensors:
            tensor.requires_grad_()
        y, t = graph.run(xs), graph.run(tensors, functions)
        if not (isinstance(y, Value) and t.requires_grad and math.isclose(y.data, t.item(), rel_tol=1e-12)):
            continue
        theirs = torch.autograd.grad(t, tensors, allow_unused=True)
        for mine, other in zip(slopes(y, xs), theirs, strict=True):
            wanted = 0.0 if other is None else other.item()
            if abs(wanted) < 1e100:  # beyond it, what should cancel leaves anything
                compared += 1
                assert abs(mine - wanted) <= 1e-10 * max(1.0, abs(wanted)), (graph, mine, wanted)
    assert compared
