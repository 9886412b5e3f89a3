"""Rules of four-part writing, counted: what a model of chorales is held against.

Only steps in which all voices sound are looked at, and pairs of voices at two of them that follow
each other.

- A crossing is a step in which a voice is above the next higher one.
- Parallels are what music theory forbids: both voices move, in the same direction, from a fifth to
  a fifth or from a unison or octave to one, octaves more not counted. Their share is of the pairs
  that both move.
- From perfect to perfect: both voices move, in any direction, from a fifth or octave to a fifth or
  octave, octaves more not counted, and no unison. The share is of all pairs.

Of Bach's 365 chorales in eighths they are 2.13 % of the steps, 0.11 % and 1.36 %. --beside says the
same of a set, whose examples are such steps:

    python -m score_sde.evaluation.counterpoint runs/bach_masked/samples.npz --beside=chorales
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from score_sde import files, terminal
from score_sde.data import load
from score_sde.errors import UserError
from score_sde.fields import TOKENS
from score_sde.formats import npz

_PERFECT = (0, 7)  # semitones of octaves and fifths, without whole octaves
_SPLITS = ("train", "test")
# Of the arrays of a file of samples: what was drawn, and what it was asked about, as it was before.
_ROWS = {"samples": "drawn", "tokens": "as it was composed"}


def crossings(pitches: np.ndarray) -> float:
    """The share of steps in which voices cross.

    Args:
        pitches: [n, voices, steps], the highest voice first; a negative one is a rest.
    """
    steps = pitches.transpose(0, 2, 1).reshape(-1, pitches.shape[1])
    steps = steps[(steps >= 0).all(axis=1)]
    return float((np.diff(steps, axis=1) > 0).any(axis=1).mean()) if len(steps) else float("nan")


def parallels(pitches: np.ndarray) -> float:
    """The share of parallels among pairs that move; see the module. Arguments as of crossings."""
    count = total = 0
    for pair, there in _pairs(pitches):
        steps = np.diff(pair, axis=2)
        moves = (steps != 0).all(axis=1) & there
        interval = abs(pair[:, 0] - pair[:, 1]) % 12
        kept = np.isin(interval[:, 1:], _PERFECT) & (interval[:, 1:] == interval[:, :-1])
        together = steps[:, 0] * steps[:, 1] > 0
        count, total = count + int((moves & kept & together).sum()), total + int(moves.sum())
    return count / total if total else float("nan")


def perfect_to_perfect(pitches: np.ndarray) -> float:
    """The share of pairs that move so; see the module. Arguments as of crossings."""
    count = total = 0
    for pair, there in _pairs(pitches):
        moves = (np.diff(pair, axis=2) != 0).all(axis=1) & there
        interval = abs(pair[:, 0] - pair[:, 1])
        perfect = np.isin(interval % 12, _PERFECT) & (interval > 0)
        count += int((moves & perfect[:, 1:] & perfect[:, :-1]).sum())
        total += int(there.sum())
    return count / total if total else float("nan")


def _pairs(pitches: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each pair of voices, [n, 2, steps], and where a step and the next sound, [n, steps - 1]."""
    there = (pitches >= 0).all(axis=1)
    there = there[:, 1:] & there[:, :-1]
    for pair in itertools.combinations(range(pitches.shape[1]), 2):
        yield pitches[:, pair], there


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.counterpoint",
        description="Crossings and parallels of four-part samples.",
    )
    found.add_argument("samples", type=files.typed, help="the .npz file of --mode=sample")
    found.add_argument("--beside", help="a set that the samples are held against, as chorales")
    found.add_argument(
        "--data_dir", type=files.typed, help="of that set: its folder or file [where it is usually]"
    )
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
    rows = {said: found[name] for name, said in _ROWS.items() if name in found}
    if args.beside:
        for split in _SPLITS:
            source = load(args.beside, split, data_dir=args.data_dir)
            field = source.info.of_kinds((TOKENS,))
            rows[f"{args.beside}, {split}"] = source.gather(np.arange(len(source)))[field.name]
    for name, of in rows.items():
        if of.ndim != 2 or of.dtype.kind not in "iu" or of.shape[1] % args.voices:
            where = args.samples if name in _ROWS.values() else args.beside
            raise UserError(f"{where}: {name} are no steps of {args.voices} voices")
        # Tokens count from 1, and 0 is a rest.
        pitches = of.astype(np.int64).reshape(len(of), -1, args.voices).transpose(0, 2, 1) - 1
        print(
            f"{name}: {len(of)} of {pitches.shape[2]} steps, "
            f"{100 * crossings(pitches):.2f} % of steps with crossings, "
            f"{100 * parallels(pitches):.2f} % parallels of pairs that move, "
            f"{100 * perfect_to_perfect(pitches):.2f} % of pairs from perfect to perfect"
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
