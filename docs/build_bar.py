"""The bar at the top of the book's and the playground's pages: the same places, in the same order, as the site's tabs.

It is put into pages when they are put together, so a chapter that is read alone has none: it would lead nowhere.
"""

import re
from pathlib import Path

SITE = {
    "Home": "index.html",
    "Tutorial": "tutorial.html",
    "The book": "book/index.html",
    "Playground": "playground.html",
    "Guides": "how-it-works.html",
    "Reference": "operations.html",
    "中文": "tutorial.zh.html",
}
ALONE = {"Playground": "playground.html", "The book": "book/index.html"}
# As the theme has its header: its teal, its height; `all: revert` keeps the page's own rules for links and lists out.
STYLE = """\
<style>
.places { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; align-items: center;
  margin: 0 calc(50% - 50vw) 1rem; padding: .6rem 1.25rem; background: #00776b; font: 15px/1.5 "Helvetica Neue",
  Helvetica, Arial, sans-serif }
.places a { all: revert; color: #ffffff; text-decoration: none; opacity: .8 }
.places a:first-child { font-weight: 700; opacity: 1 }
.places a:hover, .places a[aria-current] { opacity: 1; text-decoration: underline; text-underline-offset: .35em }
.places a:focus-visible { outline: 2px solid #ffffff; outline-offset: 3px }
@media (max-width: 40em) { .places { gap: .2rem 1rem } }
</style>
"""


def put_in(folder: Path, places: dict[str, str]) -> None:
    """Give every page of the book and of the playground in the folder the bar, once."""
    for page in [*sorted((folder / "book").rglob("*.html")), *sorted(folder.glob("playground.html"))]:
        text = page.read_text("utf-8")
        if 'class="places"' not in text:
            depth = len(page.relative_to(folder).parts) - 1
            here = ("Playground", "The book", "中文")[depth]
            there = {name: place for name, place in places.items() if (folder / place).exists()}
            page.write_text(with_bar(text, there, here, "../" * depth), "utf-8")


def with_bar(page: str, places: dict[str, str], here: str, up: str) -> str:
    """A page with the bar as the first thing in its body; `up` leads from the page to the folder of the places."""
    links = [f'<a href="{up}{next(iter(places.values()))}">microgrannd</a>']
    for name, place in places.items():
        current = ' aria-current="true"' if name == here else ""
        links.append(f'<a href="{up}{place}"{current}>{name}</a>')
    bar = f'{STYLE}<nav class="places" aria-label="microgrannd">\n' + "\n".join(links) + "\n</nav>\n"
    return re.sub(r"<body[^>]*>\n", lambda body: body[0] + bar, page, count=1)


def tabs_to_playground(site: Path) -> None:
    """Let the site's tab lead into the playground itself, now that it is there, rather than to the page about it."""
    tab = re.compile(r'(<a href="[^"]*)in-the-browser\.html("\s+class="md-tabs__link")')
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        page.write_text(tab.sub(r"\1playground.html\2", text), "utf-8")
