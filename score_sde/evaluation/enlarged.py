"""How good enlarged images are, beside bicubic ones: of --mode=sample --task=superres.

    python main.py --workdir=runs/emoji_text --mode=sample --task=superres --num_samples=200
    python -m score_sde.evaluation.enlarged runs/emoji_text/superres.npz towers.safetensors

- consistency: the root mean square difference, in levels of 0 to 255, between what was known, the
  means of squares of the real image, and those of the enlarged one;
- psnr: of the enlarged image against the real one, in decibels;
- frechet: the Fréchet distance, times 1000, between the vectors that the towers of
  evaluation.retrieval make of these images and of the real ones. That of other real images, a half
  of them against the other half, would be above 0 too: compare it between rows alone.

An image that is blurred is near the real one, and far from real ones: more psnr, more frechet.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def measure(network: Part, enlarged: np.ndarray, real: np.ndarray, factor: int) -> dict[str, Any]:
    """The numbers of some images.

    Args:
        network: the towers.
        enlarged: uint8 [n, height, width, channels].
        real: what they are to be, likewise.
        factor: the side of a square whose mean was known.
    """
    off = means(enlarged, factor) - means(real, factor)
    error = np.mean((enlarged.astype(float) - real) ** 2)
    ours, theirs = (moments(towers.of_images(network, a)) for a in (enlarged, real))
    return {
        "n": len(real),
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


def read(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Enlarged images, the real ones and the factor, of a file that --task=superres wrote.

    Raises:
        UserError: it is none.
    """
    if not path.is_file():
        raise UserError(f"no file {path}: draw some first, with --mode=sample --task=superres")
    with npz.opened(path, "a superres.npz") as arrays:
        about = records.parse(str(arrays[ABOUT])) if ABOUT in arrays else {}
        asked = about.get("asked", {})
        found = [arrays[name] for name in ("samples", "image") if name in arrays]
        if not isinstance(asked, dict) or asked.get("task") != "superres" or len(found) < 2:
            raise ValueError("it holds no enlarged images beside the real ones")
        factor = asked["factor"]
    if len(found[0]) < 2 or any(a.dtype != np.uint8 or a.shape != found[0].shape for a in found):
        raise UserError(f"{path} must hold at least 2 enlarged images, and as many real ones")
    return found[0], found[1], int(factor)


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    parser = terminal.Parser(
        prog="python -m score_sde.evaluation.enlarged",
        description="Measures the enlarged images of --task=superres beside bicubic ones.",
    )
    parser.add_argument("images", type=files.typed, help="a superres.npz")
    parser.add_argument("towers", type=files.typed, help="what evaluation.retrieval train wrote")
    args: argparse.Namespace = parser.parse_args(argv)
    enlarged, real, factor = read(args.images)
    network = towers.opened(args.towers)
    for name, images in ((str(args.images), enlarged), ("bicubic", bicubic(real, factor))):
        found = measure(network, images, real, factor)
        print(json.dumps({"images": name, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
