"""microgrannd: a scalar reverse-mode autodiff engine that you can see, trust and read."""

from microgrannd.engine import Value
from microgrannd.modes import detect_anomaly, no_grad, scope

__all__ = ["Value", "detect_anomaly", "no_grad", "scope"]
