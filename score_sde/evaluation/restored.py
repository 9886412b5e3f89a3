"""How good restored images are: of --task=superres, inpaint or colorize, beside what was known.

    python main.py --workdir=runs/emoji_text --mode=sample --task=superres --num_samples=200
    python -m score_sde.evaluation.restored runs/emoji_text/superres.npz towers.safetensors

- consistency: the root mean square difference, in levels of 0 to 255, between the restored images
  and the real ones in what was known: the means of squares, the pixels that were given, or the
  means over the colours;
- psnr: of the restored image against the real one, in decibels;
- frechet: the Fréchet distance, times 1000, between the vectors that the towers of
  evaluation.retrieval make of these images and of the real ones. That of other real images, a half
  of them against the other half, would be above 0 too: compare it between rows alone.

The second row is of what was known alone: small images enlarged by bicubic interpolation, and gray
where nothing is known. An image that is blurred is near the real one, and far from real ones: more
psnr, more frechet.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from score_sde import files, records, terminal
from score_sde.errors import UserError
from score_sde.evaluation import towers
from score_sde.evaluation.metrics.fid import frechet_distance
from score_sde.evaluation.moments import moments
from score_sde.fields import ABOUT
from score_sde.formats import npz
from score_sde.parts import Part

_LEVELS = 255
_TASKS = ("superres", "inpaint", "colorize")
_ARRAYS = ("samples", "image", "observed")


class Restored(NamedTuple):
    """What a file of a task holds.

    Attributes:
        images: uint8 [n, height, width, channels].
        real: what they are to be, likewise.
        known_alone: what was known of them, as images, likewise.
        known: of such images, what was known.
    """

    images: np.ndarray
    real: np.ndarray
    known_alone: np.ndarray
    known: Callable[[np.ndarray], np.ndarray]


def measure(network: Part, images: np.ndarray, of: Restored) -> dict[str, Any]:
    """The numbers of some images.

    Args:
        network: the towers.
        images: uint8 [n, height, width, channels].
        of: what they are to be, and what was known.
    """
    off = of.known(images) - of.known(of.real)
    error = np.mean((images.astype(float) - of.real) ** 2)
    ours, theirs = (moments(towers.of_images(network, a)) for a in (images, of.real))
    return {
        "n": len(images),
        "consistency": round(float(np.sqrt(np.mean(off**2))), 3),
        "psnr": round(float(10 * np.log10(_LEVELS**2 / max(error, 1e-12))), 2),
        "frechet": round(1000 * frechet_distance(*ours, *theirs), 3),
    }


def means(images: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares, float64 [n, height / factor, width / factor, channels]."""
    n, height, width, channels = images.shape
    squares = images.reshape(n, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4))


def bicubic(real: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares as images, enlarged by bicubic interpolation, uint8."""
    from PIL import Image

    size = real.shape[2], real.shape[1]

    def one(small: np.ndarray) -> np.ndarray:
        channels = [
            np.asarray(Image.fromarray(small[..., c]).resize(size, Image.Resampling.BICUBIC))
            for c in range(small.shape[-1])
        ]
        return np.stack(channels, axis=-1)

    return np.stack([one(a) for a in np.round(means(real, factor)).astype(np.uint8)])


def read(path: Path) -> Restored:
    """What a file holds that --task=superres, inpaint or colorize wrote.

    Raises:
        UserError: it is none.
    """
    if not path.is_file():
        raise UserError(f"no file {path}: draw some first, with --mode=sample --task=superres")
    with npz.opened(path, "the file of a task") as arrays:
        about = records.parse(str(arrays[ABOUT])) if ABOUT in arrays else {}
        asked = about.get("asked", {})
        found = [arrays[name] for name in _ARRAYS if name in arrays]
        if not isinstance(asked, dict) or asked.get("task") not in _TASKS:
            raise ValueError(f"it is of none of the tasks {', '.join(_TASKS)}")
        if len(found) < len(_ARRAYS):
            raise ValueError("it holds no restored images beside the real ones")
        factor = asked.get("factor")
        sides = found[0].shape[1:3]
        if asked["task"] == "superres" and not (
            isinstance(factor, int) and factor > 1 and not any(n % factor for n in sides)
        ):
            raise ValueError(f"its factor, {factor!r}, is not that of its images")
    if len(found[0]) < 2 or any(a.dtype != np.uint8 or a.shape != found[0].shape for a in found):
        raise UserError(f"{path} must hold at least 2 restored images, and as many real ones")
    images, real, observed = found
    if asked["task"] == "superres":
        return Restored(images, real, bicubic(real, factor), lambda a: means(a, factor))
    if asked["task"] == "colorize":
        return Restored(images, real, observed, lambda a: a.mean(axis=-1))
    given = (observed == real).all(axis=(0, -1))
    return Restored(images, real, observed, lambda a: a[:, given].astype(float))


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    parser = terminal.Parser(
        prog="python -m score_sde.evaluation.restored",
        description="Measures images of --task=superres or another, beside what was known.",
    )
    parser.add_argument("images", type=files.typed, help="a superres.npz or inpaint.npz")
    parser.add_argument("towers", type=files.typed, help="what evaluation.retrieval train wrote")
    args: argparse.Namespace = parser.parse_args(argv)
    of = read(args.images)
    network = towers.opened(args.towers)
    for name, images in ((str(args.images), of.images), ("what was known", of.known_alone)):
        print(json.dumps({"images": name, **measure(network, images, of)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
