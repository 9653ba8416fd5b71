"""The compiler's lock, which a fork waits for: a child never inherits it from a thread that it does not have."""

import os
import threading
from typing import Final

COMPILING: Final = threading.RLock()  # one for all programs, because LLVM's state is global

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=COMPILING.acquire, after_in_parent=COMPILING.release, after_in_child=COMPILING.release)
