"""From a function, or from a graph that is there already, to a tape; and from a tape to one with gradients.

A function is run once, on Values, while the engine keeps every node (`modes.tracing`). The gradients are
those of `passes.final_gradients`, which sees the tape's instructions as Values again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from microgrannd import operations
from microgrannd.calculus.passes import final_gradients, gradients, tangents
from microgrannd.calculus.variable import Variable
from microgrannd.compiler.tape.tape import Instruction, Tape, TapeOperand
from microgrannd.engine import Value, number_of, topological_order
from microgrannd.ground import modes
from microgrannd.ground.arguments import shown
from microgrannd.ground.errors import TracingError
from microgrannd.ground.functions import argument_names
from microgrannd.ground.nests import SCALAR, Shape, builder, contents, leaf_names, shape_of
from microgrannd.ground.nests import leaves as scalars_of
from microgrannd.nodes.refusing import tracing_user_code


@dataclass(frozen=True)
class Trace:
    """What one run of the function showed: the forward tape, and how its numbers are arranged."""

    name: str
    names: tuple[str, ...]  # of the arguments
    shapes: tuple[Shape, ...]
    result: Shape
    tape: Tape
    parameters: tuple[Value, ...]  # the Values that the function closes over
    numbers: tuple[float, ...]  # of all leaves then
    # From the same inputs to numbers, one of which is not 0 where the function has noted that it raises for plain
    # numbers; and also where Python's own arithmetic does.
    refusals: Tape | None = None
    doubts: Tape | None = None


def trace(function: Callable[..., Any], arguments: Sequence[Any]) -> Trace:
    """Run the function on Values with the arguments' numbers and keep what it does."""
    names = tuple(argument_names(function, len(arguments), "x"))
    shapes = tuple(shape_of(argument) for argument in arguments)
    inputs: list[Value] = []
    nests = []
    for name, shape, argument in zip(names, shapes, arguments, strict=True):
        leaves = [Variable(x, label) for x, label in zip(scalars_of(argument), leaf_names(name, shape), strict=True)]
        nests.append(builder(shape)(leaves, 0))
        inputs += leaves
    with tracing_user_code(Value) as nodes:
        result = function(*nests)
        noted = modes.current.refusals
    # None is a part of a result like any other, but not all there is.
    nothing = result is None or (contents(result) and not scalars_of(result))
    outputs = [_checked_output(x) for x in ([None] if nothing else scalars_of(result))]
    found = _trace(_function_name(function), names, shapes, shape_of(result), inputs, outputs, nodes)
    refusals, doubts = _refusals(inputs, nodes, noted)
    return replace(found, refusals=refusals, doubts=doubts)


def trace_graph(output: Value, inputs: Sequence[Value]) -> Trace:
    """The trace of a graph that is there already; its other leaves are parameters."""
    for thing in (output, *inputs):
        if not isinstance(thing, Value):
            raise TypeError(f"compile(graph=y, inputs=[...]) takes Values, got {shown(thing)}.")
    shapes = (SCALAR,) * len(inputs)
    return _trace(output.label or "graph", _input_names(inputs), shapes, SCALAR, list(inputs), [output], [])


def differentiate(
    tape: Tape, numbers: Sequence[float], of: Sequence[int] | None = None, *, again: bool = False
) -> Tape:
    """The value and the derivatives of the tape's single output by the variables `of`; without them, by all leaves.

    `numbers` are the leaves'. Where one is not finite, the gradients have the guards that infinite leaves need.
    `again` says that the gradients will be differentiated too.
    """
    backward, by = gradients if again else final_gradients, range(tape.leaves) if of is None else of
    return _derived(tape, numbers, lambda value, variables: [value, *_slopes(backward, value, variables, by)])


def differentiate_forward(
    tape: Tape, numbers: Sequence[float], of: Sequence[int], directions: Sequence[int], ys: Sequence[int]
) -> Tape:
    """How fast the variables `ys` change while the leaves `of` do at the speeds that other leaves say."""

    def speeds(_: Value | float, variables: Sequence[Value]) -> list[Value | float]:
        xs, along = [variables[v] for v in of], [variables[v] for v in directions]
        return [*tangents([variables[v] for v in ys], xs, along)]

    return _derived(tape, numbers, speeds)


def differentiate_twice(tape: Tape, numbers: Sequence[float], of: Sequence[int]) -> Tape:
    """The second derivatives of the tape's single output by these leaves, a row of them after the other."""

    def rows(value: Value | float, variables: Sequence[Value]) -> list[Value | float]:
        slopes = _slopes(gradients, value, variables, of)
        return [entry for slope in slopes for entry in _slopes(final_gradients, slope, variables, of)]

    return _derived(tape, numbers, rows)


def _slopes(
    backward: Callable[..., list[Value]], value: Value | float, variables: Sequence[Value], of: Sequence[int]
) -> list[Value | float]:
    by = [variables[v] for v in of]
    return [*backward(value, by)] if isinstance(value, Value) else [0.0] * len(by)


def _derived(
    tape: Tape, numbers: Sequence[float], derive: Callable[[Value | float, Sequence[Value]], list[Value | float]]
) -> Tape:
    leaves = [Value(x, label) for x, label in zip(numbers, (*tape.inputs, *tape.parameters), strict=True)]
    with modes.tracing() as nodes:
        variables = tape.record(leaves)
        for v, label in tape.labels.items():
            if isinstance(variables[v], Value):
                variables[v].label = label
        [output] = tape.outputs
        forward = len(nodes)
        outputs = derive(variables[output] if isinstance(output, int) else output, variables)
    places: dict[Value, int] = {leaf: v for v, leaf in enumerate(leaves)}
    instructions = instructions_of(nodes, places)
    labels = {places[node]: node.label for node in (*leaves, *nodes) if node.label}
    operands = tuple(x if isinstance(x, float) else operand_of(x, places) for x in outputs)
    return Tape(tape.inputs, tape.parameters, instructions, operands, forward, labels)


def _trace(
    name: str, names: tuple[str, ...], shapes: tuple[Shape, ...], result: Shape,
    inputs: list[Value], outputs: list[Value | float], traced: list[Value],
) -> Trace:  # fmt: skip
    roots = [x for x in outputs if isinstance(x, Value)]
    position = {node: i for i, node in enumerate(traced)}
    # In the order of the code; what was there before the trace comes first.
    nodes = sorted(topological_order(*roots, leaves=False), key=lambda node: position.get(node, -1))
    given = set(inputs)
    leaves = (x for x in (*(parent for node in nodes for parent in node.parents), *roots) if x.op is None)
    parameters = [x for x in dict.fromkeys(leaves) if not x.is_constant and x not in given]
    places: dict[Value, int] = {leaf: v for v, leaf in enumerate((*inputs, *parameters))}
    if len(places) < len(inputs) + len(parameters):
        raise ValueError("An input is listed twice.")
    if not given.isdisjoint(nodes):
        raise ValueError("The inputs of a graph are leaves; one of these is computed.")
    instructions = instructions_of(nodes, places)
    labels = {places[node]: label for node in nodes if (label := _label(node))}
    operands = tuple(x if isinstance(x, float) else operand_of(x, places) for x in outputs)
    given_names, parameter_names = _input_names(inputs), tuple(_parameter_names(parameters))
    tape = Tape(given_names, parameter_names, instructions, operands, len(instructions), labels)
    numbers = tuple(map(number_of, (*inputs, *parameters)))
    return Trace(name, names, shapes, result, tape, tuple(parameters), numbers)


def _refusals(inputs: list[Value], traced: list[Value], noted: Sequence[Any]) -> list[Tape | None]:
    """The `refusals` and `doubts` of a trace; what depends on parameters is a Value in eager mode, and not refused."""
    doubtful = [node for node in traced if node.op in _PARTIAL and not _is_safe(node)]
    if not noted and not doubtful:
        return [None, None]
    of_data = set(inputs)
    for node in traced:
        if all(parent in of_data or parent.is_constant for parent in node.parents):
            of_data.add(node)
    flags: list[Value | float] = [flag for flag in noted if isinstance(flag, Value) and flag in of_data]
    doubts, made = list(flags), list(traced)
    with modes.recording():
        for node in doubtful:
            if node in of_data:
                difference = node - node  # 0 for every finite number
                flag = operations.not_equal(difference, 0.0)
                made += [difference, flag]
                doubts.append(flag)
    return [_trace("", (), (), SCALAR, inputs, found, made).tape if found else None for found in (flags, doubts)]


# For some numbers Python's own arithmetic raises, where that of Values gives infinity or NaN.
_PARTIAL: Final = frozenset([operations.div, operations.mod, operations.floordiv, operations.pow])


def _is_safe(node: Value) -> bool:
    second = node.parents[1]
    number = number_of(second)
    return second.is_constant and (number in range(17) if node.op is operations.pow else number != 0.0)


def instructions_of(nodes: Sequence[Value], places: dict[Value, int]) -> tuple[Instruction, ...]:
    """One for each node, whose place is added to `places`."""
    instructions = []
    for node in nodes:
        assert node.op is not None
        instructions.append(Instruction(node.op, tuple([operand_of(parent, places) for parent in node.parents])))
        places[node] = len(places)
    return tuple(instructions)


def operand_of(value: Value, places: dict[Value, int]) -> TapeOperand:
    place = places.get(value)
    return number_of(value) if place is None else place


def _label(node: Value) -> str:
    return f"{node.scope}.{node.op.name}" if node.op and node.scope and not node.label else node.label


def _input_names(inputs: Sequence[Value]) -> tuple[str, ...]:
    return tuple(x.label or f"x{i}" for i, x in enumerate(inputs))


def _parameter_names(parameters: Sequence[Value]) -> list[str]:
    counts = Counter(x.label for x in parameters)  # of two with the same label each has its scope before it
    names = [f"{x.scope}.{x.label}" if x.scope and x.label and counts[x.label] > 1 else x.label for x in parameters]
    return [name or f"p{i}" for i, name in enumerate(names)]


def _checked_output(x: Any) -> Value | float:
    if isinstance(x, Value):
        return x
    if operations.is_number(x):
        return float(x)
    hint = " Is there a `return`?" if x is None else ""
    raise TracingError(f"A compiled function returns Values or numbers, or a nest of them; got {shown(x)}.{hint}")


def _function_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "") or type(function).__name__
    return name if name.isidentifier() else "program"
