# Derivatives of derivatives, and Newton's method
import microgrannd as mg


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


p = [-1.2, 1.0]
while rosenbrock(p) > 1e-20:
    g = mg.grad(rosenbrock)(p)
    (a, b), (_, d) = mg.hessian(rosenbrock)(p)
    det = a * d - b * b
    p = [p[0] - (d * g[0] - b * g[1]) / det, p[1] - (a * g[1] - b * g[0]) / det]
    print(f"{p[0]:9.6f} {p[1]:9.6f}   {rosenbrock(p):.3g}")

x = mg.Value(0.5, label="x")
y = mg.tanh(x) * x
mg.draw(y, backward=True)  # the backward pass is a graph, too
