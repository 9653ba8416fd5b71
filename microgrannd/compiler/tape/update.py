"""An optimizer's `update`, traced: what it does once in a step, and what it does to each parameter."""

import operator
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from microgrannd.calculus.variable import Variable
from microgrannd.compiler.tape.simplify import simplify
from microgrannd.compiler.tape.tape import Instruction, Rewriter, Tape, TapeOperand, rewrite
from microgrannd.compiler.tape.trace import trace
from microgrannd.engine import Value, number_of, zero_grad
from microgrannd.learning.optimizer import Optimizer
from microgrannd.learning.reached import Reached
from microgrannd.operations import Operation, is_number, mul


class Update(NamedTuple):
    """An optimizer's `update` in two tapes."""

    # From 1 / batch size, the count of the step and the settings to a few numbers, which are the other's parameters.
    shared: Tape
    each: Tape  # from a summed gradient, a parameter and its memory to the parameter and the memory after the step
    memory: tuple[str, ...]


class _Setting(Variable):
    """A setting that is not 0: so much of it an `if` may know, since it is traced anew when it becomes 0."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


_OWN: Final = ("parameters", "groups", "memory", "steps")
_traced: WeakKeyDictionary[type, dict[Any, tuple[Update | None, Reached]]] = WeakKeyDictionary()


def update_of(optimizer: Optimizer) -> Update | None:
    """The update as the optimizer's settings stand; None where only the optimizer itself can take its step."""
    kind, state = type(optimizer), vars(optimizer)
    if optimizer.groups:
        return None
    for name in ("step", "step_on", "zero_grad", "memory_of"):
        if getattr(kind, name) is not getattr(Optimizer, name) or name in state:
            return None
    settings = _settings(optimizer)
    rest = {name: x for name, x in state.items() if name not in settings and name not in _OWN}
    if "update" in rest or not all(x is None or isinstance(x, bool | str) for x in rest.values()):
        return None
    zero = tuple([(name, _each(x, lambda number: number == 0)) for name, x in settings.items()])
    key = (kind.update, tuple(optimizer.memory_names), zero, tuple(rest.items()))
    known = _traced.setdefault(kind, {})
    if key not in known or (kind.__module__ != Optimizer.__module__ and known[key][1].changed()):
        known[key] = _traced_once(optimizer, settings), Reached(kind.update, kind, apart_from=kind)
    return known[key][0]


class Places(NamedTuple):
    """Where the parameters of a program stand in an optimizer, which may have others besides."""

    parameters: Sequence[Value]
    optimizer: Optimizer
    positions: Sequence[int]
    others: Sequence[Value]

    def memory(self, names: Sequence[str]) -> list[list[float]]:
        columns = [self.optimizer.memory_of(name) for name in names]
        return [[column[i] for i in self.positions] for column in columns]

    def write(self, names: Sequence[str], arrays: Iterator[Any]) -> None:
        """Put the parameters' numbers, gradients and memory where they belong; each array is asked for when due."""
        for parameter, number in zip(self.parameters, next(arrays).tolist(), strict=True):
            parameter.data = number
        for parameter, gradient in zip(self.parameters, next(arrays).tolist(), strict=True):
            parameter.grad = gradient
        for name, column in zip(names, arrays, strict=True):
            kept = self.optimizer.memory_of(name)
            for position, number in zip(self.positions, column.tolist(), strict=True):
                kept[position] = number
        zero_grad(self.others)  # no sample reaches them


def places_of(parameters: Sequence[Value], optimizer: Optimizer, update: Update) -> Places | None:
    """None unless the optimizer has all of the parameters, and no others that its steps move without a gradient."""
    if len(parameters) == len(optimizer.parameters) and all(map(operator.is_, parameters, optimizer.parameters)):
        return Places(parameters, optimizer, range(len(parameters)), ())
    position = {parameter: i for i, parameter in enumerate(optimizer.parameters)}
    found = [position.pop(parameter, -1) for parameter in parameters]
    if -1 in found:
        return None
    if position:
        if type(optimizer).__module__ != Optimizer.__module__:
            return None  # its steps may begin to move them later on
        shared = update.shared.run((1.0, optimizer.steps + 1.0, *settings_of(optimizer)))
        columns = [optimizer.memory_of(name) for name in update.memory]
        for parameter, i in position.items():
            kept = [number_of(parameter), *[column[i] for column in columns]]
            if update.each.run((0.0, *kept), shared) != kept:
                return None
    return Places(parameters, optimizer, found, list(position))


def settings_of(optimizer: Optimizer) -> list[float]:
    """The numbers of an optimizer, in the order in which `shared` takes them."""
    return [float(number) for x in _settings(optimizer).values() for number in (x if isinstance(x, tuple) else (x,))]


def rate_place(optimizer: Optimizer) -> int | None:
    """Where the learning rate is among the numbers of `settings_of`."""
    place = 0
    for name, x in _settings(optimizer).items():
        if name == "lr":
            return place
        place += len(x) if isinstance(x, tuple) else 1
    return None


def _settings(optimizer: Optimizer) -> dict[str, Any]:
    """Its numbers and tuples of numbers, and those of its class, by name."""
    kinds = reversed(type(optimizer).__mro__) if type(optimizer).__module__ != Optimizer.__module__ else ()
    found = {name: x for kind in kinds for name, x in vars(kind).items()} | vars(optimizer)
    return {name: x for name, x in found.items() if name not in _OWN and _is_setting(x)}


def _is_setting(thing: Any) -> bool:
    if isinstance(thing, tuple):
        return bool(thing) and all(map(_is_setting, thing))
    return type(thing) is float or (is_number(thing) and not isinstance(thing, bool))


def _each(setting: Any, function: Any) -> Any:
    return tuple(map(function, setting)) if isinstance(setting, tuple) else function(setting)


def _traced_once(optimizer: Optimizer, settings: dict[str, Any]) -> Update | None:
    """The update; None where it cannot be traced, draws random numbers or changes something."""
    before = Reached(type(optimizer).update, type(optimizer), apart_from=type(optimizer))
    try:
        update = None if before.iterators else _trace(optimizer, settings)
    except Exception:  # whatever it is, the optimizer itself will say so
        update = None
    if before.drawn() or before.changed():
        before.restore()
        return None
    return update


def _trace(optimizer: Optimizer, settings: dict[str, Any]) -> Update | None:
    """Its `update` is run on a stand-in for it, whose settings are Values; those that are 0 are numbers."""
    share, steps = Value(1.0, "share"), Value(1.0, "steps")
    given: list[Value | None] = [share, steps]

    def stands_for(number: Any) -> Any:
        given.append(_Setting(float(number)) if number != 0 else None)
        return given[-1] if given[-1] is not None else 0

    names = {name: _each(setting, stands_for) for name, setting in settings.items()}
    stand_in = object.__new__(type(optimizer))
    own = {name: x for name, x in vars(optimizer).items() if name not in _OWN}
    vars(stand_in).update(own | names | {"steps": steps})
    memory = tuple(optimizer.memory_names)
    found = trace(lambda g, p, *kept: stand_in.update(stand_in, share * g, p, *kept), (0.5, 0.5, *[0.5] * len(memory)))
    if len(found.tape.outputs) not in (1, 1 + len(memory)) or not set(found.parameters) <= set(given):
        return None
    place = {value: i for i, value in enumerate(given)}
    order = [place[value] for value in found.parameters]
    tape = rewrite(found.tape, _factors_together)
    if len(tape.outputs) == 1:  # the memory stays as it is
        tape = tape.with_outputs((*tape.outputs, *range(2, 2 + len(memory))))
    shared, each = _parted(simplify(tape), order, len(given))
    return Update(simplify(shared), each, memory)


def _is_shared(writer: Rewriter, x: TapeOperand) -> bool:
    """Whether it depends on nothing but the settings, which are the parameters of the tape."""
    if isinstance(x, float) or x < writer.leaves:
        return isinstance(x, float) or x >= len(writer.tape.inputs)
    definition = writer.definition(x)
    return definition is not None and all(_is_shared(writer, operand) for operand in definition.operands)


def _factors_together(writer: Rewriter, operation: Operation, operands: tuple[TapeOperand, ...]) -> Instruction | None:
    """a · (b · x) as (a · b) · x, where a and b are shared: one product for each parameter, not two."""
    if operation is not mul:
        return None
    (a, product), inner = sorted(operands, key=lambda x: not _is_shared(writer, x)), None
    if isinstance(product, int) and _is_shared(writer, a) and not _is_shared(writer, product):
        inner = writer.definition(product)
    if inner is None or inner.operation is not mul:
        return None
    b, x = sorted(inner.operands, key=lambda x: not _is_shared(writer, x))
    if not _is_shared(writer, b) or _is_shared(writer, x):
        return None
    return Instruction(mul, (writer.place(mul, (a, b)), x))


def _parted(tape: Tape, order: Sequence[int], count: int) -> tuple[Tape, Tape]:
    """What depends on the tape's parameters alone, which are its inputs in these places of `count`; and the rest."""
    inputs, leaves = len(tape.inputs), tape.leaves
    place = dict(zip(range(inputs, leaves), order, strict=True))
    once: list[Instruction] = []
    for v, (operation, operands) in enumerate(tape.instructions, leaves):
        if all(x in place for x in operands if isinstance(x, int)):
            place[v] = count + len(once)
            once.append(Instruction(operation, _moved(operands, place)))
    rest = [(v, instruction) for v, instruction in enumerate(tape.instructions, leaves) if v not in place]
    reads = (*[x for _, (_, operands) in rest for x in operands], *tape.outputs)
    used = list(dict.fromkeys([x for x in reads if isinstance(x, int) and x in place]))
    moved = {v: i for i, v in enumerate((*range(inputs), *used, *[v for v, _ in rest]))}
    each = [Instruction(operation, _moved(operands, moved)) for _, (operation, operands) in rest]
    given, names = (tuple([f"n{i}" for i in range(size)]) for size in (count, len(used)))
    return (
        Tape(given, (), tuple(once), _moved(used, place), len(once)),
        Tape(tape.inputs, names, tuple(each), _moved(tape.outputs, moved), len(each)),
    )


def _moved(operands: Sequence[TapeOperand], place: dict[int, int]) -> tuple[TapeOperand, ...]:
    return tuple([place[x] if isinstance(x, int) else x for x in operands])
