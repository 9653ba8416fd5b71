"""Writing a file whole or not at all."""

import errno
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from microgrannd.ground.arguments import path_of
from microgrannd.ground.terminal import tell

try:
    import fcntl
except ModuleNotFoundError:  # on Windows and in the browser
    fcntl = None  # type: ignore[assignment]

_PREFIX, _SUFFIX = ".microgrannd.", ".tmp"  # of the name of what is being written, until it is whole
_NEW: Final = 0o666  # the permissions of a new file, from which the umask takes


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write beside the destination, then rename: a reader sees the old file or the new one, never half of it.

    A link stays, and the file that it leads to is written. What is there and is no regular file, such as a FIFO or a
    device, is written to and stays what it is; a FIFO that nobody reads loses it, with a RuntimeWarning. What killed
    processes were writing in the folder is removed.
    """
    path = path_of("path", path)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    there = _status(path)
    if there and stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    stream = there and _standard_stream(there)
    if stream or (there and not stat.S_ISREG(there.st_mode)):
        _write_through(path, data, stream)
        return
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in; make it first.")
    _sweep(path.parent)
    while not _replaced(path, data, stat.S_IMODE(there.st_mode) if there else None):
        pass


def open_in_browser(page: str | os.PathLike[str]) -> None:
    """Show a file in the browser; where there is none, say on standard error where the file is."""
    import webbrowser  # slow to load

    address = Path(page).resolve().as_uri()
    if not webbrowser.open(address):
        tell(f"There is no browser to open: {address}")


def show_page(html: str) -> None:
    """Show a page in the browser, from a temporary file, which stays for the browser to read."""
    with NamedTemporaryFile(prefix="microgrannd-", suffix=".html", delete=False) as file:
        file.write(html.encode("utf-8", "backslashreplace"))
    open_in_browser(file.name)


def write_figure(path: str | os.PathLike[str], figure: Any, **options: Any) -> None:
    """Write a figure of matplotlib's, whole, in the format that the name ends with; as .png where it has no ending."""
    path = path_of("path", path)
    path = path if path.suffix else path.with_suffix(".png")
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:], **options)
    write_whole(path, content.getvalue())


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _standard_stream(there: os.stat_result) -> int | None:
    """The number of the standard stream that a file is, be it as /dev/stdout: what was printed there stays, too."""
    for stream in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(stream), there):
                return stream
    return None


def _write_through(path: Path, data: bytes, stream: int | None) -> None:
    waiting = getattr(os, "O_NONBLOCK", 0)  # to be told if nobody reads, and not to wait for it
    with _naming(path):
        try:
            descriptor = os.dup(stream) if stream else os.open(path, os.O_WRONLY | waiting)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            lost = f"Nobody reads from {path}: what is written there is lost. Start its reader first."
            warnings.warn(lost, RuntimeWarning, stacklevel=4)
            return
        with open(descriptor, "wb") as file:
            os.set_blocking(descriptor, True)
            file.write(data)


def _replaced(path: Path, data: bytes, mode: int | None) -> bool:
    """Whether the file is written; not if another process has swept it away in the moment before it was locked."""
    unfinished = path.parent / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    made = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(unfinished, made, _NEW if mode is None else 0o600)
    except OSError as error:
        remedy = f"choose another folder than {path.parent}"
        raise OSError(error.errno, f"{path} cannot be written to ({error.strerror}): {remedy}.") from None
    try:
        with _naming(path), open(descriptor, "wb") as file:
            _lock(descriptor, wait=True)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(unfinished, mode)
        os.replace(unfinished, path)
    except FileNotFoundError:
        return False
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    return True


def _sweep(folder: Path) -> None:
    """Remove what was never finished. What still is being written is locked, by a lock that ends with its process."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open(entry.path, "rb") as file:
                    if _lock(file.fileno(), wait=False):
                        os.unlink(entry.path)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Whether the file is locked now, until it is closed; where there are no locks, nothing is."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the system say which file they are about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{path} cannot be written to: {error.strerror or error}.") from None
