"""Eager and compiled training side by side, for the tests that hold them equal."""

import warnings
from contextlib import contextmanager

import pytest

import microgrannd as mg
from microgrannd import Value

# 2,400 samples to go through, above the 2,000 from which `compiled="auto"` compiles.
EPOCHS = 6
X = [i / 200 - 1 for i in range(400)]
Y = [int(x > 0.3) for x in X]


def error(w, b, x, y):
    return mg.losses.binary_cross_entropy_with_logits(w * x + b, y)


@contextmanager
def counting():
    """How many Values are made from numbers inside: eager mode makes some for each sample, a program makes none."""
    original, count = Value.__init__, [0]

    def init(self, *arguments, **keywords):
        count[0] += 1
        original(self, *arguments, **keywords)

    Value.__init__ = init
    try:
        yield count
    finally:
        Value.__init__ = original


def observed(run, compiled):
    """The result of `run(compiled)`, how many Values it made, and what its UserWarnings said."""
    with counting() as count, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(compiled)
    return result, count[0], [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]


def agree(run, changed="", compiled="auto"):
    """`run(compiled)` gives what `run(False)` gives, and warns once, naming what has changed, if it fell back midway.

    With None for `changed` nothing changes, and nothing is to be said.
    """
    wanted, asked, told = observed(run, False)
    assert told == []
    found, made, told = observed(run, compiled)
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    if changed is None:
        assert told == []
    else:
        fell_back = made < asked  # the loss was not called for some samples
        assert len(told) == 1 if fell_back else len(told) <= 1, told
        assert all(changed in message.lower() for message in told), told
    return wanted


def still_compiled(run):
    """`run("auto")` gives what `run(False)` gives, without a warning and without calling the loss for each sample."""
    wanted, asked, _ = observed(run, False)
    assert asked >= EPOCHS * len(X)
    found, made, told = observed(run, "auto")
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    assert told == []
    assert made < asked / 4
    return wanted


def trained(make, compiled, *, rate=0.5, data=(X, Y), **options):
    """The parameters and the losses after training `make(w, b)`, a loss and perhaps what to call after each epoch."""
    w, b = Value(0.5, "w"), Value(0.0, "b")
    made = make(w, b)
    loss, after = made if isinstance(made, tuple) else (made, None)
    callbacks = [lambda epoch, history: after(epoch)] if after else []
    options = {"epochs": EPOCHS, "callbacks": callbacks, "compiled": compiled} | options
    history = mg.fit(loss, data, mg.optim.SGD([w, b], lr=rate), **options)
    return [w.data, b.data, *history.losses]
