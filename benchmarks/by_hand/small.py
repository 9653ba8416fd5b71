"""The small functions and their derivatives as a person writes them: in NumPy, in loops for numba, and in C."""

from __future__ import annotations

import math

import numpy as np

SQRT_HALF, ONE_OVER_SQRT_2_PI = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def numpy_by_hand(name):
    """One function does for a sample and for columns; on single numbers NumPy is slow, and on columns quick."""
    function = {"Rosenbrock-10": numpy_rosenbrock, "Black-Scholes": numpy_black_scholes}[name]
    return function, function


def numpy_rosenbrock(*columns):
    x = np.array(columns)
    u, v = x[1:] - x[:-1] * x[:-1], 1 - x[:-1]
    slopes = np.zeros_like(x)
    slopes[1:] = 200 * u
    slopes[:-1] -= 400 * u * x[:-1] + 2 * v
    return (100 * u * u + v * v).sum(0), slopes


def numpy_black_scholes(s, k, r, v, t):
    """The sensitivities in closed form; NumPy has no erf of its own, so SciPy's where it is."""
    from scipy.special import ndtr

    root = np.sqrt(t)
    spread = v * root
    d = (np.log(s / k) + (r + v * v / 2) * t) / spread
    first, second, discount = ndtr(d), ndtr(d - spread), np.exp(-r * t)
    vega = s * ONE_OVER_SQRT_2_PI * np.exp(-d * d / 2) * root
    price = s * first - k * discount * second
    by_time = vega * v / (2 * t) + r * k * discount * second
    return price, (first, -discount * second, k * t * discount * second, vega, by_time)


def numba_by_hand(name):
    import numba

    sqrt, log, exp, erfc = math.sqrt, math.log, math.exp, math.erfc

    @numba.njit
    def rosenbrock(x, g):
        total = 0.0
        g[:] = 0.0
        for i in range(9):
            u, v = x[i + 1] - x[i] * x[i], 1 - x[i]
            total += 100 * u * u + v * v
            g[i + 1] += 200 * u
            g[i] -= 400 * u * x[i] + 2 * v
        return total

    @numba.njit
    def black_scholes(s, k, r, v, t):
        root = sqrt(t)
        spread = v * root
        d = (log(s / k) + (r + v * v / 2) * t) / spread
        first, second = 0.5 * erfc(-d * SQRT_HALF), 0.5 * erfc((spread - d) * SQRT_HALF)
        due = exp(-r * t) * second
        vega = s * ONE_OVER_SQRT_2_PI * exp(-d * d / 2) * root
        return s * first - k * due, (first, -due, k * t * due, vega, vega * v / (2 * t) + r * k * due)

    @numba.njit
    def batch_of_rosenbrock(columns, values, slopes):
        x, g = np.empty(10), np.empty(10)
        for i in range(len(values)):
            for j in range(10):
                x[j] = columns[j, i]
            values[i] = rosenbrock(x, g)
            for j in range(10):
                slopes[j, i] = g[j]

    @numba.njit
    def batch_of_black_scholes(c, values, slopes):
        for i in range(len(values)):
            values[i], g = black_scholes(c[0, i], c[1, i], c[2, i], c[3, i], c[4, i])
            for j in range(5):
                slopes[j, i] = g[j]

    x, g = np.empty(10), np.empty(10)

    def one_rosenbrock(*numbers):
        x[:] = numbers
        return rosenbrock(x, g), g

    if name == "Rosenbrock-10":
        one, batch, size = one_rosenbrock, batch_of_rosenbrock, 10
    else:
        one, batch, size = black_scholes, batch_of_black_scholes, 5

    def over(*columns):
        values, slopes = np.empty(len(columns[0])), np.empty((size, len(columns[0])))
        batch(np.array(columns), values, slopes)
        return values, slopes

    return one, over


C = """
#include <math.h>
void rosenbrock_10(const double **restrict x, double **restrict g, long count) {
    for (long i = 0; i < count; i++) {
        double total = 0, last = 0;
        for (int j = 0; j < 9; j++) {
            double a = x[j][i], u = x[j + 1][i] - a * a, v = 1 - a;
            total += 100 * u * u + v * v;
            g[j + 1][i] = last - 400 * u * a - 2 * v;
            last = 200 * u;
        }
        g[10][i] = last;
        g[0][i] = total;
    }
}
void black_scholes(const double **restrict x, double **restrict g, long count) {
    for (long i = 0; i < count; i++) {
        double s = x[0][i], k = x[1][i], r = x[2][i], v = x[3][i], t = x[4][i];
        double root = sqrt(t), spread = v * root, d = (log(s / k) + (r + v * v / 2) * t) / spread;
        double first = 0.5 * erfc(-d * M_SQRT1_2), second = 0.5 * erfc((spread - d) * M_SQRT1_2);
        double due = exp(-r * t) * second, vega = s * (M_2_SQRTPI * M_SQRT1_2 / 2) * exp(-d * d / 2) * root;
        g[0][i] = s * first - k * due;
        g[1][i] = first; g[2][i] = -due; g[3][i] = k * t * due; g[4][i] = vega;
        g[5][i] = vega * v / (2 * t) + r * k * due;
    }
}
"""
