"""Losses: how far predictions are from targets, as one number to make small.

Predictions are Values or numbers, single or in a list; targets and labels likewise. Each loss is right at ±1000 too,
and at infinity where it has a limit. A label that is a plain number is checked. `LOSSES` has them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from microgrannd import operations
from microgrannd.engine import Operand, Value
from microgrannd.nodes.refusing import refused_where
from microgrannd.operations import is_number

Operands: TypeAlias = "Operand | Iterable[Operand]"


def half_squared_error(predictions: Operands, targets: Operands) -> Any:
    """½ Σ (prediction − target)²: half the square, summed over the outputs where there are several.

    >>> half_squared_error(0.75, 1)
    0.03125
    """
    return 0.5 * sum_squared_error(predictions, targets)


def sum_squared_error(predictions: Operands, targets: Operands) -> Any:
    """Σ (prediction − target)².

    >>> sum_squared_error([1.0, 2.0], [0.0, 4.0])
    5.0
    """
    differences = [prediction - target for prediction, target in _pairs(predictions, targets)]
    if len(differences) > 1:
        return operations.dot(differences, differences)
    (difference,) = differences
    return difference.square() if isinstance(difference, Value) else operations.square(difference)


def mean_squared_error(predictions: Operands, targets: Operands) -> Any:
    """The mean of (prediction − target)².

    >>> mean_squared_error([1.0, 2.0], [0.0, 4.0])
    2.5
    """
    return operations.mean([operations.square(p - target) for p, target in _pairs(predictions, targets)])


def hinge(scores: Operands, labels: Operands) -> Any:
    """max(0, 1 − label · score), the max-margin loss of a label −1 or 1; the mean of it for lists.

    >>> hinge(0.25, 1), hinge(0.25, -1), hinge(7.0, 1)
    (0.75, 1.25, 0.0)
    """
    return _mean(_hinge, scores, labels)


def multiclass_hinge(scores: Iterable[Operand], label: Operands, margin: float = 1.0) -> Any:
    """Σ max(0, score − score of the label + margin) over the other classes.

    `label` is the number of the class, counted from 0, or a list with a 1 in its place.

    >>> multiclass_hinge([3.0, 5.0, 4.5], 1)
    0.5
    """
    scores = list(scores)
    shares = _shares(label, len(scores))
    truth = _picked(shares, scores)
    losses = [operations.relu(score - truth + margin) for score in scores]
    return _picked([1 - share for share in shares], losses)


def binary_cross_entropy(probabilities: Operands, labels: Operands) -> Any:
    """−label · ln p − (1 − label) · ln(1 − p) of a label from 0 to 1; the mean of it for lists.

    For p = sigmoid(z), `binary_cross_entropy_with_logits` of z is the accurate way.

    >>> binary_cross_entropy(0.5, 1)
    0.6931471805599453
    >>> binary_cross_entropy([0.0, 1.0], [0, 1])
    0.0
    """
    return _mean(_binary_cross_entropy, probabilities, labels)


def binary_cross_entropy_with_logits(logits: Operands, labels: Operands) -> Any:
    """The binary cross-entropy of sigmoid(logit), without computing the sigmoid; the mean of it for lists.

    >>> binary_cross_entropy_with_logits(1000.0, 1), binary_cross_entropy_with_logits(-1000.0, 1)
    (0.0, 1000.0)
    """
    return _mean(_binary_cross_entropy_with_logits, logits, labels)


def softmax_cross_entropy(logits: Iterable[Operand], label: Operands) -> Any:
    """−ln softmax(logits)[label], without computing the softmax.

    `label` is the number of the class, counted from 0, or a list of the classes' shares: a 1 in the place
    of the class (one-hot), or several shares that sum to 1.

    >>> softmax_cross_entropy([0.0, 0.0], 1)
    0.6931471805599453
    >>> softmax_cross_entropy([1000.0, 0.0, -1000.0], [0, 1, 0])
    1000.0
    """
    logits = list(logits)
    return operations.logsumexp(logits) - _picked(_shares(label, len(logits)), logits)


LOSSES: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        *(half_squared_error, sum_squared_error, mean_squared_error, hinge, multiclass_hinge),
        *(binary_cross_entropy, binary_cross_entropy_with_logits, softmax_cross_entropy),
    )
}


def named(name: str) -> Callable[..., Any]:
    """The loss of that name.

    >>> named("hinge")(0.5, 1)
    0.5
    >>> named("hnige")
    Traceback (most recent call last):
    ValueError: Unknown loss 'hnige'; known: half_squared_error, ...
    """
    if name not in LOSSES:
        raise ValueError(f"Unknown loss {name!r}; known: {', '.join(LOSSES)}.")
    return LOSSES[name]


def _hinge(score: Operand, label: Operand) -> Any:
    refused_where(lambda: 1 - operations.equal(label, 1) - operations.equal(label, -1))
    if is_number(label) and label not in (-1, 1):
        remedy = "; 2 * label - 1 makes it of 0 and 1" if label == 0 else ""
        raise ValueError(f"hinge takes labels -1 and 1, got {label}{remedy}.")
    return operations.relu(1 - label * score)


def _binary_cross_entropy(probability: Operand, label: Operand) -> Any:
    _check_share("binary_cross_entropy", label)
    return _blend(label, lambda: -operations.log(probability), lambda: -operations.log1p(-probability))


def _binary_cross_entropy_with_logits(logit: Operand, label: Operand) -> Any:
    _check_share("binary_cross_entropy_with_logits", label)
    return _blend(label, lambda: operations.softplus(-logit), lambda: operations.softplus(logit))


def _check_share(loss: str, label: Operand) -> None:
    refused_where(lambda: 1 - operations.greater_equal(label, 0) * operations.less_equal(label, 1))
    if is_number(label) and not 0 <= label <= 1:
        remedy = "; (label + 1) / 2 makes it of -1 and 1" if label == -1 else ""
        raise ValueError(f"{loss} takes labels from 0 to 1, got {label}{remedy}.")


def _blend(share: Operand, if_one: Callable[[], Any], if_zero: Callable[[], Any]) -> Any:
    """share · if_one + (1 − share) · if_zero, where a share of zero wins over infinity."""
    if is_number(share) and share in (0, 1):
        return if_one() if share else if_zero()
    return operations.contribution(share, if_one()) + operations.contribution(1 - share, if_zero())


def _mean(loss: Callable[[Operand, Operand], Any], predictions: Operands, targets: Operands) -> Any:
    losses = [loss(prediction, target) for prediction, target in _pairs(predictions, targets)]
    return losses[0] if len(losses) == 1 else operations.mean(losses)


def _pairs(predictions: Operands, targets: Operands) -> Iterable[tuple[Any, Any]]:
    first, second = _vector(predictions), _vector(targets)
    if len(first) != len(second):
        raise ValueError(f"Each prediction has one target: got {len(first)} predictions and {len(second)} targets.")
    if not first:
        raise ValueError("A loss needs at least one prediction, got none.")
    return zip(first, second, strict=True)


def _vector(operands: Operands) -> Sequence[Any]:
    if isinstance(operands, Value | float | int):
        return [operands]
    if isinstance(operands, str | bytes) or operands is None:
        raise TypeError(f"Predictions and targets are numbers, got {operands!r}; give each class a number.")
    if hasattr(operands, "__iter__") and getattr(operands, "shape", None) != ():
        return list(operands)
    return [operands]


def _shares(label: Operands, classes: int) -> Sequence[Any]:
    """How much of the truth each class has: a list with one 1, for the number of a class."""
    labels = _vector(label)
    if len(labels) == 1 and not hasattr(label, "__iter__"):
        return _one_hot(labels[0], classes)
    if len(labels) != classes:
        raise ValueError(f"A label of {len(labels)} shares does not fit {classes} classes.")
    refused_where(
        lambda: sum(operations.less(share, 0) for share in labels) + operations.greater(abs(sum(labels) - 1), 1e-6)
    )
    if all(map(is_number, labels)) and (any(share < 0 for share in labels) or abs(sum(labels) - 1) > 1e-6):
        raise ValueError(f"The shares of a label are at least 0 and sum to 1, got {list(labels)}.")
    return labels


def _one_hot(label: Any, classes: int) -> Sequence[Any]:
    if not is_number(label):  # a Value: which class it is shows only when the numbers are there
        shares = [operations.equal(label, k) for k in range(classes)]
        refused_where(lambda: 1 - sum(shares))
        return shares
    if label not in range(classes):
        raise ValueError(f"Label {label} does not fit {classes} classes: it is an int from 0 to {classes - 1}.")
    return [float(label == k) for k in range(classes)]


def _picked(shares: Sequence[Any], values: Sequence[Any]) -> Any:
    """Σ share · value, where a share of zero wins over infinity."""
    if not all(map(is_number, shares)):
        return operations.sum(list(map(operations.contribution, shares, values)))
    terms = [value if share == 1 else share * value for share, value in zip(shares, values, strict=True) if share]
    return terms[0] if len(terms) == 1 else operations.sum(terms)
