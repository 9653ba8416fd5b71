"""Clipped gradients and a learning rate per step: PyTorch's numbers, and the same whatever runs the epochs."""

import math

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.optim import LBFGS, SGD, Adagrad, Adam, Optimizer, RMSprop
from tests.oracles import agrees

X = [[0.5 * i, 1.0 - 0.2 * i] for i in range(12)]
Y = [float(i % 3) for i in range(12)]


def parameters(gradients):
    found = [Value(0.0) for _ in gradients]
    for p, gradient in zip(found, gradients, strict=True):
        p.grad = gradient
    return found


GRADIENTS = [[3.0, -4.0], [0.0, 0.0], [1e-320, 0.0], [1e-7, 1e-7], [5.0, math.nan], [1.0, math.inf], [1.0, -math.inf]]


@pytest.mark.parametrize("gradients", GRADIENTS)
@pytest.mark.parametrize("limit", [0.5, 5.0, 5.000002, 100.0])
def test_clipping_equals_torchs(gradients, limit):
    torch = pytest.importorskip("torch")
    for ours, theirs in (
        (mg.clip_grad_norm, torch.nn.utils.clip_grad_norm_),
        (mg.clip_grad_value, torch.nn.utils.clip_grad_value_),
    ):
        p, q = parameters(gradients), torch.zeros(2, dtype=torch.float64)
        q.grad = torch.tensor(gradients, dtype=torch.float64)
        norm, wanted = ours(p, limit), theirs([q], limit)
        assert agrees([v.grad for v in p], q.grad.tolist(), 1e-12)
        assert norm is None or agrees(norm, float(wanted), 1e-12)


def test_a_norm_of_large_gradients_does_not_overflow():
    p = parameters([3e200, 4e200])
    assert agrees(mg.clip_grad_norm(p, 1.0), 5e200, 1e-15)
    assert agrees([v.grad for v in p], [0.6, 0.8], 1e-12)


def test_a_parameter_given_twice_counts_once():
    [p] = parameters([3.0])
    assert mg.clip_grad_norm([p, p], 10.0) == 3.0


@pytest.mark.parametrize("clip", [mg.clip_grad_norm, mg.clip_grad_value])
@pytest.mark.parametrize(
    ("given", "limit", "error"),
    [
        (Value(1.0), 1.0, TypeError),
        (1.0, 1.0, TypeError),
        ([1.0], 1.0, TypeError),
        ([Value(1.0)], "1", TypeError),
        ([Value(1.0)], 0.0, ValueError),
        ([Value(1.0)], -1.0, ValueError),
        ([Value(1.0)], math.nan, ValueError),
    ],
)
def test_what_cannot_be_clipped_is_an_error(clip, given, limit, error):
    with pytest.raises(error, match=r"list of Values|max_(norm|value) is"):
        clip(given, limit)


# ---- in a training


def batches():
    for start in range(0, 12, 5):  # the last is smaller
        yield X[start : start + 5], Y[start : start + 5]


RUNS = {
    "full batches": {},
    "in batches": {"batch_size": 5, "seed": 0},
    "with replacement": {"batch_size": 5, "seed": 0, "replace": True},
    "looked into": {"callbacks": [lambda *_: None]},
    "stream": {"data": batches},
}


def trained(make, how, data=(X, Y), epochs=7, **options):
    """What a training leaves: losses, numbers, gradients, memory."""
    model = mg.MLP(2, [3, 1], activation="tanh", seed=3)
    optimizer = make(model.parameters())
    loss = lambda x, y: (model(x) - y) ** 2  # noqa: E731
    if how in (True, False):
        history = mg.fit(loss, data, optimizer, epochs=epochs, compiled=how, **options)
    else:
        history = mg.compile(loss, backend=how).fit(data, optimizer, epochs=epochs, **options)
    kept = [x for name in optimizer.memory_names for x in optimizer.memory_of(name)]
    numbers = [x for p in optimizer.parameters for x in (p.data, p.grad)]
    return [*history.losses, *history.rates, *numbers, *kept, optimizer.lr, optimizer.steps]


OPTIMIZERS = {
    "SGD": lambda ps: SGD(ps, lr=0.1),
    "momentum": lambda ps: SGD(ps, lr=0.05, momentum=0.9),
    "Adam": lambda ps: Adam(ps, lr=0.1),
    "RMSprop": lambda ps: RMSprop(ps, lr=0.02, centered=True, momentum=0.5),
    "Adagrad": lambda ps: Adagrad(ps, lr=0.1, initial_accumulator_value=0.1, lr_decay=0.1),
    "groups": lambda ps: SGD([*ps[:3], {"parameters": ps[3:], "lr": 0.01}], lr=0.1, momentum=0.5),
}


@pytest.mark.parametrize("how", [True, "python", "numpy"])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_training_with_them_is_the_same_however_it_is_run(make, run, how):
    for options in (
        {},
        {"clip": 0.2},
        {"clip": ("norm", 1e9)},
        {"clip": ("value", 0.05)},
        {"schedule": lambda step: 0.1 * min(1.0, step / 5), "per_step": True},  # from 0
        {"schedule": lambda step: 0.1 / (1 + step), "per_step": True, "clip": 1.0},
    ):
        given = RUNS[run] | options
        assert agrees(trained(OPTIMIZERS[make], how, **given), trained(OPTIMIZERS[make], False, **given), 1e-9)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_other_array_libraries_clip_alike(library):
    pytest.importorskip(library)
    for options in ({"clip": 0.5}, {"clip": ("value", 0.25)}, {"schedule": lambda s: 0.01 * s, "per_step": True}):
        given = RUNS["in batches"] | options
        assert agrees(trained(OPTIMIZERS["Adam"], library, **given), trained(OPTIMIZERS["Adam"], False, **given), 1e-9)


@pytest.mark.parametrize("how", [True, False, "numpy"])
@pytest.mark.parametrize("clip", [0.5, ("value", 0.1)])
def test_a_clipped_training_equals_torchs(how, clip):
    torch = pytest.importorskip("torch")
    w = [Value(0.5), Value(-0.5)]
    loss = lambda x, y: mg.square(mg.dot(w, x) - y)  # noqa: E731
    optimizer = SGD(w, lr=0.1, momentum=0.5)
    if how in (True, False):
        mg.fit(loss, (X, Y), optimizer, epochs=10, clip=clip, compiled=how)
    else:
        mg.compile(loss, backend=how).fit((X, Y), optimizer, epochs=10, clip=clip)
    theirs = torch.tensor([0.5, -0.5], dtype=torch.float64, requires_grad=True)
    peer = torch.optim.SGD([theirs], lr=0.1, momentum=0.5)
    for _ in range(10):
        peer.zero_grad()
        ((torch.tensor(X, dtype=torch.float64) @ theirs - torch.tensor(Y, dtype=torch.float64)) ** 2).mean().backward()
        if isinstance(clip, tuple):
            torch.nn.utils.clip_grad_value_([theirs], clip[1])
        else:
            torch.nn.utils.clip_grad_norm_([theirs], clip)
        peer.step()
    assert agrees([v.data for v in w], theirs.tolist(), 1e-12)


@pytest.mark.parametrize("how", [True, False, "numpy"])
def test_clipping_in_native_code_does_not_overflow_either(how):
    def end(how):
        w = [Value(1.0), Value(2.0)]
        loss = lambda x: mg.dot(w, [3e200, 4e200]) * x  # noqa: E731
        if how in (True, False):
            mg.fit(loss, ([1.0, 1.0],), SGD(w, lr=1.0), epochs=1, clip=1.0, compiled=how)
        else:
            mg.compile(loss, backend=how).fit(([1.0, 1.0],), SGD(w, lr=1.0), epochs=1, clip=1.0)
        return [v.data for v in w]

    assert agrees(end(how), [1 - 0.6, 2 - 0.8], 1e-12)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_schedule_per_step_is_asked_once_for_each_batch(compiled):
    for data, batch_size, wanted in (((X, Y), None, 3), ((X, Y), 5, 9), (batches, None, 9)):
        asked, w = [], Value(0.0)

        def schedule(step, asked=asked):
            asked.append(step)
            return 0.5 / (1 + step)

        history = mg.fit(
            lambda x, y, w=w: w + 0 * y, data, SGD([w], lr=9.0), epochs=3, batch_size=batch_size,
            schedule=schedule, per_step=True, compiled=compiled,
        )  # fmt: skip
        assert asked == list(range(wanted))
        assert agrees(w.data, -sum(0.5 / (1 + step) for step in range(wanted)), 1e-12)
        assert agrees(history.rates[-1], 0.5 / wanted, 1e-15)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_rate_per_step_that_makes_no_sense_is_an_error(compiled):
    w = Value(0.0)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        mg.fit(
            lambda x: w * x, ([1.0],), SGD([w]), epochs=3, schedule=lambda s: 1 - s, per_step=True, compiled=compiled
        )


class Choosy(Optimizer):
    """Its `if` sees which rates are 0."""

    def update(self, settings, gradient, parameter):
        return parameter - settings.lr * gradient if settings.lr else parameter + 1


@pytest.mark.parametrize("rates", [[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.0], [0.1, 0.2, 0.3]])
def test_an_optimizer_of_ones_own_sees_which_rates_are_zero(rates):
    options = {"batch_size": 4, "seed": 0, "schedule": lambda step: rates[step % 3], "per_step": True}
    make = lambda ps: Choosy(ps, lr=0.1)  # noqa: E731
    assert agrees(trained(make, True, **options), trained(make, False, **options), 1e-9)


@pytest.mark.parametrize(
    ("clip", "error"),
    [
        ("1", TypeError),
        (("height", 1.0), TypeError),
        ((1.0, 2.0), TypeError),
        ([1.0], TypeError),
        (-1.0, ValueError),
        (0, ValueError),
    ],
)
def test_a_clip_that_is_none_is_an_error(clip, error):
    w = Value(0.0)
    with pytest.raises(error, match=r"clip is a largest norm|is above 0"):
        mg.fit(lambda x: w * x, ([1.0],), SGD([w]), clip=clip)


def test_lbfgs_takes_no_clipped_gradients():
    pytest.importorskip("scipy")
    w = Value(0.0)
    with pytest.raises(ValueError, match="LBFGS goes by the gradients as they are"):
        mg.fit(lambda x: w * x, ([1.0],), LBFGS([w]), clip=1.0)
