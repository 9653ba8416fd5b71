"""Native code: every operation beside eager mode, the vector mathematics beside mpmath, long tapes in pieces."""

import math
from random import Random

import mpmath as mp
import numpy as np
import pytest

from microgrannd import Value
from microgrannd import operations as ops
from microgrannd.compiler import compile
from microgrannd.compiler.native.kernels import NativeKernel
from microgrannd.compiler.tape.tape import Instruction, Tape
from microgrannd.operations import FusedOperation, Operation

EDGES = [
    *(0.0, 1.0, 0.5, 2.0, 3.0, 8.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-20, 1e-8, 0.1, 0.7, 1.5, 20.0, 37.0),
    *(100.0, 709.7, 709.79, 710.0, 745.13, 745.14, 1e5, 1e6, 1e7, 2.0**53, 1e15 + 0.5, 1e200, 1.7e308, math.inf),
]
NUMBERS = [*EDGES, *[-x for x in EDGES], math.nan]
GENERATOR = np.random.default_rng(0)


def ulps(found, wanted):
    """How far apart, in units of the last place of the wanted number."""
    if math.isnan(wanted) or math.isnan(found) or math.isinf(wanted) or math.isinf(found):
        return 0.0 if found == wanted or (math.isnan(found) and math.isnan(wanted)) else math.inf
    return abs(found - wanted) / math.ulp(wanted)


def inputs_of(operation):
    if isinstance(operation, FusedOperation):
        return 3 * operation.vectors + (operation.vectors > 1)
    return operation.local_gradients.__code__.co_argcount - 1


# They cross zero where terms cancel that are about as large as the inputs.
CROSSING = ("logaddexp", "lgamma", "digamma", "lbeta")


@pytest.mark.parametrize("name", ops.TABLE)
def test_every_operation_is_within_4_ulp_of_eager_mode(name):
    operation = ops.TABLE[name]
    count = inputs_of(operation)
    tape = Tape(tuple(f"x{i}" for i in range(count)), (), (Instruction(operation, tuple(range(count))),), (count,))
    if count == 1:
        samples = [(x,) for x in [*NUMBERS, *GENERATOR.normal(size=300) * 3]]
    elif count == 2:
        samples = [(x, y) for x in NUMBERS for y in NUMBERS] + [*map(tuple, GENERATOR.normal(size=(300, 2)) * 3)]
    else:
        samples = [tuple(GENERATOR.choice(NUMBERS, size=count)) for _ in range(600)]
        samples += [tuple(abs(x)) for x in GENERATOR.normal(size=(300, count)) * 3]
    samples = [tuple(map(float, sample)) for sample in samples]
    kernel = NativeKernel(tape)
    column = np.empty(len(samples))
    kernel.each([np.array(column) for column in zip(*samples, strict=True)], [], len(samples), [column])
    for sample, in_lanes in zip(samples, column, strict=True):
        wanted = float(operation.forward(*sample))
        for found in (in_lanes, kernel.one(sample, [])[0]):
            if name in ("sum", "mean", "dot") and math.isfinite(found) and math.isfinite(wanted):
                # Python from 3.12 on adds more carefully: the terms' size is the measure
                size = max(abs(x * y) for x in sample for y in (1.0, *sample))
                assert abs(found - wanted) <= 8 * math.ulp(size), sample
            elif name == "logsumexp" and math.isfinite(found) and math.isfinite(wanted):
                assert abs(found - wanted) <= 4 * math.ulp(max(1.0, *map(abs, sample))), sample
            elif name in CROSSING and math.isfinite(found) and math.isfinite(wanted):
                assert abs(found - wanted) <= 4 * math.ulp(max(1.0, abs(wanted), *map(abs, sample))), sample
            else:
                # a factor below 2**-1022 has lost bits, and the product shows it
                lost = name == "silu" and abs(wanted) < 1e-300
                assert ulps(float(found), wanted) <= (16 if lost else 4), (sample, found, wanted)
            if wanted == 0 and found == 0:
                assert math.copysign(1, found) == math.copysign(1, wanted), (sample, found, wanted)


def sweep(low, high, count=1500):
    return GENERATOR.uniform(low, high, count)


WIDE = np.concatenate([sign * np.exp2(GENERATOR.uniform(-1074, 1023.9, 600)) for sign in (1, -1)])
SWEEPS = {
    "exp": (mp.exp, [sweep(-746, 710), sweep(-1, 1)]),
    "log": (mp.log, [abs(WIDE), sweep(0.5, 2), sweep(0.99, 1.01)]),
    "log1p": (mp.log1p, [sweep(-1, 2), sweep(-0.01, 0.01), abs(WIDE)]),
    "tanh": (mp.tanh, [sweep(-20, 20), sweep(-1, 1), WIDE[abs(WIDE) < 1e3]]),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), [sweep(-745, 40), sweep(-5, 5)]),
    "erf": (mp.erf, [sweep(-7, 7), sweep(-1.5, 1.5), WIDE[abs(WIDE) < 30]]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [sweep(-745, 40), sweep(-5, 5)]),
    "sin": (mp.sin, [sweep(-10, 10), sweep(-1e6, 1e6), WIDE[abs(WIDE) < 1e30], np.arange(1, 400) * math.pi / 2]),
    "cos": (mp.cos, [sweep(-10, 10), sweep(-1e6, 1e6), WIDE[abs(WIDE) < 1e30], np.arange(1, 400) * math.pi / 2]),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_vector_mathematics_is_within_2_ulp_of_the_truth(name):
    exact, parts = SWEEPS[name]
    xs = np.concatenate(parts)
    tape = Tape(("x",), (), (Instruction(ops.TABLE[name], (0,)),), (1,))
    found = np.empty(len(xs))
    NativeKernel(tape).each([xs], [], len(xs), [found])
    with mp.workprec(200):
        for x, y in zip(xs.tolist(), found.tolist(), strict=True):
            wanted = exact(mp.mpf(x))
            unit = math.ulp(float(wanted))
            assert abs(mp.mpf(y) - wanted) <= 2 * mp.mpf(unit) or float(wanted) == y, (x, y)


def chain(length):
    def function(x, w):
        random = Random(1)  # so that nothing repeats
        for i in range(length // 4):
            x = (x * w + 0.25).tanh() - 0.001 * i * x if random.random() < 0.5 else (x - w).sin() + x * 0.001
            x = x * 0.5 if random.random() < 0.5 else x + 0.01
        return x

    return function


def test_a_long_tape_is_cut_into_functions():
    function = chain(3000)
    w = Value(0.3)
    program = compile(lambda x: function(x, w), backend="native")
    x = Value(0.7)
    output = function(x, w)
    output.backward()
    value, (by_x,) = program.value_and_gradients(0.7)
    assert (value, by_x) == pytest.approx((output.data, x.grad), rel=1e-12)
    values, (slopes,) = program.value_and_gradients(np.full(11, 0.7))
    np.testing.assert_allclose(values, output.data, rtol=1e-12)
    np.testing.assert_allclose(slopes, x.grad, rtol=1e-12)
    gradient, w.grad = w.grad, 0.0
    assert program.backward([0.7] * 5) == pytest.approx(output.data, rel=1e-12)
    assert w.grad == pytest.approx(gradient, rel=1e-12)
    assert "section" in program.llvm_ir


def test_the_assembly_can_be_read():
    program = compile(lambda x: x.tanh() * x, backend="native").trace(1.0)
    assert "define void @total(" in program.llvm_ir
    assert "<8 x double>" in program.llvm_ir


def test_auto_takes_the_python_backend_for_operations_of_the_users_own():
    cube = Operation("cube", lambda x: x * x * x, lambda x, out: (3 * x * x,))
    assert compile(lambda x: cube(x)).value_and_gradients(2.0) == (8.0, (12.0,))
    with pytest.raises(TypeError, match="not your own: cube"):
        compile(lambda x: cube(x), backend="native")(2.0)


def test_a_missing_llvmlite_is_one_line_that_says_what_to_install(monkeypatch):
    import sys

    from microgrannd.compiler.llvm.machine import llvm

    monkeypatch.setitem(sys.modules, "llvmlite", None)
    llvm.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'microgrannd\[native\]'"):
            compile(lambda x: x * x, backend="native")(2.0)
    finally:
        llvm.cache_clear()


def test_threads_change_no_bit():
    x = GENERATOR.normal(size=(300_000, 2))
    w = Value(0.5)
    found = []
    for threads in (1, 3):
        w.grad = 0.0
        program = compile(lambda x: ((x[0] * w).tanh() * x[1]).exp(), backend="native", threads=threads)
        value, (by_x,) = program.value_and_gradients(x)
        found.append((program.backward(x), w.grad, value.tobytes(), by_x.tobytes()))
    assert found[0] == found[1]
    tanh = np.tanh(x[:, 0] * 0.5)
    np.testing.assert_allclose(value, np.exp(tanh * x[:, 1]), rtol=1e-14)
    with pytest.raises(ValueError, match="threads is at least 1"):
        compile(lambda x: x, threads=0)


def test_code_is_kept_on_disk_where_asked_for_and_never_run_if_altered(tmp_path, monkeypatch):
    from microgrannd.compiler.llvm.machine import CachedCode

    written = []
    write = CachedCode.write
    monkeypatch.setattr(CachedCode, "write", lambda *a: (written.append(1), write(*a))[1])

    def run():
        program = compile(lambda x: x.tanh() * 3, backend="native", cache=tmp_path)
        return program(np.array([0.5, 1.0])).tolist()

    wanted = [3 * math.tanh(0.5), 3 * math.tanh(1.0)]
    assert run() == run() == pytest.approx(wanted)
    assert len(written) == 1
    [file] = tmp_path.iterdir()
    altered = bytearray(file.read_bytes())
    altered[len(altered) // 2] ^= 1
    file.write_bytes(bytes(altered))
    assert run() == pytest.approx(wanted)
    assert len(written) == 2
    file.write_bytes(b"")
    assert run() == pytest.approx(wanted)
    assert len(written) == 3


@pytest.mark.parametrize("xs", [(0.0, -45.0, -50.0), (-45.0, 0.0, -50.0), (2.0, 2.0, 2.0), (0.0, 0.0, -1e3)])
def test_logsumexp_is_right_where_one_is_far_above_the_others(xs):
    with mp.workdps(50):
        wanted = float(mp.log(sum(mp.exp(x) for x in xs)))
    program = compile(lambda x, y, z: ops.logsumexp([x, y, z]), backend="native")
    assert ulps(program(*xs), wanted) <= 4
    assert ulps(float(program(*[np.full(9, x) for x in xs])[8]), wanted) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("fused", ["sum", "mean", "dot"])
def test_a_very_wide_operation_is_taken_in_parts(fused):
    xs = GENERATOR.normal(size=450).tolist()
    function = {"sum": ops.sum, "mean": ops.mean, "dot": lambda xs: ops.dot(xs, xs[::-1], xs[0])}[fused]
    program = compile(lambda xs: ops.exp(function(xs) * 1e-3), backend="native")
    values = [Value(x) for x in xs]
    wanted = ops.exp(function(values) * 1e-3)
    wanted.backward()
    value, (slopes,) = program.value_and_gradients(xs)
    assert value == pytest.approx(wanted.data, rel=1e-12)
    np.testing.assert_allclose(slopes, [x.grad for x in values], rtol=1e-11)
    many = program(np.array([xs] * 9))
    np.testing.assert_allclose(many, wanted.data, rtol=1e-12)
