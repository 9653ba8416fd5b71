"""Backpropagation as the textbooks write it: gates, and layers with a forward and a backward."""

from microgrannd.layers.gates import ComputationalGraph, Gate
from microgrannd.layers.network import ActivationLayer, Affine, FullyConnectedLayer, Network, SoftmaxWithLoss

__all__ = ["ActivationLayer", "Affine", "ComputationalGraph", "FullyConnectedLayer"]
__all__ += ["Gate", "Network", "SoftmaxWithLoss"]
