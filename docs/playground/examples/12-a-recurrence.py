# A recurrence: learn the decay of an oscillation
import microgrannd as mg
from microgrannd import Value

stiffness, friction = Value(1.0, label="stiffness"), Value(0.1, label="friction")


def swing(steps, dt=0.1):
    """Where a swing is at each step, by a recurrence that all of its gradients go back through."""
    place, speed, path = 1.0, 0.0, []
    for _ in range(steps):
        speed = speed - dt * (stiffness * place + friction * speed)
        place = place + dt * speed
        path.append(place)
    return path


stiffness.data, friction.data = 2.0, 0.5
seen = [place.data for place in swing(60)]  # what was measured
stiffness.data, friction.data = 1.0, 0.1  # and is to be explained, starting from here

optimizer = mg.optim.Adam([stiffness, friction], lr=0.05)
for epoch in range(121):
    optimizer.zero_grad()
    loss = mg.mean([mg.square(place - goal) for place, goal in zip(swing(60), seen)])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        print(f"{epoch:3}  loss {loss.data:.6f}  stiffness {stiffness.data:.3f}  friction {friction.data:.3f}")

mg.draw(swing(3)[-1])
