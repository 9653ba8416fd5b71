"""A neuron that feeds itself, with its gradients, as a person writes it in C."""

C = """
#include <math.h>
#include <stdlib.h>

double recurrent(const double *x, long n, double y, double w, double u, double b, double *d_x, double *d) {
    double *h = malloc((n + 1) * sizeof(double));
    h[0] = 0;
    for (long i = 0; i < n; i++) h[i + 1] = tanh(w * h[i] + u * x[i] + b);
    double e = h[n] - y, d_h = 2 * e, d_w = 0, d_u = 0, d_b = 0;
    for (long i = n; i-- > 0;) {
        double d_z = d_h * (1 - h[i + 1] * h[i + 1]);
        d_w += d_z * h[i];
        d_u += d_z * x[i];
        d_b += d_z;
        d_x[i] = d_z * u;
        d_h = d_z * w;
    }
    free(h);
    d[0] = -2 * e; d[1] = d_w; d[2] = d_u; d[3] = d_b;
    return e * e;
}
"""
