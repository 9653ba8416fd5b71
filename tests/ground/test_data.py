"""Data to train on: batches that come one after the other, memory-mapped files, arrays of other libraries.

Every way to train is held against a loop written out: each batch's mean gradient, a step, the next batch.
"""

import tracemalloc
import weakref

import pytest

import microgrannd as mg
from microgrannd import Value, fit
from microgrannd.ground.data import Stream, stream_of
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP
from microgrannd.optim import SGD, Adam, Optimizer

np = pytest.importorskip("numpy")
GENERATOR = np.random.default_rng(0)
SIZES = (5, 3, 8, 1)
BATCHES = [(GENERATOR.normal(size=(n, 3)), GENERATOR.normal(size=(n, 2))) for n in SIZES]


def eagerly(loss, data, optimizer, **options):
    return fit(loss, data, optimizer, compiled=False, **options)


def on(backend):
    def train(loss, data, optimizer, **options):
        if backend in ("jax", "torch"):
            pytest.importorskip(backend)
        return mg.compile(loss, backend=backend).fit(data, optimizer, **options)

    return train


WAYS = {"eager": eagerly, "auto": fit, **{name: on(name) for name in ("python", "native", "numpy", "jax", "torch")}}
every_way = pytest.mark.parametrize("way", WAYS)


def trained(train, make=lambda p: SGD(p, lr=0.1)):
    """What a training leaves behind: parameters, last gradients, losses, the optimizer's memory and its count."""
    model = MLP(3, [4, 2], "tanh", seed=0)
    optimizer = make(model.parameters())
    losses = train(lambda x, y: half_squared_error(model(x), y), optimizer)
    state = optimizer.state_dict()
    numbers = [p.data for p in model.parameters()] + [p.grad for p in model.parameters()] + list(losses)
    return [*numbers, *[x for kept in state["memory"].values() for x in kept], state["steps"]]


def by_a_loop(loss, optimizer, batches, epochs):
    """The mean losses of the epochs, by `backward()` alone."""
    losses = []
    for _ in range(epochs):
        total = 0.0
        for columns in batches:
            optimizer.zero_grad()
            for sample in zip(*columns, strict=True):
                value = loss(*sample)
                value.backward(1 / len(columns[0]))
                total += value.data
            optimizer.step()
        losses.append(total / sum(len(columns[0]) for columns in batches))
    return losses


def generated():
    yield from BATCHES


class Loader:
    """It begins anew each time, as a list or a loader of another library does."""

    def __iter__(self):
        return iter(BATCHES)


FORMS = {
    "a generator function": (generated, 3),
    "a function that gives a list": (lambda: BATCHES, 3),
    "an iterable": (Loader(), 3),
    "an iterable of lists": (lambda: [[x.tolist(), y.tolist()] for x, y in BATCHES], 3),
    "an iterator": (iter(BATCHES), 1),
    "a generator": (generated(), 1),
}


# ---- batches that come one after the other


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.5), lambda p: Adam(p, lr=0.02)])
@every_way
def test_each_batch_is_a_step_and_each_pass_an_epoch(way, make):
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, BATCHES, 3), make)
    got = trained(lambda loss, optimizer: WAYS[way](loss, generated, optimizer, epochs=3).losses, make)
    assert got == pytest.approx(want, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_batches_come_from_what_can_be_iterated_or_gives_it(form):
    data, epochs = FORMS[form]
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, BATCHES, epochs))
    got = trained(lambda loss, optimizer: fit(loss, data, optimizer, epochs=epochs).losses)
    assert got == pytest.approx(want, rel=1e-11, abs=1e-12)


def test_tensors_in_a_loader_and_as_they_are():
    torch = pytest.importorskip("torch")
    x, y = (torch.tensor(np.concatenate(columns)) for columns in zip(*BATCHES, strict=True))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=4)
    batches = [(x[i : i + 4].numpy(), y[i : i + 4].numpy()) for i in range(0, len(x), 4)]
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, batches, 2))
    got = trained(lambda loss, optimizer: fit(loss, loader, optimizer, epochs=2).losses)
    assert got == pytest.approx(want, rel=1e-11, abs=1e-12)
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, [(x.numpy(), y.numpy())], 2))
    got = trained(lambda loss, optimizer: fit(loss, (x, y), optimizer, epochs=2).losses)
    assert got == pytest.approx(want, rel=1e-11, abs=1e-12)


TWO_LONG = [
    ([[1.0, 2.0], [0.5, 1.0]], [1.0, 2.0]),
    (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0])),
]
THREE_LONG = ([[1.0, 2.0, 3.0]], [0.5])


@pytest.mark.parametrize("place", [1, 2])
@every_way
def test_samples_may_have_another_structure_in_another_batch(way, place):
    batches = list(TWO_LONG)
    batches.insert(place, THREE_LONG)

    def train(run):
        w, b = Value(0.25), Value(0.5)
        optimizer = Adam([w, b], lr=0.1)
        losses = run(lambda x, y: (mg.sum([w * number for number in x]) + b - y) ** 2, optimizer)
        return [w.data, b.data, w.grad, b.grad, *losses, *optimizer.memory["mean"]]

    want = train(lambda loss, optimizer: by_a_loop(loss, optimizer, batches, 3))
    got = train(lambda loss, optimizer: WAYS[way](loss, lambda: batches, optimizer, epochs=3).losses)
    assert got == pytest.approx(want, rel=1e-11)


class Halving(Optimizer):
    """An optimizer of the user's own."""

    def step(self):
        for p in self.parameters:
            p.data -= self.lr * p.grad / 2
        self.steps += 1


@every_way
def test_an_optimizer_of_one_s_own_takes_batches_too(way):
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, BATCHES, 2), lambda p: Halving(p, lr=0.1))
    got = trained(
        lambda loss, optimizer: WAYS[way](loss, generated, optimizer, epochs=2).losses, lambda p: Halving(p, lr=0.1)
    )
    assert got == pytest.approx(want, rel=1e-11, abs=1e-12)


@every_way
def test_callbacks_schedules_and_ctrl_c_go_as_ever(way):
    w, seen = Value(1.0), []

    def watch(epoch, history):
        seen.append((epoch, w.data, history.rates[-1]))
        if epoch == 1:
            raise KeyboardInterrupt

    options = {"schedule": lambda epoch: 0.25, "callbacks": [watch]}
    history = WAYS[way](lambda x: (w - x) ** 2, lambda: [([3.0],)], SGD([w], lr=9.0), epochs=9, **options)
    assert seen == [(0, 2.0, 0.25), (1, 2.5, 0.25)]
    assert (history.losses, history.interrupted, w.data) == ([4.0, 1.0], True, 2.5)


@every_way
def test_one_batch_at_a_time_is_in_memory(way):
    made, alive = [], []

    def batches():
        for _ in range(5):
            alive.append(sum(batch() is not None for batch in made))
            x = np.ones((4, 2))
            made.append(weakref.ref(x))
            columns = (x,)
            del x
            yield columns
            del columns

    w = Value(0.5)
    WAYS[way](lambda x: (w * x[0] - x[1]) ** 2, batches, SGD([w], lr=0.1), epochs=2)
    assert len(alive) == 10
    assert max(alive) == (way == "jax")  # when the next is made, none is left; JAX lets go at its next call


def test_the_first_batch_is_looked_at_but_not_lost():
    seen = []

    def batches():
        for i in range(3):
            seen.append(i)
            yield ([float(i)],)

    w = Value(0.0)
    history = fit(lambda x: w + x, batches, SGD([w], lr=0.0), epochs=2)
    assert seen == [0, 1, 2] * 2
    assert history.losses == [1.0, 1.0]


# ---- what is refused


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([([1.0],), 5.0], TypeError, r"Batch 2 of the data is a tuple with an array .* such as \(X, Y\); got float"),
        ([([1.0],), ([2.0], 3.0)], TypeError, "Batch 2 of the data is a tuple .* got a tuple with a float in it"),
        ([(1.0, 2.0)], TypeError, "Batch 1 of the data .* got a tuple with a float in it"),
        ([np.ones((2, 2))], TypeError, "Batch 1 of the data .* got ndarray"),
        ([([1.0],), ([],)], ValueError, r"Batch 2 of the data has arrays of one length, at least 1; got lengths \[0\]"),
        ([([1.0],)] * 2 + [([1.0], [2.0])], ValueError, "Batch 3 of the data has 2 arrays, the first has 1"),
        ([], ValueError, "gave no batch in epoch 1"),
    ],
)
@every_way
def test_a_batch_that_is_none_is_named(way, items, error, message):
    w = Value(0.0)
    with pytest.raises(error, match=message):
        WAYS[way](lambda x, y=0: w * x, lambda: items, SGD([w], lr=0.1), epochs=2)


def test_a_batch_whose_samples_differ_is_named():
    w = Value(0.0)
    items = [([[1.0, 2.0]],), ([[1.0, 2.0], [1.0]],)]
    with pytest.raises(ValueError, match="All samples have one shape") as caught:
        mg.compile(lambda x: w * x[0]).fit(lambda: items, SGD([w], lr=0.1), epochs=2)
    assert caught.value.__notes__ == ["It is about batch 2 of the data."]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (iter(BATCHES), {"epochs": 2}, "An iterator gives its batches once, so epochs is 1, got 2. For more, give a"),
        (iter(BATCHES), {}, "epochs is 1, got 100"),
        (generated, {"batch_size": 4}, "data that come in batches have their own sizes and order: leave them out"),
        (generated, {"replace": True}, "leave them out"),
        (generated, {"seed": 0}, "leave them out"),
        (generated, {"epochs": -1}, "epochs is at least 0"),
    ],
)
@every_way
def test_what_does_not_go_with_batches_is_an_error_before_anything_happens(way, data, options, message):
    w = Value(0.0)
    with pytest.raises(ValueError, match=message):
        WAYS[way](lambda x, y: w * x[0], data, SGD([w], lr=0.1), **options)
    assert w.data == 0.0


def test_a_function_that_gives_a_spent_iterator_is_found_out():
    w, spent = Value(0.0), iter(BATCHES)
    with pytest.raises(ValueError, match="gave no batch in epoch 2: it is spent"):
        fit(lambda x, y: w * x[0], lambda: spent, SGD([w], lr=0.1), epochs=2)


def test_a_function_that_gives_no_batches_is_found_out():
    w = Value(0.0)
    with pytest.raises(TypeError, match="gives batches, as a generator does; got None"):
        fit(lambda x: w * x, lambda: None, SGD([w], lr=0.1), epochs=1)


def test_columns_are_no_stream():
    for data in (([1.0],), [[1.0]], np.ones((2, 2)), 3.0, {"x": [1.0]}, "text"):
        assert stream_of(data, 1, batch_size=None, replace=False, seed=None) is None
    assert isinstance(stream_of(generated, 5, batch_size=None, replace=False, seed=None), Stream)


# ---- memory-mapped files


@pytest.fixture(autouse=True)
def untraced():
    """Memory is not traced any more after a test that was skipped on the way."""
    yield
    tracemalloc.stop()


@pytest.fixture
def small_parts(monkeypatch, request):
    """What is done part by part is done so here too."""
    for module in ("batches", "native.training", "fitting"):
        monkeypatch.setattr(f"microgrannd.compiler.{module}.PART", getattr(request, "param", 1 << 16))


def regression(way, x, y, **options):
    """The parameters and the losses of an epoch on the first and the last of many columns."""
    w = [Value(0.001) for _ in range(3)]
    history = WAYS[way](lambda x, y: (w[0] * x[0] + w[1] * x[-1] + w[2] - y) ** 2, (x, y), SGD(w, lr=1e-6), **options)
    return [p.data for p in w] + history.losses


@pytest.mark.slow
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("way", ["eager", "native", "numpy", "jax", "torch"])
def test_a_memory_mapped_file_is_not_copied_whole(way, replace, tmp_path, small_parts):
    dtype = "float32" if replace else "uint8"
    numbers = np.random.default_rng(0).integers(0, 255, size=(8000, 600)).astype(dtype)
    numbers.tofile(tmp_path / "numbers")
    x = np.memmap(tmp_path / "numbers", dtype=dtype, mode="r", shape=numbers.shape)
    y = numbers[:, 0].astype(float)
    options = {"epochs": 1, "batch_size": 80, "replace": replace, "seed": 3}
    want = regression("eager", numbers[:, [0, -1]].astype(float), y, **options)
    regression(way, x[:160], y[:160], **options)  # the library is loaded before memory is counted
    tracemalloc.start()
    got = regression(way, x, y, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got == pytest.approx(want, rel=1e-12)
    assert peak < 8000 * 600  # bytes, one for each number: as floats of 64 bits they have eight times as many


@pytest.mark.slow
@pytest.mark.parametrize("way", ["eager", "native", "numpy", "jax", "torch"])
def test_columns_with_gaps_are_not_copied_whole_either(way, small_parts):
    numbers = np.random.default_rng(0).integers(0, 255, size=(8000, 1200)).astype(np.uint8)
    options = {"epochs": 1, "batch_size": 80, "seed": 3}
    y = numbers[:, 0].astype(float)
    want = regression("eager", numbers[:, [0, 1198]].astype(float), y, **options)
    tracemalloc.start()
    got = regression(way, numbers[:, ::2], y, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got == pytest.approx(want, rel=1e-12)
    assert peak < 8000 * 600


@pytest.mark.parametrize("small_parts", [1 << 11], indirect=True)
@every_way
def test_a_batch_of_all_samples_may_be_large(way, small_parts):
    x, y = GENERATOR.normal(size=(1500, 3)), GENERATOR.normal(size=(1500, 2))
    want = trained(lambda loss, optimizer: by_a_loop(loss, optimizer, [(x, y)], 1))
    got = trained(lambda loss, optimizer: WAYS[way](loss, (x, y), optimizer, epochs=1).losses)
    assert got == pytest.approx(want, rel=1e-10, abs=1e-12)


def test_the_mean_gradient_of_a_large_batch_is_gathered_part_by_part(small_parts):
    x = GENERATOR.normal(size=(200_000, 2))
    w = Value(0.5)
    program = mg.compile(lambda x: (w * x[0] - x[1]) ** 2)
    program.trace([0.5, 0.5])
    tracemalloc.start()
    loss = program.backward(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    errors = 0.5 * x[:, 0] - x[:, 1]
    assert loss == pytest.approx((errors**2).mean(), rel=1e-12)
    assert w.grad == pytest.approx((2 * errors * x[:, 0]).mean(), rel=1e-12)
    assert peak < x.nbytes
