"""Calculus: derivatives of plain Python functions of numbers, as functions of the same arguments.

    >>> from microgrannd import sin
    >>> slope = grad(lambda x: sin(x * x))
    >>> round(slope(2.0), 6)
    -2.614574

An argument is a number or numbers in lists, tuples, dicts, dataclasses and NumPy arrays; the derivative comes in the
structure of the argument, with None where the argument has None. `argnums` says which argument, or which ones as a
tuple. With `has_aux=True` the function returns a pair, and the second is handed back beside the derivative.

The transforms give numbers, unless they are called with Values or the result depends on a Value from outside: that of
an enclosing transform, a weight that the function closes over, or a leaf that it makes and might keep. Then they give
Values, so they may be nested in any way and stand in a loss. Within `no_grad` what is outside is a constant, and
numbers come back. Each call works on leaves of its own, so threads do not meet. `gradients` and `gradient_graph` do
the same for a graph that exists already.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from operator import index
from typing import Any, TypeAlias

from microgrannd.calculus.passes import computed_before, entries, gradients, slopes, tangents
from microgrannd.calculus.sparse import mirrored, sparse_array
from microgrannd.calculus.variable import Variable
from microgrannd.engine import Constant, Value, number_of, topological_order
from microgrannd.ground import modes
from microgrannd.ground.arguments import shown, truth
from microgrannd.ground.errors import GradientError
from microgrannd.ground.functions import name_of
from microgrannd.ground.nests import contents, in_order_of, is_array, items, leaves, mapped, rebuilt, shape_of
from microgrannd.nodes.observing import cut_off_since, moment
from microgrannd.nodes.refusing import refuse_unrecorded
from microgrannd.operations import as_float, dot, is_number, stop_gradient

Function: TypeAlias = Callable[..., Any]
Argnums: TypeAlias = int | Sequence[int]


def grad(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The gradient of a function that returns a number.

    >>> grad(lambda p: p["a"] ** 2 + 3 * p["b"])({"a": 5.0, "b": 1.0})
    {'a': 10.0, 'b': 3.0}
    >>> grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0)
    (5.0, 2.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    12.0
    >>> grad(lambda x: (x * x, {"half": x / 2}), has_aux=True)(3.0)
    (6.0, {'half': 1.5})
    """
    return _transform("grad", f, argnums, has_aux, lambda call: call.gradient(call.only_output()))


def value_and_grad(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The value of a function and its gradient, in one go; with `has_aux` the value is the pair that f returned.

    >>> value_and_grad(lambda x: x[0] * x[1])([2.0, 5.0])
    (10.0, [5.0, 2.0])
    """

    def value_and_gradient(call: _Call) -> Any:
        y = call.only_output()
        return call.plain((y, call.aux) if has_aux else y), call.gradient(y)

    return _transform("value_and_grad", f, argnums, has_aux, value_and_gradient, aux_beside=False)


def jacobian(f: Function, argnums: Argnums = 0, *, has_aux: bool = False, sparse: bool = False) -> Function:
    """The derivative of every output by every input: in place of each output, a gradient.

    `sparse` gives a `scipy.sparse.csr_array` instead, by one argument: a row for each scalar of the result, a column
    for each of the argument, and a number only where the derivative is not 0 whatever the numbers are.

    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0])
    [[5.0, 2.0], [1.0, 1.0]]
    >>> jacobian(lambda x: [x[0] * 3, x[1] ** 2], sparse=True)([2.0, 5.0]).toarray().tolist()
    [[3.0, 0.0], [0.0, 10.0]]
    """
    if truth("sparse", sparse):
        return _sparse("jacobian", f, argnums, has_aux, lambda call: call.outputs)

    def rows(call: _Call) -> Any:
        return rebuilt(call.result, iter([call.gradient(y) for y in call.outputs]))

    return _transform("jacobian", f, argnums, has_aux, rows)


def hessian(f: Function, argnums: Argnums = 0, *, has_aux: bool = False, sparse: bool = False) -> Function:
    """The second derivatives of a function that returns a number.

    `sparse` gives a `scipy.sparse.csr_array` instead, by one argument, with a number only where the second derivative
    is not 0 whatever the numbers are. Each row costs what its derivative depends on.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    >>> hessian(lambda x: x[0] ** 2 + x[1] ** 3, sparse=True)([3.0, 5.0]).toarray().tolist()
    [[2.0, 0.0], [0.0, 30.0]]
    """
    positions_of(argnums, f, "hessian")
    if truth("sparse", sparse):
        return _sparse(
            "hessian", f, argnums, has_aux, lambda call: gradients(call.only_output(), call.variables), symmetric=True
        )
    return jacobian(grad(f, argnums, has_aux=has_aux), argnums, has_aux=has_aux)


def hvp(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """Hessian times vector, without the Hessian; the vector is the last argument: `hvp(f)(x, v)`.

    >>> hvp(lambda x: x[0] ** 2 * x[1])([3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    positions_of(argnums, f, "hvp")
    return vjp(grad(f, argnums, has_aux=has_aux), argnums, has_aux=has_aux)  # the Hessian is symmetric: vᵀH = Hv


def jvp(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """Jacobian times vector, in forward mode: `jvp(f)(x, v)` is how fast the outputs change along v.

    The vector, in the structure of the argument, is the last argument.

    >>> jvp(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0], [1.0, 0.0])
    [5.0, 1.0]
    """

    def product(call: _Call) -> Any:
        speeds = tangents(call.outputs, call.variables, call.along("argument", call.argument))
        return call.plain(rebuilt(call.result, iter(speeds)))

    return _transform("jvp", f, argnums, has_aux, product, takes_vector=True)


def vjp(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """Vector times Jacobian, in reverse mode: `vjp(f)(x, u)` is the gradient of the outputs weighted by u.

    The vector, in the structure of the result, is the last argument.

    >>> vjp(lambda x: [x[0] * x[1], x[0] + x[1]])([2.0, 5.0], [1.0, 10.0])
    [15.0, 12.0]
    """

    def product(call: _Call) -> Any:
        return call.gradient(_output(dot(call.outputs, call.along("result", call.result)), f))

    return _transform("vjp", f, argnums, has_aux, product, takes_vector=True)


def _sparse(
    name: str, f: Function, argnums: Argnums, has_aux: bool, ys: "Callable[[_Call], Sequence[Value]]",
    *, symmetric: bool = False,
) -> Function:  # fmt: skip
    if isinstance(positions_of(argnums, f, name), tuple):
        raise TypeError(f"mg.{name}(f, sparse=True) is by one argument: argnums is an int, got {shown(argnums)}.")

    def of_call(call: _Call) -> Any:
        if call.is_graph and (call.takes_values or call.settled(call.outputs) is call.outputs):
            raise TypeError(
                f"mg.{name}(f, sparse=True) gives numbers, but here {name_of(f)} depends on a Value from outside: call "
                "it within no_grad(), where that is a constant, or leave out sparse=True."
            )
        found = list(entries(ys(call), call.variables, upper=symmetric))
        rows, columns = [row for row, _, _ in found], [column for _, column, _ in found]
        numbers = [number_of(slope) if isinstance(slope, Value) else slope for _, _, slope in found]
        size = len(call.variables)
        if symmetric:
            rows, columns, places = mirrored(rows, columns)
            numbers = [numbers[k] for k in places]
        return sparse_array(rows, columns, numbers, (size if symmetric else len(call.outputs), size))

    return _transform(name, f, argnums, has_aux, of_call)


def _transform(
    name: str, f: Function, argnums: Argnums, has_aux: bool, of_call: "Callable[[_Call], Any]", *,
    aux_beside: bool = True, takes_vector: bool = False,
) -> Function:  # fmt: skip
    positions = positions_of(argnums, f, name)

    @wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        vector: Any = 0.0
        if takes_vector:
            if len(args) < 2:
                raise TypeError(f"{name}(f) takes the arguments of {name_of(f)} and then a vector, got {len(args)}.")
            args, vector = args[:-1], args[-1]

        if not modes.opened or modes.current.recording:
            return found(args, kwargs, vector, True)
        is_traced = modes.current.trace is not None
        with modes.recording():
            result = found(args, kwargs, vector, is_traced)
        return mapped(_stopped, result) if is_traced else result

    def found(args: Sequence[Any], kwargs: dict[str, Any], vector: Any, wants_graph: bool) -> Any:
        call = _Call(f, positions, args, kwargs, vector, has_aux, wants_graph)
        try:
            derived = of_call(call)
            return call.settled((derived, call.plain(call.aux)) if has_aux and aux_beside else derived)
        finally:
            call.finish()

    return derivative


class _Call:
    """A function called once, with variables of our own in place of the numbers in some arguments."""

    def __init__(
        self, f: Function, positions: int | tuple[int, ...], args: Sequence[Any], kwargs: dict[str, Any], vector: Any,
        has_aux: bool, wants_graph: bool,
    ) -> None:  # fmt: skip
        self.function = f
        self.vector = vector
        self.begun = moment()
        self.argument = arguments_at(positions, args, f)
        self.variables = [_variable(x, f) for x in leaves(self.argument)]
        try:
            replaced, nodes = list(args), iter(self.variables)
            for position in positions if isinstance(positions, tuple) else [positions]:
                replaced[position] = rebuilt(args[position], nodes)
            self.result, self.aux = _pair(f(*replaced, **kwargs), has_aux, f)
            self.outputs = [_output(y, f) for y in ([None] if self.result is None else leaves(self.result))]
            for y in self.outputs:
                if y.op is None and cut_off_since(self.begun, y):
                    refuse_unrecorded(y)
        except BaseException:
            self.finish()
            raise
        self.takes_values = wants_graph and _has_values([*args, *kwargs.values(), vector])
        beside = filter(_is_value, leaves(self.aux)) if has_aux else ()
        self.is_graph = self.takes_values or (wants_graph and self._meets_others([*self.outputs, *beside]))
        if self.is_graph and not self.takes_values and modes.current.trace is None:
            self._refuse_what_is_stale()

    def along(self, which: str, nest: Any) -> list[Value | float]:
        """The numbers of the vector, which has the structure of the nest."""
        given, wanted = len(leaves(self.vector)), len(leaves(nest))
        if given != wanted:
            numbers = f"a number for each of the {wanted} in the {which} of {name_of(self.function)}"
            raise ValueError(f"The last argument is a vector with {numbers}; got {given}.")
        try:
            vector = in_order_of(nest, self.vector)
        except ValueError:
            raise ValueError(
                f"The last argument is a vector with the structure of the {which} of {name_of(self.function)}, "
                f"{shape_of(nest)}; got {shape_of(self.vector)}."
            ) from None
        return [x if isinstance(x, Value) else as_float(x) for x in vector]

    def only_output(self) -> Value:
        if contents(self.result) is not None or (is_array(self.result) and self.result.ndim):
            found = f"{len(self.outputs)} number(s) in a {type(self.result).__name__}"
            returned = f"{name_of(self.function)} returned {found}: jacobian differentiates each"
            raise TypeError(f"A gradient is that of a single number, and {returned}.")
        return self.outputs[0]

    def gradient(self, y: Value) -> Any:
        """In the structure of the argument, as numbers or as Values."""
        if not self.is_graph:
            return rebuilt(self.argument, iter(slopes(y, self.variables)))
        if y.op is None and y not in set(self.variables):
            y = Constant(number_of(y))  # whatever else it may be a variable of
        return rebuilt(self.argument, iter(gradients(y, self.variables)))

    def plain(self, nest: Any) -> Any:
        """With Values as they are where a graph is wanted, else with their numbers."""
        return nest if self.is_graph else _in_numbers(nest)

    def settled(self, result: Any) -> Any:
        """The result; in numbers where a graph was wanted, but nothing in it depends on a Value from outside."""
        if not self.is_graph or self.takes_values or self._meets_others(filter(_is_value, leaves(result))):
            return result
        return _in_numbers(result)

    def finish(self) -> None:
        """From now on the variables are constants."""
        for variable in self.variables:
            variable.finish()

    def _meets_others(self, values: Iterable[Value]) -> bool:
        ours = set(self.variables)
        leaves_met = (node for node in topological_order(*values) if node.op is None and not node.is_constant)
        return any(leaf not in ours and not cut_off_since(self.begun, leaf) for leaf in leaves_met)

    def _refuse_what_is_stale(self) -> None:
        if old := computed_before(*self.outputs):
            raise GradientError(
                f"{name_of(self.function)} uses {old[0]!r}, computed from {old[1]!r}, which has been set since: "
                "compute it within the function."
            )


def positions_of(argnums: Argnums, f: Function, name: str) -> int | tuple[int, ...]:
    """An int or a tuple; a TypeError, in the name of a transform, for what is no function or no position."""
    if isinstance(f, Value):
        raise TypeError(
            f"mg.{name} takes a function, got {shown(f)}. The derivative of a graph that is there is "
            "y.backward(), or mg.gradients(y, [x])."
        )
    if not callable(f):
        raise TypeError(f"mg.{name} takes a function, got {shown(f)}.")
    given = argnums if isinstance(argnums, Sequence) else (argnums,)
    try:
        positions = tuple([index(i) for i in given if not isinstance(i, bool)])
        if len(positions) < len(given):
            raise TypeError
    except TypeError:
        raise TypeError(
            f"argnums is the position of an argument, or several in a tuple; got {shown(argnums)}. "
            "The point comes later: mg.grad(f)(x), mg.grad(f, argnums=1)(x, y)."
        ) from None
    return positions if isinstance(argnums, Sequence) else positions[0]


def arguments_at(positions: int | tuple[int, ...], args: Sequence[Any], f: Function) -> Any:
    """The argument at the position, or a tuple of several; a TypeError where f was not given it."""
    try:
        chosen = [args[i] for i in (positions if isinstance(positions, tuple) else [positions])]
    except IndexError:
        raise TypeError(
            f"argnums={positions} asks for a positional argument that {name_of(f)} was not given: it got {len(args)}."
        ) from None
    if not isinstance(positions, tuple):
        return chosen[0]
    if len({i % len(args) for i in positions}) < len(positions):
        raise ValueError(f"argnums={positions} has an argument twice.")
    return tuple(chosen)


def _variable(x: Any, f: Function) -> Variable:
    if isinstance(x, Value):
        return Variable.times_one(x)
    if isinstance(x, complex):
        raise TypeError(
            f"{name_of(f)} can be differentiated by real numbers, not by {shown(x)}: write it as a function of the two "
            "parts, with argnums=(0, 1) for both derivatives."
        )
    if not is_number(x):
        raise TypeError(
            f"{name_of(f)} can be differentiated by numbers (in lists, tuples, dicts, dataclasses or arrays), not by "
            f"{shown(x)}; argnums= says which arguments are the variables."
        )
    return Variable(as_float(x))


def _pair(returned: Any, has_aux: bool, f: Function) -> tuple[Any, Any]:
    if not has_aux:
        return returned, None
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"With has_aux=True, {name_of(f)} returns (result, aux); it returned {shown(returned)}.")
    return returned


def _output(y: Any, f: Function) -> Value:
    if isinstance(y, Value):
        return y
    if isinstance(y, complex):
        raise TypeError(
            f"{name_of(f)} returned {shown(y)}, which is complex: differentiate its real and its imaginary part as two "
            "functions, or as a list of two with jacobian."
        )
    if not is_number(y):
        raise TypeError(f"{name_of(f)} must return a number or a Value to be differentiated; it returned {shown(y)}.")
    return Constant(y)


def _is_value(x: Any) -> bool:
    return isinstance(x, Value)


def _has_values(nest: Any) -> bool:
    scalars = (item.flat if is_array(item) and item.dtype == object else (item,) for item in items(nest))
    return any(_is_value(x) for some in scalars for x in some)


def _in_numbers(nest: Any) -> Any:
    """The nest with numbers in place of its Values; whatever else it holds stays."""

    def number(x: Any) -> Any:
        if is_array(x) and x.dtype == object:
            return rebuilt(x, iter([number(y) for y in leaves(x)]))
        return number_of(x) if isinstance(x, Value) else x

    return mapped(number, nest)


def _stopped(x: Any) -> Any:
    """What comes out of `no_grad` while a function is traced: gradients stop there."""
    if is_array(x) and x.dtype == object:
        return rebuilt(x, iter([_stopped(y) for y in leaves(x)]))
    return stop_gradient(x) if isinstance(x, Value) else x
