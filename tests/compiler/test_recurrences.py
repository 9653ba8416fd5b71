"""Recurrences: found on the tape, differentiated once, run as loops; the same numbers as straight lines and eager mode.

MICROGRANND_RANDOM_GRAPHS sets how many random programs; each hides one or two recurrences.
"""

import ctypes
import math
import os
import shutil
import subprocess
from random import Random

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.compiler import plan
from microgrannd.compiler.recurrences import find
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.ground.nests import leaves, mapped
from tests.libraries import needs
from tests.recurrent_programs import (
    eager,
    fibonacci,
    kalman,
    lstm,
    mixed,
    nested,
    pendulum,
    product,
    recurrent,
    two_in_turn,
    with_a_slip,
    with_ends,
)

COUNT = int(os.environ.get("MICROGRANND_RANDOM_GRAPHS", "300"))
UNARY = (mg.tanh, mg.sin, mg.cos, mg.sigmoid, mg.atan, mg.relu, mg.abs, mg.softplus, mg.square)
BINARY = (
    *(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, mg.maximum, mg.minimum, mg.hypot),
    *(lambda a, b: a / (b * b + 1), lambda a, b: mg.where(mg.less(a, b), a, 2 * b)),
)


PROGRAMS = {
    "product": product(1200),
    "nested": nested(300),
    "mixed": mixed(300),
    "with a slip": with_a_slip(500),
    "recurrent": recurrent(400),
    "loss at each step": recurrent(300, at_each=True),
    "lstm": lstm(40),
    "pendulum": pendulum(30),
    "kalman": kalman(100),
    "fibonacci": fibonacci(400),
    "with ends": with_ends(300),
    "two in turn": two_in_turn(300),
}


def compiled(function, arguments, backend):
    program = mg.compile(function, backend=backend)
    value, gradients = program.value_and_gradients(*arguments)
    return [value, *leaves(gradients)], program


def is_rolled(program):
    latest, backend = program.runtime.latest, program.runtime.options.backend
    of = latest.native_program if backend in ("native", "auto") else latest.program
    return isinstance(of("inputs"), Rolled)


def same(found, wanted, tolerance=1e-12):
    scale = max([1.0, *[abs(x) for x in wanted if math.isfinite(x)]])
    return len(found) == len(wanted) and all(
        x == y or (x != x and y != y) or abs(x - y) <= tolerance * scale for x, y in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("backend", ["python", "native", "auto", "numpy", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_recurrence_gives_what_eager_mode_gives(name, backend):
    if backend != "python":
        needs("native" if backend == "auto" else backend)
    function, arguments = PROGRAMS[name]
    found, program = compiled(function, arguments, backend)
    assert is_rolled(program)
    assert same(found, eager(function, arguments))
    assert program(*arguments) == pytest.approx(found[0], rel=1e-14)


def test_what_only_looks_like_a_recurrence_stays_straight():
    """The same operations over and over, each of which reads any result before it."""
    random = Random(11)
    read = [random.randrange(k + 1) for k in range(500)]

    def last(x, w):
        hs = [0.4]
        for k in range(500):
            hs.append(mg.tanh(hs[read[k]] * w + hs[-1] * x[k]))
        return hs[-1]

    arguments = [random.gauss(0, 1) for _ in range(500)], 0.6
    found, program = compiled(last, arguments, "python")
    assert not is_rolled(program)
    assert same(found, eager(last, arguments))


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpy_source_has_a_loop_over_arrays(name):
    needs("numpy")
    import numpy

    function, arguments = PROGRAMS[name]
    program = mg.compile(function, backend="numpy").trace(*arguments)
    names = {}
    exec(program.matrix_source, names)
    assert " in range(" in program.matrix_source
    random = Random(8)
    shaken = [mapped(lambda x: x + random.gauss(0, 0.01), arguments) for _ in range(3)]
    columns = numpy.array([leaves(sample) for sample in shaken]).T
    value, slopes = names[program.runtime.latest.trace.name](*program.runtime.latest.arranged(list(columns)))
    for i, sample in enumerate(shaken):
        found = [numpy.broadcast_to(x, 3)[i] for x in (value, *slopes)]
        assert same(found, eager(function, sample))


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("name", PROGRAMS)
def test_c_has_a_loop(name, tmp_path):
    function, arguments = PROGRAMS[name]
    wanted = eager(function, arguments)
    assert same(in_c(mg.compile(function, backend="python").trace(*arguments), arguments, tmp_path), wanted)
    assert "for (long i" in (tmp_path / "program.c").read_text()


def in_c(program, arguments, folder):
    """The value and the gradients by the inputs from compiled C."""
    program.to_c(folder / "program.c")
    options = ["-std=c99", "-O1", "-Wall", "-Werror", "-pedantic", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, "-o", folder / "program.so", folder / "program.c", "-lm"], check=True)
    gradient = getattr(ctypes.CDLL(str(folder / "program.so")), f"{program.runtime.latest.trace.name}_gradient")
    gradient.restype = ctypes.c_double
    numbers = leaves(arguments)
    array = ctypes.c_double * len(numbers)
    slopes = array()
    value = gradient(array(*numbers), (ctypes.c_double * 1)(), slopes, None)
    return [value, *slopes]


@pytest.mark.parametrize("backend", ["python", "native", "numpy"])
@pytest.mark.parametrize("awkward", [0.0, math.inf, -math.inf, math.nan, 1e308])
def test_what_is_not_finite_is_guarded(awkward, backend):
    if backend != "python":
        needs(backend)

    def last(x, w):
        h = 0.0
        for each in x:
            h = mg.sqrt(mg.abs(h * w + each)) * 0.5
        return h

    arguments = ([1.0] * 150 + [awkward] + [1.0] * 150, 0.5)
    found, program = compiled(last, arguments, backend)
    assert is_rolled(program)
    assert same(found, eager(last, arguments))


def test_training_goes_through_the_loops():
    w, u = Value(0.5), Value(0.3)
    random = Random(9)
    data = [[random.gauss(0, 1) for _ in range(300)] for _ in range(16)], [random.uniform(-1, 1) for _ in range(16)]

    def loss(x, y):
        h = 0.0
        for each in x:
            h = mg.tanh(w * h + u * each)
        return (h - y) ** 2

    results = []
    for backend in ("", "python", "native", "numpy"):
        if backend not in ("", "python"):
            needs(backend)
        w.data, u.data = 0.5, 0.3
        optimizer = mg.optim.Adam([w, u], lr=0.01)
        options = {"epochs": 3, "batch_size": 8, "seed": 1}
        if backend:
            mg.compile(loss, backend=backend).fit(data, optimizer, **options)
        else:
            mg.fit(loss, data, optimizer, compiled=False, **options)
        results.append((w.data, u.data))
    assert all(result == pytest.approx(results[0], rel=1e-12) for result in results)


@pytest.mark.parametrize("has_inputs", [True, False])
def test_a_large_batch_goes_through_an_array_library_in_parts(has_inputs, monkeypatch):
    needs("numpy")
    import numpy

    from microgrannd.compiler.arrays import recurrent as on_arrays

    w = Value(0.5)

    def last(x):
        h = 0.1
        for _ in range(100):
            h = mg.tanh(w * h + (x if has_inputs else 0.3))
        return h * h

    batch = numpy.linspace(-1, 1, 23)
    program = mg.compile(last, backend="numpy").trace(0.5)
    found = []
    for chunk in (1 << 22, 4_000):
        monkeypatch.setattr(on_arrays, "CHUNK", chunk)
        w.grad = 0.0
        found.append([program.backward(batch), w.grad, *program.value_and_gradients(batch)[0]])
    assert found[0] == pytest.approx(found[1], rel=1e-13)
    assert found[0][0] == pytest.approx(sum(last(float(x)).data for x in batch) / 23)


def leaves_of(nest):
    """The arrays of a nest, in order."""
    if isinstance(nest, dict | list | tuple):
        return [x for part in (nest.values() if isinstance(nest, dict) else nest) for x in leaves_of(part)]
    return [nest] if nest.ndim == 1 else list(nest.T)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_goes_through_the_loops(name):
    needs("native")
    import numpy

    function, arguments = PROGRAMS[name]
    program = mg.compile(function, backend="native").trace(*arguments)
    random = Random(6)
    shaken = [mapped(lambda x: x + random.gauss(0, 0.01), arguments) for _ in range(11)]
    columns = numpy.array([leaves(sample) for sample in shaken]).T
    values, gradients = program.value_and_gradients(*program.runtime.latest.arranged(list(columns)))
    for i, sample in enumerate(shaken):
        found = [values[i], *[column[i] for column in leaves_of(gradients)]]
        assert same(found, eager(function, sample))


def expression(random, size):
    """A function of numbers, by name, that is a few random operations; its results stay small."""
    lines = []
    for k in range(size):
        lines.append((random.choice(UNARY if random.random() < 0.5 else BINARY), random.random(), random.random(), k))

    def run(numbers):
        numbers = list(numbers)
        for row, one, two, _ in lines:
            given = [numbers[int(one * len(numbers))], numbers[int(two * len(numbers))]]
            numbers.append(row(given[0]) if row in UNARY else row(*given))
        return mg.tanh(numbers[-1] + 0.3 * numbers[0])

    return run


def random_program(seed):
    """A head, one or two recurrences of one to three carried numbers, a tail; also a loop in a loop."""
    random = Random(seed)
    steps, width = random.choice((12, 40, 90)), random.randint(1, 3)
    carried = random.randint(1, 3)
    second = random.random() < 0.5
    inner = random.choice((0, 0, 0, 2, 9))
    at_each, reads_before, constants = random.random() < 0.4, random.random() < 0.3, random.random() < 0.3
    head, tail = expression(random, random.randint(0, 6)), expression(random, random.randint(1, 6))
    bodies = [[expression(random, random.randint(1, 6)) for _ in range(carried)] for _ in range(2)]
    losses = expression(random, 2)
    table = [random.gauss(0, 1) for _ in range(steps)]
    order = list(range(steps))
    if random.random() < 0.2:
        random.shuffle(order)

    def function(x, ws):
        first = head(ws)
        hs, total, every = [first, *([0.1] * 3)][:carried], 0.0, []
        before = hs[0]
        for i in order:
            given = [*hs, *x[i], *ws]
            if reads_before:
                given.append(before)
            if constants:
                given.append(table[i] * ws[0])
            before = hs[0]
            for _ in range(inner):
                given[0] = mg.sin(given[0] + 0.2 * given[-1])
            hs = [body(given) for body in bodies[0]]
            every.append(hs[-1])
            if at_each:
                total = total + losses([*hs, x[i][0]])
        if second:
            gs = [0.2] * carried
            for i in range(steps):
                gs = [body([*gs, every[i], *ws]) for body in bodies[1]]
            hs = [*hs, *gs]
        return tail([*hs, first, *ws]) + 0.1 * total

    given = [[random.gauss(0, 1) for _ in range(width)] for _ in range(steps)]
    return function, (given, [random.gauss(0, 0.7) for _ in range(4)])


def check_random_programs(seeds, monkeypatch):
    """Compare them all in Python, and one in four in native code; how many had loops."""
    rolled = 0
    for seed in seeds:
        function, arguments = random_program(seed)
        wanted = eager(function, arguments)
        found, program = compiled(function, arguments, "python")
        assert same(found, wanted, 1e-9), seed
        rolled += is_rolled(program)
        if seed % 8 < 2:
            found, _ = compiled(function, arguments, "native")
            if not same(found, wanted, 1e-9):  # straight lines round as loops do, where a program magnifies that
                with monkeypatch.context() as straight:
                    straight.setattr(find, "FEWEST", math.inf)
                    wanted, _ = compiled(function, arguments, "native")
                assert same(found, wanted, 1e-9), seed
    return rolled


@pytest.mark.parametrize("part", range(2))
def test_random_programs_with_recurrences(part, monkeypatch):
    needs("native")
    for module, name, number in ((find, "FEWEST", 60), (find, "SMALLEST", 20), (plan, "_SHORT", 60)):
        monkeypatch.setattr(module, name, number)
    seeds = range(part, min(COUNT // 2, 2000) if COUNT > 300 else 40, 2)
    assert check_random_programs(seeds, monkeypatch) > 0.9 * len(seeds)
