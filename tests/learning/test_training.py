"""`fit` and its `History`: which batches, which steps, in which order, and how it ends.

A loss that notes its calls is run sample by sample, `compiled=False`.
"""

import math
import sys
from threading import Semaphore

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.datasets import moons
from microgrannd.losses import half_squared_error, hinge, softmax_cross_entropy
from microgrannd.nn import MLP
from microgrannd.optim import SGD, Adam, Optimizer
from microgrannd.training import History, accuracy, fit, threshold
from tests.oracles import agrees, example


class Recorder(Optimizer):
    """Changes nothing and notes the gradients that each step would have used."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.0)
        self.seen = []

    def step(self):
        self.seen.append([p.grad for p in self.parameters])


def batches_of(n, **options):
    """Which samples each batch of an epoch had: each sample's gradient is a power of two of its own."""
    p = Value(0.0)
    recorder = Recorder([p])
    fit(lambda i: p * float(2**i), (list(range(n)),), recorder, compiled=False, **{"epochs": 1, **options})
    size = options.get("batch_size") or n
    sizes = [size] * (n // size) + [n % size] * (n % size > 0)
    sizes = sizes * (len(recorder.seen) // len(sizes))
    sums = [round(gradient[0] * k) for gradient, k in zip(recorder.seen, sizes, strict=True)]
    return [[i for i in range(n) if total >> i & 1] for total in sums]


# ---- which batches


def test_a_full_batch_is_one_step_an_epoch():
    assert batches_of(5, epochs=3) == [[0, 1, 2, 3, 4]] * 3


def test_minibatches_go_through_all_samples_in_a_new_order_each_epoch():
    batches = batches_of(10, batch_size=4, epochs=2, seed=0)
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
    for epoch in (batches[:3], batches[3:]):
        assert sorted(i for batch in epoch for i in batch) == list(range(10))
    assert batches[:3] != batches[3:]
    assert batches[:3] != [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_minibatch_is_a_random_subset_without_repetition_k22():
    for batch in batches_of(40, batch_size=8, seed=1, epochs=3):
        assert len(set(batch)) == 8


def test_with_replacement_each_batch_is_drawn_from_all_samples_s22():
    p, drawn = Value(0.0), []

    def loss(i):
        drawn.append(i)
        return p * 1.0

    recorder = Recorder([p])
    fit(loss, (list(range(100)),), recorder, epochs=20, batch_size=50, replace=True, seed=0, compiled=False)
    assert len(recorder.seen) == 20 * 2
    batches = [drawn[k : k + 50] for k in range(0, 2000, 50)]
    assert all(len(set(batch)) < 50 for batch in batches)  # 50 of 100 without a repetition: one in 10⁷
    assert len(drawn) == 2000
    assert {drawn.count(i) for i in range(100)} <= set(range(5, 40))  # each is drawn 20 times in the mean


def test_a_seed_repeats_the_batches():
    assert batches_of(10, batch_size=3, seed=4) == batches_of(10, batch_size=3, seed=4)
    assert batches_of(10, batch_size=3, seed=4) != batches_of(10, batch_size=3, seed=5)


def test_arrays_give_the_same_batches_as_lists():
    numpy = pytest.importorskip("numpy")
    rows, labels = [[0.5, 1.0], [1.0, 2.0], [0.0, 1.0]], [1, 0, 1]

    def train(data):
        model = MLP(2, [1], seed=0)
        optimizer = SGD(model.parameters(), lr=0.1)
        history = fit(lambda x, y: half_squared_error(model(x), y), data, optimizer, epochs=3, batch_size=2, seed=0)
        return [p.data for p in model.parameters()], history.losses

    assert train((rows, labels)) == train((numpy.array(rows), numpy.array(labels)))


# ---- which gradient


def test_the_gradient_is_the_mean_over_the_batch_and_b02_is_that_times_the_count():
    entry = example("B-02")
    w = [[Value(number) for number in row] for row in entry["inputs"]["w"]]
    flat = [v for row in w for v in row]
    points = entry["points"]
    recorder = Recorder(flat)
    history = fit(
        lambda x, t: half_squared_error([mg.dot(row, x) for row in w], t),
        ([point["x"] for point in points], [point["t"] for point in points]),
        recorder,
        epochs=1,
    )
    wanted = [gradient for row in entry["grads"]["w"] for gradient in row]
    assert agrees([len(points) * gradient for gradient in recorder.seen[0]], wanted, entry["tol"])
    assert agrees(len(points) * history.losses[0], entry["value"], entry["tol"])


def test_gradients_left_from_before_do_not_count():
    p = Value(1.0)
    p.grad = 100.0
    recorder = Recorder([p])
    fit(lambda x: p * x, ([1.0, 3.0],), recorder, epochs=2)
    assert recorder.seen == [[2.0], [2.0]]


def test_backward_leaves_the_parameters_alone_k24():
    assert "must not change parameter values" in example("K-24")["expect"]
    model = MLP(2, [2, 1], activation="sigmoid", seed=0)
    before = [p.data for p in model.parameters()]
    half_squared_error(model([1.0, 2.0]), 1.0).backward()
    assert [p.data for p in model.parameters()] == before
    SGD(model.parameters(), lr=0.1).step()
    assert [p.data for p in model.parameters()] != before


def test_the_loop_is_minibatch_gradient_update_repeat_s26():
    assert example("S-26")["expect"].endswith("minibatch -> gradient -> update -> repeat")
    events, p = [], Value(0.0)

    class Noting(SGD):
        def zero_grad(self):
            events.append("zero")
            super().zero_grad()

        def step(self):
            events.append("update")
            super().step()

    def loss(x):
        events.append(x)
        return p * x

    fit(loss, ([1.0, 2.0],), Noting([p], lr=0.1), epochs=2, compiled=False)
    assert events == ["zero", 1.0, 2.0, "update"] * 2


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples_whatever_the_batches():
    p = Value(0.0)
    data = ([1.0, 2.0, 3.0, 4.0, 5.0],)
    for batch_size in (None, 1, 2, 5):
        history = fit(lambda x: p + x, data, Recorder([p]), epochs=2, batch_size=batch_size)
        assert agrees(history.losses, [3.0, 3.0], 1e-15)


def test_memory_holds_one_samples_graph():
    import weakref

    p, alive, most = Value(1.0), weakref.WeakSet(), 0

    def loss(x):
        nonlocal most
        y = p * x
        alive.add(y)
        most = max(most, len(alive))
        return y * y

    fit(loss, (list(range(1, 51)),), SGD([p], lr=1e-6), epochs=1, compiled=False)
    assert most <= 2


@pytest.mark.parametrize("native", [True, False])
def test_a_long_training_calls_the_loss_only_to_trace_and_to_compare_it_with_llvm_or_without(native, monkeypatch):
    if not native:
        monkeypatch.setattr("microgrannd.compiler.runtime.native_available", lambda: False)

    def trained(**options):
        model, traces, calls = MLP(2, [3, 1], activation="tanh", seed=0), Semaphore(0), Semaphore(0)

        def loss(x, y):
            (traces if isinstance(y, Value) else calls).release()  # which nobody watches, as a list of calls would be
            return half_squared_error(model(x), y)

        data = ([[0.1 * i, 1.0 - 0.2 * i] for i in range(10)], [float(i % 3) for i in range(10)])
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5)
        history = fit(loss, data, optimizer, epochs=300, batch_size=4, seed=0, **options)
        return [*history.losses, *[p.data for p in model.parameters()]], traces._value, calls._value

    wanted, traces, calls = trained(compiled=False)
    assert (traces, calls) == (0, 3000)
    numbers, traces, calls = trained()
    assert agrees(numbers, wanted, 1e-12)
    assert traces <= 4
    assert calls <= 60  # the samples that are compared


# ---- the learning rate, callbacks, the end


def test_the_schedule_sets_the_learning_rate_of_each_epoch():
    p = Value(0.0)
    optimizer = SGD([p], lr=99.0)
    history = fit(lambda x: p * x, ([1.0],), optimizer, epochs=3, schedule=lambda epoch: 1.0 / (1 + epoch))
    assert history.rates == [1.0, 0.5, 1 / 3]
    assert agrees(p.data, -(1 + 1 / 2 + 1 / 3), 1e-15)
    assert optimizer.lr == 1 / 3


def test_callbacks_see_each_epoch_and_may_end_the_training():
    p, seen = Value(0.0), []

    def stop(epoch, history):
        seen.append((epoch, len(history), history.losses[-1]))
        return epoch == 2

    later = []
    fit(lambda x: p + x, ([1.0],), Recorder([p]), epochs=10, callbacks=[stop, lambda epoch, _: later.append(epoch)])
    assert seen == [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0)]
    assert later == [0, 1, 2]


def test_a_callback_that_returns_anything_else_does_not_end_it():
    p = Value(0.0)
    assert len(fit(lambda x: p + x, ([1.0],), Recorder([p]), epochs=3, callbacks=[lambda *_: 1])) == 3


def says_true(kind):
    numpy, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    kinds = {"numpy": numpy.True_, "an array": numpy.array(True), "one in an array": numpy.array([True])}
    return {"python": True, "torch": torch.tensor(True), **kinds}[kind]


@pytest.mark.parametrize("kind", ["python", "numpy", "an array", "one in an array", "torch"])
def test_any_true_of_a_bool_kind_ends_it_and_a_false_does_not(kind):
    p, true = Value(0.0), says_true(kind)
    ends = [lambda epoch, history: true if epoch == 2 else true ^ true]
    for compiled in (True, False):
        assert len(fit(lambda x: p + x, ([1.0],), SGD([p]), epochs=9, callbacks=ends, compiled=compiled)) == 3


def test_what_is_no_bool_does_not_end_it():
    numpy, p = pytest.importorskip("numpy"), Value(0.0)
    for answer in (1, 1.0, "True", [True], numpy.float64(1.0), numpy.int64(1), object(), numpy.array(1)):
        ends = [lambda *_, answer=answer: answer]
        assert len(fit(lambda x: p + x, ([1.0],), SGD([p]), epochs=2, callbacks=ends)) == 2


def test_ctrl_c_keeps_what_was_learned():
    p = Value(0.0)

    def press(epoch, history):
        if epoch == 3:
            raise KeyboardInterrupt

    history = fit(lambda x: p * x, ([1.0],), SGD([p], lr=0.5), epochs=100, callbacks=[press])
    assert history.interrupted
    assert len(history) == 4
    assert p.data == -2.0
    assert "interrupted" in repr(history)


def test_ctrl_c_in_the_midst_of_a_batch_keeps_the_epochs_before():
    p, calls = Value(0.0), []

    def loss(x):
        calls.append(x)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return p * x

    history = fit(loss, ([1.0, 1.0],), SGD([p], lr=0.5), epochs=100, compiled=False)
    assert (history.interrupted, len(history), p.data) == (True, 2, -1.0)


def test_no_epochs_are_no_history():
    p = Value(1.0)
    history = fit(lambda x: p * x, ([1.0],), SGD([p], lr=0.5), epochs=0)
    assert (len(history), repr(history), history.table(), p.data) == (0, "History(no epochs)", "no epochs", 1.0)


# ---- what it refuses


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (([1.0, 2.0],), {"batch_size": 3}, ValueError, "batch_size is 3, but the data has 2 samples"),
        (([1.0, 2.0],), {"batch_size": 0}, ValueError, "batch_size is 0"),
        (([1.0, 2.0],), {"batch_size": 1.5}, TypeError, "float"),
        (([1.0, 2.0],), {"compiled": "yes"}, ValueError, "compiled is True, False or 'auto', got 'yes'"),
        (([1.0, 2.0],), {"epochs": -1}, ValueError, "epochs is at least 0, got -1"),
        (([1.0, 2.0], [1.0]), {}, ValueError, r"one length, at least 1; got lengths \[2, 1\]"),
        (([], []), {}, ValueError, "at least 1; got lengths"),
        ((), {}, ValueError, "at least 1; got lengths"),
        (3.0, {}, TypeError, r"data is a tuple .* such as \(X, Y\); got float"),
        ((1.0, 2.0), {}, TypeError, "data is a tuple"),
        (zip([1.0], [2.0], strict=True), {"epochs": 1}, TypeError, "Batch 1 of the data is a tuple"),
    ],
)
def test_data_and_batches_that_do_not_fit_are_errors_before_anything_happens(data, options, error, message):
    p = Value(0.0)
    with pytest.raises(error, match=message):
        fit(lambda x, y=0: p * x, data, SGD([p], lr=0.1), **options)
    assert p.data == 0.0


def test_an_array_alone_is_no_tuple_of_arrays():
    numpy = pytest.importorskip("numpy")
    p = Value(0.0)
    with pytest.raises(TypeError, match=r"data is a tuple .* got ndarray"):
        fit(lambda x: p * x, numpy.zeros((3, 2)), SGD([p], lr=0.1))


@pytest.mark.parametrize("loss", [lambda x: x, lambda x: [Value(1.0)], lambda x: None])
def test_a_loss_that_is_no_value_is_an_error(loss):
    with pytest.raises(TypeError, match="The loss of a sample is a Value, got"):
        fit(loss, ([1.0],), SGD([Value(1.0)], lr=0.1), compiled=False)


# ---- progress


def train(**options):
    p = Value(0.0)
    return fit(lambda x: p + x, ([0.25],), Recorder([p]), **options)


def test_it_is_silent_unless_asked(capfd):
    train(epochs=5)
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_there_are_about_ten_plain_lines(capfd):
    train(epochs=200, progress=True)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 10
    assert lines[0] == "epoch  20/200  loss 0.25"
    assert lines[-1] == "epoch 200/200  loss 0.25"


def test_on_a_terminal_without_tqdm_one_line_renews_itself(monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setenv("COLUMNS", "20")
    train(epochs=3, progress=True)
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    pieces = err.rstrip("\n").split("\r")[1:]
    assert [piece.strip() for piece in pieces] == ["epoch 1/3  loss 0.2", "epoch 2/3  loss 0.2", "epoch 3/3  loss 0.2"]
    assert {len(piece) for piece in pieces} == {19}


def test_on_a_terminal_tqdm_draws_the_line(monkeypatch, capfd):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train(epochs=3, progress=True)
    err = capfd.readouterr().err
    assert "3/3" in err
    assert "loss=0.25" in err


# ---- the history


def test_a_history_shows_a_table_of_about_so_many_epochs():
    history = History([1.0 / (k + 1) for k in range(1000)], [0.1] * 1000, [0.001] * 1000)
    lines = history.table(rows=5).splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == [1, 251, 501, 750, 1000]
    assert lines[-1].split() == ["1000", "0.001", "0.1", "1"]
    assert repr(history) == "History(1000 epochs, loss 1 → 0.001, 1 s)"


def test_a_history_is_drawn_and_saved(tmp_path):
    pytest.importorskip("matplotlib")
    figure = History([2.0, 1.0], [0.1, 0.1], [0.1, 0.1]).plot(tmp_path / "loss.svg")
    line = figure.axes[0].lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 2], [2.0, 1.0])
    assert "<svg" in (tmp_path / "loss.svg").read_text(encoding="utf-8")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'microgrannd\[plot\]'"):
        History([1.0], [0.1], [0.1]).plot()


# ---- whole trainings


def test_the_two_moons_by_micrograds_recipe_reach_all_of_them():
    points = moons(100, noise=0.1, seed=0)
    signs = [2 * label - 1 for label in points.y]
    model = MLP(2, [16, 16, 1], seed=0)
    history = fit(  # the demo's L2 term, 1e-4 Σp², has the gradient 2e-4 p: a weight decay
        lambda x, sign: hinge(model(x), sign),
        (points.x, signs),
        SGD(model.parameters(), lr=1.0, weight_decay=2e-4),
        epochs=100,
        schedule=lambda k: 1.0 - 0.9 * k / 100,
    )
    predictions = [threshold(model(x), at=0.0) for x in points.x]
    assert accuracy(points.y, predictions) == 1.0
    assert history.losses[-1] < 0.05 < history.losses[0]


def test_three_classes_by_softmax_and_adam_in_minibatches():
    centres = [(0.0, 2.0), (2.0, -1.0), (-2.0, -1.0)]
    x = [[a + 0.3 * math.sin(7 * i), b + 0.3 * math.cos(5 * i)] for i in range(10) for a, b in centres]
    y = [k for _ in range(10) for k in range(3)]
    model = MLP(2, [3], seed=0)
    optimizer = Adam(model.parameters(), lr=0.1)
    fit(lambda a, k: softmax_cross_entropy(model(a), k), (x, y), optimizer, epochs=30, batch_size=8, seed=0)
    assert accuracy(y, [model(a) for a in x]) == 1.0


def test_a_value_computed_outside_the_loss_from_a_parameter_is_refused_once_the_parameter_has_moved():
    log_scale, w = Value(0.0, "log_scale"), Value(1.0)
    scale = mg.exp(log_scale)
    loss = lambda x: (scale * x * w - 3 * x) ** 2  # noqa: E731
    with pytest.raises(mg.GradientError, match=r"was computed from .*log_scale.*, which has been set since"):
        fit(loss, ([0.5, 1.0],), SGD([log_scale, w], lr=0.05), epochs=3, compiled=False)
    fixed = mg.exp(Value(0.0))  # nobody changes what it was computed from
    fit(lambda x: (fixed * x * w - 3 * x) ** 2, ([0.5, 1.0],), SGD([w], lr=0.5), epochs=100, compiled=False)
    assert agrees(w.data, 3.0, 1e-9)


def test_bytes_and_short_numbers_reach_the_loss_as_pythons_and_as_wide_rows():
    numpy = pytest.importorskip("numpy")
    seen = []

    def loss(x, y):
        seen.append((x.dtype.name, type(y)))
        return Value(1.0) * y

    fit(loss, (numpy.ones((1, 2), "uint8"), numpy.ones(1, "uint8")), SGD([Value(0.0)], lr=0.1), epochs=1)
    fit(loss, (numpy.ones((1, 2), "float16"), numpy.ones(1, "float32")), SGD([Value(0.0)], lr=0.1), epochs=1)
    assert seen == [("int64", int), ("float64", float)]
