"""`microgrannd play`: the playground, where it has been built, on this computer and for this computer alone."""

from __future__ import annotations

import argparse
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from microgrannd.ground.modes import PACKAGE

PAGE = "playground.html"
HOW = "A checkout of microgrannd builds it with `python -m docs.build playground` (which needs npm)"


def run(arguments: argparse.Namespace) -> None:
    folder = built(arguments.folder)
    with server(folder, arguments.port) as serving:
        address = f"http://localhost:{serving.server_address[1]}/{PAGE}"
        print(f"the playground is at {address} (Ctrl-C ends it)", flush=True)
        if not arguments.no_browser:
            webbrowser.open(address)
        serving.serve_forever()


def built(folder: Path | None) -> Path:
    """Where the playground is: the folder given, or the one that a build makes here or beside the package."""
    beside = Path(PACKAGE).parent
    places = [folder] if folder else [root / "build" / "playground" for root in (Path.cwd(), beside)]
    for place in places:
        if (place / PAGE).is_file():
            return place
    looked = " nor in ".join(str(place) for place in dict.fromkeys(places))
    raise FileNotFoundError(f"There is no playground in {looked}. {HOW}; --folder tells where it is.")


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the folder's files that only this computer reaches; port 0 is any that is free."""
    if not 0 <= port <= 65535:
        raise ValueError(f"A port is a number from 0 to 65535, got {port}.")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(PlaygroundFiles, directory=str(folder)))
    except OSError as error:
        raise OSError(f"Port {port} cannot be used ({error.strerror}): choose another with --port.") from None


class PlaygroundFiles(SimpleHTTPRequestHandler):
    """Sends files with the headers by which a browser lets the page and Python share memory: Stop goes through it."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".gz": "application/octet-stream",  # it is unpacked by the page, not by the browser
    }

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the terminal is the user's."""
