"""Figures that metrics draw, in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from score_sde.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> Figure:
    """An empty figure, which needs no display.

    Args:
        width: inches.
        height: inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(path: Path, drawn: Figure) -> None:
    """Write a PNG, the same bytes for the same figure; its folder is made."""
    with replacing(path) as file:
        drawn.savefig(file, format="png", dpi=120, metadata={"Software": None})
