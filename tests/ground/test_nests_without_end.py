"""A nest that goes on too far, or for ever, is one message, whatever takes it."""

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.optim import SGD


def nested(depth):
    nest = 1.0
    for _ in range(depth):
        nest = [nest]
    return nest


def innermost(x):
    while isinstance(x, list):
        x = x[0]
    return x * x


OWN = [1.0]
OWN.append(OWN)
OWN_DICT = {"a": 1.0}
OWN_DICT["b"] = OWN_DICT
ENDLESS = {"500 lists": nested(500), "a million": nested(10**6), "a list": OWN, "a dict": OWN_DICT}


def fitted(nest, compiled):
    w = Value(1.0)
    data = [nest] * 300, [1.0] * 300
    mg.fit(lambda x, y: (w * innermost(x) - y) ** 2, data, SGD([w], lr=0.1), epochs=2, compiled=compiled)


TAKERS = {
    "grad": lambda nest: mg.grad(innermost)(nest),
    "value_and_grad": lambda nest: mg.value_and_grad(innermost)(nest),
    "jacobian": lambda nest: mg.jacobian(innermost)(nest),
    "hessian": lambda nest: mg.hessian(innermost)(nest),
    "hvp": lambda nest: mg.hvp(innermost)(nest, nest),
    "check_gradients": lambda nest: mg.check_gradients(innermost, nest),
    "a program": lambda nest: mg.compile(innermost, backend="python")(nest),
    "its gradients": lambda nest: mg.compile(innermost, backend="python").value_and_gradients(nest),
    "its result": lambda nest: mg.compile(lambda x: [x, nest], backend="python")(1.0),
    "a result": lambda nest: mg.jacobian(lambda x: [x, nest])(1.0),
    "compiled fit": lambda nest: fitted(nest, compiled=True),
}


@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.parametrize("taker", TAKERS)
def test_a_nest_without_end_is_a_message(taker, endless):
    with pytest.raises(ValueError, match=r"are nested more than 100 deep here, or one holds itself\."):
        TAKERS[taker](ENDLESS[endless])


def test_a_hundred_lists_are_a_nest_like_any_other():
    x = nested(100)
    assert innermost(mg.grad(innermost)(x)) == 4.0  # 2 · 1, squared
    assert mg.compile(innermost, backend="python")(x) == 1.0
    fitted(x, compiled=True)
