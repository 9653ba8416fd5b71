"""The operations as other libraries have them, for comparing; each function imports its library.

What a library lacks is composed there of what it has, never of our rules.
"""

import math

import pytest


def needs(backend):
    """Skip the test where what the backend runs on is not installed."""
    pytest.importorskip("llvmlite" if backend == "native" else backend)


def torch_functions():
    """The operations in PyTorch."""
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional

    def tensor(x):
        return x if isinstance(x, torch.Tensor) else torch.tensor(float(x), dtype=torch.float64)

    def flag(compare):
        return lambda x, y: compare(tensor(x), tensor(y)).double()

    return _same_names(torch, tensor) | {
        "contribution": lambda x, y: tensor(x) * y,
        "mod": lambda x, y: torch.remainder(tensor(x), tensor(y)),
        "cbrt": lambda x: torch.sign(tensor(x)) * torch.abs(tensor(x)) ** (1 / 3),
        "logsigmoid": lambda x: nn.logsigmoid(tensor(x)),
        "softplus": lambda x: nn.softplus(tensor(x), threshold=1e9),
        "silu": lambda x: nn.silu(tensor(x)),
        "gelu": lambda x: nn.gelu(tensor(x)),
        "leaky_relu": lambda x, slope: torch.where(tensor(x) > 0, tensor(x), tensor(slope) * x),
        "elu": lambda x, alpha: torch.where(tensor(x) > 0, tensor(x), tensor(alpha) * torch.expm1(tensor(x))),
        "where": lambda condition, x, y: torch.where(tensor(condition) != 0, tensor(x), tensor(y)),
        "step": lambda x: (tensor(x) > 0).double(),
        "stop_gradient": lambda x: tensor(x).detach(),
        "floordiv": lambda x, y: torch.div(tensor(x), tensor(y), rounding_mode="floor"),
        "share": lambda x, y: (1 + torch.sign(tensor(x) - tensor(y))) / 2,
        **{name: flag(getattr(torch, other)) for name, other in _COMPARISONS.items()},
        "sum": lambda *xs: torch.stack([*map(tensor, xs)]).sum(),
        "mean": lambda *xs: torch.stack([*map(tensor, xs)]).mean(),
        "logsumexp": lambda *xs: torch.logsumexp(torch.stack([*map(tensor, xs)]), 0),
        "dot": _dot,
        "norm": lambda *xs: torch.linalg.vector_norm(torch.stack([*map(tensor, xs)])),
        "log1mexp": lambda x: torch.log(-torch.expm1(-tensor(x))),
        "xlog1py": lambda x, y: torch.special.xlog1py(tensor(x), tensor(y)),
    }


def in_torch():
    """What PyTorch knows, and a function of a graph and a vector: value, gradient and Hessian × vector."""
    torch, functions = pytest.importorskip("torch"), torch_functions()

    def derivatives(graph, vector):
        x = torch.tensor(graph.inputs, dtype=torch.float64, requires_grad=True)
        y = torch.as_tensor(graph.run(list(x), functions))
        zero = [0.0] * len(vector)
        if not y.requires_grad:
            return [y.item(), *zero, *zero]
        [gradient] = torch.autograd.grad(y, x, create_graph=True)
        along = gradient @ torch.tensor(vector, dtype=torch.float64)
        product = torch.autograd.grad(along, x)[0].tolist() if along.requires_grad else zero
        return [y.item(), *gradient.tolist(), *product]

    return functions, derivatives


def in_jax():
    """The same for JAX, in double precision."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    numpy, special = jax.numpy, jax.scipy.special
    functions = _numpy_like(numpy) | {
        **_special(special),
        "logsumexp": lambda *xs: special.logsumexp(numpy.array(xs)),
        "lgamma": special.gammaln,
        "digamma": special.digamma,
        "lbeta": special.betaln,
        "erfinv": special.erfinv,
        "xlogy": special.xlogy,
        "xlog1py": special.xlog1py,
        "logit": special.logit,
        "log1mexp": jax.nn.log1mexp,
        "logaddexp": numpy.logaddexp,
        "sinc": numpy.sinc,
        "norm": lambda *xs: numpy.linalg.norm(numpy.array(xs)),
    }

    def derivatives(graph, vector):
        def f(x):
            return numpy.asarray(graph.run(list(x), functions), dtype=float)

        x = numpy.array(graph.inputs)
        gradient, product = jax.jvp(jax.grad(f), (x,), (numpy.array(vector),))
        return [float(f(x)), *map(float, gradient), *map(float, product)]

    return functions, derivatives


def in_autograd():
    """The same for HIPS autograd."""
    autograd = pytest.importorskip("autograd")
    from autograd import numpy
    from autograd.scipy import special

    functions = _numpy_like(numpy) | {
        **_special(special),
        "logsumexp": lambda *xs: special.logsumexp(numpy.array(xs)),
    }

    def derivatives(graph, vector):
        def f(x):
            return numpy.array(graph.run([x[i] for i in range(len(vector))], functions)) * 1.0

        x = numpy.array(graph.inputs)
        value, gradient = autograd.value_and_grad(f)(x)
        product = autograd.hessian_vector_product(f)(x, numpy.array(vector))
        return [float(value), *map(float, gradient), *map(float, product)]

    return functions, derivatives


_COMPARISONS = {
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "equal": "eq",
    "not_equal": "ne",
}


def _same_names(library, convert):
    names = (
        *("add", "sub", "mul", "div", "neg", "abs", "pow", "square", "sqrt", "hypot", "exp", "exp2", "expm1"),
        *("log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh"),
        *("tanh", "asinh", "acosh", "atanh", "erf", "erfc", "sigmoid", "relu", "maximum", "minimum", "clamp"),
        *("sign", "floor", "ceil", "erfinv", "logit", "logaddexp", "xlogy"),  # its digamma and sinc lose digits
    )

    def with_tensors(function):
        return lambda *xs: function(*[convert(x) for x in xs])

    return {name: with_tensors(getattr(library, name)) for name in names}


def _special(special):
    return {"erf": special.erf, "erfc": special.erfc, "gelu": lambda x: 0.5 * x * special.erfc(-x / math.sqrt(2))}


def _dot(x1, x2, y1, y2, b):
    return x1 * y1 + x2 * y2 + b


def _numpy_like(numpy):
    def sigmoid(x):
        return 1 / (1 + numpy.exp(-x))

    def flag(compare):
        return lambda x, y: compare(x, y) * 1.0

    functions = {
        name: getattr(numpy, other)
        for name, other in {
            **{"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "abs": "abs"},
            **{"pow": "power", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"},
            **{"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"},
            **{
                name: name
                for name in (
                    *("square", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
                    *("sinh", "cosh", "tanh", "sign", "floor", "ceil"),
                )
            },
        }.items()
    }
    return functions | {
        "contribution": lambda x, y: x * y,
        "mod": lambda x, y: x - y * numpy.floor(x / y),
        "cbrt": lambda x: numpy.sign(x) * numpy.abs(x) ** (1 / 3),
        "hypot": lambda x, y: numpy.sqrt(x * x + y * y),
        "sigmoid": sigmoid,
        "logsigmoid": lambda x: -numpy.log1p(numpy.exp(-x)),
        "softplus": lambda x: numpy.log1p(numpy.exp(x)),
        "silu": lambda x: x * sigmoid(x),
        "relu": lambda x: numpy.where(x > 0, x, 0.0),
        "leaky_relu": lambda x, slope: numpy.where(x > 0, x, slope * x),
        "elu": lambda x, alpha: numpy.where(x > 0, x, alpha * numpy.expm1(x)),
        "maximum": lambda x, y: numpy.where(x > y, x, y),
        "minimum": lambda x, y: numpy.where(x < y, x, y),
        "clamp": lambda x, low, high: numpy.where(
            numpy.where(x > low, x, low) < high, numpy.where(x > low, x, low), high
        ),
        "where": lambda condition, x, y: numpy.where(condition != 0, x, y),
        "step": lambda x: (x > 0) * 1.0,
        "floordiv": lambda x, y: numpy.floor(x / y),
        "share": lambda x, y: (1 + numpy.sign(x - y)) / 2,
        **{name: flag(getattr(numpy, name)) for name in _COMPARISONS},
        "sum": lambda *xs: xs[0] + xs[1] + xs[2],
        "mean": lambda *xs: (xs[0] + xs[1] + xs[2]) / 3,
        "dot": _dot,
    }
