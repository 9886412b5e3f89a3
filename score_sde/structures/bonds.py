"""Bonds by distance: of H, C, N, O and F, and whether each atom has the bonds that its kind has.

Two atoms have a bond of order k if they are nearer than the typical length of such a bond and a
margin, 10, 5 and 3 pm for k = 1, 2, 3 (Hoogeboom et al. 2022, arXiv 2203.17003, Appendix on
evaluation; the lengths are those of common tables of organic chemistry). An atom is stable if the
orders of its bonds add up to its valence, a molecule if all its atoms are.
"""

from __future__ import annotations

import functools

import numpy as np

ELEMENTS = ("H", "C", "N", "O", "F")
NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}  # atomic numbers
VALENCES = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1}

# Typical lengths in picometres, by order.
_LENGTHS: tuple[dict[str, int], ...] = (
    {"HH": 74, "HC": 109, "HN": 101, "HO": 96, "HF": 92, "CC": 154, "CN": 147, "CO": 143}
    | {"CF": 135, "NN": 145, "NO": 140, "NF": 136, "OO": 148, "OF": 142, "FF": 142},
    {"CC": 134, "CN": 129, "CO": 120, "NN": 125, "NO": 121, "OO": 121},
    {"CC": 120, "CN": 116, "CO": 113, "NN": 110},
)
_MARGINS = (10, 5, 3)


def symbols(numbers: np.ndarray) -> tuple[str, ...]:
    """The symbols of atomic numbers, [n].

    Raises:
        ValueError: one is of no element of ELEMENTS.
    """
    known = {number: symbol for symbol, number in NUMBERS.items()}
    for number in np.unique(numbers):
        if int(number) not in known:
            raise ValueError(f"{number} is the number of none of {', '.join(ELEMENTS)}")
    return tuple(known[int(number)] for number in numbers)


def orders(positions: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The orders of the bonds between all atoms, 0 to 3.

    Args:
        positions: in angstroms, [..., n, 3].
        numbers: atomic numbers, [..., n]; 0 of a row that is no atom.

    Returns:
        int8 [..., n, n], symmetric.
    """
    places = np.asarray(positions, np.float64)
    squared = np.sum((places[..., :, None, :] - places[..., None, :, :]) ** 2, axis=-1)
    numbers = np.asarray(numbers, np.int64)
    found = np.zeros(squared.shape, np.int8)
    for limits in _limits():
        found += squared < limits[numbers[..., :, None], numbers[..., None, :]]
    n = np.arange(squared.shape[-1])
    found[..., n, n] = 0
    return found


def stable(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which atoms have as many bonds as their valence is; bool [..., n], false of no atom.

    Args:
        orders: of `orders`, [..., n, n].
        numbers: atomic numbers, [..., n]; 0 of a row that is no atom.
    """
    numbers = np.asarray(numbers, np.int64)
    return (numbers > 0) & (orders.sum(axis=-1) == _valences()[numbers])


def strained(orders: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which atoms have more bonds than their valence is; arguments as of `stable`."""
    return orders.sum(axis=-1) > _valences()[np.asarray(numbers, np.int64)]


def pairs(orders: np.ndarray) -> np.ndarray:
    """The bonds of one molecule, of orders [n, n]: each once as (i, j, order), int64 [bonds, 3]."""
    first, second = np.nonzero(np.triu(orders))
    return np.stack([first, second, orders[first, second].astype(np.int64)], axis=1)


@functools.cache
def _limits() -> tuple[np.ndarray, ...]:
    """The squares of the largest lengths of bonds of each order, by atomic numbers, angstroms^2."""
    tables = []
    for lengths, margin in zip(_LENGTHS, _MARGINS, strict=True):
        table = np.zeros((10, 10))
        for (first, second), length in lengths.items():
            limit = ((length + margin) / 100) ** 2
            table[NUMBERS[first], NUMBERS[second]] = table[NUMBERS[second], NUMBERS[first]] = limit
        tables.append(table)
    return tuple(tables)


@functools.cache
def _valences() -> np.ndarray:
    """By atomic number."""
    table = np.zeros(10, np.int64)
    for symbol, valence in VALENCES.items():
        table[NUMBERS[symbol]] = valence
    return table
