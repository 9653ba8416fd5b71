"""A character model with one layer of attention, 4,192 parameters in scalars: one training step on a name."""

from __future__ import annotations

import math
import random
import time
from itertools import pairwise
from types import SimpleNamespace

from benchmarks import harness
from benchmarks.harness import COMPILED, OURS, compiled_build, installed, interleaved, print_rows, row, timed_rows

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
TOKENS = [0, *(ord(letter) - 96 for letter in "isabella"), 0]
RATE = 0.01


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
        wide = [z.relu() for z in times("widen", normed(x, ops))]
        x = [a + b for a, b in zip(times("narrow", wide), x, strict=True)]
        terms.append(-ops.log(softmax(times("scores", x), ops)[following]))
    return ops.sum(terms) * (1 / len(terms))


def plain(exp, log):
    """Dot and sum by plain arithmetic, as an engine without them has it."""

    def dot(xs, ys):
        return sum(x * y for x, y in zip(xs, ys, strict=True))

    return SimpleNamespace(exp=exp, log=log, sum=sum, dot=dot)


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
    """The same function, traced and compiled; a step is a call, and the descent on the Values."""
    import microgrannd as mg

    weights = made(mg.Value)
    parameters = flat(weights)
    program = mg.compile(lambda scale: loss(weights, TOKENS, mg.operations) * scale)

    def step():
        for p in parameters:
            p.grad = 0.0
        found = program.backward([1.0])
        for p in parameters:
            p.data -= RATE * p.grad
        return found

    return step


def micrograd():
    """micrograd, which has no exp and no log: added in its own manner."""
    from micrograd.engine import Value

    def operation(forward, derivative):
        def apply(x):
            out = Value(forward(x.data), (x,))

            def backward():
                x.grad += derivative(x.data, out.data) * out.grad

            out._backward = backward
            return out

        return apply

    return scalars(Value, plain(operation(math.exp, lambda x, out: out), operation(math.log, lambda x, out: 1 / x)))


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


def run():
    import microgrannd as mg

    makers = {OURS: lambda: ours(mg.operations, mg.Value)}
    if build := compiled_build():
        makers[COMPILED] = lambda: ours(build["microgrannd.operations"], build["microgrannd.engine"].Value)
    if not harness.smoke:
        makers[f"{OURS}, compile"] = compiled
    makers |= {name: make for name, make in (("micrograd", micrograd), ("torch", torch)) if installed(name)}
    steps, first, losses = {}, {}, {}
    for name, make in makers.items():
        start = time.process_time()
        steps[name] = make()
        losses[name] = [steps[name]()]
        first[name] = time.process_time() - start
        losses[name].append(steps[name]())
    for name, found in losses.items():
        assert all(abs(a - b) < 1e-9 for a, b in zip(found, losses[OURS], strict=True)), (name, found)
    rows = timed_rows(NAME, "a training step", interleaved(steps, rounds=5, clock=time.process_time), "ms")
    return rows + [row(NAME, name, "import, build and first step", s * 1e3, "ms") for name, s in first.items()]


if __name__ == "__main__":
    print_rows(run())
