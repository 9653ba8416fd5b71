"""Gradient checks: central differences beside backpropagation, number by number, and a verdict on each."""

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from microgrannd.calculus.differences import EPSILON, NOISE, Estimate, estimated_slope
from microgrannd.calculus.passes import all_slopes
from microgrannd.calculus.transforms import arguments_at, positions_of
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.ground.arguments import list_of, shown, whole_number
from microgrannd.ground.errors import GradientError
from microgrannd.ground.functions import argument_names, name_of
from microgrannd.ground.modes import no_grad, recording
from microgrannd.ground.nests import leaves, paths, rebuilt
from microgrannd.ground.terminal import table
from microgrannd.nodes.notation import input_names
from microgrannd.nodes.observing import ExactZeros
from microgrannd.operations import TABLE, Operation, as_float, is_number

_ROWS = frozenset(TABLE.values())
STOPPED = "0 x inf on the way"
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

    Raises GradientError with the worst offender where backpropagation is wrong. Where there is no telling the
    verdict says why, and nothing is raised: "not differentiable here" at a kink, a jump or the edge of a domain,
    "too noisy to tell" where rounding hides the slope, "0 x inf on the way" where an upstream gradient of exactly 0
    stopped an infinite slope, as it does by our rule in cbrt(x)**3 at 0.

    >>> print(check_gradients(lambda x, y: x[0] * x[1] ** 2 + abs(y), [2.0, 3.0], 0.0))
    argument  backprop  numerical  difference  verdict
    x[0]             9          9     ...  ok
    x[1]            12         12     ...  ok
    y                0          0     0.0e+00  not differentiable here
    """
    positions = positions_of(0 if argnums is None else argnums, f, "check_gradients")
    if argnums is not None:
        arguments_at(positions, args, f)
    replaced, variables = _variables(f, args, argnums)
    variables += _named(parameters, "parameter") if parameters is not None else []
    tolerance, step = as_float(tolerance), None if step is None else as_float(step)
    if not (tolerance >= 0 and (step is None or 0 < step < math.inf)):
        raise ValueError(f"tolerance is at least 0 and step above it, or None; got {tolerance} and {step}.")
    variables = _sampled(variables, samples)

    check = _check(f, replaced, variables, step, tolerance)
    if not check.ok:
        raise GradientError(_complaint(check, f))
    return check


def _check(
    f: Callable[..., Any],
    args: list[Any],
    variables: list[tuple[str, Value]],
    step: float | None,
    tolerance: float,
) -> GradientCheck:
    def number() -> float:
        with no_grad():
            return _number(f(*args), f)

    with recording():
        y = f(*args)
    value, slopes = _number(y, f), all_slopes(y) if isinstance(y, Value) else {}
    if not (again := number()) == value and value == value:
        raise GradientError(f"{name_of(f)} gave {value!r} and then {again!r} for the same inputs: is it random?")
    noise = _rounding(slopes)
    nodes = [node for _, node in variables]
    found = [_estimate(number, node, value, noise, slopes.get(node, 0.0), step, tolerance) for node in nodes]
    check = _compared(variables, slopes, found, tolerance)
    if check.ok or not isinstance(y, Value):
        return check
    spread = _spread(y, slopes, nodes)  # before a rule is called wrong: is it rounding in the rule?
    found = [estimate._replace(error=estimate.error + more) for estimate, more in zip(found, spread, strict=True)]
    if (check := _compared(variables, slopes, found, tolerance)).ok:
        return check
    behind = _behind_zeros(y, slopes)
    doubts = [STOPPED if node in behind else estimate.doubt for node, estimate in zip(nodes, found, strict=True)]
    found = [estimate._replace(doubt=doubt) for estimate, doubt in zip(found, doubts, strict=True)]
    return _compared(variables, slopes, found, tolerance)


def _behind_zeros(y: Value, slopes: dict[Value, float]) -> set[Value]:
    """All nodes whose gradient lacks something where an exact zero met an infinite slope, as in cbrt(x)**3 at 0."""
    zeros, behind = ExactZeros(y), list[Value]()
    for node in reversed(topological_order(y, leaves=False)):
        local_gradients = node.op.local_gradients(*node.inputs, node.data)
        behind += [parent for parent, _ in zeros.stopped(node, slopes.get(node, 0.0), local_gradients)]
    return set(topological_order(*behind))


def _compared(
    variables: list[tuple[str, Value]], slopes: dict[Value, float], found: list[Estimate], tolerance: float
) -> GradientCheck:
    rows = []
    for (name, node), estimate in zip(variables, found, strict=True):
        backprop = float(slopes.get(node, 0.0))
        verdict = _verdict(backprop, estimate, tolerance)
        rows.append(Row(name, backprop, estimate.slope, estimate.error, verdict))
    return GradientCheck(rows)


def _spread(y: Value, slopes: dict[Value, float], nodes: list[Value]) -> list[float]:
    """How far each slope moves where every number moves by its last digit: what rounding does to a right rule.

    Where tanh gives 1 - 1e-13, `1 - out * out` has three digits left.
    """
    draw, spread = random.Random(0), [0.0] * len(nodes)
    for _ in range(3):
        try:
            shaken = _shaken_slopes(y, draw)
        except (ArithmeticError, ValueError):  # beyond the edge of a rule's domain
            continue
        changes = [abs(shaken.get(node, 0.0) - slopes.get(node, 0.0)) for node in nodes]
        spread = [max(old, new) if math.isfinite(new) else old for old, new in zip(spread, changes, strict=True)]
    return spread


def _shaken_slopes(y: Value, draw: random.Random) -> dict[Value, float]:
    """`all_slopes` from numbers of which each is off by its last digit."""
    found = {y: 1.0}
    for node in reversed(topological_order(y, leaves=False)):
        operation, slope = node.op, found.get(node, 0.0)
        if operation is None or slope == 0.0:
            continue
        numbers = [x * (1 + draw.choice((-1, 1)) * EPSILON) for x in (*node.inputs, node.data)]
        for parent, local in zip(node.parents, operation.local_gradients(*numbers), strict=True):
            if local or not operation.routes:
                found[parent] = found.get(parent, 0.0) + slope * local
    return found


def _rounding(slopes: dict[Value, float]) -> float:
    """What the rounding of every intermediate result may do to the value.

    The rows of the table are exact to some ulp; of anyone else's operation nothing is known, so its inputs count too.
    """
    results = [node for node in slopes if node.op]
    foreign = [node for node in results if node.op not in _ROWS]
    inputs = {parent for node in foreign for parent in node.parents if not (parent.op or isinstance(parent, Constant))}
    shares = [abs(slopes.get(node, 0.0) * node.data) for node in (*results, *inputs)]
    return EPSILON * math.fsum(share for share in shares if math.isfinite(share))


def _verdict(backprop: float, found: Estimate, tolerance: float) -> str:
    """Right, wrong, or why there is no telling."""
    if found.doubt:
        return found.doubt
    size, error = max(abs(backprop), abs(found.slope)), 10 * found.error
    is_precise = error <= max(5e-5, tolerance) * size  # so that an error of 1e-4 does not pass for rounding
    if not math.isfinite(backprop) or not abs(backprop - found.slope) <= tolerance * size + error:
        return "WRONG"
    is_zero = abs(backprop) <= 16 * EPSILON * found.steepness and error <= 1e-8 * found.steepest
    is_flat = backprop == found.slope == found.steepest == 0
    return "ok" if is_precise or is_flat or (is_zero and found.steepness) else NOISE


def _complaint(check: GradientCheck, f: Callable[..., Any]) -> str:
    wrong = [row for row in check.rows if row.verdict == "WRONG"]
    worst = max(wrong, key=lambda row: row.difference / max(abs(row.numerical), abs(row.backprop)))
    return (
        f"The gradient of {name_of(f)} is wrong in {len(wrong)} of {len(check.rows)} numbers, worst in {worst.name}: "
        f"backpropagation gives {worst.backprop:.9g}, central differences {worst.numerical:.9g} "
        f"(± {worst.error:.0e}). Look at the local gradients of the operations it goes through.\n{check}"
    )


def _estimate(
    number: Callable[[], float],
    variable: Value,
    value: float,
    noise: float,
    backprop: float,
    step: float | None,
    tolerance: float,
) -> Estimate:
    """The derivative by one of the variables, which is put back afterwards."""
    x = variable.data

    def shifted(to: float) -> float:
        variable.data = to
        return number()

    try:
        if step is None:
            return estimated_slope(shifted, x, value, noise, backprop, 1e-2 * tolerance)
        slope = (shifted(x + step) - shifted(x - step)) / ((x + step) - (x - step))
        return Estimate(slope, noise / step + step * step * max(abs(slope), abs(value), 1.0), math.inf, math.inf)
    finally:
        variable.data = x


def _variables(
    f: Callable[..., Any], args: Sequence[Any], argnums: int | Sequence[int] | None
) -> tuple[list[Any], list[tuple[str, Value]]]:
    """The arguments with Values in place of numbers, and the Values to vary, with their names."""
    names = input_names(f, len(args)) if isinstance(f, Operation) else argument_names(f, len(args), "argument")
    models = [i for i, arg in enumerate(args) if hasattr(arg, "named_parameters") and not isinstance(arg, type)]
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
    named = zip(
        paths(parameters, name), list_of("parameters", leaves(parameters), "a nest of Values", Value), strict=True
    )
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
    raise TypeError(f"check_gradients needs a function that returns a single number; {name_of(f)} returned {shown(y)}.")


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x
