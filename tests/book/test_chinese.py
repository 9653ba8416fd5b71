"""The Chinese texts say what the English ones say today, around the same code.

The code of a Chinese chapter is that of the English notebook, so what runs there has run here; a page's blocks of code
are the same to the letter.
"""

import re
from pathlib import Path

import pytest

from docs.build_chinese import FENCE, chinese, gaps, mark, name_of, translation

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path):
    return pytest.importorskip("nbformat").read(path, as_version=4)


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_every_cell_of_prose_has_a_translation_of_its_present_text(path):
    pytest.importorskip("nbformat")
    assert gaps(path) == [], "translate them in notebooks/zh, then: python -m docs.build_chinese --current NAME"


def test_no_translation_is_of_a_chapter_that_is_gone():
    written = {path.stem for path in (ROOT / "notebooks" / "zh").glob("*.md")} - {"glossary"}
    assert written <= {name_of(path) for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_a_chinese_chapter_has_the_same_code_links_and_exercises(path):
    english = read(path)
    result = chinese(english, path)
    for before, after in zip(english.cells, result.cells, strict=True):
        if before.cell_type == "code":
            assert before == after
            continue
        assert FENCE.findall(before.source) == FENCE.findall(after.source)
        for pattern in (r"\]\(([^)\s]+)\)", r"^(#+) ", r"^\*\*(\d)\.\*\*", r"<details>"):
            found = [re.findall(pattern, text, re.MULTILINE) for text in (before.source, after.source)]
            assert found[0] == found[1], before.id
        assert "<!-- code -->" not in after.source
        assert "第 # 章" not in after.source


def test_a_renumbered_chapter_is_not_stale_and_a_changed_one_is():
    text = "# 3. Gates\n\nSee [chapter 7](07-checks.ipynb)."
    assert mark(text) == mark("# 4. Gates\n\nSee [chapter 9](09-checks.ipynb).")
    assert mark(text) != mark(text + " Now.")


def test_gaps_are_named(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_markdown_cell(text, id=name) for name, text in [("a", "# 1. A"), ("b", "b"), ("c", "c")]]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01-x.ipynb")
    (tmp_path / "zh").mkdir()
    text = f"<!-- a {mark('# 1. A')} -->\n# 甲\n<!-- b 00000000 -->\n乙\n<!-- d 00000000 -->\n丁\n"
    (tmp_path / "zh" / "x.md").write_text(text, "utf-8")
    assert gaps(tmp_path / "01-x.ipynb") == [
        "x, c: not translated", "x, b: the English text has changed since", "x, d: there is no such cell",
    ]  # fmt: skip
    assert translation("x", tmp_path)["a"] == (mark("# 1. A"), "# 甲")


@pytest.mark.parametrize("name", ["README", "docs/tutorial"])
def test_a_chinese_page_has_the_same_blocks_of_code_and_headings(name):
    english, other = ((ROOT / f"{name}{end}.md").read_text("utf-8") for end in ("", ".zh"))
    assert FENCE.findall(english) == FENCE.findall(other)
    headings = [re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE) for text in (english, other)]
    assert headings[0] == headings[1]
