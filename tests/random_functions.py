"""Random functions that make numerical differentiation hard, faults for their rules, and the truth by mpmath.

Each is a `RandomGraph`, so it runs on Values, on mpmath numbers, and with one of its operations broken.
"""

from dataclasses import replace

import mpmath as mp

from microgrannd import Operation
from microgrannd.operations import TABLE
from tests.oracles import CLOSED_FORMS
from tests.random_graphs import ENGINE, INPUTS, RandomGraph, smooth_graph

EDGES = (  # of domains, and on which side the domain lies
    *(("sqrt", 0.0, 1), ("log", 0.0, 1), ("log2", 0.0, 1), ("log1p", -1.0, 1)),
    *(("asin", 1.0, -1), ("acos", -1.0, 1), ("acosh", 1.0, 1), ("atanh", 1.0, -1)),
)
SMOOTH = tuple(name for name in CLOSED_FORMS if name not in ("stop_gradient", "contribution"))


def chain(inputs, *steps):
    """A graph whose steps are written `(name, operands)`: "x" is the first input, "_" the step before."""
    last = len(inputs) - 1
    written = []
    for name, *operands in steps:
        written.append((name, tuple({"x": 0, "_": last}.get(x, x) if isinstance(x, str) else x for x in operands)))
        last += 1
    return RandomGraph(tuple(inputs), tuple(written))


def power_of_ten(random, low, high):
    return random.uniform(1, 10) * 10.0 ** random.uniform(low, high)


def near(random, point, closest=-9):
    """A number at, or at some small distance from, a point."""
    return point if random.random() < 0.3 else point + random.choice((-1, 1)) * power_of_ten(random, closest, -1)


def centre(random):
    return random.choice((0.0, 1.0, -2.0, 5.0, random.gauss(0, 1), power_of_ten(random, -3, 3)))


def tame(random):
    return smooth_graph(random, random.randint(1, 12), SMOOTH)


def steep(random):
    slope, x = random.choice((-1, 1)) * power_of_ten(random, 1, 9), random.gauss(0, 1)
    at = near(random, x) if random.random() < 0.5 else x + random.gauss(0, 1) / slope
    name = random.choice(("sin", "cos", "tanh", "sigmoid", "softplus", "atan", "erf", "silu", "gelu"))
    return chain((at,), ("sub", "x", x), ("mul", slope, "_"), (name, "_"))


def oscillating(random):
    x, frequencies = random.gauss(0, 1), [power_of_ten(random, -1, 7) for _ in range(2)]
    return chain(
        (x,),
        ("mul", "x", frequencies[0]),
        ("sin", "_"),
        ("mul", "x", frequencies[1]),
        ("cos", "_"),
        ("div", "_", random.choice((1.0, frequencies[1]))),
        ("add", 2, "_"),
        *random.choice(([], [("add", "_", "x")], [("mul", "_", "x")], [("exp", "_")])),
    )


def chirp(random):
    x = random.choice((-1, 1)) * power_of_ten(random, -4, 0)
    return chain((x,), ("div", 1.0, "x"), ("sin", "_"), ("mul", "_", "x"), ("mul", "_", "x"))


def tide(random):
    return chain(
        (power_of_ten(random, 3, 9),),
        ("mul", 6.283185307179586, "x"),
        ("div", "_", power_of_ten(random, 1, 6)),
        ("sin", "_"),
    )


def kinked(random):
    a, slope = centre(random), random.choice((-1, 1)) * power_of_ten(random, -2, 3)
    kink = random.choice(
        (
            ("relu", "_"),
            ("abs", "_"),
            ("maximum", "_", 0.0),
            ("clamp", "_", -1.0, 1.0),
            ("leaky_relu", "_", 0.01),
            ("elu", "_", 1.0),
            ("sign", "_"),
            ("floor", "_"),
            ("cbrt", "_"),
        )
    )
    after = random.choice(((), ("square",), ("pow", 3.0), ("pow", 1.5), ("exp",), ("tanh",)))
    steps = [("sub", "x", a), ("mul", "_", slope), kink, *([(after[0], "_", *after[1:])] if after else [])]
    return chain((near(random, a),), *steps, *random.choice(([], [("add", "_", "x")], [("mul", "_", "x")])))


def peaked(random):
    a, width = centre(random), power_of_ten(random, -9, -2)
    x = a + random.choice((-1, 1)) * width * random.choice((random.uniform(0, 4), power_of_ten(random, -3, -1)))
    shape = random.choice((
        [("square", "_"), ("add", 1.0, "_"), ("div", 1.0, "_")],
        [("square", "_"), ("neg", "_"), ("exp", "_")],
        [("abs", "_"), ("add", 1.0, "_"), ("div", 1.0, "_")],
        [("tanh", "_"), ("square", "_")],
    ))  # fmt: skip
    height = random.choice((1.0, width, 1e-3, 1e3))
    back = random.choice(([], [("add", "_", "x")], [("mul", "_", "x")], [("add", "_", 7.0)]))
    return chain((x,), ("sub", "x", a), ("div", "_", width), *shape, ("mul", "_", height), *back)


def wiggle(random):
    """A line with an odd wiggle in the middle, which wide steps do not see at all."""
    a, width = centre(random), power_of_ten(random, -8, -2)
    return chain(
        (near(random, a) if random.random() < 0.3 else a,),
        ("sub", "x", a), ("div", "_", width), ("square", "_"), ("neg", "_"), ("exp", "_"),
        ("sub", "x", a), ("mul", "_", 5), ("add", "_", "x"),
    )  # fmt: skip


def at_a_pole(random):
    a, distance = centre(random), random.choice((-1, 1)) * power_of_ten(random, -7, -1)
    steps = random.choice((
        [("sub", "x", a), ("div", 1.0, "_")],
        [("sub", "x", a), ("pow", "_", -2.0)],
        [("sub", "x", a), ("abs", "_"), ("log", "_")],
        [("sub", "x", a), ("add", "_", 1.5707963267948966), ("tan", "_")],
        [("sub", "x", a), ("square", "_"), ("pow", "_", -0.25)],
    ))  # fmt: skip
    return chain((a + distance,), *steps, *random.choice(([], [("cbrt", "_")], [("tanh", "_")], [("add", "_", "x")])))


def at_an_edge(random):
    a, distance = centre(random), 0.0 if random.random() < 0.1 else power_of_ten(random, -9, -1)
    name, edge, side = random.choice(EDGES)
    if random.random() < 0.5:
        return chain((edge + side * distance,), (name, "x"))
    return chain(
        (a + side * distance,), ("sub", "x", a), ("add", "_", edge), (name, "_"), ("mul", "_", random.gauss(0, 1))
    )


def flat(random):
    a = centre(random)
    steps = random.choice((
        [("sub", "x", a), ("square", "_"), ("square", "_")],
        [("sub", "x", a), ("square", "_"), ("add", "_", 1.0)],
        [("sub", "x", a), ("cos", "_")],
        [("sub", "x", a), ("pow", "_", 3.0)],
        [("sub", "x", a), ("cosh", "_"), ("mul", "_", 1e-3), ("exp", "_")],
        [("mul", "x", 10.0), ("tanh", "_")],
        [("mul", "x", 10.0), ("sigmoid", "_")],
        [("sub", "x", a), ("relu", "_"), ("add", "_", 3.0)],
        [("mul", "x", 0.0), ("add", "_", 3.0)],
    ))  # fmt: skip
    return chain((near(random, a),), *steps)


def scaled(random):
    size, out = 10.0 ** random.randint(-100, 100), 10.0 ** random.randint(-150, 150)
    x = random.gauss(0, 1) * size
    name = random.choice(("sin", "exp", "tanh", "square", "atan", "softplus", "sinh", "sqrt", "log"))
    return chain((abs(x),), ("div", "x", size), (name, "_"), ("mul", "_", out))


def rounded(random):
    """What is left when large numbers cancel."""
    large = power_of_ten(random, 2, 12)
    return chain(
        (random.gauss(0, 1),),
        ("mul", "x", power_of_ten(random, -3, 1)),
        ("sin", "_"),
        ("add", "_", large),
        ("sub", "_", large),
        *random.choice(([], [("square", "_")], [("exp", "_")], [("relu", "_")])),
    )


def dip(random):
    """A product of factors of which some are close to zero: several inputs that matter in different degrees."""
    inputs = [random.gauss(0, 1) * 10.0 ** random.randint(-6, 3) for _ in range(3)]
    return chain(
        inputs, ("mul", 0, 1), ("add", "_", 2), ("tanh", "_"), ("hypot", "_", 1), ("mul", "_", 2), ("add", "_", 0)
    )


KINDS = (
    *[tame] * 6,
    *(steep, oscillating, chirp, tide, kinked, kinked, peaked, peaked, wiggle),
    *(at_a_pole, at_an_edge, flat, scaled, rounded, dip),
)


def random_function(random):
    kind = random.choice(KINDS)
    return kind.__name__, kind(random)


def with_a_fault(random, graph):
    """The graph with one local gradient of one step wrong, and the functions to run it with."""
    at = random.randrange(len(graph.steps))
    name, operands = graph.steps[at]
    steps = [*graph.steps[:at], ("faulty", operands), *graph.steps[at + 1 :]]
    return replace(graph, steps=tuple(steps)), ENGINE | {"faulty": faulty(random, name)}


def faulty(random, name):
    """An operation with the right values and a wrong rule."""
    operation = TABLE[name]
    inputs, kinds = INPUTS[name], ["scaled", "scaled", "sign", "missing"]
    which = random.randrange(inputs)
    kind = random.choice([*kinds, "swapped"] if inputs == 2 else kinds)
    factor = {"scaled": 1 + 10.0 ** random.uniform(-4, 0), "sign": -1.0, "missing": 0.0, "swapped": 1.0}[kind]

    def rule(*inputs_and_out):
        *xs, out = inputs_and_out
        right = list(operation.local_gradients(*xs, out))
        if kind == "swapped":
            return tuple(reversed(right))
        right[which] = right[which] * factor if factor else 0.0
        return tuple(right)

    return Operation(f"{name} with a {kind} factor", operation.forward, rule, routes=operation.routes)


def truth(graph, i):
    """The derivative by input i; None at a kink, a jump, a pole, or outside the domain.

    One-sided differences at 160 digits, from both sides and at two steps.
    """
    found = [side for digits in (60, 70) for side in _sides(graph, i, digits)]
    if any(isinstance(side, mp.mpc) or not mp.isfinite(side) for side in found):
        return None
    spread = max(found) - min(found)
    return float(found[0]) if spread <= 1e-20 * max(map(abs, found)) + mp.mpf(10) ** -50 else None


def _sides(graph, i, digits):
    with mp.workdps(160):
        x = mp.mpf(graph.inputs[i])
        h = (abs(x) or mp.mpf(10) ** -20) * mp.mpf(10) ** -digits
        try:
            low, middle, high = (
                graph.run([mp.mpf(v) + shift * (k == i) for k, v in enumerate(graph.inputs)], CLOSED_FORMS)
                for shift in (-h, 0, h)
            )
        except (ZeroDivisionError, ValueError, TypeError):
            return (mp.nan,)
        return (middle - low) / h, (high - middle) / h
