"""Calls of programs by keyword and with static arguments: what eager mode gives, for every back end.

Neighbours that were tried: defaults, keyword-only and skipped parameters, batches, strings, flags, enums, NumPy's ints,
1 beside True and 1.0, an int that is a number and one that is looked at, methods, builtins, pickled programs.
"""

import enum
import pickle
import random

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.compiler import compile

BACKENDS = pytest.mark.parametrize("backend", ["python", "native", "numpy", "auto"])


def waves(x, y=2.0, *, k=1.0):
    return mg.sin(x) * y * y * k


@BACKENDS
def test_arguments_go_by_keyword(backend):
    program = compile(waves, backend=backend)
    for arguments, keywords in (
        ((0.5,), {}), ((), {"x": 0.5}), ((0.5,), {"y": 3.0}), ((0.5,), {"k": 2.0}), ((), {"y": 3.0, "x": 0.25}),
        ((0.5, 4.0), {}), ((0.5, 4.0), {"k": 3.0}), ((0.5,), {"k": 2.0, "y": 3.0}), ((0.5, 4.0), {}), ((0.25,), {}),
    ) * 2:  # fmt: skip
        assert program(*arguments, **keywords) == pytest.approx(waves(*arguments, **keywords), rel=1e-15)
    assert program.value_and_gradients(0.0, k=3.0) == (0.0, (12.0, 0.0))
    assert program.value_and_gradients(y=3.0, x=0.0) == (0.0, (9.0, 0.0))  # in the order of the parameters
    assert program.value_and_gradients(0.0, 3.0) == (0.0, (9.0, 0.0))
    assert program.value_and_gradients(0.0, 3.0, k=1.0) == (0.0, (9.0, 0.0, 0.0))  # once it is machine code
    np.testing.assert_allclose(program(x=np.array([0.5, 1.0]), k=2.0), 8 * np.sin([0.5, 1.0]), rtol=1e-15)


def test_a_call_that_does_not_fit_is_told_so():
    program = compile(waves, backend="python")
    for arguments, keywords, message in (
        ((1.0,), {"z": 1.0}, "waves: got an unexpected keyword argument 'z'"),
        ((), {"y": 1.0}, "waves: missing a required argument: 'x'"),
        ((1.0,), {"x": 1.0}, "waves: multiple values for argument 'x'"),
    ):
        for call in (program, program.value_and_gradients):
            with pytest.raises(TypeError, match=message):
                call(*arguments, **keywords)
    x = Value(2.0, "x")
    with pytest.raises(TypeError, match="inputs of a compiled graph go by position"):
        compile(graph=x * x, inputs=[x])(x=3.0)


class Shape(enum.Enum):
    ROUND = 1
    SQUARE = 2


def area(x, mode="round", twice=False, n=1):
    one = 3.0 * x * x if mode in ("round", Shape.ROUND) else 4.0 * x * x
    return mg.sum([one] * n) * (2 if twice else 1)


@BACKENDS
@pytest.mark.parametrize("static", [(), ("mode", "twice", "n"), (1, 2, 3)])
def test_what_the_function_looks_at_is_static(backend, static):
    program = compile(area, backend=backend, static=static)
    for arguments, keywords in (
        ((2.0,), {}), ((2.0, "square"), {}), ((3.0, "square"), {}), ((2.0, "round", True), {}), ((2.0,), {"n": 3}),
        ((2.0,), {"n": 4, "mode": "square"}), ((2.0, "square", False, 2), {}), ((2.0,), {"twice": True, "n": 2}),
    ):  # fmt: skip
        assert program(*arguments, **keywords) == area(*arguments, **keywords)
        value, gradients = program.value_and_gradients(*arguments, **keywords)
        assert value == area(*arguments, **keywords)
        assert gradients[0] == mg.grad(area)(*arguments, **keywords)
        assert set(gradients[1:]) <= {None}
    assert program.hessian(2.0, "square", True, 3) == 48.0
    with pytest.raises(TypeError, match="mode is static: there is no derivative by it"):
        program.hessian(2.0, "square", argnums=1)
    assert program(np.array([1.0, 2.0]), "square").tolist() == [4.0, 16.0]
    assert program.trace(1.0, "square", n=2).python_source.partition("def area")[2].startswith("(x):")


def test_enums_none_and_numpys_ints_may_be_declared_static():
    program = compile(area, backend="python", static=["mode", "n"])
    assert [program(1.0, Shape.ROUND), program(1.0, Shape.SQUARE), program(1.0, None)] == [3.0, 4.0, 4.0]
    assert program(1.0, "round", n=np.int64(3)) == 9.0
    for given in (3.0, [3], Value(3.0)):
        with pytest.raises(TypeError, match="n was declared static, so it is an int"):
            program(1.0, n=given)


def test_one_is_not_true_and_each_value_is_traced_once():
    traced = []

    def f(x, n):
        traced.append(n)
        return x * 10 if n is True else x * n

    program = compile(f, backend="python", static="n")
    assert [program(2.0, n) for n in (1, True, 2, 1, True, 2)] == [2.0, 20.0, 4.0] * 2
    assert traced == [1, True, 2]


def test_no_more_is_static_than_need_be():
    program = compile(lambda x, n: mg.sum([x * x] * n), backend="python")
    assert program.value_and_gradients(2, 3) == (12.0, (12.0, None))  # x is an int, too
    assert program.value_and_gradients(2.5, 3) == (18.75, (15.0, None))
    power = compile(lambda x, n: x**n, backend="python")
    assert power.value_and_gradients(2.0, 3)[1][1] == pytest.approx(8 * np.log(2))
    assert power(2.0, 3.5) == 2.0**3.5


def test_floats_are_never_static_and_nothing_is_found_where_nothing_helps():
    for call in (lambda: compile(lambda x: x if x > 0 else 0.0, backend="python")(2.0),
                 lambda: compile(lambda x, n: (x if x > 0 else 0.0) * n, backend="python")(2.0, 3)):  # fmt: skip
        with pytest.raises(mg.TracingError, match="say where"):
            call()
    with pytest.raises(TypeError, match="A real number is needed, got 'a'"):
        compile(lambda x: x * 2, backend="python")("a")
    with pytest.raises(mg.TracingError):
        compile(lambda x, n: mg.sum([x] * n), backend="python").trace(1.0, 2)(1.0, 2.0)


def named(x, n):
    return mg.sum([x] * n)


def test_programs_with_static_arguments_pickle_and_methods_take_keywords():
    program = compile(named, static="n")
    assert program(2.0, n=3) == 6.0
    assert pickle.loads(pickle.dumps(program))(2.0, n=4) == 8.0

    class Line:
        def __init__(self):
            self.slope = Value(3.0, "slope")

        def at(self, x, bias=0.0):
            return self.slope * x + bias

    line = Line()
    program = compile(line.at, backend="python")
    assert program(2.0, bias=1.0) == 7.0
    line.slope.data = 4.0
    assert program(x=2.0, bias=1.0) == 9.0
    assert program.parameters == [line.slope]


def test_random_numbers_are_refused_in_every_kind_of_call():
    generator = random.Random(0)
    noisy = compile(lambda x, n=1: x * generator.random() * n, backend="python", static="n")
    for keywords in ({}, {"n": 2}):
        with pytest.raises(mg.TracingError, match="draws random numbers"):
            noisy(2.0, **keywords)


def test_a_profile_is_that_of_the_numbers():
    program = compile(lambda x, n: mg.sum([x * x] * n), backend="python")
    assert program(2.0, np.int64(3)) == 12.0
    assert {part.operation for part in program.profile(2.0, 3).by_operation()} >= {"mul", "sum"}
    assert compile(lambda x, up: x + 1 if up else x, backend="python")(2.0, np.True_) == 3.0


def test_training_takes_no_static_arguments_by_accident():
    w = Value(1.0, "w")
    program = compile(lambda x, n: (w * x - n) ** 2, backend="python")
    assert program.backward([1.0, 2.0], [3, 5]) == 6.5
    with pytest.raises(mg.TracingError):
        compile(lambda x, n: mg.sum([w * x] * n), backend="python").backward([1.0], [3])
