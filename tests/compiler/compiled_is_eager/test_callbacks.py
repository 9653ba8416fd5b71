"""What callbacks and schedules set holds from the next epoch on, and what they see is how things stand."""

import itertools
import random

import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import EPOCHS, X, Y, agree, error, still_compiled


def sgd(p):
    return mg.optim.SGD(p, lr=0.1)


def momentum(p):
    return mg.optim.SGD(p, lr=0.1, momentum=0.5)


def adam(p):
    return mg.optim.Adam(p, lr=0.05)


def adamw(p):
    return mg.optim.AdamW(p, lr=0.05)


def forget(optimizer):
    optimizer.memory.clear()
    optimizer.steps = 0


def set_in_place(name, number):
    return lambda o, p: o.memory[name].__setitem__(0, number)


def loaded(optimizer, parameters):
    state = optimizer.state_dict()
    state["lr"] /= 2
    state["memory"] = {name: [x / 2 for x in numbers] for name, numbers in state["memory"].items()}
    optimizer.load_state_dict(state)


# An optimizer, and what is done to it and its parameters after the third epoch.
SETTINGS = {
    "the data of a parameter": (sgd, lambda o, p: setattr(p[0], "data", 0.25)),
    "a parameter clipped": (momentum, lambda o, p: setattr(p[0], "data", min(p[0].data, 0.1))),
    "a parameter pruned": (adam, lambda o, p: setattr(p[1], "data", 0.0)),
    "a checkpoint restored": (adam, lambda o, p: [setattr(x, "data", 0.3) for x in p]),
    "the data and the memory": (momentum, lambda o, p: (setattr(p[0], "data", 0.3), forget(o))),
    "not a number": (sgd, lambda o, p: setattr(p[0], "data", float("inf"))),
    "gradients": (sgd, lambda o, p: [setattr(x, "grad", 7.0) for x in p]),
    "lr": (sgd, lambda o, p: setattr(o, "lr", 0.02)),
    "lr of Adam": (adam, lambda o, p: setattr(o, "lr", 0.02)),
    "lr of zero": (momentum, lambda o, p: setattr(o, "lr", 0.0)),
    "momentum": (momentum, lambda o, p: setattr(o, "momentum", 0.9)),
    "momentum that begins": (sgd, lambda o, p: setattr(o, "momentum", 0.9)),
    "momentum that ends": (momentum, lambda o, p: setattr(o, "momentum", 0.0)),
    "dampening": (momentum, lambda o, p: setattr(o, "dampening", 0.5)),
    "nesterov": (momentum, lambda o, p: setattr(o, "nesterov", True)),
    "weight_decay": (sgd, lambda o, p: setattr(o, "weight_decay", 0.3)),
    "weight_decay with momentum": (momentum, lambda o, p: setattr(o, "weight_decay", 0.3)),
    "weight_decay of Adam": (adam, lambda o, p: setattr(o, "weight_decay", 0.3)),
    "weight_decay of AdamW": (adamw, lambda o, p: setattr(o, "weight_decay", 0.9)),
    "betas": (adam, lambda o, p: setattr(o, "betas", (0.5, 0.9))),
    "eps": (adamw, lambda o, p: setattr(o, "eps", 0.1)),
    "memory cleared": (momentum, lambda o, p: o.memory.clear()),
    "memory replaced": (momentum, lambda o, p: setattr(o, "memory", {"velocity": [1.0, -1.0]})),
    "memory in place": (momentum, set_in_place("velocity", 3.0)),
    "memory of Adam in place": (adam, set_in_place("mean", 0.5)),
    "steps": (adam, lambda o, p: setattr(o, "steps", 0)),
    "everything forgotten": (adamw, lambda o, p: forget(o)),
    "a state loaded": (momentum, loaded),
    "a state of Adam loaded": (adam, loaded),
    "a step of its own": (momentum, lambda o, p: o.step()),
    "a parameter frozen": (sgd, lambda o, p: o.parameters.remove(p[1])),
    "a list of parameters": (sgd, lambda o, p: setattr(o, "parameters", [p[1]])),
    "the order of parameters": (sgd, lambda o, p: o.parameters.reverse()),
}


def run_with(make, change, compiled, parameters=2, start=2, **options):
    """Parameters, losses, rates and the optimizer's state of a training in which `change` is called after epoch 2."""
    p = [Value(0.5, "w"), Value(0.1, "b")]
    optimizer = make(p[:parameters])
    callback = lambda epoch, history: change(optimizer, p) and None if epoch == start else None  # noqa: E731
    loss = lambda x, y: error(p[0], p[1], x, y)  # noqa: E731
    options = {"epochs": EPOCHS, "callbacks": [callback], "compiled": compiled} | options
    history = mg.fit(loss, (X, Y), optimizer, **options)
    memory = itertools.chain.from_iterable(optimizer.state_dict()["memory"].values())
    return [*(x.data for x in p), *(x.grad for x in p), *history.losses, *history.rates, optimizer.steps, *memory]


@pytest.mark.parametrize("batches", [{}, {"batch_size": 64, "seed": 3}], ids=["all", "batches"])
@pytest.mark.parametrize("what", SETTINGS)
def test_what_a_callback_sets_holds_from_the_next_epoch_on(what, batches):
    make, change = SETTINGS[what]
    wanted = agree(lambda compiled: run_with(make, change, compiled, **batches), None)
    if what != "gradients" and what != "the order of parameters":
        assert wanted != pytest.approx(run_with(make, lambda o, p: None, False, **batches), nan_ok=True)


def test_a_parameter_that_is_added_is_trained_from_then_on():
    change = lambda o, p: o.parameters.append(p[1])  # noqa: E731
    agree(lambda compiled: run_with(sgd, change, compiled, parameters=1), None)


@pytest.mark.parametrize("what", ["the data of a parameter", "a parameter clipped", "lr", "momentum", "betas", "steps"])
def test_what_a_callback_sets_leaves_the_loss_compiled(what):
    make, change = SETTINGS[what]
    still_compiled(lambda compiled: run_with(make, change, compiled))


@pytest.mark.parametrize("what", ["the data of a parameter", "momentum", "weight_decay", "betas", "memory in place"])
def test_what_a_schedule_sets_holds_from_that_epoch_on(what):
    make, change = SETTINGS[what]

    def run(compiled):
        p = [Value(0.5), Value(0.1)]
        optimizer, seen = make(p), []

        def schedule(epoch):
            seen.extend(x.data for x in p)
            if epoch == 3:
                change(optimizer, p)
            return 0.1 / (epoch + 1)

        loss = lambda x, y: error(p[0], p[1], x, y)  # noqa: E731
        options = {"epochs": EPOCHS, "schedule": schedule, "compiled": compiled}
        mg.fit(loss, (X, Y), optimizer, **options)
        return [*(x.data for x in p), *seen]

    agree(run, None)


@pytest.mark.parametrize("what", ["the data of a parameter", "a parameter clipped", "lr", "momentum", "betas"])
def test_what_the_data_set_between_two_batches_holds_from_the_next_batch_on(what):
    make, change = SETTINGS[what]

    def run(compiled):
        p = [Value(0.5), Value(0.1)]
        optimizer, count = make(p), itertools.count()

        def batches():
            for start in range(0, 400, 100):
                if next(count) == 6:
                    change(optimizer, p)
                yield X[start : start + 100], Y[start : start + 100]

        mg.fit(lambda x, y: error(p[0], p[1], x, y), batches, optimizer, epochs=EPOCHS, compiled=compiled)
        return [x.data for x in p]

    agree(run, None)


@pytest.mark.parametrize("batches", [{}, {"batch_size": 64, "seed": 3}], ids=["all", "batches"])
@pytest.mark.parametrize("make", [sgd, momentum, adam, adamw])
def test_a_callback_sees_parameters_gradients_memory_and_history_as_they_stand(make, batches):
    def run(compiled):
        seen = []
        p = [Value(0.5), Value(0.1)]
        optimizer = make(p)

        def look(epoch, history):
            seen.extend([*(x.data for x in p), *(x.grad for x in p), optimizer.lr, optimizer.steps])
            seen.extend([*history.losses, *history.rates, len(history.seconds)])
            seen.extend(itertools.chain.from_iterable(optimizer.memory.values()))

        loss = lambda x, y: error(p[0], p[1], x, y)  # noqa: E731
        mg.fit(loss, (X, Y), optimizer, epochs=EPOCHS, callbacks=[look], compiled=compiled, **batches)
        return seen

    still_compiled(run)


def test_a_callback_sees_what_the_one_before_it_has_set():
    def run(compiled):
        p, seen = [Value(0.5), Value(0.1)], []
        callbacks = [lambda e, h: setattr(p[0], "data", p[0].data / 2), lambda e, h: seen.append(p[0].data)]
        callbacks.append(lambda e, h: e == 3)
        loss = lambda x, y: error(p[0], p[1], x, y)  # noqa: E731
        history = mg.fit(loss, (X, Y), sgd(p), epochs=EPOCHS, callbacks=callbacks, compiled=compiled)
        return [p[0].data, p[1].data, *seen, len(history)]

    agree(run, None)


@pytest.mark.parametrize("fails", ["callback", "schedule"])
def test_one_that_raises_leaves_everything_as_eager_training_does(fails):
    def run(compiled):
        p = [Value(0.5), Value(0.1)]
        optimizer = momentum(p)

        def callback(epoch, history):
            if fails == "callback" and epoch == 3:
                p[0].data = 0.125
                raise RuntimeError("no more")

        def schedule(epoch):
            if fails == "schedule" and epoch == 3:
                raise RuntimeError("no more")
            return 0.1

        options = {"epochs": EPOCHS, "callbacks": [callback], "schedule": schedule, "compiled": compiled}
        with pytest.raises(RuntimeError, match="no more"):
            mg.fit(lambda x, y: error(p[0], p[1], x, y), (X, Y), optimizer, **options)
        return [*(x.data for x in p), *(x.grad for x in p), *optimizer.memory["velocity"], optimizer.steps]

    agree(run, None)


def test_a_training_within_a_callback_counts():
    def run(compiled):
        p = [Value(0.5), Value(0.1)]
        loss = lambda x, y: error(p[0], p[1], x, y)  # noqa: E731

        def tune(epoch, history):
            mg.fit(loss, (X[:50], Y[:50]), sgd(p[:1]), epochs=3, compiled=compiled)

        mg.fit(loss, (X, Y), momentum(p), epochs=EPOCHS, callbacks=[tune], compiled=compiled)
        return [x.data for x in p]

    agree(run, None)


def other_weight(model):
    model.layers[0].neurons[0].w[0] = Value(0.7)


def other_layer(model):
    model.layers[1] = mg.nn.Layer(2, 1, activation="linear")
    for p in model.layers[1].parameters():
        p.data = 0.3


def one_neuron_tied(model):
    model.layers[0].neurons[0] = model.layers[0].neurons[1]


def other_activation(model):
    model.layers[0].neurons[0].activation = model.layers[1].neurons[0].activation


REPLACED = {
    "a parameter": other_weight,
    "a layer": other_layer,
    "a neuron": one_neuron_tied,
    "an activation": other_activation,
}


@pytest.mark.parametrize("optimized", [False, True], ids=["seen by the loss alone", "seen by the optimizer too"])
@pytest.mark.parametrize("what", REPLACED)
def test_parameters_replaced_by_new_objects_are_those_that_the_loss_uses(what, optimized):
    def run(compiled):
        random.seed(0)
        model = mg.nn.MLP(1, [2, 1], activation="tanh", seed=0)
        optimizer = sgd(model.parameters())

        def replace(epoch, history):
            if epoch == 2:
                REPLACED[what](model)
                if optimized:
                    optimizer.parameters = model.parameters()

        loss = lambda x, y: mg.losses.binary_cross_entropy_with_logits(model([x]), y)  # noqa: E731
        history = mg.fit(loss, (X, Y), optimizer, epochs=EPOCHS, callbacks=[replace], compiled=compiled)
        return [*(p.data for p in model.parameters()), *history.losses]

    agree(run)


def test_a_parameter_in_a_closure_that_is_replaced_is_the_one_that_the_loss_uses():
    def run(compiled):
        w, b = Value(0.5), Value(0.1)
        optimizer = sgd([w, b])

        def replace(epoch, history):
            nonlocal w
            w = Value(0.9)
            optimizer.parameters[0] = w

        loss = lambda x, y: error(w, b, x, y)  # noqa: E731
        mg.fit(loss, (X, Y), optimizer, epochs=EPOCHS, callbacks=[replace], compiled=compiled)
        return [w.data, b.data]

    agree(run, "w")


@pytest.mark.parametrize("outer", ["exp of a parameter", "in a list", "of a constant leaf"])
def test_a_value_computed_outside_the_loss_follows_its_leaf_or_eager_training_refuses(outer):
    def run(compiled):
        leaf, w = Value(0.0, "leaf"), Value(1.0, "w")
        scale = [mg.exp(leaf)]
        if outer == "in a list":
            scale.append(2 * scale[0])
        trained = [w] if outer == "of a constant leaf" else [leaf, w]
        loss = lambda x, y: (scale[-1] * x * w - 3 * x) ** 2  # noqa: E731
        history = mg.fit(loss, (X, Y), mg.optim.SGD(trained, lr=0.05), epochs=EPOCHS, compiled=compiled)
        return [leaf.data, w.data, *history.losses]

    try:
        eager = run(False)
    except mg.GradientError as refusal:
        assert "leaf" in str(refusal) and "since" in str(refusal)  # noqa: PT017, PT018
        assert outer != "of a constant leaf"
        return
    assert run("auto") == pytest.approx(eager, rel=1e-9)
    assert run(True) == pytest.approx(eager, rel=1e-9)
