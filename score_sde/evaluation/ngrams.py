r"""What counting comes to: n-grams of tokens, which a model of tokens is held against.

Smoothed by Witten and Bell (1991; Chen and Goodman 1996, equation 12): with c(h v) how often v
followed the n - 1 tokens h, and T(h) how many tokens ever did,

    p(v | h) = (c(h v) + T(h) p(v | h')) / (c(h) + T(h)),                                   (1)

h' without its first token, and 1 / V at last. A sequence begins after n - 1 tokens that are none.

    python -m score_sde.evaluation.ngrams words --end=0

With samples it says what these are worth, and which of them are examples of the set:

    python -m score_sde.evaluation.ngrams words --end=0 --samples=runs/words_masked/samples.npz
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from score_sde import files, terminal
from score_sde.data import DataError, load, selection
from score_sde.fields import TOKENS
from score_sde.formats import npz

_BEFORE = -1
ORDER = 6


class _Counts(NamedTuple):
    """Of the n-grams of one n, each a number, and of what comes before their last token.

    Attributes:
        grams: those that are there, [k], rising.
        times: c(h v), [k].
        histories: h of those, [j], rising.
        total: c(h), [j].
        kinds: T(h), [j].
    """

    grams: np.ndarray
    times: np.ndarray
    histories: np.ndarray
    total: np.ndarray
    kinds: np.ndarray


class NGrams:
    """Counts of n-grams, and their probabilities, equation (1).

    Args:
        rows: sequences, int [m, length].
        n: tokens of the longest.
        vocabulary: V.
        end: the token that ends a sequence: what comes after the first is not counted; None for
            none.
    """

    def __init__(self, rows: np.ndarray, n: int, vocabulary: int, end: int | None = None):
        self.vocabulary, self.end, self._counts = vocabulary, end, list[_Counts]()
        windows = self._windows(rows, n)[self._counted(rows)]
        grams = histories = np.zeros(len(windows), np.int64)
        for i in range(1, n + 1):
            # Longer by a token before: which of those that are there, and that token.
            there, first, grams, times = np.unique(
                self._longer(grams, windows[:, n - i]),
                return_index=True,
                return_inverse=True,
                return_counts=True,
            )
            if i > 1:
                known, histories = np.unique(
                    self._longer(histories, windows[:, n - i]), return_inverse=True
                )
            else:
                known = np.zeros(1, np.int64)  # nothing comes before
            before = histories[first]
            total = np.bincount(before, times, len(known))
            self._counts.append(_Counts(there, times, known, total, np.bincount(before)))

    def nats(self, rows: np.ndarray) -> np.ndarray:
        """-log p of sequences, [m]; arguments as of the class."""
        return self.of_orders(rows)[-1]

    def of_orders(self, rows: np.ndarray) -> np.ndarray:
        """-log p of sequences by n-grams of each n there is, from 1: [n, m]."""
        n, (m, length) = len(self._counts), rows.shape
        windows = self._windows(rows, n).reshape(-1, n)
        p, found = np.full(m * length, 1 / self.vocabulary), []
        grams = histories = np.zeros(m * length, np.int64)
        for i, counts in enumerate(self._counts, 1):
            grams = _places(counts.grams, self._longer(grams, windows[:, n - i]))
            if i > 1:
                histories = _places(counts.histories, self._longer(histories, windows[:, n - i]))
            followed = np.where(grams < 0, 0, counts.times[grams])
            total, kinds = (
                np.where(histories < 0, 0, of[histories]) for of in (counts.total, counts.kinds)
            )
            p = np.where(total > 0, (followed + kinds * p) / np.maximum(total + kinds, 1), p)
            found.append(np.where(self._counted(rows), -np.log(p).reshape(m, length), 0))
        return np.stack(found).sum(axis=2)

    def _counted(self, rows: np.ndarray) -> np.ndarray:
        """Which tokens are of the sequences, bool [m, length]."""
        if self.end is None:
            return np.ones(rows.shape, bool)
        return np.cumsum(rows == self.end, axis=1) - (rows == self.end) == 0

    def _windows(self, rows: np.ndarray, n: int) -> np.ndarray:
        """The n-gram that ends at each token, [m, length, n]."""
        padded = np.pad(rows.astype(np.int64), ((0, 0), (n - 1, 0)), constant_values=_BEFORE)
        return np.lib.stride_tricks.sliding_window_view(padded, n, axis=1)

    def _longer(self, places: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """A number for each pair: of what is not there, a place of -1, it is below 0."""
        return places * (self.vocabulary + 1) + tokens - _BEFORE


def _places(there: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where numbers are among those that are there, which rise; -1 where they are not."""
    places = np.minimum(np.searchsorted(there, numbers), len(there) - 1)
    return np.where(there[places] == numbers, places, -1)


def bits(
    train: np.ndarray, test: np.ndarray, order: int, vocabulary: int, end: int | None = None
) -> np.ndarray:
    """Bits of each sequence for testing, of n-grams of n = 1, ..., order: [order, m]."""
    return NGrams(train, order, vocabulary, end).of_orders(test) / math.log(2)


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    found = terminal.Parser(
        prog="python -m score_sde.evaluation.ngrams", description="N-grams of a set of tokens."
    )
    selection.add_flags(found, split=None)
    found.add_argument("--order", type=int, default=ORDER, choices=range(1, 13), help="n [6]")
    found.add_argument(
        "--samples",
        type=files.typed,
        action="append",
        default=[],
        help="the .npz file of --mode=sample, which is judged by the longest; once for each",
    )
    found.add_argument("--end", type=int, help="the token that ends an example, 0 of words [none]")
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command: bits an example and a token, of each n.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        Exit status: 0, or 2 after one line on stderr if the input is bad.
    """
    args = parser().parse_args(argv)
    train, test = (load(args.name, split, data_dir=args.data_dir) for split in ("train", "test"))
    field = train.info.of_kinds((TOKENS,), "")
    parts = [source.gather(np.arange(len(source)))[field.name] for source in (train, test)]
    if any(part.max(initial=0) >= field.values for part in parts):
        raise DataError(f"{args.name} has tokens that are none of {field.values}")
    for path in args.samples:
        found = judged(path, parts, args.order, field.values, args.end)
        print(f"{path}: {_said(found, args.order)}")
    if args.samples:
        return 0
    print(
        f"{len(test):,} {test.info.split} examples of {field.words}\n n  bits an example  a token"
    )
    for n, found in enumerate(bits(*parts, args.order, field.values, args.end), 1):
        error = found.std(ddof=1) / math.sqrt(len(found))
        print(f"{n:2d}  {found.mean():6.2f} +- {error:4.2f}   {found.mean() / field.shape[0]:7.3f}")
    return 0


class Judged(NamedTuple):
    """What samples are worth.

    Attributes:
        bits: of each by the longest n-grams, [m].
        seen: which of them are training examples, bool [m].
        held_out: which are those for testing, bool [m].
        distinct: how many there are without repetitions.
    """

    bits: np.ndarray
    seen: np.ndarray
    held_out: np.ndarray
    distinct: int


def judged(
    path: Path,
    parts: Sequence[np.ndarray],
    order: int,
    vocabulary: int,
    end: int | None = None,
) -> Judged:
    """What the samples in a file are worth.

    Args:
        path: the .npz file of --mode=sample.
        parts: training and test examples, int [n, length] each.
        order: n, of the longest n-grams.
        vocabulary: V.
        end: see NGrams.

    Raises:
        UserError: it has no such samples.
    """
    with npz.opened(path, "a file of samples") as arrays:
        samples = dict(arrays).get("samples")
    length = parts[0].shape[1]
    if samples is None or samples.ndim != 2 or samples.shape[1] != length or not len(samples):
        raise DataError(f"{path} has no samples of {length} tokens")
    if samples.dtype.kind not in "iu" or samples.min() < 0 or samples.max() >= vocabulary:
        raise DataError(f"{path}: its samples are none of {vocabulary} tokens")
    bits = NGrams(parts[0], order, vocabulary, end).nats(samples) / math.log(2)
    known = ({row.tobytes() for row in part.astype(np.int64)} for part in parts)
    rows = [row.tobytes() for row in samples.astype(np.int64)]
    among = (np.array([row in of for row in rows]) for of in known)
    return Judged(bits, *among, len(set(rows)))


def _said(found: Judged, order: int) -> str:
    """What is found, in words."""
    number, worth = len(found.bits), found.bits
    error = worth.std(ddof=1) / math.sqrt(number) if number > 1 else math.nan
    return (
        f"{number:,} of {worth.mean():.2f} +- {error:.2f} bits by {order}-grams: "
        f"{100 * found.seen.mean():.1f} % of them training examples, "
        f"{100 * found.held_out.mean():.1f} % test ones, "
        f"{100 * found.distinct / number:.1f} % distinct"
    )


if __name__ == "__main__":
    sys.exit(main())
