"""IP-Adapter: what lets images prompt a released U-Net. Its file has no config: shapes say it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from score_sde.interop.components.base import Component
from score_sde.interop.layouts import affine
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.image_prompt import IPAdapter

_DENSE, _NORM = "image_proj.proj", "image_proj.norm"


def is_adapter(arrays: Arrays) -> bool:
    """Whether arrays are those of an adapter, by their names."""
    return any(name.startswith("ip_adapter.") for name in arrays)


def options(arrays: Arrays) -> dict[str, Any]:
    """Of IPAdapter, by the arrays of a file.

    Raises:
        ValueError: it is none that is told one embedding of an image.
    """
    shape, norm = (np.shape(arrays.get(f"{name}.weight", ())) for name in (_DENSE, _NORM))
    if len(shape) != 2 or len(norm) != 1:
        raise ValueError(
            f"the file has no {_DENSE}.weight of two axes: it is no IP-Adapter that is told one "
            "embedding of an image, and others, such as those called plus, are not known here"
        )
    keys = (re.fullmatch(r"ip_adapter\.(\d+)\.to_k_ip\.weight", name) for name in arrays)
    # They are numbered with the attention of a block to itself, which has none, before each.
    numbers = sorted(int(found[1]) for found in keys if found)
    if numbers != [2 * i + 1 for i in range(len(numbers))]:
        raise ValueError("the keys of the adapter are not numbered 1, 3, 5, ...")
    return {
        "features": shape[1],
        "tokens": shape[0] // norm[0],
        "text_features": norm[0],
        "attention": tuple(len(arrays[f"ip_adapter.{i}.to_k_ip.weight"]) for i in numbers),
    }


def slots(model: IPAdapter) -> Slots:
    """Every array of the adapter; see slots."""
    yield from affine(_DENSE, model.dense)
    yield from affine(_NORM, model.norm)
    for i, layer in enumerate(model.layers):
        yield from affine(f"ip_adapter.{2 * i + 1}.to_k_ip", layer.key)
        yield from affine(f"ip_adapter.{2 * i + 1}.to_v_ip", layer.value)


def component(arrays: Arrays) -> Component:
    """The component that a file holds, which needs no config."""
    return Component(IPAdapter, lambda _: options(arrays), slots)
