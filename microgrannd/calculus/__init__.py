"""Derivatives of plain functions (`grad` and its kin), of graphs that exist already, and checks of both."""

from microgrannd.calculus.checks import GradientCheck, check_gradients
from microgrannd.calculus.passes import gradient_graph, gradients
from microgrannd.calculus.profiling import Profile, profile
from microgrannd.calculus.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = ["GradientCheck", "Profile", "check_gradients", "gradient_graph", "gradients", "profile"]
__all__ += ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
