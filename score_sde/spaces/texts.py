"""Pictures of texts: in columns, as a page has them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from score_sde.files import replacing

_WIDTH, _LINES = 100, 400  # characters of a line, and lines of a picture, at the most
_ACROSS, _DOWN = 0.085, 0.17  # inches of a character of 10 points
_LINE_END = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"


def save(path: Path, texts: Sequence[str], columns: int | None = None) -> None:
    """Write a PNG of texts, those of a column below each other.

    Args:
        path: where; its folder is made.
        texts: any number of them; a line end within one is shown as an arrow.
        columns: texts a row; as many as fit into a line if None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [_printable(text) for text in texts]
    longest = max((len(text) for text in shown), default=1)
    columns = columns or max(1, min(len(shown), _WIDTH // (longest + 2)))
    width = min(longest, max(8, _WIDTH // columns - 2))
    cells = [textwrap.wrap(text, width, drop_whitespace=False) or [""] for text in shown]
    lines = []
    for row in (cells[i : i + columns] for i in range(0, len(cells), columns)):
        for line in range(max(map(len, row))):
            parts = (cell[line] if line < len(cell) else "" for cell in row)
            lines.append("  ".join(part.ljust(width) for part in parts).rstrip())
    lines = lines[:_LINES]
    across = _ACROSS * max(1, *(len(line) for line in lines), 1)
    figure = Figure(figsize=(math.ceil(across) + 0.4, _DOWN * len(lines) + 0.4))
    FigureCanvasAgg(figure)
    # Nothing in a text is a formula.
    figure.text(
        0.2 / figure.get_figwidth(),
        1 - 0.2 / figure.get_figheight(),
        "\n".join(lines),
        family="monospace",
        size=10,
        va="top",
        parse_math=False,
    )
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


def _printable(text: str) -> str:
    """On one line, with a box for what no font draws."""
    text = text.replace("\n", _LINE_END)
    return "".join(c if c.isprintable() else "\N{WHITE SQUARE}" for c in text)
