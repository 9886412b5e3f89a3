"""Pictures of a data set: some of its examples, with all their images and texts."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde import files
from score_sde.data.base import DataError, Source
from score_sde.fields import decode_texts, pictures

_COLUMNS = 8
_CHARACTERS = 20  # in a line below a picture
_LINES = 4


def save(source: Source, path: Path, number: int = 2 * _COLUMNS) -> None:
    """Draws examples, evenly spaced in the set, as a PNG file that replaces any at `path`.

    An example is a column of its images, in the order of its fields, and of the frames of videos,
    with its text below: the field "text", or the first of that kind.

    Args:
      source: has a field of kind image or video.
      path: of the file.
      number: of examples, at most.

    Raises:
      DataError: no field is an image or a video.
    """
    info = source.info
    rows = spread(info.size, number)
    batch = source.gather(rows)
    shown = [
        [image for field in info.fields for image in pictures(field, batch[field.name][place])]
        for place in range(len(rows))
    ]
    if not any(shown):
        raise DataError(f"{info.name} has no images, so there is no picture of it")
    with files.writing(path.parent, "Give another --picture"):
        draw(path, shown, _captions(source, batch, len(rows)))


def spread(count: int, number: int) -> np.ndarray:
    """At most `number` of `count` things, evenly spaced, by their places."""
    return np.unique(np.linspace(0, count - 1, min(number, count)).astype(np.int64))


def draw(path: Path, shown: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> None:
    """Draws images and the texts below them as a PNG file that replaces any at `path`.

    Args:
      path: of the file.
      shown: of each example as many images, one below the other, uint8 [height, width, channels].
      captions: what stands below each; empty for nothing.

    Raises:
      OSError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, bands = min(_COLUMNS, len(shown)), math.ceil(len(shown) / _COLUMNS)
    each = len(shown[0])
    inches = each + 0.5 * any(captions)
    figure = Figure(figsize=(1.25 * columns, 1.25 * bands * inches), facecolor="white")
    FigureCanvasAgg(figure)
    edges = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.99}
    grid = figure.add_gridspec(bands, columns, hspace=0.05, **edges)
    for place, (images, caption) in enumerate(zip(shown, captions, strict=True)):
        cell = grid[divmod(place, columns)].subgridspec(
            each + any(captions),
            1,
            height_ratios=[1.0] * each + [0.5] * any(captions),
            hspace=0.05,
        )
        for at, pixels in enumerate(images):
            axes = figure.add_subplot(cell[at])
            axes.axis("off")
            pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        if any(captions):
            axes = figure.add_subplot(cell[each])
            axes.axis("off")
            wrapped = textwrap.wrap(caption, _CHARACTERS, max_lines=_LINES, placeholder=" ...")
            text = "\n".join(wrapped).replace("$", r"\$")
            axes.text(0.5, 1, text, ha="center", va="top", fontsize=8)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100, metadata={"Software": None})
    with files.replacing(path) as file:
        file.write(png.getvalue())


def _captions(source: Source, batch: dict[str, np.ndarray], number: int) -> list[str]:
    """What stands below each example; empty where there are no texts."""
    texts = [field.name for field in source.info.fields if field.kind == "text"]
    if not texts:
        return [""] * number
    return decode_texts(batch["text" if "text" in texts else texts[0]])
