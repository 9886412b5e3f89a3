"""Rules of four-part writing, counted: what a model of chorales is held against.

Of the steps in which all voices sound, a crossing is one in which a voice is above the next higher
one. Of the pairs of voices that both move between two such steps, a parallel is one whose interval
is a fifth or an octave, or several octaves more, before and after.

    python -m score_sde.evaluation.counterpoint runs/bach_masked/samples.npz
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde import files, terminal
from score_sde.errors import UserError
from score_sde.formats import npz

_PERFECT = (0, 7)  # semitones of octaves and fifths, without whole octaves


def crossings(pitches: np.ndarray) -> float:
    """The share of steps in which voices cross.

    Args:
        pitches: [n, voices, steps], the highest voice first; a negative one is a rest.
    """
    steps = pitches.transpose(0, 2, 1).reshape(-1, pitches.shape[1])
    steps = steps[(steps >= 0).all(axis=1)]
    return float((np.diff(steps, axis=1) > 0).any(axis=1).mean()) if len(steps) else float("nan")


def parallels(pitches: np.ndarray) -> float:
    """The share of parallel fifths and octaves among pairs that move; arguments as of crossings."""
    there = (pitches >= 0).all(axis=1)
    there = there[:, 1:] & there[:, :-1]
    count = total = 0
    for first, second in itertools.combinations(range(pitches.shape[1]), 2):
        pair = pitches[:, [first, second]]
        move = (np.diff(pair, axis=2) != 0).all(axis=1) & there
        interval = abs(pair[:, 0] - pair[:, 1]) % 12
        perfect = np.isin(interval[:, 1:], _PERFECT) & (interval[:, 1:] == interval[:, :-1])
        count, total = count + int((move & perfect).sum()), total + int(move.sum())
    return count / total if total else float("nan")


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.counterpoint",
        description="Crossings and parallels of four-part samples.",
    )
    found.add_argument("samples", type=files.typed, help="the .npz file of --mode=sample")
    found.add_argument("--voices", type=int, default=4, choices=range(2, 17), help="[4]")
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    args = parser().parse_args(argv)
    found = _read(args.samples)
    for name in ("samples", "tokens"):
        if name not in found:
            continue
        rows = found[name]
        if rows.ndim != 2 or rows.dtype.kind not in "iu" or rows.shape[1] % args.voices:
            raise UserError(f"{args.samples}: {name} are no steps of {args.voices} voices")
        # Tokens count from 1, and 0 is a rest.
        pitches = rows.astype(np.int64).reshape(len(rows), -1, args.voices).transpose(0, 2, 1) - 1
        print(
            f"{name}: {len(rows)} of {pitches.shape[2]} steps, "
            f"{100 * crossings(pitches):.2f} % of steps with crossings, "
            f"{100 * parallels(pitches):.2f} % parallels of pairs that move"
        )
    return 0


def _read(path: Path) -> dict[str, np.ndarray]:
    with npz.opened(path, "a file of samples") as arrays:
        found = dict(arrays)
    if "samples" not in found:
        raise UserError(f"{path} has no samples")
    return found


if __name__ == "__main__":
    sys.exit(main())
