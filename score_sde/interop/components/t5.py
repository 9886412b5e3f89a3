"""Encoders of T5, of versions 1.0 and 1.1, as components: T5EncoderModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components.base import Component
from score_sde.interop.components.config import chosen, numbers
from score_sde.interop.layouts import affine, affine_joined, affine_stack, one
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.text import T5Encoder

TABLE = "shared.weight"
_OLD_TABLE = "encoder.embed_tokens.weight"  # the same, which old files hold too
_NUMBERS = {
    "vocabulary": ("vocab_size", 32128),
    "features": ("d_model", 512),
    "depth": ("num_layers", 6),
    "heads": ("num_heads", 8),
    "head_features": ("d_kv", 64),
    "hidden": ("d_ff", 2048),
    "buckets": ("relative_attention_num_buckets", 32),
    "farthest": ("relative_attention_max_distance", 128),
    "eps": ("layer_norm_epsilon", 1e-6),
}
_LAYERS = {"gated-gelu": "geglu_tanh", "relu": "relu"}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of T5Encoder; see Component.options."""
    kind = chosen(config, "feed_forward_proj", "relu", _LAYERS)
    found = numbers(config, _NUMBERS)
    if found["buckets"] % 4 or found["farthest"] <= found["buckets"] // 4:
        raise ValueError(
            f"relative_attention_num_buckets={found['buckets']} is no multiple of 4, or "
            f"relative_attention_max_distance={found['farthest']} is too small for it"
        )
    return found | {"feed_forward": kind}


def slots(model: T5Encoder) -> Slots:
    """See Component.slots."""
    block, blocks = model.blocks.block, [f"encoder.block.{i}" for i in range(model.blocks.depth)]
    yield one(TABLE, model.embedding.table)
    attention, layers = "layer.0.SelfAttention", "layer.1.DenseReluDense"
    yield one(f"{blocks[0]}.{attention}.relative_attention_bias.weight", model.distances)
    first = ["wi"] if block.feed_forward.kind == "relu" else ["wi_0", "wi_1"]
    for names, layer in (
        ([f"{attention}.{kind}" for kind in "qkv"], block.attention.qkv),
        ([f"{layers}.{name}" for name in first], block.feed_forward.dense_0),
    ):
        groups = [[f"{prefix}.{name}" for name in names] for prefix in blocks]
        yield from affine_joined(groups, layer)
    for name, layer in (
        (f"{attention}.o", block.attention.out),
        ("layer.0.layer_norm", block.norm_0),
        (f"{layers}.wo", block.feed_forward.dense_1),
        ("layer.1.layer_norm", block.norm_1),
    ):
        yield from affine_stack([f"{prefix}.{name}" for prefix in blocks], layer)
    yield from affine("encoder.final_layer_norm", model.norm)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: the table under either of its names, or both."""
    arrays = dict(arrays)
    table = arrays.pop(_OLD_TABLE, None)
    return arrays if table is None else {TABLE: table} | arrays


T5_ENCODER = Component(T5Encoder, options, slots, prepare)
