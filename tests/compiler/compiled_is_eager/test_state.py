"""A loss that looks at plain numbers outside follows them, whoever changes them and wherever they are kept.

While they stay as they are, the loss is compiled; when they change, training goes on eagerly with one warning.
"""

import enum
import functools
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import EPOCHS, X, Y, agree, error, still_compiled, trained

STATES = {}
BETA = 0.0
TABLE = {"beta": 0.0}


def state(make):
    """A kind of state: `make(w)` gives a penalty that looks at it, and what sets it to another number."""
    STATES[make.__name__] = make
    return make


@state
def a_list_in_a_closure(w):
    beta = [0.0]
    return lambda: beta[0] * w * w, lambda number: beta.__setitem__(0, number)


@state
def a_list_that_grows(w):
    beta = [0.0]
    return lambda: beta[-1] * w * w, beta.append


@state
def a_dict_in_a_closure(w):
    beta = {"now": 0.0}
    return lambda: beta["now"] * w * w, lambda number: beta.update(now=number)


@state
def a_dict_in_a_list_in_a_closure(w):
    beta = [{"now": (0.0, 1)}]
    return lambda: beta[0]["now"][0] * w * w, lambda number: beta[0].update(now=(number, 1))


@state
def a_nonlocal_number(w):
    beta = 0.0

    def change(number):
        nonlocal beta
        beta = number

    return lambda: beta * w * w, change


@state
def a_global_number(w):
    globals()["BETA"] = 0.0
    return lambda: BETA * w * w, lambda number: globals().update(BETA=number)


@state
def a_global_dict(w):
    TABLE["beta"] = 0.0
    return lambda: TABLE["beta"] * w * w, lambda number: TABLE.update(beta=number)


@state
def a_default_argument(w):
    beta = [0.0]

    def penalty(beta=beta):
        return beta[0] * w * w

    return penalty, lambda number: beta.__setitem__(0, number)


@state
def the_defaults_of_the_function(w):
    def penalty(beta=0.0):
        return beta * w * w

    return penalty, lambda number: setattr(penalty, "__defaults__", (number,))


@state
def a_keyword_default(w):
    def penalty(*, beta=0.0):
        return beta * w * w

    return penalty, lambda number: penalty.__kwdefaults__.update(beta=number)


@state
def an_attribute_of_the_function(w):
    def penalty():
        return penalty.beta * w * w

    penalty.beta = 0.0
    return penalty, lambda number: setattr(penalty, "beta", number)


@state
def an_attribute_of_an_object(w):
    config = SimpleNamespace(beta=0.0)
    return lambda: config.beta * w * w, lambda number: setattr(config, "beta", number)


@state
def an_attribute_of_an_attribute(w):
    config = SimpleNamespace(inner=SimpleNamespace(beta=[0.0]))
    return lambda: config.inner.beta[0] * w * w, lambda number: setattr(config.inner, "beta", [number])


@state
def an_object_that_is_replaced(w):
    config = SimpleNamespace(beta=0.0)

    def change(number):
        nonlocal config
        config = SimpleNamespace(beta=number)

    return lambda: config.beta * w * w, change


@state
def a_slot(w):
    class Config:
        __slots__ = ("beta",)

    config = Config()
    config.beta = 0.0
    return lambda: config.beta * w * w, lambda number: setattr(config, "beta", number)


@state
def a_property(w):
    class Config:
        hidden = 0.0

        @property
        def beta(self):
            return self.hidden

    config = Config()
    return lambda: config.beta * w * w, lambda number: setattr(config, "hidden", number)


@state
def an_attribute_of_a_module(w):
    class Net(mg.Module):
        def __init__(self):
            self.w, self.beta = w, 0.0

        def __call__(self):
            return self.beta * self.w * self.w

    model = Net()
    return lambda: model(), lambda number: setattr(model, "beta", number)


@state
def an_attribute_of_a_bound_methods_self(w):
    class Trainer:
        beta = 0.0

        def penalty(self):
            return self.beta * w * w

    trainer = Trainer()
    return trainer.penalty, lambda number: setattr(trainer, "beta", number)


@state
def a_class_attribute(w):
    class Config:
        beta = 0.0

    return lambda: Config.beta * w * w, lambda number: setattr(Config, "beta", number)


@state
def a_partial(w):
    beta = [0.0]
    return functools.partial(lambda beta: beta[0] * w * w, beta), lambda number: beta.__setitem__(0, number)


@state
def a_partials_keyword(w):
    penalty = functools.partial(lambda beta: beta * w * w, beta=0.0)
    return penalty, lambda number: penalty.keywords.update(beta=number)


@state
def a_callable_object(w):
    class Penalty:
        def __init__(self):
            self.beta = 0.0

        def __call__(self):
            return self.beta * w * w

    penalty = Penalty()
    return penalty, lambda number: setattr(penalty, "beta", number)


@state
def a_nested_function(w):
    beta = [0.0]

    def weight():
        return beta[0]

    def penalty():
        def square():
            return weight() * w * w

        return square()

    return penalty, lambda number: beta.__setitem__(0, number)


@state
def a_decorated_function(w):
    beta = [0.0]

    @functools.wraps(abs)
    def weight():
        return beta[0]

    return lambda: weight() * w * w, lambda number: beta.__setitem__(0, number)


@state
def a_function_that_is_replaced(w):
    beta = [lambda: 0.0]
    return lambda: beta[0]() * w * w, lambda number: beta.__setitem__(0, lambda: number)


@state
def a_numpy_array_changed_in_place(w):
    beta = np.zeros(3)
    return lambda: beta[1] * w * w, lambda number: beta.__setitem__(1, number)


@state
def a_view_of_a_numpy_array(w):
    whole = np.zeros(3)
    beta = whole[1:2]
    return lambda: beta[0] * w * w, lambda number: whole.__setitem__(1, number)


@state
def a_numpy_scalar(w):
    beta = np.float64(0.0)

    def change(number):
        nonlocal beta
        beta = np.float64(number)

    return lambda: beta * w * w, change


@state
def a_numpy_array_of_no_dimensions(w):
    beta = np.array(0.0)
    return lambda: float(beta) * w * w, lambda number: beta.fill(number)


class Phase(enum.Enum):
    FIRST = 1
    SECOND = 2


@state
def an_enum(w):
    beta = [Phase.FIRST]
    return lambda: (0.0 if beta[0] is Phase.FIRST else 0.2) * w * w, lambda _: beta.__setitem__(0, Phase.SECOND)


@state
def a_bool(w):
    beta = [False]
    return lambda: 0.2 * w * w if beta[0] else 0.0 * w, lambda _: beta.__setitem__(0, True)


@state
def a_string(w):
    beta = ["none"]
    return lambda: 0.2 * w * w if beta[0] == "square" else 0.0 * w, lambda _: beta.__setitem__(0, "square")


@state
def a_name_looked_up_by_getattr(w):
    beta = SimpleNamespace(power="neg")
    return lambda: 0.1 * getattr(mg, beta.power)(w), lambda _: setattr(beta, "power", "square")


@state
def a_set(w):
    beta = set()
    return lambda: float(len(beta)) * 0.1 * w * w, beta.add


@state
def an_array_that_the_model_holds(w):
    model = SimpleNamespace(layers=[SimpleNamespace(beta=np.zeros(2))])
    return lambda: model.layers[0].beta[0] * w * w, lambda number: model.layers[0].beta.fill(number)


@state
def the_length_of_a_list(w):
    beta = []
    return lambda: 0.05 * len(beta) * w * w, beta.append


@state
def a_generator_made_by_the_callback(w):
    beta = [(0.0,)]
    return lambda: sum(x for x in beta[0]) * w * w, lambda number: beta.__setitem__(0, (number, number))


SEEN = list(STATES)  # the states above can be seen in the objects that the loss reaches


@state
def a_cached_helper(w):
    beta = [0.0]

    @functools.lru_cache
    def weight():
        return beta[0]

    def change(number):
        beta[0] = number
        weight.cache_clear()

    return lambda: weight() * w * w, change


@state
def the_clock(w):
    return lambda: (time.time() - 1000.0) * w * w, lambda number: CLOCK.__setitem__(0, 1000.0 + number)


@state
def a_file(w):
    path = Path(os.environ["BETA_DIRECTORY"], "beta")
    path.write_text("0.0")
    return lambda: float(path.read_text()) * w * w, lambda number: path.write_text(str(number))


@state
def the_environment(w):
    os.environ["BETA"] = "0.0"
    return lambda: float(os.environ["BETA"]) * w * w, lambda number: os.environ.__setitem__("BETA", str(number))


CLOCK = [1000.0]


@pytest.fixture(autouse=True)
def world(monkeypatch, tmp_path):
    """A clock that only the tests set, a directory, and a variable that is gone afterwards."""
    CLOCK[0] = 1000.0
    monkeypatch.setattr(time, "time", lambda: CLOCK[0])
    monkeypatch.setenv("BETA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("BETA", "0.0")


def with_penalty(kind, changing=True):
    def make(w, b):
        CLOCK[0] = 1000.0
        penalty, change = STATES[kind](w)
        after = lambda epoch: change(0.05 * (epoch + 1)) if changing and epoch >= 1 else None  # noqa: E731
        return lambda x, y: error(w, b, x, y) + penalty(), after

    return make


@pytest.mark.parametrize("kind", STATES)
def test_a_loss_that_looks_at_plain_state_follows_what_a_callback_sets(kind):
    wanted = agree(lambda compiled: trained(with_penalty(kind), compiled), "beta" if kind in SEEN else "")
    assert wanted != trained(with_penalty(kind, changing=False), False)  # else this test shows nothing


@pytest.mark.parametrize("kind", SEEN)
def test_state_that_stays_as_it_is_leaves_the_loss_compiled(kind):
    still_compiled(lambda compiled: trained(with_penalty(kind, changing=False), compiled))


SOME = ["a_list_in_a_closure", "a_nonlocal_number", "an_attribute_of_a_module", "a_numpy_array_changed_in_place"]


@pytest.mark.parametrize("kind", SOME)
def test_state_that_is_set_after_an_epoch_is_followed_in_batches_too(kind):
    agree(lambda compiled: trained(with_penalty(kind), compiled, batch_size=64, seed=1), "beta")


@pytest.mark.parametrize("kind", SOME)
def test_state_that_a_schedule_sets_is_followed(kind):
    def run(compiled):
        def make(w, b):
            penalty, run.change = STATES[kind](w)
            return lambda x, y: error(w, b, x, y) + penalty()

        def schedule(epoch):
            run.change(0.05 * epoch)
            return 0.5

        return trained(make, compiled, schedule=schedule, batch_size=100, seed=1)

    agree(run, "beta")


@pytest.mark.parametrize("kind", SOME)
def test_state_that_the_data_set_between_two_batches_is_followed(kind):
    def run(compiled):
        def make(w, b):
            penalty, run.change = STATES[kind](w)
            return lambda x, y: error(w, b, x, y) + penalty()

        def batches():
            for start in range(0, 400, 100):
                run.change(0.001 * start)
                yield X[start : start + 100], Y[start : start + 100]

        return trained(make, compiled, data=batches)

    agree(run, "beta")


@pytest.mark.parametrize("kind", SOME)
def test_state_that_changes_between_two_trainings_is_followed(kind):
    def run(compiled):
        w, b = Value(0.5), Value(0.0)
        penalty, change = STATES[kind](w)
        loss = lambda x, y: error(w, b, x, y) + penalty()  # noqa: E731
        for number in (0.0, 0.3):
            change(number)
            mg.fit(loss, (X, Y), mg.optim.SGD([w, b], lr=0.5), epochs=EPOCHS, compiled=compiled)
        return [w.data, b.data]

    still_compiled(run)


@pytest.mark.parametrize("kind", [*SOME, "the_clock"])
def test_where_compiling_is_insisted_on_a_change_is_followed_or_refused(kind):
    try:
        agree(lambda compiled: trained(with_penalty(kind), compiled), compiled=True)
    except (mg.TracingError, ValueError) as refusal:
        assert "beta" in str(refusal) or kind not in SEEN  # noqa: PT017


def test_a_change_that_matters_to_few_samples_is_found_though_a_sampled_one_may_not_show_it():
    def make(w, b):
        beta = [1.0]
        change = lambda epoch: beta.__setitem__(0, 5.0)  # noqa: E731
        return lambda x, y: mg.where(x > 0.99, beta[0], 1.0) * error(w, b, x, y), change

    agree(lambda compiled: trained(make, compiled), "beta")
