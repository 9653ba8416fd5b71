"""A compiled function that looks at one number is refused at its line, and remains refused if it hides the error."""

import contextlib
import copy
import functools
import json
import math
import operator
import pickle
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value
from tests.eager_training import X, Y, agree, error, trained


@functools.lru_cache
def cached(x):
    return 5.0


def matched(x):
    match x:
        case 2.0:
            return 5.0
    return 1.0


# Of an input, which is a plain number in eager mode and is hashed and compared by its number.
HASHED = {
    "hash": hash,
    "dict.get": lambda x: {1: 5.0}.get(x, 1.0),
    "a dict's index": lambda x: {2.0: 5.0}[x],
    "a dict's index by a derived number": lambda x: {3.0: 5.0}[2 * x - 1],
    "in a dict": lambda x: x in {1: 5.0},
    "in a set": lambda x: x in {1},
    "in a frozenset": lambda x: x in frozenset([1]),
    "a set of it": lambda x: len({x, 2.0}),
    "a set from a list": lambda x: len(set([x, x * 1])),  # noqa: C405
    "a dict with it": lambda x: {x: 1.0},
    "setdefault": lambda x: {}.setdefault(x, 1.0),
    "a tuple as a key": lambda x: {(1, 2.0): 5.0}.get((1, x)),
    "dict.fromkeys": lambda x: dict.fromkeys([x]),
    "Counter": lambda x: Counter([x]),
    "lru_cache": cached,
    "match": matched,
}
# Of an input, a parameter, or what is computed from them.
NUMBERS = {
    "str": str,
    "repr": repr,
    "format": format,
    "an f-string": lambda x: f"{x}",
    "an f-string with two digits": lambda x: f"{x:.2f}",
    "an f-string with =": lambda x: f"{x=}",
    "str.format": lambda x: "{:.3g}".format(x),  # noqa: UP032
    "%s": lambda x: "%s" % x,  # noqa: UP031
    "%.2f": lambda x: "%.2f" % x,  # noqa: UP031
    "int": int,
    "float": float,
    "bool": bool,
    "complex": complex,
    "not": operator.not_,
    "round": round,
    "round to two digits": lambda x: round(x, 2),
    "divmod": lambda x: divmod(x, 2),
    "divmod from the right": lambda x: divmod(7, x),
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "math.trunc": math.trunc,
    "math.isnan": math.isnan,
    "operator.index": operator.index,
    "a list's index": lambda x: [1.0, 5.0, 7.0][x],
    "range": range,
    "np.float64": np.float64,
    "an array of floats": lambda x: np.array([x, 1.0], dtype=float),
    ".data": lambda x: x.data,
    ".grad": lambda x: x.grad,
    "pickle": pickle.dumps,
}
# Of what is computed.
GRAPHS = {
    ".grad after backward": lambda x: ((y := x * x).backward(), x.grad, y),
    "backward": lambda x: (x * x).backward(),
    "backward_steps": lambda x: list((x * x).backward_steps()),
    ".inputs": lambda x: (x * x).inputs,
    ".local_gradients": lambda x: [f() for f in (x * x).local_gradients],
    "setting .grad": lambda x: setattr(x, "grad", 1.0),
    "setting .data": lambda x: setattr(x, "data", 1.0),
}
ALL = HASHED | NUMBERS | GRAPHS


def swallowed_by_except(look, x):
    try:  # noqa: SIM105
        look(x)
    except Exception:
        pass


def swallowed_by_a_bare_except(look, x):
    try:  # noqa: SIM105
        look(x)
    except:  # noqa: E722
        pass


def swallowed_by_suppress(look, x):
    with contextlib.suppress(Exception):
        look(x)


def swallowed_by_return_in_finally(look, x):
    try:
        look(x)
    finally:
        return  # noqa: B012


def swallowed_by_type(look, x):
    with contextlib.suppress(TypeError, KeyError, AttributeError, IndexError, ValueError):
        look(x)


SWALLOWED = {
    "not": lambda look, x: look(x),
    "by except Exception": swallowed_by_except,
    "by a bare except": swallowed_by_a_bare_except,
    "by suppress": swallowed_by_suppress,
    "by return in finally": swallowed_by_return_in_finally,
    "by its type": swallowed_by_type,
}

HERE = r"test_looking\.py:\d+"


def looking(look, swallow):
    def f(x):
        swallow(look, x)
        return x * x

    return f


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: copy.deepcopy([x])[0]])
def test_a_copy_of_an_argument_is_the_argument_as_a_copy_of_a_number_is_the_number(copied):
    program = mg.compile(lambda x: copied(x) * x, backend="python")
    assert program.trace(2.0).value_and_gradients(3.0) == (9.0, (6.0,))
    assert mg.grad(lambda x: copied(x) * x)(3.0) == 6.0


@pytest.mark.parametrize("swallow", SWALLOWED.values(), ids=SWALLOWED)
@pytest.mark.parametrize("look", ALL.values(), ids=ALL)
def test_looking_at_an_input_is_refused_even_if_the_error_is_swallowed(look, swallow):
    cached.cache_clear()
    with pytest.raises(mg.TracingError, match=HERE):
        mg.compile(looking(look, swallow), backend="python")(2.0)


@pytest.mark.parametrize("name", [name for name in ALL if name != "setting .data"])
def test_looking_at_what_is_computed_from_an_input_is_refused(name):
    look = ALL[name]
    cached.cache_clear()
    with pytest.raises(mg.TracingError, match=HERE):
        mg.compile(lambda x: (look(3 * x), x)[1], backend="python")(2.0)


@pytest.mark.parametrize("swallow", [SWALLOWED["not"], SWALLOWED["by except Exception"]], ids=["not", "swallowed"])
@pytest.mark.parametrize("look", (NUMBERS | GRAPHS).values(), ids=NUMBERS | GRAPHS)
def test_looking_at_a_parameter_is_refused(look, swallow):
    w = Value(3.0, "w")
    with pytest.raises(mg.TracingError, match=HERE):
        mg.compile(lambda x: (swallow(look, w), w * x)[1], backend="python")(2.0)
    assert (w.data, w.grad) == (3.0, 0.0)


@pytest.mark.parametrize("look", [json.dumps, Decimal, Fraction], ids=["json", "Decimal", "Fraction"])
def test_what_asks_a_value_for_nothing_raises_by_itself(look):
    with pytest.raises(TypeError):
        mg.compile(lambda x: x * len(str(look(x))), backend="python")(2.0)


def test_a_value_is_free_to_be_looked_at_once_the_trace_has_failed():
    x = Value(2.0)
    with pytest.raises(mg.TracingError):
        mg.compile(lambda x: x * hash(x), backend="python")(2.0)
    assert {x: 1}[x] == 1
    assert f"{x:.1f}" == "2.0"
    assert copy.copy(x).data == 2.0
    assert mg.compile(lambda x: x * x, backend="python")(3.0) == 9.0


@pytest.mark.parametrize("backend", ["python", "numpy", "native", "auto"])
def test_a_function_that_is_refused_once_is_refused_again(backend):
    program = mg.compile(looking(hash, SWALLOWED["by except Exception"]), backend=backend)
    for _ in range(2):
        with pytest.raises(mg.TracingError, match=HERE):
            program(2.0)
        with pytest.raises(mg.TracingError, match=HERE):
            program.value_and_gradients(np.array([1.0, 2.0]))


def weight_or_one(find):
    """A loss whose weight comes from looking at the label; where that fails, it is 1."""

    def make(w, b):
        def loss(x, y):
            try:
                weight = find(y)
            except Exception:
                weight = 1.0
            return weight * error(w, b, x, y)

        return loss

    return make


# Each gives 5 for label 1 and something else for label 0, or depends on the label in some other way.
WEIGHTS = {
    "dict.get": lambda y: {1: 5.0}.get(y, 1.0),
    "a dict's index": lambda y: {0: 1.0, 1: 5.0}[y],
    "a dict's index by a derived label": lambda y: {-1: 1.0, 1: 5.0}[2 * y - 1],
    "a list's index": lambda y: [1.0, 5.0][y],
    "in a set": lambda y: 5.0 if y in {1} else 1.0,
    "in a tuple": lambda y: 5.0 if y in (1, 7) else 1.0,
    "is True": lambda y: 5.0 if y is True else 1.0,
    "is 1": lambda y: 5.0 if id(y) == id(1) else 1.0,
    "isinstance": lambda y: 5.0 if isinstance(y, int) else 1.0,
    "type": lambda y: {int: 5.0}.get(type(y), 1.0),
    "match a class": lambda y: matched_class(y),
    "a method of int": lambda y: 1.0 + 4 * y.bit_length(),
    "hasattr": lambda y: 5.0 if hasattr(y, "bit_length") else 1.0,
    "getattr": lambda y: 1.0 + 4 * getattr(y, "real", 0),
    "json": lambda y: float(json.dumps(y)) + 1,
    "Decimal": lambda y: float(Decimal(y)) + 1,
    "str": lambda y: {"1": 5.0}.get(str(y), 1.0),
    "round": lambda y: 1.0 + 4 * round(y),
    "an f-string": lambda y: float(f"{y}.5"),
    "a bit": lambda y: 1.0 + 4 * (y & 1),
    "repetition": lambda y: 1.0 + len([0] * y),
    "Counter": lambda y: 1.0 + 4 * Counter([y])[1],
    "any": lambda y: 5.0 if any([y]) else 1.0,
    "sorted": lambda y: 1.0 + sorted([y, 0.5])[0],
    "next": lambda y: next(weight for label, weight in [(1, 5.0), (0, 1.0)] if label == y),
    "a slice": lambda y: 1.0 + sum([1, 2, 3][y:]),
    "chained": lambda y: 5.0 if 0 < y <= 1 else 1.0,
}


def matched_class(y):
    match y:
        case int():
            return 5.0
    return 1.0


@pytest.mark.parametrize("find", WEIGHTS.values(), ids=WEIGHTS)
def test_a_loss_that_looks_at_its_label_trains_as_eager_whatever_it_swallows(find):
    same = find is WEIGHTS["is True"]  # for a trace too, so that nothing is to be said
    wanted = agree(lambda compiled: trained(weight_or_one(find), compiled, rate=0.2), None if same else "")
    plain = trained(lambda w, b: lambda x, y: error(w, b, x, y), False, rate=0.2)
    assert (wanted == plain) == (find in (WEIGHTS["is True"],))  # these labels are 0 and 1, not True


def test_labels_that_are_true_and_false_are_so_in_compiled_training_too():
    data = (X, [bool(y) for y in Y])
    find = WEIGHTS["is True"]
    wanted = agree(lambda compiled: trained(weight_or_one(find), compiled, rate=0.2, data=data))
    assert wanted != trained(lambda w, b: lambda x, y: error(w, b, x, y), False, rate=0.2)


@pytest.mark.parametrize("find", [WEIGHTS[name] for name in ("dict.get", "in a set", "str", "round", "a list's index")])
def test_where_compiling_is_insisted_on_looking_is_refused_though_swallowed(find):
    with pytest.raises(mg.TracingError, match=HERE):
        trained(weight_or_one(find), True)
