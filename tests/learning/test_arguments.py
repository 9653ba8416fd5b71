"""Misuse of a training and of a model is answered by one clear error, before anything is done."""

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.optim import SGD

X, Y = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [1.0, 0.0, 1.0]


@pytest.fixture(params=["fit", "program.fit"])
def train(request):
    """`train(data, optimizer, ...)`, eagerly or by a program."""
    model = mg.MLP(2, [2, 1], seed=0)

    def loss(x, y):
        return (model(x) - y) ** 2

    def call(data=(X, Y), optimizer=None, loss=loss, **options):
        optimizer = SGD(model.parameters(), lr=0.1) if optimizer is None else optimizer
        if request.param == "fit":
            return mg.fit(loss, data, optimizer, epochs=options.pop("epochs", 1), **options)
        return mg.compile(loss).fit(data, optimizer, epochs=options.pop("epochs", 1), **options)

    return call


SAMPLES = {
    "a list of samples": list(zip(X, Y, strict=True)),
    "a tuple of samples": tuple(zip(X, Y, strict=True)),
    "lists of two": [[x, [y]] for x, y in zip(X, Y, strict=True)],
    "two samples of two": list(zip(X[:2], Y[:2], strict=True)),  # which would fit as columns, too
}


@pytest.mark.parametrize("data", SAMPLES)
def test_samples_in_place_of_columns_are_an_error_that_says_how_to_turn_them(train, data):
    with pytest.raises(
        TypeError, match=r"looks like a list of samples, which tuple\(zip\(\*data\)\) turns into columns"
    ):
        train(SAMPLES[data])


def test_that_remedy_helps(train):
    assert len(train(tuple(zip(*SAMPLES["a list of samples"], strict=True)))) == 1


@pytest.mark.parametrize("data", [(X,), (X, Y, Y), [X], (), [[1.0], [2.0], [3.0]]])
def test_columns_go_with_the_arguments_of_the_loss(train, data):
    with pytest.raises((TypeError, ValueError), match=r"each argument of the loss|at least 1"):
        train(data)


@pytest.mark.parametrize("data", [[X, Y], (np.array(X), np.array(Y)), [tuple(map(tuple, X)), tuple(Y)], (tuple(X), Y)])
def test_columns_of_any_kind_are_taken(train, data):
    assert len(train(data)) == 1


def test_arguments_with_defaults_and_several_are_taken():
    w = Value(1.0)
    for loss in (lambda x, y=0.0: w * x - y, lambda *xs: w * sum(xs)):
        for data in (([1.0, 2.0],), ([1.0, 2.0], [3.0, 4.0])):
            assert len(mg.fit(loss, data, SGD([w]), epochs=1)) == 1


@pytest.mark.parametrize("optimizer", [SGD, 0.1, "SGD", mg.MLP(2, [1]), [Value(1.0)], lambda: None, object()])
def test_what_is_no_optimizer_is_a_type_error(train, optimizer):
    with pytest.raises(TypeError, match=r"optimizer is one such as SGD\(model.parameters\(\), lr=0.1\), got"):
        train(optimizer=optimizer)


def test_a_class_of_optimizers_is_named(train):
    with pytest.raises(TypeError, match=r"such as Adam\(model"):
        train(optimizer=mg.optim.Adam)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "3"}, "epochs is a whole number, got '3'"),
        ({"epochs": 1.5}, "epochs is a whole number, got 1.5"),
        ({"epochs": None}, "epochs is a whole number, got None"),
        ({"schedule": 0.1}, "schedule is a function"),
        ({"callbacks": print}, "callbacks is a list of functions of the epoch and the history, got"),
        ({"callbacks": 5}, "callbacks is a list of functions"),
        ({"callbacks": [5]}, "Each of the callbacks is a function, got 5"),
    ],
)
def test_other_arguments_of_a_wrong_kind_are_type_errors(train, options, message):
    with pytest.raises(TypeError, match=message):
        train(**options)


def test_a_loss_is_a_function():
    for loss in (5, None, "hinge", Value(1.0)):
        with pytest.raises(TypeError, match="loss is a function"):
            mg.fit(loss, (X, Y), SGD([Value(1.0)]))


# ---- models


BATCHES = {
    "lists": [[1, 2], [3, 4]],
    "tuples": ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),
    "an array": np.ones((2, 2)),
    "one row": [[1.0, 2.0]],
    "Values": [[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]],
    "a list of arrays": [np.ones(2), np.ones(2)],
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("part", [lambda m: m, lambda m: m.layers[0], lambda m: m.layers[0].neurons[0]])
def test_a_model_takes_one_sample_at_a_time(batch, part):
    unit = part(mg.MLP(2, [2, 1], seed=0))
    with pytest.raises(TypeError, match=f"{type(unit).__name__} takes one sample of 2 at a time, got several"):
        unit(BATCHES[batch])


@pytest.mark.parametrize("x", [{1: 2.0, 3: 4.0}, {1.0, 2.0}])
def test_what_has_another_order_is_no_sample(x):
    with pytest.raises(TypeError, match=r"expects a list of 2 inputs, got a (dict|set)"):
        mg.MLP(2, [1], seed=0)(x)


def test_a_single_number_and_none_are_no_samples_either():
    for x in (3.0, None):
        with pytest.raises(TypeError, match="expects a list of 2 inputs, got a single"):
            mg.MLP(2, [1], seed=0)(x)


@pytest.mark.parametrize("array", [np.array(2.0), np.array(2), np.array(Value(1.0), dtype=object)])
def test_a_value_of_an_array_without_axes_says_how_to_take_its_number(array):
    with pytest.raises(TypeError, match=r"A real number is needed, got array\(.*take its \.item\(\)"):
        Value(array)


def test_a_weight_that_was_replaced_since_is_refused_by_the_program():
    model = mg.MLP(2, [2, 1], seed=0)
    program = mg.compile(lambda x, y: (model(x) - y) ** 2)
    program.fit((X, Y), SGD(model.parameters(), lr=0.1), epochs=1)
    model.layers[0].neurons[0].w[0] = Value(5.0)
    with pytest.raises(mg.TracingError, match="Compile the function again"):
        program.fit((X, Y), SGD(model.parameters(), lr=0.1), epochs=1)
