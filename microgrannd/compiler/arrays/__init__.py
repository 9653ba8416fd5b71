"""Array code on NumPy, JAX, PyTorch, and on loops of our own."""
