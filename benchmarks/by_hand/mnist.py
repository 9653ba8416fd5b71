"""The book's network on a minibatch as a person writes it in loops: in C, and for numba.

The loops run in the order sample, input, output, so that the innermost goes along rows and is vectorised, a
few samples and inputs at a time; what goes backward through a matrix uses its transpose, for the same reason.
"""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks.harness import C_FLAGS, c_library, has_cc

C = """
#include <math.h>
#include <string.h>
#define N 64
#define A 196
#define B 100
#define C 50
#define D 10
/* y += x w, where XIK is the element (i, k) of x. Two rows and U inputs at a time, so that y is seldom stored. */
#define PRODUCT(XIK, w, y, I, K, J, U)                                                \\
    for (int i0 = 0; i0 < I; i0 += 2)                                                 \\
        for (int k0 = 0; k0 < K; k0 += U)                                             \\
            for (int j = 0; j < J; j++)                                               \\
                for (int i = i0; i < i0 + 2; i++) {                                   \\
                    double sum = y[i][j];                                             \\
                    for (int k = k0; k < k0 + U; k++) sum += XIK * w[k][j];           \\
                    y[i][j] = sum;                                                    \\
                }
#define FORWARD(x, w, b, y, K, J, U)                                                  \\
    for (int i = 0; i < N; i++) memcpy(y[i], b, sizeof y[i]);                         \\
    PRODUCT(x[i][k], w, y, N, K, J, U)                                                \\
    for (int i = 0; i < N; i++)                                                       \\
        for (int j = 0; j < J; j++) y[i][j] = 1 / (1 + exp(-y[i][j]));
#define BACKWARD(d, w, y, e, K, J) {                                                  \\
        static double t[J][K];                                                        \\
        for (int k = 0; k < K; k++) for (int j = 0; j < J; j++) t[j][k] = w[k][j];    \\
        memset(e, 0, sizeof e);                                                       \\
        PRODUCT(d[i][k], t, e, N, J, K, 5)                                            \\
        for (int i = 0; i < N; i++)                                                   \\
            for (int k = 0; k < K; k++) e[i][k] *= y[i][k] * (1 - y[i][k]);           \\
    }
#define UPDATE(x, d, w, b, K, J) {                                                    \\
        static double g[K][J];                                                        \\
        memset(g, 0, sizeof g);                                                       \\
        PRODUCT(x[k][i], d, g, K, N, J, 4)                                            \\
        for (int k = 0; k < K; k++) for (int j = 0; j < J; j++) w[k][j] -= rate * g[k][j];  \\
        for (int i = 0; i < N; i++) for (int j = 0; j < J; j++) b[j] -= rate * d[i][j];     \\
    }
void minibatch(const double (*restrict x)[A], const double (*restrict target)[D],
               double (*restrict w1)[B], double *restrict b1, double (*restrict w2)[C], double *restrict b2,
               double (*restrict w3)[D], double *restrict b3, double rate) {
    static double a1[N][B], a2[N][C], a3[N][D], d1[N][B], d2[N][C], d3[N][D];
    FORWARD(x, w1, b1, a1, A, B, 7)
    FORWARD(a1, w2, b2, a2, B, C, 5)
    FORWARD(a2, w3, b3, a3, C, D, 5)
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) d3[i][j] = (a3[i][j] - target[i][j]) * a3[i][j] * (1 - a3[i][j]);
    BACKWARD(d3, w3, a2, d2, C, D)
    BACKWARD(d2, w2, a1, d1, B, C)
    UPDATE(a2, d3, w3, b3, C, D)
    UPDATE(a1, d2, w2, b2, B, C)
    UPDATE(x, d1, w1, b1, A, B)
}
"""


class Loops:
    """Minibatch after minibatch through a function that changes the weights where they are."""

    def __init__(self, minibatch, weights, batches, rate):
        self.minibatch, self.batches, self.rate = minibatch, batches, rate
        self.arrays = [array for pair in weights for array in pair]

    def __call__(self):
        for x, y in self.batches:
            self.minibatch(x, y, *self.arrays, self.rate)

    def weights(self):
        return self.arrays[::2]


def c_by_hand(weights, batches, rate):
    """What makes the C program, with each choice of flags."""

    def maker(flags):
        run = c_library(C, *flags).minibatch

        def minibatch(*arguments):
            *arrays, rate = arguments
            run(*[ctypes.c_void_p(array.ctypes.data) for array in arrays], ctypes.c_double(rate))

        return Loops(minibatch, weights(), batches(), rate)

    return {name: lambda flags=flags: maker(flags) for name, flags in C_FLAGS.items()} if has_cc() else {}


def numba_by_hand(weights, batches, rate):
    """Matrix products by NumPy's own BLAS, what is between them in fused loops."""
    import numba

    @numba.njit(fastmath=True)
    def forward(x, w, b):
        y = np.dot(x, w)
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = 1 / (1 + np.exp(-(y[i, j] + b[j])))
        return y

    @numba.njit(fastmath=True)
    def backward(d, w, y):
        e = np.dot(d, w.T)
        for i in range(e.shape[0]):
            for k in range(e.shape[1]):
                e[i, k] *= y[i, k] * (1 - y[i, k])
        return e

    @numba.njit(fastmath=True)
    def update(x, d, w, b, rate):
        g = np.dot(x.T, d)
        for k in range(w.shape[0]):
            for j in range(w.shape[1]):
                w[k, j] -= rate * g[k, j]
        for i in range(d.shape[0]):
            for j in range(d.shape[1]):
                b[j] -= rate * d[i, j]

    @numba.njit(fastmath=True)
    def minibatch(x, y, w1, b1, w2, b2, w3, b3, rate):
        a1 = forward(x, w1, b1)
        a2 = forward(a1, w2, b2)
        a3 = forward(a2, w3, b3)
        d3 = (a3 - y) * a3 * (1 - a3)
        d2 = backward(d3, w3, a2)
        d1 = backward(d2, w2, a1)
        update(a2, d3, w3, b3, rate)
        update(a1, d2, w2, b2, rate)
        update(x, d1, w1, b1, rate)

    return Loops(minibatch, weights(), batches(), rate)
