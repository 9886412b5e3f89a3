"""A page that is made when the site is built, and Markdown of what is not Markdown."""

from __future__ import annotations

import dataclasses
import inspect
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_HEADINGS = ("Args", "Attributes", "Raises", "Returns", "Yields")


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        uri: where it is on the site, as "gallery/digits_vp.md".
        text: its Markdown, which begins with its title.
        origin: the folder, from the root of the repository, that its links start from; None of a
            page that is made: where it would be in docs/.
    """

    uri: str
    text: str
    origin: str | None = None

    @property
    def folder(self) -> str:
        """Where its links start from."""
        made = posixpath.dirname(f"docs/{self.uri}")
        return made if self.origin is None else self.origin


def escaped(text: str) -> str:
    """Plain text as Markdown that shows it; what stands in backticks is code."""
    parts = re.split(r"(`[^`]+`)", text)
    plain = (re.sub(r"([\\*_<$|\[\]])", r"\\\1", part) for part in parts[::2])
    shown = [part.replace("\\<", "&lt;") for part in plain]
    code = [part.replace("|", "&#124;") if "|" in part else part for part in parts[1::2]]
    return "".join(a + b for a, b in zip(shown, [*map(_code, code), ""], strict=True))


def _code(text: str) -> str:
    return f"<code>{text.strip('`')}</code>" if "&#124;" in text else text


def fenced(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip(chr(10))}\n```"


def docstring(text: str | None) -> str:
    """A docstring in Google's style as Markdown: sections as lists, what is indented as code."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    found, items = [], False
    for block in filter(None, blocks):
        head, _, rest = block.partition("\n")
        is_heading = head.endswith(":") and head[:-1] in _HEADINGS
        items = is_heading or (items and head[:1] == " ")
        if not items:
            found += _prose(block)
        elif head[:1] != " ":
            found += [f"**{head.rstrip(':')}**", _items(head, rest)]
        else:  # a paragraph more of the last item
            found.append(_items("", block))
    return "\n\n".join(found)


def _prose(block: str) -> list[str]:
    """Paragraphs and code among the lines of a block."""
    found: list[list[str]] = []
    for line in block.splitlines():
        is_code = line.startswith("    ")
        if not found or found[-1][0].startswith("    ") != is_code:
            found.append([])
        found[-1].append(line)
    return [
        fenced(inspect.cleandoc("\n" + "\n".join(lines)))
        if lines[0].startswith("    ")
        else escaped("\n".join(lines))
        for lines in found
    ]


def _items(head: str, block: str) -> str:
    """The names of a section and what they are, as a list; of results, text."""
    text = inspect.cleandoc("\n" + block)
    if head[:-1] not in ("Args", "Attributes", "Raises"):
        return "\n\n".join(_prose(text))
    lines = []
    for item in re.split(r"\n(?=\S)", text):
        name, colon, meaning = item.partition(":")
        said = " ".join(meaning.split())
        lines.append(f"- `{name}`: {escaped(said)}" if colon else f"- {escaped(name)}")
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table, of cells that are Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(" ".join(cell.split()) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
