"""An ordinary loss is compiled as ever: nothing that it does not look at takes that away."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest

import microgrannd as mg
from tests.eager_training import EPOCHS, X, Y, agree, still_compiled


def mlp_loss():
    model = mg.nn.MLP(2, [4, 1], activation="tanh", seed=0)
    return model, lambda x, y: mg.losses.binary_cross_entropy_with_logits(model([x, 1.0]), y)


def config_loss():
    model, _ = mlp_loss()
    config = SimpleNamespace(penalty=0.01, log=[], epoch=0)
    loss = lambda x, y: (model([x, 1.0]) - y) ** 2 + config.penalty * model.layers[0].neurons[0].w[0] ** 2  # noqa: E731
    loss.after = lambda epoch: (config.log.append(epoch), setattr(config, "epoch", epoch))
    return model, loss


def noted_loss():
    model, loss = mlp_loss()
    log, best = [], {}
    loss.after = lambda epoch: (log.append(epoch), best.update({epoch: [p.data for p in model.parameters()]}))
    return model, loss


def evaluated_loss():
    model, loss = mlp_loss()
    loss.after = lambda epoch: [model([x, 1.0]).data for x in X[:5]]
    return model, loss


def keyed_loss():
    model, loss = mlp_loss()
    decay = dict.fromkeys(model.parameters(), 0.01)
    return model, lambda x, y: loss(x, y) + mg.sum([decay[p] * p * p for p in model.parameters()])


def constants_loss():
    model, loss = mlp_loss()
    weights, offsets = [0.1, 0.2], np.array([0.5, 0.25])
    return model, lambda x, y: weights[1] * loss(x + offsets[0], y) + functools.partial(pow, exp=2)(y - offsets[1])


@pytest.mark.parametrize("make", [mlp_loss, config_loss, noted_loss, evaluated_loss, constants_loss])
@pytest.mark.parametrize("batches", [{}, {"batch_size": 64, "seed": 2}, {"schedule": lambda epoch: 0.1 / (epoch + 1)}])
def test_an_ordinary_loss_is_compiled(make, batches):
    def run(compiled):
        model, loss = make()
        after = getattr(loss, "after", lambda epoch: None)
        callbacks = [lambda epoch, history: after(epoch)]
        optimizer = mg.optim.Adam(model.parameters(), lr=0.05)
        options = {"epochs": EPOCHS, "callbacks": callbacks, "compiled": compiled} | batches
        history = mg.fit(loss, (X, Y), optimizer, **options)
        return [*(p.data for p in model.parameters()), *history.losses, *history.rates]

    still_compiled(run)


def test_parameters_may_be_keys_of_a_dict_since_they_are_the_same_objects_in_both_modes():
    def run(compiled):
        model, loss = keyed_loss()
        mg.fit(loss, (X, Y), mg.optim.SGD(model.parameters(), lr=0.05), epochs=EPOCHS, compiled=compiled)
        return [p.data for p in model.parameters()]

    agree(run, None)
