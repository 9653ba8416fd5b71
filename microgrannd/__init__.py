"""microgrannd: a scalar reverse-mode autodiff engine that you can see, trust and read.

>>> import microgrannd as mg
>>> x, y = mg.Value(2.0, label="x"), mg.Value(5.0, label="y")
>>> z = mg.tanh(x * y) + x
>>> z.backward()
>>> f"{z:.4f} {x.grad:.4f}"
'3.0000 1.0000'

The engine and the operations are here at once, the rest is loaded when one of its names is first used, so that the
import stays quick. Type checkers read `__init__.pyi`, which `python -m docs.build stubs` writes.
"""

# ruff: noqa: F401, F403
import builtins as _builtins
import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _Module

from microgrannd import operations
from microgrannd.engine import Constant, Step, Value, topological_order, zero_grad
from microgrannd.ground import modes
from microgrannd.ground.errors import *
from microgrannd.ground.modes import detect_anomaly, no_grad, scope, source_lines
from microgrannd.ground.moved import Moved as _Moved
from microgrannd.ground.version import __version__
from microgrannd.nodes.elsewhere import no_name as _no_name
from microgrannd.operations import TABLE, FusedOperation, Operation, softmax

_sys.meta_path.append(_Moved())

# What is loaded when it is first used: each room with the names that it gives.
_ROOMS = {
    "calculus": "grad gradient_graph gradients hessian hvp jacobian jvp value_and_grad vjp",
    "calculus.derivations": "Derivation derive",
    "calculus.checks": "GradientCheck check_gradients",
    "layers.views": "layer_view",
    "calculus.profiling": "Profile profile",
    "learning.modules": "Module",
    "nodes.interpolation": "interp",
    "nn": "MLP Layer Neuron",
    "training": "ConfusionMatrix History accuracy clip_grad_norm clip_grad_value fit",
    "persistence": "load save",
    "drawing": "Drawing Player draw step",
    "compiler": "Program compile",
}
_DOORS = {name: room for room, names in _ROOMS.items() for name in names.split()}
_MODULES = {
    *("calculus", "compiler", "datasets", "drawing", "engine", "evaluation", "expressions", "layers", "losses"),
    *("nn", "operations", "optim", "plots", "training"),
}
_INSIDE = {"exercises": "app.exercises"}  # modules that lie deeper than their names say
globals().update({_name: _row for _name, _row in TABLE.items() if _name not in _DOORS})


def __getattr__(name: str) -> object:
    if name in _DOORS:
        return getattr(_import_module(f"microgrannd.{_DOORS[name]}"), name)
    if name in _MODULES:
        return _import_module(f"microgrannd.{name}")
    if name in _INSIDE:
        return _import_module(f"microgrannd.{_INSIDE[name]}")
    if name == "load_ipython_extension":  # which `%load_ext microgrannd` asks for
        return _import_module("microgrannd.app.notebook").load_ipython_extension
    if name in TABLE:  # a row that was added later
        return TABLE[name]
    raise _no_name("microgrannd", name)


def __dir__() -> list[str]:
    return sorted({*__all__, *TABLE, "compile"})


# All but `abs`, `compile`, `pow` and `sum`, so that a star import leaves the builtins alone.
__all__ = sorted(
    {_name for _name, _thing in globals().items() if _name[0] != "_" and not isinstance(_thing, _Module)}.union(
        _DOORS, _MODULES, _INSIDE, ["__version__", "modes"]
    ).difference(vars(_builtins))
)
