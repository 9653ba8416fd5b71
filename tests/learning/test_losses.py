"""Losses: the worked examples of F14, the awkward points, and labels that do not fit."""

import math
from math import inf, log, nan

import pytest

import microgrannd as mg
from microgrannd import Value, losses
from tests.oracles import agrees, example


def values(numbers):
    return [Value(number) for number in numbers]


def linear(weights, x):
    return [mg.dot(row, x) for row in weights]


def gradients(rows):
    return [[v.grad for v in row] for row in rows]


# ---- the worked examples


def test_half_squared_error_of_k02():
    entry = example("K-02")
    a2 = Value(entry["inputs"]["a2"])
    loss = losses.half_squared_error(a2, entry["inputs"]["y"])
    loss.backward()
    assert agrees([loss.data, a2.grad], [entry["value"], entry["grads"]["a2"]], entry["tol"])


def test_the_half_squared_error_sums_over_outputs_and_its_mean_has_another_gradient_k13():
    entry = example("K-13")
    wanted, y = entry["outputs"], entry["inputs"]["y"]
    h = values(entry["inputs"]["h"])
    summed = losses.half_squared_error(h, y)
    summed.backward()
    assert agrees(summed.data / len(y), wanted["mse"], entry["tol"])
    assert agrees([v.grad for v in h], wanted["mse_prime"], entry["tol"])
    mg.zero_grad(h)
    (losses.half_squared_error(h, y) / len(y)).backward()
    assert agrees([v.grad for v in h], wanted["autodiff_grad_of_mse"], entry["tol"])


@pytest.mark.parametrize("name", ["S-14", "S-16a", "S-16b"])
def test_softmax_cross_entropy_of_s14_and_s16(name):
    entry = example(name)
    logits, t = values(entry["inputs"]["a"]), entry["inputs"]["t"]
    for label in (t, t.index(1)):
        mg.zero_grad(logits)
        loss = losses.softmax_cross_entropy(logits, label)
        loss.backward()
        assert agrees(loss.data, entry["value"], entry["tol"])
        assert agrees([a.grad for a in logits], entry["grads"]["a"], entry["tol"])


@pytest.mark.parametrize("name", ["S-14", "S-16a", "S-16b"])
def test_the_softmax_between_logits_and_loss_of_s14_and_s16(name):
    entry = example(name)
    y = mg.softmax(values(entry["inputs"]["a"]))
    (-y[entry["inputs"]["t"].index(1)].log()).backward()
    for k, share in enumerate(y):
        wanted = entry["intermediates"][f"y[{k}]"]
        assert agrees([share.data, share.grad], [wanted["value"], wanted["grad"]], entry["tol"])


def test_a_share_of_nothing_is_no_trouble_s15():
    entry = example("S-15")
    logits = values(entry["inputs"]["a"])
    loss = losses.softmax_cross_entropy(logits, entry["inputs"]["t"])
    loss.backward()
    assert agrees([y.data for y in mg.softmax(logits)], entry["outputs"]["y"], entry["tol"])
    assert agrees(loss.data, entry["outputs"]["loss"], entry["tol"])
    assert agrees([a.grad for a in logits], entry["outputs"]["backward"], entry["tol"])


def test_softmax_sums_to_one_and_ignores_shifts_s17():
    entry = example("S-17")
    for logits, wanted in zip(entry["inputs"]["a"], entry["outputs"]["y"], strict=True):
        shares = [share.data for share in mg.softmax(values(logits))]
        assert agrees(shares, wanted, entry["tol"])
        assert agrees(sum(shares), 1.0, entry["tol"])
    uniform = losses.softmax_cross_entropy([0.0] * 10, 3)
    assert agrees(uniform, entry["outputs"]["loss_uniform_10"], entry["tol"])


def test_the_mean_over_a_batch_divides_the_gradients_s18():
    entry = example("S-18")
    batch = [values(row) for row in entry["inputs"]["a"]]
    loss = mg.mean([losses.softmax_cross_entropy(a, t) for a, t in zip(batch, entry["inputs"]["t"], strict=True)])
    loss.backward()
    assert agrees(loss.data, entry["value"], entry["tol"])
    assert agrees(gradients(batch), entry["grads"]["a"], entry["tol"])


def test_sum_of_squares_of_b01():
    entry = example("B-01")
    w = [values(row) for row in entry["inputs"]["w"]]
    x = values(entry["inputs"]["x"])
    y = linear(w, x)
    loss = losses.half_squared_error(y, entry["inputs"]["t"])
    loss.backward()
    assert agrees(loss.data, entry["value"], entry["tol"])
    assert agrees(gradients(w), entry["grads"]["w"], entry["tol"])
    assert agrees([v.grad for v in x], entry["grads"]["x"], entry["tol"])
    for k, output in enumerate(y):
        wanted = entry["intermediates"][f"y[{k}]"]
        assert agrees([output.data, output.grad], [wanted["value"], wanted["grad"]], entry["tol"])


def test_binary_cross_entropy_of_b03():
    entry = example("B-03")
    t = entry["inputs"]["t"]
    w = values(entry["inputs"]["w"])
    a = mg.dot(w, entry["inputs"]["x"])
    y = a.sigmoid()
    loss = losses.binary_cross_entropy(y, t)
    loss.backward()
    assert agrees(loss.data, entry["value"], entry["tol"])
    assert agrees([v.grad for v in w], entry["grads"]["w"], entry["tol"])
    for name, node in {"a": a, "y": y}.items():
        wanted = entry["intermediates"][name]
        assert agrees([node.data, node.grad], [wanted["value"], wanted["grad"]], entry["tol"])
    mg.zero_grad(w)
    with_logits = losses.binary_cross_entropy_with_logits(a, t)
    with_logits.backward()
    assert agrees(with_logits.data, entry["value"], entry["tol"])
    assert agrees([v.grad for v in w], entry["grads"]["w"], entry["tol"])


def test_softmax_cross_entropy_of_b04():
    entry = example("B-04")
    w = [values(row) for row in entry["inputs"]["w"]]
    a = linear(w, entry["inputs"]["x"])
    loss = losses.softmax_cross_entropy(a, entry["inputs"]["t"])
    loss.backward()
    assert agrees(loss.data, entry["value"], entry["tol"])
    assert agrees(gradients(w), entry["grads"]["w"], entry["tol"])
    for k, output in enumerate(a):
        wanted = entry["intermediates"][f"a[{k}]"]
        assert agrees([output.data, output.grad], [wanted["value"], wanted["grad"]], entry["tol"])


# ---- by hand


def test_each_loss_written_out():
    assert losses.half_squared_error([1.0, -2.0], [0.5, 1.0]) == (0.25 + 9.0) / 2
    assert losses.sum_squared_error([1.0, -2.0], [0.5, 1.0]) == 0.25 + 9.0
    assert losses.mean_squared_error([1.0, -2.0], [0.5, 1.0]) == (0.25 + 9.0) / 2
    assert losses.sum_squared_error(3, 1) == losses.mean_squared_error([3], [1]) == 4.0
    assert losses.hinge([0.5, 0.5, 2.0], [1, -1, 1]) == (0.5 + 1.5 + 0.0) / 3
    assert losses.multiclass_hinge([3.2, 5.1, -1.7], 0) == pytest.approx(2.9)  # max(0, 5.1 - 3.2 + 1) + 0
    assert losses.multiclass_hinge([3.0, 5.0, 4.0], [0, 1, 0], margin=2.0) == 1.0
    assert losses.binary_cross_entropy([0.25, 0.25], [1, 0]) == pytest.approx((log(4) + log(4 / 3)) / 2, rel=1e-15)
    assert losses.binary_cross_entropy(0.25, 0.5) == pytest.approx((log(4) + log(4 / 3)) / 2, rel=1e-15)
    assert losses.softmax_cross_entropy([log(1), log(3)], [0.5, 0.5]) == pytest.approx((log(4) + log(4 / 3)) / 2)


def test_a_loss_of_numbers_is_a_number_and_of_values_a_node():
    for loss, prediction, target in [
        (losses.half_squared_error, 0.5, 1.0),
        (losses.mean_squared_error, [0.5, 1.0], [1.0, 1.0]),
        (losses.hinge, 0.5, 1),
        (losses.multiclass_hinge, [0.5, 0.25], 1),
        (losses.binary_cross_entropy, 0.5, 1),
        (losses.binary_cross_entropy_with_logits, 0.5, 0),
        (losses.softmax_cross_entropy, [0.5, 0.25], 1),
    ]:
        number = loss(prediction, target)
        node = loss(values(prediction) if isinstance(prediction, list) else Value(prediction), target)
        assert type(number) is float
        assert type(node) is Value
        assert node.data == number


def test_lists_tuples_and_arrays_are_taken():
    numpy = pytest.importorskip("numpy")
    for x, t in [((1.0, 2.0), (0.0, 4.0)), (numpy.array([1.0, 2.0]), numpy.array([0, 4]))]:
        assert losses.sum_squared_error(x, t) == 5.0
    assert losses.half_squared_error(Value(1.0), numpy.array([3.0])).data == 2.0
    assert losses.softmax_cross_entropy([0.0, 0.0], numpy.int64(1)) == log(2)
    assert losses.softmax_cross_entropy([0.0, 0.0], numpy.array([0.0, 1.0])) == log(2)


# ---- awkward points: loss, prediction, label, value, gradient


@pytest.mark.parametrize(
    ("loss", "prediction", "label", "value", "gradient"),
    [
        ("binary_cross_entropy_with_logits", 1000.0, 1, 0.0, 0.0),
        ("binary_cross_entropy_with_logits", 1000.0, 0, 1000.0, 1.0),
        ("binary_cross_entropy_with_logits", -1000.0, 1, 1000.0, -1.0),
        ("binary_cross_entropy_with_logits", -1000.0, 0, 0.0, 0.0),
        ("binary_cross_entropy_with_logits", 1000.0, 0.25, 750.0, 0.75),
        ("binary_cross_entropy_with_logits", 40.0, 1, 4.248354255291589e-18, -4.248354255291589e-18),
        ("binary_cross_entropy_with_logits", inf, 1, 0.0, 0.0),
        ("binary_cross_entropy_with_logits", inf, 0, inf, 1.0),
        ("binary_cross_entropy_with_logits", -inf, 0, 0.0, 0.0),
        ("binary_cross_entropy", 0.0, 0, 0.0, 1.0),
        ("binary_cross_entropy", 1.0, 1, 0.0, -1.0),
        ("binary_cross_entropy", 0.0, 1, inf, -inf),
        ("binary_cross_entropy", 1.0, 0, inf, inf),
        ("binary_cross_entropy", 1e-300, 0, 1e-300, 1.0),
        ("hinge", 1000.0, 1, 0.0, 0.0),
        ("hinge", -1000.0, 1, 1001.0, -1.0),
        ("hinge", 1.0, 1, 0.0, 0.0),
        ("hinge", inf, 1, 0.0, 0.0),
        ("hinge", -inf, -1, 0.0, 0.0),
        ("half_squared_error", 1000.0, -1000.0, 2e6, 2000.0),
        ("half_squared_error", inf, 0.0, inf, inf),
    ],
)
def test_losses_are_right_far_out(loss, prediction, label, value, gradient):
    prediction = Value(prediction)
    node = losses.named(loss)(prediction, label)
    node.backward()
    assert agrees([node.data, prediction.grad], [value, gradient], 1e-15)
    if abs(value) < 1e-15:
        assert node.data == pytest.approx(value, rel=1e-12, abs=0.0)


@pytest.mark.parametrize(
    ("logits", "label", "value", "gradients"),
    [
        ([1000.0, 0.0], 0, 0.0, [0.0, 0.0]),
        ([1000.0, 0.0], 1, 1000.0, [1.0, -1.0]),
        ([-1000.0, -1000.0], 0, log(2), [-0.5, 0.5]),
        ([1000.0, 1000.0, -inf], 0, log(2), [-0.5, 0.5, 0.0]),
        ([0.0, -inf], 1, inf, [1.0, -1.0]),
        ([0.0, -inf], [1.0, 0.0], 0.0, [0.0, 0.0]),
        ([1000.0, 0.0], [0.5, 0.5], 500.0, [0.5, -0.5]),
        ([0.0, nan], 0, nan, [nan, nan]),
    ],
)
def test_softmax_cross_entropy_is_right_far_out(logits, label, value, gradients):
    logits = values(logits)
    loss = losses.softmax_cross_entropy(logits, label)
    loss.backward()
    assert agrees(loss.data, value, 1e-13)
    assert agrees([a.grad for a in logits], gradients, 1e-13)


@pytest.mark.parametrize("label", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("x", [-1000.0, -2.0, 0.0, 3.0, 1000.0, inf])
def test_a_label_that_is_a_value_gives_the_same_loss_and_gradient(label, x):
    def at(label):
        logit = Value(x)
        loss = losses.binary_cross_entropy_with_logits(logit, label)
        loss.backward()
        return [loss.data, logit.grad]

    assert agrees(at(Value(label)), at(label), 1e-15)
    p = Value(0.3)
    assert agrees(losses.binary_cross_entropy(p, Value(label)).data, losses.binary_cross_entropy(0.3, label), 1e-15)


@pytest.mark.parametrize("logits", [[0.5, -1.25, 2.0], [1000.0, 0.0, -1000.0], [0.0, 1.0, -inf]])
def test_a_class_or_shares_that_are_values_give_the_same_loss_and_gradient(logits):
    def at(loss, label):
        a = values(logits)
        node = loss(a, label)
        node.backward()
        return [node.data, *[v.grad for v in a]]

    for loss in (losses.softmax_cross_entropy, losses.multiclass_hinge):
        plain = at(loss, 1)
        assert agrees(at(loss, Value(1.0)), plain, 1e-15)
        assert agrees(at(loss, values([0.0, 1.0, 0.0])), plain, 1e-15)


def test_losses_equal_torchs():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, t = [0.5, -1.25, 2.0], [1.0, 0.0, 0.25]
    for ours, theirs, label in [
        (losses.mean_squared_error, functional.mse_loss, t),
        (losses.binary_cross_entropy_with_logits, functional.binary_cross_entropy_with_logits, t),
        (losses.softmax_cross_entropy, functional.cross_entropy, 2),
        (losses.softmax_cross_entropy, functional.cross_entropy, [0.5, 0.25, 0.25]),
    ]:
        mine, tensor = values(x), torch.tensor(x, dtype=torch.float64, requires_grad=True)
        node = ours(mine, label)
        node.backward()
        kind = torch.long if isinstance(label, int) else torch.float64
        wanted = theirs(tensor, torch.tensor(label, dtype=kind))
        wanted.backward()
        assert agrees(node.data, wanted.item(), 1e-15)
        assert agrees([v.grad for v in mine], tensor.grad.tolist(), 1e-15)


# ---- what does not fit


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.hinge(0.5, 0), ValueError, r"labels -1 and 1, got 0; 2 \* label - 1 makes it"),
        (lambda: losses.hinge([0.5, 0.5], [1, 2]), ValueError, "labels -1 and 1, got 2"),
        (lambda: losses.binary_cross_entropy(0.5, -1), ValueError, r"from 0 to 1, got -1; \(label \+ 1\) / 2"),
        (lambda: losses.binary_cross_entropy_with_logits(0.5, 1.5), ValueError, "from 0 to 1, got 1.5"),
        (lambda: losses.binary_cross_entropy_with_logits(0.5, nan), ValueError, "from 0 to 1, got nan"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], 2), ValueError, "Label 2 does not fit 2 classes"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], -1), ValueError, "an int from 0 to 1"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], 0.5), ValueError, "Label 0.5 does not fit 2 classes"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], [1, 0, 0]), ValueError, "3 shares does not fit 2 classes"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], [1, 1]), ValueError, "sum to 1"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], [2, -1]), ValueError, "at least 0"),
        (lambda: losses.softmax_cross_entropy([0.0, 1.0], "setosa"), TypeError, r"'setosa' \(str\); give each class a"),
        (lambda: losses.multiclass_hinge([0.0, 1.0], 2), ValueError, "Label 2 does not fit 2 classes"),
        (lambda: losses.half_squared_error([1.0, 2.0], [1.0]), ValueError, "2 predictions and 1 targets"),
        (lambda: losses.half_squared_error([1.0, 2.0], 1.0), ValueError, "2 predictions and 1 targets"),
        (lambda: losses.half_squared_error([], []), ValueError, "at least one prediction"),
        (lambda: losses.half_squared_error(1.0, None), TypeError, "are numbers, got None"),
        (lambda: losses.half_squared_error(Value(1.0), "1"), TypeError, "are numbers, got '1'"),
        (lambda: losses.named("crossentropy"), ValueError, "Unknown loss 'crossentropy'; known: half_squared_error, "),
    ],
)
def test_labels_that_do_not_fit_are_errors_that_say_what_does(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_every_loss_is_known_by_its_name():
    for name, loss in losses.LOSSES.items():
        assert losses.named(name) is loss is getattr(losses, name)
    assert not math.isnan(losses.named("hinge")(0.0, 1))
