"""The two moons' epoch as a person derives it: in NumPy, in loops for numba, and in C."""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks.harness import C_FLAGS, c_library, has_cc


def numpy_by_hand(matrices, start, x, sign, l2):
    def train(epochs, rate):
        m1, m2, m3 = matrices(start)
        for _ in range(epochs):
            a1 = np.maximum(x @ m1[:, :-1].T + m1[:, -1], 0.0)
            a2 = np.maximum(a1 @ m2[:, :-1].T + m2[:, -1], 0.0)
            scores = a2 @ m3[0, :-1] + m3[0, -1]
            d3 = np.where(1 - sign * scores > 0, -sign / len(sign), 0.0)
            d2 = np.outer(d3, m3[0, :-1]) * (a2 > 0)
            d1 = (d2 @ m2[:, :-1]) * (a1 > 0)
            for m, a, d in ((m1, x, d1), (m2, a1, d2), (m3, a2, d3[:, None])):
                m *= 1 - 2 * rate * l2
                m[:, :-1] -= rate * (d.T @ a)
                m[:, -1] -= rate * d.sum(0)
        return [number for m in (m1, m2, m3) for number in m.ravel().tolist()]

    return train


def numba_by_hand(start, x, sign, l2):
    """The loops of the C program, compiled by numba at the first call."""
    import numba

    @numba.njit(fastmath=True)
    def loops(p, x, sign, epochs, rate, l2):
        m1, m2, m3 = p[:48].reshape(16, 3), p[48:320].reshape(16, 17), p[320:]
        g = np.zeros(337)
        g1, g2, g3 = g[:48].reshape(16, 3), g[48:320].reshape(16, 17), g[320:]
        a1, a2, d1 = np.zeros(16), np.zeros(16), np.zeros(16)
        for _ in range(epochs):
            g[:] = 0.0
            for i in range(len(sign)):
                x0, x1 = x[i, 0], x[i, 1]
                for k in range(16):
                    a1[k] = max(m1[k, 0] * x0 + m1[k, 1] * x1 + m1[k, 2], 0.0)
                score = m3[16]
                for j in range(16):
                    z = m2[j, 16]
                    for k in range(16):
                        z += m2[j, k] * a1[k]
                    a2[j] = max(z, 0.0)
                    score += m3[j] * a2[j]
                if 1 - sign[i] * score <= 0:
                    continue
                d = -sign[i]
                d1[:] = 0.0
                for j in range(16):
                    g3[j] += d * a2[j]
                    if a2[j] > 0:
                        d2 = d * m3[j]
                        for k in range(16):
                            d1[k] += d2 * m2[j, k]
                            g2[j, k] += d2 * a1[k]
                        g2[j, 16] += d2
                g3[16] += d
                for k in range(16):
                    if a1[k] > 0:
                        g1[k, 0] += d1[k] * x0
                        g1[k, 1] += d1[k] * x1
                        g1[k, 2] += d1[k]
            for q in range(337):
                p[q] -= rate * (g[q] / len(sign) + 2 * l2 * p[q])

    def train(epochs, rate):
        p = np.array(start)
        loops(p, x, sign, epochs, rate, l2)
        return p.tolist()

    return train


C = """
void train(double *restrict p, const double *restrict x, const double *restrict sign, long n, long epochs,
           double rate, double l2) {
    double (*m1)[3] = (double (*)[3])p, (*m2)[17] = (double (*)[17])(p + 48), *m3 = p + 320;
    while (epochs-- > 0) {
        double g1[16][3] = {{0}}, g2[16][17] = {{0}}, g3[17] = {0};
        for (long i = 0; i < n; i++) {
            double x0 = x[2 * i], x1 = x[2 * i + 1], a1[16], a2[16], d1[16] = {0}, score = m3[16];
            for (int k = 0; k < 16; k++) {
                double z = m1[k][0] * x0 + m1[k][1] * x1 + m1[k][2];
                a1[k] = z > 0 ? z : 0;
            }
            for (int j = 0; j < 16; j++) {
                double z = m2[j][16];
                for (int k = 0; k < 16; k++) z += m2[j][k] * a1[k];
                a2[j] = z > 0 ? z : 0;
                score += m3[j] * a2[j];
            }
            if (1 - sign[i] * score <= 0) continue;
            double d = -sign[i];
            for (int j = 0; j < 16; j++) {
                g3[j] += d * a2[j];
                if (!(a2[j] > 0)) continue;
                double d2 = d * m3[j];
                for (int k = 0; k < 16; k++) { d1[k] += d2 * m2[j][k]; g2[j][k] += d2 * a1[k]; }
                g2[j][16] += d2;
            }
            g3[16] += d;
            for (int k = 0; k < 16; k++) {
                double e = a1[k] > 0 ? d1[k] : 0;
                g1[k][0] += e * x0; g1[k][1] += e * x1; g1[k][2] += e;
            }
        }
        for (int q = 0; q < 48; q++) p[q] -= rate * ((&g1[0][0])[q] / n + 2 * l2 * p[q]);
        for (int q = 0; q < 272; q++) p[48 + q] -= rate * ((&g2[0][0])[q] / n + 2 * l2 * p[48 + q]);
        for (int q = 0; q < 17; q++) p[320 + q] -= rate * (g3[q] / n + 2 * l2 * p[320 + q]);
    }
}
"""


def c_by_hand(start, x, sign, l2):
    """What makes the C program, with each choice of flags."""

    def maker(flags):
        library = c_library(C, *flags)

        def train(epochs, rate):
            p = np.array(start)
            counts = ctypes.c_long(len(sign)), ctypes.c_long(epochs), ctypes.c_double(rate), ctypes.c_double(l2)
            library.train(*[ctypes.c_void_p(array.ctypes.data) for array in (p, x, sign)], *counts)
            return p.tolist()

        return train

    return {name: lambda flags=flags: maker(flags) for name, flags in C_FLAGS.items()} if has_cc() else {}
