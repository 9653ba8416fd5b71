# Backpropagation layer by layer, as the textbooks have it
import microgrannd as mg
from microgrannd.nn import MLP

# Built of single neurons, which know nothing of layers; z, a and δ are read off their graph.
model = MLP(2, [3, 2], activation="sigmoid", output="sigmoid", seed=0)
cost = mg.losses.half_squared_error(model([0.75, -1.5]), [1, 0])
cost.backward()
print(mg.layer_view(model, cost))

mg.draw(cost)
