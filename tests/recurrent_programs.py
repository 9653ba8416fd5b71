"""Recurrences as functions of their number of steps: each gives a function and its arguments."""

from random import Random

import microgrannd as mg
from microgrannd.ground.nests import leaves


def recurrent(steps, at_each=False):
    """A neuron that feeds itself; with a loss at its end or at each step."""

    def loss(x, y, w, u, b):
        h, total = 0.0, 0.0
        for i in range(steps):
            h = mg.tanh(w * h + u * x[i] + b)
            if at_each:
                total = total + (h - y[i]) ** 2
        return total if at_each else (h - y[0]) ** 2

    random = Random(1)
    return loss, ([random.gauss(0, 1) for _ in range(steps)], [random.gauss(0, 1) for _ in range(steps)], 0.5, 0.3, 0.1)


def lstm(steps, size=4):
    def loss(x, rows, y):
        h, c = [0.0] * size, [0.0] * size
        for t in range(steps):
            gates = [mg.dot(row[:size], h, row[size] * x[t] + row[size + 1]) for row in rows]
            keep, write, show = ([mg.sigmoid(g) for g in gates[k * size : (k + 1) * size]] for k in range(3))
            new = [mg.tanh(g) for g in gates[3 * size :]]
            c = [k * old + w * n for k, old, w, n in zip(keep, c, write, new, strict=True)]
            h = [s * mg.tanh(cell) for s, cell in zip(show, c, strict=True)]
        return (mg.sum(h) - y) ** 2

    random = Random(2)
    rows = [[random.gauss(0, 0.4) for _ in range(size + 2)] for _ in range(4 * size)]
    return loss, ([random.gauss(0, 1) for _ in range(steps)], rows, 0.7)


def pendulum(steps):
    """The double pendulum by Runge and Kutta's method of order 4."""

    def slopes(state, mass):
        a, b, p, q = state
        d = a - b
        below = 2.0 - mg.cos(d) ** 2 * mass
        return [p, q, (mg.sin(d) * q * q - mg.sin(a) * 9.81) / below, (mg.sin(b) * 9.81 - mg.sin(d) * p * p) / below]

    def end(state, mass):
        h = 0.001
        for _ in range(steps):
            one = slopes(state, mass)
            two = slopes([x + h / 2 * k for x, k in zip(state, one, strict=True)], mass)
            three = slopes([x + h / 2 * k for x, k in zip(state, two, strict=True)], mass)
            four = slopes([x + h * k for x, k in zip(state, three, strict=True)], mass)
            sums = zip(one, two, three, four, strict=True)
            state = [x + h / 6 * (a + 2 * b + 2 * c + d) for x, (a, b, c, d) in zip(state, sums, strict=True)]
        return state[0] ** 2 + state[1]

    return end, ([0.3, 0.2, 0.0, 0.1], 0.4)


def kalman(steps):
    def log_likelihood(z, q, r, a):
        x, p, total = 0.0, 1.0, 0.0
        for i in range(steps):
            x, p = a * x, a * p * a + q
            s, e = p + r, z[i] - x
            total = total - 0.5 * (mg.log(s) + e * e / s)
            k = p / s
            x, p = x + k * e, (1 - k) * p
        return total

    random = Random(3)
    return log_likelihood, ([random.gauss(0, 1) for _ in range(steps)], 0.3, 0.5, 0.9)


def fibonacci(steps):
    """Each step reads two before it, and a constant that differs by step."""

    def last(x, y, w):
        for i in range(steps):
            x, y = y, mg.sin(x * w + y * 0.5) + i / steps
        return x * y

    return last, (0.1, 0.2, 0.7)


def with_ends(steps):
    """A network before the recurrence, one after it, and an irregular first step."""

    def loss(x, ws):
        start = mg.tanh(ws[0] * x[0] + ws[1]) * mg.tanh(ws[2] * x[0])
        h = mg.relu(start) + ws[3]
        for i in range(steps):
            h = mg.sin(h * ws[4] + start) * x[i] + mg.abs(h)
        return mg.softplus(mg.dot([h, start], ws[:2])) + h * h

    random = Random(4)
    return loss, ([random.uniform(-1, 1) for _ in range(steps)], [random.uniform(-1, 1) for _ in range(5)])


def two_in_turn(steps):
    """The second recurrence reads every step of the first, in reverse, and a sum is of all."""

    def loss(x, w, v):
        h, hs = 0.3, []
        for i in range(steps):
            h = mg.tanh(h * w + x[i])
            hs.append(h)
        g, gs = 0.1, []
        for i in reversed(range(steps)):
            g = mg.tanh(g * v + hs[i])
            gs.append(g)
        return mg.mean(gs) + mg.sum(hs) * 0.1

    random = Random(5)
    return loss, ([random.gauss(0, 1) for _ in range(steps)], 0.4, 0.6)


def product(steps):
    """A list is all that it has."""

    def of(x):
        total = 1.0
        for each in x:
            total = total * each
        return total

    return of, ([Random(i).uniform(0.9, 1.1) for i in range(steps)],)


def nested(steps):
    """Arguments in a dict, whose names are taken; a maximum, and a constant that differs by step."""

    def last(i, s1):
        h = i["h"]
        for k, (u, v) in enumerate(i["x"]):
            h = mg.maximum(h * u, v) + s1 * (0.001 * k)
        return h * i["h"]

    random = Random(7)
    return last, ({"h": 0.5, "x": [(random.gauss(0, 0.5), random.gauss(0, 1)) for _ in range(steps)]}, 0.3)


def mixed(steps):
    """A number that is read at every step, and at one of them in another place too."""

    def last(x, w):
        h = 0.4
        for k in range(steps):
            h = mg.tanh(h * w[steps - 1 - k] + x[k] * w[0])
        return h

    random = Random(8)
    return last, tuple([random.gauss(0, 1) for _ in range(steps)] for _ in range(2))


def with_a_slip(steps):
    """Only nearly a recurrence: some steps read another than the one before them, and one a result of long ago."""

    def last(x, w):
        hs = [0.4]
        for k in range(steps):
            before = hs[-2] if k in (100, 101, 250) else hs[30] if k == 200 else hs[-1]
            hs.append(mg.tanh(before * w + x[k]))
        return hs[-1] * hs[100]

    random = Random(10)
    return last, ([random.gauss(0, 1) for _ in range(steps)], 0.6)


def eager(function, arguments):
    value, gradients = mg.value_and_grad(function, argnums=tuple(range(len(arguments))))(*arguments)
    return [value, *leaves(gradients)]
