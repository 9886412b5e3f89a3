"""Pictures of vectors: scatter plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from score_sde.files import replacing


def save(path: Path, vectors: np.ndarray) -> None:
    """A scatter plot of the first two coordinates, or a histogram if there is one only.

    Args:
        path: of the PNG file; its folder is made.
        vectors: [n, d].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if vectors.shape[1] == 1:
        axes.hist(vectors[:, 0], bins=64)
        axes.set(xlabel="x0", ylabel=f"of {len(vectors):,}")
    else:
        size = float(np.clip(8000 / len(vectors), 2, 12))
        axes.scatter(vectors[:, 0], vectors[:, 1], s=size, linewidths=0, alpha=0.7)
        d = vectors.shape[1]
        title = f"{len(vectors):,} points" + (f", 2 of {d} coordinates" if d > 2 else "")
        axes.set(xlabel="x0", ylabel="x1", title=title)
        axes.set_aspect("equal", adjustable="datalim")  # the square is filled, whatever they cover
    axes.grid(alpha=0.3)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
