"""IP-Adapter: what lets images prompt a released U-Net. Its file has no config: shapes say it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from score_sde.interop.components import cross_unet
from score_sde.interop.components.base import Component
from score_sde.interop.layouts import LINEAR, affine, stack
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.spatial_transformer import SpatialTransformer

_DENSE, _NORM = "image_proj.proj", "image_proj.norm"


def options(arrays: Arrays, unet: Mapping[str, Any]) -> dict[str, Any]:
    """Of CrossUNet, by the arrays of an adapter and the config.json of its U-Net.

    Raises:
        ValueError: see Component.options; or the adapter is none, is for tokens of another size, or
            is one of those that look at more than one embedding of the image.
    """
    found = cross_unet.COMPONENT.options(unet)
    shape, norm = (np.shape(arrays.get(f"{name}.weight", ())) for name in (_DENSE, _NORM))
    if len(shape) != 2 or len(norm) != 1:
        raise ValueError(
            f"the file has no {_DENSE}.weight of two axes: it is no IP-Adapter that is told one "
            "embedding of an image"
        )
    if norm[0] != found["text_features"]:
        raise ValueError(
            f"the adapter makes tokens of {norm[0]} features, and this U-Net looks at those of "
            f"{found['text_features']}: it is for another base"
        )
    return found | {
        "image_prompt_features": shape[1],
        "image_prompt_tokens": shape[0] // norm[0],
    }


def slots(model: CrossUNet) -> Slots:
    """Every array of the adapter; cross_unet.slots has the others."""
    yield from affine(_DENSE, model.image_prompt.dense)
    yield from affine(_NORM, model.image_prompt.norm)
    # They are numbered with the attention of a block to itself, which has none, before each.
    numbers = itertools.count(1, 2)
    for transformer in _transformers(model):
        names = [f"ip_adapter.{next(numbers)}" for _ in range(transformer.blocks.depth)]
        image = transformer.blocks.block.image
        for kind, layer in (("k", image.key), ("v", image.value)):
            yield stack([f"{name}.to_{kind}_ip.weight" for name in names], layer.kernel, LINEAR)


def _transformers(model: CrossUNet) -> Iterator[SpatialTransformer]:
    """In the order of the numbers: of the encoder, the decoder, then between them."""
    for level in (*model.encoder.down, *model.up, model.encoder.middle):
        yield from level.attentions


def component(unet: Mapping[str, Any], adapter: Arrays) -> Component:
    """The U-Net with such a config.json, with an adapter's arrays: its own are those of both."""

    def both(model: CrossUNet) -> Slots:
        yield from cross_unet.COMPONENT.slots(model)
        yield from slots(model)

    return Component(CrossUNet, lambda _: options(adapter, unet), both, cross_unet.prepare)
