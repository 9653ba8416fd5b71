"""Optimizers: closed forms, PyTorch's numbers, and what they refuse."""

import math
import sys

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.engine import Constant
from microgrannd.nn import MLP, Layer
from microgrannd.optim import LBFGS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from tests.oracles import agrees, example

TOLERANCE = 1e-12


def follow(optimizer, parameter, gradients):
    """The parameter after each step, its gradient set from outside."""
    path = []
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
        path.append(parameter.data)
    return path


# ---- closed forms


def test_gradient_descent_on_a_parabola_shrinks_by_a_constant_factor():
    p = Value(3.0)
    optimizer = SGD([p], lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        (p * p).backward()
        optimizer.step()
    assert agrees(p.data, 3.0 * 0.8**10, TOLERANCE)


def test_momentum_under_a_constant_gradient_is_a_geometric_sum():
    p = Value(0.0)
    velocities = [sum(0.9**i for i in range(n)) for n in range(1, 6)]
    assert agrees(
        follow(SGD([p], lr=0.1, momentum=0.9), p, [1.0] * 5),
        [-0.1 * sum(velocities[:n]) for n in range(1, 6)],
        TOLERANCE,
    )


def test_nesterovs_step_looks_one_momentum_ahead():
    p = Value(0.0)
    # v = 1, 1.5; steps of g + 0.5 v = 1.5, 1.75
    assert follow(SGD([p], lr=1.0, momentum=0.5, nesterov=True), p, [1.0, 1.0]) == [-1.5, -3.25]


def test_dampening_spares_the_first_velocity():
    p = Value(0.0)
    # v = 1, then 0.5 * 1 + 0.75 * 1 = 1.25
    assert follow(SGD([p], lr=1.0, momentum=0.5, dampening=0.25), p, [1.0, 1.0]) == [-1.0, -2.25]


def test_weight_decay_alone_shrinks_the_parameter():
    p = Value(2.0)
    assert agrees(follow(SGD([p], lr=0.5, weight_decay=0.1), p, [0.0] * 4)[-1], 2.0 * 0.95**4, TOLERANCE)


def test_adam_under_a_constant_gradient_goes_the_learning_rate_each_step():
    p = Value(1.0)
    # m / √v is the sign of g, for any g: freed of their start, m = g and v = g²
    assert agrees(follow(Adam([p], lr=0.01, eps=0.0), p, [7.0] * 5), [0.99, 0.98, 0.97, 0.96, 0.95], TOLERANCE)


def test_adams_second_step_written_out():
    p = Value(0.0)
    m, v = (0.9 * 0.1 * 1 + 0.1 * -3) / (1 - 0.9**2), (0.999 * 0.001 * 1 + 0.001 * 9) / (1 - 0.999**2)
    first, second = follow(Adam([p], lr=0.1, eps=1e-3), p, [1.0, -3.0])
    assert agrees(first, -0.1 / (1 + 1e-3), TOLERANCE)
    assert agrees(second, first - 0.1 * m / (math.sqrt(v) + 1e-3), TOLERANCE)


def test_adamw_decays_the_parameter_apart_from_the_gradient():
    p = Value(2.0)
    assert agrees(follow(AdamW([p], lr=0.5, weight_decay=0.1), p, [0.0] * 3)[-1], 2.0 * 0.95**3, TOLERANCE)
    q = Value(2.0)  # for Adam the decay is a gradient like any other, and every gradient makes a step of lr
    assert agrees(follow(Adam([q], lr=0.5, weight_decay=0.1, eps=0.0), q, [0.0])[-1], 1.5, TOLERANCE)


def test_a_step_by_the_mean_of_two_passes_k11():
    entry = example("K-11")
    numbers, wanted = entry["inputs"], entry["outputs"]
    layer = Layer(3, 2, activation="linear")
    for j, neuron in enumerate(layer.neurons):
        for i, w in enumerate(neuron.w):
            w.data = numbers["W"][i][j]
        neuron.b.data = numbers["b"][j]
    optimizer = SGD(layer.parameters(), lr=numbers["eta"] / wanted["passes"])
    for given in (numbers["pass1"], numbers["pass2"]):
        for output, error in zip(layer(given["x"]), given["err"], strict=True):
            output.backward(error)

    def columns(of):
        return [[of(neuron.w[i]) for neuron in layer.neurons] for i in range(3)]

    assert agrees(columns(lambda w: w.grad), wanted["delta_w"], entry["tol"])
    assert agrees([neuron.b.grad for neuron in layer.neurons], wanted["delta_b"], entry["tol"])
    optimizer.step()
    optimizer.zero_grad()
    assert agrees(columns(lambda w: w.data), wanted["W_after"], entry["tol"])
    assert agrees([neuron.b.data for neuron in layer.neurons], wanted["b_after"], entry["tol"])
    assert agrees(columns(lambda w: w.grad), wanted["after_step"]["delta_w"], entry["tol"])


# ---- PyTorch


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {}),
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
        ("Adam", {}),
        ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
        ("AdamW", {}),
        ("AdamW", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
        ("RMSprop", {}),
        ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
        ("RMSprop", {"lr": 0.05, "momentum": 0.9}),
        ("RMSprop", {"centered": True}),
        ("RMSprop", {"lr": 0.05, "alpha": 0.8, "momentum": 0.5, "centered": True, "weight_decay": 0.01}),
        ("Adagrad", {}),
        ("Adagrad", {"lr": 0.5, "lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3}),
        ("Adagrad", {"lr": 0.5, "initial_accumulator_value": 0.25}),
    ],
)
def test_forty_steps_equal_torchs(name, options):
    torch = pytest.importorskip("torch")
    start = [0.7, -1.3, 2.0]
    ours = [Value(number) for number in start]
    theirs = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    mine = getattr(mg.optim, name)(ours, **options)
    peer = getattr(torch.optim, name)([theirs], **options)
    for k in range(40):
        mine.lr = peer.param_groups[0]["lr"] = peer.defaults["lr"] / (1 + k % 3)
        for optimizer, (x, y, z) in ((mine, ours), (peer, theirs)):
            optimizer.zero_grad()
            (0.1 * (x * y - z) ** 2 + 0.2 * (x - k % 5) ** 2 + (x - y).tanh()).backward()
            optimizer.step()
        assert agrees([p.data for p in ours], theirs.tolist(), TOLERANCE)


def test_the_defaults_are_torchs():
    torch = pytest.importorskip("torch")
    for ours in (SGD, Adam, AdamW, RMSprop, Adagrad):
        mine = ours([Value(1.0)])
        theirs = getattr(torch.optim, ours.__name__)([torch.zeros(1, requires_grad=True)]).defaults
        names = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "betas", "eps", "alpha", "centered")
        for name in (*names, "lr_decay", "initial_accumulator_value"):
            assert getattr(mine, name, None) == theirs.get(name), (ours, name)


# ---- what they refuse


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, RMSprop, Adagrad])
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ([], ValueError, "at least one parameter"),
        ([Value(1.0) * 2], ValueError, "is computed by 'mul'"),
        ([1.0], TypeError, "Parameters are Values, got 1.0"),
        ([Value(1.0), None], TypeError, "Parameters are Values, got None"),
        ([Constant(1.0)], TypeError, "Parameters are Values, got Constant"),
        (Value(1.0), TypeError, r"such as model.parameters\(\)"),
        (MLP(1, [1]), TypeError, r"such as model.parameters\(\)"),
    ],
)
def test_parameters_are_leaves_and_there_is_one_at_least(kind, parameters, error, message):
    with pytest.raises(error, match=message):
        kind(parameters, lr=0.1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: SGD(p, lr=-0.1), ValueError, "learning rate lr is at least 0, got -0.1"),
        (lambda p: Adam(p, lr=math.nan), ValueError, "learning rate lr is at least 0, got nan"),
        (lambda p: SGD(p, lr="0.1"), TypeError, "learning rate lr is a number, got '0.1'"),
        (lambda p: SGD(p, momentum=-1), ValueError, "momentum is at least 0"),
        (lambda p: SGD(p, nesterov=True), ValueError, "needs a momentum"),
        (lambda p: AdamW(p, weight_decay=-1), ValueError, "weight decay is at least 0"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), ValueError, "betas are two numbers from 0 to below 1"),
        (lambda p: Adam(p, betas=(0.9,)), ValueError, "betas are two numbers"),
        (lambda p: Adam(p, eps=-1), ValueError, "eps is at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_errors(make, error, message):
    with pytest.raises(error, match=message):
        make([Value(1.0)])


def test_a_negative_learning_rate_is_refused_later_too():
    optimizer = SGD([Value(1.0)], lr=0.1)
    with pytest.raises(ValueError, match="at least 0"):
        optimizer.lr = -1
    assert optimizer.lr == 0.1


# ---- living with them


def test_a_parameter_given_twice_is_stepped_once():
    p = Value(1.0)
    optimizer = SGD([p, p], lr=0.5)
    assert follow(optimizer, p, [1.0]) == [0.5]


def test_parameters_may_come_from_a_generator():
    model = MLP(2, [1])
    assert SGD((p for _, p in model.named_parameters()), lr=0.1).parameters == model.parameters()


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_state_that_is_loaded_goes_on_as_before(kind):
    options = {"momentum": 0.9} if kind is SGD else {}
    p, q = Value(1.0), Value(1.0)
    first = kind([p], lr=0.1, **options)
    follow(first, p, [1.0, 2.0, -1.0])
    second = kind([q], lr=0.7, **options)
    second.load_state_dict(first.state_dict())
    q.data = p.data
    assert follow(second, q, [3.0, 1.0]) == follow(first, p, [3.0, 1.0])
    with pytest.raises(ValueError, match="for 1 parameters; this optimizer has 2"):
        kind([p, q], **options).load_state_dict(first.state_dict())


def test_an_optimizer_of_ones_own_is_a_step():
    class SignDescent(Optimizer):
        def step(self):
            for p in self.parameters:
                p.data -= self.lr * math.copysign(1.0, p.grad)

    p = Value(1.0)
    assert follow(SignDescent([p], lr=0.25), p, [17.0, -3.0]) == [0.75, 1.0]
    with pytest.raises(NotImplementedError):
        Optimizer([p], lr=0.1).step()


def test_it_shows_what_it_is():
    assert repr(Adam(MLP(2, [2, 1]).parameters(), lr=0.01)) == "Adam(9 parameters, lr=0.01)"


def test_a_setting_that_an_optimizer_does_not_have_cannot_be_set():
    optimizer = SGD([Value(1.0)], lr=0.1)
    with pytest.raises(AttributeError, match=r"SGD has no learning_rate; .* lr, momentum, .*lr is the learning rate"):
        optimizer.learning_rate = 0.5
    with pytest.raises(ValueError, match="momentum is at least 0, got -1"):
        optimizer.momentum = -1
    assert (optimizer.lr, optimizer.momentum) == (0.1, 0.0)


def test_a_step_that_fails_changes_nothing():
    class Choosy(Optimizer):
        memory_names = ("kept",)

        def update(self, settings, gradient, parameter, kept):
            if gradient < 0:
                raise ValueError("no")
            return parameter - settings.lr * gradient, kept + 1

    p, q = Value(1.0), Value(2.0)
    optimizer = Choosy([p, q], lr=0.5)
    p.grad, q.grad = 1.0, -1.0
    with pytest.raises(ValueError, match="no"):
        optimizer.step()
    assert (p.data, q.data, optimizer.steps, optimizer.memory["kept"]) == (1.0, 2.0, 0, [0.0, 0.0])


def test_adam_without_eps_takes_a_parameter_without_a_gradient_as_torch_does():
    used, unused = Value(1.0), Value(1.0)
    optimizer = Adam([used, unused], lr=0.1, eps=0.0)
    used.grad = 2.0
    optimizer.step()
    assert agrees(used.data, 0.9, TOLERANCE)
    assert math.isnan(unused.data)


@pytest.mark.parametrize(("kind", "other"), [(Adam, SGD), (SGD, Adam)])
def test_a_state_of_another_optimizer_is_refused(kind, other):
    p = Value(1.0)
    first = other([p], lr=0.1, **({"momentum": 0.9} if other is SGD else {}))
    follow(first, p, [1.0])
    second = kind([p], lr=0.1, **({"momentum": 0.9} if kind is SGD else {}))
    with pytest.raises(ValueError, match=f"This is no state of {kind.__name__}, which remembers .*: it has"):
        second.load_state_dict(first.state_dict())
    assert second.memory == {}


# ---- settings


ALL = [SGD, Adam, AdamW, RMSprop, Adagrad]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", ["learning_rate", "rate", "LR", "params", "step_size", "beta", "decay"])
def test_no_optimizer_takes_an_attribute_that_it_does_not_have(kind, name):
    optimizer = kind([Value(1.0)], lr=0.1)
    with pytest.raises(AttributeError, match=f"{kind.__name__} has no {name}; what can be set are .*lr"):
        setattr(optimizer, name, 0.5)
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("kind", "name", "value", "error"),
    [
        *[(kind, "lr", x, ValueError) for kind in ALL for x in (-1, math.nan)],
        *[(kind, name, -1, ValueError) for kind in ALL for name in ("weight_decay",)],
        (Adam, "betas", (0.9, 1.0), ValueError),
        (Adam, "betas", 0.9, ValueError),
        (AdamW, "betas", ("a", "b"), ValueError),
        (Adam, "eps", "0", TypeError),
        (RMSprop, "alpha", -0.1, ValueError),
        (RMSprop, "momentum", -0.1, ValueError),
        (Adagrad, "lr_decay", -0.1, ValueError),
        (Adagrad, "initial_accumulator_value", -0.1, ValueError),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_made_with_set_later_and_of_a_group(kind, name, value, error):
    optimizer = kind([Value(1.0)])
    before = getattr(optimizer, name)
    for call in (
        lambda: kind([Value(1.0)], **{name: value}),
        lambda: setattr(optimizer, name, value),
        lambda: optimizer.add_parameters([Value(1.0)], **{name: value}),
        lambda: kind([{"parameters": [Value(1.0)], name: value}]),
    ):
        with pytest.raises(error):
            call()
    assert getattr(optimizer, name) == before
    assert len(optimizer.parameters) == 1


@pytest.mark.parametrize("kind", [Adam, AdamW, RMSprop, Adagrad])
def test_without_eps_a_parameter_without_a_gradient_is_nan_as_torchs(kind):
    torch = pytest.importorskip("torch")
    used, unused = Value(1.0), Value(1.0)
    theirs = torch.ones(2, dtype=torch.float64, requires_grad=True)
    ours, peer = kind([used, unused], lr=0.1, eps=0.0), getattr(torch.optim, kind.__name__)([theirs], lr=0.1, eps=0.0)
    for _ in range(2):
        used.grad = 2.0
        theirs.grad = torch.tensor([2.0, 0.0], dtype=torch.float64)
        ours.step()
        peer.step()
    assert agrees([used.data, unused.data], theirs.tolist(), TOLERANCE)
    assert math.isnan(unused.data)


# ---- states that do not fit


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("other", ALL)
@pytest.mark.parametrize("steps", [0, 1])
def test_a_state_is_loaded_by_its_own_kind_alone(kind, other, steps):
    p = Value(1.0)
    first, second = other([p], lr=0.1), kind([p], lr=0.2)
    follow(first, p, [1.0] * steps)
    state = first.state_dict()
    if kind is other:
        second.load_state_dict(state)
        assert second.lr == 0.1
    else:
        with pytest.raises(ValueError, match="This is no state of"):
            second.load_state_dict(state)
        assert (second.lr, second.steps, second.memory) == (0.2, 0, {})


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        [],
        {"lr": 0.1, "steps": 0},
        {"lr": -1, "steps": 0, "memory": {}},
        {"lr": 0.1, "steps": -1, "memory": {}},
        {"lr": 0.1, "steps": "1", "memory": {}},
        {"lr": 0.1, "steps": 1, "memory": {"mean": [0.0]}},
        {"lr": 0.1, "steps": 1, "memory": {"mean": [0.0], "square": [0.0, 0.0]}},
        {"lr": 0.1, "steps": 1, "memory": {"mean": [0.0], "square": [0.0]}, "groups": [{"since": 0, "settings": {}}]},
    ],
)
def test_what_is_no_state_is_refused_and_changes_nothing(state):
    optimizer = Adam([Value(1.0)], lr=0.2)
    with pytest.raises(ValueError, match=r"state|lr is at least 0"):
        optimizer.load_state_dict(state)
    assert (optimizer.lr, optimizer.steps, optimizer.memory, optimizer.groups) == (0.2, 0, {}, [])


# ---- groups


def by_groups(name, common, groups, later=()):
    """Forty steps of ours and torch's with these groups of a parameter each, `later` added after ten steps."""
    torch = pytest.importorskip("torch")
    count = len(groups) + len(later)
    ours = [Value(0.5 + i) for i in range(count)]
    theirs = [torch.tensor(0.5 + i, dtype=torch.float64, requires_grad=True) for i in range(count)]
    mine = getattr(mg.optim, name)([{"parameters": [p], **own} for p, own in zip(ours, groups, strict=False)], **common)
    peer = getattr(torch.optim, name)(
        [{"params": [p], **own} for p, own in zip(theirs, groups, strict=False)], **common
    )
    for k in range(40):
        if k == 10:
            for own, p, q in zip(later, ours[len(groups) :], theirs[len(groups) :], strict=True):
                mine.add_parameters([p], **own)
                peer.add_param_group({"params": [q], **own})
        for optimizer, variables in ((mine, ours), (peer, theirs)):
            optimizer.zero_grad()
            sum((i + 1) * (x - k % 5) ** 2 for i, x in enumerate(variables)).backward()
            optimizer.step()
        assert agrees([p.data for p in ours], [q.item() for q in theirs], TOLERANCE)
    return mine


@pytest.mark.parametrize(
    ("name", "common", "groups"),
    [
        ("SGD", {"lr": 0.01}, [{}, {"lr": 0.002}]),
        ("SGD", {"lr": 0.01}, [{}, {"momentum": 0.9}]),
        ("SGD", {"lr": 0.01, "momentum": 0.9}, [{"momentum": 0.0}, {"nesterov": True}, {"weight_decay": 0.1}]),
        ("Adam", {"lr": 0.1}, [{"betas": (0.5, 0.9)}, {"eps": 0.1}, {}]),
        ("AdamW", {"lr": 0.1}, [{"weight_decay": 0.0}, {}]),
        ("RMSprop", {"lr": 0.1}, [{"centered": True}, {"momentum": 0.5}, {"alpha": 0.5}]),
        ("Adagrad", {"lr": 0.1}, [{"lr_decay": 0.5}, {"lr": 0.5}]),
    ],
)
def test_groups_equal_torchs(name, common, groups):
    by_groups(name, common, groups)
    by_groups(name, common, groups[:1], groups[1:])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_parameters_added_later_begin_as_torchs_do(name):
    mine = by_groups(name, {"lr": 0.1} | ({"momentum": 0.5} if name == "SGD" else {}), [{}], [{}, {"lr": 0.05}])
    assert len(mine.parameters) == 3


def test_a_group_follows_the_optimizer_in_what_it_has_not_of_its_own():
    p, q, r = Value(0.0), Value(0.0), Value(0.0)
    optimizer = SGD([p, {"parameters": [q], "lr": 0.5}, {"parameters": [r], "momentum": 0.0}], lr=1.0)
    optimizer.lr = 2.0
    for v in (p, q, r):
        v.grad = 1.0
    optimizer.step()
    assert [p.data, q.data, r.data] == [-2.0, -0.5, -2.0]
    optimizer.groups[0].lr = 0.25
    optimizer.step()
    assert [p.data, q.data, r.data] == [-4.0, -0.75, -4.0]
    assert optimizer.groups[0].lr == 0.25
    assert (
        repr(optimizer.groups) == "[ParameterGroup(1 parameters, lr=0.25), ParameterGroup(1 parameters, momentum=0.0)]"
    )
    with pytest.raises(AttributeError, match=r"has no learning_rate; what can be set are .*lr"):
        optimizer.groups[0].learning_rate = 0.1
    with pytest.raises(ValueError, match="at least 0"):
        optimizer.groups[0].lr = -0.1
    with pytest.raises(AttributeError, match="no lr of its own"):
        optimizer.groups[1].lr  # noqa: B018


def test_groups_that_do_not_fit_are_errors():
    p, q = Value(1.0), Value(1.0)
    optimizer = SGD([p], lr=0.1)
    for call, error, message in [
        (lambda: SGD([{"params": [p]}]), ValueError, "a dict with 'parameters'"),
        (lambda: SGD([{"parameters": [p], "learning_rate": 1}]), AttributeError, "has no learning_rate; what can be"),
        (lambda: SGD([{"parameters": [p], "steps": 1}]), AttributeError, "has no steps"),
        (lambda: SGD([{"parameters": []}]), ValueError, "at least one parameter"),
        (lambda: SGD({"parameters": [p]}), TypeError, "a list of parameters"),
        (lambda: SGD([{"parameters": p}]), TypeError, "a list of parameters"),
        (lambda: SGD([p, {"parameters": [p]}]), ValueError, "trained once"),
        (lambda: optimizer.add_parameters([p], lr=1.0), ValueError, "trained once"),
        (lambda: optimizer.add_parameters([q * 2]), ValueError, "computed by 'mul'"),
        (lambda: optimizer.add_parameters([1.0]), TypeError, "Parameters are Values"),
        (lambda: optimizer.add_parameters(q), TypeError, "a list of parameters"),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert (optimizer.parameters, optimizer.groups) == ([p], [])


def test_an_optimizer_with_a_step_alone_has_no_groups():
    class Halving(Optimizer):
        def step(self):
            for p in self.parameters:
                p.data /= 2

    with pytest.raises(TypeError, match=r"Halving has no update\(\)"):
        Halving([{"parameters": [Value(1.0)], "lr": 0.1}], lr=1.0)
    p, q = Value(1.0), Value(2.0)
    optimizer = Halving([p], lr=1.0)
    optimizer.add_parameters([q])
    optimizer.step()
    assert (p.data, q.data) == (0.5, 1.0)


def test_a_state_has_its_groups():
    def made():
        p, q = Value(1.0), Value(1.0)
        return (p, q), Adam([p, {"parameters": [q], "lr": 0.5}], lr=0.1)

    (p, q), first = made()
    first.groups[0].lr = 0.25
    for _ in range(3):
        p.grad, q.grad = 1.0, -2.0
        first.step()
    (r, s), second = made()
    second.load_state_dict(first.state_dict())
    r.data, s.data = p.data, q.data
    for optimizer, (x, y) in ((first, (p, q)), (second, (r, s))):
        x.grad, y.grad = 0.5, 0.5
        optimizer.step()
    assert (r.data, s.data) == (p.data, q.data)
    assert second.groups[0].lr == 0.25


# ---- L-BFGS


def test_lbfgs_finds_the_least_squares_solution():
    numpy, _ = pytest.importorskip("numpy"), pytest.importorskip("scipy")
    generator = numpy.random.default_rng(0)
    X, noise = generator.normal(size=(30, 3)), generator.normal(size=30)
    y = X @ [1.0, -2.0, 0.5] + noise
    wanted = numpy.linalg.lstsq(X, y, rcond=None)[0]
    for compiled in (True, False):
        w = [Value(0.0) for _ in range(3)]
        history = mg.fit(lambda x, t, w=w: mg.square(mg.dot(w, x) - t), (X, y), LBFGS(w), epochs=3, compiled=compiled)
        assert agrees([v.data for v in w], wanted.tolist(), 1e-9)
        assert agrees(history.losses[0], float((y**2).mean()), 1e-12)
        assert agrees(history.losses[-1], float(((X @ wanted - y) ** 2).mean()), 1e-12)


def test_lbfgs_keeps_the_best_numbers_that_it_has_met():
    pytest.importorskip("scipy")
    x = Value(1.0)

    def backward():
        loss = x * x + (math.nan if x.data < 0.5 else 0.0)
        loss.backward()
        return loss.data

    assert LBFGS([x]).step_on(backward) == 1.0
    assert math.isfinite(x.data)
    assert x.data >= 0.5


def test_lbfgs_says_what_it_does_not_have(monkeypatch):
    pytest.importorskip("scipy")
    optimizer = LBFGS([Value(1.0)])
    with pytest.raises(TypeError, match=r"take fit\(\), or step_on"):
        optimizer.step()
    with pytest.raises(AttributeError, match="no learning rate"):
        optimizer.lr = 0.1
    with pytest.raises(ValueError, match="iterations is an int of at least 1"):
        LBFGS([Value(1.0)], iterations=0)
    with pytest.raises(TypeError, match="LBFGS has no update"):
        LBFGS([{"parameters": [Value(1.0)], "iterations": 3}])
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scipy"):
        LBFGS([Value(1.0)])
