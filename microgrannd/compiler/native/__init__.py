"""Straight lines in native code: kernels, training, direct calls."""
