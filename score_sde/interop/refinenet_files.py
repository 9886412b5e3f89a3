"""Checkpoints of NCSN and NCSNv2, and the authors' config beside them, as Released."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from score_sde.formats import namespace_yaml
from score_sde.interop.released import Arrays, Released, state

# Of NCSNv2, the class of each data set in the authors' config, and the names of its stages.
CLASSES = {"CIFAR10": "NCSNv2", "CELEBA": "NCSNv2", "LSUN": "NCSNv2Deeper", "FFHQ": "NCSNv2Deepest"}
STAGES = {
    "NCSN": ("1", "2", "3", "4"),
    "NCSNv2": ("1", "2", "3", "4"),
    "NCSNv2Deeper": ("1", "2", "3", "4", "5"),
    "NCSNv2Deepest": ("1", "2", "3", "31", "4", "5"),
}
SIGMAS = "sigmas"


def released(path: Path, parts: Sequence[Any]) -> Released:
    """A checkpoint: [state, optimizer], or [state, optimizer, epoch, step] with or without an ema.

    The noise levels of NCSNv2 are the buffer SIGMAS of `raw`, descending, and not in `ema`.

    Raises:
        ValueError: it is not such a checkpoint, or the config beside it is another's.
    """
    raw = state(parts[0])
    ema = state(parts[4], "its ema") if len(parts) > 4 else None
    name = _class(raw)
    config = _config(path)
    if config is not None:
        _check_class(name, config)
    decay = None if config is None or ema is None else config["model"].get("ema_rate")
    if decay is not None and not (isinstance(decay, float) and 0 <= decay < 1):
        raise ValueError("the config beside it has an ema_rate that is no number in [0, 1)")
    return Released(
        path,
        "ncsn" if name == "NCSN" else "ncsnv2",
        ema,
        raw,
        _step(parts),
        decay,
        facts={"class": name, "config": config},
    )


def _class(arrays: Arrays) -> str:
    """The network's class, by the stages that it has."""
    stages = {name.split(".")[0].removeprefix("res") for name in arrays if name.startswith("res")}
    first = "NCSN" if "normalizer.embed.weight" in arrays else "NCSNv2"
    for name, known in STAGES.items():
        if stages == set(known) and name.startswith(first) and (first == name or first != "NCSN"):
            return name
    raise ValueError(f"no {first} has its {len(stages)} stages")


def _check_class(name: str, config: dict[str, Any]) -> None:
    dataset = config["data"].get("dataset")
    if name != "NCSN" and isinstance(dataset, str) and CLASSES.get(dataset, name) != name:
        raise ValueError(f"it is a {name}, but the config beside it is of {dataset[:20]}")


def _step(parts: Sequence[Any]) -> int:
    """The number of steps: of the list, or of Adam."""
    if len(parts) > 3:
        step = parts[3]
    else:
        moments = parts[1].get("state") if len(parts) > 1 else None
        steps = [item.get("step") for item in moments.values()] if _is_nested(moments) else []
        step = max((number for number in steps if type(number) is int), default=0)
    if not 0 <= step < 2**31:
        raise ValueError("its step is not a number from 0 to 2**31 - 1")
    return step


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())


def _config(path: Path) -> dict[str, Any] | None:
    """What the authors' code wrote beside its checkpoints; None if it is not there.

    FILE_config.yml or FILE.yml for FILE.pth, or config.yml in its folder.
    """
    for name in (f"{path.stem}_config", path.stem, "config"):
        for suffix in (".yml", ".yaml"):
            beside = path.with_name(name + suffix)
            if beside.is_file():
                return _read(beside)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        config = namespace_yaml.load(path)
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(f"{path}: {error}") from error
    match config:
        case {"data": dict(), "model": dict()}:
            return config
    raise ValueError(f"{path} beside it is not a config of NCSN: it has no sections data and model")
