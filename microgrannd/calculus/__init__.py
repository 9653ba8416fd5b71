"""Derivatives of plain functions (`grad` and its kin), of graphs that exist already, and checks of both."""

from microgrannd.calculus.checks import GradientCheck, check_gradients
from microgrannd.calculus.passes import gradient_graph, gradients
from microgrannd.calculus.profiling import Profile, profile
from microgrannd.calculus.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "GradientCheck",
    "Profile",
    "check_gradients",
    "grad",
    "gradient_graph",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "profile",
    "value_and_grad",
    "vjp",
]
