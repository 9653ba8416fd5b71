# The iris network
import microgrannd as mg
from microgrannd.nn import MLP

data = mg.datasets.iris()
model = MLP(2, [2, 1], activation="sigmoid", seed=0)


def loss(x, y):
    return mg.losses.half_squared_error(model(x), y)


for epoch in range(0, 200, 50):
    history = mg.fit(loss, data.train, mg.optim.SGD(model.parameters(), lr=0.1), epochs=50)
    print(f"after {epoch + 50} epochs the loss is {history.losses[-1]:.4f}")

with mg.no_grad():
    guesses = [mg.evaluation.threshold(model(x)) for x in data.test.x]
print(mg.ConfusionMatrix(data.test.y, guesses))

one = loss(data.test.x[0], data.test.y[0])
one.backward()
mg.draw(one)
