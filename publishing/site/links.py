"""Links of pages that are elsewhere on the site than in the repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_OUTSIDE = ("http://", "https://", "mailto:", "#")


def moved(text: str, uri: str, origin: str, places: Mapping[str, str]) -> str:
    """Markdown whose links to files of the repository lead to their pages.

    Args:
        text: the Markdown.
        uri: of its page.
        origin: the folder, from the root of the repository, that its links start from.
        places: what of the repository is where on the site. A link to what is not there loses its
            target and keeps its text.
    """

    def link(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        if target.startswith(_OUTSIDE):
            return match[0]
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(origin, path))
        place = places.get(path)
        if place is None:
            return label if not mark else match[0]
        relative = posixpath.relpath(place, posixpath.dirname(uri) or ".")
        return f"{mark}[{label}]({relative}{f'#{anchor}' if anchor else ''})"

    pieces = re.split(r"(^```.*?^```|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if piece.startswith("`") else _LINK.sub(link, piece) for piece in pieces)
