"""What a released file gives a network of ours."""

from __future__ import annotations

from typing import NamedTuple

import jax


class Weights(NamedTuple):
    """Its arrays, by the names of models.functional.

    Attributes:
        raw: parameters; the average's where the file has no others.
        average: their moving average; the raw ones where the file has none.
        constants: the other arrays.
        step: of the checkpoint.
        decay: of the average, or None.
        has_raw: whether the file has raw parameters.
        has_average: whether it has averages that were read.
    """

    raw: dict[str, jax.Array]
    average: dict[str, jax.Array]
    constants: dict[str, jax.Array]
    step: int
    decay: float | None
    has_raw: bool
    has_average: bool
