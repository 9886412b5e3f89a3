"""The local shape of ideal helices and strands, whose geometry is known."""

import numpy as np
import pytest
import real

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


def test_neighbours_are_no_clash_and_the_next_but_one_is():
    """A cis bond of 2.9 is a bond; the ends of a sharp angle, 3 apart, are a clash."""
    straight = np.zeros((4, 3))
    straight[:, 0] = np.cumsum([0, 3.8, 2.9, 3.8])
    assert chains.clashes(straight) == 0
    half = np.arcsin(1.5 / 3.8)
    sharp = 3.8 * np.array([(0, 0, 0), (np.sin(half), np.cos(half), 0), (2 * np.sin(half), 0, 0)])
    assert chains.lengths(sharp).tolist() == pytest.approx([3.8, 3.8])
    assert np.linalg.norm(sharp[2] - sharp[0]) == pytest.approx(3)
    assert chains.clashes(sharp) == pytest.approx(1 / 3)


def test_a_chain_is_cut_where_residues_are_missing():
    """And where two are at nearly one place; a cis bond is no break."""
    x = np.zeros((9, 3))
    x[:, 0] = np.cumsum([0, 3.8, 2.95, 3.8, 7.0, 3.8, 1.0, 3.8, 4.01])
    assert [len(piece) for piece in chains.pieces(x)] == [4, 2, 2, 1]


@pytest.mark.slow
@real.prepared("backbone64")
def test_real_chains():
    """ORACLES: 3.802 +- .055 between neighbours, 0.3 % cis, 38.2 % and 39.6 % of the dihedrals.

    Those are of 651 chains; of the windows of the two Debian packages, or of more.
    """
    x = np.concatenate([real.every("backbone64", split, "points") for split in ("train", "test")])
    lengths = chains.lengths(x.astype(np.float64))
    assert len(x) > 10_000
    assert lengths.mean() == pytest.approx(3.802, abs=0.001)
    assert lengths.std() == pytest.approx(0.055, abs=0.001)
    assert np.mean(lengths < chains.CIS) == pytest.approx(0.003, abs=0.0003)
    assert chains.helix(x).mean() == pytest.approx(0.382, abs=0.005)
    assert chains.strand(x).mean() == pytest.approx(0.396, abs=0.005)
