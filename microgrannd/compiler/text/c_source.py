"""C source: the tape as one C99 file with a header, for another program. It needs the C library alone."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from microgrannd.compiler.tape.expand import expanded
from microgrannd.compiler.tape.tape import Tape, TapeOperand
from microgrannd.operations import Operation
from microgrannd.printing.c import DEFINITIONS, C, c_name
from microgrannd.printing.labels import Names
from microgrannd.printing.printer import Expression


class CSource(NamedTuple):
    header: str
    body: str


class CBody(NamedTuple):
    """A function of `inputs` and `parameters`: its lines, its outputs, the lines after them, its operations."""

    lines: list[str]
    outputs: list[str]
    end: list[str]
    operations: frozenset[Operation]


def straight_lines(tape: Tape) -> CBody:
    """The tape as the body of a function."""
    tape = expanded(tape, C.templates)
    lines = []
    for v, (operation, operands) in enumerate(tape.instructions, tape.leaves):
        written = C.expression(operation, [_operand(tape, x) for x in operands])
        lines.append(f"double v{v} = {written.text()};")
    outputs = [_operand(tape, x).text() for x in tape.outputs]
    return CBody(lines, outputs, [], frozenset(operation for operation, _ in tape.instructions))


class Named(Protocol):
    """A program in whatever form: its leaves by name."""

    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...


def c_source(
    name: str, values: Named, gradients: Named | None, parameters: Sequence[float], header: str,
    body_of: Callable[[Any], CBody] = straight_lines,
) -> CSource:  # fmt: skip
    """A program as C; `gradients` has the value and all gradients, and `header` is the name of the header's file."""
    name = c_name(name)
    values_body, gradients_body = body_of(values), gradients and body_of(gradients)
    functions = [_value(name, values_body, single=gradients is not None)]
    functions += [_gradient(name, gradients_body, len(values.inputs))] if gradients_body else []
    used = values_body.operations | (gradients_body.operations if gradients_body else frozenset())
    allocates = bool(values_body.end or (gradients_body and gradients_body.end))
    array = f"const double {name}_parameters[{max(1, len(parameters))}]"
    body = [
        C.comment(f"{name}, written by microgrannd: C99, and nothing but its library."),
        *("#include <math.h>", "#include <stddef.h>", *["#include <stdlib.h>"] * allocates),
        *(f'#include "{_included(header)}"', ""),
        *[text for operation, text in DEFINITIONS.items() if operation in used],
        *("", f"{array} = {{{', '.join(C.number(x).text() for x in parameters or [0.0])}}};"),
        *[line for function in functions for line in ("", f"{function.head} {{", *function.lines, "}")],
    ]
    guard = Names((), ascii_only=True).identifier(f"{header.upper()}_")
    top = [
        *(f"#ifndef {guard}", f"#define {guard}", ""),
        C.comment(_listed("inputs", values.inputs)),
        C.comment(f"{_listed('parameters', values.parameters)}; {name}_parameters has their numbers."),
        f"extern {array};",
        *[line for function in functions for line in ("", C.comment(function.meaning), f"{function.head};")],
        *("", "#endif"),
    ]
    return CSource("\n".join(top) + "\n", "\n".join(body) + "\n")


class _CFunction(NamedTuple):
    head: str
    meaning: str
    lines: list[str]


_LEAVES = "const double *inputs, const double *parameters"


def _value(name: str, body: CBody, *, single: bool) -> _CFunction:
    if single:
        lines = [f"const double value = {body.outputs[0]};", *body.end, "return value;"]
        return _CFunction(f"double {name}({_LEAVES})", "The value.", _lines(body, "return NAN", lines))
    lines = [*[f"outputs[{i}] = {x};" for i, x in enumerate(body.outputs)], *body.end]
    failed = f"{{ for (int k = 0; k < {len(body.outputs)}; k++) outputs[k] = NAN; return; }}"
    meaning = f"The values, {len(body.outputs)} of them."
    return _CFunction(f"void {name}({_LEAVES}, double *outputs)", meaning, _lines(body, failed, lines))


def _gradient(name: str, body: CBody, inputs: int) -> _CFunction:
    value, *slopes = body.outputs
    lines = list[str]()
    for array, found in (("by_inputs", slopes[:inputs]), ("by_parameters", slopes[inputs:])):
        assigned = [f"    {array}[{i}] = {x};" for i, x in enumerate(found)]
        lines += [f"if ({array} != NULL) {{", *assigned, "}"]
    if body.end:
        lines += [f"const double result = {value};", *body.end]
    return _CFunction(
        f"double {name}_gradient({_LEAVES}, double *by_inputs, double *by_parameters)",
        "The value and its gradients; either array may be NULL.",
        _lines(body, "return NAN", [*lines, f"return {'result' if body.end else value};"]),
    )


def _lines(body: CBody, failed: str, more: Sequence[str]) -> list[str]:
    first = "(void)inputs; (void)parameters;"
    return [f"    {line.replace('FAILED', failed)}" for line in (first, *body.lines, *more)]


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
