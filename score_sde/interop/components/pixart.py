"""PixArt's transformers, and the arrays of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import transformers
from score_sde.interop.components.base import Component
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import affine, one, patches, stack
from score_sde.interop.slots import Slots
from score_sde.models.pixart import PixArt


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """See Component.options."""
    transformers.check_blocks(config, "ada_norm_single")
    channels, patch = count(config, "in_channels", 4), count(config, "patch_size", 2)
    heads, side = count(config, "num_attention_heads", 16), count(config, "sample_size", 128)
    width = heads * count(config, "attention_head_dim", 72)
    out, sized = config.get("out_channels", 8), config.get("use_additional_conditions")
    check(
        config,
        {
            "cross_attention_dim": (width,),
            "norm_eps": (1e-6,),
            "out_channels": (None, channels, 2 * channels),
        },
    )
    scale = config.get("interpolation_scale") or max(side // 64, 1)
    return {
        "shape": (side, side, channels),
        "patch": patch,
        "channels": width,
        "depth": count(config, "num_layers", 28),
        "heads": heads,
        "span": side // patch / scale,
        "sized": side == 128 if sized is None else sized,
        "text_features": count(config, "caption_channels"),
        "learn_variance": out == 2 * channels,
    }


def slots(model: PixArt) -> Slots:
    """See Component.slots."""
    yield from affine("pos_embed.proj", model.dense_in, patches(model.patch))
    for name, embedding in (
        ("timestep_embedder", model.noise_embedding),
        ("resolution_embedder", model.size_embedding),
        ("aspect_ratio_embedder", model.ratio_embedding),
    ):
        if embedding is not None:
            yield from transformers.two_layers(f"adaln_single.emb.{name}", embedding)
    yield from affine("adaln_single.linear", model.modulation)
    yield from transformers.two_layers("caption_projection", model.text_in)
    block = model.blocks.block
    blocks = [f"transformer_blocks.{i}" for i in range(model.blocks.depth)]
    yield from transformers.attention(within(blocks, "attn1"), block.attention)
    yield from transformers.cross_attention(within(blocks, "attn2"), block.cross_attention)
    yield from transformers.feed_forward(within(blocks, "ff"), block.feed_forward)
    yield stack(within(blocks, "scale_shift_table"), block.offset)
    yield one("scale_shift_table", model.offset)
    yield from affine("proj_out", model.dense_out)


PIXART = Component(PixArt, options, slots)
