"""A component's folder: its config.json, and its arrays in one file or in several with an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from score_sde import records
from score_sde.formats import safetensors
from score_sde.interop.released import Arrays

STEMS = ("diffusion_pytorch_model", "model")  # of networks; of text and image encoders
VARIANTS = ("", "fp32", "bf16", "fp16")  # in the order of preference
CONFIG = "config.json"


def config(folder: Path) -> dict[str, Any]:
    """The values of config.json.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    path = folder / CONFIG
    try:
        values = records.read(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    if values is None:
        raise ValueError(f"{folder} has no {CONFIG}: it is no component of a released model")
    return values


def arrays(folder: Path, variant: str | None = None) -> Arrays:
    """All arrays of a component, which are mapped from its files and not read yet.

    Args:
        folder: the component's.
        variant: of the files, such as "fp16", which is in their names; "" for none. None takes the
            first of VARIANTS that is there.

    Raises:
        ValueError: a file is missing, damaged or holds what the index does not say.
    """
    for wanted in VARIANTS if variant is None else (variant,):
        for stem in STEMS:
            name = f"{stem}.{wanted}" if wanted else stem
            for index in (f"{name}.safetensors.index.json", _variant_last(stem, wanted)):
                if (folder / index).exists():
                    return _sharded(folder / index)
            if (folder / f"{name}.safetensors").exists():
                return safetensors.load(folder / f"{name}.safetensors")[0]
    of = "" if variant is None else f" of variant {variant or 'none'}"
    raise ValueError(
        f"{folder} has no arrays{of}: {STEMS[0]}.safetensors or {STEMS[1]}.safetensors is missing"
    )


def _variant_last(stem: str, variant: str) -> str:
    """The other name of an index, "model.safetensors.index.fp16.json"."""
    return f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.index.json"


def _sharded(index: Path) -> Arrays:
    try:
        told = (records.read(index) or {}).get("weight_map")
    except ValueError as error:
        raise ValueError(f"{index} {error}") from error
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
        raise ValueError(f'{index} has no "weight_map" from arrays to files')
    found: Arrays = {}
    for name in sorted(set(told.values())):
        path = index.parent / name
        if Path(name).name != name:  # a path out of the folder
            raise ValueError(f"{index} names {name}, which is no file beside it")
        if not path.is_file():
            raise ValueError(f"{path} is missing, which {index.name} names")
        found |= safetensors.load(path)[0]
    if differing := told.keys() ^ found.keys():
        name = min(differing)
        raise ValueError(f"{index} and its files differ, first in {name}")
    return found
