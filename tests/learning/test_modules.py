"""Modules: where parameters are found, what they are called, and copies of models."""

import copy
import pickle
from collections import OrderedDict, UserDict, deque, namedtuple
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Module, Value
from microgrannd.operations import FusedOperation, Operation


@dataclass
class Cell:
    w: Value
    inner: Any = None
    computed: Value = field(init=False)  # never set


@dataclass(slots=True, frozen=True)
class Slim:
    w: Value


Pair = namedtuple("Pair", "first second")


class Gain(Module):
    def __init__(self, factor):
        self.factor = factor


def objects(*values, shape=None):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape or (len(values),))


# Each holder, and what it makes of two Values.
HOLDERS = {
    "a list": lambda v, w: [v, w],
    "a tuple": lambda v, w: (v, w),
    "a dict": lambda v, w: {"a": v, "b": w},
    "a list in a dict": lambda v, w: {"a": [v, [w]]},
    "a set": lambda v, w: {v, w},
    "a frozenset": lambda v, w: frozenset([v, w]),
    "the keys of a dict, a set": lambda v, w: {v: 1, w: 2}.keys(),
    "an array": lambda v, w: objects(v, w),
    "a matrix": lambda v, w: objects(v, w, shape=(1, 2)),
    "an array without axes": lambda v, w: [objects(v, shape=()), objects(w, shape=())],
    "an array with a field": lambda v, w: np.array([(v, 1), (w, 2)], dtype=[("value", object), ("count", int)]),
    "a list of arrays": lambda v, w: [objects(v), objects(w)],
    "an array of modules": lambda v, w: objects(Gain(v), Gain(w)),
    "a dataclass": lambda v, w: Cell(v, w),
    "a dataclass in a dataclass": lambda v, w: Cell(v, Cell(w)),
    "a dataclass with slots": lambda v, w: [Slim(v), Slim(w)],
    "a named tuple": lambda v, w: Pair(v, w),
    "a deque": lambda v, w: deque([v, w]),
    "an ordered dict": lambda v, w: OrderedDict(a=v, b=w),
    "a mapping": lambda v, w: UserDict(a=v, b=w),
    "a mapping proxy": lambda v, w: MappingProxyType({"a": v, "b": w}),
    "modules in a set": lambda v, w: {Gain(v), Gain(w)},
    "a module in a dataclass": lambda v, w: Cell(v, Gain(w)),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_parameters_are_found_wherever_a_model_keeps_them(holder):
    v, w = Value(1.0), Value(2.0)

    class Model(Module):
        def __init__(self):
            self.kept = HOLDERS[holder](v, w)
            self.b = Value(3.0)

    model = Model()
    assert set(model.parameters()) == {v, w, model.b}
    assert model.parameter_count == 3
    if "set" not in holder:
        names = dict(model.named_parameters())
        assert list(names.values()) == model.parameters()
        assert len(names) == 3


def test_parameters_in_slots_are_found():
    class Slotted(Module):
        __slots__ = ("unset", "w")

        def __init__(self):
            self.w = Value(1.0)

    assert Slotted().parameter_count == 1


def test_what_holds_no_parameter_is_passed_by():
    class Model(Module):
        def __init__(self):
            self.w = Value(1.0)
            self.product = self.w * 2  # computed, so no parameter
            self.rest = ["text", b"bytes", range(3), np.eye(2), 1.5, None, print, Cell, np.float64, object()]

    model = Model()
    assert model.named_parameters() == [("w", model.w)]
    assert model.parameters() == [model.w]


def test_dataclasses_that_hold_each_other_are_looked_into_once():
    cell = Cell(Value(1.0))
    cell.inner = Cell(Value(2.0), cell)
    model = Gain(cell)
    assert [name for name, _ in model.named_parameters()] == ["factor.w", "factor.inner.w"]
    assert model.parameter_count == 2


def test_an_optimizer_and_a_file_have_what_is_in_arrays_and_dataclasses(tmp_path):
    class Model(Module):
        def __init__(self, start):
            self.rows = objects(*[Value(start + i) for i in range(4)], shape=(2, 2))
            self.cell = Cell(Value(start + 4))

        def __call__(self, x):
            return (self.rows @ x).sum() + self.cell.w

    model, other = Model(1.0), Model(7.0)
    assert [name for name, _ in model.named_parameters()] == ["row0.0", "row0.1", "row1.0", "row1.1", "cell.w"]
    optimizer = mg.optim.SGD(model.parameters(), lr=0.5)
    model([1.0, 2.0]).backward()
    optimizer.step()
    assert [p.data for p in model.parameters()] == [0.5, 1.0, 2.5, 3.0, 4.5]
    mg.save(model, tmp_path / "model.json")
    mg.load(tmp_path / "model.json", into=other)
    assert [p.data for p in other.parameters()] == [0.5, 1.0, 2.5, 3.0, 4.5]


# ---- two parameters of one name


def values(*numbers):
    return [Value(number) for number in numbers]


@pytest.mark.parametrize(
    "parts",
    [
        lambda: {"w": values(1.0, 2.0), "w0": Value(3.0)},
        lambda: {"w0": Value(3.0), "w": values(1.0, 2.0)},
        lambda: {"d": {0: Value(1.0), "0": Value(2.0)}, "d0": Value(3.0)},
        lambda: {"a": {"b": Value(1.0)}, "a.b": Value(2.0)},
        lambda: {"w": values(1.0), "ws": values(2.0)},
        lambda: {"w": {Value(1.0), Value(2.0)}},
        lambda: {"cells": {Gain(Value(1.0)), Gain(Value(2.0))}},
        lambda: {"layers": [Gain(Value(1.0))], "layer0": Gain(Value(2.0))},
    ],
)
def test_two_parameters_of_one_name_are_an_error_before_anything_is_lost(parts, tmp_path):
    class Model(Module):
        def __init__(self):
            vars(self).update(parts())

    model = Model()
    assert model.parameter_count >= 2  # found all the same
    path, whole = tmp_path / "model.json", tmp_path / "whole.json"
    path.write_text("precious")
    mg.save(Gain(Value(1.0)), whole)
    for call in (model.named_parameters, lambda: mg.save(model, path), lambda: mg.load(whole, into=model)):
        with pytest.raises(ValueError, match=r"Two parameters of Model are called '.*'.*rename an attribute"):
            call()
    assert path.read_text() == "precious"


def test_one_parameter_in_two_places_is_no_collision():
    w = Value(1.0)
    model = Gain({"a": w, "b": [w]})
    assert model.named_parameters() == [("factor.a", w)]


# ---- copies


def forward(x):
    return x / (1 + abs(x))


def slopes(x, out):
    return (1 / (1 + mg.abs(x)) ** 2,)


def total(xs):
    return float(sum(xs))


def ones(xs, out):
    return (1.0,) * len(xs)


SOFTSIGN = Operation("softsign", forward, slopes, awkward=[0.0])
TOTAL = FusedOperation("total", total, ones, vectors=1)


@pytest.mark.parametrize("operation", [SOFTSIGN, TOTAL])
def test_an_operation_of_ones_own_copies_as_a_function_does(operation):
    assert copy.copy(operation) is operation
    assert copy.deepcopy([operation])[0] is operation
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(operation, protocol))
        given = [3.0] if operation is SOFTSIGN else [[1.0, 2.0]]
        assert (type(twin), twin.symbol, twin(*given)) == (type(operation), operation.symbol, operation(*given))
    assert pickle.loads(pickle.dumps(mg.tanh)) is mg.tanh


@pytest.mark.parametrize("make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_model_with_such_an_operation_copies_with_its_numbers(make):
    model = mg.MLP(2, [3, 1], activation=SOFTSIGN, seed=0)
    twin = make(model)
    assert [p.data for p in twin.parameters()] == [p.data for p in model.parameters()]
    assert set(twin.parameters()).isdisjoint(model.parameters())
    assert twin([0.5, -1.0]).data == model([0.5, -1.0]).data
    twin([0.5, -1.0]).backward()
    assert any(p.grad for p in twin.parameters())


def test_an_operation_of_a_lambda_deep_copies_and_says_of_the_function_that_it_does_not_pickle():
    operation = Operation("twice", lambda x: 2 * x, lambda x, out: (2.0,))
    model = mg.MLP(2, [1], output=operation, seed=0)
    assert copy.deepcopy(model)([1.0, 1.0]).data == model([1.0, 1.0]).data
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)
