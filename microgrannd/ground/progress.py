"""The progress of a training: a line that is redrawn on a terminal (by tqdm, if installed), plain lines elsewhere."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

Report: TypeAlias = Callable[[int, float], None]

LINES: Final = 10  # in a whole training, outside a terminal


@contextmanager
def reporting(epochs: int, shown: bool) -> Iterator[Report]:
    """A function to call after each epoch with the number of epochs done and the last loss."""
    if not shown:
        yield lambda done, loss: None
    elif not sys.stderr.isatty():
        yield _plain_lines(epochs)
    else:
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            yield _one_line(epochs)
            print(file=sys.stderr)
        else:
            with tqdm(total=epochs, unit="epoch") as bar:

                def advance(done: int, loss: float) -> None:
                    bar.set_postfix_str(f"loss={loss:.6g}", refresh=False)
                    bar.update()

                yield advance


def _plain_lines(epochs: int) -> Report:
    def report(done: int, loss: float) -> None:
        if done % max(1, epochs // LINES) == 0 or done == epochs:
            print(_line(done, epochs, loss), file=sys.stderr, flush=True)

    return report


def _one_line(epochs: int) -> Report:
    def report(done: int, loss: float) -> None:
        width = shutil.get_terminal_size().columns - 1
        print("\r" + _line(done, epochs, loss)[:width].ljust(width), end="", file=sys.stderr, flush=True)

    return report


def _line(done: int, epochs: int, loss: float) -> str:
    return f"epoch {done:>{len(str(epochs))}}/{epochs}  loss {loss:.6g}"
