"""The notebooks as web pages: each is run in a fresh kernel and rendered into `docs/book/`.

The pages load nothing from elsewhere; pictures and step players are inside them. Where the playground is served beside
them (`build_playground.py`), their cells can be changed and run.
"""

import html
import os
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

from docs.build_chinese import chinese

SMALLEST = 0.62  # of a drawing's own size, at which its letters are still read
STYLE = Path(__file__).with_name("book.css")
PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} - microgrannd</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<nav class="ways">{ways}</nav>
<main>
{body}
</main>
<nav class="ways">{ways}</nav>
<script type="module">
if (location.protocol.startsWith("http")) import("{root}play/live.js").catch(() => {{}});
</script>
</body>
</html>
"""


def render_all(notebooks: Path, folder: Path) -> None:
    """Run every notebook once and write its page in each language, and a page that lists them."""
    (folder / "zh").mkdir(parents=True, exist_ok=True)
    import nbformat

    paths = sorted(notebooks.glob("*.ipynb"))
    titles = [title(path) for path in paths]
    chinese_titles = [title_of(chinese(nbformat.read(path, as_version=4), path)) for path in paths]
    for i, path in enumerate(paths):
        ran = executed(path)
        (folder / f"{path.stem}.html").write_text(page(ran, titles[i], _ways(paths, titles, i)), "utf-8")
        ways = _ways(paths, chinese_titles, i, "zh")
        (folder / "zh" / f"{path.stem}.html").write_text(
            page(chinese(ran, path), chinese_titles[i], ways, "zh"), "utf-8"
        )
        print(f"  {path.stem}")
    lines = _lines(notebooks / "README.md")
    items = "\n".join(
        f'<li value="{path.stem[:2]}"><a href="{path.stem}.html">{html.escape(name)}</a>{lines.get(path.stem, "")}</li>'
        for path, name in zip(paths, titles, strict=True)
    )
    contents = f"<h1>The book</h1>\n<p>Backpropagation, to be read in order.</p>\n<ol>\n{items}\n</ol>"
    (folder / "index.html").write_text(_filled("The book", _home("index"), contents), "utf-8")
    items = "\n".join(
        f'<li value="{path.stem[:2]}"><a href="{path.stem}.html">{html.escape(name)}</a></li>'
        for path, name in zip(paths, chinese_titles, strict=True)
    )
    contents = f"<h1>反向传播</h1>\n<p>请按次序阅读。</p>\n<ol>\n{items}\n</ol>"
    (folder / "zh" / "index.html").write_text(_filled("反向传播", _home("index", "zh"), contents, "zh"), "utf-8")


def _lines(readme: Path) -> dict[str, str]:
    """What the notebooks' README says of each chapter, by its name."""
    found = re.findall(r"\]\(([\w-]+)\.ipynb\)(: .*)", readme.read_text("utf-8")) if readme.exists() else []
    return {name: html.escape(line) for name, line in found}


def page(notebook: Any, title: str, ways: str = "", language: str = "en") -> str:
    """A notebook that has run, as a page of its own; `ways` are the links to the other chapters."""
    found = body(notebook)
    if language == "zh":  # a folder deeper
        found = found.replace("The plot that the cell above makes", "上面的单元画出的图").replace(
            'href="../', 'href="../../'
        )
    return _filled(title, ways, found, language)


def title(path: Path) -> str:
    """The notebook's heading, without its number."""
    import nbformat

    return title_of(nbformat.read(path, as_version=4))


def title_of(notebook: Any) -> str:
    """The heading of a notebook that has been read, without its number."""
    heading = notebook.cells[0].source.partition("\n")[0]
    return re.sub(r"^# (\d+\. )?", "", heading).replace("`", "")


def executed(path: Path) -> Any:
    """The notebook with the outputs of a fresh run, in the folder where it lies."""
    import nbformat
    from nbclient import NotebookClient

    root = str(path.parent.parent)
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    client = NotebookClient(
        notebook, timeout=600, coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=environment)
    return notebook


def body(notebook: Any) -> str:
    """The cells as HTML, without a page around them."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    found, _ = exporter.from_notebook_node(notebook)
    found = re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", found)
    found = re.sub(r'(<img [^>]*src="data:image/svg\+xml;base64,)([^"]+)" style="[^"]*"', _sized, found)
    found = found.replace("No description has been provided for this image", "The plot that the cell above makes")
    # Chapters link to each other as notebooks and to the documentation as Markdown.
    found = re.sub(r'href="(\d\d-[\w-]+)\.ipynb"', r'href="\1.html"', found)
    return re.sub(r'href="\.\./docs/([\w-]+)\.md', r'href="../\1.html', found)


def _sized(match: re.Match[str]) -> str:
    """A drawing that may shrink to a column's width, but not beyond what can be read."""
    width = re.search(rb'<svg [^>]*?width="([\d.]+)"', b64decode(match[2][:1200]))
    least = round(float(width[1]) * SMALLEST) if width else 0
    return f'{match[1]}{match[2]}" class="drawing" style="max-width: max(100%, {least}px)"'


def style() -> str:
    """The book's own style sheet, and the colours of code by day and by night."""
    from pygments.formatters import HtmlFormatter

    day, night = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("friendly", "github-dark"))
    return f"{STYLE.read_text('utf-8')}\n{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}"


def _filled(title: str, ways: str, body: str, language: str = "en") -> str:
    root = {"en": "../", "zh": "../../"}[language]
    return PAGE.format(title=html.escape(title), style=style(), ways=ways, body=body, language=language, root=root)


def _ways(paths: list[Path], titles: list[str], i: int, language: str = "en") -> str:
    links = [_home(paths[i].stem, language)]
    if i > 0:
        links.append(f'<a rel="prev" href="{paths[i - 1].stem}.html">← {html.escape(titles[i - 1])}</a>')
    if i + 1 < len(paths):
        links.append(f'<a rel="next" href="{paths[i + 1].stem}.html">{html.escape(titles[i + 1])} →</a>')
    return "\n".join(links)


def _home(stem: str, language: str = "en") -> str:
    """Links to the site, to the list of chapters and to this page in the other language."""
    root, book, other = {
        "en": ("../", "The book", f'<a lang="zh" hreflang="zh" href="zh/{stem}.html">中文</a>'),
        "zh": ("../../", "本书", f'<a lang="en" hreflang="en" href="../{stem}.html">English</a>'),
    }[language]
    return f'<a href="{root}index.html">microgrannd</a>\n<a href="index.html">{book}</a>\n{other}'
