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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from microgrannd.engine import Constant, Step, Value, topological_order, zero_grad
from microgrannd.errors import AnomalyError, GradientError, MicrogranndError
from microgrannd.modes import detect_anomaly, no_grad, scope, source_lines
from microgrannd.operations import (
    TABLE,
    FusedOperation,
    Operation,
    abs,
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
    log10,
    log1p,
    log2,
    logsigmoid,
    logsumexp,
    maximum,
    mean,
    minimum,
    mod,
    mul,
    neg,
    not_equal,
    pow,
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
    sum,
    tan,
    tanh,
    where,
)
from microgrannd.version import __version__

if TYPE_CHECKING:
    pass

_ROOMS = {
    "calculus": "grad gradients hessian hvp jacobian jvp value_and_grad vjp",
    "checks": "check_gradients",
    "layers": "layer_view",
    "nn": "MLP Layer Module Neuron",
    "training": "ConfusionMatrix History accuracy fit",
    "persistence": "load save",
    "drawing": "Drawing Player draw step",
    "compiler": "Program compile",
    "engine operations losses optim datasets modes": "",
}
_DOORS = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    room = _DOORS.get(name)
    if room:
        return getattr(import_module(f"microgrannd.{room}"), name)
    if name in " ".join(_ROOMS).split():
        return import_module(f"microgrannd.{name}")
    raise AttributeError(f"module 'microgrannd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOORS, *" ".join(_ROOMS).split()})
