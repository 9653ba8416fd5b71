"""Losses: how far predictions are from targets, as one number to make small.

Predictions are Values or numbers, single or in a list; targets and labels likewise. Each loss is right at ±1000 too,
and at infinity where it has a limit. What is no number is a TypeError; a plain number that does not fit, such as the
label of no class, a ValueError. `weights` say how much each class counts. `LOSSES` has all losses by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from microgrannd import operations
from microgrannd.engine import Operand, Value, number_of
from microgrannd.ground.arguments import brief, shown
from microgrannd.nodes.elsewhere import answers_of
from microgrannd.nodes.refusing import refused_where
from microgrannd.operations import Number, is_number

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


def mean_absolute_error(predictions: Operands, targets: Operands) -> Any:
    """The mean of |prediction − target|, to which a far outlier is no more than one that is far.

    >>> mean_absolute_error([1.0, 2.0], [0.0, 4.0])
    1.5
    """
    return _mean(lambda prediction, target: operations.abs(prediction - target), predictions, targets)


def huber(predictions: Operands, targets: Operands, delta: Number = 1.0) -> Any:
    """½ d² of a difference d of at most `delta`, and delta · (|d| − ½ delta) beyond; the mean of it for lists.

    >>> huber(1.5, 1.0), huber(4.0, 1.0)
    (0.125, 2.5)
    """
    if not (is_number(delta) and delta > 0):
        raise ValueError(f"huber takes a delta above 0, from where on it is a straight line; got {shown(delta)}.")

    def loss(prediction: Operand, target: Operand) -> Any:
        distance = operations.abs(prediction - target)
        curved = operations.minimum(distance, delta)
        return curved * (distance - 0.5 * curved)

    return _mean(loss, predictions, targets)


def hinge(scores: Operands, labels: Operands) -> Any:
    """max(0, 1 − label · score), the max-margin loss of a label −1 or 1; the mean of it for lists.

    >>> hinge(0.25, 1), hinge(0.25, -1), hinge(7.0, 1)
    (0.75, 1.25, 0.0)
    """
    return _mean(_hinge, scores, labels)


def multiclass_hinge(
    scores: Iterable[Operand], label: Operands, margin: float = 1.0, *, weights: Sequence[Number] | None = None
) -> Any:
    """Σ max(0, score − score of the label + margin) over the other classes, times the weight of the label.

    `label` is the number of the class, counted from 0, or a list with a 1 in its place.

    >>> multiclass_hinge([3.0, 5.0, 4.5], 1)
    0.5
    """
    scores = _of_classes(scores)
    shares = _shares(label, len(scores))
    truth = _picked(shares, scores)
    losses = [operations.relu(score - truth + margin) for score in scores]
    loss = _picked([1 - share for share in shares], losses)
    return loss if weights is None else _picked(shares, _checked_weights(weights, len(scores))) * loss


def binary_cross_entropy(probabilities: Operands, labels: Operands, *, weights: Sequence[Number] | None = None) -> Any:
    """−label · ln p − (1 − label) · ln(1 − p) of a label from 0 to 1; the mean of it for lists.

    `weights` are two numbers, by which the terms of the classes 0 and 1 are multiplied. Raises ValueError for what is
    no probability; in a compiled function, where p depends on parameters, its loss is NaN.
    For p = sigmoid(z), `binary_cross_entropy_with_logits` of z is the accurate way.

    >>> binary_cross_entropy(0.5, 1)
    0.6931471805599453
    >>> binary_cross_entropy([0.0, 1.0], [0, 1])
    0.0
    """

    def loss(probability: Operand, label: Operand) -> Any:
        _check_share("binary_cross_entropy", label)
        p = _probability(probability)
        return _blend(label, lambda: -operations.log(p), lambda: -operations.log1p(-p), weights)

    return _mean(loss, probabilities, labels)


def binary_cross_entropy_with_logits(
    logits: Operands, labels: Operands, *, weights: Sequence[Number] | None = None
) -> Any:
    """The binary cross-entropy of sigmoid(logit), without computing the sigmoid; the mean of it for lists.

    `weights` are two numbers, by which the terms of the classes 0 and 1 are multiplied.

    >>> binary_cross_entropy_with_logits(1000.0, 1), binary_cross_entropy_with_logits(-1000.0, 1)
    (0.0, 1000.0)
    >>> binary_cross_entropy_with_logits(-1000.0, 1, weights=[1, 3])
    3000.0
    """

    def loss(logit: Operand, label: Operand) -> Any:
        _check_share("binary_cross_entropy_with_logits", label)
        return _blend(label, lambda: operations.softplus(-logit), lambda: operations.softplus(logit), weights)

    return _mean(loss, logits, labels)


def softmax_cross_entropy(
    logits: Iterable[Operand], label: Operands, *,
    label_smoothing: Number = 0.0, ignore: int | None = None, weights: Sequence[Number] | None = None,
) -> Any:  # fmt: skip
    """−ln softmax(logits)[label], without computing the softmax.

    `label` is the number of the class, counted from 0, or a list of the classes' shares: a 1 in the place
    of the class (one-hot), or several shares that sum to 1. With `label_smoothing`, from 0 to 1, so much of the label
    is shared out evenly among all classes. A label that is the number `ignore` has the loss 0. `weights` has a number
    for each class, by which its term −share · ln softmax is multiplied; a mean over samples is not divided by them.

    >>> softmax_cross_entropy([0.0, 0.0], 1)
    0.6931471805599453
    >>> softmax_cross_entropy([1000.0, 0.0, -1000.0], [0, 1, 0])
    1000.0
    >>> softmax_cross_entropy([2.0, 0.0], 0, label_smoothing=0.1, weights=[1.0, 3.0])
    0.43962081214727
    >>> softmax_cross_entropy([2.0, 0.0], -1, ignore=-1)
    0.0
    """
    logits = _of_classes(logits)
    shares = _shares(label, count := len(logits), ignore)
    total = operations.logsumexp(logits)
    if weights is None and is_number(label_smoothing) and not label_smoothing:
        loss = total - _picked(shares, logits)
    else:
        if not (is_number(label_smoothing) and 0 <= label_smoothing <= 1):
            raise ValueError(f"label_smoothing is from 0 to 1, got {shown(label_smoothing)}.")
        shares = [(1 - label_smoothing) * share + label_smoothing / count for share in shares]
        factors = [1.0] * count if weights is None else _checked_weights(weights, count)
        loss = _picked(
            [share * factor for share, factor in zip(shares, factors, strict=True)], [total - z for z in logits]
        )
    return loss if ignore is None else operations.contribution(1 - operations.equal(label, ignore), loss)


LOSSES: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        *(half_squared_error, sum_squared_error, mean_squared_error, mean_absolute_error, huber),
        *(hinge, multiclass_hinge),
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
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(f"Unknown loss {brief(name)}; known: {', '.join(LOSSES)}.")
    return LOSSES[name]


def _hinge(score: Operand, label: Operand) -> Any:
    refused_where(lambda: 1 - operations.equal(label, 1) - operations.equal(label, -1))
    if is_number(label) and label not in (-1, 1):
        remedy = "; 2 * label - 1 makes it of 0 and 1" if label == 0 else ""
        raise ValueError(f"hinge takes labels -1 and 1, got {label}{remedy}.")
    return operations.relu(1 - label * score)


def _probability(p: Operand) -> Any:
    """The probability, checked; while a function is traced, NaN in place of what will be none."""
    number = p if is_number(p) else number_of(p) if isinstance(p, Value) else 0.0

    def is_none() -> Any:
        return 1 - operations.greater_equal(p, 0) * operations.less_equal(p, 1)

    if not is_number(p) and refused_where(is_none):
        return operations.where(is_none(), math.nan, p)
    if not 0 <= number <= 1 and (is_number(p) or number == number):  # a NaN that was computed is nobody's mistake here
        remedy = "binary_cross_entropy_with_logits takes scores"
        raise ValueError(f"binary_cross_entropy takes probabilities, from 0 to 1, got {number}; {remedy}.")
    return p


def _check_share(loss: str, label: Operand) -> None:
    refused_where(lambda: 1 - operations.greater_equal(label, 0) * operations.less_equal(label, 1))
    if is_number(label) and not 0 <= label <= 1:
        remedy = "; (label + 1) / 2 makes it of -1 and 1" if label == -1 else ""
        raise ValueError(f"{loss} takes labels from 0 to 1, got {label}{remedy}.")


def _blend(
    share: Operand, if_one: Callable[[], Any], if_zero: Callable[[], Any], weights: Sequence[Number] | None
) -> Any:
    """share · if_one + (1 − share) · if_zero, each by its weight, where a share of zero wins over infinity."""
    zero, one = (1.0, 1.0) if weights is None else _checked_weights(weights, 2)
    if weights is None and is_number(share) and share in (0, 1):
        return if_one() if share else if_zero()
    return operations.contribution(one * share, if_one()) + operations.contribution(zero * (1 - share), if_zero())


def _checked_weights(weights: Sequence[Number], classes: int) -> list[float]:
    numbers = _vector(weights, "Weights of classes")
    if len(numbers) != classes:
        raise ValueError(f"There is a weight for each class: got {len(numbers)} weights for {classes} classes.")
    if unfit := [x for x in numbers if not (is_number(x) and 0 <= x < math.inf)]:
        raise ValueError(f"The weight of a class is a number of at least 0, got {shown(unfit[0])}.")
    return [float(x) for x in numbers]


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


_SINGLE: Final = frozenset([Value, float, int])


def _vector(operands: Any, what: str = "Predictions and targets") -> Sequence[Any]:
    """The numbers as a list, and one of a single number; all are checked."""
    if type(operands) in _SINGLE or not hasattr(operands, "__iter__") or getattr(operands, "shape", None) == ():
        numbers = [operands]
    else:
        numbers = [operands] if isinstance(operands, str | bytes | dict) else list(operands)
    if not _SINGLE.issuperset(map(type, numbers)):
        for x in numbers:
            if not (
                is_number(x) or hasattr(x, "record") or (getattr(x, "shape", None) == () and not isinstance(x, str))
            ):
                remedy = "; give each class a number" if isinstance(x, str | bytes) else ""
                raise TypeError(f"{what} are numbers, got {shown(x)}{remedy}.")
    return numbers


def _of_classes(scores: Any) -> Sequence[Any]:
    if not hasattr(scores, "__iter__") or getattr(scores, "shape", None) == ():
        raise TypeError(f"There is a score for each class, in a list; got {shown(scores)}.")
    if not (numbers := _vector(scores, "Scores")):
        raise ValueError("A loss needs the score of at least one class, got none.")
    return numbers


def _shares(label: Operands, classes: int, ignore: int | None = None) -> Sequence[Any]:
    """How much of the truth each class has: a list with one 1, for the number of a class."""
    labels = _vector(label, "Labels")
    if len(labels) == 1 and (not hasattr(label, "__iter__") or getattr(label, "shape", None) == ()):
        return _one_hot(labels[0], classes, ignore)
    if ignore is not None:
        raise TypeError(f"ignore is the number of a class, which a label of {len(labels)} shares does not have.")
    if len(labels) != classes:
        raise ValueError(f"A label of {len(labels)} shares does not fit {classes} classes.")
    refused_where(
        lambda: sum(operations.less(share, 0) for share in labels) + operations.greater(abs(sum(labels) - 1), 1e-6)
    )
    if all(map(is_number, labels)) and not (min(labels) >= 0 and abs(sum(labels) - 1) <= 1e-6):
        raise ValueError(f"The shares of a label are at least 0 and sum to 1, got {list(labels)}.")
    return labels


def _one_hot(label: Any, classes: int, ignore: int | None) -> Sequence[Any]:
    if not is_number(label):  # a Value: which class it is shows only when the numbers are there
        shares = [operations.equal(label, k) for k in range(classes)]
        refused_where(lambda: (1 - sum(shares)) * (1 if ignore is None else operations.not_equal(label, ignore)))
        return shares
    if label not in range(classes) and (ignore is None or label != ignore):
        raise ValueError(f"Label {label} does not fit {classes} classes: it is an int from 0 to {classes - 1}.")
    return [float(label == k) for k in range(classes)]


def _picked(shares: Sequence[Any], values: Sequence[Any]) -> Any:
    """Σ share · value, where a share of zero wins over infinity."""
    if not all(map(is_number, shares)):
        return operations.sum(list(map(operations.contribution, shares, values)))
    terms = [value if share == 1 else share * value for share, value in zip(shares, values, strict=True) if share]
    terms = terms or [operations.contribution(0.0, values[0])]  # which is a Value still
    return terms[0] if len(terms) == 1 else operations.sum(terms)


if not TYPE_CHECKING:  # for which a name that does not exist is an error
    __getattr__, __dir__ = answers_of(__name__, globals())
