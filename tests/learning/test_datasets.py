"""The shipped iris data, with the split and scale of K-05, and the made moons."""

import hashlib
import math
from importlib import resources

import pytest

from microgrannd.datasets import Samples, iris, moons
from tests.oracles import agrees, example

CORRECTED = (
    "9cc1c345c71bcc9b486b74cbf6063fa66f4bb5e0f603a4b3c3471ec2e5e8e355"  # not UCI's file, which has two wrong rows
)


def test_the_shipped_file_is_fishers_table_as_corrected():
    content = (resources.files("microgrannd.datasets") / "iris.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == CORRECTED
    rows = content.decode().splitlines()
    assert (len(rows), rows[35], rows[38]) == (151, "4.9,3.1,1.5,0.2,setosa", "4.9,3.6,1.4,0.1,setosa")


def test_iris_is_standardised_and_split_as_in_k05():
    entry = example("K-05")
    wanted, data = entry["outputs"], iris()
    assert agrees([data.mean, data.std], [wanted["mean"], wanted["std"]], entry["tol"])
    assert (len(data.train.x), len(data.test.x)) == (wanted["n_train"], wanted["n_test"])
    by_row = {  # of the file, counted from 0
        **{row: data.train.x[row] for row in range(35)},
        **{row: data.test.x[row - 35] for row in range(35, 50)},
        **{row: data.train.x[row - 50 + 35] for row in range(50, 85)},
        **{row: data.test.x[row - 85 + 15] for row in range(85, 100)},
    }
    for row in (0, 34, 35, 37, 41, 50, 84, 85, 99):
        assert agrees(by_row[row], wanted[f"row{row}"], entry["tol"]), row
    assert data.train.y == [0] * 35 + [1] * 35
    assert data.test.y == [0] * 15 + [1] * 15
    assert all(type(x) is float for row in data.train.x for x in row)


def test_other_columns_may_be_chosen():
    data = iris(columns=("petal_width", "petal_length", "sepal_width"))
    assert data.columns == ("petal_width", "petal_length", "sepal_width")
    assert agrees(data.mean, [1.1993333333333333, 3.758, 3.0573333333333332], 1e-12)
    assert len(data.train.x[0]) == 3


def test_samples_are_a_tuple_of_columns():
    x, y = moons(10)
    assert isinstance(moons(10), Samples)
    assert len(x) == len(y) == 10


@pytest.fixture
def shipped(tmp_path):
    """The shipped file's text, and a way to write another in its place."""
    text = (resources.files("microgrannd.datasets") / "iris.csv").read_text(encoding="utf-8")

    def changed(old, new):
        assert old in text
        path = tmp_path / "flowers.csv"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return changed


def test_a_file_from_elsewhere_reads_the_same(shipped):
    assert iris(path=shipped("sepal_length,", "\ufeffsepal_length,")) == iris()  # as Excel writes it
    assert iris(path=str(shipped("\n", "\r\n"))) == iris()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sepal_width", "width", r"flowers.csv has no column 'sepal_width'; its columns are: sepal_length, width, "),
        ("species", "kind", "has no column 'species'"),
        ("5.1,3.5,1.4,0.2", "5.1,,1.4,0.2", r"flowers.csv, line 2: 'sepal_width' is '', where a number"),
        ("4.9,3.0,1.4,0.2", "tall,3.0,1.4,0.2", "line 3: 'sepal_length' is 'tall'"),
        ("4.9,3.0,1.4,0.2", "nan,3.0,1.4,0.2", "line 3: 'sepal_length' is 'nan'"),
        ("5.0,3.3,1.4,0.2,setosa", "5.0", "line 51: 'sepal_width' is None"),
        ("versicolor", "virginica", "has 0 rows of versicolor; more than 35 are needed"),
    ],
)
def test_a_file_that_lacks_something_is_an_error_that_names_it(shipped, old, new, message):
    with pytest.raises(ValueError, match=message):
        iris(path=shipped(old, new))


def test_an_empty_file_a_header_alone_and_no_file_are_errors(tmp_path):
    path = tmp_path / "flowers.csv"
    path.write_text("")
    with pytest.raises(ValueError, match="no column 'sepal_length'; its columns are: none"):
        iris(path=path)
    path.write_text("sepal_length,sepal_width,species\n")
    with pytest.raises(ValueError, match="has no rows below its header"):
        iris(path=path)
    path.write_text("sepal_length,sepal_width,species\n1,2,setosa\n1,3,setosa\n")
    with pytest.raises(ValueError, match="have the same 'sepal_length'"):
        iris(path=path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        iris(path=tmp_path / "nowhere.csv")


def test_moons_without_noise_lie_on_two_half_circles():
    points = moons(60, noise=0.0, seed=3)
    assert sorted(points.y) == [0] * 30 + [1] * 30
    for (x, y), label in zip(*points, strict=True):
        distance = math.hypot(x, y) if label == 0 else math.hypot(x - 1, y - 0.5)
        assert distance == pytest.approx(1.0, abs=1e-15)
        assert y >= 0 if label == 0 else y <= 0.5
    assert points.y != sorted(points.y)


def test_the_noise_has_the_given_deviation():
    quiet, noisy = moons(2000, noise=0.0, seed=1), moons(2000, noise=0.2, seed=1)
    shifts = [a - b for p, q in zip(noisy.x, quiet.x, strict=True) for a, b in zip(p, q, strict=True)]
    assert 0.19 < math.sqrt(sum(s * s for s in shifts) / len(shifts)) < 0.21


def test_moons_repeat_by_their_seed():
    assert moons(20, seed=1) == moons(20, seed=1) != moons(20, seed=2)
    assert len(moons(7).x) == 7


@pytest.mark.parametrize("options", [{"n": 1}, {"noise": -0.1}, {"noise": math.nan}])
def test_moons_that_cannot_be_are_errors(options):
    with pytest.raises(ValueError, match="at least"):
        moons(**options)


@pytest.mark.parametrize(
    "content",
    [
        b"\33[2J" + b"x" * 100_000 + b"," * 1000 + b"\n1,2\n",
        b"sepal_length,sepal_width,species\n\33[2J" + b"x" * 100_000 + b",1,setosa\n",
        b"sepal_length,sepal_width,species\n" + b"1" * 200_000 + b",1,setosa\n",  # longer than a field of CSV may be
        b"\xff\xfe\0",
    ],
)
def test_an_error_shows_a_little_of_a_foreign_file_on_one_line(tmp_path, content):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.csv") as caught:
        iris(path=path)
    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable()
