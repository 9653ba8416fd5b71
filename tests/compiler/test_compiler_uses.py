"""Other uses of a program: second derivatives, C, calls straight from Python."""

import ctypes
import gc
import math
import subprocess
import sys
import threading
from decimal import Decimal
from shutil import which

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value, operations
from microgrannd.compiler import compile
from microgrannd.compiler.native.direct_calls import fast_function
from microgrannd.nn import MLP
from microgrannd.operations import TABLE, FusedOperation

SCALAR_BACKENDS = pytest.mark.parametrize("backend", ["python", "native"])


@pytest.mark.parametrize("backend", ["python", "native", "numpy", "jax", "torch"])
def test_second_derivatives(backend):
    program = compile(lambda x, y: mg.exp(x[0]) * x[1] ** 3 + y * x[0], backend=backend)
    e = math.exp(0.5)
    [first, second] = program.hessian([0.5, 2.0], 3.0)
    assert first == pytest.approx([8 * e, 12 * e], rel=1e-14)
    assert second == pytest.approx([12 * e, 12 * e], rel=1e-14)
    assert program.hessian([0.5, 2.0], 3.0, argnums=1) == 0.0


def test_second_derivatives_of_a_program_that_suits_arrays():
    model = MLP(3, [40, 40, 1], activation="tanh", seed=0)
    x, program = [0.3, -0.2, 0.5], compile(lambda x: model(x) * 1.0)
    with mg.no_grad():
        wanted = mg.hessian(lambda x: model(x))(x)
    np.testing.assert_allclose(program.hessian(x), wanted, rtol=1e-9, atol=1e-12)


@SCALAR_BACKENDS
def test_second_derivatives_of_rosenbrock(backend):
    def rosenbrock(x):
        return mg.sum([100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(3)])

    x = [0.7, -0.2, 1.1, 0.4]
    wanted = np.zeros((4, 4))
    for i in range(3):
        wanted[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        wanted[i, i + 1] = wanted[i + 1, i] = -400 * x[i]
        wanted[i + 1, i + 1] += 200
    np.testing.assert_allclose(compile(rosenbrock, backend=backend).hessian(x), wanted, rtol=1e-12, atol=1e-10)


needs_a_compiler = pytest.mark.skipif(which("cc") is None, reason="there is no C compiler")


def library(program, folder):
    """The program's C, compiled by the system's compiler."""
    program.to_c(folder / "program.c")
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
    command += ["-o", str(folder / "program.so"), str(folder / "program.c"), "-lm"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return ctypes.CDLL(str(folder / "program.so"))


@needs_a_compiler
def test_a_loss_as_c_gives_the_value_and_both_gradients(tmp_path):
    model = MLP(2, [3, 1], activation="tanh", seed=0)
    program = compile(lambda x, y: (model(x) - y) ** 2, backend="python").trace([1.0, 2.0], 3.0)
    found = library(program, tmp_path)
    size = len(program.parameters)
    by_inputs, by_parameters = (ctypes.c_double * 3)(), (ctypes.c_double * size)()
    found.program_gradient.restype = found.program.restype = ctypes.c_double
    numbers = (ctypes.c_double * size).in_dll(found, "program_parameters")
    assert list(numbers) == [p.data for p in program.parameters]
    value = found.program_gradient((ctypes.c_double * 3)(0.5, -1.0, 0.25), numbers, by_inputs, by_parameters)
    wanted, ([*by_x], by_y) = program.value_and_gradients([0.5, -1.0], 0.25)
    program.backward([[0.5, -1.0]], [0.25])
    assert value == pytest.approx(wanted, rel=1e-14)
    assert list(by_inputs) == pytest.approx([*by_x, by_y], rel=1e-13)
    assert list(by_parameters) == pytest.approx([p.grad for p in program.parameters], rel=1e-13)
    assert found.program((ctypes.c_double * 3)(0.5, -1.0, 0.25), numbers) == pytest.approx(wanted, rel=1e-14)


@needs_a_compiler
def test_a_model_as_c_gives_its_outputs(tmp_path):
    model = MLP(2, [4, 3], seed=0)
    program = compile(model, backend="python").trace([1.0, 2.0])
    found = library(program, tmp_path)
    outputs = (ctypes.c_double * 3)()
    numbers = (ctypes.c_double * len(program.parameters)).in_dll(found, "MLP_parameters")
    found.MLP((ctypes.c_double * 2)(0.5, -1.0), numbers, outputs)
    assert list(outputs) == pytest.approx([y.data for y in model([0.5, -1.0])], rel=1e-14)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.0, 800.0, -800.0, math.inf, -math.inf, math.nan]


@needs_a_compiler
def test_every_operation_as_c(tmp_path):
    def call(operation, x, y, z):
        if isinstance(operation, FusedOperation):
            return operation(*[[x, y]] * operation.vectors)
        count = operation.local_gradients.__code__.co_argcount - 1
        return operation(*[x, y, z][:count])

    program = compile(lambda x, y, z: [call(op, x, y, z) for op in TABLE.values()], backend="python")
    program.trace(1.0, 2.0, 3.0)
    found = library(program, tmp_path)
    outputs = (ctypes.c_double * len(TABLE))()
    generator = np.random.default_rng(0)
    for numbers in generator.choice(SPECIAL, size=(200, 3)):
        found.program((ctypes.c_double * 3)(*numbers), None, outputs)
        for name, got, wanted in zip(TABLE, outputs, program(*map(float, numbers)), strict=True):
            assert got == pytest.approx(wanted, rel=1e-14, abs=0, nan_ok=True), (name, numbers)


def test_an_operation_of_the_users_own_has_no_c(tmp_path):
    cube = operations.Operation("cube", lambda x: x * x * x, lambda x, out: (3 * x * x,))
    with pytest.raises(TypeError, match="not your own: cube"):
        compile(lambda x: cube(x)).trace(1.0).to_c(tmp_path / "cube.c")


@needs_a_compiler
def test_an_operation_of_the_users_own_with_a_form_has_c(tmp_path):
    form = lambda x, y: operations.log(operations.abs(x) + 1) * y  # noqa: E731
    own = operations.Operation("own", lambda x, y: form(x, y), lambda x, y, out: (0.0, 0.0), form=form)
    found = library(compile(lambda x, y: own(x, y) - 2.0).trace(1.0, 2.0), tmp_path)
    found.program.restype = ctypes.c_double
    assert found.program((ctypes.c_double * 2)(-3.5, 0.75), None) == pytest.approx(form(-3.5, 0.75) - 2.0, rel=1e-15)


# ---- calls from Python straight into native code


def black_scholes(s, k, v):
    d = mg.log(s / k) / v + v / 2
    return s * mg.erfc(-d) - k * mg.erfc(v - d)


def test_the_second_call_gives_what_the_first_gave():
    program = compile(black_scholes, backend="native")
    first = program.value_and_gradients(100.0, 95.0, 0.2)
    assert program.value_and_gradients(100.0, 95.0, 0.2) == first
    assert type(program.value_and_gradients).__name__ == "builtin_function_or_method"
    assert program(100.0, 95.0, 0.2) == program(100.0, 95.0, 0.2) == first[0]


def test_other_arguments_take_the_ordinary_way():
    program = compile(lambda x, y: x * y + x, backend="native")
    wanted = (8.0, (4.0, 2.0))
    for arguments in [(2.0, 3.0), (2.0, 3.0), (2, 3), (np.float64(2), 3.0), (True + 1, 3.0)]:
        assert program.value_and_gradients(*arguments) == wanted
        assert program(*arguments) == 8.0
    assert program(np.array([2.0, 2.0]), 3.0).tolist() == [8.0, 8.0]
    with pytest.raises(TypeError, match="real number"):
        program("2", 3.0)
    with pytest.raises(TypeError):
        program(2.0)
    with pytest.raises(TypeError):
        program.value_and_gradients(2.0, 3.0, 4.0)


def test_nests_go_through_the_direct_call():
    program = compile(lambda p, q: p[0] * q[0][1] + p[1] * q[1], backend="native")
    for _ in range(2):
        assert program.value_and_gradients([2.0, 3.0], ([5.0, 7.0], 11.0)) == (47.0, ([7.0, 11.0], ([0.0, 2.0], 3.0)))
    assert program.value_and_gradients((2.0, 3.0), ([5.0, 7.0], 11.0))[0] == 47.0  # another structure
    outputs = compile(lambda x: [x, (x + 1, x * x)], backend="native")
    assert [outputs(3.0), outputs(3.0)] == [[3.0, (4.0, 9.0)]] * 2


def test_a_list_of_another_length_is_another_structure_after_direct_calls_too():
    program = compile(lambda x: mg.sum(x), backend="native")
    assert [program([1.0, 2.0]), program([1.0, 2.0])] == [3.0, 3.0]
    assert [program([1.0, 2.0, 4.0]), program([1.0]), program((1.0, 5.0))] == [7.0, 1.0, 6.0]
    assert program.value_and_gradients([1.0, 2.0])[0] == program.value_and_gradients([1.0, 2.0])[0] == 3.0
    assert program.value_and_gradients([1.0, 2.0, 4.0]) == (7.0, ([1.0] * 3,))


def test_parameters_are_read_at_each_direct_call():
    w = Value(2.0)
    program = compile(lambda x: w * x, backend="native")
    assert [program(3.0), program(3.0)] == [6.0, 6.0]
    for number in (4.0, 5.0):
        w.data = number
        gc.collect()
        assert program(3.0) == 3.0 * number
        assert program.value_and_gradients(3.0) == (3.0 * number, (number,))


def test_a_nan_takes_the_guarded_way_in_a_direct_call_too():
    program = compile(lambda x, w: (x - x) * w * x, backend="native").trace(1.0, 1.0)
    program.value_and_gradients(1.0, 1.0)
    x, w = Value(0.0), Value(math.inf)
    ((x - x) * w * x).backward()
    np.testing.assert_equal(program.value_and_gradients(0.0, math.inf)[1], (x.grad, w.grad))


def test_direct_calls_neither_leak_nor_lose_references():
    program = compile(lambda p: p[0] * p[1], backend="native")
    pair = [1.5, 2.5]
    program.value_and_gradients(pair)
    counts = [sys.getrefcount(thing) for thing in (pair, pair[0], pair[1], float, list)]
    for _ in range(2000):
        program.value_and_gradients(pair)
    after = [sys.getrefcount(thing) for thing in (pair, pair[0], pair[1], float, list)]
    assert all(abs(x - y) < 50 for x, y in zip(counts, after, strict=True))
    call = program.value_and_gradients
    del program
    gc.collect()
    assert call([2.0, 3.0]) == (6.0, ([3.0, 2.0],))


def test_threads_call_native_code_together():
    program = compile(black_scholes, backend="native").trace(1.0, 1.0, 1.0)
    wanted = program.value_and_gradients(100.0, 95.0, 0.2)
    wrong = []

    def work():
        wrong.extend(1 for _ in range(2000) if program.value_and_gradients(100.0, 95.0, 0.2) != wanted)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_a_compiler
def test_a_branch_that_was_not_taken_leaves_no_nan_in_printed_programs(tmp_path):
    program = compile(lambda x: mg.where(mg.less(x, 10.0), mg.square(x), 1.0), backend="python").trace(0.5)
    by_inputs, names = (ctypes.c_double * 1)(), {}
    gradient = library(program, tmp_path).program_gradient
    gradient.restype = ctypes.c_double
    value = gradient((ctypes.c_double * 1)(math.inf), (ctypes.c_double * 1)(), by_inputs, None)
    exec(program.python_source, names)
    assert (value, by_inputs[0]) == (1.0, 0.0)
    assert names["program"](math.inf) == (1.0, (0.0,))


@needs_a_compiler
def test_c_has_guards_where_zero_meets_infinity(tmp_path):
    program = compile(lambda x, y: mg.tanh(x * y), backend="python").trace(0.5, 0.5)
    by_inputs = (ctypes.c_double * 2)()
    gradient = library(program, tmp_path).program_gradient
    gradient.restype = ctypes.c_double
    assert gradient((ctypes.c_double * 2)(math.inf, 1.0), (ctypes.c_double * 1)(), by_inputs, None) == 1.0
    assert list(by_inputs) == [0.0, 0.0]


def test_numpys_floats_go_the_direct_way_as_pythons_do():
    def fallen_back(*arguments):
        raise AssertionError(f"not taken: {arguments}")

    program = compile(lambda x, p: mg.sin(x) * p[0] + p[1], backend="native")
    program.value_and_gradients(0.5, [2.0, 3.0])
    tape, trace = program.runtime.traced().tape("inputs"), program.runtime.traced().trace
    result = program.runtime.traced().shape("inputs")
    direct, _code = fast_function(tape, trace.shapes, result, (), fallen_back, checked=True)
    wanted = program.value_and_gradients(0.5, [2.0, 3.0])
    for number in (float, np.float64):
        for other in (float, np.float64):
            found = direct(number(0.5), [other(2.0), number(3.0)])
            assert found == wanted
            assert type(found[0]) is type(found[1][1][0]) is float
    for number in (np.float32, np.longdouble, int, Decimal):
        with pytest.raises(AssertionError, match="not taken"):
            direct(number(0.5), [2.0, 3.0])
