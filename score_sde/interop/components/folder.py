"""A component's folder: its config.json, and its arrays in one file or in several with an index."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from score_sde import records
from score_sde.interop import containers
from score_sde.interop.released import Arrays

# Of networks, and of text and image encoders: .safetensors files, and the older pickles.
STEMS = (
    ("diffusion_pytorch_model", ".safetensors"),
    ("model", ".safetensors"),
    ("diffusion_pytorch_model", ".bin"),
    ("pytorch_model", ".bin"),
)
VARIANTS = ("", "fp32", "bf16", "fp16")  # in the order of preference
CONFIG = "config.json"
_INDEX = ".json"  # its suffix


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
    path = _first(folder, variant)
    if path.suffix != _INDEX:
        return containers.arrays(path)
    told, found = _told(path), {}
    for file in _shards(path, told):
        found |= containers.arrays(file)
    if differing := told.keys() ^ found.keys():
        raise ValueError(f"{path} and its files differ, first in {min(differing)}")
    return found


def files(folder: Path, variant: str | None = None) -> list[Path]:
    """The files that hold those; arguments, and what is raised, are as of `arrays`."""
    path = _first(folder, variant)
    return _shards(path, _told(path)) if path.suffix == _INDEX else [path]


def _first(folder: Path, variant: str | None) -> Path:
    """The one file, or the index of several."""
    for (stem, suffix), wanted in itertools.product(
        STEMS, VARIANTS if variant is None else (variant,)
    ):
        name = f"{stem}.{wanted}" if wanted else stem
        indices = (f"{name}{suffix}.index{_INDEX}", _variant_last(stem + suffix, wanted))
        for one in (*indices, f"{name}{suffix}"):
            if (folder / one).exists():
                return folder / one
    of = "" if variant is None else f" of variant {variant or 'none'}"
    names = " or ".join("".join(one) for one in STEMS[:2])
    raise ValueError(f"{folder} has no arrays{of}: {names} is missing")


def _variant_last(name: str, variant: str) -> str:
    """The other name of an index, "model.safetensors.index.fp16.json"."""
    return f"{name}.index.{variant}.json" if variant else f"{name}.index.json"


def _told(index: Path) -> dict[str, str]:
    """The name of the file of each array."""
    try:
        told = (records.read(index) or {}).get("weight_map")
    except ValueError as error:
        raise ValueError(f"{index} {error}") from error
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
        raise ValueError(f'{index} has no "weight_map" from arrays to files')
    return told


def _shards(index: Path, told: dict[str, str]) -> list[Path]:
    """The files that an index names."""
    for name in sorted(set(told.values())):
        if Path(name).name != name:  # a path out of the folder
            raise ValueError(f"{index} names {name}, which is no file beside it")
        if not (index.parent / name).is_file():
            raise ValueError(f"{index.parent / name} is missing, which {index.name} names")
    return [index.parent / name for name in sorted(set(told.values()))]
