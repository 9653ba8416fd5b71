"""What `help` says of an operation: everything that its row says, in words.

>>> from microgrannd.operations import leaky_relu
>>> print(explanation_of(leaky_relu))
leaky_relu(x, slope=0.01): a relu with a slope left of 0, x if x > 0 else slope * x.
<BLANKLINE>
The derivative by x is 1 if x > 0, else slope.
The derivative by slope is 0 if x > 0, else x.
At x = 0, slope = 0.01: 0, gradient 0.01, 0.
Where a derivative is 0 nothing gets through, not even an infinite upstream gradient.
"""

import math
from collections.abc import Iterator
from itertools import zip_longest

from microgrannd.nodes import notation
from microgrannd.operations import Operation, contributed


def explanation_of(operation: Operation) -> str:
    given = zip_longest(operation.inputs, operation.defaults)
    inputs = ", ".join(name if default is None else f"{name}={default:g}" for name, default in given)
    told = operation.about.replace(": ", ", ", 1) or "an operation of your own"
    lines = [f"{operation.name}({inputs}): {told}.", ""]
    names = [f"{name.removesuffix('s')}1" for name in operation.inputs] if operation.vectors else operation.inputs
    for name, rule in zip(names, derivatives(operation), strict=False):
        lines.append(f"The derivative by {name} is {rule}.")
    lines += [f"At {point}." for point in awkward_points(operation)]
    if operation.routes:
        lines.append("Where a derivative is 0 nothing gets through, not even an infinite upstream gradient.")
    if operation.numpy not in ("", operation.name):
        lines.append(f"NumPy calls it {operation.numpy}.")
    return "\n".join(lines).rstrip()


def derivatives(operation: Operation) -> tuple[str, ...]:
    """The local gradients as text; of a fused operation those by the first element of each vector."""
    try:
        if not operation.vectors:
            return notation.rules(operation)
        elements = [f"{name.removesuffix('s')}{i}" for name in operation.inputs for i in (1, 2)]
        return tuple(rule.replace("0.5", "1 / n") for rule in notation.rules(operation, *elements)[::2])
    except TypeError:  # a rule that takes floats alone cannot be printed
        return ()


def awkward_points(operation: Operation) -> Iterator[str]:
    """What happens where a reader may wonder: `x = 0: 0, gradient ∞`."""
    for inputs in operation.awkward:
        out = operation.forward(*inputs)
        slopes = operation.local_gradients(*inputs, out)
        gradients = ", ".join(number(contributed(1.0, float(slope), operation.routes)) for slope in slopes)
        given = ", ".join(f"{name} = {number(x)}" for name, x in zip(operation.inputs, inputs, strict=True))
        yield f"{given}: {number(out)}, gradient {gradients}"


def number(x: float) -> str:
    return {math.inf: "∞", -math.inf: "−∞"}.get(x, f"{x:.6g}").replace("-", "−").replace("nan", "NaN")
