# A chain of a hundred thousand nodes
import microgrannd as mg
from microgrannd import Value

x = Value(1.0, label="x")
y = x
for _ in range(100_000):
    y = mg.sin(y)
y.backward()
print(f"sin(sin(…sin(1))) is {y.data:.6f}, and its derivative {x.grad:.3g}")

mg.draw(y)  # folded, so that it can be seen
