"""Derivatives of plain functions (`grad` and its kin), of graphs that exist already, and checks of both."""

from importlib import import_module
from typing import Any

from microgrannd.calculus.passes import gradient_graph, gradients
from microgrannd.calculus.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = ["grad", "gradient_graph", "gradients", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
_LATER = {"GradientCheck": "checks", "check_gradients": "checks", "Profile": "profiling", "profile": "profiling"}


def __getattr__(name: str) -> Any:
    if name in _LATER:  # which load more than a derivative needs
        return getattr(import_module(f"microgrannd.calculus.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
