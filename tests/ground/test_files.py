"""A file is there whole or not at all, and what is no regular file stays what it is."""

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

import microgrannd as mg
from microgrannd import plots
from microgrannd.ground import files
from microgrannd.ground.files import write_whole
from microgrannd.nn import MLP
from microgrannd.training import History

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs, links and locks are POSIX's")


def test_text_is_written_as_utf_8_without_changing_line_ends(tmp_path):
    write_whole(tmp_path / "a.txt", "∇\n\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xe2\x88\x87\n\r\n"


def test_a_file_is_replaced_with_its_permissions(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write_whole(tmp_path / "nowhere" / "a.txt", "")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_whole(tmp_path, "")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot be written to"):
        write_whole(tmp_path / "a.txt", "")


# ---- what is no regular file


@posix
def test_a_fifo_is_written_to_and_stays_one(tmp_path):
    fifo = tmp_path / "model.json"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    content = os.urandom(300_000)  # more than a pipe holds
    writer = threading.Thread(target=write_whole, args=[fifo, content])
    writer.start()
    time.sleep(0.2)  # it waits for the reader, who takes a while
    with open(descriptor, "rb") as file:
        assert file.read() == content
    writer.join()
    assert fifo.is_fifo()


@posix
def test_a_fifo_that_nobody_reads_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p")
    with pytest.warns(RuntimeWarning, match=r"Nobody reads from .*/p: what is written there is lost"):
        write_whole(tmp_path / "p", "text")
    assert (tmp_path / "p").is_fifo()
    assert os.listdir(tmp_path) == ["p"]


@posix
def test_a_device_is_written_to_and_stays_one(tmp_path):
    master, slave = os.openpty()
    path = os.ttyname(slave)
    (tmp_path / "link").symlink_to(path)
    for to in (path, tmp_path / "link"):
        write_whole(to, "text")
        assert os.read(master, 100) == b"text"
        assert stat.S_ISCHR(os.stat(to).st_mode)
    os.close(master)
    os.close(slave)


@posix
def test_what_is_printed_to_a_file_stays_when_something_is_saved_to_standard_output(tmp_path):
    code = """
import microgrannd as mg
print("before", flush=True)
mg.save(mg.MLP(1, [1]), "/dev/stdout")
print("after")
"""
    with open(tmp_path / "out", "w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    text = (tmp_path / "out").read_text()
    assert text.startswith("before\n{")
    assert text.endswith("}\nafter\n")


def saved_model(path):
    mg.save(MLP(1, [1]), path)


def drawing():
    return mg.draw(mg.Value(2.0, "x") * 3)


def c_source(path):
    program = mg.compile(lambda x: x * 2, backend="python").trace(1.0)
    program.to_c(path)


def curve(path):
    pytest.importorskip("matplotlib")
    History([2.0, 1.0], [0.1, 0.1], [0.1, 0.1]).plot(path)


def boundary(path):
    pytest.importorskip("matplotlib")
    plots.decision_boundary(sum, [[-1.0, 0.0], [1.0, 1.0]], [0, 1], path=path)


WRITERS = {
    "model.json": saved_model,
    "graph.svg": lambda path: drawing().save(path),
    "graph.html": lambda path: drawing().save(path),
    "graph.dot": lambda path: drawing().save(path),
    "steps.html": lambda path: mg.step(mg.Value(2.0, "x") * 3).to_html(path),
    "program.c": c_source,
    "program.h": lambda path: c_source(path.with_suffix(".c")),
    "loss.png": curve,
    "boundary.svg": boundary,
}


@posix
@pytest.mark.parametrize("name", WRITERS)
def test_all_that_is_written_follows_links_and_is_whole(name, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / name, tmp_path / name
    link.symlink_to(os.path.join("elsewhere", name))
    WRITERS[name](link)  # the link leads to nothing yet
    before = target.stat()
    assert before.st_size > 20
    os.utime(target, (0, 0))
    WRITERS[name](link)
    after = target.stat()
    assert link.is_symlink()
    assert after.st_mtime > 0
    assert after.st_ino != before.st_ino  # replaced, not written over
    assert os.listdir(target.parent) == [name]


# ---- what killed processes leave


@posix
def test_what_was_never_finished_is_swept_but_not_what_is_being_written_nor_what_is_not_ours(tmp_path):
    import fcntl

    for name in (".microgrannd.left.tmp", ".microgrannd.busy.tmp", ".another.tmp", "microgrannd.tmp"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".microgrannd.folder.tmp").mkdir()
    os.mkfifo(tmp_path / ".microgrannd.fifo.tmp")
    with open(tmp_path / ".microgrannd.busy.tmp", "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        write_whole(tmp_path / "a", "text")
    ours = {f".microgrannd.{name}.tmp" for name in ("busy", "folder", "fifo")}
    assert set(os.listdir(tmp_path)) == ours | {".another.tmp", "microgrannd.tmp", "a"}


@posix
def test_a_save_that_is_swept_before_it_is_locked_is_done_again(tmp_path, monkeypatch):
    lock, swept = files._lock, []

    def late(descriptor, *, wait):
        if wait and len(swept) < 2:
            [unfinished] = tmp_path.glob(".microgrannd.*")
            unfinished.unlink()
            swept.append(unfinished)
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(files, "_lock", late)
    write_whole(tmp_path / "a", "text")
    assert len(set(swept)) == 2
    assert (tmp_path / "a").read_text() == "text"
    assert os.listdir(tmp_path) == ["a"]


SAVING = """
import sys, microgrannd as mg
model = mg.MLP(4, [8, 8, 1], seed=0)
print("begun", flush=True)
while True:
    for p in model.parameters():
        p.data += 1.0
    mg.save(model, sys.argv[1])
    mg.draw(model([1.0] * 4)).save(sys.argv[2])
"""


@posix
@pytest.mark.parametrize("kills", [8, pytest.param(300, marks=pytest.mark.long)])
def test_a_save_that_is_killed_leaves_the_old_files_or_the_new_ones(tmp_path, kills):
    model, picture = tmp_path / "model.json", tmp_path / "graph.svg"
    moments, left = random.Random(kills), 0
    started = [sys.executable, "-c", SAVING, str(model), str(picture)]
    for _ in range(kills):
        with subprocess.Popen(started, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
        left += len(list(tmp_path.glob(".*")))
        if model.exists():
            numbers = [p.data for p in mg.load(model).parameters()]
            first = [p.data for p in MLP(4, [8, 8, 1], seed=0).parameters()]
            assert len({round(x - y) for x, y in zip(numbers, first, strict=True)}) == 1  # of one save
        if picture.exists():
            assert picture.read_text("utf-8").endswith("</svg>\n")
    write_whole(tmp_path / "another", "")
    assert not list(tmp_path.glob(".*"))
    assert left or kills < 100


@posix
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.json"
    mg.save(MLP(2, [1], seed=0), path)
    before = path.read_bytes()
    code = """
import resource, sys, microgrannd as mg
model = mg.MLP(2, [100])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    mg.save(model, sys.argv[1])
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert f"{path} cannot be written to: File too large" in done.stdout
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.json"]
