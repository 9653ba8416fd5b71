"""A character model with one layer of attention, 4,192 parameters in scalars: one training step on a name.

Every peer's first two losses are compared before anything is timed.
"""

from __future__ import annotations

import math
import random
import time
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.gpt import numpy_by_hand
from benchmarks.harness import (
    COMPILED,
    OURS,
    compiled_build,
    installed,
    interleaved,
    left_out,
    loaded,
    print_rows,
    row,
    timed_rows,
)
from benchmarks.peers import casadi_call, jax_in_double, micrograd_operation, xad_gradients

NAME = "gpt"
WIDTH, HEADS, PLACES, LETTERS = 16, 4, 16, 27
SHAPES = {
    "letters": (LETTERS, WIDTH),
    "places": (PLACES, WIDTH),
    **dict.fromkeys(("query", "key", "value", "join"), (WIDTH, WIDTH)),
    "widen": (4 * WIDTH, WIDTH),
    "narrow": (WIDTH, 4 * WIDTH),
    "scores": (LETTERS, WIDTH),
}
TOKENS = [0, *(ord(letter) - 96 for letter in ("al" if harness.smoke else "isabella")), 0]
RATE = 0.01
COMPILE, MANY = f"{OURS}, compile", 500  # steps of a compiled `fit`


def numbers():
    """The first weights, by name: rows of numbers."""
    draw = random.Random(42)
    return {name: [[draw.gauss(0, 0.08) for _ in range(n)] for _ in range(m)] for name, (m, n) in SHAPES.items()}


def normed(x, ops):
    scale = (ops.dot(x, x) * (1 / len(x)) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def softmax(xs, ops):
    exponentials = [ops.exp(x) for x in xs]
    one_over = ops.sum(exponentials) ** -1
    return [e * one_over for e in exponentials]


def loss(weights, tokens, ops):
    """The mean of -log p of each next letter, read from left to right with the keys and values kept."""

    def times(name, x):
        return [ops.dot(w, x) for w in weights[name]]

    keys, values, terms = [], [], []
    size = WIDTH // HEADS
    for place, (token, following) in enumerate(pairwise(tokens)):
        x = normed([a + b for a, b in zip(weights["letters"][token], weights["places"][place], strict=True)], ops)
        before, x = x, normed(x, ops)
        query = times("query", x)
        keys.append(times("key", x))
        values.append(times("value", x))
        joined = []
        for part in (slice(head * size, (head + 1) * size) for head in range(HEADS)):
            shares = softmax([ops.dot(query[part], key[part]) * size**-0.5 for key in keys], ops)
            joined += [ops.dot(shares, [value[part][j] for value in values]) for j in range(size)]
        x = [a + b for a, b in zip(times("join", joined), before, strict=True)]
        wide = [ops.relu(z) for z in times("widen", normed(x, ops))]
        x = [a + b for a, b in zip(times("narrow", wide), x, strict=True)]
        terms.append(-ops.log(softmax(times("scores", x), ops)[following]))
    return ops.sum(terms) * (1 / len(terms))


def plain(exp, log, relu=lambda x: x.relu()):
    """Dot and sum by plain arithmetic, as an engine without them has it."""

    def dot(xs, ys):
        return sum(x * y for x, y in zip(xs, ys, strict=True))

    return SimpleNamespace(exp=exp, log=log, relu=relu, sum=sum, dot=dot)


def made(value):
    return {name: [[value(w) for w in line] for line in matrix] for name, matrix in numbers().items()}


def flat(weights):
    return [w for matrix in weights.values() for line in matrix for w in line]


def scalars(value, ops):
    """A step by an engine of scalars: forward, backward, and gradient descent."""
    weights = made(value)
    parameters = flat(weights)

    def step():
        for p in parameters:
            p.grad = 0.0
        y = loss(weights, TOKENS, ops)
        y.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return y.data

    return step


def ours(operations, value):
    return scalars(value, operations)


def compiled():
    """The same function, traced and compiled; a step is an epoch of a `fit`."""
    import microgrannd as mg

    weights = made(mg.Value)
    program = mg.compile(lambda scale: loss(weights, TOKENS, mg.operations) * scale)
    optimizer = mg.optim.SGD(flat(weights), lr=RATE)
    return lambda steps=1: program.fit(([1.0],), optimizer, epochs=steps).losses[0]


def micrograd():
    from micrograd.engine import Value

    exp = micrograd_operation(math.exp, lambda x, out: out)
    return scalars(Value, plain(exp, micrograd_operation(math.log, lambda x, out: 1 / x)))


def torch():
    """The same arithmetic on matrices."""
    import torch

    torch.set_num_threads(1)
    weights = {n: torch.tensor(m, dtype=torch.float64, requires_grad=True) for n, m in numbers().items()}
    inputs, targets = torch.tensor(TOKENS[:-1]), torch.tensor(TOKENS[1:])
    count = len(inputs)
    later = torch.triu(torch.full((count, count), -math.inf, dtype=torch.float64), 1)

    def normed(x):
        return x * ((x * x).mean(-1, keepdim=True) + 1e-5) ** -0.5

    def step():
        for w in weights.values():
            w.grad = None
        x = normed(weights["letters"][inputs] + weights["places"][:count])
        before, x = x, normed(x)
        query, key, value = (
            (x @ weights[name].T).view(count, HEADS, -1).transpose(0, 1) for name in ("query", "key", "value")
        )
        shares = torch.softmax(query @ key.transpose(1, 2) * (WIDTH // HEADS) ** -0.5 + later, -1)
        x = (shares @ value).transpose(0, 1).reshape(count, WIDTH) @ weights["join"].T + before
        x = torch.relu(normed(x) @ weights["widen"].T) @ weights["narrow"].T + x
        y = torch.nn.functional.cross_entropy(x @ weights["scores"].T, targets)
        y.backward()
        with torch.no_grad():
            for w in weights.values():
                w -= RATE * w.grad
        return y.item()

    return step


def nested(p):
    """The weights by name, of all of them in a row."""
    given = iter(p)
    return {name: [[next(given) for _ in range(m)] for _ in range(n)] for name, (n, m) in SHAPES.items()}


def xad():
    from xad import math as xm

    p = flat(numbers())
    ops = plain(xm.exp, xm.log, lambda x: xm.max(x, 0.0))

    def step():
        nonlocal p
        value, slopes = xad_gradients(lambda leaves: loss(nested(leaves), TOKENS, ops), p)
        p = [w - RATE * g for w, g in zip(p, slopes, strict=True)]
        return value

    return step


def casadi():
    """All scalars in one expression, run on its virtual machine; through C the compiler takes too long."""
    import casadi as ca

    start = np.array(flat(numbers()))
    p = ca.SX.sym("p", len(start))
    y = loss(nested(ca.vertsplit(p)), TOKENS, plain(ca.exp, ca.log, lambda x: ca.fmax(x, 0)))
    call = casadi_call(ca.Function("f", [p], [y, ca.gradient(y, p)]), [len(start)], [1, len(start)])

    def step():
        value, slopes = call(start)
        start[:] -= RATE * slopes
        return value.item()

    return step


def on_arrays(xp, weights, tokens):
    """The loss on matrices, for a library with NumPy's functions."""
    inputs, targets = np.array(tokens[:-1]), np.array(tokens[1:])
    count = len(inputs)
    later = np.triu(np.full((count, count), -np.inf), 1)

    def normed(x):
        return x * (xp.mean(x * x, -1, keepdims=True) + 1e-5) ** -0.5

    def softmax(x):
        e = xp.exp(x - xp.max(x, -1, keepdims=True))
        return e / xp.sum(e, -1, keepdims=True)

    before = normed(weights["letters"][inputs] + weights["places"][:count])
    x = normed(before)
    query, key, value = (
        xp.transpose(xp.reshape(xp.dot(x, weights[name].T), (count, HEADS, -1)), (1, 0, 2))
        for name in ("query", "key", "value")
    )
    shares = softmax(xp.matmul(query, xp.transpose(key, (0, 2, 1))) * (WIDTH // HEADS) ** -0.5 + later)
    joined = xp.reshape(xp.transpose(xp.matmul(shares, value), (1, 0, 2)), (count, WIDTH))
    x = xp.dot(joined, weights["join"].T) + before
    x = xp.dot(xp.maximum(xp.dot(normed(x), weights["widen"].T), 0.0), weights["narrow"].T) + x
    return -xp.mean(xp.log(softmax(xp.dot(x, weights["scores"].T))[np.arange(count), targets]))


def jax():
    library = jax_in_double()
    xp = library.numpy

    @library.jit
    def stepped(weights):
        value, slopes = library.value_and_grad(lambda w: on_arrays(xp, w, TOKENS))(weights)
        return value, library.tree.map(lambda w, g: w - RATE * g, weights, slopes)

    weights = {name: xp.array(matrix) for name, matrix in numbers().items()}

    def step():
        nonlocal weights
        value, weights = stepped(weights)
        return float(value)

    return step


def autograd():
    import autograd
    import autograd.numpy as xp

    both = autograd.value_and_grad(lambda w: on_arrays(xp, w, TOKENS))
    weights = {name: np.array(matrix) for name, matrix in numbers().items()}

    def step():
        value, slopes = both(weights)
        for name, slope in slopes.items():
            weights[name] -= RATE * slope
        return float(value)

    return step


def engines():
    import microgrannd as mg

    found = {OURS: lambda: ours(mg.operations, mg.Value)}
    if build := compiled_build():
        found[COMPILED] = lambda: ours(build["microgrannd.operations"], build["microgrannd.engine"].Value)
    if not harness.smoke:
        found[COMPILE] = compiled
    known = {"micrograd": micrograd, "xad": xad, "torch": torch, "autograd": autograd, "jax": jax}
    labels = {"torch": "torch, batched", "autograd": "autograd, batched", "jax": "JAX, jit", "casadi": "CasADi"}
    if not harness.smoke:
        known["casadi"] = casadi
    found |= {labels.get(name, name): known[name] for name in loaded(*known)}
    found["NumPy by hand"] = lambda: numpy_by_hand(numbers(), TOKENS, HEADS, RATE)
    for name in installed("minigrad", "micrograd-rust", "oxigrad"):
        left_out(NAME, name, "it lacks one of exp, log and relu")
    return found


def run():
    steps, answers, first = harness.made(engines())
    losses = {name: [answers[name], step()] for name, step in steps.items()}
    for name, found in losses.items():
        assert all(abs(a - b) < 1e-9 for a, b in zip(found, losses[OURS], strict=True)), (name, found)
    if COMPILE in steps:  # in one `fit`, whose own start and end show when the steps are few
        steps[COMPILE] = partial(steps[COMPILE], MANY)
    medians = interleaved(steps, rounds=5, clock=time.process_time)
    medians = {name: seconds / (MANY if name == COMPILE else 1) for name, seconds in medians.items()}
    rows = timed_rows(NAME, "a training step", medians, "ms")
    note = "trace, compile and one step; the import is apart"
    return rows + [row(NAME, name, "to the first step", s * 1e3, "ms", note) for name, s in first.items()]


if __name__ == "__main__":
    print_rows(run())
