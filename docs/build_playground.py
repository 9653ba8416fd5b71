"""The playground: a folder of static files in which Python runs in the reader's browser, and the book beside it.

The page's own files are in `docs/playground/`; npm brings the editor and Pyodide, in the versions of its
`package-lock.json`. In the folder:

    playground.html, index.html    the page
    book/                          the chapters, if `docs/book/` has been built
    play/                          scripts, the package, Python: nothing comes from elsewhere
    offline.js                     keeps all this in the browser for when there is no network
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docs import build_bar

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCES = HERE / "playground"
MODULES = SOURCES / "node_modules"
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")


def build(folder: Path, book: Path, cdn: str | None = None) -> None:
    """Write the whole folder, which is emptied first; with `cdn`, browsers fetch Pyodide from that address."""
    install()
    shutil.rmtree(folder, ignore_errors=True)
    play = folder / "play"
    play.mkdir(parents=True)
    _archive(play / "python.zip")
    node("snapshot.mjs", play / "python.zip", play / "snapshot.bin.gz")
    _scripts(play, cdn)
    shutil.copy(SOURCES / "play.css", play)
    if cdn is None:
        (play / "pyodide").mkdir()
        for name in PYODIDE:
            shutil.copy(MODULES / "pyodide" / name, play / "pyodide")
    (play / "licences.txt").write_text("\n".join(_licences()), "utf-8")
    if (book / "index.html").exists():
        shutil.copytree(book, folder / "book", ignore=shutil.ignore_patterns("*.md"))
    _pages(folder)


def install() -> None:
    """What `package-lock.json` names, from npm, unless it is there."""
    done = MODULES / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (SOURCES / "package-lock.json").stat().st_mtime:
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=SOURCES, check=True)


def node(script: str, *arguments: Path) -> None:
    """Run a script of ours."""
    subprocess.run(["node", script, *[str(path.resolve()) for path in arguments]], cwd=SOURCES, check=True)


def examples() -> list[dict[str, str]]:
    """The programs of the menu: the first line of each is its title."""
    found = []
    for path in sorted((SOURCES / "examples").glob("*.py")):
        code = path.read_text("utf-8")
        found.append({"title": code.partition("\n")[0].removeprefix("# "), "code": code.rstrip()})
    return found


def _archive(path: Path) -> None:
    """The package as a wheel has it, what runs it in a page, and the files that lie beside the notebooks."""
    package = [file for file in (ROOT / "microgrannd").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    files = {file.relative_to(ROOT).as_posix(): file for file in package if file.suffix not in (".so", ".pyd", ".pyi")}
    files["session.py"] = SOURCES / "session.py"
    files |= {file.name: file for file in (ROOT / "notebooks").glob("*.txt")}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(ZipInfo(name), files[name].read_bytes(), ZIP_DEFLATED)


def _scripts(play: Path, cdn: str | None) -> None:
    """Our scripts with the editor in them, made small."""
    defined = {"EXAMPLES": examples(), "PYODIDE": cdn or "pyodide/", "PACKAGES": cdn is not None}
    command = [MODULES / ".bin" / "esbuild", "playground.js", "live.js", "worker.js", f"--outdir={play.resolve()}"]
    options = "--bundle --splitting --format=esm --minify --target=es2022 --log-level=warning --legal-comments=none"
    defines = [f"--define:{name}={json.dumps(thing)}" for name, thing in defined.items()]
    subprocess.run([*command, *options.split(), *defines], cwd=SOURCES, check=True)


def _pages(folder: Path) -> None:
    page = (SOURCES / "playground.html").read_text("utf-8")
    (folder / "playground.html").write_text(page, "utf-8")
    build_bar.put_in(folder, build_bar.ALONE)
    shutil.copy(folder / "playground.html", folder / "index.html")
    _keeper(folder, ["./", "index.html", "playground.html"])


def into_site(folder: Path, site: Path) -> None:
    """Put what was built into a web site that has a home page of its own and the chapters already."""
    shutil.copytree(folder / "play", site / "play", dirs_exist_ok=True)
    page = (SOURCES / "playground.html").read_text("utf-8")
    (site / "playground.html").write_text(page, "utf-8")
    build_bar.put_in(site, build_bar.SITE)
    _keeper(site, ["playground.html"])


def _keeper(folder: Path, pages: list[str]) -> None:
    """The service worker, which knows the pages, and all that is in `play` and `book`."""
    files = sorted(path for part in ("play", "book") for path in (folder / part).rglob("*") if path.is_file())
    names = [*pages, *[path.relative_to(folder).as_posix() for path in files]]
    contents = b"".join(path.read_bytes() for path in [*files, folder / "playground.html"])
    version = sha256(contents).hexdigest()[:12]
    worker = (SOURCES / "offline.js").read_text("utf-8")
    worker = worker.replace("{{version}}", version).replace("{{files}}", json.dumps(names))
    (folder / "offline.js").write_text(worker, "utf-8")


def _licences() -> Iterator[str]:
    """Whose work is in the folder, and under which terms."""
    for path in sorted(MODULES.rglob("package.json")):
        about = json.loads(path.read_text("utf-8"))
        if "esbuild" in path.as_posix() or not {"name", "version", "license"} <= about.keys():
            continue
        yield f"{about['name']} {about['version']}: {about['license']}"
        yield from (licence.read_text("utf-8") for licence in path.parent.glob("LICENSE*"))


def cdn() -> str:
    """Where the version of Pyodide that we build with is on the CDN of its makers."""
    wanted = json.loads((SOURCES / "package.json").read_text("utf-8"))["dependencies"]
    return f"https://cdn.jsdelivr.net/pyodide/v{wanted['pyodide']}/full/"
