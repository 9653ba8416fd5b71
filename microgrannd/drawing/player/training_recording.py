"""A few steps of training, recorded: each a pass forward and backward, and the update that follows it.

This room may import `recording`, `wording`, the losses and the optimizers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from microgrannd import losses, operations
from microgrannd.drawing.picture.lettering import number
from microgrannd.drawing.player.recording import Recording, Updated, graph, run
from microgrannd.drawing.player.wording import described, title
from microgrannd.engine import Value
from microgrannd.optim import Optimizer

MOST_EVENTS: Final = 30_000  # in all steps together: some three megabytes


def record_training(
    model: Callable[..., Any],
    data: Sequence[Any],
    loss: str | Callable[..., Value] | None,
    optimizer: Optimizer,
    steps: int,
) -> tuple[Recording, list[Value]]:
    """The recording and the nodes of its graph; the model is trained by so many steps, on all of the data.

    Raises ValueError, before anything is changed, for more than can be played.

    >>> from microgrannd.optim import SGD
    >>> w = Value(1.0, label="w")
    >>> recording, order = record_training(lambda x, y: (w * x - y) ** 2, ([1.0], [3.0]), None, SGD([w], lr=0.25), 2)
    >>> [run.output for run in recording.passes], w.data
    ([4.0, 1.0], 2.5)
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"The training needs an optimizer, such as SGD(model.parameters(), lr=0.1), got {optimizer!r}.")
    if steps < 1:
        raise ValueError(f"The training has at least 1 step, got {steps}.")
    samples = _samples(data)
    of_sample = _loss_of_sample(model, loss)
    first: list[Value] = []
    recording = Recording("", [], [])
    for _ in range(steps):
        order = graph(_mean([of_sample(*sample) for sample in samples]))
        if not first:
            first = order
            recording.title, recording.nodes = f"Training: {title(order)}", described(order)
            _check_length(order, steps)
        elif _structure(order) != _structure(first):
            raise ValueError(
                "The graph of this step is not that of the first, so they cannot be played on one picture: "
                "the network computes something else when its weights change. Step through a single loss instead."
            )
        optimizer.zero_grad()
        recording.passes.append(run(order))
        recording.passes[-1].events += _update(order, optimizer)
    return recording, first


def _update(order: Sequence[Value], optimizer: Optimizer) -> list[Updated]:
    """The optimizer's step, parameter by parameter, in the order of the graph."""
    trained = set(optimizer.parameters)
    places = [(i, node, node.data) for i, node in enumerate(order) if node in trained]
    optimizer.step()
    events = []
    for i, node, before in places:
        plain = before - optimizer.lr * node.grad == node.data
        formula = f"{number(before)} − {number(optimizer.lr)} × {number(node.grad)}" if plain else ""
        events.append(Updated(i, node.grad, before, node.data, formula))
    return events


def _loss_of_sample(model: Callable[..., Any], loss: str | Callable[..., Value] | None) -> Callable[..., Value]:
    if loss is None:
        return model
    function = losses.named(loss) if isinstance(loss, str) else loss
    return lambda *sample: function(model(*sample[:-1]), sample[-1])


def _samples(data: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of the columns, as plain numbers and lists."""
    if not isinstance(data, tuple | list) or not data or not all(hasattr(column, "__len__") for column in data):
        raise TypeError(f"data is a tuple of aligned arrays or lists, such as (X, Y); got {type(data).__name__}.")
    columns = [column.tolist() if hasattr(column, "tolist") else column for column in data]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"The data has arrays of one length, at least 1; got lengths {lengths}.")
    return list(zip(*columns, strict=True))


def _mean(values: Sequence[Value]) -> Value:
    mean = values[0] if len(values) == 1 else operations.mean(values)
    if isinstance(mean, Value) and not mean.label and mean.op is not None:
        mean.label = "loss"
    return mean


def _check_length(order: Sequence[Value], steps: int) -> None:
    events = sum(1 + len(node.parents) for node in order)
    if events * steps > MOST_EVENTS:
        raise ValueError(
            f"{steps} steps of this training are about {events * steps:,} events, and the player shows up to "
            f"{MOST_EVENTS:,}. Record fewer steps, or train on fewer samples."
        )


def _structure(order: Sequence[Value]) -> list[Any]:
    position = {node: i for i, node in enumerate(order)}
    return [(node.op, type(node), [position[parent] for parent in node.parents]) for node in order]
