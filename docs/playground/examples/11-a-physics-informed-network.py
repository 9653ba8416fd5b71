# A physics-informed network: u' = -u, u(0) = 1
import math

import microgrannd as mg
from microgrannd.nn import MLP

model = MLP(1, [8, 1], activation="tanh", seed=0)


def u(t):
    return 1 + t * model([t])  # whatever the weights are, u(0) = 1


def loss(t):
    return mg.square(mg.grad(u)(t) + u(t))  # the equation itself: a derivative inside of the loss


times = [k / 10 for k in range(21)]
optimizer = mg.optim.Adam(model.parameters(), lr=0.03)
for epoch in range(151):
    optimizer.zero_grad()
    total = mg.mean([loss(t) for t in times])
    total.backward()
    optimizer.step()
    if epoch % 50 == 0:
        print(f"epoch {epoch:3}: how far from the equation {total.data:.6f}", flush=True)

for t in (0.5, 1.0, 2.0):
    print(f"u({t}) = {u(t).data:.4f}, and exp(-{t}) = {math.exp(-t):.4f}")
