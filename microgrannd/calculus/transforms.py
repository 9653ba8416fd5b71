"""Calculus: derivatives of plain Python functions of numbers, as functions of the same arguments.

    >>> from microgrannd import sin
    >>> slope = grad(lambda x: sin(x * x))
    >>> round(slope(2.0), 6)
    -2.614574

An argument is a number or numbers in lists, tuples, dicts and NumPy arrays; the derivative comes in the structure of
the argument. `argnums` says which argument, or which ones as a tuple. Called with numbers the transforms give numbers;
called with Values, or inside another transform, they give Values, so they may be nested in any way. Each call works on
leaves of its own: nothing is written on the Values that the function closes over, and threads do not meet.

`gradients` and `gradient_graph` do the same for a graph that exists already.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any, TypeAlias

from microgrannd.calculus.passes import gradients, slopes, tangents
from microgrannd.calculus.variable import Variable
from microgrannd.engine import Constant, Value, topological_order
from microgrannd.ground import modes
from microgrannd.ground.functions import name_of
from microgrannd.ground.nests import is_array, items, leaves, rebuilt
from microgrannd.operations import as_float, dot, is_number

Function: TypeAlias = Callable[..., Any]
Argnums: TypeAlias = int | tuple[int, ...]


def grad(f: Function, argnums: Argnums = 0) -> Function:
    """The gradient of a function that returns a number.

    >>> grad(lambda p: p["a"] ** 2 + 3 * p["b"])({"a": 5.0, "b": 1.0})
    {'a': 10.0, 'b': 3.0}
    >>> grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0)
    (5.0, 2.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    """
    return _derivative(f, argnums, lambda call: call.gradient(call.only_output()))


def value_and_grad(f: Function, argnums: Argnums = 0) -> Function:
    """The value of a function and its gradient, in one go.

    >>> value_and_grad(lambda x: x[0] * x[1])([2.0, 5.0])
    (10.0, [5.0, 2.0])
    """

    def value_and_gradient(call: _Call) -> tuple[Any, Any]:
        y = call.only_output()
        return call.plain([y])[0], call.gradient(y)

    return _derivative(f, argnums, value_and_gradient)


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """The derivative of every output by every input: in place of each output, a gradient.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0])
    [[5.0, 2.0], [1.0, 1.0]]
    """

    return _derivative(f, argnums, lambda call: rebuilt(call.result, iter([call.gradient(y) for y in call.outputs])))


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """The second derivatives of a function that returns a number.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, argnums: Argnums = 0) -> Function:
    """Hessian times vector, without the Hessian; the vector is the last argument: `hvp(f)(x, v)`.

    >>> hvp(lambda x: x[0] ** 2 * x[1])([3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    return vjp(grad(f, argnums), argnums)  # the Hessian is symmetric: vᵀH = Hv


def jvp(f: Function, argnums: Argnums = 0) -> Function:
    """Jacobian times vector, in forward mode: `jvp(f)(x, v)` is how fast the outputs change along v.

    The vector, in the structure of the argument, is the last argument.

    >>> jvp(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0], [1.0, 0.0])
    [5.0, 1.0]
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, argnums, args[:-1], kwargs)
        speeds = tangents(call.outputs, call.variables, call.vector(args, call.argument))
        return rebuilt(call.result, iter(call.plain(speeds)))

    return product


def vjp(f: Function, argnums: Argnums = 0) -> Function:
    """Vector times Jacobian, in reverse mode: `vjp(f)(x, u)` is the gradient of the outputs weighted by u.

    The vector, in the structure of the result, is the last argument.

    >>> vjp(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0], [1.0, 10.0])
    [15.0, 12.0]
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, argnums, args[:-1], kwargs)
        weights = call.vector(args, call.result)
        return call.gradient(_output(dot(call.outputs, weights), f))

    return product


class _Call:
    """A function called once, with variables of our own in place of the numbers in some arguments."""

    def __init__(self, f: Function, argnums: Argnums, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.function = f
        self.argument = _chosen(args, argnums, f)
        self.variables = [_variable(x, f) for x in leaves(self.argument)]
        replaced, nodes = list(args), iter(self.variables)
        for position in argnums if isinstance(argnums, tuple) else [argnums]:
            replaced[position] = rebuilt(args[position], nodes)
        with modes.recording() if modes.opened and not modes.current.recording else nullcontext():
            self.result = f(*replaced, **kwargs)
        self.outputs = [_output(y, f) for y in leaves(self.result)]
        self.is_graph = modes.current.trace is not None or _has_values([*args, kwargs]) or self._meets_another()

    def _meets_another(self) -> bool:
        ours = set(self.variables)
        return any(isinstance(node, Variable) and node not in ours for node in topological_order(*self.outputs))

    def vector(self, args: Sequence[Any], nest: Any) -> list[Value | float]:
        """The numbers of the last argument, which must be as many as there are in the nest."""
        vector = leaves(args[-1])
        wanted = len(self.outputs if nest is self.result else self.variables)
        if len(vector) != wanted:
            which = "result" if nest is self.result else "argument"
            raise ValueError(
                f"The last argument is a vector with a number for each of the {wanted} in the {which} of "
                f"{name_of(self.function)}; got {len(vector)}."
            )
        self.is_graph = self.is_graph or _has_values(args[-1])
        return [x if isinstance(x, Value) else as_float(x) for x in vector]

    def only_output(self) -> Value:
        if isinstance(self.result, dict | list | tuple) or (is_array(self.result) and self.result.ndim):
            raise TypeError(
                f"A gradient is that of a single number, and {name_of(self.function)} returned "
                f"{len(self.outputs)} number(s) in a {type(self.result).__name__}: jacobian differentiates each."
            )
        return self.outputs[0]

    def gradient(self, y: Value) -> Any:
        """In the structure of the argument, as numbers or as Values."""
        found = gradients(y, self.variables) if self.is_graph else slopes(y, self.variables)
        return rebuilt(self.argument, iter(found))

    def plain(self, values: Sequence[Value]) -> Sequence[Any]:
        """The Values as they are where a graph is wanted, else their numbers."""
        return values if self.is_graph else [value.data for value in values]


def _derivative(f: Function, argnums: Argnums, of_call: Callable[[_Call], Any]) -> Function:
    @wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        return of_call(_Call(f, argnums, args, kwargs))

    return derivative


def _variable(x: Any, f: Function) -> Value:
    if isinstance(x, Value):
        return x * 1.0  # a node of its own, so that other uses of x are not counted
    if not is_number(x):
        raise TypeError(
            f"{name_of(f)} can be differentiated by numbers (in lists, tuples, dicts or arrays), not by {x!r}; "
            "argnums= says which arguments are the variables."
        )
    return Variable(as_float(x))


def _output(y: Any, f: Function) -> Value:
    if isinstance(y, Value):
        return y
    if not is_number(y):
        raise TypeError(f"{name_of(f)} must return a number or a Value to be differentiated, and it returned {y!r}.")
    return Constant(y)


def _chosen(args: Sequence[Any], argnums: Argnums, f: Function) -> Any:
    try:
        return tuple(args[i] for i in argnums) if isinstance(argnums, tuple) else args[argnums]
    except IndexError:
        raise TypeError(
            f"argnums={argnums} asks for a positional argument that {name_of(f)} was not given: it got {len(args)}."
        ) from None


def _has_values(nest: Any) -> bool:
    scalars = (item.flat if is_array(item) and item.dtype == object else (item,) for item in items(nest))
    return any(isinstance(x, Value) for some in scalars for x in some)
