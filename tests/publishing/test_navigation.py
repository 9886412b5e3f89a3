"""The tree of pages is told to each page as Sphinx resolves it for that page."""

import importlib.util
import os

import pytest

from publishing.site.navigation import Tree

pytestmark = pytest.mark.slow

PAGES = {
    "index": "# Home\n\n```{toctree}\n:caption: All\n\n/a/index\n/b\n```\n",
    "a/index": "# A `code`\n\n```{toctree}\n\n/a/one\n/a/deep/two\n```\n",
    "a/one": "# One & *more*\n\n## Within\n",
    "a/deep/two": "# Two\n",
    "b": "# B\n",
}
PLACES = ["index.html", "search.html", *(f"{name}.html" for name in PAGES if name != "index")]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    """The trees that Sphinx makes, by page."""
    if importlib.util.find_spec("myst_parser") is None and not os.environ.get("CI"):
        pytest.skip('needs the packages of pip install -e ".[docs]"')
    from sphinx.application import Sphinx

    folder = tmp_path_factory.mktemp("site")
    for name, text in PAGES.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = {"extensions": ["myst_parser"], "html_theme": "basic"}
    out, found = folder / "out", {}
    app = Sphinx(folder, None, out, out, "html", settings, status=None, warningiserror=True)

    def keep(app, name, template, context, doctree):
        how = {"collapse": False, "titles_only": True, "maxdepth": -1, "includehidden": True}
        found[app.builder.get_target_uri(name)] = context["toctree"](**how)

    app.connect("html-page-context", keep)
    app.build()
    return found


@pytest.mark.parametrize("first", PLACES)
def test_each_page_is_told_what_sphinx_resolves_for_it(resolved, first):
    """Whichever page it was resolved for first."""
    tree = Tree.of(resolved[first], first)
    for page in PLACES:
        assert tree.at(page) == resolved[page], page
    assert 'class="current' in tree.at("a/deep/two.html")
