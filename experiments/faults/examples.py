"""A few made-up examples of each kind whose real ones a package holds, as sets of a name each."""

from __future__ import annotations

import functools

import numpy as np

from score_sde import data
from score_sde.data import Source, arrays
from score_sde.fields import Field, label, molecule, number, points, signal, text, tokens

Examples = dict[str, np.ndarray]

_PLACES, _RATE, _SAMPLES = 6, 2000, 2000


def words(rng: np.random.Generator, n: int) -> Examples:
    """Tokens, 0 after their end."""
    ends = np.arange(_PLACES)[None] < rng.integers(2, _PLACES, (n, 1))
    return {"tokens": (ends * rng.integers(1, 27, (n, _PLACES))).astype(np.int32)}


def sets(rng: np.random.Generator, n: int) -> Examples:
    """Points of the space and a category."""
    places = rng.standard_normal((n, _PLACES, 3)).astype(np.float32)
    return {"points": places, "category": rng.integers(0, 2, n, np.int32)}


def molecules(rng: np.random.Generator, n: int) -> Examples:
    """Two to six atoms of hydrogen, carbon and oxygen."""
    atoms = rng.integers(2, _PLACES + 1, n)
    elements = rng.choice(np.array([1, 6, 8]), (n, _PLACES, 1))
    found = np.concatenate([rng.standard_normal((n, _PLACES, 3)), elements], axis=2)
    found *= np.arange(_PLACES)[None, :, None] < atoms[:, None, None]
    return {"molecule": found.astype(np.float32), "atoms": atoms.astype(np.float32)}


def sounds(rng: np.random.Generator, n: int) -> Examples:
    """A second of noise, with a word."""
    said = np.frombuffer(b"hum\0hiss", np.uint8).reshape(2, 4)[rng.integers(0, 2, n)]
    return {"signal": rng.uniform(-1, 1, (n, _SAMPLES, 1)).astype(np.float32), "text": said}


# By the name that a config gives: what draws them, and the fields that it draws.
SETS = {
    "made_words": (words, (tokens(_PLACES, 27),)),
    "made_sets": (sets, (points(_PLACES, 3), label(2, name="category"))),
    "made_molecules": (molecules, (molecule(_PLACES), number("atoms"))),
    "made_sounds": (sounds, (signal(_SAMPLES, _RATE, 1), text(4))),
}


def register() -> None:
    """Make them data sets."""
    for name, (draw, fields) in SETS.items():
        data.register(name, functools.partial(_open, name, draw, fields))


def _open(name: str, draw: arrays.Draw, fields: tuple[Field, ...], split: str) -> Source:
    return arrays.function(draw, 100, name=name, split=split, fields=fields)
