"""How good sampled digits are, in a few numbers that need no pretrained network.

    python -m score_sde.evaluation.digit_quality runs/digits_vp/samples.npz

The real images are the digits, or the coloured digits if the samples have three channels.

- classes: the share of each digit, by a classifier fitted to the real training images;
- frechet_ratio: the Fréchet distance in pixel space between the samples and the training images,
  over that of as many held-out real images: 1 is as good as real, and a set that misses modes or
  smears them is far above;
- nearest_ratio: the median distance to the nearest training image, over that of held-out images:
  a model that memorises is near 0, one that draws noise or blur away from 1;
- as_asked: where the file says which classes were asked for, the share of the samples that the
  classifier takes for theirs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import data, files, terminal
from score_sde.errors import UserError
from score_sde.evaluation.digit_classes import classified
from score_sde.evaluation.metrics.fid import frechet_distance
from score_sde.evaluation.moments import moments
from score_sde.formats import npz

SETS = {1: "digits", 3: "digits_rgb"}  # by the number of channels


def measure(
    samples: np.ndarray,
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    asked: np.ndarray | None = None,
) -> dict[str, Any]:
    """The numbers.

    Args:
        samples: uint8, [n, 8, 8, channels].
        train: real training images, uint8, [m, 8, 8, channels].
        labels: their classes, [m].
        test: held-out real images, uint8; as many as there are samples are used, or all.
        asked: classes that the samples are to be of, [n], if they are.
    """
    samples, train, test = (a.reshape(len(a), -1) / 255.0 for a in (samples, train, test))
    classes = classified(samples, train, labels)
    n = min(len(samples), len(test))
    reference = moments(train)
    ours, real = (frechet_distance(*moments(a[:n]), *reference) for a in (samples, test))
    return {
        "n": n,
        "classes": np.round(np.bincount(classes, minlength=10) / len(classes), 3).tolist(),
        "frechet_ratio": round(ours / real, 3),
        "nearest_ratio": round(_nearest(samples, train) / _nearest(test, train), 3),
        **({} if asked is None else {"as_asked": round(float(np.mean(classes == asked)), 4)}),
    }


def _nearest(images: np.ndarray, train: np.ndarray) -> float:
    """Median Euclidean distance to the nearest training image."""
    squared = (images**2).sum(1)[:, None] - 2 * images @ train.T + (train**2).sum(1)[None]
    return float(np.median(np.sqrt(np.maximum(squared.min(1), 0))))


@terminal.program
def main(argv: list[str]) -> int:
    """Print the numbers of a samples.npz as one line of JSON; exit code 2 for bad input."""
    try:
        if len(argv) != 2:
            raise UserError(
                "usage: python -m score_sde.evaluation.digit_quality runs/digits_vp/samples.npz"
            )
        samples, asked = _read(files.expanded(argv[1]))
        print(json.dumps(measure(samples, *_real(SETS[samples.shape[-1]]), asked)))
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples, and the classes that were asked for."""
    if not path.is_file():
        raise UserError(f"no file {path}: draw samples first, with --mode=sample")
    with npz.opened(path, "a samples.npz") as arrays:
        if "samples" not in arrays:
            raise ValueError("it holds no samples")
        samples, asked = arrays["samples"], arrays.get("label")
    shapes = [(8, 8, channels) for channels in SETS]
    if samples.dtype != np.uint8 or samples.shape[1:] not in shapes or len(samples) < 2:
        raise UserError(
            f"{path} holds {samples.dtype} {samples.shape}; need uint8 [n, 8, 8, 1] or [n, 8, 8, 3]"
        )
    if asked is not None and asked.shape != samples.shape[:1]:
        raise UserError(f"{path} holds {len(samples)} samples and labels {asked.shape}")
    return samples, asked


def _real(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sets: list[dict[str, Any]] = []
    for split in ("train", "test"):
        source = data.load(name, split)
        sets.append(source.gather(np.arange(len(source))))
    return sets[0]["image"], sets[0]["label"], sets[1]["image"]


if __name__ == "__main__":
    sys.exit(main(sys.argv))
