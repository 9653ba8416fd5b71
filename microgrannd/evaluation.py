"""How good a model is: `accuracy`, `ConfusionMatrix`, and the rules that turn its outputs into a class.

A class is a whole number or a name; a row of scores or a one-hot label stands for that of its largest entry.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from microgrannd.engine import Operand, Value
from microgrannd.ground.arguments import brief, list_of, shown, whole_number, wrong
from microgrannd.ground.terminal import table
from microgrannd.operations import is_number


def threshold(output: Operand, at: float = 0.5) -> int:
    """The class of a single output: 0 below the threshold, 1 from there on.

    >>> threshold(0.49), threshold(0.5)
    (0, 1)
    """
    for name, number in (("output", output), ("at", at)):
        if not (isinstance(number, Value) or is_number(number)):
            raise wrong(name, "a number or a Value", number)
    return 0 if output < at else 1


def argmax(outputs: Iterable[Operand]) -> int:
    """The class of several outputs: the position of the largest, the first of equals.

    >>> argmax([0.1, 0.7, 0.2])
    1
    """
    numbers = list_of("outputs", outputs, "a list of numbers or Values")
    if not numbers:
        raise ValueError("outputs has a number for each class, got none.")
    for number in numbers:
        if not (isinstance(number, Value) or is_number(number)):
            raise wrong("Each of the outputs", "a number or a Value", number)
    return max(range(len(numbers)), key=numbers.__getitem__)


def one_hot(label: int, classes: int) -> list[float]:
    """A row of zeros with a 1 in the label's place.

    >>> one_hot(2, 4)
    [0.0, 0.0, 1.0, 0.0]
    """
    if not is_number(label) or label not in range(whole_number("classes", classes)):
        raise ValueError(f"Label {brief(label)} does not fit {classes} classes: it is an int from 0 to {classes - 1}.")
    return [float(label == k) for k in range(classes)]


def accuracy(labels: Iterable[Any], predictions: Iterable[Any]) -> float:
    """The fraction of predictions that are right. Both are classes, or rows whose largest entry counts.

    Raises TypeError for a single Value and ValueError for a number that is not whole: `threshold` makes a class of it.

    >>> accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    >>> accuracy([1, 0], [[0.2, 0.8], [0.3, 0.7]])
    0.5
    """
    pairs = _pairs(labels, predictions)
    return sum(label == prediction for label, prediction in pairs) / len(pairs)


class ConfusionMatrix:
    """How often each class was predicted as each: rows are the true classes, columns the predicted ones.

    `classes` are the classes in order; by default those that occur, sorted, and both 0 and 1 where no others
    do. With two classes the second is called positive, and the four counts have names.

    >>> matrix = ConfusionMatrix([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 1])
    >>> print(matrix)
    TN 2  FP 1  FN 1  TP 2
    >>> matrix.counts
    [[2, 1], [1, 2]]
    """

    classes: list[Hashable]
    counts: list[list[int]]

    def __init__(
        self, labels: Iterable[Any], predictions: Iterable[Any], classes: Sequence[Hashable] | None = None
    ) -> None:
        pairs = _pairs(labels, predictions)
        occurring: set[Any] = {name for pair in pairs for name in pair}
        self.classes = _in_order(occurring) if classes is None else list(map(_class, list_of("classes", classes)))
        place = {name: i for i, name in enumerate(self.classes)}
        self.counts = [[0] * len(place) for _ in place]
        if foreign := [name for pair in pairs for name in pair if name not in place]:
            raise ValueError(f"{brief(foreign[0])} is not one of the classes {brief(self.classes)}.")
        for label, prediction in pairs:
            self.counts[place[label]][place[prediction]] += 1

    @classmethod
    def from_counts(cls, counts: Sequence[Sequence[int]], classes: Sequence[Hashable] | None = None) -> ConfusionMatrix:
        """The matrix with these counts, rows true and columns predicted."""
        rows = [list_of("A row of counts", row, "a list of whole numbers") for row in list_of("counts", counts)]
        rows = [[whole_number("A count", count, 0) for count in row] for row in rows]
        names: list[Hashable] = list(map(_class, range(len(rows)) if classes is None else list_of("classes", classes)))
        if any(len(row) != len(rows) for row in rows) or len(names) != len(rows):
            raise ValueError(f"A confusion matrix is square, with a row for each class; got {rows}, {names}.")
        matrix = cls.__new__(cls)
        matrix.classes, matrix.counts = names, rows
        return matrix

    @property
    def total(self) -> int:
        """How many samples there are."""
        return sum(map(sum, self.counts))

    @property
    def accuracy(self) -> float:
        """The fraction on the diagonal: of predictions that are right."""
        if not self.total:
            raise ValueError("The matrix has no samples, of which a fraction could be right.")
        return sum(row[i] for i, row in enumerate(self.counts)) / self.total

    @property
    def tn(self) -> int:
        """True negatives: the first class, predicted as such."""
        return self._of_two(0, 0)

    @property
    def fp(self) -> int:
        """False positives: the first class, predicted as the second."""
        return self._of_two(0, 1)

    @property
    def fn(self) -> int:
        """False negatives: the second class, predicted as the first."""
        return self._of_two(1, 0)

    @property
    def tp(self) -> int:
        """True positives: the second class, predicted as such."""
        return self._of_two(1, 1)

    def mistakes(self) -> list[tuple[Hashable, Hashable, int]]:
        """(true class, predicted class, count) for each confusion that occurs, the most frequent first."""
        confusions = [
            (label, prediction, count)
            for label, row in zip(self.classes, self.counts, strict=True)
            for prediction, count in zip(self.classes, row, strict=True)
            if count and label != prediction
        ]
        return sorted(confusions, key=lambda confusion: -confusion[2])

    def table(self) -> str:
        """The counts with the classes' names, a row for each true class.

        >>> print(ConfusionMatrix([0, 1, 2, 2], [0, 1, 2, 0]).table())
        true \\ predicted  0  1  2
                       0  1  0  0
                       1  0  1  0
                       2  1  0  1
        """
        head = ["true \\ predicted", *map(str, self.classes)]
        body = [[str(name), *map(str, row)] for name, row in zip(self.classes, self.counts, strict=True)]
        return table(head, body, left=())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return self.classes == other.classes and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if len(self.classes) != 2:
            return self.table()
        return f"TN {self.tn}  FP {self.fp}  FN {self.fn}  TP {self.tp}"

    def __repr__(self) -> str:
        return f"ConfusionMatrix.from_counts({self.counts}, {self.classes})"

    def _of_two(self, row: int, column: int) -> int:
        if len(self.classes) != 2:
            raise AttributeError(
                f"TN, FP, FN and TP need two classes; there are {len(self.classes)} here: see .counts."
            )
        return self.counts[row][column]


def _pairs(labels: Iterable[Any], predictions: Iterable[Any]) -> list[tuple[Hashable, Hashable]]:
    first, second = (
        [_class(thing) for thing in list_of(name, given, "a list of classes")]
        for name, given in (("labels", labels), ("predictions", predictions))
    )
    if len(first) != len(second):
        raise ValueError(f"Each label has one prediction: got {len(first)} labels and {len(second)} predictions.")
    if not first:
        raise ValueError("There are no labels to compare predictions with.")
    return list(zip(first, second, strict=True))


def _class(thing: Any) -> Hashable:
    if isinstance(thing, list | tuple) or getattr(thing, "shape", None):
        if len(thing) != 1:
            return argmax(thing)
        [thing] = thing
    name = thing.item() if getattr(thing, "shape", None) == () else thing
    remedy = "threshold(output) gives the class of a probability or a score"
    if isinstance(name, Value):
        raise TypeError(f"A class is a whole number or a name, got {shown(name)}; {remedy}.")
    if is_number(name) and name % 1 != 0:
        raise ValueError(f"A class is a whole number or a name, got {name}; {remedy}.")
    if not isinstance(name, Hashable):
        raise wrong("A class", "a whole number or a name", thing)
    return name


def _in_order(occurring: set[Any]) -> list[Hashable]:
    try:
        return sorted({0, 1} if occurring <= {0, 1} else occurring)
    except TypeError:
        raise TypeError("These classes have no order: say it with classes=[...].") from None
