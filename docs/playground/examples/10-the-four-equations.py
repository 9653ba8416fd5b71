# The matrices hidden in the scalars
import microgrannd as mg
from microgrannd.nn import MLP

# Built of single neurons; the four equations of backpropagation are found in them.
model = MLP(2, [3, 2], activation="sigmoid", output="sigmoid", seed=0)


def cost(x, y):
    return mg.losses.half_squared_error(model(x), y)


print(mg.compile(cost).trace([0.75, -1.5], [1.0, 0.0]).matrix_source)
