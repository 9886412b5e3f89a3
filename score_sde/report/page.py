"""HTML of reports. Text is given as it is and escaped here; what is HTML already is said to be."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from score_sde import images

# Nothing is loaded and nothing runs: the browser itself sees to it.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)

# Text has a contrast of 4.5 with what is behind it and curves one of 3 (WCAG 2.2, 1.4.3 and
# 1.4.11); tests/report/test_in_browser.py measures both.
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --card: #f4f5f7; --text: #1c2128; --soft: #59626e;
  --line: #d3d7dd; --c0: #1f6feb; --c1: #c2410c; --c2: #15803d; --c3: #9333ea; --c4: #b91c5c;
  --c5: #0e7490; --c6: #854d0e; --c7: #475569 }
@media (prefers-color-scheme: dark) {
  :root { --page: #12151a; --card: #1b2027; --text: #e4e7eb; --soft: #a3acb8; --line: #363d47;
    --c0: #6ea8fe; --c1: #fb923c; --c2: #4ade80; --c3: #c084fc; --c4: #f472b6; --c5: #22d3ee;
    --c6: #facc15; --c7: #94a3b8 }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body { margin: 0 auto; padding: .75rem; max-width: 64rem; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 .25rem }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem }
h3 { font-size: 1rem; margin: 0; font-weight: 600 }
p { margin: .25rem 0 .75rem }
.soft, figcaption small, dt, th { color: var(--soft) }
.tiles, .charts, .cards, .pictures { display: grid; gap: .75rem; margin: .75rem 0 }
.tiles { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)) }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)) }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); align-items: start }
.columns { columns: 19rem; column-gap: .75rem }
.columns > * { break-inside: avoid; margin-bottom: .75rem }
.pictures { grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)) }
.pictures figure { display: flex; flex-direction: column; justify-content: space-between }
.tiles > div, .card, figure { margin: 0; padding: .75rem; background: var(--card);
  border-radius: .5rem; min-width: 0 }
dt, small, .legend, table { font-size: .875rem }
dd { margin: 0 }
.number { font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums }
figcaption { font-weight: 600; margin-bottom: .5rem }
figcaption small { display: block; font-weight: 400 } small { line-height: 1.4 }
img { display: block; width: 100%; height: auto; border-radius: .25rem; background: #fff }
img.pixels { image-rendering: pixelated }
.chart { display: block; width: 100%; height: auto; fill: var(--soft) }
.chart text { font: 12px system-ui, sans-serif }
.grid { stroke: var(--line) }
.key { width: 26px; height: 10px }
.legend { margin: .25rem 0 .5rem } .legend span { display: inline-block; margin-right: 1rem }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) }
th { font-weight: 500 }
thead th { vertical-align: bottom }
.scroll th, .scroll td { white-space: nowrap } .scroll .right { text-align: right }
.fields { width: 100% } .fields th { width: 45% }
summary { cursor: pointer; padding: .5rem 0; color: var(--soft); font-size: .875rem }
.card summary { padding: .5rem 0 0 }
@media (max-width: 40rem) {
  .pictures { grid-auto-flow: column; grid-template-columns: none; grid-auto-columns: 88%;
    overflow-x: auto; scroll-snap-type: x mandatory } .pictures > * { scroll-snap-align: start }
  .pictures > :only-child { grid-column: 1 / -1 }
}
@media (min-width: 50rem) { body { padding: 1rem 1.5rem } .chart text { font-size: 9px } }
.card .chart text { font-size: 12px }
"""  # noqa: E501 - a selector and its rules stay on a line

_WIDEST = 640  # pixels of a picture; grids of large images would make a file of 100 MB
_ENLARGED = 600  # pixels up to which a picture is shown larger than it is
_NUMBER = re.compile(r"[-+\d.,e±\s]+|—")


class Tile(NamedTuple):
    """A number to see first.

    Attributes:
        label: of what.
        value: the number.
        note: what else to know of it.
    """

    label: str
    value: str
    note: str = ""


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
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(filter(None, parts)) + "\n</main>\n</body>\n"
        "</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """HTML under a heading; nothing if there is none."""
    found = [part for part in parts if part]
    return "\n".join([f"<h2>{escape(heading)}</h2>", *found]) if found else ""


def paragraph(text: str) -> str:
    """A paragraph of small print."""
    return f'<p class="soft">{escape(text)}</p>'


def tiles(found: Iterable[Tile]) -> str:
    """Numbers to see first, side by side."""
    return '<dl class="tiles">' + "".join(map(_tile, found)) + "</dl>"


def _tile(tile: Tile) -> str:
    note = f'<dd class="soft"><small>{escape(tile.note)}</small></dd>' if tile.note else ""
    value = f'<dd class="number">{escape(tile.value)}</dd>'
    return f"<div><dt>{escape(tile.label)}</dt>{value}{note}</div>"


def table(head: Sequence[str], body: Sequence[Sequence[str]], text: str) -> str:
    """A table, which scrolls by itself where it is wider than the screen.

    Args:
        head: the headings of its columns.
        body: its rows.
        text: what it shows, for those who cannot see it.
    """
    columns = zip(*body, strict=True)
    right = [all(_NUMBER.fullmatch(cell) for cell in column) for column in columns]
    kinds = [' class="right"' if number else "" for number in right] or [""] * len(head)

    def cells(tag: str, row: Sequence[str]) -> str:
        found = zip(row, kinds, strict=True)
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in found)

    rows = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in body)
    return _scroll(
        f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>\n{rows}\n</tbody></table>", text
    )


def _scroll(content: str, text: str) -> str:
    """A box that scrolls across, also by the keyboard."""
    label = escape(text)
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def fields(found: Iterable[tuple[str, str]]) -> str:
    """Names and values, one below the other."""
    rows = (f"<tr><th>{_words(name)}</th><td>{escape(value)}</td></tr>" for name, value in found)
    return '<table class="fields">' + "\n".join(rows) + "</table>"


def _words(name: str) -> str:
    """A dotted path, which may be broken where a word ends."""
    return re.sub(r"([_.])", r"\1<wbr>", escape(name))


def details(summary: str, *parts: str) -> str:
    """HTML that opens at a click."""
    content = "\n".join(parts)
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def card(heading: str, *parts: str) -> str:
    """HTML in a box of its own."""
    return "\n".join(
        [f'<div class="card"><h3>{escape(heading)}</h3>', *filter(None, parts), "</div>"]
    )


def number(text: str, note: str = "") -> str:
    """A large number and, small, what it counts."""
    small = f" <small>{escape(note)}</small>" if note else ""
    return f'<div><span class="number">{escape(text)}</span>{small}</div>'


def side_by_side(kind: str, parts: Sequence[str]) -> str:
    """HTML side by side, as much as the screen has room for.

    Args:
        kind: "charts"; "cards", in rows; "columns", which cards of any height fill; or "pictures",
            which are on a phone in one row that scrolls.
        parts: HTML; those that are "" are left out.
    """
    shown = [part for part in parts if part]
    scrolls = ' tabindex="0" role="region" aria-label="pictures"' if kind == "pictures" else ""
    return f'<div class="{kind}"{scrolls}>\n' + "\n".join(shown) + "\n</div>" if shown else ""


def figure(content: str, caption: str, note: str = "", legend: str = "") -> str:
    """A picture below its caption; content and legend are HTML."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f"<figure><figcaption>{escape(caption)}{small}</figcaption>{legend}{content}</figure>"


def image(path: Path, text: str, corner: tuple[int, int] | None = None) -> str:
    """A PNG file as part of the document; a large one is made smaller.

    One that cannot be read is said to be so: it does not cost the reader the rest.

    Args:
        path: the file.
        text: what it shows, for those who cannot see it.
        corner: show only so many pixels, across and down, at the top left.
    """
    try:
        whole = images.read(path, path.name)
    except images.ImageError as error:
        return paragraph(f"{path.name} cannot be shown: {error}")
    right, bottom = corner or whole.size
    picture = whole.crop((0, 0, min(right, whole.width), min(bottom, whole.height)))
    picture.thumbnail((_WIDEST, _WIDEST))
    width, height = picture.size
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    kind = ' class="pixels"' if max(width, height) <= _ENLARGED else ""
    return (
        f'<img{kind} width="{width}" height="{height}" alt="{escape(text)}" '
        f'src="data:image/png;base64,{data}">'
    )
