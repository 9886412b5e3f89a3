"""What a file holds, whatever its container, which its first bytes tell."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.formats import persistent, safetensors, torch_file, torch_legacy
from score_sde.interop.released import Arrays

_ZIP = b"PK\x03\x04"
_WITHIN = ("state_dict", "model_state_dict", "model")  # where checkpoints have their arrays


def load(path: Path) -> Any:
    """What a file holds; of a safetensors file, its arrays and texts by "arrays" and "about".

    Raises:
        ValueError: it is damaged, or of no known container.
        pickle.UnpicklingError: it asks for something other than data; the message names it.
        OSError: it cannot be read.
    """
    if safetensors.is_one(path):
        arrays, about = safetensors.load(path)
        return {"arrays": arrays, "about": about}
    with path.open("rb") as file:
        start = file.read(len(torch_legacy.START))
    if start.startswith(_ZIP) or start == torch_legacy.START:
        return torch_file.load(path)
    if start[:1] == pickle.PROTO:
        return persistent.load(path)
    raise ValueError("it is not a PyTorch file, a pickle or a .safetensors file")


def arrays(path: Path) -> Arrays:
    """All named arrays of a file, which are mapped from it; what else it says is left out.

    Where there are dictionaries of arrays alone, their names are in front: NAME.NAME_OF_THE_ARRAY.

    Raises:
        ValueError, pickle.UnpicklingError, OSError: see `load`; or it has no named arrays.
    """
    if safetensors.is_one(path):
        return safetensors.load(path)[0]
    value = load(path)
    for name in _WITHIN:
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            value = value[name]
    found = _named(value) or _nested(value)
    if not found:
        raise ValueError(f"{path} holds no named arrays")
    return found


def _named(value: Any) -> Arrays:
    items = value.items() if isinstance(value, dict) else ()
    return {n: a for n, a in items if isinstance(n, str) and isinstance(a, np.ndarray)}


def _nested(value: Any) -> Arrays:
    """Those of dictionaries in a dictionary, by both names."""
    items = value.items() if isinstance(value, dict) else ()
    inside = {name: _named(held) for name, held in items if isinstance(name, str)}
    return {f"{outer}.{n}": a for outer, arrays in inside.items() for n, a in arrays.items()}
