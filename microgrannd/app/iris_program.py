"""`microgrannd iris`: a 2-2-1 network learns Fisher's flowers, as in Kneusel's *Math for Deep Learning*."""

import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from microgrannd import plots
from microgrannd.datasets import Iris, iris
from microgrannd.datasets.iris import SPECIES
from microgrannd.drawing import draw, step
from microgrannd.engine import Value, zero_grad
from microgrannd.evaluation import ConfusionMatrix, argmax, one_hot, threshold
from microgrannd.ground.modes import no_grad
from microgrannd.ground.terminal import heading
from microgrannd.losses import half_squared_error
from microgrannd.nn import MLP
from microgrannd.optim import SGD
from microgrannd.persistence import save
from microgrannd.training import History, fit

EPOCHS, ONE_HOT_EPOCHS, FIRST_WEIGHTS = 1000, 4000, 0.00005


def run(arguments: Namespace) -> None:
    data = iris(path=arguments.data)
    outputs = 2 if arguments.one_hot else 1
    model = MLP(2, [arguments.hidden, outputs], activation="sigmoid", seed=arguments.seed, init=FIRST_WEIGHTS)
    classify = argmax if arguments.one_hot else threshold
    targets: list[Any] = [one_hot(label, 2) for label in data.train.y] if arguments.one_hot else data.train.y
    epochs = arguments.epochs if arguments.epochs is not None else ONE_HOT_EPOCHS if arguments.one_hot else EPOCHS

    def loss(x: Sequence[float], y: Any) -> Value:
        return half_squared_error(model(x), y)  # type: ignore[no-any-return]

    optimizer = SGD(model.parameters(), lr=arguments.eta)
    if epochs < 0:
        raise ValueError(f"--epochs is at least 0, got {epochs}.")
    _check_writable(arguments.out)
    shape = f"2-{arguments.hidden}-{outputs}"
    print(heading(f"iris: a {shape} network, {model.parameter_count} parameters, {epochs} epochs"))
    print(f"before  {_on_test_rows(model, data, classify)}")
    start = time.perf_counter()
    history = fit(loss, (data.train.x, targets), optimizer, epochs=epochs, progress=not arguments.quiet)
    seconds = time.perf_counter() - start
    matrix = _on_test_rows(model, data, classify)
    print(f"after   {matrix}")
    right = round(matrix.accuracy * matrix.total)
    print(heading(f"accuracy {right}/{matrix.total} = {matrix.accuracy:.4f}") + f", trained in {seconds:.3g} s")
    if history.interrupted:
        print(f"interrupted after {len(history)} epochs; this is what was learned until then")
    if history.diverged:
        print(f"diverged in epoch {len(history)}; this is what was learned until then")
    for line in _files(arguments.out, model, data, loss, targets, history):
        print(line)


def _on_test_rows(model: MLP, data: Iris, classify: Callable[[Any], int]) -> ConfusionMatrix:
    with no_grad():
        return ConfusionMatrix(data.test.y, [classify(model(x)) for x in data.test.x])


def _files(
    folder: Path, model: MLP, data: Iris, loss: Callable[..., Value], targets: Sequence[Any], history: History
) -> list[str]:
    zero_grad(model.parameters())
    sample = loss([Value(x, name) for x, name in zip(data.train.x[0], ("x0", "x1"), strict=True)], targets[0])
    sample.label = "loss"
    player = step(sample)
    save(model, folder / "model.json")
    draw(sample).save(folder / "graph.svg")
    player.to_html(folder / "steps.html")
    written = {
        "model.json": "the trained model",
        "graph.svg": "the graph of the first sample's loss, with its gradients",
        "steps.html": "its backpropagation, step by step, for a browser",
        "loss.png": "the loss over the epochs",
        "boundary.png": "what the network decides where",
    }
    lines = [f"wrote {folder / name}: {what}" for name, what in written.items()]
    try:
        history.plot(folder / "loss.png")
        names = [f"{name.replace('_', ' ')}, standardised" for name in data.columns]
        plots.decision_boundary(
            lambda x: _height(model(x)), *data.train, path=folder / "boundary.png", names=names, classes=SPECIES
        )
    except ModuleNotFoundError as error:
        return [*lines[:3], f"no plots: {error}"]
    return lines


def _height(output: Value | list[Value]) -> float:
    """A number that crosses one half where the decision changes."""
    return 0.5 + output[1].data - output[0].data if isinstance(output, list) else output.data


def _check_writable(folder: Path) -> None:
    """Raise OSError now rather than after the training if the results cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"Cannot write to {folder}: {error.strerror}. Name another folder with --out.") from None
