"""Optimizers: how parameters follow their gradients. `SGD`, `Adam`, `AdamW`, defined as in PyTorch.

What a step does to one parameter is said once, in `update`: eager mode runs it on floats, and the compiler traces it.
The settings, such as `lr`, may be changed between steps.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

from microgrannd import operations
from microgrannd.engine import Constant, Value, number_of, zero_grad
from microgrannd.operations import Number, is_number

_AT_LEAST_ZERO: Final = {"lr": "learning rate lr", "momentum": "momentum", "weight_decay": "weight decay", "eps": "eps"}
_grad_of: Callable[[Value], float] = attrgetter("grad")


class Optimizer:
    """What the optimizers share: the parameters, the learning rate and a memory for each parameter.

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

    def __init__(self, parameters: Iterable[Value], lr: Number) -> None:
        self.parameters = _leaves(parameters)
        self.lr = lr
        self.steps = 0
        self.memory: dict[str, list[float]] = {}  # by name, a number for each parameter

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _AT_LEAST_ZERO and not isinstance(getattr(type(self), name, None), property):
            if not is_number(value):
                raise TypeError(f"The {_AT_LEAST_ZERO[name]} is a number, got {value!r}.")
            if not value >= 0:
                raise ValueError(f"The {_AT_LEAST_ZERO[name]} is at least 0, got {value}.")
            value = float(value)
        complete = "memory" in self.__dict__ and type(self).__module__ == __name__
        if complete and not hasattr(self, name):
            known = ", ".join(sorted(self.__dict__.keys() - {"parameters", "memory", "steps"}))
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

    def step(self) -> None:
        """Change every parameter by its gradient."""
        self.steps += 1
        memory = [self.memory_of(name) for name in self.memory_names]
        given = (map(_grad_of, self.parameters), map(number_of, self.parameters), *memory)
        try:
            results: Sequence[Any] = list(map(self.update, repeat(self), *given))
        except BaseException:
            self.steps -= 1
            raise
        if results and isinstance(results[0], tuple):
            results, *columns = zip(*results, strict=True)
            for kept, numbers in zip(memory, columns, strict=True):
                kept[: len(numbers)] = numbers
        for parameter, number in zip(self.parameters, results, strict=True):
            parameter.data = number

    def memory_of(self, name: str) -> list[float]:
        """What is remembered under this name, a number for each parameter; zeros at first."""
        kept = self.memory.setdefault(name, [])
        kept += [0.0] * (len(self.parameters) - len(kept))
        return kept

    def state_dict(self) -> dict[str, Any]:
        """What a later run needs to go on in the same way, as plain numbers and lists."""
        memory = {name: list(numbers) for name, numbers in self.memory.items()}
        return {"lr": self.lr, "steps": self.steps, "memory": memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict()` was taken. Raises ValueError for the state of another kind of optimizer."""
        memory = {name: list(numbers) for name, numbers in state["memory"].items()}
        for name, numbers in memory.items():
            if (size := len(numbers)) != (own := len(self.parameters)):
                raise ValueError(f"The state has a {name} for {size} parameters; this optimizer has {own}.")
        missing = [name for name in self.memory_names if name not in memory] if state["steps"] else []
        foreign = [name for name in memory if name not in self.known_memory()]
        if type(self).step is Optimizer.step and (missing or foreign):
            needed, given = (" and ".join(names) or "nothing" for names in (self.memory_names, memory))
            raise ValueError(f"This is no state of {type(self).__name__}, which remembers {needed}: it has {given}.")
        self.lr, self.steps, self.memory = state["lr"], state["steps"], memory

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
        self, parameters: Iterable[Value], lr: Number = 1e-3, momentum: Number = 0.0, dampening: Number = 0.0,
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
        return ("velocity",) if self.momentum else ()

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
        self, parameters: Iterable[Value], lr: Number = 1e-3, betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8, weight_decay: Number = 0.0,
    ) -> None:  # fmt: skip
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {betas}.")
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
        self, parameters: Iterable[Value], lr: Number = 1e-3, betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8, weight_decay: Number = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, settings: Any, gradient: Any, parameter: Any, *memory: Any) -> Any:
        """(1 − lr · weight_decay) · p − lr · m / (√v + eps), m and v."""
        return self.moved(settings, gradient, (1 - settings.lr * settings.weight_decay) * parameter, *memory)


def _leaves(parameters: Iterable[Value]) -> list[Value]:
    if isinstance(parameters, Value) or not hasattr(parameters, "__iter__"):
        raise TypeError(f"An optimizer takes a list of parameters, such as model.parameters(); got {parameters!r}.")
    leaves = {id(parameter): parameter for parameter in parameters}
    for parameter in leaves.values():
        if not isinstance(parameter, Value) or isinstance(parameter, Constant):
            raise TypeError(f"Parameters are Values, got {parameter!r} ({type(parameter).__name__}).")
        if parameter.op is not None:
            remedy = "give the leaves it was computed from, or its .detach()"
            raise ValueError(
                f"Parameters are leaves, but {parameter!r} is computed by {parameter.op.name!r}: {remedy}."
            )
    if not leaves:
        raise ValueError("An optimizer needs at least one parameter, got an empty list.")
    return list(leaves.values())
