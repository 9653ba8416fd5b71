"""`docs/operations.md` from the operations table: a row of the table is a row of the page.

Groups, remarks and order are those of `microgrannd/operations.py`; the rules are its local gradients run on
names; what happens at awkward points is computed here, by the operation itself.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

from microgrannd import Value, operations
from microgrannd.nodes import notation
from microgrannd.operations import NUMPY_NAMES, FusedOperation, Operation

# In words of elementary functions. The tests hold each against the operation.
DEFINITIONS = {
    "abs": "x if x >= 0 else -x",
    "contribution": "x * y, and 0 where x = 0",
    "square": "x * x",
    "cbrt": "∛x",
    "hypot": "sqrt(x * x + y * y)",
    "exp2": "2**x",
    "expm1": "exp(x) - 1",
    "log1p": "log(1 + x)",
    "erfc": "1 - erf(x)",
    "sigmoid": "1 / (1 + exp(-x))",
    "logsigmoid": "-log(1 + exp(-x))",
    "softplus": "log(1 + exp(x))",
    "silu": "x / (1 + exp(-x))",
    "gelu": "x * (1 + erf(x / sqrt(2))) / 2",
    "relu": "max(x, 0)",
    "leaky_relu": "x if x > 0 else slope * x",
    "elu": "x if x > 0 else alpha * (exp(x) - 1)",
    "maximum": "max(x, y)",
    "minimum": "min(x, y)",
    "clamp": "min(max(x, low), high)",
    "where": "x if condition else y",
    "step": "1 if x > 0 else 0",
    "share": "1 if x > y else 0.5 if x == y else 0",
    "stop_gradient": "x",
    "sum": "x1 + x2 + ...",
    "mean": "(x1 + x2 + ...) / n",
    "dot": "x1 * y1 + x2 * y2 + ... + b",
    "logsumexp": "log(exp(x1) + exp(x2) + ...)",
}

# Kinks, poles and ties: the inputs at which a reader may wonder.
AWKWARD = {
    **{"div": [(1.0, 0.0)], "abs": [(0.0,)], "pow": [(0.0, 0.0), (0.0, 2.0), (-8.0, 1 / 3)], "sqrt": [(0.0,), (-1.0,)]},
    **{"cbrt": [(0.0,)], "hypot": [(0.0, 0.0)], "exp": [(1000.0,)], "log": [(0.0,), (-1.0,)], "log1p": [(-1.0,)]},
    **{
        "asin": [(1.0,)],
        "acosh": [(1.0,)],
        "atanh": [(1.0,)],
        "atan2": [(0.0, 0.0)],
        "sigmoid": [(-1000.0,), (1000.0,)],
    },
    **{"softplus": [(1000.0,)], "relu": [(0.0,)], "leaky_relu": [(0.0, 0.01)], "elu": [(0.0, 1.0)]},
    **{
        "maximum": [(2.0, 2.0)],
        "minimum": [(2.0, 2.0)],
        "clamp": [(1.0, -1.0, 1.0)],
        "sign": [(0.0,)],
        "step": [(0.0,)],
    },
}

HEAD = """\
# The operations

Every operation of the package, and its derivatives. This page is written by `python -m docs.build operations`
from the table in `microgrannd/operations.py`, the same rows that `backward()` runs.

Each is a function (`mg.tanh(x)`), most are methods too (`x.tanh()`), and those with a NumPy name work inside
NumPy functions as well. *Local gradients* are the partial derivatives by the inputs, in their order; `out` is
the operation's own result, used again so that nothing is computed twice. An operation marked ⊣ *routes*: it
passes some inputs on and drops the others, and where its local gradient is 0 nothing gets through, not even
an infinite upstream. `×` is the product that `+=` adds to a parent: a first factor of exactly 0 wins, even
over an infinity (see `contribution`).

Arithmetic follows IEEE 754 and never raises: `log(0)` is −∞, `1 / 0` is ∞, `log(−1)` is NaN. Use
`mg.detect_anomaly()` to be told where the first of them arose.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for title, remark, names in groups():
        parts.append(f"\n## {title}\n")
        if remark:
            parts.append(f"In the words of the table: {remark}\n")
        parts.append("| operation | is | local gradients | at awkward points |")
        parts.append("|---|---|---|---|")
        parts += [row(operations.TABLE[name]) for name in names]
    return "\n".join(parts) + "\n"


def groups() -> Iterator[tuple[str, str, list[str]]]:
    """Title, remark and names of each part of the table, as the comments in its source divide it."""
    source = files("microgrannd").joinpath("operations.py").read_text("utf-8")
    for part in source.split("# ---- ")[1:]:
        title, _, rows = part.partition("\n")
        head, _, remark = title.partition(". ")
        names = re.findall(r"^(\w+) = (?:Fused)?Operation\(", rows, re.MULTILINE)
        remark = (remark or title.partition(": ")[2]).strip().replace("*", "\\*")
        yield head.split(":")[0].capitalize(), f"{remark.removesuffix('.')}." if remark else "", names


def row(operation: Operation) -> str:
    """A line of the Markdown table."""
    name = f"`{operation.name}`" + (" ⊣" if operation.routes else "")
    numpy_name = NUMPY_NAMES.get(operation)
    if numpy_name and numpy_name != operation.name:
        name += f"<br>NumPy: `{numpy_name}`"
    rules = "<br>".join(f"`{rule}`" for rule in _rules(operation))
    cells = [name, f"`{definition(operation)}`", rules, "<br>".join(_awkward(operation))]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def definition(operation: Operation) -> str:
    """The operation in elementary terms where there are some, else as it is written."""
    names = notation.input_names(operation, 2 * getattr(operation, "vectors", 1))
    return DEFINITIONS.get(operation.name) or str(notation.formula(operation, *names))


def _rules(operation: Operation) -> tuple[str, ...]:
    if not isinstance(operation, FusedOperation):
        return notation.rules(operation)
    if operation.name == "dot":
        return ("y1, y2, ...", "x1, x2, ...", "1")
    return tuple(rule for rule in [notation.rules(operation, "x1", "x2")[0].replace("0.5", "1 / n")])


def _awkward(operation: Operation) -> Iterator[str]:
    for inputs in AWKWARD.get(operation.name, []):
        values = [Value(x) for x in inputs]
        out = operation(*values)
        out.backward()
        names = notation.input_names(operation, len(inputs))
        given = ", ".join(f"{name} = {_number(x)}" for name, x in zip(names, inputs, strict=True))
        gradients = ", ".join(_number(value.grad) for value in values)
        yield f"{given}: {_number(out.data)}, gradient {gradients}"


def _number(x: float) -> str:
    return {float("inf"): "∞", float("-inf"): "−∞"}.get(x, f"{x:.6g}").replace("-", "−").replace("nan", "NaN")
