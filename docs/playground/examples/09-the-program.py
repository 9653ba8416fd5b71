# The program that a person would have derived
import microgrannd as mg
from microgrannd import Value

w, b = Value(0.5, label="w"), Value(-0.25, label="b")


def loss(x, y):
    return mg.square(mg.tanh(w * x + b) - y)


program = mg.compile(loss)
program.trace(1.0, 0.0)
print(program.python_source)
