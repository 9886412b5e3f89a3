"""Files of adapters: .safetensors of any layout, or what `torch.save` wrote.

Of each layer a file has two or three arrays, by how their names end:

    lora_A, lora_B                 peft, newer diffusers
    lora_down, lora_up, lora_mid   kohya, LoCon
    lora.down, lora.up             older diffusers; also lora_linear_layer.down, to_q_lora.down
    lora_magnitude_vector          of DoRA in peft; dora_scale in kohya
    alpha                          kohya; peft says it in the file's header or in a file beside it
"""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from score_sde import records
from score_sde.formats import safetensors, torch_file
from score_sde.interop.lora.factors import Factors

_KEY = re.compile(
    r"(?P<layer>.+?)(?:"
    r"\.(?P<peft>lora_A|lora_B|lora_magnitude_vector)(?:\.(?!weight$)\w+)?(?:\.weight)?"
    r"|\.(?P<kohya>lora_down|lora_up|lora_mid)\.weight"
    r"|(?:\.lora_linear_layer|\.lora|_lora)\.(?P<old>down|up)\.weight"
    r"|(?:_lora)?\.(?P<number>alpha|dora_scale))"
)
_PARTS = {
    "lora_A": "down",
    "lora_down": "down",
    "lora_B": "up",
    "lora_up": "up",
    "lora_mid": "middle",
    "lora_magnitude_vector": "magnitude",
    "dora_scale": "magnitude",
}
HEADER = "lora_adapter_metadata"  # of a safetensors file, as diffusers writes it
BESIDE = "adapter_config.json"  # as peft writes it


class Layer(NamedTuple):
    """What a file has of one layer.

    Attributes:
        key: the name of its first array in the file.
        factors: see Factors.
    """

    key: str
    factors: Factors


def read(path: Path) -> dict[str, Layer]:
    """The layers of an adapter, by their names in the file.

    Args:
        path: a .safetensors file, or one that `torch.save` wrote; nothing in it is executed.

    Raises:
        ValueError: it cannot be read, or is no adapter of a known kind; the message says the first
            array that is not understood.
    """
    arrays, about = _arrays(path)
    found: dict[str, dict[str, np.ndarray]] = {}
    keys: dict[str, str] = {}
    for key, array in arrays.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(
                f"{path} holds {_short(key)}, which is no array of LoRA, LoCon or DoRA"
            )
        part = next(match[kind] for kind in ("peft", "kohya", "old", "number") if match[kind])
        array = np.asarray(array)
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16" and part != "alpha":
            raise ValueError(f"{path}: {_short(key)} is an array of {array.dtype}")
        if not np.isfinite(array.astype(np.float32)).all():
            raise ValueError(f"{path}: {_short(key)} holds a number that is not finite")
        keys.setdefault(match["layer"], key)
        found.setdefault(match["layer"], {})[_PARTS.get(part, part)] = array
    if not found:
        raise ValueError(f"{path} holds no arrays")
    said = _said(path, about)
    return {layer: Layer(keys[layer], _factors(path, layer, found[layer], said)) for layer in found}


def _arrays(path: Path) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    try:
        if safetensors.is_one(path):
            return safetensors.load(path)
        found = torch_file.load(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is refused: {error}") from error
    if not isinstance(found, Mapping) or not all(
        isinstance(key, str) and isinstance(array, np.ndarray) for key, array in found.items()
    ):
        raise ValueError(f"{path} holds other things than arrays by name")
    return found, {}


def _factors(
    path: Path, layer: str, parts: Mapping[str, np.ndarray], said: Mapping[str, Any]
) -> Factors:
    """Of one layer, of arrays that fit each other."""
    for part in ("down", "up"):
        if part not in parts:
            raise ValueError(f"{path} has no {part} of {_short(layer)}")
    down, up = parts["down"], parts["up"]
    middle, magnitude = parts.get("middle"), parts.get("magnitude")
    if down.ndim < 2 or up.ndim < 2:
        raise ValueError(f"{path}: the factors of {_short(layer)} are no matrices")
    rank = down.shape[0]
    square = middle is None or middle.shape[:2] == (rank, rank)
    ones = set(up.shape[2:]) | (set() if middle is None else set(down.shape[2:]))
    if not rank or up.shape[1] != rank or not square or not ones <= {1}:
        shapes = [list(a.shape) for a in (down, up, middle) if a is not None]
        shown = " and ".join(map(str, shapes))
        raise ValueError(f"{path}: the factors of {_short(layer)} do not fit each other: {shown}")
    if magnitude is not None and magnitude.size != len(up):
        raise ValueError(f"{path}: the magnitude of {_short(layer)} is {list(magnitude.shape)}")
    alpha = parts.get("alpha")
    if alpha is not None and alpha.size != 1:
        raise ValueError(f"{path}: alpha of {_short(layer)} is {list(alpha.shape)}")
    scale = _scale(layer, rank, said) if alpha is None else float(alpha.reshape(())) / rank
    return Factors(down, up, scale, middle, magnitude)


def _said(path: Path, about: Mapping[str, str]) -> dict[str, Any]:
    """What peft says of an adapter: in the file's header, or in a file beside it."""
    beside = path.parent / BESIDE
    try:
        if HEADER in about:
            return records.parse(about[HEADER])
        return (records.read(beside) or {}) if path.stem == "adapter_model" else {}
    except ValueError as error:
        raise ValueError(f"what {path} or {beside.name} says is no JSON: {error}") from error


def _scale(layer: str, rank: int, said: Mapping[str, Any]) -> float:
    """alpha / rank as peft says it, 1 where it says nothing; over its root with use_rslora."""
    prefix = layer.partition(".")[0] + "."
    own = {k.removeprefix(prefix): v for k, v in said.items() if k.startswith(prefix)} or said
    alpha = own.get("lora_alpha", rank)
    patterns = own.get("alpha_pattern") or {}
    for name, value in patterns.items() if isinstance(patterns, Mapping) else ():
        if f".{layer}".endswith("." + name.removeprefix("^")):
            alpha = value
    if type(alpha) not in (int, float) or not math.isfinite(alpha):
        raise ValueError(f"the adapter says an alpha of {json.dumps(alpha)[:40]}")
    return alpha / (math.sqrt(rank) if own.get("use_rslora") is True else rank)


def _short(name: str) -> str:
    return ascii(name[:120])[1:-1]
