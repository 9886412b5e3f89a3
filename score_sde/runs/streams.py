"""The random numbers of a training: a stream for each thing that draws any, from the run's seed."""

from __future__ import annotations

import enum

import jax


class Stream(enum.IntEnum):
    """What random numbers are for. The number of each is part of what a run draws."""

    NETWORK = 0
    STEPS = 1
    HELD_OUT = 2
    PICTURES = 3
    STEPS_AGAIN = 4  # after training went back

    def key(self, seed: int) -> jax.Array:
        """Its key, of the seed of a run."""
        return jax.random.fold_in(jax.random.key(seed), int(self))
