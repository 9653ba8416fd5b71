"""Optimizers: how parameters follow their gradients. `SGD`, `Adam`, `AdamW`, `RMSprop`, `Adagrad`, as in PyTorch.

The settings, such as `lr`, may be changed between steps. `LBFGS` is SciPy's, and needs the loss itself.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from microgrannd import operations
from microgrannd.engine import Value, number_of
from microgrannd.ground.arguments import shown
from microgrannd.learning.optimizer import Optimizer, ParameterGroup, Parameters
from microgrannd.nodes.elsewhere import answers_of
from microgrannd.operations import Number

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "ParameterGroup", "RMSprop"]


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
                raise ValueError(f"{name} is an int of at least 1, got {shown(count)}.")
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
            return found[-1][0], [parameter.grad for parameter in self.parameters]

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


if not TYPE_CHECKING:  # for which a name that does not exist is an error
    __getattr__, __dir__ = answers_of(__name__, globals())
