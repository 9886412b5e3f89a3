"""`python -m score_sde.interop.distance PICTURES REAL --encoder=MODEL`: how far pictures are.

PICTURES and REAL are folders of PNG, JPEG or WebP files, or .npz files with samples; MODEL is the
folder of a released CLIP or DINOv2. It prints two distances of the vectors that MODEL's image
encoder makes of both sets, the embeddings of CLIP or the class tokens of DINOv2:

- frechet: the Fréchet distance of Gaussians fitted to them; by DINOv2 ViT-L/14 that is FD-DINOv2
  (Stein et al. 2023, arXiv 2306.04675). It is the larger the fewer pictures there are;
- mmd: 1000 times the squared maximum mean discrepancy of the vectors divided by their lengths,
  with a Gaussian kernel of bandwidth 10; by CLIP ViT-L/14 of 336 pixels that is CMMD (Jayasumana et
  al. 2024, arXiv 2401.09603). It is the unbiased estimate, which may be below 0: the mean over
  pairs of different pictures. The mean over all pairs, which others print, is larger by about
  (5 to 10) (1 / n + 1 / m) for n and m pictures;

and which weights said so. Of a picture that is no square the middle is seen. Numbers of different
weights, sizes or numbers of pictures do not compare.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde import files, terminal
from score_sde.errors import UserError, first_line
from score_sde.evaluation import pictures
from score_sde.evaluation.metrics.fid import frechet_distance
from score_sde.evaluation.mmd import gaussian_mmd2
from score_sde.evaluation.moments import moments
from score_sde.interop import encoders
from score_sde.interop.encoders import ImageEncoder
from score_sde.training import memory

_SCALE = 1000  # of CMMD
_DIGITS = 6


def distances(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The numbers of vectors [n, d] and [m, d], n > 1, m > 1."""
    mmd2 = gaussian_mmd2(*(encoders.of_length_one(a.astype(np.float64)) for a in (x, y)))
    found = {"frechet": frechet_distance(*moments(x), *moments(y)), "mmd": _SCALE * mmd2}
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in found.items()}


def vectors(encoder: ImageEncoder, found: Sequence[np.ndarray], path: Path) -> np.ndarray:
    """What the encoder makes of pictures, [n, d].

    Raises:
        UserError: they cannot be read, or are no pictures.
    """

    def read(part: slice) -> list[np.ndarray]:
        return [_colored(found[i], path) for i in range(part.start, part.stop)]

    return encoder.vectors(read, len(found))


def _colored(picture: np.ndarray, path: Path) -> np.ndarray:
    """uint8 [height, width, 3]."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise UserError(
            f"{path} holds {picture.dtype} {list(picture.shape)}; a picture is uint8 "
            "[height, width, 1 or 3]"
        )
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = terminal.Parser(
        prog="python -m score_sde.interop.distance",
        description=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found.add_argument("pictures", type=files.typed, help="a folder, or a samples.npz")
    found.add_argument("real", type=files.typed, help="likewise: what they are compared with")
    found.add_argument(
        "--encoder", required=True, type=files.typed, help="folder of a released CLIP or DINOv2"
    )
    found.add_argument(
        "--side", type=int, help="of what DINOv2 is shown, in pixels [224]; CLIP has its own"
    )
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers as one line of JSON; exit code 2 for bad input.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    args = parser().parse_args(argv)
    if args.side is not None and args.side < 1:
        raise UserError(f"--side={args.side} must be at least 1")
    pictures_of = f"a batch of pictures of --side={args.side}"
    needed = encoders.BATCH * 3 * (args.side or 1) ** 2 * np.dtype(np.float32).itemsize
    memory.check(pictures_of, needed, memory.of_host(), "give a smaller one")
    sets = {path: pictures.opened(path) for path in (args.pictures, args.real)}
    for path, found in sets.items():
        if len(found) < 2:
            raise UserError(f"{path} has one picture: 2 are the fewest that have a covariance")
    try:
        encoder = encoders.image_encoder(args.encoder, args.side)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"--encoder={args.encoder}: {first_line(error)}") from error
    made = {path: vectors(encoder, found, path) for path, found in sets.items()}
    x, y = made[args.pictures], made[args.real]
    if (fewest := min(len(x), len(y))) <= x.shape[1]:
        print(
            f"note: {fewest} pictures are few for vectors of {x.shape[1]}: the Fréchet distance "
            "is too large, and compares only with that of as many",
            file=sys.stderr,
        )
    numbers = {"pictures": len(x), "real": len(y), **distances(x, y)}
    print(json.dumps({**numbers, "mmd_estimate": "unbiased", **encoder.about}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
