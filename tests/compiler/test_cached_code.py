"""Code in the directory of `cache=`: only one's own is run, and where none can be kept, the answers are right."""

import hashlib
import os
import pathlib
import warnings

import numpy as np
import pytest

import microgrannd as mg
from microgrannd.compiler.llvm.cached_code import CachedCode

XS = np.linspace(0.0, 1.0, 9)


@pytest.fixture(autouse=True)
def key_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "microgrannd"


@pytest.fixture
def compiled(monkeypatch):
    """How often code was kept: once for each that was compiled."""
    written, write = [], CachedCode.write
    monkeypatch.setattr(CachedCode, "write", lambda *a: (written.append(1), write(*a))[1])
    return written


def run(cache, factor=3.0):
    program = mg.compile(lambda x: mg.sin(x) * factor, backend="native", cache=cache)
    np.testing.assert_allclose(program(XS), np.sin(XS) * factor, rtol=1e-15)


def kept(cache):
    [path] = pathlib.Path(cache).glob("*.o")
    return path


def test_code_is_compiled_once_for_a_user(tmp_path, compiled):
    run(tmp_path / "cache")
    run(str(tmp_path / "cache"))
    assert len(compiled) == 1


def test_what_somebody_else_signed_is_compiled_anew(tmp_path, compiled, monkeypatch):
    run(tmp_path / "theirs")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    run(tmp_path / "mine")
    assert kept(tmp_path / "theirs").name == kept(tmp_path / "mine").name
    kept(tmp_path / "mine").write_bytes(kept(tmp_path / "theirs").read_bytes())
    run(tmp_path / "mine")
    assert len(compiled) == 3


def test_code_under_the_name_of_other_code_is_not_run(tmp_path, compiled):
    run(tmp_path / "a", factor=3.0)
    run(tmp_path / "b", factor=4.0)
    kept(tmp_path / "a").write_bytes(kept(tmp_path / "b").read_bytes())
    run(tmp_path / "a", factor=3.0)
    assert len(compiled) == 3


def test_a_signature_without_the_key_is_worth_nothing(tmp_path, compiled, key_folder):
    run(tmp_path / "cache")
    path = kept(tmp_path / "cache")
    code = path.read_bytes()[32:]
    signed = path.name.encode() + code
    for forged in (hashlib.sha256(signed), hashlib.blake2b(signed, digest_size=32)):
        path.write_bytes(forged.digest() + code)
        run(tmp_path / "cache")
    assert len(compiled) == 3
    assert key_folder.stat().st_mode & 0o077 == 0
    assert len((key_folder / "key").read_bytes()) == 32


def cannot_keep(cache, why):
    with pytest.warns(RuntimeWarning, match=rf"cache=.*: code is not kept\. .*{why}"):
        run(cache)


def test_where_code_cannot_be_kept_a_warning_names_the_argument(tmp_path):
    (tmp_path / "file").write_text("")
    cannot_keep(tmp_path / "file", "File exists")
    cannot_keep(tmp_path / "file" / "below", "Not a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are POSIX's")
def test_a_fifo_in_place_of_code_is_not_waited_for(tmp_path):
    run(tmp_path / "cache")
    path = kept(tmp_path / "cache")
    path.unlink()
    os.mkfifo(path)
    cannot_keep(tmp_path / "cache", "no regular file")
    assert path.is_fifo()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are POSIX's")
def test_a_key_that_others_can_read_signs_nothing(tmp_path, key_folder):
    key_folder.mkdir(parents=True)
    key_folder.chmod(0o750)
    cannot_keep(tmp_path / "cache", "has to be yours alone: chmod 700")
    assert not list((tmp_path / "cache").iterdir())
    key_folder.chmod(0o700)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(tmp_path / "cache")
    assert kept(tmp_path / "cache")


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    resource = pytest.importorskip("resource")
    run(tmp_path / "other", factor=5.0)  # which makes the key
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        cannot_keep(tmp_path / "cache", "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path / "cache") == []
