"""Text encoders of CLIP and OpenCLIP as components: CLIPTextModel, with a projection or without."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import openclip
from score_sde.interop.components.base import Component
from score_sde.interop.components.config import chosen, numbers
from score_sde.interop.layouts import (
    LINEAR,
    affine,
    affine_joined,
    affine_stack,
    one,
)
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.stacked import Stacked
from score_sde.models.text import CLIPText

PREFIX = "text_model."
_PROJECTION = "text_projection.weight"
ACTIVATIONS = {
    "quick_gelu": "gelu_sigmoid",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_NUMBERS = {
    "vocabulary": ("vocab_size", 49408),
    "tokens": ("max_position_embeddings", 77),
    "features": ("hidden_size", 512),
    "depth": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 8),
    "hidden": ("intermediate_size", 2048),
    "eps": ("layer_norm_eps", 1e-5),
}
_OF_IMAGES = ("vision_model.", "visual_projection.", "logit_scale")
_OLD_END = 2  # what released files say; they take the place of the largest id


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of CLIPText without a projection; see Component.options."""
    found = numbers(config, _NUMBERS)
    if found["features"] % found["heads"]:
        raise ValueError(
            f"hidden_size={found['features']} is no multiple of "
            f"num_attention_heads={found['heads']}"
        )
    end = config.get("eos_token_id", 49407)
    if type(end) is not int:
        raise ValueError(f"eos_token_id={end!r} must be a whole number")
    activation = chosen(config, "hidden_act", "quick_gelu", ACTIVATIONS)
    return {**found, "activation": activation, "end": None if end == _OLD_END else end}


def options_with_projection(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of CLIPText with one; see Component.options."""
    return options(config) | numbers(config, {"projection": ("projection_dim", 512)})


def slots(model: CLIPText) -> Slots:
    """See Component.slots."""
    yield one(f"{PREFIX}embeddings.token_embedding.weight", model.embedding.table)
    yield one(f"{PREFIX}embeddings.position_embedding.weight", model.positions)
    yield from block_slots(PREFIX, model.blocks)
    yield from affine(f"{PREFIX}final_layer_norm", model.norm)
    if model.projection is not None:
        yield one(_PROJECTION, model.projection.kernel, LINEAR)


def block_slots(prefix: str, blocks: Stacked) -> Slots:
    """Every array of the blocks of an encoder."""
    layers = [f"{prefix}encoder.layers.{i}" for i in range(blocks.depth)]
    block = blocks.block
    yield from affine_joined(
        [[f"{layer}.self_attn.{kind}_proj" for kind in "qkv"] for layer in layers],
        block.attention.qkv,
    )
    for name, part in (
        ("self_attn.out_proj", block.attention.out),
        ("layer_norm1", block.norm_0),
        ("mlp.fc1", block.feed_forward.dense_0),
        ("mlp.fc2", block.feed_forward.dense_1),
        ("layer_norm2", block.norm_1),
    ):
        yield from affine_stack([f"{layer}.{name}" for layer in layers], part)


def prepare(arrays: Arrays, config: Mapping[str, Any], *, projection: bool) -> Arrays:
    """See Component.prepare: names with `text_model.` or without, and those of OpenCLIP.

    Positions in order, which old files hold, are left out, and so is the encoder of images of a
    file that has both.
    """
    if openclip.is_openclip(arrays):
        return openclip.renamed(arrays, options(config)["depth"], projection=projection)
    arrays = {
        n: array
        for n, array in arrays.items()
        if not n.endswith(".position_ids") and not n.startswith(_OF_IMAGES)
    }
    if any(name.startswith(PREFIX) for name in arrays):
        return arrays
    return {n if n == _PROJECTION else PREFIX + n: array for n, array in arrays.items()}


CLIP_TEXT = Component(CLIPText, options, slots, functools.partial(prepare, projection=False))
CLIP_TEXT_WITH_PROJECTION = Component(
    CLIPText, options_with_projection, slots, functools.partial(prepare, projection=True)
)
