"""What a released file holds, whatever its container: named arrays and the facts about them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

Arrays = dict[str, np.ndarray]  # by their authors' names

WRAPPER = "module."  # in front of each name, as PyTorch's wrappers of a network leave it
_FLOATS = (np.dtype(ml_dtypes.bfloat16), *map(np.dtype, ("<f2", "<f4", "<f8")))


@dataclasses.dataclass(frozen=True)
class Released:
    """A file of a known family.

    Attributes:
        path: the file.
        family: one of recognise.FAMILIES.
        ema: the moving average by its authors' names, read-only and of floating-point numbers in
            the file's precision; None if there is none.
        raw: the parameters themselves; None if there are only averages.
        step: training steps, 0 if the file does not say.
        ema_decay: of the moving average; None if the file does not say.
        arguments: of the network's constructor, and what the file says of the class around it; of
            a file that says nothing what stands beside it, see beside, or {}.
        facts: what else there is; see recognise.
        run: what interop.export wrote of the run that the file is from, or None: "config", and
            "fields" of the data, as plain values.
        own: what an objective has learnt beside the network, which interop.export wrote, by its
            names in the file.
    """

    path: Path
    family: str
    ema: Arrays | None
    raw: Arrays | None
    step: int = 0
    ema_decay: float | None = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    run: Mapping[str, Any] | None = None
    own: Arrays = dataclasses.field(default_factory=dict)

    @property
    def arrays(self) -> Arrays:
        """The moving average if there is one, else the parameters themselves."""
        return (self.raw or {}) if self.ema is None else self.ema


def state(values: Any, what: str = "it") -> Arrays:
    """A state dict without the wrapper's prefix.

    Raises:
        ValueError: it is none; the message begins with `what`.
    """
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{what} holds no named arrays")
    arrays: Arrays = {}
    for name, value in values.items():
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f"{what} has a name that is none")
        official = re.sub(rf"^({re.escape(WRAPPER)})+", "", name)
        if official in arrays:
            raise ValueError(f"{what} has {official} twice")
        if not isinstance(value, np.ndarray) or value.dtype not in _FLOATS:
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(f"{what} has {official} of type {kind}, not floating-point numbers")
        arrays[official] = value
    return arrays


def is_state(values: Any) -> bool:
    """Whether a value of a file is a dictionary of arrays and nothing else."""
    alone = isinstance(values, dict) and bool(values)
    return alone and all(isinstance(value, np.ndarray) for value in values.values())
