r"""Formulas reach MathJax as they are written, on GitHub too.

GitHub reads a page as Markdown first: `\,` in $...$ becomes a comma, `\{` loses its backslash, two
`_` may make words slanted, a line that begins with `+` is a list. Blocks of ```math are safe, of
which the site's Markdown makes formulas too; so is what Markdown leaves as it is.
"""

import importlib.util
import os
import re

import pytest
from program import ROOT

FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\w\\$])\$(?!\s)[^$]+?(?<!\s)\$(?!\w)", re.DOTALL)
CODE = re.compile(r"^```.*?^```$|^ {4}[^\n]*$|`[^`]*`", re.MULTILINE | re.DOTALL)
REFUSED = (r"\operatorname", r"\newcommand", r"\def", r"\require")  # by GitHub, also in ```math
PAGES = [
    p for pattern in ("*.md", "docs/**/*.md", "experiments/**/*.md") for p in ROOT.glob(pattern)
]


def spoiled(text):
    """The formulas among text that Markdown changes."""
    from markdown_it import MarkdownIt

    shown = []
    for block in MarkdownIt("commonmark").enable("table").parse(text):
        for part in block.children or ():
            if part.type != "html_inline":
                shown.append("\n" if part.type == "softbreak" else part.content)
        shown.append("\n\n")
    left = "".join(shown)
    return [formula for formula in FORMULA.findall(CODE.sub("`", text)) if formula not in left]


@pytest.fixture(autouse=True)
def _markdown():
    """A part of .[docs], of which CI has all."""
    if importlib.util.find_spec("markdown_it") is None and not os.environ.get("CI"):
        pytest.skip('needs the packages of pip install -e ".[docs]"')


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_markdown_leaves_formulas_as_they_are(page):
    """What is written in `$...$` is what MathJax is given."""
    text = page.read_text()
    assert spoiled(text) == []
    assert [word for word in REFUSED if word in CODE.sub("", text) + "".join(blocks(text))] == []


def blocks(text):
    return re.findall(r"^```math\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_formulas_are_found():
    """Where there are some: a chapter has both kinds."""
    text = (ROOT / "docs" / "learn" / "05_likelihood.md").read_text()
    assert len(FORMULA.findall(CODE.sub("`", text))) > 10
    assert len(blocks(text)) == 4


@pytest.mark.parametrize(
    "formula",
    [r"$a\,b$", r"$\{a\}$", r"$a\_b$", r"$a \\ b$", r"$(a)_{b}(c)_{d}$", "$$a\n+ b$$", "$a <b>c$"],
)
def test_what_markdown_changes_is_noticed(formula):
    """Among words, beside what it leaves as it is."""
    text = f"Of $x_t$ and `$c\\,$`, {formula} is a formula; it costs $5.\n\n    $d\\,e$\n"
    assert spoiled(text) == [formula]
