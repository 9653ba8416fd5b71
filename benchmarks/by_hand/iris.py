"""The iris program's epochs as a person derives them: in NumPy, in loops for numba, and in C."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from benchmarks.harness import C_FLAGS, c_library, has_cc


def numpy_by_hand(start, x, y, rate):
    def train(epochs):
        p = np.array(start)
        w, b, v = p[:6].reshape(2, 3)[:, :2], p[2:6:3], p[6:8]
        for _ in range(epochs):
            a = 1 / (1 + np.exp(-(x @ w.T + b)))
            e = a @ v + p[8] - y
            d = np.outer(e, v) * a * (1 - a)
            step = rate / len(y)
            v -= step * (e @ a)
            p[8] -= step * e.sum()
            w -= step * (d.T @ x)
            b -= step * d.sum(0)
        return p.tolist()

    return train


def numba_by_hand(start, x, y, rate):
    """The loops of the C program, compiled by numba at the first call."""
    import numba

    @numba.njit(fastmath=True)
    def loops(p, x, y, epochs, rate):
        g = np.zeros(9)
        for _ in range(epochs):
            g[:] = 0.0
            for i in range(len(y)):
                a, b = x[i, 0], x[i, 1]
                h = 1 / (1 + math.exp(-(p[0] * a + p[1] * b + p[2])))
                k = 1 / (1 + math.exp(-(p[3] * a + p[4] * b + p[5])))
                e = p[6] * h + p[7] * k + p[8] - y[i]
                dh, dk = e * p[6] * h * (1 - h), e * p[7] * k * (1 - k)
                g[0] += dh * a
                g[1] += dh * b
                g[2] += dh
                g[3] += dk * a
                g[4] += dk * b
                g[5] += dk
                g[6] += e * h
                g[7] += e * k
                g[8] += e
            for j in range(9):
                p[j] -= rate * g[j] / len(y)

    def train(epochs):
        p = np.array(start)
        loops(p, x, y, epochs, rate)
        return p.tolist()

    return train


C = """
#include <math.h>
void train(double *restrict p, const double *restrict x, const double *restrict y, long n, long epochs, double rate) {
    while (epochs-- > 0) {
        double g[9] = {0};
        for (long i = 0; i < n; i++) {
            double a = x[2 * i], b = x[2 * i + 1];
            double h = 1 / (1 + exp(-(p[0] * a + p[1] * b + p[2]))), k = 1 / (1 + exp(-(p[3] * a + p[4] * b + p[5])));
            double e = p[6] * h + p[7] * k + p[8] - y[i];
            double dh = e * p[6] * h * (1 - h), dk = e * p[7] * k * (1 - k);
            g[0] += dh * a; g[1] += dh * b; g[2] += dh;
            g[3] += dk * a; g[4] += dk * b; g[5] += dk;
            g[6] += e * h; g[7] += e * k; g[8] += e;
        }
        for (int j = 0; j < 9; j++) p[j] -= rate * g[j] / n;
    }
}
"""


def c_by_hand(start, x, y, rate):
    """What makes the C program, with each choice of flags."""

    def maker(flags):
        library = c_library(C, *flags)

        def train(epochs):
            p = np.array(start)
            counts = ctypes.c_long(len(y)), ctypes.c_long(epochs), ctypes.c_double(rate)
            library.train(*[ctypes.c_void_p(array.ctypes.data) for array in (p, x, y)], *counts)
            return p.tolist()

        return train

    return {name: lambda flags=flags: maker(flags) for name, flags in C_FLAGS.items()} if has_cc() else {}
