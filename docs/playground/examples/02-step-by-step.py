# Backpropagation, step by step
import microgrannd as mg
from microgrannd import Value

# x is used three times: three contributions are added up.
x, y = Value(2, label="x"), Value(-1.5, label="y")
f = x * x + 3 * x + x * y
f.label = "f"

mg.step(f)  # play it, or press the arrow keys in it
