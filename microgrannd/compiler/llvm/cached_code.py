"""Machine code on disk for the next time, signed, so that code of somebody else's is never run."""

import functools
import hashlib
import os
import warnings
from pathlib import Path
from typing import Final

from microgrannd.ground.files import write_whole

_SIZE: Final = 32  # bytes of a key and of a signature


class CachedCode:
    """Code in a file that is named for all that the code depends on, and begins with its signature.

    The key is kept elsewhere: whoever can write in the folder but cannot read the key can have code compiled anew, and
    nothing more. Where code cannot be read or kept, a warning says why.
    """

    def __init__(self, folder: Path, depends: str) -> None:
        self.path = folder / f"{hashlib.sha256(depends.encode()).hexdigest()}.o"

    def read(self) -> bytes | None:
        """The code; None where there is none, or not as it was written."""
        try:
            content = self.path.read_bytes() if self.path.is_file() else b""
            code = content[_SIZE:]
            return code if content and content[:_SIZE] == self._signature(code) else None
        except OSError:
            return None  # writing meets with the same, and says so

    def write(self, code: bytes) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists() and not self.path.is_file():
                raise OSError(f"{self.path} is no regular file.")
            write_whole(self.path, self._signature(code) + code)
        except OSError as error:
            warnings.warn(f"cache={str(self.path.parent)!r}: code is not kept. {error}", RuntimeWarning, stacklevel=2)

    def _signature(self, code: bytes) -> bytes:
        return hashlib.blake2b(self.path.name.encode() + code, key=_key(_key_folder()), digest_size=_SIZE).digest()


def _key_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path(os.path.expanduser("~"), ".local", "state")
    return Path(state, "microgrannd")


@functools.cache
def _key(folder: Path) -> bytes:
    """A secret of the user's, made when it is first asked for, in a folder that nobody else may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
        raise PermissionError(f"The folder of the key, {folder}, has to be yours alone: chmod 700 {folder}")
    path = folder / "key"
    if not path.exists():
        write_whole(path, os.urandom(_SIZE))
    key = path.read_bytes()
    if len(key) != _SIZE:
        raise OSError(f"The key {path} is damaged: delete it.")
    return key
