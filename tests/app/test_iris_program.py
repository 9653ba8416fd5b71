"""The iris program as a composition of the parts: K-06, K-07, K-08 and K-16."""

import pytest

from microgrannd.datasets import iris
from microgrannd.evaluation import ConfusionMatrix, one_hot, threshold
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP
from microgrannd.optim import SGD
from microgrannd.training import fit
from tests.oracles import agrees, example


@pytest.fixture(scope="module")
def data():
    return iris()


def evaluated(model, samples):
    return ConfusionMatrix(samples.y, [threshold(model(x)) for x in samples.x])


def counts(matrix):
    return {"TN": matrix.tn, "FP": matrix.fp, "FN": matrix.fn, "TP": matrix.tp}


def train(model, data, epochs, callbacks=()):
    optimizer = SGD(model.parameters(), lr=0.1)
    return fit(lambda x, y: half_squared_error(model(x), y), data, optimizer, epochs=epochs, callbacks=callbacks)


def mean_loss(model, samples):
    return sum(half_squared_error(model(x), y).data for x, y in zip(*samples, strict=True)) / len(samples.y)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_2_2_1_network_before_and_after_training_k06_k07(data, seed):
    model = MLP(2, [2, 1], activation="sigmoid", seed=seed, init=0.00005)
    assert counts(evaluated(model, data.test)) == example("K-06")["expected_confusion"]
    train(model, data.train, epochs=1000)
    after = evaluated(model, data.test)
    assert counts(after) == example("K-07")["expected_confusion"]
    assert after.accuracy == 28 / 30
    wrong = [i for i, (x, y) in enumerate(zip(*data.test, strict=True)) if threshold(model(x)) != y]
    assert wrong == [41 - 35, 85 - 85 + 15]  # rows 41 and 85 of the file
    assert counts(evaluated(model, data.train)) == {"TN": 35, "FP": 0, "FN": 1, "TP": 34}
    final = example("K-07")["final_train_loss_mean_half_sq"]
    assert final["min"] <= mean_loss(model, data.train) <= final["max"]


@pytest.mark.parametrize("compiled", [False, "auto"])
def test_the_whole_trajectory_from_fixed_weights_k08(data, compiled):
    entry = example("K-08")
    names = ["w0", "w2", "b0", "w1", "w3", "b1", "w4", "w5", "b2"]  # of the text, in our order
    model = MLP(2, [2, 1], activation="sigmoid")
    for parameter, name in zip(model.parameters(), names, strict=True):
        parameter.data = entry["inputs"][name]
    wanted = {int(name.removeprefix("epoch_")): state for name, state in entry["outputs"].items()}
    checked = []

    def check(updates):
        if updates in wanted:
            state = wanted[updates]
            numbers = [state["params"][name] for name in names]
            assert agrees([p.data for p in model.parameters()], numbers, entry["tol"]), updates
            assert agrees(mean_loss(model, data.train), state["train_loss"], entry["tol"]), updates
            assert counts(evaluated(model, data.test)) == state["test_confusion"], updates
            checked.append(updates)

    check(0)
    history = fit(
        lambda x, y: half_squared_error(model(x), y),
        data.train,
        SGD(model.parameters(), lr=0.1),
        epochs=1000,
        callbacks=[lambda epoch, history: check(epoch + 1)],
        compiled=compiled,
    )
    assert checked == [0, 1, 10, 100, 500, 1000]
    for updates in (0, 1, 10, 100, 500):  # the loss of a full batch is that before its step
        assert agrees(history.losses[updates], wanted[updates]["train_loss"], entry["tol"])


def test_the_2_2_2_network_with_one_hot_labels_k16(data):
    model = MLP(2, [2, 2], activation="sigmoid", seed=0, init=(0.5, 0.5))
    targets = [one_hot(y, 2) for y in data.train.y]
    train(model, (data.train.x, targets), epochs=4000)
    matrix = ConfusionMatrix(data.test.y, [model(x) for x in data.test.x])
    assert matrix.counts == example("K-16")["expected_confusion"]
    assert matrix.accuracy == 29 / 30
