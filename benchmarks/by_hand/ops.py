"""The mixed operations written out, forward and backward: in C, as fast as this machine goes, and for numba."""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks.harness import C_FLAGS, c_library

C = """
#include <stdlib.h>
void run(const double *leaf, double *slope, long rounds) {
    double *kept = malloc((4 * rounds + 1) * sizeof(double)), y = leaf[0], g = 1;
    for (int i = 0; i < 50; i++) slope[i] = 0;
    for (long i = 0; i < rounds; i++) {
        double a = leaf[i % 50], b = leaf[(7 * i + 3) % 50];
        double *at = kept + 4 * i;
        at[0] = y; y = y * a; at[1] = y; y = y + b; at[2] = y; y = y / a; at[3] = y;
        y = y - (b > 0 ? b : 0); y = a - y;
    }
    for (long i = rounds; i-- > 0;) {
        long ia = i % 50, ib = (7 * i + 3) % 50;
        double a = leaf[ia], b = leaf[ib], *at = kept + 4 * i;
        slope[ia] += g; g = -g; slope[ib] -= b > 0 ? g : 0;
        slope[ia] -= g * at[3] / a; g = g / a; slope[ib] += g;
        slope[ia] += g * at[0]; g = g * a;
    }
    slope[0] += g;
    free(kept);
}
"""


def c_by_hand(leaves, size):
    found = {}
    for name, flags in C_FLAGS.items():
        if library := c_library(C, *flags):
            found[name] = in_c(library, (ctypes.c_double * 50)(*leaves), size)
    return found


def in_c(library, numbers, size):
    slopes = (ctypes.c_double * 50)()

    def call():
        library.run(numbers, slopes, ctypes.c_long(size // 6))
        return list(slopes)

    return call


def numba_by_hand(leaves, size):
    """The loops of the C program, compiled by numba at the first call."""
    import numba

    @numba.njit
    def loops(leaf, kept, slope):
        y, g, rounds = leaf[0], 1.0, len(kept)
        for i in range(rounds):
            a, b = leaf[i % 50], leaf[(7 * i + 3) % 50]
            kept[i, 0] = y
            kept[i, 1] = (y * a + b) / a
            y = a - (kept[i, 1] - max(b, 0.0))
        for i in range(rounds - 1, -1, -1):
            ia, ib = i % 50, (7 * i + 3) % 50
            a, b = leaf[ia], leaf[ib]
            slope[ia] += g
            g = -g
            slope[ib] -= g if b > 0 else 0.0
            slope[ia] -= g * kept[i, 1] / a
            g = g / a
            slope[ib] += g
            slope[ia] += g * kept[i, 0]
            g = g * a
        slope[0] += g

    numbers = np.array(leaves)

    def call():
        slope = np.zeros(50)
        loops(numbers, np.empty((size // 6, 2)), slope)
        return slope.tolist()

    return call
