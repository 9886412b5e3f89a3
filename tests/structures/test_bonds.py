"""Bonds and stability of molecules whose bonds are known, at their measured geometries."""

import numpy as np
import pytest

from score_sde.structures import bonds, graphs

H = 1.09
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
# Symbols, places in angstroms, and the orders of the bonds of atoms that are no hydrogens.
KNOWN = {
    "methane": ("CHHHH", [(0, 0, 0), *H * TETRAHEDRON], {}),
    "carbon dioxide": ("OCO", [(-1.16, 0, 0), (0, 0, 0), (1.16, 0, 0)], {(0, 1): 2, (1, 2): 2}),
    "acetylene": (
        "HCCH",
        [(-1.66, 0, 0), (-0.60, 0, 0), (0.60, 0, 0), (1.66, 0, 0)],
        {(1, 2): 3},
    ),
    "hydrogen cyanide": ("HCN", [(-1.066, 0, 0), (0, 0, 0), (1.156, 0, 0)], {(1, 2): 3}),
    "hydrogen fluoride": ("FH", [(0, 0, 0), (0.917, 0, 0)], {}),
    "water": ("OHH", [(0, 0, 0), (0.757, 0.587, 0), (-0.757, 0.587, 0)], {}),
    "ammonia": (
        "NHHH",
        [(0, 0, 0.116), (0, 0.94, -0.27), (0.814, -0.47, -0.27), (-0.814, -0.47, -0.27)],
        {},
    ),
}


def made(name, most=6):
    """Places [1, most, 3] and atomic numbers [1, most]; rows at the end are no atoms."""
    symbols, places, _ = KNOWN[name]
    x, numbers = np.zeros((1, most, 3)), np.zeros((1, most), int)
    x[0, : len(symbols)] = places
    numbers[0, : len(symbols)] = [bonds.NUMBERS[s] for s in symbols]
    return x, numbers


@pytest.mark.parametrize("name", KNOWN)
def test_molecules_are_stable_with_the_bonds_that_they_have(name):
    """Each order where it is known, all others single; an atom farther away has none."""
    symbols, _, orders = KNOWN[name]
    x, numbers = made(name)
    found = bonds.orders(x, numbers)
    for pair, order in orders.items():
        assert found[0][pair] == found[0][pair[::-1]] == order
    assert bonds.stable(found, numbers).sum() == len(symbols)
    assert bonds.symbols(numbers[0, : len(symbols)]) == tuple(symbols)
    assert graphs.valid(found, numbers).all()
    x[0, len(symbols) - 1] += (3, 4, 5)
    found = bonds.orders(x, numbers)
    assert not bonds.stable(found, numbers)[0, len(symbols) - 1]
    assert not graphs.valid(found, numbers).any()
    assert len(bonds.pairs(found[0])) == np.count_nonzero(found[0]) // 2


# The longest single, double and triple bonds in picometres: with the margins of 10, 5 and 3.
LONGEST = {
    **{"HH": (84,), "HC": (119,), "HN": (111,), "HO": (106,), "HF": (102,), "FF": (152,)},
    **{"CC": (164, 139, 123), "CN": (157, 134, 119), "CO": (153, 125, 116), "CF": (145,)},
    **{"NN": (155, 130, 113), "NO": (150, 126), "NF": (146,), "OO": (158, 126), "OF": (152,)},
}


@pytest.mark.parametrize("pair", LONGEST)
def test_the_longest_bonds_of_all_pairs(pair):
    """Of each order, and not a hair longer; in either direction, and no others are nearer."""
    numbers = np.array([[bonds.NUMBERS[symbol] for symbol in pair]])
    known = {50: len(LONGEST[pair])}
    for order, longest in enumerate(LONGEST[pair], 1):
        known |= {longest - 0.01: order, longest + 0.01: order - 1}
    for length, order in known.items():
        x = np.array([[[0, 0, 0], [length / 100, 0, 0]]])
        for of in (numbers, numbers[:, ::-1]):
            assert bonds.orders(x, of)[0, 0, 1] == order


def test_too_many_bonds_are_no_molecule():
    """Five hydrogens at one carbon: in one piece, and strained."""
    x, numbers = made("methane")
    x[0, 5], numbers[0, 5] = (0, 0, 1.05), 1
    found = bonds.orders(x, numbers)
    assert graphs.connected(found, numbers).all()
    assert bonds.strained(found, numbers).any()
    assert not graphs.valid(found, numbers).any()


def test_other_elements_are_refused():
    with pytest.raises(ValueError, match="16 is the number of none of H, C, N, O, F"):
        bonds.symbols(np.array([6, 16]))
