"""From a function, or from a graph that is there already, to a tape; and from a tape to one with gradients.

A function is run once, on Values, while the engine keeps every node (`modes.tracing`). The gradients are
those of `passes.final_gradients`, which sees the tape's instructions as Values again.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from microgrannd import operations
from microgrannd.calculus.passes import entries, final_gradients, gradients, tangents
from microgrannd.calculus.variable import Variable
from microgrannd.compiler.tape.simplify import drop_dead
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
    # Variables that are not 0 where the function has noted that it raises for plain numbers, and others for which
    # Python's own arithmetic may raise; what only these use comes `beyond` the tape.
    refusing: tuple[int, ...] = ()
    raising: tuple[int, ...] = ()
    beyond: tuple[Instruction, ...] = ()

    @cached_property
    def refusals(self) -> Tape | None:
        """From the inputs to numbers, one of which is not 0 where the function raises in eager mode."""
        return self._with_outputs((), self.refusing) if self.refusing else None

    @cached_property
    def doubts(self) -> Tape | None:
        """The same, where Python's own arithmetic raises too."""
        end = self.tape.leaves + len(self.tape.instructions) + len(self.beyond)
        count = len(self.raising)
        differences = [Instruction(operations.sub, (v, v)) for v in self.raising]  # 0 for every finite number
        flags = [Instruction(operations.not_equal, (end + i, 0.0)) for i in range(count)]
        outputs = (*self.refusing, *range(end + count, end + 2 * count))
        return self._with_outputs([*differences, *flags], outputs) if outputs else None

    def _with_outputs(self, more: Sequence[Instruction], outputs: tuple[int, ...]) -> Tape:
        instructions = (*self.tape.instructions, *self.beyond, *more)
        return drop_dead(replace(self.tape, instructions=instructions, outputs=outputs))


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
    raising = [node for node in nodes if node.op in _PARTIAL and not _is_safe(node)]
    refusing = [flag for flag in noted or () if isinstance(flag, Value)]
    if raising or refusing:
        of_data = _of_data(inputs, nodes)
        raising, refusing = ([node for node in found if node in of_data] for found in (raising, refusing))
    name = _function_name(function)
    return _trace(name, names, shapes, shape_of(result), inputs, outputs, nodes, refusing, raising)


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
    return _derived(tape, numbers, lambda values, variables: [values[0], *_slopes(backward, values[0], variables, by)])


def differentiate_forward(
    tape: Tape, numbers: Sequence[float], of: Sequence[int], directions: Sequence[int], ys: Sequence[int]
) -> Tape:
    """How fast the variables `ys` change while the leaves `of` do at the speeds that other leaves say."""

    def speeds(_: object, variables: Sequence[Value]) -> list[Value | float]:
        xs, along = [variables[v] for v in of], [variables[v] for v in directions]
        return [*tangents([variables[v] for v in ys], xs, along)]

    return _derived(tape, numbers, speeds)


def differentiate_twice(tape: Tape, numbers: Sequence[float], of: Sequence[int]) -> Tape:
    """The second derivatives of the tape's single output by these leaves, a row of them after the other."""

    def rows(values: Sequence[Value | float], variables: Sequence[Value]) -> list[Value | float]:
        slopes = _slopes(gradients, values[0], variables, of)
        return [entry for slope in slopes for entry in _slopes(final_gradients, slope, variables, of)]

    return _derived(tape, numbers, rows)


def differentiate_sparsely(
    tape: Tape, numbers: Sequence[float], of: Sequence[int], *, twice: bool
) -> tuple[Tape, list[int], list[int]]:
    """The derivatives by these leaves that are not 0 whatever the numbers are, and the row and the column of each.

    A row is an output's; `twice`, it is that of a derivative of the single output, from the diagonal on.
    """
    places: list[tuple[int, int]] = []

    def derive(values: Sequence[Value | float], variables: Sequence[Value]) -> list[Value | float]:
        by = [variables[v] for v in of]
        ys = _slopes(gradients, values[0], variables, of) if twice else values
        found = list(entries(ys, by, upper=twice))
        places.extend((row, column) for row, column, _ in found)
        return [slope for _, _, slope in found]

    derived = _derived(tape, numbers, derive)
    return derived, [row for row, _ in places], [column for _, column in places]


def _slopes(
    backward: Callable[..., list[Value]], value: Value | float, variables: Sequence[Value], of: Sequence[int]
) -> list[Value | float]:
    by = [variables[v] for v in of]
    return [*backward(value, by)] if isinstance(value, Value) else [0.0] * len(by)


def _derived(
    tape: Tape, numbers: Sequence[float], derive: Callable[[list[Value | float], Sequence[Value]], list[Value | float]]
) -> Tape:
    leaves = [Value(x, label) for x, label in zip(numbers, (*tape.inputs, *tape.parameters), strict=True)]
    with modes.tracing() as nodes:
        variables = tape.record(leaves)
        for v, label in tape.labels.items():
            if isinstance(variables[v], Value):
                variables[v].label = label
        forward = len(nodes)
        outputs = derive([variables[x] if isinstance(x, int) else x for x in tape.outputs], variables)
    places: dict[Value, int] = {leaf: v for v, leaf in enumerate(leaves)}
    instructions = instructions_of(nodes, places)
    labels = {places[node]: node.label for node in (*leaves, *nodes) if node.label}
    operands = tuple(x if isinstance(x, float) else operand_of(x, places) for x in outputs)
    return Tape(tape.inputs, tape.parameters, instructions, operands, forward, labels)


def _trace(
    name: str, names: tuple[str, ...], shapes: tuple[Shape, ...], result: Shape,
    inputs: list[Value], outputs: list[Value | float], traced: list[Value],
    refusing: Sequence[Value] = (), raising: Sequence[Value] = (),
) -> Trace:  # fmt: skip
    roots = [x for x in outputs if isinstance(x, Value)]
    position = {node: i for i, node in enumerate(traced)}
    needed = set(roots)
    for node in reversed(traced):
        if node in needed:
            needed.update(node.parents)
    nodes = [node for node in traced if node in needed]
    if any(node.op is not None and node not in position for node in needed):  # what was there before the trace
        order = topological_order(*roots, leaves=False)
        nodes = [*[node for node in order if node not in position], *nodes]
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
    unused = [node for node in (*refusing, *raising) if node not in places]
    beyond = _before(unused, places, position)
    return Trace(
        name, names, shapes, result, tape, tuple(parameters), numbers,
        beyond=instructions_of(beyond, places),
        refusing=tuple([places[node] for node in refusing]), raising=tuple([places[node] for node in raising]),
    )  # fmt: skip


def _of_data(inputs: list[Value], traced: list[Value]) -> set[Value]:
    """The nodes that depend on no parameter: what does is a Value in eager mode, and not refused."""
    found = set(inputs)
    for node in traced:
        if all(parent in found or parent.is_constant for parent in node.parents):
            found.add(node)
    return found


def _before(nodes: Iterable[Value], places: Container[Value], position: dict[Value, int]) -> list[Value]:
    """These nodes and those that they are made of, but for what has a place, in the order of the code."""
    found, waiting = set[Value](), list(nodes)
    while waiting:
        node = waiting.pop()
        if node.op is not None and node not in places and node not in found:
            found.add(node)
            waiting += node.parents
    return sorted(found, key=position.__getitem__)


# For some numbers Python's own arithmetic raises, where that of Values gives infinity or NaN.
_PARTIAL: Final = frozenset([operations.div, operations.mod, operations.floordiv, operations.pow])


def _is_safe(node: Value) -> bool:
    second = node.parents[1]
    number = number_of(second)
    return second.is_constant and (number in range(17) if node.op is operations.pow else number != 0.0)


def instructions_of(nodes: Sequence[Value], places: dict[Value, int]) -> tuple[Instruction, ...]:
    """One for each node, whose place is added to `places`."""
    instructions, place_of = [], places.get
    for node in nodes:
        assert node.op is not None
        operands = [number_of(x) if (place := place_of(x)) is None else place for x in node.parents]
        instructions.append(Instruction(node.op, tuple(operands)))
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
