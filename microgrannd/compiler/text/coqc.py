"""Coq itself: a file is checked by `coqc` in a folder of its own, and no process stays behind, whatever happens."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from microgrannd.compiler.text.coq_source import CoqSource
from microgrannd.ground.arguments import wrong
from microgrannd.ground.errors import ProofError
from microgrannd.operations import is_number

_INSTALL = (
    "Coq is not installed: `apt-get install coq libcoq-coquelicot` or `opam install coq coquelicot` does it. "
    "program.to_coq(path) writes the file without it, to be checked elsewhere by `coqc`."
)


@dataclass(frozen=True)
class Proof:
    """What Coq has accepted: theorems, the conditions under which they hold, the seconds that it took, the file."""

    theorems: tuple[str, ...]
    conditions: tuple[str, ...]
    seconds: float
    text: str

    def __repr__(self) -> str:
        theorems, conditions = (
            f"{len(things)} {word}{'s' * (len(things) != 1)}"
            for things, word in ((self.theorems, "theorem"), (self.conditions, "condition"))
        )
        first = "; ".join(self.conditions[:3]) + "; ..." * (len(self.conditions) > 3)
        return f"Proof({theorems}, {conditions}: {first})" if self.conditions else f"Proof({theorems}, no condition)"

    def __str__(self) -> str:
        under = [f"  if {condition}" for condition in self.conditions]
        return "\n".join([f"Coq accepts, in {self.seconds:.1f} s:", *[f"  {x}" for x in self.theorems], *under])


def checked(source: CoqSource, timeout: float) -> Proof:
    if not is_number(timeout):
        raise wrong("timeout", "a number of seconds", timeout)
    if not timeout > 0:
        raise ValueError(f"timeout is a number of seconds above 0, got {timeout}.")
    program = shutil.which("coqc")
    if program is None:
        raise ProofError(_INSTALL)
    with TemporaryDirectory(prefix="microgrannd") as folder:
        file = Path(folder, "program.v")
        file.write_text(source.text, encoding="utf-8")
        start = time.perf_counter()
        code, said = _run([program, "-q", "-color", "no", str(file)], folder, timeout)
        seconds = time.perf_counter() - start
    if code:
        raise ProofError(_refusal(said, source))
    return Proof(source.theorems, source.conditions, seconds, source.text)


def _run(command: list[str], folder: str, timeout: float) -> tuple[int, str]:
    process = None
    try:
        with _interrupts_later():  # one that falls into Popen would leave a process that nobody knows
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, encoding="utf-8", errors="replace", start_new_session=True,
            )  # fmt: skip
        _, said = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ProofError(
            f"Coq had not finished after {timeout:g} s, and was stopped; timeout= gives it longer."
        ) from None
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, said


@contextmanager
def _interrupts_later() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _refusal(said: str, source: CoqSource) -> str:
    if "Coquelicot" in said and "Cannot find" in said:
        return f"Coq is there, but not its library Coquelicot. {_INSTALL.partition(': ')[2]}"
    places = re.findall(r"line (\d+), characters [^\n]*\n(?=Error)", said)
    error = " ".join(said[said.rfind("Error") :].split())[:300]
    lines = source.text.splitlines()[: int(places[-1])] if places else []
    lemma = next((found[1] for line in reversed(lines) if (found := re.match(r"(?:Lemma|Theorem) ([\w']+)", line))), "")
    return f"Coq refuses {lemma or 'the file'}: {error}"
