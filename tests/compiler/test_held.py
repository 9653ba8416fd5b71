"""A weight that is another object than when a program was traced: an error at the next use, whatever the use."""

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value, compile

USES = {
    "a call": lambda program: program(1.0),
    "gradients": lambda program: program.value_and_gradients(1.0),
    "a batch": lambda program: program(np.ones(3)),
    "backward": lambda program: program.backward([1.0, 2.0]),
    "hessian": lambda program: program.hessian(1.0),
    "fit": lambda program: program.fit(([1.0],), mg.optim.SGD([Value(0.0)]), epochs=1),
}


class Gain(mg.Module):
    def __init__(self):
        self.factor, self.calls = Value(2.0), 0

    def __call__(self, x):
        return self.factor * x


class Amplifier(mg.Module):
    def __init__(self):
        self.gain, self.factors = Gain(), [Value(1.0)]

    def __call__(self, x):
        return self.gain(x) * self.factors[0]


@pytest.fixture(params=["auto", "python", "native", "numpy"])
def compiled(request):
    def make(function):
        program = compile(function, backend=request.param)
        for _ in range(3):
            assert program(1.0) == 2.0
            assert program.value_and_gradients(1.0) == (2.0, (2.0,))
        return program

    return make


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_variable_of_a_closure(compiled, use):
    w = Value(2.0)
    program = compiled(lambda x: w * x)
    w.data = 5.0
    assert program(1.0) == 5.0
    w = Value(2.0)
    for _ in range(2):
        with pytest.raises(mg.TracingError):
            use(program)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_global(compiled, use, monkeypatch):
    monkeypatch.setitem(globals(), "weights", {"w": Value(2.0)})
    program = compiled(lambda x: weights["w"] * x)  # noqa: F821
    monkeypatch.setitem(globals(), "weights", {"w": Value(2.0)})
    with pytest.raises(mg.TracingError):
        use(program)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("bound", [False, True])
def test_what_is_in_a_module(compiled, use, bound):
    def parts():
        model = Amplifier()
        return model, compiled(model.__call__ if bound else model)

    model, program = parts()
    model.gain = Gain()
    with pytest.raises(mg.TracingError):
        use(program)
    model, program = parts()
    model.gain.factor = Value(2.0)
    with pytest.raises(mg.TracingError):
        use(program)
    model, program = parts()
    model.factors = [Value(1.0)]
    with pytest.raises(mg.TracingError):
        use(program)


def test_the_error_names_the_weight_and_the_function():
    w = Value(2.0, "w")

    def scaled(x):
        return w * x

    program = compile(scaled)
    program(1.0)
    w = Value(3.0, "w")
    with pytest.raises(mg.TracingError, match=r"data=2.0.*label='w'\) was replaced by another object after scaled was"):
        program(1.0)


def test_what_changes_no_weight_is_no_error(compiled):
    model, weights = Amplifier(), [Value(2.0)]
    program, other = compiled(lambda x: model(x)), compiled(lambda x: weights[0] * x)
    model.calls, model.note, model.gain = 1, [Value(7.0)], model.gain
    weights = list(weights)
    Gain().factor = Value(3.0)
    assert program(1.0) == other(1.0) == 2.0
    weights[0].data = model.gain.factor.data = 4.0
    assert program(1.0) == other(1.0) == 4.0


def test_compiled_again_it_has_the_new_one(compiled):
    w = Value(2.0)

    def f(x):
        return w * x

    compiled(f)
    w = Value(2.0)
    assert compiled(f).parameters == [w]
