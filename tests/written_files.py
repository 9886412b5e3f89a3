"""Samples of every space that has files of its own, written as `--mode=sample` writes them.

As a program it writes them again and again into a folder, until it is killed.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

from score_sde import fields
from score_sde.runs.drawn import Target
from score_sde.spaces import Backbones, Molecules, Points, Score, Video, Waveforms

RNG = np.random.default_rng(0)
PLACES = RNG.standard_normal((2, 5, 3)).astype(np.float32)
ATOMS = np.concatenate([PLACES, np.full((2, 5, 1), 6, np.float32)], axis=2)
CLIPS = RNG.integers(0, 256, (2, 3, 4, 4, 1)).astype(np.uint8)
# By the ending of their files: what writes samples, and they.
MADE = {
    "wav": (Waveforms.of(fields.signal(500, 1000)), RNG.uniform(-1, 1, (2, 500))),
    "mid": (Score.of(fields.tokens(32, 20)), RNG.integers(0, 20, (2, 32))),
    "sdf": (Molecules.of(fields.molecule(5)), ATOMS),
    "xyz": (Molecules.of(fields.molecule(5), file="xyz"), ATOMS),
    "pdb": (Backbones.of(fields.points(5, 3)), 3 * PLACES),
    "ply": (Points.of(fields.points(5, 3)), PLACES),
    "gif": (Video.of(fields.video((3, 4, 4, 1))), CLIPS),
}
ABOUT = {"of": 2, "shown": 2, "nfe": 1}


def target(folder, ending):
    return Target.of(folder / "a", folder, "samples", MADE[ending][0])


def write(folder, ending):
    space, samples = MADE[ending]
    target(folder, ending).write(space, {"samples": samples}, samples, None, ABOUT)


def held(folder, ending):
    """What the files say of themselves, if they are all there."""
    return target(folder, ending).holds({"of": 2})


def contents(folder):
    """The bytes of all files but those that were being written."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {p.relative_to(folder): p.read_bytes() for p in found if p.suffix != ".partial"}


if __name__ == "__main__":
    for number in itertools.count():
        for ending in MADE:
            write(Path(sys.argv[1]) / ending, ending)
        if number == 0:
            print("all are written", flush=True)
