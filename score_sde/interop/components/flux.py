"""Flux's transformers, and the arrays of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import transformers
from score_sde.interop.components.base import Component
from score_sde.interop.components.mmdit import joint_blocks
from score_sde.interop.components.original_transformers import today
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import LINEAR, SAME, affine, affine_stack, channels_slowest
from score_sde.interop.slots import Slots
from score_sde.models.flux import Flux

PATCH = 2  # of latents: a token is cut before the released network sees it
PIXELS = PATCH**2


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """See Component.options."""
    channels_in = count(config, "in_channels", 64)
    channels = config.get("out_channels") or channels_in
    axes = tuple(config.get("axes_dims_rope") or (16, 56, 56))
    check(config, {"patch_size": (1,), "attention_head_dim": (sum(axes),)})
    if channels % PIXELS or channels_in % PIXELS:
        raise ValueError(f"config.json: {channels_in} in_channels are no patches of {PATCH} pixels")
    return {
        "shape": (128, 128, channels // PIXELS),
        "channels_in": channels_in // PIXELS,
        "patch": PATCH,
        "depth": count(config, "num_layers", 19),
        "single_depth": count(config, "num_single_layers", 38),
        "heads": count(config, "num_attention_heads", 24),
        "axes": axes,
        "guidance": config.get("guidance_embeds", False),
        "text_features": count(config, "joint_attention_dim", 4096),
        "pooled_features": count(config, "pooled_projection_dim", 768),
    }


def slots(model: Flux) -> Slots:
    """See Component.slots."""
    yield from affine("x_embedder", model.dense_in, channels_slowest(LINEAR, PIXELS, 0))
    told = "time_text_embed"
    yield from transformers.two_layers(f"{told}.timestep_embedder", model.noise_embedding)
    if model.guidance_embedding is not None:
        yield from transformers.two_layers(f"{told}.guidance_embedder", model.guidance_embedding)
    yield from transformers.two_layers(f"{told}.text_embedder", model.pooled_embedding)
    yield from affine("context_embedder", model.text_in)
    blocks = [f"transformer_blocks.{i}" for i in range(model.joint.depth)]
    yield from joint_blocks(blocks, model.joint.block)
    blocks = [f"single_transformer_blocks.{i}" for i in range(model.single.depth)]
    single = model.single.block
    yield from affine_stack(within(blocks, "norm.linear"), single.modulation)
    yield from transformers.attention(within(blocks, "attn"), single.attention)
    yield from affine_stack(within(blocks, "proj_mlp"), single.dense_in)
    yield from affine_stack(within(blocks, "proj_out"), single.dense_out)
    yield from transformers.last_modulation("norm_out.linear", model.modulation)
    last = (channels_slowest(kept, PIXELS, -1) for kept in (LINEAR, SAME))
    yield from affine("proj_out", model.dense_out, *last)


FLUX = Component(Flux, options, slots, lambda arrays, config: today(arrays))
