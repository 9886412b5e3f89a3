"""Factors that were trained here, as files of adapters: peft's layout, or kohya's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from score_sde.formats import safetensors
from score_sde.interop.lora import names
from score_sde.interop.lora.file import HEADER
from score_sde.interop.slots import Slot
from score_sde.models import lora
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.functional import abstract
from score_sde.runs.opened import Opened

PEFT, KOHYA = "peft", "kohya"
LAYOUTS = (PEFT, KOHYA)


class Pair(NamedTuple):
    """What is added to one weight, over alpha / rank, as PyTorch keeps it; see lora.factors.

    Attributes:
        down: [rank, in, *k].
        up: [out, rank], of a convolution with the kernel 1.
    """

    down: np.ndarray
    up: np.ndarray


def write(run: Opened, path: Path, layout: str = PEFT) -> bool:
    """Write the factors that a run has trained.

    Args:
        run: one that has trained them.
        path: the file, which must not exist.
        layout: one of LAYOUTS.

    Returns:
        Whether the names are released ones; else they are our own.

    Raises:
        ValueError: kohya's layout is asked for of a network that has no released names.
        OSError: the file exists, or cannot be written.
    """
    model = abstract(run.experiment.module)
    network = names.named(names.NETWORK, model)
    if layout == KOHYA and not network.released:
        raise ValueError("its layers have no released names, by which kohya's are made: use peft")
    factors, paths = lora.factors(run.params), names.slots.names(model)
    pairs: dict[str, Pair] = {}
    for slot in network.slots:
        if (kernel := paths[id(slot.variables[0])]) in factors:
            pairs |= split(slot, *map(np.asarray, factors[kernel]))
    if isinstance(model, CrossUNet) and _convolves(run):
        pairs = {name: _with_ones(name, pair) for name, pair in pairs.items()}
    part = "unet" if isinstance(model, CrossUNet) else "transformer"
    options = run.experiment.adapter
    alpha = options.rank if options.alpha is None else options.alpha
    if layout == KOHYA:
        arrays, about = _kohya(pairs, part, alpha), {}
    else:
        prefix = part if network.released else "base_model.model"
        arrays = _peft(pairs, prefix)
        about = {HEADER: json.dumps(_said(pairs, part if network.released else "", options, alpha))}
    safetensors.save(path, arrays, {"format": "pt", "step": str(run.step), **about})
    return network.released


def split(slot: Slot, down: np.ndarray, up: np.ndarray) -> dict[str, Pair]:
    """The factors of one of our kernels, as those of the official weights that it holds.

    A slot only puts numbers in other places, so where the number of each place is from says which
    rows of one factor and which columns of the other an official weight has.

    Args:
        slot: of the kernel.
        down: [*k, in, rank], or [depth, in, rank] of stacked layers.
        up: [rank, out], or [depth, rank, out].

    Raises:
        ValueError: an official weight is no product of rows and columns of these.
    """
    rank, n_out = up.shape[-2:]
    columns, rows = up.reshape(-1, rank, n_out), down.reshape(-1, rank)
    places = np.arange(len(rows) * n_out).reshape(*down.shape[:-1], n_out)
    found = {}
    for name, place in zip(slot.shapes, slot.back(places), strict=True):
        row, column = np.divmod(place.reshape(len(place), -1), n_out)
        layer = row[0, 0] // (len(rows) // len(columns))
        if (row != row[:1]).any() or (column != column[:, :1]).any():
            raise ValueError(f"{name} has no factors of its own")
        ones = (1,) * (place.ndim - 2)
        found[name] = Pair(
            rows[row[0]].T.reshape(rank, *place.shape[1:]),
            columns[layer][:, column[:, 0]].T.reshape(-1, rank, *ones),
        )
    return found


def _convolves(run: Opened) -> bool:
    """Whether the layers around transformers are 1x1 convolutions where the U-Net was released.

    Here they are linear in any case. Those of Stable Diffusion 1, with as many heads on levels of
    all widths, are; see components.original_unet.config.
    """
    model = run.config.model
    return len(set(np.ravel(model.heads).tolist())) == 1 and len(set(model.widths)) > 1


def _with_ones(name: str, pair: Pair) -> Pair:
    if not name.endswith((".proj_in.weight", ".proj_out.weight")):
        return pair
    return Pair(*(array[:, :, None, None] for array in pair))


def _peft(pairs: dict[str, Pair], prefix: str) -> dict[str, np.ndarray]:
    arrays = {}
    for name, pair in pairs.items():
        layer = f"{prefix}.{name.removesuffix(names.WEIGHT)}"
        arrays[f"{layer}.lora_A.weight"], arrays[f"{layer}.lora_B.weight"] = pair
    return arrays


def _said(pairs: dict[str, Pair], part: str, options: lora.LoRA, alpha: float) -> dict[str, object]:
    """What peft has to know of an adapter."""
    said = {
        "peft_type": "LORA",
        "r": options.rank,
        "lora_alpha": int(alpha) if alpha == math.floor(alpha) else alpha,
        "target_modules": sorted(name.removesuffix(names.WEIGHT) for name in pairs),
        "bias": "none",
    }
    return {f"{part}.{name}" if part else name: value for name, value in said.items()}


def _kohya(pairs: dict[str, Pair], part: str, alpha: float) -> dict[str, np.ndarray]:
    arrays = {}
    for name, pair in pairs.items():
        layer = f"lora_{part}_{name.removesuffix(names.WEIGHT).replace('.', '_')}"
        arrays[f"{layer}.lora_down.weight"], arrays[f"{layer}.lora_up.weight"] = pair
        arrays[f"{layer}.alpha"] = np.asarray(alpha, np.float32)
    return arrays
