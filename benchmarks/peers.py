"""What several workloads need of one peer: the quickest way to call it, and the operations that it lacks."""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np


def casadi_call(function, sizes_in, sizes_out):
    """A function through its buffers, the fastest way that CasADi has from Python: numbers in, run, numbers out.

    It takes an array for each input and returns the arrays of the results, the same ones each time.
    """
    buffer, run = function.buffer()
    given, found = [np.zeros(n) for n in sizes_in], [np.zeros(n) for n in sizes_out]
    for i, array in enumerate(given):
        buffer.set_arg(i, memoryview(array))
    for i, array in enumerate(found):
        buffer.set_res(i, memoryview(array))

    def call_with_one(numbers):
        only[:] = numbers
        run()
        return found

    def call(*arrays):
        for array, numbers in zip(given, arrays, strict=True):
            array[:] = numbers
        run()
        return found

    only, call = given[0], call_with_one if len(given) == 1 else call
    call.keeps = function, buffer
    return call


def casadi_through_c(function, *flags):
    """The C that CasADi generates for a function, compiled and loaded."""
    import casadi

    folder, here = tempfile.mkdtemp(), os.getcwd()
    os.chdir(folder)  # it writes its file nowhere else
    try:
        function.generate("f.c")
    finally:
        os.chdir(here)
    command = ["cc", "-O3", "-march=native", *flags, "-shared", "-fPIC", "f.c", "-o", "f.so", "-lm"]
    subprocess.run(command, check=True, cwd=folder)
    return casadi.external(function.name(), str(Path(folder) / "f.so"))


def jax_in_double():
    """JAX, told to compute with 64 bits."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def torch_on_one_thread():
    """PyTorch, on one thread and in double precision, which serve it best at these sizes and make it comparable."""
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    return torch


def xad_gradients(function, numbers):
    """The value and the derivatives of a function of a list of xad's numbers, recorded anew."""
    from xad.adj_1st import Real, Tape

    with Tape() as tape:
        leaves = [Real(number) for number in numbers]
        tape.registerInputs(leaves)
        tape.newRecording()
        y = function(leaves)
        tape.registerOutput(y)
        y.setDerivative(1.0)
        tape.computeAdjoints()
        return y.getValue(), [leaf.getDerivative() for leaf in leaves]


def micrograd_operation(forward, derivative):
    """An operation that micrograd lacks, in its own manner: a closure at the node."""
    from micrograd.engine import Value

    def apply(x):
        out = Value(forward(x.data), (x,))

        def backward():
            x.grad += derivative(x.data, out.data) * out.grad

        out._backward = backward
        return out

    return apply


def micrograd_sigmoid():
    return micrograd_operation(lambda x: 1 / (1 + math.exp(-x)), lambda x, out: out * (1 - out))
