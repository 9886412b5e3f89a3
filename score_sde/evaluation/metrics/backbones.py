"""How good sampled backbones are, beside real ones: C-alphas alone, in angstroms.

Neighbours have a known distance, and what is helix-like or strand-like, and what clashes, the
module structures.chains says. A window that a model knows by heart is near a training window after
superposition (Kabsch 1976, see structures.superpose); how near real ones are that it has not seen,
says how near is nothing special.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, ClassVar

import numpy as np

from score_sde import sections
from score_sde.evaluation.drawn_values import all_of, drawn_values
from score_sde.evaluation.metric import DENOISER, Entries, Metric, number
from score_sde.evaluation.shares import share_error
from score_sde.evaluation.subject import Subject
from score_sde.structures import chains, superpose
from score_sde.values import LARGEST, between

_UNITS = {
    **dict.fromkeys(("bond_length", "bond_spread", "radius", "nearest"), "angstroms"),
    "cis": "of neighbours",
    "clashes": "pairs a C-alpha",
    **dict.fromkeys(("helix", "strand"), "of dihedral angles"),
    **dict.fromkeys((f"fold_{name}" for name in chains.FOLDS), "of chains"),
}


@dataclasses.dataclass(frozen=True)
class Backbones(Metric):
    """Entries, each with its value of the real examples that are evaluated.

    They are bond_length and bond_spread, mean and standard deviation of the distance of neighbours
    in angstroms; cis, the share of neighbours nearer than chains.CIS; clashes, pairs of others
    nearer than chains.CLASH, a C-alpha; helix and strand, shares of dihedral angles that are like
    them; fold_NAME, the share of each class; radius, of gyration, in angstroms; and nearest, the
    median distance to the nearest training window, as root mean square after superposition.

    Attributes:
        num_samples: how many are drawn.
        most_real: real examples at most, evenly chosen.
    """

    NEEDS: ClassVar[str] = DENOISER

    num_samples: Annotated[int, between(2, LARGEST)] = 500
    most_real: Annotated[int, between(2, LARGEST)] = 2000

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: what is modelled are no chains of C-alphas.
        """
        field = subject.source.info[subject.field]
        if field.kind != "points" or field.shape[1] != 3 or field.shape[0] < 4:
            raise ValueError(f"it is of chains of C-alphas, and {subject.field} is {field.words}")

        def measure() -> Entries:
            samples, about = drawn_values(subject, self.num_samples)
            training = all_of(subject, subject.training())
            real = all_of(subject, subject.source, subject.number)
            chosen = np.linspace(0, len(real) - 1, min(self.most_real, len(real))).astype(np.int64)
            theirs, found = (judged(x, training) for x in (real[chosen], samples))
            return {
                name: entry | {"unit": _UNITS[name], "of_real_examples": theirs[name]} | about
                for name, entry in found.items()
            }

        return measure


def judged(x: np.ndarray, training: np.ndarray) -> Entries:
    """The entries of some chains, [k, n, 3], held against training windows, [m, n, 3]."""
    x = np.asarray(x, np.float64)
    lengths = chains.lengths(x)
    spread = lengths.std()
    folds = np.bincount(chains.fold(x), minlength=len(chains.FOLDS)) / len(x)
    centred = x - x.mean(axis=1, keepdims=True)
    nearest = superpose.nearest(x, training)
    found = {
        "bond_length": _mean(lengths.mean(axis=1)),
        "bond_spread": number(float(spread), math.nan),
        "cis": _mean((lengths < chains.CIS).mean(axis=1)),
        "clashes": _mean(chains.clashes(x)),
        "helix": _mean(chains.helix(x)),
        "strand": _mean(chains.strand(x)),
        "radius": _mean(np.sqrt(np.mean(np.sum(centred**2, axis=2), axis=1))),
        "nearest": number(float(np.median(nearest)), math.nan),
    }
    for name, share in zip(chains.FOLDS, folds, strict=True):
        found[f"fold_{name}"] = number(float(share), share_error(share, len(x)))
    return found


def _mean(values: np.ndarray) -> dict[str, float | None]:
    """The mean over chains with its standard error."""
    n = len(values)
    error = values.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan
    return number(float(values.mean()), float(error))
