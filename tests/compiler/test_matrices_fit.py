"""Training on arrays: the same weights as eager mode, sample by sample, ends at."""

import numpy as np
import pytest

from microgrannd import Value, compile, fit
from microgrannd.compiler.arrays.choice import suits_arrays
from microgrannd.compiler.fitting import training
from microgrannd.compiler.tape.trace import trace
from microgrannd.learning.epochs import Batches, train
from microgrannd.losses import half_squared_error, softmax_cross_entropy
from microgrannd.nn import MLP
from microgrannd.optim import SGD, Adam, AdamW
from tests.libraries import needs

OPTIMIZERS = [
    lambda p: SGD(p, lr=0.5),
    lambda p: SGD(p, lr=0.1, momentum=0.9),
    lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: Adam(p, lr=0.05),
    lambda p: AdamW(p, lr=0.05),
]


def data(count=23):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 3)), np.eye(2)[generator.integers(0, 2, count)]


def trained(make, backend=None, output="sigmoid", loss=half_squared_error, float32=False, **options):
    model = MLP(3, [4, 2], "sigmoid", output, seed=0)
    optimizer = make(model.parameters())
    x, y = data()

    def error(x, y):
        return loss(model(x), y)

    if backend is None:
        history = fit(error, (x.tolist(), y.tolist()), optimizer, compiled=False, **options)
    else:
        history = fit_on_arrays(error, (x, y), optimizer, backend, float32=float32, **options)
    memory = [number for name in sorted(optimizer.memory) for number in optimizer.memory[name]]
    numbers = [p.data for p in model.parameters()], [p.grad for p in model.parameters()], memory, history.losses
    return np.concatenate([np.array(part) for part in numbers]), optimizer.steps


def fit_on_arrays(error, columns, optimizer, backend, **options):
    return run_on_arrays(error, columns, optimizer, backend, **options)[0]


def run_on_arrays(error, columns, optimizer, backend, float32=False, epochs=1, **drawn):
    """The history of a training on arrays, though the program is small, and what ran it."""
    program = compile(error, backend="auto" if backend == "native" else backend, float32=float32)
    if backend == "native":
        program.runtime.array_backend = lambda plan: "native"
    batches = Batches(columns, epochs, **drawn)
    run = training(program, batches, optimizer, epochs)
    return train(run, batches, optimizer, epochs=epochs), run


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, {"batch_size": 5, "seed": 1}, {"batch_size": 7, "seed": 1, "replace": True}])
def test_it_ends_at_the_weights_of_eager_training(make, options):
    want, steps = trained(make, epochs=6, **options)
    got, taken = trained(make, "numpy", epochs=6, **options)
    assert taken == steps
    assert got == pytest.approx(want, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["native", "jax", "torch"])
def test_other_libraries_end_there_too(backend, make):
    needs(backend)
    options = {"epochs": 3, "batch_size": 8, "seed": 1, "output": "linear", "loss": softmax_cross_entropy}
    want, steps = trained(make, **options)
    got, taken = trained(make, backend, **options)
    assert taken == steps
    assert got == pytest.approx(want, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_parameters_and_memory_stay_in_the_library_with_the_bits_asked_for(backend):
    module = pytest.importorskip(backend)
    model = MLP(3, [4, 2], "sigmoid", "sigmoid", seed=0)
    optimizer = Adam(model.parameters(), lr=0.05)
    options = {"float32": True, "epochs": 3, "batch_size": 8, "seed": 1}
    _, run = run_on_arrays(lambda x, y: half_squared_error(model(x), y), data(), optimizer, backend, **options)
    kind = {"numpy": "ndarray", "jax": "Array", "torch": "Tensor"}[backend]
    assert [isinstance(column, getattr(module, kind)) for column in run.inner.state] == [True] * 3
    assert {str(column.dtype).removeprefix("torch.") for column in run.inner.state} == {"float32"}
    got = np.array([p.data for p in model.parameters()])
    want, _ = trained(OPTIMIZERS[3], epochs=3, batch_size=8, seed=1)
    assert got == pytest.approx(want[: len(got)], rel=1e-4)
    assert (got == got.astype(np.float32)).all()
    assert (got != want[: len(got)]).any()


@pytest.mark.parametrize("backend", ["numpy", "native", "jax", "torch"])
def test_batches_in_chunks_give_the_same(backend, monkeypatch):
    needs(backend)
    want, _ = trained(OPTIMIZERS[3], epochs=4, batch_size=20, seed=1)
    monkeypatch.setattr("microgrannd.compiler.arrays.training.CHUNK", 100)
    got, _ = trained(OPTIMIZERS[3], backend, epochs=4, batch_size=20, seed=1)
    assert got == pytest.approx(want, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "native", "jax", "torch"])
def test_where_infinite_numbers_meet_a_gradient_of_zero_the_guards_take_over(backend):
    from microgrannd.operations import exp, where

    w = Value(1.0)

    def error(x):
        return where(x > 0, x * w, exp(-x * 1000.0) * w * 0.0 + exp(-1000.0 * x * w))

    columns = (np.array([2.0, 1.0, 0.5, 3.0]),)
    needs(backend)
    fit_on_arrays(error, columns, SGD([w], lr=0.1), backend, epochs=2)
    assert w.data == pytest.approx(1.0 - 2 * 0.1 * columns[0].mean(), rel=1e-12)


def test_bytes_are_taken_as_they_are():
    model = MLP(2, [1], seed=0)
    x, y = np.array([[0, 255], [7, 9]], dtype=np.uint8), np.array([1, 0])
    fit_on_arrays(
        lambda x, y: half_squared_error(model(x), y), (x, y), SGD(model.parameters(), lr=1e-6), "numpy", epochs=3
    )
    other = MLP(2, [1], seed=0)
    fit(
        lambda x, y: half_squared_error(other(x), y),
        (x.tolist(), y.tolist()),
        SGD(other.parameters(), lr=1e-6),
        epochs=3,
        compiled=False,
    )
    assert [p.data for p in model.parameters()] == pytest.approx([p.data for p in other.parameters()], rel=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("expand", [False, True])
def test_arrays_suit_wide_tapes_and_not_long_ones(expand, backend):
    model = MLP(100, [60, 10], "sigmoid", "sigmoid", seed=0, expand=expand)
    wide = trace(lambda x, y: half_squared_error(model(x), y), ([0.5] * 100, [0.0] * 10)).tape
    assert suits_arrays(wide, backend)

    def chain(x):
        for _ in range(6000):
            x = x * 0.999 + 0.001
        return x

    assert not suits_arrays(trace(chain, (0.5,)).tape, backend)
    small = MLP(2, [16, 16, 1], seed=0)
    assert not suits_arrays(trace(lambda x: small(x), ([0.5, 0.5],)).tape, backend)


@pytest.mark.parametrize("backend", ["numpy", "native", "jax", "torch"])
def test_a_gradient_that_is_a_number(backend):
    needs(backend)
    w, v = Value(0.5), Value(0.25)
    columns = (np.array([1.0, 2.0, 4.0, 8.0, 16.0]),)
    history = fit_on_arrays(lambda x: w * 3.0 + v * x, columns, SGD([w, v], lr=0.1), backend, epochs=1, batch_size=2)
    assert w.data == pytest.approx(0.5 - 3 * 0.1 * 3.0, rel=1e-12)  # three batches, the last of one sample
    assert len(history) == 1
    assert (w.grad, v.grad in columns[0]) == (3.0, True)


@pytest.mark.parametrize("backend", ["numpy", "native", "jax", "torch"])
def test_gradients_that_are_the_other_parameters(backend):
    """A step may not change what the next gradient is."""
    needs(backend)
    w, v = Value(0.5), Value(0.25)
    fit_on_arrays(lambda x: w * v, (np.array([1.0]),), SGD([w, v], lr=0.1), backend, epochs=1)
    assert (w.data, v.data) == (0.5 - 0.1 * 0.25, 0.25 - 0.1 * 0.5)


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["numpy", "native", "python", "auto"])
def test_parameters_that_the_loss_does_not_reach_are_left_as_eager_training_leaves_them(backend, make):
    needs("numpy" if backend in ("python", "auto") else backend)
    ends = []
    for how in ("eager", backend):
        model, spare = MLP(3, [4, 2], "tanh", seed=0), [Value(0.5), Value(-2.0)]
        optimizer = make([spare[0], *model.parameters(), spare[1]])
        spare[0].grad = 3.0
        columns = data()

        def loss(x, y, model=model):
            return half_squared_error(model(x), y)

        if how == "eager":
            fit(loss, columns, optimizer, epochs=3, batch_size=8, seed=1, compiled=False)
        else:
            compile(loss, backend=how).fit(columns, optimizer, epochs=3, batch_size=8, seed=1)
        everything = [*model.parameters(), *spare]
        ends.append([*[p.data for p in everything], *[p.grad for p in spare]])
    assert ends[1] == pytest.approx(ends[0], rel=1e-10, abs=1e-12)
