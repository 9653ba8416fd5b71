"""Optimizers: how parameters follow their gradients. `SGD`, `Adam`, `AdamW`, defined as in PyTorch.

`step()` changes each parameter's `data` by its `grad`; `zero_grad()` clears the gradients. `lr` may be set
between steps. This room may import the engine and the floors beneath it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from microgrannd.engine import Constant, Value, zero_grad
from microgrannd.operations import Number, is_number


class Optimizer:
    """What the optimizers share: the parameters, the learning rate and a memory for each parameter.

    Your own optimizer is a subclass with a `step()`. Raises ValueError without parameters, TypeError for
    a parameter that is no Value and ValueError for one that is no leaf.
    """

    def __init__(self, parameters: Iterable[Value], lr: Number) -> None:
        self.parameters = _leaves(parameters)
        self.lr = lr
        self.steps = 0
        self.memory: dict[str, list[float]] = {}  # by name, a number for each parameter

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, lr: Number) -> None:
        self._lr = float(_at_least_zero("learning rate lr", lr))

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        zero_grad(self.parameters)

    def step(self) -> None:
        """Change every parameter by its gradient."""
        raise NotImplementedError("A subclass of Optimizer says what a step is.")

    def state_dict(self) -> dict[str, Any]:
        """What a later run needs to go on in the same way, as plain numbers and lists."""
        return {
            "lr": self.lr,
            "steps": self.steps,
            "memory": {name: list(numbers) for name, numbers in self.memory.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict()` was taken."""
        memory = {name: list(numbers) for name, numbers in state["memory"].items()}
        for name, numbers in memory.items():
            if len(numbers) != len(self.parameters):
                raise ValueError(
                    f"The state has a {name} for {len(numbers)} parameters; this optimizer has {len(self.parameters)}."
                )
        self.lr, self.steps, self.memory = state["lr"], state["steps"], memory

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters)} parameters, lr={self.lr:g})"

    def _remembered(self, name: str) -> list[float]:
        return self.memory.setdefault(name, [0.0] * len(self.parameters))


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
        self,
        parameters: Iterable[Value],
        lr: Number = 1e-3,
        momentum: Number = 0.0,
        dampening: Number = 0.0,
        weight_decay: Number = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = _at_least_zero("momentum", momentum)
        self.dampening = dampening
        self.weight_decay = _at_least_zero("weight decay", weight_decay)
        self.nesterov = nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("Nesterov's way needs a momentum above 0 and no dampening.")

    def step(self) -> None:
        """p ← p − lr · g for every parameter."""
        lr, decay = self._lr, self.weight_decay
        if self.momentum:
            self._step_with_momentum()
        else:
            for p in self.parameters:
                p.data -= lr * (p.grad + decay * p.data if decay else p.grad)
        self.steps += 1

    def _step_with_momentum(self) -> None:
        velocities = self._remembered("velocity")
        keep, add = (self.momentum, 1 - self.dampening) if self.steps else (0.0, 1.0)
        for i, p in enumerate(self.parameters):
            g = p.grad + self.weight_decay * p.data
            velocities[i] = v = keep * velocities[i] + add * g
            p.data -= self._lr * (g + self.momentum * v if self.nesterov else v)


class Adam(Optimizer):
    """Adam: p ← p − lr · m / (√v + eps), m and v being running means of g and g², freed of their start at 0.

    `betas` are the shares of m and v that a step keeps; g is the gradient plus `weight_decay` · p.
    """

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {betas}.")
        self.betas = betas
        self.eps = _at_least_zero("eps", eps)
        self.weight_decay = _at_least_zero("weight decay", weight_decay)

    def step(self) -> None:
        """p ← p − lr · m / (√v + eps) for every parameter."""
        self._step([p.grad + self.weight_decay * p.data for p in self.parameters])

    def _step(self, gradients: list[float]) -> None:
        self.steps += 1
        means, squares = self._remembered("mean"), self._remembered("square")
        keep_mean, keep_square = self.betas
        mean_weight, square_weight = 1 - keep_mean**self.steps, 1 - keep_square**self.steps
        rate = self._lr / mean_weight
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            means[i] = m = keep_mean * means[i] + (1 - keep_mean) * g
            squares[i] = v = keep_square * squares[i] + (1 - keep_square) * g * g
            p.data -= rate * m / (math.sqrt(v / square_weight) + self.eps)


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: first p ← (1 − lr · weight_decay) · p."""

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def step(self) -> None:
        """p ← (1 − lr · weight_decay) · p − lr · m / (√v + eps) for every parameter."""
        for p in self.parameters:
            p.data *= 1 - self._lr * self.weight_decay
        self._step([p.grad for p in self.parameters])


def _leaves(parameters: Iterable[Value]) -> list[Value]:
    """The parameters, checked, each once."""
    if isinstance(parameters, Value) or not hasattr(parameters, "__iter__"):
        raise TypeError(f"An optimizer takes a list of parameters, such as model.parameters(); got {parameters!r}.")
    leaves = {id(parameter): parameter for parameter in parameters}
    for parameter in leaves.values():
        if not isinstance(parameter, Value) or isinstance(parameter, Constant):
            raise TypeError(f"Parameters are Values, got {parameter!r} ({type(parameter).__name__}).")
        if parameter.op is not None:
            raise ValueError(
                f"Parameters are leaves, but {parameter!r} is computed by {parameter.op.name!r}: "
                "give the leaves it was computed from, or its .detach()."
            )
    if not leaves:
        raise ValueError("An optimizer needs at least one parameter, got an empty list.")
    return list(leaves.values())


def _at_least_zero(what: str, number: Number) -> Number:
    if not is_number(number):
        raise TypeError(f"The {what} is a number, got {number!r}.")
    if not number >= 0:
        raise ValueError(f"The {what} is at least 0, got {number}.")
    return number
