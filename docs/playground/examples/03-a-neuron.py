# A neuron, and the rule on each edge
import microgrannd as mg
from microgrannd import Value

w0, w1, b = Value(2, label="w0"), Value(-3, label="w1"), Value(-3, label="b")
x0, x1 = Value(-1, label="x0"), Value(-2, label="x1")
out = mg.sigmoid(w0 * x0 + w1 * x1 + b)
out.label = "out"
out.backward()

mg.draw(out, rules=True)
