"""Image encoders of DINOv2 as components: Dinov2Model, and Dinov2WithRegistersModel."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import clip
from score_sde.interop.components.base import Component
from score_sde.interop.components.config import chosen, numbers
from score_sde.interop.layouts import LED, affine, affine_joined, affine_stack, one, patches, stack
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.dinov2 import DINOv2

_UNUSED = "embeddings.mask_token"  # of its training
_NUMBERS = {
    "side": ("image_size", 224),
    "image_channels": ("num_channels", 3),
    "features": ("hidden_size", 768),
    "depth": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "eps": ("layer_norm_eps", 1e-6),
}


def options(config: Mapping[str, Any], *, registers: bool) -> dict[str, Any]:
    """Those of DINOv2; see Component.options."""
    found = numbers(config, _NUMBERS | {"patch": ("patch_size", 16 if registers else 14)})
    if found["features"] % found["heads"]:
        raise ValueError(
            f"hidden_size={found['features']} is no multiple of "
            f"num_attention_heads={found['heads']}"
        )
    if found["image_channels"] != 3:
        raise ValueError(f"num_channels={found['image_channels']}: an image here has 3")
    gated, bias = _truth(config, "use_swiglu_ffn", False), _truth(config, "qkv_bias", True)
    ratio = numbers(config, {"ratio": ("mlp_ratio", 4.0)})["ratio"]
    hidden = int(found["features"] * ratio)
    if gated:
        # Two thirds, up to a multiple of 8; FeedForward takes two thirds of what it is told.
        hidden = -(-int(hidden * 2 / 3) // 8) * 8 * 3 // 2
    activation = chosen(config, "hidden_act", "gelu", clip.ACTIVATIONS)
    count = numbers(config, {"n": ("num_register_tokens", 4)})["n"] if registers else 0
    return {
        **found,
        "hidden": hidden,
        "activation": "swiglu" if gated else activation,
        "bias": bias,
        "registers": count,
        "antialias": registers,
    }


def _truth(config: Mapping[str, Any], name: str, default: bool) -> bool:
    value = config.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be true or false")
    return value


def slots(model: DINOv2) -> Slots:
    """See Component.slots."""
    yield one("embeddings.cls_token", model.first, LED)
    yield one("embeddings.position_embeddings", model.positions, LED)
    if model.registers is not None:
        yield one("embeddings.register_tokens", model.registers, LED)
    projection = "embeddings.patch_embeddings.projection"
    yield from affine(projection, model.dense_in, patches(model.patch))
    layers = [f"encoder.layer.{i}" for i in range(model.blocks.depth)]
    block = model.blocks.block
    yield from affine_joined(
        [
            [f"{layer}.attention.attention.{kind}" for kind in ("query", "key", "value")]
            for layer in layers
        ],
        block.attention.qkv,
    )
    gated = block.feed_forward.kind == "swiglu"
    for name, part in (
        ("norm1", block.norm_0),
        ("attention.output.dense", block.attention.out),
        ("norm2", block.norm_1),
        ("mlp.weights_in" if gated else "mlp.fc1", block.feed_forward.dense_0),
        ("mlp.weights_out" if gated else "mlp.fc2", block.feed_forward.dense_1),
    ):
        yield from affine_stack([f"{layer}.{name}" for layer in layers], part)
    for i, scale in enumerate((block.scale_0, block.scale_1)):
        yield stack([f"{layer}.layer_scale{i + 1}.lambda1" for layer in layers], scale)
    yield from affine("layernorm", model.norm)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: without the token that stands for what is hidden in training."""
    return {name: array for name, array in arrays.items() if name != _UNUSED}


DINOV2 = Component(DINOv2, functools.partial(options, registers=False), slots, prepare)
DINOV2_WITH_REGISTERS = Component(
    DINOv2, functools.partial(options, registers=True), slots, prepare
)
