"""The site is built without a warning, and has every field and every public name."""

import importlib.util
import os
import re
import sys

import pytest
from program import ROOT
from terminal import Terminal

from publishing import api
from publishing.site import contents, diagrams, links, page, reference, source
from score_sde.models import NETWORKS
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages():
    return source.pages()


def test_it_is_built_and_is_read_without_a_network(tmp_path):
    """Warnings, such as links to nothing, are errors; scripts and styles lie beside the pages."""
    packages = ("sphinx", "myst_parser", "furo", "mathjax")
    if None in map(importlib.util.find_spec, packages) and not os.environ.get("CI"):
        pytest.skip('needs the packages of pip install -e ".[docs]"')
    with Terminal(ROOT) as terminal:
        code, printed = terminal.run("python", "-m", "publishing.site", f"--out={tmp_path}")
    assert code == 0, printed
    assert "executing docs/learn/01_sdes.md ..." in printed  # it says what takes its time
    built = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*.html")}
    assert {uri.replace(".md", ".html") for uri in source.pages()} <= built.keys()
    fetched = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    for path in built.values():
        assert not fetched.findall(path.read_text()), path
    assert (tmp_path / "_static" / "mathjax.js").stat().st_size > 1_000_000
    first = (tmp_path / "learn" / "01_sdes.html").read_text()
    assert "_static/mathjax.js" in first
    assert re.search(r'<div class="math[^>]*>\s*\\\[dx = f\(t\)', first)  # of a block of ```math
    assert "../_images/01_sdes-1.png" in first


def test_every_page_is_led_to_once(pages):
    """By the overview of a part, or by the home."""
    found = re.findall(r"^/(.+)$", "\n".join(p.text for p in pages.values()), re.MULTILINE)
    assert sorted(found) == sorted(uri.removesuffix(".md") for uri in pages if uri != "index.md")


def test_every_field_has_its_place(pages):
    """With what it takes, on the page of its section."""
    for network in NETWORKS:
        for path, entry in configs.entries(network).items():
            # Each process has its own; the name of the network is the first field of the page.
            if not path.startswith("sde.") and path != configs.NETWORK:
                section, dot, _ = path.partition(".")
                text = pages[f"reference/config/{section}.md" if dot else "reference/index.md"].text
                assert f"- `{path}` = `{entry.default!r}`" in text, path


def test_every_public_name_has_its_place(pages):
    for path in api.MODULES:
        text = pages[f"reference/api/{path}.md"].text
        module = sys.modules[path]
        missing = [name for name in api.names(module) if f"\n## `{name}`\n" not in text]
        assert not missing, path


def test_a_docstring_is_markdown():
    """Arguments are a list, what is indented is code, and signs of Markdown are shown."""
    text = """x_i of [batch, *data], `a*b`.

        x = a * b

    Args:
        x: state, <0 or
            not.
        y: time.

    Returns:
        z_i.
    """
    assert page.docstring(text) == "\n\n".join(
        (
            "x\\_i of \\[batch, \\*data\\], `a*b`.",
            "```text\nx = a * b\n```",
            "**Args**",
            "- `x`: state, &lt;0 or not.\n- `y`: time.",
            "**Returns**",
            "z\\_i.",
        )
    )


def test_a_link_leads_where_its_file_is():
    """To a page, a heading of it, or nowhere; what is code stays."""
    places = {"docs/a.md": "a.md", "README.md": "index.md", "b.png": "numbers/b.png"}
    text = "[a](a.md#x) [home](../README.md) [code](../score_sde/x.py) ![b](../b.png)"
    moved = links.moved(f"{text} `[a](a.md)` [o](https://o.org)", "gallery/g.md", "docs", places)
    assert moved == (
        "[a](../a.md#x) [home](../index.md) code ![b](../numbers/b.png) "
        "`[a](a.md)` [o](https://o.org)"
    )


def test_pages_that_are_made_lead_to_others(pages):
    """No link of theirs loses its target, as one to a file that is no page does."""
    known = source.places(pages)
    for uri, one in pages.items():
        if one.origin is None:
            moved = links.moved(one.text, uri, one.folder, known)
            assert moved.count("](") == one.text.count("]("), uri
    overview = pages["reference/index.md"]
    moved = links.moved(overview.text, overview.uri, overview.folder, known)
    assert "[Samplers](config/sampling.md)" in moved
    assert "[score_sde.samplers](api/score_sde.samplers.md)" in moved


def test_a_chart_is_a_list():
    chart = '```mermaid\nflowchart TD\n  a["A<br>of x<br>y"] --> b\n  b["B"]\n  a --> c\n```'
    assert diagrams.listed(f"One\n{chart}\n") == "One\n- **A**: of x y → `b`, `c`\n- **B**\n"


def test_titles_name_every_section():
    assert set(reference.TITLES) == {name for name, s in configs.schema().items() if name != "seed"}
    assert contents.HOW_TO
