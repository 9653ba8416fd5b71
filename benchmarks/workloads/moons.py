"""An epoch of micrograd's demo: two moons, MLP(2, [16, 16, 1]), 100 points, max-margin loss and L2.

Every peer goes from the same weights through the same epochs; the weights after three of them are compared
before anything is timed. Engines of scalars build a graph in each epoch; compiled code and code by hand run.
"""

from __future__ import annotations

import random
import time
from importlib import import_module
from itertools import pairwise

import numpy as np

from benchmarks import harness
from benchmarks.by_hand.moons import c_by_hand, numba_by_hand, numpy_by_hand
from benchmarks.harness import COMPILED, OURS, compiled_build, has_cc, installed, interleaved, left_out, loaded
from benchmarks.peers import casadi_call, casadi_through_c, jax_in_double, torch_on_one_thread, xad_gradients
from microgrannd.datasets import moons

NAME = "moons"
EPOCHS = 3  # in a row, as in training: what an epoch leaves to the garbage collector, the next one pays for
MANY = 300  # of compiled ones
SIZES = (2, 16, 16, 1)
L2 = 1e-4
POINTS = moons(20 if harness.smoke else 100, noise=0.1, seed=0)
X, SIGN = np.array(POINTS.x), 2.0 * np.array(POINTS.y) - 1


def start():
    """The first weights: for each layer and neuron the weights of its inputs, then its bias."""
    random.seed(1337)
    model = import_module("microgrannd.nn").MLP(2, [16, 16, 1])
    return [p.data for p in model.parameters()]


START = start()


def matrices(flat):
    """For each layer a matrix with a row for each neuron; the last column holds the biases."""
    found, at = [], 0
    for inputs, outputs in pairwise(SIZES):
        size = outputs * (inputs + 1)
        found.append(np.array(flat[at : at + size]).reshape(outputs, inputs + 1))
        at += size
    return found


def demo(mlp):
    """Epochs word for word as in the demo, by an engine that has micrograd's face."""
    model = mlp(2, [16, 16, 1])

    def epoch(rate):
        scores = [model(x) for x in POINTS.x]
        losses = [(1 + -(2 * label - 1) * score).relu() for label, score in zip(POINTS.y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        total_loss = data_loss + L2 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= rate * p.grad

    def train(epochs, rate):
        for p, number in zip(model.parameters(), START, strict=True):
            p.data = number
        for _ in range(epochs):
            epoch(rate)  # whose graph is dropped when it is done
        return [p.data for p in model.parameters()]

    return train


def loss_of_scalars(p, relu, number):
    """The demo's loss in small additions and products, for whatever has + and *."""
    weights, total, layers = iter(p), number(0.0), []
    for inputs, outputs in pairwise(SIZES):
        layers.append([[next(weights) for _ in range(inputs + 1)] for _ in range(outputs)])
    for point, sign in zip(POINTS.x, SIGN.tolist(), strict=True):
        a = [number(x) for x in point]
        for layer in layers:
            z = []
            for *w, b in layer:
                for wj, aj in zip(w, a, strict=True):
                    b = b + wj * aj
                z.append(b)
            a = [relu(x) for x in z] if layer is not layers[-1] else z
        total = total + relu(number(1.0) + number(-sign) * a[0])
    total = total * number(1.0 / len(SIGN))
    for w in p:
        total = total + number(L2) * (w * w)
    return total


def of_scalars(leaf, relu, number=float):
    """Epochs by an engine without such a network, or whose numbers have to be wrapped."""

    def train(epochs, rate):
        weights = START
        for _ in range(epochs):
            p = [leaf(w) for w in weights]
            loss_of_scalars(p, relu, number).backward()
            weights = [w - rate * float(x.grad) for w, x in zip(weights, p, strict=True)]
        return weights

    return train


def xad(epochs, rate):
    from xad import math

    weights = START
    for _ in range(epochs):
        _, slopes = xad_gradients(lambda p: loss_of_scalars(p, lambda x: math.max(x, 0.0), float), weights)
        weights = [w - rate * g for w, g in zip(weights, slopes, strict=True)]
    return weights


def on_matrices(xp, layers):
    """The loss with a matrix for each layer, which is how array libraries are used."""
    a = X
    for m in layers[:-1]:
        a = xp.maximum(a @ m[:, :-1].T + m[:, -1], 0.0)
    scores = a @ layers[-1][0, :-1] + layers[-1][0, -1]
    return xp.mean(xp.maximum(1 - SIGN * scores, 0.0)) + L2 * sum(xp.sum(m * m) for m in layers)


def autograd(epochs, rate):
    import autograd
    import autograd.numpy as numpy

    slopes, layers = autograd.grad(lambda layers: on_matrices(numpy, layers)), matrices(START)
    for _ in range(epochs):
        layers = [m - rate * g for m, g in zip(layers, slopes(layers), strict=True)]
    return flat(layers)


def torch(epochs, rate):
    torch = torch_on_one_thread()
    layers = [torch.tensor(m, requires_grad=True) for m in matrices(START)]
    x, sign = torch.tensor(X), torch.tensor(SIGN)
    for _ in range(epochs):
        a = x
        for m in layers[:-1]:
            a = torch.relu(a @ m[:, :-1].T + m[:, -1])
        scores = a @ layers[-1][0, :-1] + layers[-1][0, -1]
        loss = torch.relu(1 - sign * scores).mean() + L2 * sum((m * m).sum() for m in layers)
        slopes = torch.autograd.grad(loss, layers)
        with torch.no_grad():
            for m, g in zip(layers, slopes, strict=True):
                m -= rate * g
    return flat(m.detach().numpy() for m in layers)


def flat(layers):
    return [x for m in layers for x in np.asarray(m).ravel().tolist()]


def ours():
    """Each sample's loss compiled; the L2 term is the optimizer's weight decay, of which it is the gradient."""
    import microgrannd as mg
    from microgrannd.operations import relu

    model = mg.MLP(2, [16, 16, 1])
    program = mg.compile(lambda x, sign: relu(1 - sign * model(x)))

    def train(epochs, rate):
        for p, number in zip(model.parameters(), START, strict=True):
            p.data = number
        program.fit((X, SIGN), mg.optim.SGD(model.parameters(), lr=rate, weight_decay=2 * L2), epochs=epochs)
        return [p.data for p in model.parameters()]

    return train


def jax():
    """All epochs as one scan of a compiled step; another number of epochs is another compilation."""
    library = jax_in_double()
    xp, slopes = library.numpy, library.grad(lambda layers: on_matrices(library.numpy, layers))

    def scan(layers, rate, epochs):
        def step(layers, _):
            return [m - rate * g for m, g in zip(layers, slopes(layers), strict=True)], None

        return library.lax.scan(step, layers, None, length=epochs)[0]

    compiled = library.jit(scan, static_argnums=2)
    return lambda epochs, rate: flat(compiled([xp.array(m) for m in matrices(START)], rate, epochs))


def casadi(through_c=False):
    """The gradient of one sample's loss as an expression of scalars, mapped over the samples; a call an epoch."""
    import casadi as ca

    p, x, s = ca.SX.sym("p", len(START)), ca.SX.sym("x", 2), ca.SX.sym("s")
    a, at = x, 0
    for inputs, outputs in pairwise(SIZES):
        m = ca.reshape(p[at : at + outputs * (inputs + 1)], inputs + 1, outputs).T
        z = m[:, :-1] @ a + m[:, -1]
        a, at = ca.fmax(z, 0), at + outputs * (inputs + 1)
    of_one = ca.Function("of_one", [p, x, s], [ca.gradient(ca.fmax(1 - s * z, 0), p)])
    weights, rate = ca.MX.sym("weights", len(START)), ca.MX.sym("rate")
    slopes = ca.sum2(of_one.map(len(SIGN))(weights, X.T, SIGN[None])) / len(SIGN) + 2 * L2 * weights
    epoch = ca.Function("epoch", [weights, rate], [weights - rate * slopes])
    call = casadi_call(casadi_through_c(epoch) if through_c else epoch, [len(START), 1], [len(START)])

    def train(epochs, rate):
        weights = START
        for _ in range(epochs):
            [weights] = call(weights, rate)
        return weights.tolist()

    return train


def engines():
    """Those that build a graph in each epoch."""
    found = {OURS: demo(import_module("microgrannd.nn").MLP)}
    if build := compiled_build():
        found[COMPILED] = demo(build["microgrannd.nn"].MLP)
    if installed("micrograd"):
        found["micrograd"] = demo(import_module("micrograd.nn").MLP)
    if installed("minigrad"):  # in the demo it reads plain numbers as if they were Values, and crashes
        value = import_module("minigrad").Value
        found["minigrad"] = of_scalars(value, lambda x: x.relu(), value)
    if installed("oxigrad"):
        room = import_module("oxigrad")
        found["oxigrad"] = of_scalars(room.Value, room.Activation.ReLU, room.Value)
    if installed("micrograd-rust"):
        value = import_module("micrograd_rust").Value
        if hasattr(value, "relu"):
            found["micrograd-rust"] = of_scalars(value, lambda x: x.relu(), value)
        else:
            left_out(NAME, "micrograd-rust", "it has no relu")
    if installed("xad"):
        found["xad"] = xad
    if loaded("torch"):
        library = torch_on_one_thread()
        found["torch, scalars"] = of_scalars(lambda w: library.tensor(w, requires_grad=True), library.relu)
        found["torch, batched"] = torch
    if loaded("autograd"):
        found["autograd, batched"] = autograd
    return found


def compiled():
    """What makes the peers that run code which was compiled or written before."""
    makers = {OURS: ours, "NumPy by hand": lambda: numpy_by_hand(matrices, START, X, SIGN, L2)}
    if loaded("jax"):
        makers["JAX, jit and scan"] = jax
    if loaded("casadi"):
        makers["CasADi"] = casadi
        if has_cc() and not harness.smoke:
            makers["CasADi, cc -O3"] = lambda: casadi(through_c=True)
    if loaded("numba"):
        makers["numba by hand"] = lambda: numba_by_hand(START, X, SIGN, L2)
    return makers | c_by_hand(START, X, SIGN, L2)


def check(found):
    wanted = found[OURS]
    for name, weights in found.items():
        assert np.allclose(weights, wanted, rtol=0, atol=1e-9), name


def run():
    graphs = engines()
    check({name: train(1 if harness.smoke else 3, 1.0) for name, train in graphs.items()})
    epochs = {name: 1 if name == "torch, scalars" or harness.smoke else EPOCHS for name in graphs}
    timed = {name: lambda train=train, k=epochs[name]: train(k, 0.1) for name, train in graphs.items()}
    medians = interleaved(timed, rounds=5, clock=time.process_time)
    medians = {name: seconds / epochs[name] for name, seconds in medians.items()}
    rows = harness.timed_rows(NAME, "an epoch, a new graph each time", medians, "ms")
    notes = {"minigrad": "every number wrapped: a plain one it reads as a Value, and crashes"}
    for r in rows:
        r["note"] = notes.get(r["peer"], "")
    runs, ended, first = harness.made(compiled(), 3, 1.0)
    check({**ended, OURS + ", eager": graphs[OURS](3, 1.0)})
    epochs = 3 if harness.smoke else MANY
    medians = interleaved({n: lambda train=train: train(epochs, 0.1) for n, train in runs.items()}, rounds=11)
    rows += harness.timed_rows(NAME, "an epoch, compiled before or by hand", medians, "µs", epochs)
    note = "trace, compile, three epochs; the import is apart"
    return rows + [harness.row(NAME, n, "compiled: to the first result", s * 1e3, "ms", note) for n, s in first.items()]


if __name__ == "__main__":
    harness.print_rows(run())
