"""The training of the iris program: a 2-2-1 sigmoid network, 70 samples, full batches, 1000 epochs.

Every peer goes from the same weights; the weights after 40 epochs are compared before anything is timed.
Engines of scalars build a graph in each epoch; compiled code and code by hand run.
"""

from __future__ import annotations

import statistics
import sys
import time
from importlib import import_module

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.iris import c_by_hand, numba_by_hand, numpy_by_hand
from benchmarks.harness import COMPILED, OURS, compiled_build, has_cc, installed, interleaved, left_out, loaded
from benchmarks.peers import (
    casadi_call,
    casadi_through_c,
    jax_in_double,
    micrograd_sigmoid,
    torch_on_one_thread,
    xad_gradients,
)
from microgrannd.datasets import iris

NAME = "iris"
LONG = 1_000_000  # epochs of a training that is watched, beside which its start is short
EPOCHS, RATE, CHECKED = 1000, 0.1, 3 if harness.smoke else 40
DATA = iris().train
X, Y = np.array(DATA.x), np.array(DATA.y, float)
START = (1e-5, 3e-5, 0.0, -2e-5, 4e-5, 0.0, -5e-5, 2.5e-5, 0.0)


def model_of(nn):
    """Our network with the first weights."""
    model = nn.MLP(2, [2, 1], activation="sigmoid")
    for parameter, number in zip(model.parameters(), START, strict=True):
        parameter.data = number
    return model


def engine(package):
    """The loop by hand on our engine, as it is or as the compiled build."""
    optim, losses, operations = (package[f"microgrannd.{room}"] for room in ("optim", "losses", "operations"))

    def train(epochs):
        model = model_of(package["microgrannd.nn"])
        optimizer = optim.SGD(model.parameters(), lr=RATE)
        for _ in range(epochs):
            optimizer.zero_grad()
            losses_of_all = [losses.half_squared_error(model(x), y) for x, y in zip(DATA.x, DATA.y, strict=True)]
            operations.mean(losses_of_all).backward()
            optimizer.step()
        return [parameter.data for parameter in model.parameters()]

    return train


def loss_of_one(p, x0, x1, y, sigmoid):
    """The squared error of a sample, or of a column of samples each."""
    h, k = sigmoid(p[0] * x0 + p[1] * x1 + p[2]), sigmoid(p[3] * x0 + p[4] * x1 + p[5])
    e = p[6] * h + p[7] * k + p[8] - y
    return e * e


def loss_of_scalars(p, sigmoid, number=float):
    """Half the mean of the squared errors in small additions and products."""
    total = number(0.0)
    for (x0, x1), y in zip(DATA.x, DATA.y, strict=True):
        total = total + loss_of_one(p, number(x0), number(x1), number(y), sigmoid)
    return total * number(0.5 / len(DATA.y))


def of_scalars(leaf, sigmoid, number=float):
    """An engine of scalars whose leaves have a gradient after backward()."""

    def train(epochs):
        weights = START
        for _ in range(epochs):
            p = [leaf(w) for w in weights]
            loss_of_scalars(p, sigmoid, number).backward()
            weights = [w - RATE * float(x.grad) for w, x in zip(weights, p, strict=True)]
        return weights

    return train


def micrograd(epochs):
    """With its own neurons and a sigmoid, which it lacks."""
    from micrograd.nn import Neuron

    sigmoid = micrograd_sigmoid()
    hidden, output = [Neuron(2, nonlin=False) for _ in range(2)], Neuron(2, nonlin=False)
    parameters = [p for neuron in [*hidden, output] for p in neuron.parameters()]
    for parameter, number in zip(parameters, START, strict=True):
        parameter.data = number
    for _ in range(epochs):
        losses = [
            0.5 * (output([sigmoid(neuron(x)) for neuron in hidden]) - y) ** 2
            for x, y in zip(DATA.x, DATA.y, strict=True)
        ]
        loss = sum(losses) / len(losses)
        for parameter in parameters:
            parameter.grad = 0
        loss.backward()
        for parameter in parameters:
            parameter.data -= RATE * parameter.grad
    return [parameter.data for parameter in parameters]


def xad(epochs):
    from xad import math

    weights = START
    for _ in range(epochs):
        _, slopes = xad_gradients(lambda p: loss_of_scalars(p, lambda x: 1 / (1 + math.exp(-x))), weights)
        weights = [w - RATE * g for w, g in zip(weights, slopes, strict=True)]
    return weights


def mean_loss(xp, p):
    """The same on arrays."""
    return 0.5 * xp.mean(loss_of_one(p, X[:, 0], X[:, 1], Y, lambda z: 1 / (1 + xp.exp(-z))))


def autograd(epochs):
    import autograd
    import autograd.numpy as numpy

    slopes, p = autograd.grad(lambda p: mean_loss(numpy, p)), np.array(START)
    for _ in range(epochs):
        p = p - RATE * slopes(p)
    return p.tolist()


def torch(epochs):
    torch = torch_on_one_thread()
    w, v = torch.tensor(START[:6]).reshape(2, 3), torch.tensor(START[6:])
    parameters = [w.requires_grad_(), v.requires_grad_()]
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(epochs):
        hidden = torch.sigmoid(x @ w[:, :2].T + w[:, 2])
        loss = 0.5 * ((hidden @ v[:2] + v[2] - y) ** 2).mean()
        slopes = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, slopes, strict=True):
                p -= RATE * g
    return [number for p in parameters for number in p.flatten().tolist()]


def ours(backend="auto"):
    """One sample's loss compiled; all epochs in one call of `fit`."""
    import microgrannd as mg

    model = model_of(import_module("microgrannd.nn"))
    program = mg.compile(lambda x, y: 0.5 * mg.square(model(x) - y), backend=backend)

    def train(epochs):
        for parameter, number in zip(model.parameters(), START, strict=True):
            parameter.data = number
        program.fit((X, Y), mg.optim.SGD(model.parameters(), lr=RATE), epochs=epochs)
        return [parameter.data for parameter in model.parameters()]

    return train


def as_it_comes(epochs):
    """`mg.fit` from the plain loss, which compiles it each time."""
    import microgrannd as mg

    model = model_of(import_module("microgrannd.nn"))
    optimizer = mg.optim.SGD(model.parameters(), lr=RATE)
    mg.fit(lambda x, y: mg.losses.half_squared_error(model(x), y), DATA, optimizer, epochs=epochs)
    return [parameter.data for parameter in model.parameters()]


def jax():
    """All epochs as one scan of a compiled step; another number of epochs is another compilation."""
    library = jax_in_double()
    xp, slopes = library.numpy, library.grad(lambda p: mean_loss(library.numpy, p))

    def scan(p, epochs):
        return library.lax.scan(lambda p, _: (p - RATE * slopes(p), None), p, None, length=epochs)[0]

    compiled = library.jit(scan, static_argnums=1)
    return lambda epochs: compiled(xp.array(START), epochs).tolist()


def casadi(through_c=False):
    """An epoch as an expression of scalars, mapped over the samples; a call an epoch."""
    import casadi as ca

    p, x, y = ca.SX.sym("p", 9), ca.SX.sym("x", 2), ca.SX.sym("y")
    loss = loss_of_one(p, x[0], x[1], y, lambda z: 1 / (1 + ca.exp(-z)))
    of_one = ca.Function("of_one", [p, x, y], [ca.gradient(0.5 * loss, p)])
    weights = ca.MX.sym("weights", 9)
    slopes = ca.sum2(of_one.map(len(Y))(weights, X.T, Y[None])) / len(Y)
    epoch = ca.Function("epoch", [weights], [weights - RATE * slopes])
    call = casadi_call(casadi_through_c(epoch) if through_c else epoch, [9], [9])

    def train(epochs):
        weights = START
        for _ in range(epochs):
            [weights] = call(weights)
        return weights.tolist()

    return train


def engines():
    """Those that build a graph in each epoch."""
    for room in ("nn", "optim", "losses", "operations"):
        import_module(f"{OURS}.{room}")
    found = {OURS: engine(sys.modules)}
    if build := compiled_build():
        found[COMPILED] = engine(build)
    if installed("micrograd"):
        found["micrograd"] = micrograd
    if installed("minigrad"):
        left_out(NAME, "minigrad", "it has no exp, and its core takes no new operations")
    if installed("micrograd-rust"):
        value = import_module("micrograd_rust").Value
        found["micrograd-rust"] = of_scalars(value, lambda x: value(1.0) / (value(1.0) + (-x).exp()), value)
    if installed("oxigrad"):
        room = import_module("oxigrad")
        found["oxigrad"] = of_scalars(room.Value, room.Activation.Sigmoid, room.Value)
    if installed("xad"):
        found["xad"] = xad
    if loaded("torch"):
        library = torch_on_one_thread()
        found["torch, scalars"] = of_scalars(lambda w: library.tensor(w, requires_grad=True), library.sigmoid)
        found["torch, batched"] = torch
    if loaded("autograd"):
        found["autograd, batched"] = autograd
    return found


def compiled():
    """What makes the peers that run code which was compiled or written before."""
    makers = {OURS: ours, f"{OURS}, printed Python": lambda: ours("python")}
    makers["NumPy by hand"] = lambda: numpy_by_hand(START, X, Y, RATE)
    if loaded("jax"):
        makers["JAX, jit and scan"] = jax
    if loaded("casadi"):
        makers["CasADi"] = casadi
        if has_cc() and not harness.smoke:
            makers["CasADi, cc -O3"] = lambda: casadi(through_c=True)
    if loaded("numba"):
        makers["numba by hand"] = lambda: numba_by_hand(START, X, Y, RATE)
    return makers | c_by_hand(START, X, Y, RATE)


def check(found):
    for name, parameters in found.items():
        assert np.allclose(parameters, found[OURS], rtol=0, atol=1e-12), (name, parameters)


def one_sample():
    """The loss and the gradients of one sample: a graph, and the program that the compiler prints for it."""
    import microgrannd as mg

    model = model_of(import_module("microgrannd.nn"))
    x, y = DATA.x[0], DATA.y[0]

    def loss(x, y):
        return 0.5 * mg.square(model(x) - y)

    def eager():
        for p in model.parameters():
            p.grad = 0.0
        loss(x, y).backward()
        return [p.grad for p in model.parameters()]

    program = mg.compile(loss, backend="python").trace(x, y)
    names: dict = {}
    exec(program.python_source, names)
    printed = names[program.python_source.split("def ")[-1].split("(")[0]]
    numbers = [*x, y, *[p.data for p in model.parameters()]]
    assert np.allclose(printed(*numbers)[1], eager(), rtol=1e-12, atol=0)
    peers = {OURS: eager, f"{OURS}, printed Python": lambda: printed(*numbers)}
    medians = interleaved({name: harness.many(call, 1000) for name, call in peers.items()}, clock=time.process_time)
    return harness.timed_rows(NAME, "one sample: loss and gradients", medians, "µs", 1 if harness.smoke else 1000)


def watched_row():
    """What it costs that `fit` compares samples with eager mode as training goes on, as a ratio of times.

    Of each training its first tenth is taken away, and with it all that comes before the first epoch.
    """
    import microgrannd as mg

    model = model_of(import_module("microgrannd.nn"))

    def loss(x, y):
        return mg.losses.half_squared_error(model(x), y)

    def train(loss, epochs):
        for parameter, number in zip(model.parameters(), START, strict=True):
            parameter.data = number
        optimizer = mg.optim.SGD(model.parameters(), lr=RATE)
        mg.fit(loss, (X, Y), optimizer, epochs=epochs, compiled="auto")  # a program is run as it is

    program, long = mg.compile(loss), 10_000 if harness.smoke else LONG
    runs = [(f, epochs) for f in (loss, program) for epochs in (long, long // 10)]
    calls = {f"{OURS}, {i}": lambda run=run: train(*run) for i, run in enumerate(runs)}
    rounds = zip(*harness.turns(calls, rounds=7, clock=time.process_time).values(), strict=True)
    ratio = statistics.median((watched - start) / (alone - its_start) for watched, start, alone, its_start in rounds)
    note = f'fit(compiled="auto") as a multiple of program.fit, over {long:,} epochs without the first tenth'
    return harness.row(NAME, OURS, "compiled and watched", ratio, "times", note)


def run():
    epochs, few = (1, 1) if harness.smoke else (EPOCHS, 20)
    graphs = engines()
    runs, _, first = harness.made(compiled(), epochs)
    check(
        {name: train(CHECKED) for name, train in runs.items()}
        | {f"{name}, eager": train(CHECKED) for name, train in graphs.items()}
        | {f"{OURS}, as it comes": as_it_comes(CHECKED)}
    )
    timed = {name: lambda train=train: train(few) for name, train in graphs.items()}
    medians = interleaved(timed, rounds=5, clock=time.process_time)
    note = f"from {few} epochs"
    rows = harness.timed_rows(NAME, "1000 epochs, a new graph each time", medians, "s", few / EPOCHS, note)
    lengths = dict.fromkeys(runs, epochs) | {f"{OURS}, printed Python": few}
    timed = {name: lambda train=train, k=lengths[name]: train(k) for name, train in runs.items()}
    medians = interleaved(timed, rounds=15, warmups=2)
    medians = {name: seconds * EPOCHS / lengths[name] for name, seconds in medians.items()}
    rows += harness.timed_rows(NAME, "1000 epochs, compiled before or by hand", medians, "ms")
    whole = interleaved({OURS: lambda: as_it_comes(epochs)}, rounds=5)
    rows += harness.timed_rows(NAME, "1000 epochs by mg.fit, compiling included", whole, "ms")
    note = "trace, compile, 1000 epochs; the import is apart"
    rows += [
        harness.row(NAME, name, "compiled: from the loss to the result", seconds * 1e3, "ms", note)
        for name, seconds in first.items()
    ]
    return [*rows, *one_sample(), watched_row()]


if __name__ == "__main__":
    harness.print_rows(run())
