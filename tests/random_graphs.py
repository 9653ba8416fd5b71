"""Random expression graphs, as programs that run on anything: floats, Values, mpmath, PyTorch, JAX, autograd.

A graph is drawn from a `random.Random`; `st.randoms()` gives one whose draws Hypothesis can shrink.
"""

import inspect
import math
from dataclasses import dataclass

from microgrannd import operations
from microgrannd.operations import TABLE, FusedOperation

AWKWARD_NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 800.0, 1e200, -1e-200, 1e308, -1e308, 5e-324, -5e-324),
    *(math.inf, -math.inf, math.nan),
)
TIED_NUMBERS = (0.0, 0.0, 0.0, 1.0, 1.0, -1.0, 0.5, 2.0)
TAME_NUMBERS = (1.0, -1.0, 0.5, 2.0, 3.0, 0.1, -0.25)

# Every operation of the table by name, called with its inputs one after the other.
ENGINE = {
    name: (lambda *xs, operation=operation: operation(xs)) if isinstance(operation, FusedOperation) else operation
    for name, operation in TABLE.items()
}
ENGINE["dot"] = lambda x1, x2, y1, y2, b: operations.dot((x1, x2), (y1, y2), b)

INPUTS = {name: len(inspect.signature(operation.local_gradients).parameters) - 1 for name, operation in TABLE.items()}
INPUTS |= {"sum": 3, "mean": 3, "logsumexp": 3, "norm": 3, "dot": 5}

FLAT = {
    *("sign", "step", "floor", "ceil", "stop_gradient", "floordiv", "share"),
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
}
COMPARING = {
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "share", "maximum", "minimum", "clamp"),
}


@dataclass(frozen=True)
class RandomGraph:
    """Steps `(operation's name, operands)`; an operand is a number or the int of an input or earlier step."""

    inputs: tuple
    steps: tuple

    def run(self, inputs, functions=ENGINE):
        """The last step's result, with the functions of some library in place of the operations."""
        nodes = list(inputs)
        for name, operands in self.steps:
            nodes.append(functions[name](*[nodes[x] if isinstance(x, int) else x for x in operands]))
        return nodes[-1]

    def __str__(self):
        lines = [f"v{i} = {x!r}" for i, x in enumerate(self.inputs)]
        for i, (name, operands) in enumerate(self.steps, len(self.inputs)):
            lines.append(f"v{i} = {name}({', '.join(f'v{x}' if isinstance(x, int) else repr(x) for x in operands)})")
        return "\n".join(lines)


def awkward_graph(random, size, names=tuple(TABLE), numbers=AWKWARD_NUMBERS):
    """Any operations on any numbers: infinities, NaN, kinks, poles, ties."""
    inputs = [random.choice(numbers) if random.random() < 0.3 else random.gauss(0, 1.5) for _ in range(3)]
    steps = []
    for i in range(len(inputs), len(inputs) + size):
        name = random.choice(names)
        steps.append((name, tuple(_operand(random, i, numbers) for _ in range(INPUTS[name]))))
    return RandomGraph(tuple(inputs), tuple(steps))


def tied_graph(random, names):
    """A small graph of two inputs with zeros, ones and ties among its numbers."""
    inputs = [random.choice(TIED_NUMBERS) if random.random() < 0.7 else random.gauss(0, 1) for _ in range(2)]
    if random.random() < 0.2:
        inputs[1] = inputs[0]
    steps, weights = [], [0.15 if name in FLAT else 1.0 for name in names]
    for i in range(2, 2 + random.randint(1, 8)):
        [name] = random.choices(names, weights)
        steps.append((name, tuple(_operand(random, i, TIED_NUMBERS) for _ in range(INPUTS[name]))))
    return RandomGraph(tuple(inputs), tuple(steps))


def smooth_graph(random, size, names=tuple(TABLE)):
    """A graph that is differentiable where it is taken, and so well conditioned that it can be compared."""
    inputs = [random.gauss(0, 1.5) for _ in range(3)]
    numbers, steps, unused = list(inputs), [], set(range(3))
    weights = [0.1 if name in FLAT else 1.0 for name in names]
    while len(steps) < size:
        [name] = random.choices(names, weights)
        operands = tuple(_operand(random, len(numbers), TAME_NUMBERS) for _ in range(INPUTS[name]))
        number = _if_smooth(name, [numbers[x] if isinstance(x, int) else x for x in operands])
        if number is not None:
            unused = unused - set(operands) | {len(numbers)}
            steps.append((name, operands))
            numbers.append(number)
    for node in sorted(unused)[:-1]:  # so that all of it counts
        steps.append(("add", (len(inputs) + len(steps) - 1, node)))
    return RandomGraph(tuple(inputs), tuple(steps))


def _operand(random, count, constants):
    if random.random() < 0.15:
        return random.choice(constants)
    # Half of the time one of the last three, so that graphs get deep; else any, so that they share.
    return random.randrange(max(0, count - 3), count) if random.random() < 0.5 else random.randrange(count)


def _if_smooth(name, inputs):
    """The operation's result, or None where it or a slope is huge, tiny, or jumps nearby."""
    operation = TABLE[name]
    if name in COMPARING and abs(inputs[0] - inputs[1]) < 1e-6:
        return None  # two ways to the same number, which rounding tells apart
    results = [
        (out := operation.forward(*shifted), *operation.local_gradients(*shifted, out))
        for shifted in ([x + shift * (1 + i / 8) for i, x in enumerate(inputs)] for shift in (0.0, 1e-7, -1e-7))
    ]
    for here, right, left in zip(*results, strict=True):
        if not (abs(here) < 50 and abs(right - here) < 1e-4 and abs(left - here) < 1e-4):
            return None
    return results[0][0]
