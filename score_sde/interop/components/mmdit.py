"""The transformers of Stable Diffusion 3 and 3.5, and the arrays of our MMDiT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from score_sde.interop.components import transformers
from score_sde.interop.components.base import Component
from score_sde.interop.components.original_transformers import today
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import LINEAR, SAME, affine, affine_stack, patches, swapped
from score_sde.interop.slots import Slot, Slots
from score_sde.models.joint import JointBlock, Stream
from score_sde.models.mmdit import MMDiT

TEXT = ("add_q_proj", "add_k_proj", "add_v_proj")
TEXT_NORMS = ("norm_added_q", "norm_added_k")


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """See Component.options."""
    channels = count(config, "in_channels", 16)
    heads, side = count(config, "num_attention_heads", 18), count(config, "sample_size", 128)
    width = heads * count(config, "attention_head_dim", 64)
    check(
        config,
        {
            "qk_norm": (None, "rms_norm"),
            "out_channels": (None, channels),
            "caption_projection_dim": (width,),
        },
    )
    return {
        "shape": (side, side, channels),
        "patch": count(config, "patch_size", 2),
        "depth": count(config, "num_layers", 18),
        "heads": heads,
        "channels": width,
        "qk_norm": config.get("qk_norm") is not None,
        "dual": tuple(config.get("dual_attention_layers") or ()),
        "positions": count(config, "pos_embed_max_size", 96),
        "text_features": count(config, "joint_attention_dim", 4096),
        "pooled_features": count(config, "pooled_projection_dim", 2048),
    }


def slots(model: MMDiT) -> Slots:
    """See Component.slots."""
    yield _positions("pos_embed.pos_embed", model.positions)
    yield from affine("pos_embed.proj", model.dense_in, patches(model.patch))
    yield from transformers.two_layers("time_text_embed.timestep_embedder", model.noise_embedding)
    yield from transformers.two_layers("time_text_embed.text_embedder", model.pooled_embedding)
    yield from affine("context_embedder", model.text_in)
    first = 0
    for stack in model.stacks:
        blocks = [f"transformer_blocks.{i}" for i in range(first, first + stack.depth)]
        yield from joint_blocks(blocks, stack.block)
        first += stack.depth
    yield from transformers.last_modulation("norm_out.linear", model.modulation)
    yield from affine("proj_out", model.dense_out)


def joint_blocks(blocks: list[str], block: JointBlock) -> Slots:
    """Every array of a stack of joint blocks, by the prefix of each."""
    image, text = block.image, block.text
    yield from affine_stack(within(blocks, "norm1.linear"), image.modulation)
    yield from _text_modulation(within(blocks, "norm1_context.linear"), text)
    attention = within(blocks, "attn")
    yield from transformers.attention(attention, image.attention)
    yield from transformers.attention(
        attention, text.attention, qkv=TEXT, norms=TEXT_NORMS, out="to_add_out"
    )
    if image.alone is not None:
        yield from transformers.attention(within(blocks, "attn2"), image.alone)
    yield from transformers.feed_forward(within(blocks, "ff"), image.feed_forward)
    if text.feed_forward is not None:
        yield from transformers.feed_forward(within(blocks, "ff_context"), text.feed_forward)


def _text_modulation(names: list[str], text: Stream) -> Slots:
    """Where only the first two are there, they are the other way round."""
    if text.parts == 2:
        yield from affine_stack(names, text.modulation, swapped(LINEAR), swapped(SAME))
    else:
        yield from affine_stack(names, text.modulation)


def _positions(name: str, table: nnx.Variable) -> Slot:
    """A table of all places, [1, n n, features], of which ours is that of one axis."""
    n, half = table.shape

    def ours(array: np.ndarray) -> tuple[np.ndarray, ...]:
        square = array.reshape(n, n, 2 * half)
        axis = square[0, :, :half]
        if not (
            np.array_equal(square[..., :half], np.broadcast_to(axis[None], (n, n, half)))
            and np.array_equal(square[..., half:], np.broadcast_to(axis[:, None], (n, n, half)))
        ):
            raise ValueError(f"{name} is no table of a column's numbers and the same of a row")
        return (axis,)

    def back(axis: np.ndarray) -> tuple[np.ndarray, ...]:
        of_column, of_row = (np.broadcast_to(a, (n, n, half)) for a in (axis[None], axis[:, None]))
        return (np.concatenate([of_column, of_row], axis=-1).reshape(1, n * n, 2 * half),)

    return Slot({name: (1, n * n, 2 * half)}, (table,), ours, back)


MMDIT = Component(MMDiT, options, slots, lambda arrays, config: today(arrays))
