"""microgrannd: a scalar reverse-mode autodiff engine that you can see, trust and read.

>>> import microgrannd as mg
>>> x, y = mg.Value(2.0, label="x"), mg.Value(5.0, label="y")
>>> z = mg.tanh(x * y) + x
>>> z.backward()
>>> f"{z:.4f} {x.grad:.4f}"
'3.0000 1.0000'

The front door: every public name, and nothing else. The engine and the operations are here at once; the
other rooms are entered when one of their names is first used, so that the import stays quick.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from microgrannd import operations
from microgrannd.engine import Constant, Step, Value, topological_order, zero_grad
from microgrannd.ground import modes
from microgrannd.ground.errors import (
    AnomalyError,
    ExpressionError,
    GradientError,
    LayoutError,
    MicrogranndError,
    ModelFileError,
    TracingError,
)
from microgrannd.ground.modes import detect_anomaly, no_grad, scope, source_lines
from microgrannd.ground.moved import Moved
from microgrannd.ground.version import __version__
from microgrannd.operations import (
    TABLE,
    FusedOperation,
    Operation,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    ceil,
    clamp,
    cos,
    cosh,
    div,
    dot,
    elu,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floordiv,
    gelu,
    greater,
    greater_equal,
    hypot,
    leaky_relu,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logsigmoid,
    logsumexp,
    maximum,
    mean,
    minimum,
    mod,
    mul,
    neg,
    not_equal,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softmax,
    softplus,
    sqrt,
    square,
    stop_gradient,
    sub,
    tan,
    tanh,
    where,
)

sys.meta_path.append(Moved())
abs, pow, sum = operations.abs, operations.pow, operations.sum

if TYPE_CHECKING:
    from microgrannd import (
        calculus,
        compiler,
        datasets,
        drawing,
        engine,
        evaluation,
        expressions,
        layers,
        losses,
        nn,
        optim,
        plots,
        training,
    )
    from microgrannd.calculus import (
        GradientCheck,
        Profile,
        check_gradients,
        grad,
        gradient_graph,
        gradients,
        hessian,
        hvp,
        jacobian,
        jvp,
        profile,
        value_and_grad,
        vjp,
    )
    from microgrannd.compiler import Program
    from microgrannd.compiler import compile as compile
    from microgrannd.drawing import Drawing, Player, draw, step
    from microgrannd.layers.views import layer_view
    from microgrannd.learning.modules import Module
    from microgrannd.nn import MLP, Layer, Neuron
    from microgrannd.persistence import load, save
    from microgrannd.training import ConfusionMatrix, History, accuracy, fit

# What is loaded when it is first used: each room with the names that it gives.
_ROOMS = {
    "calculus": "grad gradient_graph gradients hessian hvp jacobian jvp value_and_grad vjp",
    "calculus.checks": "GradientCheck check_gradients",
    "layers.views": "layer_view",
    "calculus.profiling": "Profile profile",
    "learning.modules": "Module",
    "nn": "MLP Layer Neuron",
    "training": "ConfusionMatrix History accuracy fit",
    "persistence": "load save",
    "drawing": "Drawing Player draw step",
    "compiler": "Program compile",
}
_DOORS = {name: room for room, names in _ROOMS.items() for name in names.split()}
_MODULES = {
    "calculus",
    "compiler",
    "datasets",
    "drawing",
    "engine",
    "evaluation",
    "expressions",
    "layers",
    "losses",
    "nn",
    "operations",
    "optim",
    "plots",
    "training",
}

# All but `abs`, `compile`, `pow` and `sum`, so that a star import leaves the builtins alone.
__all__ = [
    "MLP",
    "TABLE",
    "AnomalyError",
    "ConfusionMatrix",
    "Constant",
    "Drawing",
    "ExpressionError",
    "FusedOperation",
    "GradientCheck",
    "GradientError",
    "History",
    "Layer",
    "LayoutError",
    "MicrogranndError",
    "ModelFileError",
    "Module",
    "Neuron",
    "Operation",
    "Player",
    "Profile",
    "Program",
    "Step",
    "TracingError",
    "Value",
    "__version__",
    "accuracy",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "calculus",
    "cbrt",
    "ceil",
    "check_gradients",
    "clamp",
    "compiler",
    "cos",
    "cosh",
    "datasets",
    "detect_anomaly",
    "div",
    "dot",
    "draw",
    "drawing",
    "elu",
    "engine",
    "equal",
    "erf",
    "erfc",
    "evaluation",
    "exp",
    "exp2",
    "expm1",
    "expressions",
    "fit",
    "floor",
    "floordiv",
    "gelu",
    "grad",
    "gradient_graph",
    "gradients",
    "greater",
    "greater_equal",
    "hessian",
    "hvp",
    "hypot",
    "jacobian",
    "jvp",
    "layer_view",
    "layers",
    "leaky_relu",
    "less",
    "less_equal",
    "load",
    "log",
    "log1p",
    "log2",
    "log10",
    "logsigmoid",
    "logsumexp",
    "losses",
    "maximum",
    "mean",
    "minimum",
    "mod",
    "modes",
    "mul",
    "neg",
    "nn",
    "no_grad",
    "not_equal",
    "operations",
    "optim",
    "plots",
    "profile",
    "relu",
    "save",
    "scope",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "source_lines",
    "sqrt",
    "square",
    "step",
    "stop_gradient",
    "sub",
    "tan",
    "tanh",
    "topological_order",
    "training",
    "value_and_grad",
    "vjp",
    "where",
    "zero_grad",
]


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(import_module(f"microgrannd.{_DOORS[name]}"), name)
    if name in _MODULES:
        return import_module(f"microgrannd.{name}")
    raise AttributeError(f"module 'microgrannd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOORS, *_MODULES})
