"""Image encoders of CLIP and OpenCLIP as components: CLIPVisionModel, with a projection or not."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import clip
from score_sde.interop.components.base import Component
from score_sde.interop.components.config import chosen, numbers
from score_sde.interop.layouts import LINEAR, affine, one, patches
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.clip_image import CLIPImage

PREFIX = "vision_model."
_PROJECTION = "visual_projection.weight"
_NUMBERS = {
    "side": ("image_size", 224),
    "patch": ("patch_size", 32),
    "image_channels": ("num_channels", 3),
    "features": ("hidden_size", 768),
    "depth": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "hidden": ("intermediate_size", 3072),
    "eps": ("layer_norm_eps", 1e-5),
}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of CLIPImage without a projection; see Component.options."""
    found = numbers(config, _NUMBERS)
    if found["features"] % found["heads"]:
        raise ValueError(
            f"hidden_size={found['features']} is no multiple of "
            f"num_attention_heads={found['heads']}"
        )
    if found["image_channels"] != 3:
        raise ValueError(f"num_channels={found['image_channels']}: an image here has 3")
    return {**found, "activation": chosen(config, "hidden_act", "quick_gelu", clip.ACTIVATIONS)}


def options_with_projection(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of CLIPImage with one; see Component.options."""
    return options(config) | numbers(config, {"projection": ("projection_dim", 512)})


def slots(model: CLIPImage) -> Slots:
    """See Component.slots."""
    yield one(f"{PREFIX}embeddings.class_embedding", model.first)
    yield one(
        f"{PREFIX}embeddings.patch_embedding.weight", model.dense_in.kernel, patches(model.patch)
    )
    yield one(f"{PREFIX}embeddings.position_embedding.weight", model.positions)
    yield from affine(f"{PREFIX}pre_layrnorm", model.norm_in)  # as all files have it
    yield from clip.block_slots(PREFIX, model.blocks)
    yield from affine(f"{PREFIX}post_layernorm", model.norm_out)
    if model.projection is not None:
        yield one(_PROJECTION, model.projection.kernel, LINEAR)


def prepare(arrays: Arrays, config: Mapping[str, Any], *, projection: bool) -> Arrays:
    """See Component.prepare: the image encoder's alone, of a file with both, without positions."""
    names = (PREFIX, _PROJECTION) if projection else (PREFIX,)
    return {
        name: array
        for name, array in arrays.items()
        if name.startswith(names) and not name.endswith(".position_ids")
    }


CLIP_IMAGE = Component(CLIPImage, options, slots, functools.partial(prepare, projection=False))
CLIP_IMAGE_WITH_PROJECTION = Component(
    CLIPImage, options_with_projection, slots, functools.partial(prepare, projection=True)
)
