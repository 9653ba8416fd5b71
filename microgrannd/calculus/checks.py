"""Gradient checks: central differences beside backpropagation, number by number.

The step is chosen for each number, and an error estimate comes with the result (Richardson
extrapolation), so that a difference means something.
"""

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from microgrannd.calculus.passes import all_slopes
from microgrannd.engine import Value
from microgrannd.ground.arguments import whole_number
from microgrannd.ground.errors import GradientError
from microgrannd.ground.functions import argument_names, name_of
from microgrannd.ground.modes import no_grad, recording
from microgrannd.ground.nests import leaves, paths, rebuilt
from microgrannd.ground.terminal import table
from microgrannd.nodes.notation import input_names
from microgrannd.operations import Operation, as_float, is_number

EPSILON = 2.0**-52
SHOWN = 40  # rows of a table that are printed one by one


class Row(NamedTuple):
    """One number: its derivative by backpropagation, by central differences, and what to think of it."""

    name: str
    backprop: float
    numerical: float
    error: float
    verdict: str

    @property
    def difference(self) -> float:
        """How far apart the two are."""
        return abs(self.backprop - self.numerical)


@dataclass(frozen=True)
class GradientCheck:
    """The table of a gradient check; it prints well.

    `rows` has a row for each number; `mean_differences` is |backprop − numerical| by parameter group, as
    textbooks print it.
    """

    rows: list[Row]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(row.verdict == "WRONG" for row in self.rows)

    @property
    def mean_differences(self) -> dict[str, float]:
        """The mean absolute difference in each group: `layer0.w` for all weights of layer 0, `x` for a list x."""
        return {
            name: math.fsum(row.difference for row in rows) / len(rows) for name, rows in self._groups().items() if rows
        }

    def _groups(self) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            group = groups.setdefault(_group(row.name), [])
            if row.verdict in ("ok", "WRONG"):
                group.append(row)
        return groups

    def __str__(self) -> str:
        if len(self.rows) <= SHOWN:
            rows = [
                [row.name, f"{row.backprop:.9g}", f"{row.numerical:.9g}", f"{row.difference:.1e}", row.verdict]
                for row in self.rows
            ]
            return table(["argument", "backprop", "numerical", "difference", "verdict"], rows, left=(0, 4))
        lines = [
            [name, str(len(rows)), f"{self.mean_differences[name]:.1e}", f"{max(row.difference for row in rows):.1e}"]
            for name, rows in self._groups().items()
            if rows
        ]
        others = [row for row in self.rows if row.verdict != "ok"]
        groups = table(["group", "numbers", "mean difference", "largest"], lines)
        return "\n".join([groups, *[f"{row.name}: {row.verdict}" for row in others[:SHOWN]]])

    __repr__ = __str__


def check_gradients(
    f: Callable[..., Any],
    *args: Any,
    parameters: Any = None,
    argnums: int | Sequence[int] | None = None,
    tolerance: float = 1e-6,
    step: float | None = None,
    samples: int | None = None,
) -> GradientCheck:
    """Compare the gradient of a function, by backpropagation, with central differences.

    The arguments hold the numbers to vary; where one is a model, its parameters are varied and listed by
    name. `parameters` takes a model, a list or a dict of Values that f uses without being given them.
    `argnums` restricts it to some of the arguments. `tolerance` is relative. `samples`
    limits the check to that many numbers of each group, drawn at random but always the same. With a `step`,
    plain central differences of that step are taken, as textbooks do; else steps are chosen and extrapolated.

    Raises GradientError with the worst offender where backpropagation is wrong. At a kink or a jump it
    says "not differentiable here", and does not complain.

    >>> print(check_gradients(lambda x, y: x[0] * x[1] ** 2 + abs(y), [2.0, 3.0], 0.0))
    argument  backprop  numerical  difference  verdict
    x[0]             9          9     ...  ok
    x[1]            12         12     ...  ok
    y                0          0     0.0e+00  not differentiable here
    """
    replaced, variables = _variables(f, args, argnums)
    variables += _named(parameters, "parameter") if parameters is not None else []
    tolerance, step = as_float(tolerance), None if step is None else as_float(step)
    if not (tolerance >= 0 and (step is None or 0 < step < math.inf)):
        raise ValueError(f"tolerance is at least 0 and step above it, or None; got {tolerance} and {step}.")
    variables = _sampled(variables, samples)

    def number() -> float:
        with no_grad():
            return _number(f(*replaced), f)

    with recording():
        y = f(*replaced)
    value = _number(y, f)
    if not (again := number()) == value and value == value:
        raise GradientError(f"{name_of(f)} gave {value!r} and then {again!r} for the same inputs: is it random?")
    slopes = all_slopes(y) if isinstance(y, Value) else {}
    noise = _rounding(slopes)
    rows = []
    for name, node in variables:
        backprop = float(slopes.get(node, 0.0))
        numerical, error, kink = _central_differences(number, node, value, noise, step, tolerance)
        rows.append(Row(name, backprop, numerical, error, _verdict(backprop, numerical, error, kink, tolerance)))
    check = GradientCheck(rows)
    if not check.ok:
        raise GradientError(_complaint(check, f))
    return check


def _rounding(slopes: dict[Value, float]) -> float:
    """What the rounding of every intermediate result may do to the value."""
    shares = [abs(slope * node.data) for node, slope in slopes.items()]
    return EPSILON * math.fsum(share for share in shares if math.isfinite(share))


def _verdict(backprop: float, numerical: float, error: float, kink: bool, tolerance: float) -> str:
    if kink or not math.isfinite(numerical) or (math.isinf(backprop) and error > 1e-3 * abs(numerical)):
        return "not differentiable here"
    difference, allowed = abs(backprop - numerical), tolerance * max(abs(backprop), abs(numerical))
    if difference <= allowed + 10 * error:
        return "ok" if difference <= allowed or 10 * error <= 1e-3 * abs(numerical) + 1e-6 else "too noisy to tell"
    return "WRONG"


def _complaint(check: GradientCheck, f: Callable[..., Any]) -> str:
    wrong = [row for row in check.rows if row.verdict == "WRONG"]
    worst = max(wrong, key=lambda row: row.difference / max(abs(row.numerical), abs(row.backprop)))
    return (
        f"The gradient of {name_of(f)} is wrong in {len(wrong)} of {len(check.rows)} numbers, worst in {worst.name}: "
        f"backpropagation gives {worst.backprop:.9g}, central differences {worst.numerical:.9g} "
        f"(± {worst.error:.0e}). Look at the local gradients of the operations it goes through.\n{check}"
    )


def _central_differences(
    number: Callable[[], float], variable: Value, middle: float, noise: float, step: float | None, tolerance: float
) -> tuple[float, float, bool]:
    """The derivative by a variable, an estimate of its error, and whether there is a kink."""
    x = variable.data

    def shifted(by: float) -> tuple[float, float]:
        variable.data = x + by
        return number(), variable.data - x

    def differences(h: float) -> tuple[float, float, float]:
        """The derivative from both sides, the gap between the one-sided ones, and the size of rounding."""
        (right, up), (left, down) = shifted(h), shifted(-h)
        gap = abs((right - middle) / up - (left - middle) / down)
        return (right - left) / (up - down), gap, max(noise, EPSILON * max(abs(right), abs(left))) / h

    try:
        if step is not None:
            slope, _, rounding = differences(step)
            return slope, rounding + step * step * max(abs(slope), abs(middle), 1.0), False
        return _extrapolated(differences, x, tolerance)
    finally:
        variable.data = x


def _extrapolated(
    differences: Callable[[float], tuple[float, float, float]], x: float, tolerance: float
) -> tuple[float, float, bool]:
    best, error, kink = math.nan, math.inf, False
    for h in _steps(x):
        (coarse, wide, _), (middle, _, _), (fine, narrow, rounding) = (differences(h / k) for k in (1, 2, 4))
        first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
        slope = (16 * second - first) / 15
        estimate = abs(slope - second) + rounding
        if estimate < error:
            # Over a smooth function the gap between the one-sided derivatives closes as the step does.
            kink = narrow > 0.7 * wide and narrow > 1e4 * rounding
            best, error = slope, estimate
        if not kink and error <= 1e-3 * tolerance * abs(best):
            break
    return best, error, kink


def _steps(x: float) -> list[float]:
    """Steps to try, from the widest: near 0 and near the edge of a domain only small ones will do."""
    widths = {10.0**-k * max(abs(x), 1.0) for k in (2, 3, 4, 5)}
    if 0 < abs(x) < 1:
        widths |= {10.0**-k * abs(x) for k in (2, 4)}
    return sorted(widths, reverse=True)


def _variables(
    f: Callable[..., Any], args: Sequence[Any], argnums: int | Sequence[int] | None
) -> tuple[list[Any], list[tuple[str, Value]]]:
    """The arguments with Values in place of numbers, and the Values to vary, with their names."""
    names = input_names(f, len(args)) if isinstance(f, Operation) else argument_names(f, len(args), "argument")
    models = [i for i, arg in enumerate(args) if hasattr(arg, "named_parameters")]
    chosen = [argnums] if isinstance(argnums, int) else argnums
    if chosen is None:
        chosen = models or range(len(args))
    replaced, variables = list(args), []
    for i in chosen:
        if i in models:
            variables += args[i].named_parameters()
            continue
        nodes = [Value(_plain(x)) if isinstance(x, Value) or is_number(x) else x for x in leaves(args[i])]
        replaced[i] = rebuilt(args[i], iter(nodes))
        variables += [
            (name, x) for name, x in zip(paths(args[i], names[i]), nodes, strict=True) if isinstance(x, Value)
        ]
    return replaced, variables


def _named(parameters: Any, name: str) -> list[tuple[str, Value]]:
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    named = zip(paths(parameters, name), leaves(parameters), strict=True)
    return [(value.label or path, value) for path, value in named]


def _sampled(variables: list[tuple[str, Value]], samples: int | None) -> list[tuple[str, Value]]:
    if samples is None:
        return variables
    samples = whole_number("samples", samples, 1)
    groups: dict[str, list[tuple[str, Value]]] = {}
    for name, value in variables:
        groups.setdefault(_group(name), []).append((name, value))
    draw = random.Random(0)
    return [pair for group in groups.values() for pair in draw.sample(group, min(samples, len(group)))]


def _group(name: str) -> str:
    """`layer0.neuron3.w1` belongs to `layer0.w`, `x[2]` to `x`."""
    *path, last = re.sub(r"\[.*", "", name).split(".")
    return ".".join(
        [part for part in path if not re.fullmatch(r"neuron\d+", part)] + [last.rstrip("0123456789") or last]
    )


def _number(y: Any, f: Callable[..., Any]) -> float:
    if isinstance(y, Value):
        return y.data
    if is_number(y):
        return float(y)
    raise TypeError(f"check_gradients needs a function that returns a single number; {name_of(f)} returned {y!r}.")


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x
