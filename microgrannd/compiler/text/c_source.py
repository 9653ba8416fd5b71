"""C source: the tape as one C99 file with a header, for another program. It needs the C library alone.

The file has the values, the gradients where there is a single value, and the parameters' numbers as they
stand. This room may import the tape and the operations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from microgrannd import operations as ops
from microgrannd.compiler.tape.tape import Operand, Tape
from microgrannd.operations import Operation

_INFIX: Final = {ops.add: "+", ops.sub: "-", ops.mul: "*", ops.div: "/"}
_FLAGS: Final = {
    **{ops.less: "<", ops.less_equal: "<=", ops.greater: ">", ops.greater_equal: ">="},
    **{ops.equal: "==", ops.not_equal: "!="},
}
_LIBRARY: Final = {
    **{ops.TABLE[name]: name for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt")},
    **{ops.TABLE[name]: name for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "hypot", "pow")},
    **{ops.TABLE[name]: name for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc")},
    **{ops.floor: "floor", ops.ceil: "ceil", ops.abs: "fabs"},
}
# What C has no operator or function for; the bodies are those of the table's operations.
_OWN: Final[dict[Operation, tuple[str, str]]] = {
    ops.sigmoid: ("double x", "double e = exp(-fabs(x)); return (x < 0 ? e : 1) / (1 + e);"),
    ops.softplus: ("double x", "return (x > 0 || x != x ? x : 0) + log1p(exp(-fabs(x)));"),
    ops.logsigmoid: ("double x", "return -((x < 0 || x != x ? -x : 0) + log1p(exp(-fabs(x))));"),
    ops.silu: ("double x", "double e = exp(-fabs(x)); return x * ((x < 0 ? e : 1) / (1 + e));"),
    ops.gelu: ("double x", f"return 0.5 * x * erfc(-x * {ops.SQRT_HALF!r});"),
    ops.relu: ("double x", "return x > 0 || x != x ? x : 0;"),
    ops.leaky_relu: ("double x, double slope", "return x > 0 ? x : slope * x;"),
    ops.elu: ("double x, double alpha", "return x > 0 || x != x ? x : alpha * expm1(x);"),
    ops.maximum: ("double x, double y", "return x > y || x != x ? x : y;"),
    ops.minimum: ("double x, double y", "return x < y || x != x ? x : y;"),
    ops.clamp: (
        "double x, double low, double high",
        "x = x > low || x != x ? x : low; return x < high || x != x ? x : high;",
    ),
    ops.where: ("double condition, double x, double y", "return condition != 0 ? x : y;"),
    ops.contribution: ("double upstream, double local", "return upstream != 0 ? upstream * local : 0;"),
    ops.sign: ("double x", "return x != x ? x : (double)((x > 0) - (x < 0));"),
    ops.step: ("double x", "return x != x ? x : (double)(x > 0);"),
    ops.share: ("double x, double y", "return x == y ? 0.5 : (double)(x > y);"),
    ops.mod: (
        "double x, double y",
        "double r = fmod(x, y); if (r == 0) return copysign(0.0, y); return (r < 0) != (y < 0) ? r + y : r;",
    ),
    ops.floordiv: (
        "double x, double y",
        "if (y == 0) return x / y; double r = fmod(x, y), q = (x - r) / y; "
        "if (r != 0 && (r < 0) != (y < 0)) q -= 1; if (q == 0) return copysign(0.0, x / y); "
        "double f = floor(q); return q - f > 0.5 ? f + 1 : f;",
    ),
}


_LOGADDEXP: Final = (
    "static double mg_logaddexp(double x, double y) { double top = x > y || x != x ? x : y; "
    "return x == y && isinf(x) ? x : top + log1p(exp(-fabs(x - y))); }"
)


class CSource(NamedTuple):
    """The text of the header and of the file."""

    header: str
    body: str


def c_source(name: str, values: Tape, gradients: Tape | None, parameters: Sequence[float], header: str) -> CSource:
    """A tape as C: `values` has the values and `gradients`, if there is one, the value and all gradients.

    `parameters` are their numbers, and `header` is the name of the header's file.
    """
    leaves = ", ".join(["const double *inputs", "const double *parameters"])
    single = gradients is not None
    value = f"double {name}({leaves})" if single else f"void {name}({leaves}, double *outputs)"
    prototypes = [
        f"/* {_listed('inputs', values.inputs)} */",
        f"/* {_listed('parameters', values.parameters)}; {name}_parameters has their numbers. */",
        f"extern const double {name}_parameters[{max(1, len(parameters))}];",
        "",
        "/* The value. */" if single else f"/* The values, {len(values.outputs)} of them. */",
        f"{value};",
    ]
    functions = [f"{value} {{", *_lines(values), *_results(values, "return" if single else "outputs"), "}"]
    if gradients is not None:
        slope = f"double {name}_gradient({leaves}, double *by_inputs, double *by_parameters)"
        prototypes += ["", "/* The value and its gradients; either array may be NULL. */", f"{slope};"]
        functions += ["", f"{slope} {{", *_lines(gradients), *_results(gradients, "gradients"), "}"]
    guard = f"{re.sub(r'[^A-Z0-9]', '_', header.upper())}_"
    used = {operation for tape in (values, gradients) if tape for operation, _ in tape.instructions}
    numbers = ", ".join(map(_number, parameters or [0.0]))
    body = [
        f"/* {name}, written by microgrannd: C99, and nothing but its library. */",
        *("#include <math.h>", "#include <stddef.h>", f'#include "{header}"', ""),
        *[f"static double mg_{op.name}({given}) {{ {text} }}" for op, (given, text) in _OWN.items() if op in used],
        *[_LOGADDEXP for _ in used & {ops.logsumexp}],
        "",
        f"const double {name}_parameters[{max(1, len(parameters))}] = {{{numbers}}};",
        "",
        *functions,
    ]
    top = [f"#ifndef {guard}", f"#define {guard}", "", *prototypes, "", "#endif"]
    return CSource("\n".join(top) + "\n", "\n".join(body) + "\n")


def _lines(tape: Tape) -> list[str]:
    lines = ["    (void)inputs; (void)parameters;"]
    for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
        lines.append(f"    double v{v} = {_expression(tape, operation, operands)};")
    return lines


def _results(tape: Tape, how: str) -> list[str]:
    found = [_operand(tape, x) for x in tape.outputs]
    if how == "return":
        return [f"    return {found[0]};"]
    if how == "outputs":
        return [f"    outputs[{i}] = {x};" for i, x in enumerate(found)]
    inputs = len(tape.inputs)
    lines = []
    for array, slopes in (("by_inputs", found[1 : 1 + inputs]), ("by_parameters", found[1 + inputs :])):
        assigned = [f"        {array}[{i}] = {x};" for i, x in enumerate(slopes)]
        lines += [f"    if ({array} != NULL) {{", *assigned, "    }"]
    return [*lines, f"    return {found[0]};"]


def _expression(tape: Tape, operation: Operation, operands: Sequence[Operand]) -> str:
    xs = [_operand(tape, x) for x in operands]
    if operation in _INFIX:
        return f"{xs[0]} {_INFIX[operation]} {xs[1]}"
    if operation in _FLAGS:
        return f"(double)({xs[0]} {_FLAGS[operation]} {xs[1]})"
    if operation in _LIBRARY:
        return f"{_LIBRARY[operation]}({', '.join(xs)})"
    if operation in _OWN:
        return f"mg_{operation.name}({', '.join(xs)})"
    if operation in _SPECIAL:
        return _SPECIAL[operation](xs)
    raise TypeError(f"C source has the operations of the table, not your own: {operation.name}.")


def _operand(tape: Tape, x: Operand) -> str:
    if isinstance(x, float):
        return _number(x)
    inputs = len(tape.inputs)
    return f"inputs[{x}]" if x < inputs else f"parameters[{x - inputs}]" if x < tape.leaves else f"v{x}"


def _number(x: float) -> str:
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "(-INFINITY)"
    return repr(x) if x > 0 or repr(x) == "0.0" else f"({x!r})"


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}: {', '.join(f'{name} [{i}]' for i, name in enumerate(names)) or 'none'}"


def _sum(xs: Sequence[str]) -> str:
    return " + ".join(["0.0", *xs])


def _dot(xs: Sequence[str]) -> str:
    size = len(xs) // 2
    products = [f"{x} * {y}" for x, y in zip(xs[:size], xs[size : 2 * size], strict=True)]
    return " + ".join([*xs[2 * size :], *products]) if len(xs) % 2 else _sum(products)


def _logsumexp(xs: Sequence[str]) -> str:
    """Nested, since C has no list: log(exp(x) + exp(y)) is max(x, y) + log1p(exp(-|x - y|))."""
    if not xs:
        return "(-INFINITY)"
    text = xs[0]
    for x in xs[1:]:
        text = f"mg_logaddexp({text}, {x})"
    return text


_SPECIAL: Final[dict[Operation, Callable[[Sequence[str]], str]]] = {
    ops.neg: lambda xs: f"-{xs[0]}",
    ops.square: lambda xs: f"{xs[0]} * {xs[0]}",
    ops.stop_gradient: lambda xs: xs[0],
    ops.sum: _sum,
    ops.mean: lambda xs: f"({_sum(xs)}) / {float(len(xs))!r}",
    ops.dot: _dot,
    ops.logsumexp: _logsumexp,
}
