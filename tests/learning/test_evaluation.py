"""From outputs to classes, and from classes to accuracy and the confusion matrix."""

from decimal import Decimal
from fractions import Fraction

import pytest

from microgrannd import Value
from microgrannd.evaluation import ConfusionMatrix, accuracy, argmax, one_hot, threshold
from tests.oracles import agrees, example


def test_the_threshold_rule_of_k20():
    entry = example("K-20")
    assert [threshold(output) for output in entry["inputs"]["out"]] == entry["outputs"]["class"]
    assert [threshold(Value(output)) for output in entry["inputs"]["out"]] == entry["outputs"]["class"]
    assert [threshold(output, at=0.0) for output in (-0.1, 0.0, 0.1)] == [0, 1, 1]


def test_the_confusion_counts_of_k21():
    entry = example("K-21")
    matrix = ConfusionMatrix(entry["inputs"]["y"], entry["inputs"]["pred"])
    counts = {"TN": matrix.tn, "FP": matrix.fp, "FN": matrix.fn, "TP": matrix.tp}
    assert counts == {name: entry["outputs"][name] for name in counts}
    assert matrix.accuracy == 4 / 6
    assert str(matrix) == "TN 2  FP 1  FN 1  TP 2"


def test_the_confusion_matrix_of_k14():
    entry = example("K-14")
    wanted = entry["outputs"]
    matrix = ConfusionMatrix.from_counts(entry["inputs"]["confusion"])
    assert agrees(matrix.accuracy, wanted["accuracy"], entry["tol"])
    assert matrix.total == wanted["sum"]
    assert [sum(row) for row in matrix.counts] == wanted["row_sums"]
    named = [[f"{label}->{prediction}", count] for label, prediction, count in matrix.mistakes()]
    assert named[:2] == wanted["largest_errors"]
    lines = matrix.table().splitlines()
    assert lines[0].split() == ["true", "\\", "predicted", *map(str, range(10))]
    assert lines[1].split() == ["0", *map(str, entry["inputs"]["confusion"][0])]
    assert len({len(line) for line in lines}) == 1
    assert str(matrix) == matrix.table()


def test_accuracy_takes_one_hot_or_integer_labels_s23():
    assert "one-hot or integer labels, argmax over axis 1" in example("S-23")["expect"]
    scores = [[0.1, 0.7, 0.2], [2.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.4, 0.3]]
    labels = [1, 0, 2, 1]
    rows = [one_hot(label, 3) for label in labels]
    for given in (labels, rows):
        assert accuracy(given, scores) == 0.75
        assert ConfusionMatrix(given, scores).counts == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert accuracy(labels, [[Value(score) for score in row] for row in scores]) == 0.75


def test_arrays_are_taken():
    numpy = pytest.importorskip("numpy")
    labels, scores = numpy.array([1, 0, 1]), numpy.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])
    assert accuracy(labels, scores) == pytest.approx(2 / 3)
    assert ConfusionMatrix(numpy.eye(2)[labels], scores) == ConfusionMatrix([1, 0, 1], [1, 0, 0])
    assert ConfusionMatrix(numpy.array([0.0, 1.0]), [0, 1]).classes == [0, 1]
    assert accuracy(numpy.array([[1], [0]]), [1, 0]) == 1.0


def test_classes_may_have_names_and_an_order():
    matrix = ConfusionMatrix(["versicolor", "setosa"], ["versicolor", "versicolor"])
    assert matrix.classes == ["setosa", "versicolor"]
    assert (matrix.tn, matrix.fp, matrix.fn, matrix.tp) == (0, 1, 0, 1)
    turned = ConfusionMatrix(["versicolor", "setosa"], ["versicolor", "versicolor"], ["versicolor", "setosa"])
    assert turned.counts == [[1, 0], [1, 0]]
    assert matrix != turned
    assert matrix.mistakes() == [("setosa", "versicolor", 1)]


def test_two_classes_are_there_even_if_one_does_not_occur():
    assert str(ConfusionMatrix([0, 0], [0, 0])) == "TN 2  FP 0  FN 0  TP 0"
    assert str(ConfusionMatrix([1], [1])) == "TN 0  FP 0  FN 0  TP 1"
    assert repr(ConfusionMatrix([0, 1], [0, 1])) == "ConfusionMatrix.from_counts([[1, 0], [0, 1]], [0, 1])"


def test_the_largest_output_is_the_class_and_the_first_of_equals():
    assert [argmax(xs) for xs in ([1.0, 3.0, 2.0], [2.0, 2.0], (Value(0.0), Value(1.0)))] == [1, 0, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: accuracy([0, 1], [0]), ValueError, "got 2 labels and 1 predictions"),
        (lambda: accuracy([], []), ValueError, "no labels"),
        (lambda: accuracy([1], [Value(0.7)]), TypeError, r"threshold\(output\) gives the class"),
        (lambda: one_hot(3, 3), ValueError, "Label 3 does not fit 3 classes: it is an int from 0 to 2"),
        (lambda: ConfusionMatrix([0, 2], [0, 1], [0, 1]), ValueError, r"2 is not one of the classes \[0, 1\]"),
        (lambda: ConfusionMatrix.from_counts([[1, 2]]), ValueError, "is square"),
        (lambda: ConfusionMatrix([0, 1, 2], [0, 1, 2]).tp, AttributeError, "need two classes; there are 3 here"),
    ],
)
def test_what_cannot_be_compared_is_an_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---- what is no class


@pytest.mark.parametrize(
    "predictions",
    [
        [0.9, 0.1, 0.8],
        [[0.9], [0.1], [0.8]],
        [float("nan"), 0, 1],
        [float("inf"), 0, 1],
        [Fraction(1, 2), 0, 1],
        [Decimal("0.5"), 0, 1],
        [1.0, 0.0, 0.7],
    ],
)
@pytest.mark.parametrize("measure", [accuracy, ConfusionMatrix])
def test_probabilities_are_no_classes(measure, predictions):
    for pair in (([1, 0, 1], predictions), (predictions, [1, 0, 1])):
        with pytest.raises(ValueError, match=r"whole number or a name, got .*; threshold\(output\) gives the class"):
            measure(*pair)
    labels = [1, 0, 1]
    for thing in (Value(0.9), [Value(0.9)]):
        with pytest.raises(TypeError, match="threshold"):
            measure(labels, [thing, 0, 1])


def test_probabilities_in_arrays_are_no_classes_either():
    numpy = pytest.importorskip("numpy")
    for array in (numpy.array([0.9, 0.1]), numpy.array([[0.9], [0.1]]), numpy.float32([0.5, 1.0])):
        with pytest.raises(ValueError, match="threshold"):
            accuracy([1, 0], array)
    assert accuracy([1, 0], [threshold(p) for p in (0.9, 0.1)]) == 1.0


@pytest.mark.parametrize("labels", [[1.0, 0.0], [True, False], [Fraction(1), Decimal(0)], ["1", "0"], [b"1", b"0"]])
def test_whole_numbers_and_names_of_any_kind_are_classes(labels):
    assert accuracy(labels, labels) == 1.0
    assert ConfusionMatrix(labels, labels).accuracy == 1.0


def test_arrays_without_axes_are_classes():
    numpy = pytest.importorskip("numpy")
    assert accuracy([numpy.array(1), numpy.bool_(False)], [1, 0]) == 1.0


def test_an_empty_row_has_no_largest_entry():
    with pytest.raises(ValueError, match="a number for each class"):
        accuracy([1], [[]])
