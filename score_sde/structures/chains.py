"""The local shape of chains of C-alphas, in angstroms: what a model of backbones has to get right.

Neighbours are 3.80 angstroms apart, or 2.95 where the bond between is cis. The dihedral angle of
four in a row says what they are part of: about 50 degrees in an alpha helix, about -170 in a
strand. Counted as helix-like is from 30 to 90, as strand-like what is more than 115 degrees from
0. Both are of C-alphas alone, without hydrogen bonds, so a turn may be helix-like too.
"""

from __future__ import annotations

import numpy as np

BOND = 3.8  # from one C-alpha to the next
CIS = 3.4  # nearer neighbours are joined by a cis bond
CLASH = 3.6  # C-alphas that are no neighbours are not as near as this
HELIX = (30.0, 90.0)
STRAND = 115.0
WHOLE = (2.8, 4.0)  # between neighbours of a chain without a break

# What a window is called, by its shares of helix-like and strand-like dihedral angles.
FOLDS = ("helices", "strands", "both", "other")
_MAINLY, _LITTLE = 0.4, 0.2


def lengths(x: np.ndarray) -> np.ndarray:
    """From each C-alpha to the next, [..., n - 1], of chains [..., n, 3]."""
    return np.linalg.norm(np.diff(x, axis=-2), axis=-1)


def pieces(x: np.ndarray) -> list[np.ndarray]:
    """A chain, [n, 3], without NaN, cut where two neighbours are not as far as in WHOLE."""
    least, most = WHOLE
    far = lengths(x)
    return np.split(x, np.flatnonzero((far < least) | (far > most)) + 1)


def dihedrals(x: np.ndarray) -> np.ndarray:
    """The angle of each four in a row, in degrees from -180 to 180; [..., n - 3].

    Positive where the fourth is turned clockwise from the first, seen along the middle pair
    (IUPAC-IUB 1970): a right-handed helix has positive ones.
    """
    steps = np.diff(x, axis=-2)
    first, middle, last = steps[..., :-2, :], steps[..., 1:-1, :], steps[..., 2:, :]
    before, after = np.cross(first, middle), np.cross(middle, last)
    sine = np.sum(np.cross(before, after) * middle, axis=-1)
    length = np.maximum(np.linalg.norm(middle, axis=-1), 1e-12)
    return np.degrees(np.arctan2(sine / length, np.sum(before * after, axis=-1)))


def helix(x: np.ndarray) -> np.ndarray:
    """The share of helix-like dihedral angles of each chain, [...]."""
    angles = dihedrals(x)
    return np.mean((angles > HELIX[0]) & (angles < HELIX[1]), axis=-1)


def strand(x: np.ndarray) -> np.ndarray:
    """The share of strand-like dihedral angles of each chain, [...]."""
    return np.mean(np.abs(dihedrals(x)) > STRAND, axis=-1)


def clashes(x: np.ndarray) -> np.ndarray:
    """Pairs of each chain nearer than CLASH that are no neighbours, over its C-alphas; [...]."""
    n = x.shape[-2]
    first, second = np.triu_indices(n, 2)
    near = np.linalg.norm(x[..., first, :] - x[..., second, :], axis=-1) < CLASH
    return near.sum(axis=-1) / n


def fold(x: np.ndarray) -> np.ndarray:
    """The class of each chain, the number of one of FOLDS, int32 [...].

    As the first letter of CATH (Orengo et al. 1997), of C-alphas alone: at least 40 % of the one
    and at most 20 % of the other, at least 20 % of both, or neither.
    """
    a, b = helix(x), strand(x)
    cases = [
        (a >= _MAINLY) & (b <= _LITTLE),
        (b >= _MAINLY) & (a <= _LITTLE),
        (a > _LITTLE) & (b > _LITTLE),
    ]
    return np.select(cases, range(len(cases)), len(cases)).astype(np.int32)
