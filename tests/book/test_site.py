"""The site is one: a bar of the same places on pages that three presses make; search by other libraries' names."""

import re
from pathlib import Path

import pytest

from docs import build_bar
from microgrannd.operations import TABLE

MENU = (Path(build_bar.__file__).parent.parent / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
TABS = re.findall(r"^  - (\S[^:]*):", MENU, re.MULTILINE)
PAGE = '<!doctype html>\n<html lang="en">\n<body class="{}">\n<h1>A page</h1>\n</body>\n</html>\n'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "book" / "zh").mkdir(parents=True)
    for name in ("index", "playground", "tutorial", "how-it-works", "operations", "tutorial.zh"):
        (tmp_path / f"{name}.html").write_text(PAGE.format("home"))
    for name in ("index.html", "01-a-number.html"):
        (tmp_path / "book" / name).write_text(PAGE.format("chapter"))
        (tmp_path / "book" / "zh" / name).write_text(PAGE.format("章"))
    return tmp_path


def links(page):
    return re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', page.read_text("utf-8"))


@pytest.mark.parametrize(
    "name", ["playground.html", "book/index.html", "book/01-a-number.html", "book/zh/01-a-number.html"]
)
def test_the_bar_has_the_places_of_the_sites_tabs_and_leads_there(site, name):
    build_bar.put_in(site, build_bar.SITE)
    page = site / name
    (_, home), *places = links(page)
    assert home == "microgrannd"
    assert [place for _, place in places] == TABS == [*build_bar.SITE]
    assert all((page.parent / address).resolve().is_file() for address, _ in links(page))
    assert page.read_text().index('class="places"') < page.read_text().index("<h1>")
    here = {"playground.html": "Playground", "book/zh/01-a-number.html": "中文"}.get(name, "The book")
    assert f'aria-current="true">{here}</a>' in page.read_text()


def test_no_page_gets_two_bars_and_none_leads_where_nothing_is(site):
    (site / "tutorial.html").unlink()
    build_bar.put_in(site, build_bar.SITE)
    once = (site / "playground.html").read_text()
    build_bar.put_in(site, build_bar.SITE)
    assert (site / "playground.html").read_text() == once
    assert "Tutorial" not in once
    assert "places" not in (site / "operations.html").read_text()  # the theme's pages have their own


def test_a_tab_of_the_site_leads_into_the_playground(site):
    tab = '<a href="{}in-the-browser.html" class="md-tabs__link">\n  <a href="in-the-browser.html">in the text</a>'
    (site / "tutorial.html").write_text(tab.format(""))
    build_bar.tabs_to_playground(site)
    assert 'href="playground.html" class="md-tabs__link"' in (site / "tutorial.html").read_text()
    assert 'href="in-the-browser.html">in the text' in (site / "tutorial.html").read_text()


SEARCHED = "\n".join(
    (Path(build_bar.__file__).parent / name).read_text("utf-8")
    for name in ("operations.md", "coming-from-pytorch.md", "api.md")
)


@pytest.mark.parametrize("name", [row.numpy for row in TABLE.values() if row.numpy])
def test_the_pages_that_are_searched_have_the_names_of_numpy(name):
    assert re.search(rf"\b{name}\b", SEARCHED)


@pytest.mark.parametrize(
    "name",
    """
    clamp atan2 arctan2 relu silu gelu leaky_relu elu softplus logsigmoid log_softmax softmax logsumexp digamma lgamma
    polygamma erfinv xlogy logit sinc hypot remainder Linear Sequential ReLU MSELoss CrossEntropyLoss cross_entropy
    no_grad detach item backward zero_grad lr_scheduler state_dict manual_seed vmap
    """.split(),
)
def test_and_those_of_pytorch(name):
    assert re.search(rf"\b{name}\b", SEARCHED)
