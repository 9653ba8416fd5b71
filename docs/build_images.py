"""The pictures of the documentation, drawn by the package itself into `docs/images/`."""

from pathlib import Path

import microgrannd as mg
from microgrannd import Value
from microgrannd.nn import MLP, Neuron


def draw_all(folder: Path) -> None:
    """Write every picture, and the step player that the README links to."""
    folder.mkdir(parents=True, exist_ok=True)
    mg.draw(circuit()).save(folder / "circuit.svg")
    mg.draw(circuit(), rules=True).save(folder / "circuit-rules.svg")
    mg.draw(circuit(), backward=True).save(folder / "circuit-backward.svg")
    player = mg.step(circuit(backward=False))
    player.to_html(folder / "steps.html")
    (folder / "steps.svg").write_text(player.svg, encoding="utf-8")
    mg.draw(neuron(expand=False)).save(folder / "neuron.svg")
    mg.draw(neuron(expand=True)).save(folder / "neuron-expanded.svg")
    mg.draw(loss(network([2, 1]))).save(folder / "iris.svg")
    mg.draw(network([16, 16, 1])).save(folder / "folded.svg")


def circuit(*, backward: bool = True) -> Value:
    """(x + y) z at (-2, 5, -4), the example of the CS231n notes."""
    x, y, z = Value(-2.0, label="x"), Value(5.0, label="y"), Value(-4.0, label="z")
    q = x + y
    q.label = "q"
    f = q * z
    f.label = "f"
    if backward:
        f.backward()
    return f


def neuron(*, expand: bool) -> Value:
    """A neuron with two inputs, as one dot or as the tree that the dot stands for."""
    out = Neuron(2, "tanh", seed=1, expand=expand)([Value(1.0, "x0"), Value(-2.0, "x1")])
    out.label = "out"
    out.backward()
    return out


def network(sizes: list[int]) -> Value:
    """The output of a sigmoid network for one sample."""
    out: Value = MLP(2, sizes, activation="sigmoid", seed=0)([Value(1.0, "x0"), Value(-2.0, "x1")])
    out.backward()
    return out


def loss(out: Value) -> Value:
    """The half squared error of an output that should have been 1."""
    mg.zero_grad(node for node in mg.topological_order(out) if node.op is None)
    found: Value = mg.losses.half_squared_error(out, 1.0)
    found.label = "loss"
    found.backward()
    return found
