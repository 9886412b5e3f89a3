"""The tree of all pages beside each of them: resolved by Sphinx once, not once for every page.

Of two pages the trees are alike but for where a link leads from, and for the classes "current" of
what leads to the page itself. To resolve the tree takes Sphinx a tenth of a second, two thirds of
what it takes to build a site of two hundred pages.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Callable
from typing import Any, Self

_TAG = re.compile(r"<(/?)(ul|li|a)\b([^>]*)>")
_CLASS = re.compile(r' class="([^"]*)"')
_HREF = re.compile(r' href="([^"]*)"')
_CURRENT = "current"


@dataclasses.dataclass(frozen=True)
class Tree:
    """The tree, of no page.

    Attributes:
        pieces: its HTML in parts, of which each is a tag of a list, an item or a link, or what is
            between such.
        links: where a link leads, a page from the root of the site, by the number of its part.
        branches: the numbers of the parts that are around a link, and its own, by its page.
    """

    pieces: tuple[str, ...]
    links: dict[int, str]
    branches: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, html: str, page: str) -> Self:
        """What Sphinx made for a page, from the root of the site, as learn/01_sdes.html."""
        pieces: list[str] = []
        links: dict[int, str] = {}
        branches: dict[str, tuple[int, ...]] = {}
        around: list[int] = []
        end = 0
        for match in _TAG.finditer(html):
            pieces += [html[end : match.start()], _without_current(match[0])]
            end, here = match.end(), len(pieces) - 1
            if match[1]:
                around.pop()
                continue
            around.append(here)
            href = _HREF.search(match[3])
            if match[2] == "a" and href is not None:
                links[here] = _target(href[1], page)
                branches[links[here]] = tuple(around)
        return cls((*pieces, html[end:]), links, branches)

    def at(self, page: str) -> str:
        """As Sphinx makes it for another page, from the root of the site."""
        pieces, folder = list(self.pieces), posixpath.dirname(page) or "."
        for number, target in self.links.items():
            href = "#" if target == page else posixpath.relpath(target, folder)
            pieces[number] = _HREF.sub(lambda _, href=href: f' href="{href}"', pieces[number])
        for number in self.branches.get(page, ()):
            pieces[number] = _with_current(pieces[number])
        return "".join(pieces)


def _target(href: str, page: str) -> str:
    if href == "#":
        return page
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), href))


def _without_current(tag: str) -> str:
    """A tag without the class."""

    def left(match: re.Match[str]) -> str:
        classes = [name for name in match[1].split() if name != _CURRENT]
        return f' class="{" ".join(classes)}"' if classes else ""

    return _CLASS.sub(left, tag)


def _with_current(tag: str) -> str:
    """A tag with it, where Sphinx puts it: before the classes of a link, after those of others."""
    found = _CLASS.search(tag)
    names = found[1].split() if found else []
    names = [_CURRENT, *names] if tag.startswith("<a") else [*names, _CURRENT]
    said = f' class="{" ".join(names)}"'
    return _CLASS.sub(said, tag) if found else tag.replace(">", f"{said}>", 1)


def setup(app: Any) -> None:
    """Have the theme told these trees; what Sphinx calls of an extension."""
    trees: dict[Any, Tree] = {}

    def tell(app: Any, name: str, template: str, context: dict[str, Any], *_: Any) -> None:
        resolved: Callable[..., str] = context["toctree"]
        page = app.builder.get_target_uri(name)

        def tree(**how: Any) -> str:
            asked = tuple(sorted(how.items()))
            if asked not in trees:
                trees[asked] = Tree.of(resolved(**how), page)
            return trees[asked].at(page)

        context["toctree"] = tree

    app.connect("html-page-context", tell, priority=400)  # before the theme, which has 500
