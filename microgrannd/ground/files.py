"""Writing a file whole or not at all."""

import os
import stat
import tempfile
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write beside the destination, then rename: a reader sees the old file or the new one, never half of it."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in; make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    try:
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    except PermissionError:
        raise PermissionError(f"{path.parent} cannot be written to: choose another folder for {path.name}.") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, _permissions(path))
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or else those of any new file."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
