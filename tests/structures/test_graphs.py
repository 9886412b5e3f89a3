"""A graph has one hash however its atoms are numbered, and others have others."""

import numpy as np
import pytest

from score_sde.structures import graphs


def graph(edges, n=10, most=12, numbers=None):
    """Orders [1, most, most] of single bonds, and atomic numbers of carbons."""
    orders, atoms = np.zeros((1, most, most), np.int8), np.zeros((1, most), int)
    for i, j, *order in edges:
        orders[0, i, j] = orders[0, j, i] = order[0] if order else 1
    atoms[0, :n] = 6 if numbers is None else numbers
    return orders, atoms


def ring(start, n):
    return [(start + i, start + (i + 1) % n) for i in range(n)]


DECALIN = graph([*ring(0, 6), (0, 6), (6, 7), (7, 8), (8, 9), (9, 1)])
BICYCLOPENTYL = graph([*ring(0, 5), *ring(5, 5), (0, 5)])
CHAIN = [(i, i + 1) for i in range(9)]
OTHERS = {
    "chain": graph(CHAIN),
    "branch": graph([*CHAIN[:-1], (1, 9)]),
    "branch further on": graph([*CHAIN[:-1], (2, 9)]),
    "double bond": graph([(0, 1, 2), *CHAIN[1:]]),
    "double bond further on": graph([(0, 1), (1, 2, 2), *CHAIN[2:]]),
    "oxygen": graph(CHAIN, numbers=[8] + 9 * [6]),
    "two oxygens": graph(CHAIN, numbers=[8, 8] + 8 * [6]),
    "shorter": graph(CHAIN[:-1], n=9),
    "ring": graph(ring(0, 10)),
    "decalin": DECALIN,
    "bicyclopentyl": BICYCLOPENTYL,
    "two pieces": graph(CHAIN[:-1]),
}


def test_the_numbers_of_atoms_do_not_matter():
    """Rows that are no atoms may be anywhere."""
    rng = np.random.default_rng(0)
    for orders, numbers in OTHERS.values():
        order = rng.permutation(12)
        turned = orders[:, order][:, :, order], numbers[:, order]
        assert graphs.hashes(*turned) == graphs.hashes(orders, numbers)
        np.testing.assert_array_equal(graphs.valid(*turned), graphs.valid(orders, numbers))


def test_different_graphs_differ():
    """Also decalin and bicyclopentyl, whose atoms all have like neighbours of like neighbours."""
    found = {int(graphs.hashes(*one)[0]) for one in OTHERS.values()}
    assert len(found) == len(OTHERS)
    together = graphs.hashes(
        *(np.concatenate(parts) for parts in zip(*OTHERS.values(), strict=True))
    )
    assert {int(one) for one in together} == found


@pytest.mark.parametrize("name", OTHERS)
def test_in_one_piece(name):
    assert graphs.connected(*OTHERS[name]).item() == (name != "two pieces")


def test_nothing_is_no_molecule():
    orders, numbers = graph([], n=0)
    assert not graphs.connected(orders, numbers).any()
    assert not graphs.valid(orders, numbers).any()
    assert graphs.hashes(orders[:0], numbers[:0]).shape == (0,)
