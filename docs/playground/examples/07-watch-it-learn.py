# Watch a network learn
import microgrannd as mg
from microgrannd.nn import MLP

model = MLP(2, [2, 1], activation="tanh", seed=1)
xor = ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
optimizer = mg.optim.SGD(model.parameters(), lr=0.5)

mg.step(model, data=xor, loss="half_squared_error", optimizer=optimizer, steps=5)
