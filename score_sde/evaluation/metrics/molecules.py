"""How good sampled molecules are, beside real ones: stable, possible, different, and new.

As Hoogeboom et al. 2022 (arXiv 2203.17003) define them, with bonds by distance (structures.bonds),
but for the chemistry, which is ours: a molecule is possible, valid, if it is in one piece and no
atom has more bonds than its valence; molecules are told apart by a hash of their graphs
(structures.graphs), in the place of canonical strings. So validity is stricter than theirs, which
takes the largest piece, and numbers of one are to be held against numbers of ours alone.
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
from score_sde.structures import bonds, graphs
from score_sde.values import LARGEST, between

_AT_ONCE = 1 << 13


@dataclasses.dataclass(frozen=True)
class Molecules(Metric):
    """The entries atom_stability, molecule_stability, validity, uniqueness and novelty.

    Each says beside its value what it is of the real examples that are evaluated. Atom stability is
    the share of atoms whose bonds are as many as their valence, molecule stability that of
    molecules all of whose atoms are so, and validity that of possible ones, see the module.
    Uniqueness is the share of different molecules among the valid, and novelty that of these that
    are not among the training examples.

    Attributes:
        num_samples: how many are drawn.
    """

    NEEDS: ClassVar[str] = DENOISER

    num_samples: Annotated[int, between(2, LARGEST)] = 1000

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: what is modelled is no molecule.
        """
        kind = subject.source.info[subject.field].kind
        if kind != "molecule":
            raise ValueError(f"it is of molecules, and {subject.field} is of kind {kind}")

        def measure() -> Entries:
            samples, about = drawn_values(subject, self.num_samples)
            known = facts(all_of(subject, subject.training())).graphs
            real = judged(facts(all_of(subject, subject.source, subject.number)), known)
            found = judged(facts(samples), known)
            return {
                name: entry | {"of_real_examples": real[name]} | about
                for name, entry in found.items()
            }

        return measure


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of molecules.

    Attributes:
        atoms: of each, how many, [n].
        stable: of its atoms, how many, [n].
        valid: bool [n].
        graphs: hashes of all, uint64 [n].
    """

    atoms: np.ndarray
    stable: np.ndarray
    valid: np.ndarray
    graphs: np.ndarray


def facts(examples: np.ndarray) -> Facts:
    """What there is to know of molecules, [n, most, 4]: places in angstroms and atomic numbers."""
    found = []
    for start in range(0, len(examples), _AT_ONCE):
        part = examples[start : start + _AT_ONCE]
        numbers = part[..., 3].astype(np.int64)
        orders = bonds.orders(part[..., :3], numbers)
        found.append(
            (
                (numbers > 0).sum(axis=1),
                bonds.stable(orders, numbers).sum(axis=1),
                graphs.valid(orders, numbers),
                graphs.hashes(orders, numbers),
            )
        )
    return Facts(*(np.concatenate(column) for column in zip(*found, strict=True)))


def judged(found: Facts, known: np.ndarray) -> Entries:
    """The entries of some molecules, given the hashes of those that are not new."""
    atoms = max(found.atoms.sum(), 1)
    share = found.stable.sum() / atoms
    # Atoms of one molecule are stable together: the error is of a ratio of sums over molecules.
    rest = found.stable - share * found.atoms
    valid = found.graphs[found.valid]
    different = np.unique(valid)
    new = ~np.isin(different, known)
    return {
        "atom_stability": number(float(share), math.sqrt(float(np.sum(rest**2))) / float(atoms)),
        "molecule_stability": _share(found.stable == found.atoms),
        "validity": _share(found.valid),
        "uniqueness": number(len(different) / len(valid) if len(valid) else 0.0, math.nan),
        "novelty": _share(new),
    }


def _share(of: np.ndarray) -> dict[str, float | None]:
    """The share of true ones with its standard error; 0 of nothing."""
    if not len(of):
        return number(0.0, math.nan)
    share = float(of.mean())
    return number(share, share_error(share, len(of)))
