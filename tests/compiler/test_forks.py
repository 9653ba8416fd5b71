"""A child that is forked can compile and compute, whatever the other threads of its parent were doing."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

BEGIN = """
import os, signal, threading, time, warnings
import numpy as np
import microgrannd as mg
warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks go ill together

def child(work):
    pid = os.fork()
    if not pid:
        signal.alarm(30)
        work()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""

THREADS = """
xs = np.linspace(-1.0, 1.0, 3_000_000)
program = mg.compile(lambda x: mg.tanh(x) * x, backend="native", threads=2)
wanted = program(xs)

def again():
    assert (program(xs) == wanted).all()

for _ in range(3):
    child(again)
again()
"""

COMPILING = """
ended = False

def compiling(backend):
    i = 0
    while not ended:
        i += 1
        mg.compile(lambda x: mg.sin(x * (i + 0.5)) + x, backend=backend)(np.ones(9))

def fresh():
    assert mg.compile(lambda x: mg.cos(x * 7.25) * x, backend="native")(0.0) == 0.0
    assert mg.compile(lambda x: mg.cos(x * 7.25) * x, backend="numpy")(np.zeros(3)).tolist() == [0.0] * 3
    assert mg.grad(lambda x: x * x)(3.0) == 6.0

fresh()  # all is imported: Python's own locks for that are not our matter
threads = [threading.Thread(target=compiling, args=[backend]) for backend in ("native", "numpy", "auto")]
for thread in threads:
    thread.start()

try:
    for _ in range(FORKS):
        child(fresh)
finally:
    ended = True
    for thread in threads:
        thread.join()
"""

HELD = """
from microgrannd.compiler.locking import COMPILING
from microgrannd.nodes import refusing

def fresh():
    program = mg.compile(lambda x: mg.cos(x * 7.25) * x, backend="native")
    assert program.value_and_gradients(0.0) == (0.0, (1.0,))

fresh()
for lock in (COMPILING, refusing._hashing):
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child(fresh)
    thread.join()
"""


def ran(code):
    command = [sys.executable, "-c", BEGIN + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


def test_a_fork_after_threads_have_run():
    ran(THREADS)


def test_a_fork_while_another_thread_holds_a_lock():
    ran(HELD)


@pytest.mark.parametrize("forks", [10, pytest.param(500, marks=pytest.mark.long)])
def test_a_fork_while_other_threads_compile(forks):
    ran(COMPILING.replace("FORKS", str(forks)))
