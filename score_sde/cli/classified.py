"""What classifiers take pictures for, such as which style of drawing.

    python main.py --config=configs/emoji_styles.py
    python -m score_sde.evaluation.classified runs/emoji_styles runs/emoji_lora/prompts

The classifier is a run of the objective classification, which was trained on real pictures; it is
asked at its least noise. For each set of pictures it prints the share of each class that any is
taken for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from score_sde import files, terminal
from score_sde.errors import UserError
from score_sde.evaluation.pictures import opened, stacked
from score_sde.runs import folder
from score_sde.runs.opened import ClassifierRun

_AT_ONCE = 256  # pictures that are classified together


def classes(run: ClassifierRun, pictures: np.ndarray) -> np.ndarray:
    """The most likely class of each picture.

    Args:
        run: the classifier.
        pictures: uint8 [n, height, width, channels].

    Returns:
        int [n].

    Raises:
        UserError: they are not of the size that it is for.
    """
    field = run.experiment.field
    if pictures.dtype != field.dtype or pictures.shape[1:] != field.shape:
        raise UserError(
            f"{run.workdir} is for {field.words}; the pictures are {pictures.dtype} "
            f"{pictures.shape[1:]}"
        )
    found = []
    for first in range(0, len(pictures), _AT_ONCE):
        rows = np.minimum(np.arange(first, first + _AT_ONCE), len(pictures) - 1)
        x = run.experiment.space.encode(jnp.asarray(pictures[rows]))
        t = jnp.full(len(rows), run.sde.t_min)
        found.append(np.asarray(run.log_probs(x, t)).argmax(axis=1))
    return np.concatenate(found)[: len(pictures)]


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.classified",
        description="Says what a classifier that was trained here takes pictures for.",
    )
    found.add_argument("classifier", type=files.typed, help="the folder of its run")
    found.add_argument(
        "pictures", nargs="+", type=files.typed, help="folders of PNG or JPEG files, or samples.npz"
    )
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 after one line on stderr if the input is bad.

    Args:
        argv: arguments after the program's name; None takes those of the process.
    """
    args = parser().parse_args(argv)
    sets = [(str(path), stacked(opened(path), path)) for path in args.pictures]
    run = folder.load_classifier(args.classifier)
    names = run.label.names or tuple(map(str, range(run.label.values)))
    for name, pictures in sets:
        counts = np.bincount(classes(run, pictures), minlength=len(names)) / len(pictures)
        share = {n: round(float(c), 4) for n, c in zip(names, counts, strict=True) if c}
        print(json.dumps({"pictures": name, "n": len(pictures), run.label.name: share}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
