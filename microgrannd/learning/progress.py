"""The progress of a training: a line that is redrawn on a terminal (by tqdm, if installed), plain lines elsewhere."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeAlias

from microgrannd.ground.terminal import is_terminal, tell

Report: TypeAlias = Callable[[int, float], None]

LINES: Final = 10  # in a whole training, outside a terminal


@contextmanager
def reporting(epochs: int, shown: bool) -> Iterator[Report]:
    """A function to call after each epoch with the number of epochs done and the last loss."""
    if not shown:
        yield lambda done, loss: None
    elif not is_terminal(sys.stderr):
        yield partial(_print_some, epochs)
    else:
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            yield partial(_redraw, epochs)
            tell("")
        else:
            with tqdm(total=epochs, unit="epoch") as bar:

                def advance(done: int, loss: float) -> None:
                    bar.set_postfix_str(f"loss={loss:.6g}", refresh=False)
                    bar.update()

                yield advance


def _print_some(epochs: int, done: int, loss: float) -> None:
    if done % max(1, epochs // LINES) == 0 or done == epochs:
        tell(_line(epochs, done, loss))


def _redraw(epochs: int, done: int, loss: float) -> None:
    width = shutil.get_terminal_size().columns - 1
    tell("\r" + _line(epochs, done, loss)[:width].ljust(width), end="")


def _line(epochs: int, done: int, loss: float) -> str:
    return f"epoch {done:>{len(str(epochs))}}/{epochs}  loss {loss:.6g}"
