"""Fisher's iris flowers (1936), from the corrected table, the one in R and scikit-learn."""

import csv
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from microgrannd.datasets.samples import Samples
from microgrannd.ground.arguments import brief, legible, list_of, path_of

SPECIES: Final = ("setosa", "versicolor")
TRAINING_ROWS: Final = 35  # of the 50 of each species; the others are for testing


class Iris(NamedTuple):
    """The samples to train on and to test with, and the numbers by which the columns were standardised."""

    train: Samples
    test: Samples
    columns: tuple[str, ...]
    mean: list[float]
    std: list[float]

    def __repr__(self) -> str:
        what = f"of {', '.join(self.columns)}: {len(self.train.x)} to train, {len(self.test.x)} to test"
        return f"<Iris {what}; fields {', '.join(self._fields)}>"


def iris(columns: Sequence[str] = ("sepal_length", "sepal_width"), path: str | Path | None = None) -> Iris:
    """Setosa (class 0) and versicolor (class 1): of each the first 35 rows to train, the last 15 to test.

    The columns are standardised by the mean and the (population) standard deviation of all 150 rows. `path`
    is another file of the same form. Raises ValueError if it lacks a column or a row.

    >>> data = iris()
    >>> len(data.train.x), len(data.test.x)
    (70, 30)
    >>> [round(mean, 4) for mean in data.mean]
    [5.8433, 3.0573]
    """
    columns = tuple(list_of("columns", columns, "a list of names", str))
    name = str(path) if path is not None else "iris.csv"
    file = path_of("path", path) if path is not None else resources.files(__package__) / "iris.csv"
    try:
        reader = csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines())
        header, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name} is damaged or no CSV file: {error}.") from None
    for column in (*columns, "species"):
        if column not in header:
            given = ", ".join(map(legible, header[:10])) or "none"
            raise ValueError(f"{name} has no column {column!r}; its columns are: {given}.")
    table = [[_number(row[column], name, i, column) for column in columns] for i, row in enumerate(rows, start=2)]
    mean, std = _mean_and_deviation(table, name, columns)
    scaled = [[(x - m) / s for x, m, s in zip(row, mean, std, strict=True)] for row in table]
    train, test = Samples([], []), Samples([], [])
    for label, species in enumerate(SPECIES):
        flowers = [numbers for numbers, row in zip(scaled, rows, strict=True) if row["species"] == species]
        if len(flowers) <= TRAINING_ROWS:
            raise ValueError(f"{name} has {len(flowers)} rows of {species}; more than {TRAINING_ROWS} are needed.")
        for samples, some in ((train, flowers[:TRAINING_ROWS]), (test, flowers[TRAINING_ROWS:])):
            samples.x.extend(some)
            samples.y.extend([label] * len(some))
    return Iris(train, test, columns, mean, std)


def _mean_and_deviation(table: list[list[float]], name: str, columns: Sequence[str]) -> tuple[list[float], list[float]]:
    count = len(table)
    if not count:
        raise ValueError(f"{name} has no rows below its header.")
    mean = [math.fsum(column) / count for column in zip(*table, strict=True)]
    squares = [math.fsum((row[i] - m) ** 2 for row in table) / count for i, m in enumerate(mean)]
    for column, square in zip(columns, squares, strict=True):
        if not square > 0:
            raise ValueError(f"All rows of {name} have the same {column!r}: it cannot be standardised.")
    return mean, [math.sqrt(square) for square in squares]


def _number(text: str | None, name: str, line: int, column: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}, line {line}: {column!r} is {brief(text)}, where a number is expected.")
    return number
