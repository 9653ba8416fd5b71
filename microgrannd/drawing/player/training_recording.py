"""A few steps of training, recorded: each a pass forward and backward, and the update that follows it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from microgrannd import losses, operations
from microgrannd.drawing.picture.lettering import numeral
from microgrannd.drawing.player.network import is_network
from microgrannd.drawing.player.recording import Pass, Recording, Updated, playable_order, recorded_pass
from microgrannd.drawing.player.wording import title
from microgrannd.engine import Value
from microgrannd.ground.arguments import function_of, must_be, shown, whole_number
from microgrannd.ground.data import columns_of
from microgrannd.ground.nests import is_array
from microgrannd.learning.optimizer import Optimizer

MOST_EVENTS: Final = 30_000  # in all steps that are played: some three megabytes
MOST_FOLDED: Final = 300_000  # of a network, whose page computes them
MOST_PASSES: Final = 100  # and pictures of the plane


def record_training(
    model: Value | Callable[..., Any], data: Sequence[Any], loss: str | Callable[..., Value] | None,
    optimizer: Optimizer | None, steps: int, watch: Callable[[int], None] = lambda count: None,
) -> tuple[Recording, list[Value]]:  # fmt: skip
    """The recording and the nodes of its graph; the model is trained, or not at all if its graph is too large to play.

    Of a long training some steps are played, as far apart as need be, the first and the last among them; its losses
    are all kept. `watch` is called before each of those steps and after the last, and told how often it will be.
    """
    if isinstance(model, Value):
        raise TypeError("With data= a model is trained: give the model, or the loss of a sample, not a Value.")
    if not isinstance(optimizer, Optimizer):
        wanted = "give an optimizer=, such as SGD(model.parameters(), lr=0.1)"
        raise TypeError(f"With data= a model is trained: {wanted}; got {shown(optimizer)}.")
    steps = whole_number("steps", steps)
    if steps < 1:
        raise ValueError(f"The training has at least 1 step, got {steps}.")
    samples = samples_of(data)
    loss_of = loss_of_sample(model, loss)
    first = order = playable_order(_mean([loss_of(*sample) for sample in samples]))
    played = _played_steps(order, steps)
    watch(len(played) + 1)
    recording = Recording(f"Training: {title(order)}", order, [_step(order, optimizer, 1)])
    recording.losses.append(order[-1].data)
    for number in range(2, steps + 1):
        loss_now = _mean([loss_of(*sample) for sample in samples])
        recording.losses.append(loss_now.data)
        if number not in played:
            optimizer.zero_grad()
            loss_now.backward()
            optimizer.step()
            continue
        order = playable_order(loss_now)
        if _structure(order) != _structure(first):
            raise ValueError(
                f"The graph of step {number} is not that of the first, so they cannot be played on one picture: the "
                "network computes something else when its weights change. Step through a single loss instead."
            )
        watch(len(played) + 1)
        recording.passes.append(_step(order, optimizer, number))
    watch(len(played) + 1)
    return recording, first


def _played_steps(order: Sequence[Value], steps: int) -> set[int]:
    """As many as a page can hold, evenly from the first to the last."""
    events = sum(1 + len(node.parents) for node in order)
    most = MOST_FOLDED if is_network(order) else MOST_EVENTS
    count = min(steps, MOST_PASSES, max(2, most // events))
    return {1 + round(k * (steps - 1) / max(1, count - 1)) for k in range(count)}


def _step(order: Sequence[Value], optimizer: Optimizer, number: int) -> Pass:
    optimizer.zero_grad()
    recorded = recorded_pass(order)
    recorded.step = number
    trained = set(optimizer.parameters)
    before = [(i, node, node.data) for i, node in enumerate(order) if node in trained]
    optimizer.step()
    for i, node, number_before in before:
        plain = number_before - optimizer.lr * node.grad == node.data
        formula = f"{numeral(number_before)} − {numeral(optimizer.lr)} × {numeral(node.grad)}" if plain else ""
        recorded.events.append(Updated(i, node.grad, number_before, node.data, formula))
    return recorded


def samples_of(data: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The samples of the columns, one by one."""
    columns, _ = columns_of(data)
    return list(zip(*[column.tolist() if is_array(column) else column for column in columns], strict=True))


def loss_of_sample(model: Callable[..., Any], loss: str | Callable[..., Value] | None) -> Callable[..., Value]:
    """The loss as a function of a sample's columns."""
    model = function_of("y", model)
    if loss is None:
        return model
    function = losses.named(loss) if isinstance(loss, str) else function_of("loss", loss)
    return lambda *sample: function(model(*sample[:-1]), sample[-1])


def _mean(values: Sequence[Value]) -> Value:
    for value in values:
        must_be("The loss of a sample", value, Value)
    mean = values[0] if len(values) == 1 else operations.mean(values)
    if not mean.label and mean.op is not None:
        mean.label = "loss"
    return mean


def _structure(order: Sequence[Value]) -> list[Any]:
    position = {node: i for i, node in enumerate(order)}
    return [(node.op, type(node), [position[parent] for parent in node.parents]) for node in order]
