"""The local shape of ideal helices and strands, whose geometry is known."""

import numpy as np
import pytest

from score_sde.structures import chains


def helix(n, rise=1.5, turn=100.0, radius=2.3):
    """A right-handed helix about the third axis: of these numbers, an alpha helix."""
    angle = np.deg2rad(turn) * np.arange(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), rise * np.arange(n)], axis=1)


def strand(n):
    """A flat zigzag, whose dihedral angles are 180 degrees."""
    return np.stack([3.3 * np.arange(n), 0.95 * (-1.0) ** np.arange(n), np.zeros(n)], axis=1)


def test_an_alpha_helix():
    """1.5 angstroms and 100 degrees a residue: neighbours 3.8 apart, dihedrals of 50 degrees."""
    x = helix(20)
    np.testing.assert_allclose(chains.lengths(x), chains.BOND, atol=0.03)
    np.testing.assert_allclose(chains.dihedrals(x), 50, atol=1)
    assert (chains.helix(x), chains.strand(x), chains.clashes(x)) == (1, 0, 0)
    mirrored = x * (1, 1, -1)
    np.testing.assert_allclose(chains.dihedrals(mirrored), -chains.dihedrals(x), atol=1e-9)
    assert chains.helix(mirrored) == 0
    assert chains.FOLDS[chains.fold(x)] == "helices"


def test_a_strand():
    x = strand(20)
    np.testing.assert_allclose(np.abs(chains.dihedrals(x)), 180, atol=1e-6)
    assert (chains.helix(x), chains.strand(x)) == (0, 1)
    assert chains.FOLDS[chains.fold(x)] == "strands"


@pytest.mark.parametrize(
    ("angle", "is_helix", "is_strand"),
    [
        *((29, 0, 0), (31, 1, 0), (89, 1, 0), (91, 0, 0), (-50, 0, 0)),
        *((114, 0, 0), (116, 0, 1), (-114, 0, 0), (-116, 0, 1)),
    ],
)
def test_the_limits_of_helices_and_strands(angle, is_helix, is_strand):
    """Four in a row of which the last is turned by the angle, clockwise along the middle pair."""
    turned = np.deg2rad(angle)
    x = np.array([(1, 0, 0), (0, 0, 0), (0, 0, 1), (np.cos(turned), np.sin(turned), 1)])
    assert chains.dihedrals(x).tolist() == pytest.approx([angle])
    assert (chains.helix(x), chains.strand(x)) == (is_helix, is_strand)


def test_what_is_of_both_and_of_neither():
    """Shares of a helix and then a strand, in a batch; a straight line that turns left is other."""
    x = np.concatenate([helix(32), strand(32) + np.array([10, 0, 60])])
    assert chains.helix(x) == pytest.approx(29 / 61, abs=3 / 61)
    assert chains.strand(x) == pytest.approx(29 / 61, abs=3 / 61)
    left = helix(64) * (1, 1, -1)
    found = chains.fold(np.stack([x, left, helix(64)]))
    assert [chains.FOLDS[one] for one in found] == ["both", "other", "helices"]


def test_clashes_are_counted_once():
    """A chain that comes back upon itself: pairs that are no neighbours, over its length."""
    x = strand(10)
    x[9] = x[2] + (0, 0, 3.0)
    assert chains.clashes(x) == 1 / 10
    assert chains.clashes(np.stack([x, strand(10)])).tolist() == [0.1, 0]


def test_a_chain_is_cut_where_residues_are_missing():
    """And where two are at nearly one place; a cis bond is no break."""
    x = np.zeros((9, 3))
    x[:, 0] = np.cumsum([0, 3.8, 2.95, 3.8, 7.0, 3.8, 1.0, 3.8, 4.01])
    assert [len(piece) for piece in chains.pieces(x)] == [4, 2, 2, 1]
