"""Pickles of EDM and EDM2, as Released.

`arguments` are those of the outer class (EDMPrecond), then its attributes, which have the last
word: img_resolution, img_channels, label_dim, use_fp16, sigma_min, sigma_max, sigma_data, beta_d,
beta_min, M, C_1, C_2, epsilon_t where the class has them. Facts:

- "class": the outer class, a key of PRECONDITIONERS;
- "network": {"class": "SongUNet", ...} and the arguments of its constructor;
- "loss_fn", "augment_pipe", "dataset_kwargs", "encoder": {"class": name, ...} and plain attributes,
  or None, for those that the file has; the encoder's "scale" and "bias" are arrays;
- "kimg", "ema_std": thousands of images, and the width of EDM2's power-function average (relative
  to the training time), if the file's name says them, as the authors' scripts write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde.formats import persistent
from score_sde.formats.persistent import Record
from score_sde.formats.restricted import line
from score_sde.interop.released import Released, state

# The family of each outer class.
PRECONDITIONERS = {
    "EDMPrecond": "edm",
    "VPPrecond": "edm",
    "VEPrecond": "edm",
    "iDDPMPrecond": "edm",
    "Precond": "edm2",
}
# Of each family, what its network is called, the networks, and what they are made of.
_PART = {"edm": "model", "edm2": "unet"}
_NETWORKS = {"edm": ("SongUNet", "DhariwalUNet"), "edm2": ("UNet",)}
_LAYERS = {
    "edm": (
        "Conv2d",
        "FourierEmbedding",
        "GroupNorm",
        "Linear",
        "ModuleDict",
        "PositionalEmbedding",
        "UNetBlock",
    ),
    "edm2": ("Block", "MPConv", "MPFourier", "ModuleDict"),
}
_OTHERS = ("loss_fn", "augment_pipe", "dataset_kwargs", "encoder")


def released(path: Path, snapshot: Mapping[str, Any]) -> Released:
    """A snapshot: a dictionary of "ema", the network, and perhaps _OTHERS.

    Raises:
        ValueError: a module is of an unknown class, or its arrays are none.
    """
    outer = snapshot["ema"]
    if outer.class_name not in PRECONDITIONERS:
        raise ValueError(
            f"its network is a {line(outer.class_name)}; known are {', '.join(PRECONDITIONERS)}"
        )
    family = PRECONDITIONERS[outer.class_name]
    network = _network(outer, family)
    described = {name: _described(snapshot[name]) for name in _OTHERS if name in snapshot}
    facts = {
        "class": outer.class_name,
        "network": {"class": network.class_name, **_arguments(network)},
        **described,
        **_named(path, family),
    }
    arguments = _arguments(outer) | _attributes(outer)
    return Released(
        path, family, state(persistent.state_dict(outer)), None, 0, None, arguments, facts
    )


def _network(outer: Record, family: str) -> Record:
    """The network in its outer class, once the class of every module is known."""
    found = dict(persistent.modules(outer))
    network = found.get(_PART[family])
    if network is None or network.class_name not in _NETWORKS[family]:
        raise ValueError(
            f"its {_PART[family]} is "
            + ("missing" if network is None else f"a {line(network.class_name)}")
            + f"; known are {', '.join(_NETWORKS[family])}"
        )
    for name, module in found.items():
        inner = name not in ("", _PART[family])
        if inner and module.class_name not in _LAYERS[family]:
            raise ValueError(f"its {line(name)} is a {line(module.class_name)}, which is not known")
    return network


def _arguments(record: Record) -> dict[str, Any]:
    """The arguments of a constructor."""
    if persistent.plain(record.state.get("_init_args", ())) != ():
        raise ValueError(f"the arguments of its {line(record.class_name)} have no names")
    arguments = persistent.plain(record.state.get("_init_kwargs", {}))
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of its {line(record.class_name)} are none")
    return arguments


def _attributes(record: Record) -> dict[str, Any]:
    """The attributes that are plain values, but for PyTorch's own."""
    found = {}
    for name, value in record.state.items():
        if isinstance(name, str) and not name.startswith("_") and name != "training":
            try:
                found[name] = persistent.plain(value)
            except ValueError:  # a module, whose arrays are in the state
                continue
    return found


def _described(value: Any) -> dict[str, Any] | None:
    """An object beside the network, which is not used as more than these facts."""
    if isinstance(value, Record):
        return {"class": line(value.class_name), **_attributes(value)}
    return persistent.plain(value)


def _named(path: Path, family: str) -> dict[str, Any]:
    """What a file's name says: network-snapshot-0000393-0.075.pkl or edm2-img64-s-1073741-0.075."""
    if family == "edm2" and (match := re.search(r"-(\d{6,9})-(0\.\d{1,6})$", path.stem)):
        return {"kimg": int(match[1]), "ema_std": float(match[2])}
    if match := re.fullmatch(r"network-snapshot-(\d{6,9})", path.stem):
        return {"kimg": int(match[1])}
    return {}
