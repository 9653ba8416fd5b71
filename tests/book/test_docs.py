"""The documentation says what is so: its code runs and prints what it shows, its links lead somewhere.

In a page, the Python blocks run in order and share their names; the block right after one is what it
prints. `sh` blocks run in a shell. `<!-- not run: why -->` before a block leaves it out; so does
`<!-- needs torch -->` where that is not installed.
"""

import contextlib
import doctest
import importlib.util
import io
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted(DOCS.glob("*.md"))]
CHINESE = [page for page in PAGES if page.name.endswith(".zh.md")]  # test_chinese.py holds their code to the English
WRITTEN = [page for page in PAGES if page.name not in ("api.md", "operations.md") and page not in CHINESE]

BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKER = doctest.OutputChecker()
ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block:
    def __init__(self, match, text, before):
        self.language, self.code = match["language"], match["code"]
        self.line = text[: match.start()].count("\n") + 1
        gap = text[before : match.start()]
        self.follows = not gap.strip()
        comment = re.search(r"<!-- *((?:(?!-->).)*?) *-->\s*$", gap, re.DOTALL)
        self.comment = comment[1] if comment else ""

    @property
    def runs(self):
        # The README's two commands install and test; .ci/run runs them to the letter.
        return not self.comment.startswith(("not run:", "main", "tests"))


def blocks(page):
    text, end, found = page.read_text("utf-8"), 0, []
    for match in BLOCK.finditer(text):
        found.append(Block(match, text, end))
        end = match.end()
    return found


def expected_outputs(found):
    """Each block that runs, with the output shown right after it, or None."""
    for block, after in itertools.zip_longest(found, found[1:]):
        if block.language in ("python", "sh") and block.runs:
            yield block, after.code if after and after.follows and after.language in ("", "text") else None


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_block_of_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for block, expected in expected_outputs(blocks(page)):
        needed = re.fullmatch(r"needs (\w+)", block.comment)
        if needed and not importlib.util.find_spec(needed[1]):
            continue
        printed = run_python(block, page, names) if block.language == "python" else run_shell(block, tmp_path)
        if expected is not None:
            assert CHECKER.check_output(expected, printed, ALIKE), (
                f"{page.name}, line {block.line}: expected\n{expected}\nbut got\n{printed}"
            )


def run_python(block, page, names):
    printed = io.StringIO()
    code = compile("\n" * block.line + block.code, str(page), "exec")  # the error names the page's own line
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def run_shell(block, folder):
    commands = folder / ".commands"
    commands.mkdir(exist_ok=True)
    for name, module in (("microgrannd", "-m microgrannd"), ("python", ""), ("python3", "")):
        file = commands / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        file.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        ["sh", "-e", "-c", block.code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "notebooks/README.md"))],
    ids=lambda page: page.name,
)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if "docs/book/" in path.as_posix():  # built, not committed: it comes from a notebook
            assert path.name == "index.html" or (ROOT / "notebooks" / f"{path.stem}.ipynb").exists(), target
            continue
        assert path.exists(), f"{page.name} links to {target}, which is not there"
        if heading:
            assert heading in anchors(path), f"{page.name} links to {target}, which has no such heading"


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["operations", "api"])
def test_the_page_written_from_the_package_is_current(name):
    from docs import build_api, build_operations
    from microgrannd import engine

    if name == "api" and not engine.__file__.endswith(".py"):
        pytest.skip("the compiled build has other signatures")
    page = {"operations": build_operations, "api": build_api}[name].page()
    assert (DOCS / f"{name}.md").read_text("utf-8") == page, f"run python -m docs.build {name}"


def test_what_type_checkers_read_is_current():
    from docs import build_stubs

    package = ROOT / "microgrannd"
    for path, text in [
        (package / "__init__.pyi", build_stubs.front_door()),
        (package / "nodes" / "arithmetic.pyi", build_stubs.methods()),
    ]:
        assert path.read_text("utf-8") == text, "run python -m docs.build stubs"


def test_the_operations_page_has_a_row_for_every_operation():
    import microgrannd as mg
    from docs import build_operations

    listed = [name for _, _, names in build_operations.groups() for name in names]
    assert sorted(listed) == sorted(mg.TABLE)


ELEMENTARY = {**{name: getattr(math, name) for name in ("exp", "log", "sqrt", "erf")}, "max": max, "min": min}
WORDS = {"norm", "contribution", "cbrt", "stop_gradient", "sum", "mean", "dot", "logsumexp"}  # not written as Python


def test_the_definitions_on_the_operations_page_are_those_of_the_operations():
    import microgrannd as mg
    from docs import build_operations
    from microgrannd.nodes.notation import input_names

    definitions = build_operations.definitions()
    for name in definitions.keys() - WORDS:
        operation = mg.TABLE[name]
        for point in [(0.75, 0.25, 1.5), (-0.5, -0.25, 0.5), (2.0, 2.0, 3.0)]:
            names = input_names(operation, len(operation.local_gradients.__code__.co_varnames) - 1)
            inputs = dict(zip(names, point, strict=False))
            expected = eval(definitions[name], ELEMENTARY, inputs)
            assert operation(*inputs.values()) == pytest.approx(expected, rel=1e-12), name


def test_every_public_name_is_on_the_page_of_names_or_of_operations():
    import microgrannd as mg

    pages = (DOCS / "api.md").read_text("utf-8") + (DOCS / "operations.md").read_text("utf-8")
    modules = {name for name in mg.__all__ if type(getattr(mg, name, None)) is type(mg)}
    for name in set(mg.__all__) - modules - {"TABLE", "__version__"}:
        assert re.search(rf"^### {name}$|`{name}`", pages, re.MULTILINE), f"{name} is documented nowhere"


def test_the_pictures_are_well_formed_and_small():
    from xml.etree import ElementTree

    pictures = sorted((DOCS / "images").glob("*.svg"))
    assert pictures
    for picture in pictures:
        assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert picture.stat().st_size < 60_000


def test_the_page_that_the_tutorial_links_to_is_what_is_written_today(tmp_path):
    import microgrannd as mg

    x, y, z = mg.Value(-2.0, label="x"), mg.Value(5.0, label="y"), mg.Value(-4.0, label="z")
    q = x + y
    f = q * z
    q.label, f.label = "q", "f"
    mg.step(f).to_html(tmp_path / "steps.html")
    written, linked = (folder / "steps.html" for folder in (tmp_path, DOCS / "images"))
    assert written.read_bytes() == linked.read_bytes(), "save mg.step(f) of docs/tutorial.md as docs/images/steps.html"


def test_every_page_is_in_the_menu_of_the_site():
    menu = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in DOCS.glob("*.md"):
        assert f": {page.name}\n" in menu, f"add {page.name} to the nav in mkdocs.yml"


@pytest.mark.long
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # Material's, about mkdocs, is none of the site's
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    # The book's pages come from the notebooks, by a command of their own.
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line and "book/" not in line]
    assert not warnings
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!www\.mkdocs\.org)', page), "loads something from elsewhere"


def test_the_tutorial_can_be_pasted_into_the_interpreter(tmp_path, monkeypatch):
    """A REPL takes a block line by line: a function is at its end where an empty line follows it."""
    import code as interpreter

    monkeypatch.chdir(tmp_path)
    errors = io.StringIO()
    console = interpreter.InteractiveConsole()
    text = (DOCS / "tutorial.md").read_text("utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            for line in [*block.splitlines(), ""]:  # the Enter after pasting
                unfinished = console.push(line)
            assert not unfinished, block
    assert errors.getvalue() == ""
