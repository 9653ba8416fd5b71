"""`Optimizer`: what all optimizers share, the parameters, their groups, and a memory for each parameter.

What a step does to one parameter is said once, in `update`: eager mode runs it on floats, and the compiler traces it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, TypeAlias

from microgrannd.engine import Constant, Value, number_of, zero_grad
from microgrannd.ground.arguments import function_of, list_of, must_be, shown, text, wrong
from microgrannd.operations import Number, as_float, is_number

Parameters: TypeAlias = "Iterable[Value] | Iterable[Mapping[str, Any]]"

_AT_LEAST_ZERO: Final = {
    **{"lr": "learning rate lr", "momentum": "momentum", "weight_decay": "weight decay", "eps": "eps"},
    **{"alpha": "share alpha", "lr_decay": "decay lr_decay", "initial_accumulator_value": "initial_accumulator_value"},
}
_CHECKED: Final = {*_AT_LEAST_ZERO, "betas"}
_OWN: Final = ("parameters", "groups", "memory", "steps")  # what is no setting
_grad_of: Callable[[Value], float] = attrgetter("grad")


class ParameterGroup:
    """Some parameters of an optimizer with settings of their own, as attributes; the others are the optimizer's."""

    parameters: list[Value]
    settings: dict[str, Any]

    def __init__(self, parameters: list[Value], known: frozenset[str], settings: Mapping[str, Any], since: int) -> None:
        must_be("settings", settings, Mapping)
        known = frozenset(list_of("known", known, "a list of names", str))
        list_of("settings", settings, "a dict by names", str)
        vars(self).update(parameters=parameters, known=known, settings={}, since=since)
        for name, value in settings.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        known = vars(self)["known"]
        if name not in known:
            raise AttributeError(f"A group has no {name}; what can be set are {', '.join(sorted(known))}.")
        self.settings[name] = _checked(name, value)

    def __getattr__(self, name: str) -> Any:
        settings = vars(self).get("settings", {})
        if name not in settings:
            raise AttributeError(f"The group has no {name} of its own.")
        return settings[name]

    def __repr__(self) -> str:
        own = "".join(f", {name}={value}" for name, value in self.settings.items())
        return f"ParameterGroup({len(self.parameters)} parameters{own})"


class Optimizer:
    """What the optimizers share: the parameters, the learning rate and a memory for each parameter.

    `parameters` are Values. Some may have settings of their own: then they are a dict, such as
    `{"parameters": model.layers[0].parameters(), "lr": 0.01}`, and one of the optimizer's `groups`, whose settings may
    be changed too; `optimizer.lr` is that of all others.

    Your own optimizer is a subclass with an `update()`, which is compiled too, or with a `step()` of its own. Raises
    ValueError without parameters, TypeError for a parameter that is no Value and ValueError for one that is no leaf.

    >>> from microgrannd import operations
    >>> class SignDescent(Optimizer):
    ...     def update(self, settings, gradient, parameter):
    ...         return parameter - settings.lr * operations.sign(gradient)
    >>> p = Value(1.0)
    >>> optimizer = SignDescent([p], lr=0.25)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> p.data
    0.75
    """

    memory_names: Sequence[str] = ()
    lr: float

    def __init__(self, parameters: Parameters, lr: Number) -> None:
        given = _several(parameters)
        self.groups: list[ParameterGroup] = []
        self.parameters = _leaves([part for part in given if not isinstance(part, Mapping)])
        self.lr = lr
        self.steps = 0
        self.memory: dict[str, list[float]] = {}  # by name, a number for each parameter
        for group in (part for part in given if isinstance(part, Mapping)):
            if "parameters" not in group:
                raise ValueError(f"A group is a dict with 'parameters' and settings; this has {', '.join(group)}.")
            self.add_parameters(**group)
        if not self.parameters:
            raise ValueError("An optimizer needs at least one parameter, got an empty list.")

    def add_parameters(self, parameters: Iterable[Value], **settings: Any) -> None:
        """Train these parameters too, from the next step on; with settings of their own they are a group.

        Raises ValueError for a parameter that the optimizer has, AttributeError for a setting that it has not.

        >>> from microgrannd.optim import SGD
        >>> p, q = Value(1.0), Value(1.0)
        >>> optimizer = SGD([p], lr=0.5)
        >>> optimizer.add_parameters([q], lr=0.25)
        >>> (p + q).backward()
        >>> optimizer.step()
        >>> p.data, q.data
        (0.5, 0.75)
        """
        added = _leaves(_several(parameters))
        if not {id(parameter) for parameter in self.parameters}.isdisjoint(map(id, added)):
            raise ValueError("A parameter is trained once, with one group's settings: the optimizer has some of these.")
        if settings and type(self).update is Optimizer.update:
            raise TypeError(f"{type(self).__name__} has no update() that would look at the settings of a group.")
        if settings or self.steps:
            known = [name for name in dir(type(self)) if not isinstance(getattr(type(self), name), property)]
            known = [name for name in (*known, *vars(self)) if name not in _OWN and _is_setting(getattr(self, name))]
            self.groups.append(ParameterGroup(added, frozenset(known), settings, self.steps))
        self.parameters += added

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHECKED and not isinstance(getattr(type(self), name, None), property):
            value = _checked(name, value)
        ours = type(self).__module__.startswith("microgrannd.")  # one of yours may have its own, set at any time
        if ours and "memory" in self.__dict__ and not hasattr(self, name):
            known = ", ".join(sorted(self.__dict__.keys() - set(_OWN)))
            raise AttributeError(
                f"{type(self).__name__} has no {name}; what can be set are {known} (lr is the learning rate)."
            )
        object.__setattr__(self, name, value)

    @property
    def first(self) -> Any:
        """Whether this step is the first: 1 or True, and otherwise 0 or False."""
        return self.steps == 1

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """The parameter after a step, or a tuple of it and what it remembers, in the order of `memory_names`.

        All are floats, or Values while the compiler traces this. `settings` has the numbers of the optimizer: `lr` and
        whatever else it was made with; `steps`, the count of this step from 1; and `first`, whether it is the first.
        A setting that is 0 is so in an `if` too; what depends on the other numbers is said with `where`.
        """
        raise NotImplementedError("A subclass of Optimizer says what a step is: it has an update(), or a step().")

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        zero_grad(self.parameters)

    def step_on(self, backward: Callable[[], float]) -> float:
        """A step by the gradients that `backward()` adds to those of the parameters; the loss that it gives."""
        function_of("backward", backward)
        self.zero_grad()
        loss = backward()
        self.step()
        return loss

    def step(self) -> None:
        """Change every parameter by its gradient."""
        self.steps += 1
        memory = [self.memory_of(name) for name in self.memory_names]
        given = (map(_grad_of, self.parameters), map(number_of, self.parameters), *memory)
        try:
            settings = self._settings_of_each() if self.groups else repeat(self)
            results: Sequence[Any] = list(map(self.update, settings, *given))
        except BaseException:
            self.steps -= 1
            raise
        if self.groups:  # of which some may remember nothing
            results = [x if isinstance(x, tuple) else (x, *kept) for x, *kept in zip(results, *memory, strict=True)]
        if results and isinstance(results[0], tuple):
            results, *columns = zip(*results, strict=True)
            for kept, numbers in zip(memory, columns, strict=True):
                kept[: len(numbers)] = numbers
        for parameter, number in zip(self.parameters, results, strict=True):
            parameter.data = number

    def _settings_of_each(self) -> list[Any]:
        settings: dict[int, Any] = {}
        for group in self.groups:
            own = object.__new__(type(self))  # as this optimizer would be with the group's settings
            vars(own).update(vars(self) | group.settings, steps=self.steps - vars(group)["since"])
            settings |= dict.fromkeys(map(id, group.parameters), own)
        return [settings.get(id(parameter), self) for parameter in self.parameters]

    def memory_of(self, name: str) -> list[float]:
        """What is remembered under this name, a number for each parameter; zeros at first."""
        kept = self.memory.setdefault(text("name", name), [])
        kept += [0.0] * (len(self.parameters) - len(kept))
        return kept

    def state_dict(self) -> dict[str, Any]:
        """What a later run needs to go on in the same way, as plain numbers, names and lists."""
        memory = {name: list(numbers) for name, numbers in self.memory.items()}
        groups = [{"since": vars(group)["since"], "settings": dict(group.settings)} for group in self.groups]
        return {"kind": type(self).__name__, "lr": self.lr, "steps": self.steps, "memory": memory, "groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict()` was taken. Raises ValueError for the state of another kind of optimizer."""
        if not isinstance(state, Mapping) or (
            lacking := [key for key in ("lr", "steps", "memory") if key not in state]
        ):
            wanted = f"it lacks {lacking[0]!r}" if isinstance(state, Mapping) else f"it is {shown(state)}"
            raise ValueError(f"This is no state that state_dict() gave: {wanted}.")
        if not (isinstance(state["steps"], int) and state["steps"] >= 0):
            raise ValueError(f"The steps of a state are an int of at least 0, got {shown(state['steps'])}.")
        memory = {name: list(map(as_float, numbers)) for name, numbers in state["memory"].items()}
        for name, numbers in memory.items():
            if (size := len(numbers)) != (own := len(self.parameters)):
                raise ValueError(f"The state has a {name} for {size} parameters; this optimizer has {own}.")
        missing = [name for name in self.memory_names if name not in memory] if state["steps"] else []
        foreign = [name for name in memory if name not in self.known_memory()]
        if type(self).step is Optimizer.step and (missing or foreign):
            needed, given = (" and ".join(names) or "nothing" for names in (self.memory_names, memory))
            raise ValueError(f"This is no state of {type(self).__name__}, which remembers {needed}: it has {given}.")
        if (kind := state.get("kind", type(self).__name__)) != type(self).__name__:
            raise ValueError(f"This is no state of {type(self).__name__}: it is one of {kind}.")
        groups = state.get("groups", [])
        if len(groups) != len(self.groups):
            raise ValueError(
                f"The state has {len(groups)} groups of parameters; this optimizer has {len(self.groups)}."
            )
        read = [
            ParameterGroup(own.parameters, vars(own)["known"], kept["settings"], kept["since"])
            for own, kept in zip(self.groups, groups, strict=True)
        ]
        self.lr, self.groups, self.steps, self.memory = state["lr"], read, state["steps"], memory

    def known_memory(self) -> Sequence[str]:
        """All names that its memory may have, whatever the settings are."""
        return self.memory_names

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters)} parameters, lr={self.lr:g})"


def _checked(name: str, value: Any) -> Any:
    """The setting of an optimizer, as it is kept."""
    if name == "betas":
        betas = tuple(value) if isinstance(value, Sequence) else ()
        if len(betas) != 2 or not all(is_number(beta) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {shown(value)}.")
        return betas
    if name not in _AT_LEAST_ZERO:
        return value
    if not is_number(value):
        raise TypeError(f"The {_AT_LEAST_ZERO[name]} is a number, got {shown(value)}.")
    if not value >= 0:
        raise ValueError(f"The {_AT_LEAST_ZERO[name]} is at least 0, got {value}.")
    return float(value)


def _is_setting(thing: Any) -> bool:
    return is_number(thing) or (isinstance(thing, tuple) and bool(thing) and all(map(is_number, thing)))


def _several(parameters: Any) -> list[Any]:
    wanted = "a list of parameters, such as model.parameters()"
    if isinstance(parameters, Mapping):
        raise wrong("parameters", wanted, parameters)
    return list_of("parameters", parameters, wanted)


def _leaves(parameters: Iterable[Value]) -> list[Value]:
    leaves = {id(parameter): parameter for parameter in parameters}
    for parameter in leaves.values():
        if not isinstance(parameter, Value) or isinstance(parameter, Constant):
            raise TypeError(f"Parameters are Values, got {shown(parameter)}.")
        if parameter.op is not None:
            remedy = "give the leaves it was computed from, or its .detach()"
            raise ValueError(
                f"Parameters are leaves, but {parameter!r} is computed by {parameter.op.name!r}: {remedy}."
            )
    return list(leaves.values())
