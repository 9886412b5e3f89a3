"""HTML of reports. Every function takes text as it is and returns HTML in which it is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from score_sde.errors import UserError

# Nothing may be loaded, and nothing runs: the browser itself keeps the promise of the package.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --card: #f5f6f8; --text: #1c2128; --soft: #5b6470;
  --line: #d5d9df; --c0: #1f6feb; --c1: #c2410c; --c2: #15803d; --c3: #9333ea; --c4: #b91c5c;
  --c5: #0e7490; --c6: #854d0e; --c7: #475569 }
@media (prefers-color-scheme: dark) { :root { --page: #12151a; --card: #1b2027; --text: #e4e7eb;
  --soft: #9aa4b1; --line: #363d47; --c0: #6ea8fe; --c1: #fb923c; --c2: #4ade80; --c3: #c084fc;
  --c4: #f472b6; --c5: #22d3ee; --c6: #facc15; --c7: #94a3b8 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)) }
.samples { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)) }
figure { margin: 0; padding: .75rem; background: var(--card); border-radius: .5rem }
figcaption { color: var(--soft); font-size: .875rem }
img { display: block; width: 100%; image-rendering: pixelated; border-radius: .25rem }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: var(--soft) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal }
td { overflow-wrap: anywhere; min-width: 4rem }
th { color: var(--soft); font-weight: 500 }
summary { cursor: pointer; padding: .4rem 0 } p { margin: .5rem 0 }
.legend span { margin-right: 1rem; white-space: nowrap } .legend b { font-size: 1.2em }
"""  # noqa: E501 - a selector and its rules stay on a line

_WIDEST = 1024  # pixels of a picture; a grid of large images would make a file of 100 MB


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document.

    Args:
        title: its title.
        parts: HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """HTML under a heading; nothing if there is none."""
    return "\n".join([f"<h2>{escape(heading)}</h2>", *parts]) if any(parts) else ""


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table, which scrolls by itself where it is wider than the screen."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    first = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{first}<tbody>\n{lines}\n</tbody></table></div>'


def details(summary: str, content: str) -> str:
    """HTML that opens at a click."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def figures(kind: str, parts: Sequence[str]) -> str:
    """Figures side by side, as many as the screen has room for; kind is "charts" or "samples"."""
    return f'<div class="{kind}">\n' + "\n".join(parts) + "\n</div>" if parts else ""


def figure(content: str, caption: str, legend: str = "") -> str:
    """A picture with its caption; content and legend are HTML."""
    return f"<figure>{content}{legend}<figcaption>{escape(caption)}</figcaption></figure>"


def image(path: Path, text: str) -> str:
    """A PNG file as part of the document; a large one is made smaller.

    Args:
        path: the file.
        text: what it shows, for those who cannot see it.

    Raises:
        UserError: it is not an image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            content = path.read_bytes()
            if max(picture.size) > _WIDEST:
                picture.thumbnail((_WIDEST, _WIDEST))
                buffer = io.BytesIO()
                picture.save(buffer, "PNG")
                content = buffer.getvalue()
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path} is not a picture: {error}") from error
    data = base64.b64encode(content).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'
