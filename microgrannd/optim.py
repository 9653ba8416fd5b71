"""Optimizers: how parameters follow their gradients. `SGD`, `Adam`, `AdamW`, `RMSprop`, `Adagrad`, as in PyTorch.

What a step does to one parameter is said once, in `update`: eager mode runs it on floats, and the compiler traces it.
The settings, such as `lr`, may be changed between steps. `LBFGS` is SciPy's, and needs the loss itself.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, TypeAlias

from microgrannd import operations
from microgrannd.engine import Constant, Value, number_of, zero_grad
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
        complete = "memory" in self.__dict__ and type(self).__module__ == __name__
        if complete and not hasattr(self, name):
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
        kept = self.memory.setdefault(name, [])
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
            wanted = f"it lacks {lacking[0]!r}" if isinstance(state, Mapping) else f"it is {state!r}"
            raise ValueError(f"This is no state that state_dict() gave: {wanted}.")
        if not (isinstance(state["steps"], int) and state["steps"] >= 0):
            raise ValueError(f"The steps of a state are an int of at least 0, got {state['steps']!r}.")
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


class SGD(Optimizer):
    """Gradient descent: p ← p − lr · g, with momentum v ← momentum · v + (1 − dampening) · g in place of g.

    g is the gradient plus `weight_decay` · p. The first v is g. With `nesterov`, g + momentum · v is taken.

    >>> p = Value(1.0)
    >>> optimizer = SGD([p], lr=0.5)
    >>> (p * p).backward()
    >>> optimizer.step()
    >>> p.data
    0.0
    """

    def __init__(
        self, parameters: Parameters, lr: Number = 1e-3, momentum: Number = 0.0, dampening: Number = 0.0,
        weight_decay: Number = 0.0, nesterov: bool = False,
    ) -> None:  # fmt: skip
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("Nesterov's way needs a momentum above 0 and no dampening.")
        super().__init__(parameters, lr)

    @property
    def memory_names(self) -> Sequence[str]:  # type: ignore[override]
        """The velocity, where there is momentum."""
        return ("velocity",) if self.momentum or any(group.settings.get("momentum") for group in self.groups) else ()

    def known_memory(self) -> Sequence[str]:
        """The velocity, which is left where momentum was set to 0."""
        return ("velocity",)

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """p − lr · g, or with momentum p − lr · v and v."""
        if settings.weight_decay:
            gradient = gradient + settings.weight_decay * parameter
        if not settings.momentum:
            return parameter - settings.lr * gradient
        later = 1 - settings.first
        velocity = settings.momentum * later * memory[0] + (1 - settings.dampening * later) * gradient
        change = gradient + settings.momentum * velocity if settings.nesterov else velocity
        return parameter - settings.lr * change, velocity


class Adam(Optimizer):
    """Adam: p ← p − lr · m / (√v + eps), m and v being running means of g and g², freed of their start at 0.

    `betas` are the shares of m and v that a step keeps; g is the gradient plus `weight_decay` · p.
    """

    memory_names = ("mean", "square")

    def __init__(
        self, parameters: Parameters, lr: Number = 1e-3, betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8, weight_decay: Number = 0.0,
    ) -> None:  # fmt: skip
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        super().__init__(parameters, lr)

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """p − lr · m / (√v + eps), m and v."""
        if settings.weight_decay:
            gradient = gradient + settings.weight_decay * parameter
        return self.moved(settings, gradient, parameter, *memory)

    def moved(self, settings: Any, gradient: Any, parameter: Any, mean: Any, square: Any) -> Any:
        """The parameter, m and v, once the weight decay has been seen to."""
        keep_mean, keep_square = settings.betas
        mean = keep_mean * mean + (1 - keep_mean) * gradient
        square = keep_square * square + (1 - keep_square) * gradient * gradient
        rate = settings.lr / (1 - keep_mean**settings.steps)
        spread = operations.sqrt(square / (1 - keep_square**settings.steps)) + settings.eps
        return parameter - operations.div(rate * mean, spread), mean, square


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: first p ← (1 − lr · weight_decay) · p."""

    def __init__(
        self, parameters: Parameters, lr: Number = 1e-3, betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8, weight_decay: Number = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """(1 − lr · weight_decay) · p − lr · m / (√v + eps), m and v."""
        return self.moved(settings, gradient, (1 - settings.lr * settings.weight_decay) * parameter, *memory)


class RMSprop(Optimizer):
    """RMSprop: p ← p − lr · g / (√v + eps), v being a running mean of g² of which a step keeps the share `alpha`.

    g is the gradient plus `weight_decay` · p. `centered` takes the square of the mean of g off v. With `momentum`, the
    steps g / (√v + eps) are gathered as SGD gathers gradients.
    """

    def __init__(
        self, parameters: Parameters, lr: Number = 1e-2, alpha: Number = 0.99, eps: Number = 1e-8,
        weight_decay: Number = 0.0, momentum: Number = 0.0, centered: bool = False,
    ) -> None:  # fmt: skip
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.momentum, self.centered = momentum, centered
        super().__init__(parameters, lr)

    memory_names = ("square", "mean", "velocity")

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """p − lr · g / (√v + eps), v, the mean of g and the velocity."""
        square, mean, velocity = memory
        if settings.weight_decay:
            gradient = gradient + settings.weight_decay * parameter
        square = settings.alpha * square + (1 - settings.alpha) * gradient * gradient
        spread = square
        if settings.centered:
            mean = mean + (1 - settings.alpha) * (gradient - mean)
            spread = square - mean * mean
        change = operations.div(gradient, operations.sqrt(spread) + settings.eps)
        if settings.momentum:
            change = velocity = settings.momentum * velocity + change
        return parameter - settings.lr * change, square, mean, velocity


class Adagrad(Optimizer):
    """Adagrad: p ← p − rate · g / (√s + eps), s being the sum of all g² and `initial_accumulator_value`.

    The rate of step k, from 0, is lr / (1 + k · `lr_decay`); g is the gradient plus `weight_decay` · p.
    """

    memory_names = ("sum",)

    def __init__(
        self, parameters: Parameters, lr: Number = 1e-2, lr_decay: Number = 0.0, weight_decay: Number = 0.0,
        initial_accumulator_value: Number = 0.0, eps: Number = 1e-10,
    ) -> None:  # fmt: skip
        self.lr_decay, self.weight_decay, self.eps = lr_decay, weight_decay, eps
        self.initial_accumulator_value = initial_accumulator_value
        super().__init__(parameters, lr)

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """p − rate · g / (√s + eps) and s."""
        if settings.weight_decay:
            gradient = gradient + settings.weight_decay * parameter
        total = memory[0] + settings.initial_accumulator_value * settings.first + gradient * gradient
        rate = settings.lr / (1 + (settings.steps - 1) * settings.lr_decay)
        return parameter - rate * operations.div(gradient, operations.sqrt(total) + settings.eps), total


class LBFGS(Optimizer):
    """L-BFGS by SciPy: a step lowers the loss of its batch in up to `iterations` iterations, each a line search.

    For losses of all samples at once, to high precision. It asks for the loss many times in a step, so it has a
    `step_on(backward)` in place of a `step()`, which `fit` takes; and no learning rate, memory or groups. `history` is
    how many changes of the gradient it goes by. Raises ModuleNotFoundError where SciPy is not installed.

    >>> import microgrannd as mg
    >>> x, y = Value(-1.0), Value(2.0)
    >>> def backward():
    ...     loss = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    ...     loss.backward()
    ...     return loss.data
    >>> optimizer = LBFGS([x, y], iterations=100)
    >>> optimizer.step_on(backward)
    104.0
    >>> round(x.data, 4), round(y.data, 4)
    (1.0, 1.0)
    """

    def __init__(self, parameters: Iterable[Value], iterations: int = 20, history: int = 10) -> None:
        try:
            import scipy.optimize  # noqa: F401
        except ModuleNotFoundError:
            raise ModuleNotFoundError("LBFGS is SciPy's: pip install scipy") from None
        for name, count in (("iterations", iterations), ("history", history)):
            if not (isinstance(count, int) and count >= 1):
                raise ValueError(f"{name} is an int of at least 1, got {count!r}.")
        self.iterations, self.history = iterations, history
        super().__init__(parameters, 1.0)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lr" and value != 1.0:
            raise AttributeError("LBFGS has no learning rate to be set: a line search finds the length of each step.")
        super().__setattr__(name, value)

    def step(self) -> None:
        """Raises TypeError: `step_on(backward)` is its step."""
        raise TypeError("LBFGS asks for the loss several times in a step: take fit(), or step_on(backward).")

    def step_on(self, backward: Callable[[], float]) -> float:
        """Lower the loss that `backward()` gives, after which the gradients are added; the loss before."""
        from scipy.optimize import minimize

        found: list[tuple[float, list[float]]] = []

        def loss_and_slopes(numbers: Any) -> tuple[float, list[float]]:
            self._set(numbers.tolist())
            self.zero_grad()
            found.append((backward(), numbers.tolist()))
            return found[-1][0], list(map(_grad_of, self.parameters))

        limits = {"maxiter": self.iterations, "maxcor": self.history, "ftol": 0.0, "gtol": 1e-12}
        start = list(map(number_of, self.parameters))
        try:
            minimize(loss_and_slopes, start, jac=True, method="L-BFGS-B", options=limits)
        except BaseException:
            self._set(start)
            raise
        self.steps += 1
        finite = [pair for pair in found if math.isfinite(pair[0])]
        self._set(min(finite)[1] if finite else start)
        return found[0][0]

    def _set(self, numbers: Sequence[float]) -> None:
        for parameter, number in zip(self.parameters, numbers, strict=True):
            parameter.data = number


def _checked(name: str, value: Any) -> Any:
    """The setting of an optimizer, as it is kept."""
    if name == "betas":
        betas = tuple(value) if isinstance(value, Sequence) else ()
        if len(betas) != 2 or not all(is_number(beta) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {value}.")
        return betas
    if name not in _AT_LEAST_ZERO:
        return value
    if not is_number(value):
        raise TypeError(f"The {_AT_LEAST_ZERO[name]} is a number, got {value!r}.")
    if not value >= 0:
        raise ValueError(f"The {_AT_LEAST_ZERO[name]} is at least 0, got {value}.")
    return float(value)


def _is_setting(thing: Any) -> bool:
    return is_number(thing) or (isinstance(thing, tuple) and bool(thing) and all(map(is_number, thing)))


def _several(parameters: Any) -> list[Any]:
    if isinstance(parameters, Value | Mapping) or not hasattr(parameters, "__iter__"):
        raise TypeError(f"An optimizer takes a list of parameters, such as model.parameters(); got {parameters!r}.")
    return list(parameters)


def _leaves(parameters: Iterable[Value]) -> list[Value]:
    leaves = {id(parameter): parameter for parameter in parameters}
    for parameter in leaves.values():
        if not isinstance(parameter, Value) or isinstance(parameter, Constant):
            raise TypeError(f"Parameters are Values, got {parameter!r} ({type(parameter).__name__}).")
        if parameter.op is not None:
            remedy = "give the leaves it was computed from, or its .detach()"
            raise ValueError(
                f"Parameters are leaves, but {parameter!r} is computed by {parameter.op.name!r}: {remedy}."
            )
    return list(leaves.values())
