"""What Sphinx builds the site of: a folder of Markdown, with pictures, styles and MathJax."""

from __future__ import annotations

import importlib.util
import posixpath
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from publishing.site import (
    borrowed,
    contents,
    diagrams,
    executed,
    gallery,
    links,
    reference,
    tables,
)
from publishing.site.page import ROOT, Page
from score_sde.errors import UserError

STATIC = "_static"


def pages() -> dict[str, Page]:
    """All pages, by where they are on the site."""
    found = (*_docs(), *borrowed.pages(), *gallery.pages(), *reference.pages())
    return contents.laid_out({page.uri: page for page in found})


def _docs() -> Iterator[Page]:
    """Those of docs/."""
    for path in sorted((ROOT / "docs").rglob("*.md")):
        where = path.relative_to(ROOT)
        uri = str(where.relative_to("docs"))
        yield Page(uri, path.read_text(), str(where.parent))


def pictures() -> Iterator[tuple[str, Path]]:
    """Where each picture is on the site, and its file."""
    for path in sorted(p for kind in ("png", "gif") for p in (ROOT / "docs").rglob(f"*.{kind}")):
        yield str(path.relative_to(ROOT / "docs")), path
    for path in sorted((ROOT / "experiments").glob("*/results/*.png")):
        yield f"numbers/{path.relative_to(ROOT / 'experiments')}", path


def places(there: dict[str, Page]) -> dict[str, str]:
    """What of the repository is where on the site."""
    found = {str(path.relative_to(ROOT)): uri for uri, path in pictures()}
    for uri, page in there.items():
        folder, name = posixpath.split(uri)
        if folder == "gallery":
            found[f"configs/{name.removesuffix('.md')}.py"] = uri
        elif folder.startswith("numbers"):
            is_readme = name == "index.md"
            found[posixpath.join(page.folder, "README.md" if is_readme else name)] = uri
            found |= {page.folder: uri} if is_readme else {}
        elif page.folder.startswith("docs"):
            found[f"docs/{uri}"] = uri
    return found | borrowed.FOLDERS | borrowed.FILES | tables.SOURCES


def write(folder: Path, say: Callable[[str], object]) -> None:
    """Write the pages and what they show into an empty folder.

    Args:
        folder: it is there.
        say: told of each page whose code is executed, as that takes most of the time.

    Raises:
        UserError: MathJax is not installed.
    """
    there = pages()
    known = places(there)
    for uri, page in there.items():
        path = folder / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        text = diagrams.listed(links.moved(page.text, uri, page.folder, known))
        if uri.startswith("learn/"):
            say(f"executing docs/{uri} ...")
            text, drawn = executed.executed(text, uri)
            for name, picture in drawn.items():
                (folder / name).write_bytes(picture)
        path.write_text(text)
    for uri, picture in pictures():
        path = folder / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, path)
    shutil.copytree(Path(__file__).parent / "static", folder / STATIC)
    shutil.copyfile(_mathjax(), folder / STATIC / "mathjax.js")


def _mathjax() -> Path:
    """The one file that sets formulas, of a package that brings it."""
    found = importlib.util.find_spec("mathjax")
    if found is None or not found.submodule_search_locations:
        raise UserError('MathJax is not installed; it needs pip install -e ".[docs]"')
    return Path(found.submodule_search_locations[0], "static", "mathjax", "es5", "tex-svg-full.js")
