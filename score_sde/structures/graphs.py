"""Molecules as graphs: whether they are in one piece and possible, and a hash of which one it is.

The hash is that of Weisfeiler and Lehman (1968): each atom's label becomes a hash of itself and of
the multiset of its bonds and neighbours' labels, again and again. It begins with the element and
the numbers of closed walks of each length, which tell rings of different sizes apart that the
labels of neighbours do not. Equal graphs have equal hashes however their atoms are numbered. The
converse holds but for few graphs, all of them highly regular; two such would be counted as one.
Hydrogens are atoms like others. Mirror images, and what else only the places of atoms say, are one
graph.
"""

from __future__ import annotations

import numpy as np

from score_sde.structures import bonds

_ROUNDS = 8  # no two atoms of QM9 are much further from each other
_WALKS = 8
_AT_ONCE = 4096  # molecules


def connected(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which molecules are in one piece, and have an atom.

    Args:
        orders: of bonds, [batch, n, n].
        numbers: atomic numbers, [batch, n]; 0 of a row that is no atom.

    Returns:
        bool [batch].
    """
    atoms = numbers > 0
    reached = np.zeros_like(atoms)
    reached[np.arange(len(atoms)), atoms.argmax(axis=1)] = True
    bonded = orders > 0
    for _ in range(atoms.shape[1]):
        further = reached | (bonded & reached[:, None]).any(axis=2)
        if (further == reached).all():
            break
        reached = further
    return atoms.any(axis=1) & (reached | ~atoms).all(axis=1)


def valid(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which are in one piece and have no atom with more bonds than its valence; bool [batch].

    An atom with fewer is allowed: files of molecules leave hydrogens out. Arguments as of
    `connected`.
    """
    return connected(orders, numbers) & ~bonds.strained(orders, numbers).any(axis=1)


def hashes(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """A number for each graph, the same however its atoms are numbered; uint64 [batch].

    Arguments as of `connected`.
    """
    return np.concatenate(
        [
            _hashes(orders[i : i + _AT_ONCE], numbers[i : i + _AT_ONCE])
            for i in range(0, max(1, len(numbers)), _AT_ONCE)
        ]
    )


def _hashes(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    atoms = numbers > 0
    labels = _mixed(numbers.astype(np.uint64))
    adjacent = (orders > 0).astype(np.float64)
    walks = adjacent
    for _ in range(1, _WALKS):
        walks = walks @ adjacent  # whole numbers, at most 4^8
        closed = np.diagonal(walks, axis1=1, axis2=2).astype(np.uint64)
        labels = _mixed(labels ^ _mixed(closed))
    for _ in range(_ROUNDS):
        # A sum of hashes depends on no order, and neighbours at bonds of different kinds differ.
        sums = np.zeros_like(labels)
        for order in (1, 2, 3):
            hashed = _mixed(labels + np.uint64(order))
            sums += np.where(orders == order, hashed[:, None], np.uint64(0)).sum(axis=2)
        labels = _mixed(_mixed(labels) + sums)
    return _mixed(np.where(atoms, labels, np.uint64(0)).sum(axis=1))


def _mixed(x: np.ndarray) -> np.ndarray:
    """A bijection of 64 bits, the output of splitmix64 (Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
