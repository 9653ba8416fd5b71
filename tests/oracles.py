"""Answers that do not come from the code under test: worked examples, and every operation in mpmath."""

import json
import math
from functools import cache
from pathlib import Path

import mpmath as mp

from microgrannd.operations import TABLE


@cache
def _examples():
    path = Path(__file__).parent / "data" / "examples.json"
    return {entry["id"]: entry for entry in json.loads(path.read_text(encoding="utf-8"))["examples"]}


def example(name):
    """The worked example of that id, as the project's copy of the collection has it."""
    return _examples()[name]


def agrees(got, want, tolerance):
    """Whether |got - want| <= tolerance * max(1, |want|) for every number of two equal nests."""
    if isinstance(want, (list, tuple)):
        return len(got) == len(want) and all(agrees(g, w, tolerance) for g, w in zip(got, want, strict=True))
    if math.isnan(want) or math.isinf(want):
        return got == want or (math.isnan(want) and math.isnan(got))
    return abs(got - want) <= tolerance * max(1.0, abs(want))


# Closed forms of the operations, as functions of mpmath numbers. The derivatives are mpmath's own. A row that is not
# here is held against the definition that its `about` gives after a colon. One that is not defined for every number
# has an entry in DOMAINS: how to draw each input at random.


def _flag(holds):
    return lambda *numbers: mp.mpf(bool(holds(*numbers)))


def _polygamma(order, x):
    """NaN where it has no meaning, so that there is nothing to compare with: it has no derivative by its order."""
    whole = order == mp.floor(order) and 0 <= order <= 170
    return mp.psi(int(order), x) if whole and not (x == mp.floor(x) and x <= 0) else mp.nan


def _log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b) if a > 0 and b > 0 else mp.nan


def _inverse_of_erf(x):
    return mp.erfinv(x) if abs(x) < 1 else mp.nan


def _times_logarithm(x, y):
    return x * mp.log(y) if x else mp.mpf(0)


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


CLOSED_FORMS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "mod": lambda x, y: x - y * mp.floor(x / y),
    "contribution": lambda upstream, local: upstream * local,
    "pow": lambda x, y: x**y,
    "square": lambda x: x * x,
    "sqrt": mp.sqrt,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "hypot": mp.hypot,
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x, 2),
    "log10": mp.log10,
    "log1p": lambda x: mp.log(1 + x),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "atan2": mp.atan2,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "logaddexp": lambda x, y: mp.log(mp.exp(x) + mp.exp(y)),
    "log1mexp": lambda x: mp.log(-mp.expm1(-x)),
    "logit": lambda x: mp.log(x / (1 - x)),
    "xlogy": _times_logarithm,
    "xlog1py": lambda x, y: _times_logarithm(x, 1 + y),
    "sinc": lambda x: mp.sincpi(x),
    "gamma": mp.gamma,
    "lgamma": lambda x: mp.re(mp.loggamma(x)),
    "digamma": mp.digamma,
    "polygamma": _polygamma,
    "lbeta": _log_beta,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfinv": _inverse_of_erf,
    "sigmoid": _sigmoid,
    "logsigmoid": lambda x: -mp.log(1 + mp.exp(-x)),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * mp.ncdf(x),
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x, slope: x if x > 0 else slope * x,
    "elu": lambda x, alpha: x if x > 0 else alpha * (mp.exp(x) - 1),
    "maximum": max,
    "minimum": min,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "where": lambda condition, x, y: x if condition else y,
    "sign": mp.sign,
    "step": _flag(lambda x: x > 0),
    "floor": mp.floor,
    "ceil": mp.ceil,
    "stop_gradient": lambda x: x,
    "floordiv": lambda x, y: mp.floor(x / y),
    "share": lambda x, y: (1 + mp.sign(x - y)) / 2,
    "less": _flag(lambda x, y: x < y),
    "less_equal": _flag(lambda x, y: x <= y),
    "greater": _flag(lambda x, y: x > y),
    "greater_equal": _flag(lambda x, y: x >= y),
    "equal": _flag(lambda x, y: x == y),
    "not_equal": _flag(lambda x, y: x != y),
    "sum": lambda *xs: mp.fsum(xs),
    "mean": lambda *xs: mp.fsum(xs) / len(xs),
    "dot": lambda x1, x2, y1, y2, b: x1 * y1 + x2 * y2 + b,
    "logsumexp": lambda *xs: mp.log(mp.fsum(map(mp.exp, xs))),
    "norm": lambda *xs: mp.sqrt(mp.fsum(x * x for x in xs)),
}


def closed_form(name):
    """The closed form of a row; None for one that has neither an entry nor a definition."""
    if name in CLOSED_FORMS:
        return CLOSED_FORMS[name]
    operation = TABLE[name]
    definition = operation.about.partition(": ")[2]
    if not definition or operation.vectors:
        return None
    code, known = compile(definition, name, "eval"), vars(mp) | {"abs": abs, "max": max, "min": min}
    return lambda *numbers: eval(code, known, dict(zip(operation.inputs, numbers, strict=True)))


def _anywhere(random):
    return random.gauss(0, 3)


def _positive(random):
    return abs(random.gauss(0, 3)) + 1e-3


def _between_ones(random):
    return random.uniform(-1, 1)


DOMAINS = {
    **dict.fromkeys(["sqrt", "log", "log2", "log10"], (_positive,)),
    **dict.fromkeys(["asin", "acos", "atanh", "erfinv"], (_between_ones,)),
    "log1mexp": (_positive,),
    "logit": (lambda random: random.uniform(0, 1),),
    "xlogy": (_anywhere, _positive),
    "xlog1py": (_anywhere, lambda random: _positive(random) - 1),
    "polygamma": (lambda random: float(random.randint(0, 5)), _anywhere),
    "lbeta": (_positive, _positive),
    "log1p": (lambda random: _positive(random) - 1,),
    "acosh": (lambda random: _positive(random) + 1,),
    "pow": (_positive, _anywhere),
    "clamp": (_anywhere, lambda random: -_positive(random), _positive),
}


def draw(name, random, inputs):
    """Inputs of an operation at random, from where it is defined."""
    return [draw_one(random) for draw_one in DOMAINS.get(name, (_anywhere,) * inputs)]


def derivative(name, inputs, orders, digits=50):
    """A partial derivative of the closed form, `orders` times by each input; None where there is none.

    It is the limit from both sides, so there is none at a kink or a jump; nor is there where the result is
    complex.
    """
    numbers, function = tuple(map(mp.mpf, inputs)), closed_form(name)
    with mp.workdps(digits):
        try:
            if not any(orders):
                sides = [function(*numbers)]
            else:
                sides = [mp.diff(function, numbers, tuple(orders), direction=side) for side in (1, -1)]
        except (ZeroDivisionError, ValueError, TypeError):
            return None
        if any(isinstance(side, mp.mpc) or mp.isnan(side) for side in sides):
            return None
        found = sides[0]
        if abs(found - sides[-1]) > max(abs(found) * mp.mpf(10) ** (-0.3 * digits), noise(digits)):
            return None
    if any(orders) and abs(found) > 10**20 and digits < 150:  # is it so, or does it grow with a smaller step?
        finer = derivative(name, inputs, orders, digits + 60)
        return finer if finer is not None and abs(found - finer) < abs(found) / 2 else None
    return found


def noise(digits):
    """How small a derivative has to be for mpmath's to be nothing but rounding."""
    return mp.mpf(10) ** (-0.8 * digits)
