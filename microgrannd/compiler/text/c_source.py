"""C source: the tape as one C99 file with a header, for another program. It needs the C library alone."""

from collections.abc import Sequence
from typing import NamedTuple

from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.printing.c import DEFINITIONS, C, c_name
from microgrannd.printing.labels import Names
from microgrannd.printing.printer import Expression


class CSource(NamedTuple):
    header: str
    body: str


def c_source(name: str, values: Tape, gradients: Tape | None, parameters: Sequence[float], header: str) -> CSource:
    """A tape as C; `gradients` has the value and all gradients, and `header` is the name of the header's file."""
    name = c_name(name)
    tapes = [expanded(tape, C.templates) for tape in (values, gradients) if tape]
    functions = [_value(name, tapes[0], single=gradients is not None)]
    functions += [_gradient(name, tape) for tape in tapes[1:]]
    used = {operation for tape in tapes for operation, _ in tape.instructions}
    numbers = f"const double {name}_parameters[{max(1, len(parameters))}]"
    body = [
        C.comment(f"{name}, written by microgrannd: C99, and nothing but its library."),
        *("#include <math.h>", "#include <stddef.h>", f'#include "{_included(header)}"', ""),
        *[text for operation, text in DEFINITIONS.items() if operation in used],
        *("", f"{numbers} = {{{', '.join(C.number(x).text() for x in parameters or [0.0])}}};"),
        *[line for function in functions for line in ("", f"{function.head} {{", *function.lines, "}")],
    ]
    guard = Names((), ascii_only=True).identifier(f"{header.upper()}_")
    top = [
        *(f"#ifndef {guard}", f"#define {guard}", ""),
        C.comment(_listed("inputs", values.inputs)),
        C.comment(f"{_listed('parameters', values.parameters)}; {name}_parameters has their numbers."),
        f"extern {numbers};",
        *[line for function in functions for line in ("", C.comment(function.meaning), f"{function.head};")],
        *("", "#endif"),
    ]
    return CSource("\n".join(top) + "\n", "\n".join(body) + "\n")


class _CFunction(NamedTuple):
    head: str
    meaning: str
    lines: list[str]


_LEAVES = "const double *inputs, const double *parameters"


def _value(name: str, tape: Tape, *, single: bool) -> _CFunction:
    outputs = [_operand(tape, x).text() for x in tape.outputs]
    if single:
        lines = [*_lines(tape), f"    return {outputs[0]};"]
        return _CFunction(f"double {name}({_LEAVES})", "The value.", lines)
    lines = [*_lines(tape), *[f"    outputs[{i}] = {x};" for i, x in enumerate(outputs)]]
    return _CFunction(f"void {name}({_LEAVES}, double *outputs)", f"The values, {len(outputs)} of them.", lines)


def _gradient(name: str, tape: Tape) -> _CFunction:
    value, *slopes = [_operand(tape, x).text() for x in tape.outputs]
    lines, inputs = _lines(tape), len(tape.inputs)
    for array, found in (("by_inputs", slopes[:inputs]), ("by_parameters", slopes[inputs:])):
        assigned = [f"        {array}[{i}] = {x};" for i, x in enumerate(found)]
        lines += [f"    if ({array} != NULL) {{", *assigned, "    }"]
    return _CFunction(
        f"double {name}_gradient({_LEAVES}, double *by_inputs, double *by_parameters)",
        "The value and its gradients; either array may be NULL.",
        [*lines, f"    return {value};"],
    )


def _lines(tape: Tape) -> list[str]:
    lines = ["    (void)inputs; (void)parameters;"]
    for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
        written = C.expression(operation, [_operand(tape, x) for x in operands])
        lines.append(f"    double v{v} = {written.text()};")
    return lines


def _operand(tape: Tape, x: TapeOperand) -> Expression:
    if isinstance(x, float):
        return C.number(x)
    inputs = len(tape.inputs)
    return Expression(f"inputs[{x}]" if x < inputs else f"parameters[{x - inputs}]" if x < tape.leaves else f"v{x}")


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}: {', '.join(f'{name} [{i}]' for i, name in enumerate(names)) or 'none'}"


def _included(header: str) -> str:
    if not header.isprintable() or '"' in header:
        raise ValueError(f"C has no way to include a file of this name: {header!r}.")
    return header
