"""Losses against torch.nn.functional, their options too, eager and compiled; and arguments that do not fit, alike."""

import math
from math import inf, nan

import pytest

import microgrannd as mg
from microgrannd import Value, losses
from tests.oracles import agrees

torch = pytest.importorskip("torch")
functional = torch.nn.functional

X = [0.5, -1.25, 2.0]
WEIGHTS = [0.5, 2.0, 3.0]


def tensor(numbers, **options):
    whole = isinstance(numbers, int)
    return torch.tensor(numbers, dtype=torch.long if whole else torch.float64, **options)


def cross_entropy(x, label, label_smoothing=0.0, weights=None, ignore=-100):
    weight = None if weights is None else tensor(weights)
    return functional.cross_entropy(
        x[None],
        tensor(label)[None],
        weight=weight,
        label_smoothing=label_smoothing,
        ignore_index=ignore,
        reduction="none",
    )[0]


def binary_with_logits(x, t, weights):
    # torch weighs the term of the class 1 by pos_weight, and all by weight
    zero, one = weights
    return functional.binary_cross_entropy_with_logits(x, tensor(t), pos_weight=tensor(one / zero)) * zero


CASES = {
    "mean_absolute_error": (
        lambda x: losses.mean_absolute_error(x, [1, 0, 2]),
        lambda x: functional.l1_loss(x, tensor([1.0, 0, 2])),
    ),
    "huber": (
        lambda x: losses.huber(x, [1.0, 0.0, 0.25]),
        lambda x: functional.huber_loss(x, tensor([1.0, 0.0, 0.25])),
    ),
    "huber, wide": (
        lambda x: losses.huber(x, [1.0, 0.0, 0.25], delta=1.5),
        lambda x: functional.huber_loss(x, tensor([1.0, 0.0, 0.25]), delta=1.5),
    ),
    "huber at its bend": (
        lambda x: losses.huber(x, [1.0, -0.75, 2.0], delta=0.5),
        lambda x: functional.huber_loss(x, tensor([1.0, -0.75, 2.0]), delta=0.5),
    ),
    "smoothed": (
        lambda x: losses.softmax_cross_entropy(x, 2, label_smoothing=0.1),
        lambda x: cross_entropy(x, 2, label_smoothing=0.1),
    ),
    "smoothed altogether": (
        lambda x: losses.softmax_cross_entropy(x, 2, label_smoothing=1),
        lambda x: cross_entropy(x, 2, label_smoothing=1.0),
    ),
    "weighted": (
        lambda x: losses.softmax_cross_entropy(x, 1, weights=WEIGHTS),
        lambda x: cross_entropy(x, 1, weights=WEIGHTS),
    ),
    "weighted by nothing": (
        lambda x: losses.softmax_cross_entropy(x, 1, weights=[1, 0, 1]),
        lambda x: cross_entropy(x, 1, weights=[1.0, 0.0, 1.0]),
    ),
    "smoothed and weighted": (
        lambda x: losses.softmax_cross_entropy(x, 1, label_smoothing=0.3, weights=WEIGHTS),
        lambda x: cross_entropy(x, 1, 0.3, WEIGHTS),
    ),
    "shares, smoothed and weighted": (
        lambda x: losses.softmax_cross_entropy(x, [0.5, 0.25, 0.25], label_smoothing=0.3, weights=WEIGHTS),
        lambda x: cross_entropy(x, [0.5, 0.25, 0.25], 0.3, WEIGHTS),
    ),
    "ignored": (lambda x: losses.softmax_cross_entropy(x, -100, ignore=-100), lambda x: cross_entropy(x, -100)),
    "ignored, a class": (
        lambda x: losses.softmax_cross_entropy(x, 1, ignore=1),
        lambda x: cross_entropy(x, 1, ignore=1),
    ),
    "not ignored": (
        lambda x: losses.softmax_cross_entropy(x, 0, ignore=-1, label_smoothing=0.1, weights=WEIGHTS),
        lambda x: cross_entropy(x, 0, 0.1, WEIGHTS, ignore=-1),
    ),
    "ignored, smoothed and weighted": (
        lambda x: losses.softmax_cross_entropy(x, -1, ignore=-1, label_smoothing=0.1, weights=WEIGHTS),
        lambda x: cross_entropy(x, -1, 0.1, WEIGHTS, ignore=-1),
    ),
    "binary with logits, weighted": (
        lambda x: losses.binary_cross_entropy_with_logits(x, [1, 0, 0.25], weights=[0.5, 3]),
        lambda x: binary_with_logits(x, [1.0, 0.0, 0.25], [0.5, 3.0]),
    ),
    "binary, weighted": (
        lambda x: losses.binary_cross_entropy([z.sigmoid() for z in x], [1, 0, 0.25], weights=[0.5, 3]),
        lambda x: binary_with_logits(x, [1.0, 0.0, 0.25], [0.5, 3.0]),
    ),
    "multiclass hinge, weighted": (
        lambda x: losses.multiclass_hinge(x, 1, weights=WEIGHTS),
        lambda x: 3 * functional.multi_margin_loss(x, tensor(1), weight=tensor(WEIGHTS)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_and_their_options_equal_torchs(case):
    ours, theirs = CASES[case]
    mine, x = [Value(number) for number in X], tensor(X, requires_grad=True)
    node, wanted = ours(mine), theirs(x)
    node.backward()
    wanted.backward()
    assert agrees(node.data, wanted.item(), 1e-15)
    assert agrees([v.grad for v in mine], x.grad.tolist(), 1e-15)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backend", ["python", "native", "numpy"])
def test_they_are_the_same_compiled(case, backend):
    ours, theirs = CASES[case]
    x = tensor(X, requires_grad=True)
    wanted = theirs(x)
    wanted.backward()
    program = mg.compile(lambda x: ours(x), backend=backend)
    value, (gradient,) = program.value_and_gradients(X)
    assert agrees(value, wanted.item(), 1e-14)
    assert agrees(list(gradient), x.grad.tolist(), 1e-14)


# Losses of a label that is data, with options: what is compiled learns what eager mode learns.
TRAINED = {
    "smoothed": lambda z, y: losses.softmax_cross_entropy(z, y, label_smoothing=0.2),
    "weighted": lambda z, y: losses.softmax_cross_entropy(z, y, weights=WEIGHTS),
    "ignoring the first": lambda z, y: losses.softmax_cross_entropy(z, y, ignore=0),
    "everything": lambda z, y: losses.softmax_cross_entropy(z, y, ignore=0, label_smoothing=0.2, weights=WEIGHTS),
    "hinge": lambda z, y: losses.multiclass_hinge(z, y, weights=WEIGHTS),
    "huber": lambda z, y: losses.huber(z[0], y, delta=0.5),
    "absolute": lambda z, y: losses.mean_absolute_error(z[0], y),
    "binary": lambda z, y: losses.binary_cross_entropy_with_logits(z[0], 0.5 * y, weights=[1.0, 5.0]),
    "probability": lambda z, y: losses.binary_cross_entropy(z[0].sigmoid(), 0.5 * y, weights=[1.0, 5.0]),
}


@pytest.mark.parametrize("name", TRAINED)
def test_training_with_them_is_the_same_eagerly_and_compiled(name):
    def trained(compiled):
        model = mg.MLP(2, [3], output="linear", seed=1)
        data = ([[0.1 * i, (-1) ** i * 0.5] for i in range(12)], [i % 3 for i in range(12)])
        optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
        history = mg.fit(lambda x, y: TRAINED[name](model(x), y), data, optimizer, epochs=5, compiled=compiled)
        return [*history.losses, *[p.data for p in model.parameters()]]

    assert agrees(trained(True), trained(False), 1e-12)


@pytest.mark.parametrize("label", [3, -1, 0.5, nan])
def test_a_label_that_is_neither_a_class_nor_ignored_is_refused_compiled_too(label):
    w = Value(0.5)
    loss = lambda x, y: losses.softmax_cross_entropy([w * x, 1 - w, w], y, ignore=-2)  # noqa: E731
    for compiled in (True, False):
        with pytest.raises(ValueError, match="does not fit 3 classes"):
            mg.fit(loss, ([1.0, 2.0, 3.0], [0, -2, label]), mg.optim.SGD([w]), epochs=1, compiled=compiled)


# ---- what is no probability


@pytest.mark.parametrize("p", [1.5, -0.5, 1 + 1e-15, -5e-324, inf, nan])
@pytest.mark.parametrize("label", [0, 1, 0.5])
def test_what_is_no_probability_is_refused(p, label):
    for probabilities in (p, [0.5, p]):
        with pytest.raises(ValueError, match="takes probabilities, from 0 to 1, got"):
            losses.binary_cross_entropy(probabilities, [label] * 2 if isinstance(probabilities, list) else label)
    if p == p:
        with pytest.raises(ValueError, match="with_logits takes scores"):
            losses.binary_cross_entropy(Value(p), label)


def test_a_probability_that_was_computed_as_nan_gives_nan():
    assert math.isnan(losses.binary_cross_entropy(Value(nan), 1).data)


@pytest.mark.parametrize("backend", ["python", "native", "numpy"])
def test_a_compiled_function_refuses_it_of_its_arguments_and_gives_nan_for_what_it_computes(backend):
    direct = mg.compile(lambda p, y: losses.binary_cross_entropy(p, y), backend=backend)
    assert direct(0.5, 1.0) == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="takes probabilities"):
        direct(1.5, 1.0)
    w = Value(2.0)
    computed = mg.compile(lambda x, y: losses.binary_cross_entropy(w * x, y), backend=backend)
    assert computed(0.25, 1.0) == pytest.approx(math.log(2))
    assert math.isnan(computed(0.75, 1.0))
    assert math.isnan(computed(-0.75, 0.0))


# ---- every loss checks its arguments in one way

LIST = [1.0, 0.0]
OF_LISTS = [losses.half_squared_error, losses.sum_squared_error, losses.mean_squared_error, losses.mean_absolute_error]
OF_LISTS += [losses.huber, losses.hinge, losses.binary_cross_entropy, losses.binary_cross_entropy_with_logits]
OF_CLASSES = [losses.multiclass_hinge, losses.softmax_cross_entropy]


def test_that_is_every_loss():
    assert set(losses.LOSSES.values()) == {*OF_LISTS, *OF_CLASSES}


@pytest.mark.parametrize("loss", OF_LISTS + OF_CLASSES)
@pytest.mark.parametrize("strange", [None, "1", b"1", {"a": 1.0}, 1j, object(), [None], ["0", "1"], [[1.0], [0.0]]])
def test_what_is_no_number_is_a_type_error(loss, strange):
    for predictions, targets in ((strange, 1), (strange, [1.0]), (LIST, strange), ([Value(1.0), 0.0], strange)):
        with pytest.raises(TypeError, match=r"are numbers, got|a score for each class, in a list; got"):
            loss(predictions, targets)


@pytest.mark.parametrize("loss", OF_LISTS + OF_CLASSES)
def test_nothing_is_a_value_error(loss):
    with pytest.raises(ValueError, match=r"at least one|does not fit|one target"):
        loss([], [])


@pytest.mark.parametrize("loss", OF_LISTS)
def test_each_prediction_has_a_target(loss):
    with pytest.raises(ValueError, match="2 predictions and 1 targets"):
        loss(LIST, [1.0])


@pytest.mark.parametrize("loss", OF_CLASSES)
def test_scores_are_a_list(loss):
    for scores in (0.5, Value(0.5)):
        with pytest.raises(TypeError, match="a score for each class"):
            loss(scores, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.huber(1.0, 0.0, delta=0), ValueError, r"delta above 0, .* got 0"),
        (lambda: losses.huber(1.0, 0.0, delta=nan), ValueError, "delta above 0"),
        (lambda: losses.huber(1.0, 0.0, delta="1"), ValueError, "delta above 0"),
        (
            lambda: losses.softmax_cross_entropy(LIST, 0, label_smoothing=1.5),
            ValueError,
            "label_smoothing is from 0 to 1",
        ),
        (
            lambda: losses.softmax_cross_entropy(LIST, 0, label_smoothing=nan),
            ValueError,
            "label_smoothing is from 0 to 1",
        ),
        (lambda: losses.softmax_cross_entropy(LIST, 0, weights=[1.0]), ValueError, "got 1 weights for 2 classes"),
        (lambda: losses.softmax_cross_entropy(LIST, 0, weights=[1.0, -1.0]), ValueError, "at least 0, got -1.0"),
        (lambda: losses.softmax_cross_entropy(LIST, 0, weights=[1.0, nan]), ValueError, "at least 0, got nan"),
        (lambda: losses.softmax_cross_entropy(LIST, 0, weights="ab"), TypeError, "Weights of classes are numbers"),
        (lambda: losses.binary_cross_entropy(0.5, 1, weights=[1, 2, 3]), ValueError, "got 3 weights for 2 classes"),
        (lambda: losses.softmax_cross_entropy(LIST, [1, 0], ignore=-1), TypeError, "a label of 2 shares"),
        (lambda: losses.softmax_cross_entropy(LIST, [nan, 1]), ValueError, "at least 0 and sum to 1"),
        (lambda: losses.softmax_cross_entropy(LIST, 2, ignore=3), ValueError, "Label 2 does not fit"),
    ],
)
def test_options_that_do_not_fit_are_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_weight_of_nothing_wins_over_an_infinite_loss():
    assert losses.softmax_cross_entropy([0.0, -inf], 1, weights=[1.0, 0.0]) == 0.0
    assert losses.binary_cross_entropy(0.0, 1, weights=[1.0, 0.0]) == 0.0
