"""`microgrannd mnist` and `microgrannd predict`, with the networks of Kneusel (chapter 10) and Saito (chapter 5)."""

import random
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrannd.app.images import digit_of, read_gray
from microgrannd.compiler import Program, compile
from microgrannd.datasets.mnist import Digits, Mnist, mnist
from microgrannd.engine import Value
from microgrannd.evaluation import ConfusionMatrix, argmax
from microgrannd.ground.terminal import heading
from microgrannd.losses import half_squared_error, softmax_cross_entropy
from microgrannd.nn import MLP
from microgrannd.operations import softmax
from microgrannd.optim import SGD
from microgrannd.persistence import load, save
from microgrannd.training import History

CLASSES: Final = 10
BRIGHTEST: Final = 255
UNSURE: Final = 0.5  # a share of the likeliest digit that is not worth much


class Recipe(NamedTuple):
    sizes: tuple[int, ...]
    activation: str
    output: str
    init: Any
    loss: Callable[..., Any]
    batch_size: int
    minibatches: int
    rate: float
    replace: bool  # whether each minibatch is drawn anew from all images


def _narrow(generator: random.Random, inputs: int, outputs: int) -> float:
    return generator.gauss(0.0, 0.01)


RECIPES: Final = {
    "book": Recipe((196, 100, 50, 10), "sigmoid", "sigmoid", (0.5, 0.5), half_squared_error, 64, 40_000, 1.0, False),
    "saito": Recipe((784, 50, 10), "relu", "linear", _narrow, softmax_cross_entropy, 100, 10_000, 0.1, True),
}


def run(arguments: Namespace) -> None:
    recipe = RECIPES[arguments.network]
    data = mnist(arguments.data, small=recipe.sizes[0] == 14 * 14)
    model = network(recipe, arguments.seed)
    minibatches = recipe.minibatches if arguments.minibatches is None else arguments.minibatches
    rate = recipe.rate if arguments.eta is None else arguments.eta
    sizes = "-".join(map(str, recipe.sizes))
    print(heading(f"mnist: a {sizes} network, {model.parameter_count} parameters, {minibatches} minibatches"))
    start = time.perf_counter()
    history = train(model, recipe, data.train, minibatches, rate, seed=arguments.seed, progress=not arguments.quiet)
    losses = history.losses
    seconds = time.perf_counter() - start
    matrix = confusion(model, data)
    print(matrix.table())
    if mistakes := [f"{label} taken for {taken} ({count} times)" for label, taken, count in matrix.mistakes()[:3]]:
        print(f"most often: {', '.join(mistakes)}")
    right = round(matrix.accuracy * matrix.total)
    print(heading(f"accuracy {right}/{matrix.total} = {matrix.accuracy:.4f}") + f", trained in {seconds:.3g} s")
    if losses:
        print(f"mean loss {losses[0]:.4g} → {losses[-1]:.4g}")
    if history.interrupted:
        print(f"interrupted after {len(losses)} epochs; this is what was learned until then")
    if history.diverged:
        print(f"diverged in epoch {len(losses)}; this is what was learned until then")
    if arguments.save is not None:
        save(model, arguments.save)
        print(f"wrote {arguments.save}: the trained model")


def network(recipe: Recipe, seed: int | None) -> MLP:
    inputs, *sizes = recipe.sizes
    return MLP(inputs, sizes, recipe.activation, recipe.output, seed=seed, init=recipe.init)


def train(
    model: MLP, recipe: Recipe, digits: Digits, minibatches: int, rate: float,
    *, seed: int | None = None, progress: bool = False,
) -> History:  # fmt: skip
    """What happened, epoch by epoch; the last may be a partial one."""
    import numpy

    def loss(x: Sequence[Value], y: Sequence[Value]) -> Value:
        return recipe.loss(model([pixel / BRIGHTEST for pixel in x]), y)  # type: ignore[no-any-return]

    program = compile(loss)
    optimizer = SGD(model.parameters(), lr=rate)
    targets = numpy.eye(CLASSES, dtype=numpy.uint8)[digits.y]
    in_epoch = -(-len(targets) // recipe.batch_size)
    epochs, rest = divmod(minibatches, in_epoch)
    options: dict[str, Any] = {"batch_size": recipe.batch_size, "replace": recipe.replace, "seed": seed}
    history = program.fit((digits.x, targets), optimizer, epochs=epochs, progress=progress, **options)
    if rest and not (history.interrupted or history.diverged):
        options["seed"] = None if seed is None else seed + 1  # so that the first epoch's draws do not come again
        generator = random.Random(options["seed"])
        draw = generator.choices if recipe.replace else generator.sample
        some = draw(range(len(targets)), k=min(rest * recipe.batch_size, len(targets)))
        options["replace"] = False
        last = program.fit((digits.x[some], targets[some]), optimizer, epochs=1, **options)
        history.losses += last.losses
        history.interrupted, history.diverged = last.interrupted, last.diverged
    return history


def confusion(model: MLP, data: Mnist) -> ConfusionMatrix:
    return ConfusionMatrix(data.test.y.tolist(), classes_of(model)(data.test.x), range(CLASSES))


def classes_of(model: MLP) -> Callable[[Any], list[int]]:
    program: Program = compile(lambda x: model([pixel / BRIGHTEST for pixel in x]))
    return lambda images: program(images).argmax(axis=1).tolist()


def predict(arguments: Namespace) -> None:
    model = load(arguments.model)
    inputs = len(model.layers[0].neurons[0].w) if isinstance(model, MLP) else 0
    side = {196: 14, 784: 28}.get(inputs, 0)
    if not side:
        raise ValueError(
            f"{arguments.model} is not a network for digits of 14 × 14 or 28 × 28 pixels: it takes {inputs} inputs."
        )
    pixels = digit_of(read_gray(arguments.image), side)
    if not any(pixels):
        raise ValueError(f"{arguments.image} shows no digit: all of it is about as bright.")
    outputs = [output.data for output in model([pixel / BRIGHTEST for pixel in pixels])]
    shares = softmax(outputs) if model.layers[-1].neurons[0].activation is None else outputs
    print(heading(str(argmax(outputs))))
    for k in sorted(range(len(shares)), key=lambda k: -shares[k])[:3]:
        print(f"{k}  {shares[k]:.4f}  {'█' * round(40 * shares[k])}")
    if max(shares) < UNSURE:
        print("none of them is likely: this may be no digit, or one unlike those that the network knows")
