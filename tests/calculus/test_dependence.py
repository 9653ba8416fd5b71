"""What a derivative depends on: Values from outside, other transforms, `no_grad`, copies; and what comes back for it.

The neighbours that were tried of a copy of an argument (no gradient may be lost in silence): copy.copy, copy.deepcopy,
dataclasses.asdict, astuple and replace, namedtuple._replace, a list times n, np.array, np.copy, np.stack, copies inside
a hessian and inside a compiled function; refused: pickle, a copy of a node, astype(float), asarray(dtype=float).
"""

import copy
import dataclasses
import itertools
import math
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import microgrannd as mg
from microgrannd import Value

TRANSFORMS = [mg.grad, mg.value_and_grad, mg.jacobian, mg.hessian, mg.hvp, mg.jvp, mg.vjp]


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Spring:
    k: Any
    x: Any


@dataclasses.dataclass(frozen=True)
class Nested:
    spring: Spring
    rest: Any = None


def numbers_of(nest):
    """The nest with floats in place of Values."""
    return mg.ground.nests.mapped(lambda x: x.data if isinstance(x, Value) else x, nest)


def within_no_grad(f):
    with mg.no_grad():
        return f()


# ---- Values from outside


# w and x, a loss of them with a derivative at a plain number in it, and its derivative by w, all by hand.
CLOSING_OVER = {
    "grad": (lambda w, x: w * w * mg.grad(lambda t: w * t**3)(x), lambda w, x: 9 * w**2 * x**2),
    "value_and_grad": (lambda w, x: mg.value_and_grad(lambda t: w * t**2)(x)[0] * w, lambda w, x: 2 * w * x**2),
    "its gradient": (lambda w, x: mg.value_and_grad(lambda t: w * w * t**2)(x)[1], lambda w, x: 4 * w * x),
    "jacobian": (lambda w, x: mg.jacobian(lambda t: [w * t, w * w * t])(x)[1], lambda w, x: 2 * w),
    "hessian": (lambda w, x: mg.hessian(lambda t: mg.sin(w) * t**3)(x), lambda w, x: 6 * x * math.cos(w)),
    "hvp": (lambda w, x: mg.hvp(lambda t: w * w * t**3)(x, 2.0), lambda w, x: 24 * w * x),
    "jvp": (lambda w, x: mg.jvp(lambda t: w * w * t**2)(x, 2.0), lambda w, x: 8 * w * x),
    "vjp": (lambda w, x: mg.vjp(lambda t: [w * w * t**2, t])(x, [3.0, 1.0]), lambda w, x: 12 * w * x),
    "a vector of weights": (lambda w, x: mg.vjp(lambda t: [t**2, t])(x, [w * w, 1.0]), lambda w, x: 4 * w * x),
    "three deep": (
        lambda w, x: mg.grad(lambda t: mg.grad(lambda u: mg.grad(lambda v: w * w * t * u * v)(x))(x))(x),
        lambda w, x: 2 * w,
    ),
    "a method": (lambda w, x: mg.grad(Linear(w).predict)(x) ** 2, lambda w, x: 2 * w),
}


class Linear:
    def __init__(self, weight):
        self.weight = weight

    def predict(self, x):
        return self.weight * x + 1


@pytest.mark.parametrize(("loss", "by_hand"), CLOSING_OVER.values(), ids=CLOSING_OVER)
def test_a_derivative_at_a_number_keeps_what_it_depends_on(loss, by_hand):
    w, x = Value(1.3, "w"), 0.7
    loss(w, x).backward()
    assert w.grad == pytest.approx(by_hand(1.3, 0.7), rel=1e-13)
    program = mg.compile(lambda x: loss(w, x), backend="python")
    w.grad = 0.0
    program.backward([x])
    assert w.grad == pytest.approx(by_hand(1.3, 0.7), rel=1e-13)
    assert mg.grad(lambda w: loss(w, x))(1.3) == pytest.approx(by_hand(1.3, 0.7), rel=1e-13)
    assert mg.check_gradients(lambda w: loss(w, x), 1.3).ok
    found = within_no_grad(lambda: loss(w, x))
    assert (found.data if isinstance(found, Value) else found) == pytest.approx(program(x), rel=1e-13)


def test_physics_informed_training_is_the_same_eager_and_compiled():
    def trained(compiled):
        u = mg.nn.MLP(1, [4, 1], activation="tanh", seed=1)
        optimizer = mg.optim.Adam(u.parameters(), lr=0.02)
        mg.fit(
            lambda x: (mg.grad(lambda t: u([t]))(x) + u([x])) ** 2 + (u([0.0]) - 1) ** 2,
            ([i / 6 for i in range(7)],), optimizer, epochs=60, compiled=compiled,
        )  # fmt: skip
        return [parameter.data for parameter in u.parameters()]

    assert trained(False) == pytest.approx(trained(True), abs=1e-9)


def test_the_rule_in_numbers():
    w = Value(3.0, "w")
    assert isinstance(mg.grad(lambda x: w * x)(2.0), Value)
    assert type(mg.grad(lambda x: w + x * x)(2.0)) is float  # nothing in the result depends on w
    assert all(isinstance(part, Value) for part in mg.value_and_grad(lambda x: w + x * x)(2.0))
    assert isinstance(mg.grad(lambda x: Value(3.0) * x)(2.0), Value)  # the function might keep it
    assert type(mg.grad(lambda x: (x * x).detach() * x)(2.0)) is float
    assert type(mg.grad(lambda x: within_no_grad(lambda: w * w) * x)(2.0)) is float
    kept = w.detach()
    assert isinstance(mg.grad(lambda x: kept * x)(2.0), Value)


def test_a_leaf_that_was_set_after_a_node_was_computed_from_it_is_noticed():
    log_scale = Value(0.0, "log_scale")
    scale = mg.exp(log_scale)
    assert mg.grad(lambda x: scale * x * x)(3.0) == 6.0
    log_scale.data = 1.0
    for transform in (mg.grad, mg.value_and_grad, mg.jacobian, mg.hessian):
        with pytest.raises(mg.GradientError, match=r"computed from .*log_scale.* set since"):
            transform(lambda x: scale * x * x)(3.0)
    y = scale * 2
    y.backward()  # at the number it was computed from, as ever
    assert log_scale.grad == 2.0
    with mg.detect_anomaly(), pytest.raises(mg.AnomalyError, match="set since"):
        y.backward()


# ---- nesting


DERIVATIVES = {
    "grad": lambda f: mg.grad(f),
    "value": lambda f: lambda x: mg.value_and_grad(f)(x)[0],
    "value_and_grad": lambda f: lambda x: mg.value_and_grad(f)(x)[1],
    "jacobian": lambda f: lambda x: mg.jacobian(lambda t: [f(t), t])(x)[0],
    "hessian": lambda f: mg.hessian(f),
    "hvp": lambda f: lambda x: mg.hvp(f)(x, 2.0) / 2,
    "jvp": lambda f: lambda x: mg.jvp(f)(x, 2.0) / 2,
    "vjp": lambda f: lambda x: mg.vjp(lambda t: [f(t), t])(x, [1.0, 0.0]),
}
ORDER = {"value": 0, "hessian": 2, "hvp": 2}


@pytest.mark.parametrize("inner", DERIVATIVES)
@pytest.mark.parametrize("outer", DERIVATIVES)
def test_transforms_nest_in_all_pairs_and_give_numbers(outer, inner):
    """exp(a x) by y at a number, then by x: the order of each is a power of a."""
    a, x = 0.8, 0.6
    order = ORDER.get(outer, 1)

    def f(x):
        return DERIVATIVES[inner](lambda y: x**3 * mg.exp(a * y))(0.5)

    by_y = a ** ORDER.get(inner, 1) * math.exp(a * 0.5)
    expected = by_y * (x**3, 3 * x * x, 6 * x)[order]
    found = DERIVATIVES[outer](f)
    assert type(found(x)) is float
    assert found(x) == pytest.approx(expected, rel=1e-12)
    assert type(within_no_grad(lambda: found(x))) is float
    assert within_no_grad(lambda: found(x)) == pytest.approx(expected, rel=1e-12)
    assert mg.compile(found, backend="python").trace(1.0)(x) == pytest.approx(expected, rel=1e-12)
    inside = mg.compile(lambda x: within_no_grad(lambda: found(x)) * x, backend="python").trace(1.0)
    value, [slope] = inside.value_and_gradients(x)
    assert (value, slope) == pytest.approx((expected * x, expected), rel=1e-12)


def test_a_finished_transform_leaves_no_trace():
    kept = []
    assert mg.grad(lambda x: kept.append(x) or x * x)(3.0) == 6.0
    assert mg.grad(lambda x: x * kept[0])(5.0) == 3.0
    assert type(mg.grad(lambda x: x * kept[0])(5.0)) is float
    with pytest.raises(ZeroDivisionError):
        mg.grad(lambda x: kept.append(x) or 1 / 0)(4.0)
    assert type(mg.grad(lambda x: x * kept[-1])(5.0)) is float
    w = Value(3.0, "w")
    slope = mg.grad(lambda t: w * t**3)(2.0)
    program = mg.compile(lambda x: mg.grad(lambda t: w * t**3)(2.0) * x, backend="python")
    assert program.trace(1.0)(1.0) == slope.data == 36.0
    assert program.parameters == [w]


def test_within_no_grad_what_is_outside_is_a_constant():
    w = Value(3.0)
    for transform, vector in ((mg.grad, ()), (mg.hessian, ()), (mg.hvp, (1.0,)), (mg.vjp, (1.0,)), (mg.jvp, (1.0,))):
        found = within_no_grad(lambda t=transform, v=vector: t(lambda x: w * x**3)(2.5, *v))
        assert type(found) is float
        assert found == (45.0 if transform in (mg.hessian, mg.hvp) else 56.25)  # 6 w x and 3 w x²
        assert type(within_no_grad(lambda t=transform, v=vector: t(lambda x: w * x**3)(w, *v))) is float
    assert mg.grad(lambda x: x * within_no_grad(lambda: mg.grad(lambda y: x * y * y)(3.0)))(2.0) == 12.0


# ---- copies


COPIES = {
    "copy": lambda p: copy.copy(p["x"]) * copy.copy(p["v"]),
    "deepcopy": lambda p: copy.deepcopy(p)["x"] * copy.deepcopy(p)["v"],
    "asdict": lambda p: (lambda d: d["k"] * d["x"])(dataclasses.asdict(Spring(p["x"], p["v"]))),
    "astuple": lambda p: math.prod(dataclasses.astuple(Spring(p["x"], p["v"]))),
    "replace": lambda p: dataclasses.replace(Spring(p["x"], 1.0), x=p["v"]).x * p["x"],
    "_replace": lambda p: Pair(p["x"], 1.0)._replace(b=p["v"]).b * p["x"],
    "list times n": lambda p: mg.dot([p["x"]] * 2, [p["v"]] * 2) / 2,
    "np.array": lambda p: np.array(p["x"]) * np.array([p["v"]])[0],
    "np.copy": lambda p: (np.copy([p["x"], 1.0]) * np.copy(p["v"]))[0],
    "np.stack": lambda p: np.stack([np.array(p["x"]), np.array(p["v"])]).prod(),
}


@pytest.mark.parametrize("energy", COPIES.values(), ids=COPIES)
def test_a_copy_of_an_argument_is_the_argument(energy):
    point = {"x": 2.0, "v": 3.0}
    assert mg.grad(energy)(point) == {"x": 3.0, "v": 2.0}
    assert mg.hessian(energy)(point) == {"x": {"x": 0.0, "v": 1.0}, "v": {"x": 1.0, "v": 0.0}}
    assert mg.jvp(energy)(point, {"v": 1.0, "x": 0.0}) == 2.0
    program = mg.compile(energy, backend="python").trace(point)
    assert program.value_and_gradients({"x": 5.0, "v": 4.0}) == (20.0, ({"x": 4.0, "v": 5.0},))


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: pickle.loads(pickle.dumps(x)) * x,
        lambda x: copy.copy(2 * x) * x,
        lambda x: copy.deepcopy([2 * x])[0] * x,
        lambda x: np.array([x]).astype(float)[0] * x,
        lambda x: np.asarray([x], dtype=float)[0] * x,
        lambda x: float(x) * x,
    ],
)
def test_a_copy_that_would_cut_the_gradient_is_refused(cut):
    with pytest.raises(TypeError):
        mg.grad(cut)(2.0)
    with pytest.raises(TypeError):
        mg.compile(cut, backend="python")(2.0)


# ---- structure


def test_vectors_go_by_key():
    def f(p):
        return p["a"] ** 2 * p["b"]

    point = {"a": 3.0, "b": 5.0}
    assert mg.jvp(f)(point, {"b": 0.0, "a": 1.0}) == 30.0
    assert mg.hvp(f)(point, {"b": 0.0, "a": 1.0}) == {"a": 10.0, "b": 6.0}
    assert mg.vjp(lambda x: {"u": x[0] * x[1], "v": x[0]})([2.0, 5.0], {"v": 10.0, "u": 1.0}) == [15.0, 2.0]
    nested = {"p": {"a": 3.0, "b": [5.0, 1.0]}}
    assert (
        mg.jvp(lambda q: f({"a": q["p"]["a"], "b": q["p"]["b"][0]}))(nested, {"p": {"b": [1.0, 0.0], "a": 0.0}}) == 9.0
    )
    np.testing.assert_array_equal(mg.hvp(lambda x: (x**3).sum())(np.array([1.0, 2.0]), [1.0, 0.0]), [6.0, 0.0])


@pytest.mark.parametrize(
    ("point", "vector"),
    [
        ({"a": 1.0}, {"b": 1.0}),
        ({"a": 1.0, "b": 2.0}, [1.0, 2.0]),
        ([[1.0], 2.0], [1.0, 2.0]),
        (Spring(1.0, 2.0), Pair(1.0, 2.0)),
        (1.0, [1.0]),
    ],
)
def test_a_vector_of_another_structure_is_named(point, vector):
    with pytest.raises(ValueError, match="vector with the structure of the argument of"):
        mg.jvp(lambda p: 1.0)(point, vector)


def test_dataclasses_named_tuples_and_none_are_structure():
    def f(p):
        return p.spring.k * p.spring.x**2 / 2

    point = Nested(Spring(4.0, 3.0))
    assert mg.grad(f)(point) == Nested(Spring(4.5, 12.0))
    assert mg.value_and_grad(f)(point) == (18.0, Nested(Spring(4.5, 12.0)))
    assert mg.hvp(f)(point, Nested(Spring(0.0, 1.0))) == Nested(Spring(3.0, 4.0))
    assert mg.jvp(f)(point, Nested(Spring(0.0, 1.0))) == 12.0
    assert mg.hessian(f)(point).spring.k == Nested(Spring(0.0, 3.0))
    assert mg.grad(lambda p: p.a * p.b[0])(Pair(2.0, [3.0, None])) == Pair(3.0, [2.0, None])
    assert mg.grad(lambda x, y: x * x, (0, 1))(2.0, None) == (4.0, None)
    assert mg.jacobian(lambda x: [x * x, None, {"a": 3 * x}])(2.0) == [4.0, None, {"a": 3.0}]
    assert [row.name for row in mg.check_gradients(f, point).rows] == ["p.spring.k", "p.spring.x"]
    with pytest.raises(TypeError, match=r"must return a number or a Value .* None"):
        mg.jacobian(lambda x: None)(2.0)


def test_a_dataclass_is_made_of_gradients_without_its_checks():
    @dataclasses.dataclass
    class Mass:
        kg: Any
        name: Any = None

        def __post_init__(self):
            assert self.kg > 0

    assert mg.grad(lambda m: -m.kg)(Mass(2.0)).kg == -1.0


@pytest.mark.parametrize("backend", ["python", "native", "numpy"])
def test_programs_and_training_take_dataclasses_and_none(backend):
    program = mg.compile(lambda p: Pair(p.spring.k * p.spring.x, None), backend=backend)
    assert program(Nested(Spring(2.0, 3.0))) == Pair(6.0, None)
    assert program(Nested(Spring(2.0, 4.0))) == Pair(8.0, None)
    product = mg.compile(lambda p: p.spring.k * p.spring.x, backend=backend)
    assert product.value_and_gradients(Nested(Spring(2.0, 3.0))) == (6.0, (Nested(Spring(3.0, 2.0)),))
    value, [gradient] = product.value_and_gradients(Nested(Spring(np.array([2.0, 4.0]), np.array([3.0, 5.0]))))
    assert (value.tolist(), gradient.spring.k.tolist(), gradient.rest) == ([6.0, 20.0], [3.0, 5.0], None)
    with pytest.raises(mg.TracingError, match=r"got None \(NoneType\)\. Is there a `return`"):
        mg.compile(lambda x: None, backend=backend)(2.0)
    found = []
    for compiled in (False, True):
        w = Value(0.0, "w")
        samples = [Nested(Spring(float(i), 2.0 * i)) for i in range(1, 5)]
        mg.fit(lambda p, w=w: (w * p.spring.k - p.spring.x) ** 2, (samples,), mg.optim.SGD([w], lr=0.05), epochs=30,
               compiled=compiled)  # fmt: skip
        found.append(w.data)
    assert found == pytest.approx([2.0, 2.0], abs=1e-9)


# ---- has_aux


def test_what_is_returned_beside_the_result_comes_back():
    def f(x):
        return x**3, {"twice": 2 * x, "name": "cube", "none": None}

    aux = {"twice": 4.0, "name": "cube", "none": None}
    assert mg.grad(f, has_aux=True)(2.0) == (12.0, aux)
    assert mg.value_and_grad(f, has_aux=True)(2.0) == ((8.0, aux), 12.0)
    assert mg.jacobian(f, has_aux=True)(2.0) == (12.0, aux)
    assert mg.hessian(f, has_aux=True)(2.0) == (12.0, aux)
    assert mg.hvp(f, has_aux=True)(2.0, 3.0) == (36.0, aux)
    assert mg.jvp(f, has_aux=True)(2.0, 3.0) == (36.0, aux)
    assert mg.vjp(f, has_aux=True)(2.0, 3.0) == (36.0, aux)
    assert type(mg.hessian(f, has_aux=True)(2.0)[1]["twice"]) is float
    assert mg.grad(mg.grad(lambda x: (x**3, x), has_aux=True), has_aux=True)(2.0) == (12.0, 2.0)
    w = Value(5.0)
    assert isinstance(mg.grad(lambda x: (x * x, w * x), has_aux=True)(2.0)[1], Value)
    assert type(within_no_grad(lambda: mg.grad(lambda x: (x * x, w * x), has_aux=True)(2.0)[1])) is float
    with pytest.raises(TypeError, match=r"has_aux=True, <lambda> returns \(result, aux\)"):
        mg.grad(lambda x: x * x, has_aux=True)(2.0)


def test_has_aux_is_that_of_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    for name in ("grad", "value_and_grad", "jacobian", "hessian"):
        ours = getattr(mg, name)(lambda x: (x**3, [x, x * x]), has_aux=True)(1.5)
        theirs = getattr(jax, name)(lambda x: (x**3, [x, x * x]), has_aux=True)(1.5)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        assert jax.tree.leaves(ours) == pytest.approx([float(x) for x in jax.tree.leaves(theirs)])


# ---- misuse


@pytest.mark.parametrize("transform", [*TRANSFORMS, mg.check_gradients])
@pytest.mark.parametrize("thing", [Value(2.0) * 3, Value(2.0), 3.0, None, "f"])
def test_a_transform_takes_a_function(transform, thing):
    with pytest.raises(TypeError, match=f"mg.{transform.__name__} takes a function, got"):
        transform(thing)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("argnums", [3.0, "x", True, None, Value(2.0), (0, 1.0), np.array([1.0])])
def test_positions_are_ints(transform, argnums):
    with pytest.raises(TypeError, match="argnums is the position of an argument"):
        transform(lambda x: x, argnums)


def test_positions_that_meet_and_vectors_that_are_missing():
    with pytest.raises(ValueError, match="has an argument twice"):
        mg.grad(lambda x: x, (0, -1))(2.0)
    assert mg.grad(lambda x: x * x, ())(2.0) == ()
    assert mg.grad(lambda x, y: x * y, [0, np.int64(1)])(2.0, 3.0) == (3.0, 2.0)
    for transform in (mg.jvp, mg.vjp, mg.hvp):
        with pytest.raises(TypeError, match="and then a vector"):
            transform(lambda x: x)(2.0)
    with pytest.raises(TypeError, match=r"xs is a list of Values, such as \[x\]"):
        mg.gradients(Value(2.0) * 3, Value(2.0))


def test_what_was_computed_within_no_grad_has_no_gradients():
    w = Value(3.0, "w")
    for made in (lambda: w * w, lambda: -w, lambda: mg.dot([w, w], [w, w]), lambda: mg.hypot(w, 1.0, w)):
        y = within_no_grad(made)
        for ask in (y.backward, lambda y=y: list(y.backward_steps()), lambda y=y: mg.gradients(y, [w])):
            with pytest.raises(mg.GradientError, match="within no_grad, where nothing is remembered"):
                ask()
        assert (y.parents, y.inputs, y.grad) == ((), (), 0.0)
        assert (y * w).parents == (y, w)  # a leaf as any other
        copied = pickle.loads(pickle.dumps(y))
        copied.backward()
        assert copied.grad == 1.0
    quiet = mg.no_grad()(lambda x: x * x)
    for ask in (mg.grad(quiet), mg.jacobian(quiet), mg.value_and_grad(quiet), mg.hessian(quiet)):
        with pytest.raises(mg.GradientError, match="within no_grad"):
            ask(2.0)
    with pytest.raises(mg.GradientError, match="within no_grad"):
        mg.jvp(quiet)(2.0, 1.0)
    constant = within_no_grad(lambda: w * w)
    assert numbers_of(mg.jacobian(lambda x: [x * x, constant])(2.0)) == [4.0, 0.0]
    w.backward()
    w.detach().backward()  # leaves that nobody computed
    assert w.grad == 1.0


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: mg.grad(lambda z: z)(1 + 2j),
        lambda: mg.grad(lambda z: z.sum())(np.array([1 + 2j])),
        lambda: mg.grad(lambda x: 1j)(2.0),
        lambda: mg.grad(lambda x: x * 1j)(2.0),
        lambda: 1j + Value(2.0),
        lambda: Value(2.0) ** np.complex128(1j),
        lambda: np.array([1j]) * Value(2.0),
        lambda: mg.exp(1j),
        lambda: Value(1j),
        lambda: mg.compile(lambda z: z * 2, backend="python")(1j),
        lambda: mg.compile(lambda x: x * 1j, backend="python")(1.0),
    ],
)
def test_complex_numbers_are_told_to_go_in_two_parts(attempt):
    with pytest.raises(TypeError, match=r"two parts|\.real and \.imag parts|real and its imaginary part"):
        attempt()


# ---- no_grad: generators, coroutines, methods; blocks that close in any order are in test_modes


def test_no_grad_as_a_decorator_of_whatever_runs_code():
    x = Value(3.0)

    class Model:
        @mg.no_grad()
        def method(self):
            return x * 2

        @staticmethod
        @mg.no_grad()
        def steps():
            received = yield x * 2
            yield received * x

    assert not Model().method().parents
    steps = Model.steps()
    outside = x * 1
    assert not next(steps).parents
    assert (x * x).parents  # between the steps the block is left
    assert not steps.send(outside).parents
    with pytest.raises(StopIteration):
        next(steps)
    for order in itertools.permutations(range(3)):
        generators = [quiet(x) for _ in range(3)]
        for generator in generators:
            next(generator)
        for i in order:
            generators[i].close()
        assert (x * x).parents


def quiet(x):
    with mg.no_grad():
        while True:
            yield x * 2
