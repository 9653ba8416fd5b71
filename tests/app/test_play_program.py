"""`microgrannd play`: what it serves, to whom, and what it says where there is nothing to serve."""

import threading
import urllib.error
import urllib.request

import pytest

from microgrannd.app import cli, play_program


@pytest.fixture
def folder(tmp_path):
    """A folder like that of a build."""
    (tmp_path / "play").mkdir()
    for name in ("playground.html", "play/worker.js", "play/pyodide.mjs", "play/a.wasm", "play/snapshot.bin.gz"):
        (tmp_path / name).write_text("<!doctype html>")
    return tmp_path


@pytest.fixture
def address(folder):
    with play_program.server(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("playground.html", "text/html"),
        ("play/worker.js", "text/javascript"),
        ("play/pyodide.mjs", "text/javascript"),
        ("play/a.wasm", "application/wasm"),
        ("play/snapshot.bin.gz", "application/octet-stream"),
    ],
)
def test_files_come_with_their_kind_and_the_headers_for_shared_memory(name, kind, address):
    with urllib.request.urlopen(f"{address}/{name}") as response:
        assert response.headers["Content-Type"] == kind
        assert response.headers["Content-Encoding"] is None
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_nothing_outside_of_the_folder_is_served(folder, address):
    (folder.parent / "secret.txt").write_text("secret")
    for path in ("../secret.txt", "%2e%2e/secret.txt", "play/../../secret.txt"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}/{path}")


def test_only_this_computer_is_served(folder):
    with play_program.server(folder, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_where_nothing_is_built_it_says_where_it_looked_and_how_to_build(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(play_program, "PACKAGE", f"{tmp_path}/elsewhere/microgrannd/")
    assert cli.main(["play"]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "build" / "playground") in said
    assert str(tmp_path / "elsewhere" / "build" / "playground") in said
    assert "python -m docs.build playground" in said
    assert "--folder" in said
    assert cli.main(["play", "--folder", "nowhere"]) == 2
    assert "no playground in nowhere" in capsys.readouterr().err


def test_it_is_found_here_and_beside_the_package(folder, tmp_path, monkeypatch):
    build = tmp_path / "here" / "build"
    build.mkdir(parents=True)
    (build / "playground").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(play_program, "PACKAGE", f"{tmp_path}/here/microgrannd/")
    assert play_program.built(None) == build / "playground"
    monkeypatch.setattr(play_program, "PACKAGE", "/nowhere/microgrannd/")
    monkeypatch.chdir(tmp_path / "here")
    assert play_program.built(None) == build / "playground"
    assert play_program.built(folder) == folder


def test_it_opens_the_browser_at_the_page_unless_told_not_to(folder, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(play_program.webbrowser, "open", opened.append)
    monkeypatch.setattr(play_program.ThreadingHTTPServer, "serve_forever", lambda self: None)
    assert cli.main(["play", "--folder", str(folder), "--port", "0"]) == 0
    [address] = opened
    assert address.endswith("/playground.html")
    assert address in capsys.readouterr().out
    assert cli.main(["play", "--folder", str(folder), "--port", "0", "--no-browser"]) == 0
    assert len(opened) == 1


def test_a_port_that_is_taken_or_is_none_is_named(folder, capsys):
    with play_program.server(folder, 0) as server:
        taken = str(server.server_address[1])
        assert cli.main(["play", "--folder", str(folder), "--port", taken, "--no-browser"]) == 2
    assert f"Port {taken} cannot be used" in capsys.readouterr().err
    assert cli.main(["play", "--folder", str(folder), "--port", "70000"]) == 2
    assert "got 70000" in capsys.readouterr().err


def test_an_interrupt_ends_it_quietly(folder, monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(play_program.ThreadingHTTPServer, "serve_forever", interrupted)
    assert cli.main(["play", "--folder", str(folder), "--port", "0", "--no-browser"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
