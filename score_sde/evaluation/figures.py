"""Figures that metrics draw, in files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score_sde.files import replacing
from score_sde.images import KEYWORD

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


def save(path: Path, drawn: Figure, about: Mapping[str, Any]) -> None:
    """Write a PNG, the same bytes for the same figure.

    Args:
        path: where; its folder is made.
        drawn: the figure.
        about: what it is of, JSON values, which the file says of itself.
    """
    metadata = {"Software": None, KEYWORD: json.dumps(about)}
    with replacing(path) as file:
        drawn.savefig(file, format="png", dpi=120, metadata=metadata)
