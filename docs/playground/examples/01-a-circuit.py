# A circuit: (x + y) z
import microgrannd as mg
from microgrannd import Value

x, y, z = Value(-2, label="x"), Value(5, label="y"), Value(-4, label="z")
f = (x + y) * z
f.label = "f"
f.backward()
print(f"f = {f.data:g}, and its gradient is {x.grad:g}, {y.grad:g}, {z.grad:g}")

mg.draw(f)  # the last line is shown: change a number and run again
