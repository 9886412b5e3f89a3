"""DiT as text-to-image libraries keep it, with embeddings in each block, and the arrays of ours.

Older files call PixArt's transformer by the same class: TRANSFORMER_2D is either.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from score_sde import fields
from score_sde.interop.components import pixart, transformers
from score_sde.interop.components.base import Component
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.dit import label_table
from score_sde.interop.layouts import affine, affine_stack, computed, patches, stack
from score_sde.interop.slots import Slots
from score_sde.models import tokens
from score_sde.models.conditions.label import Label
from score_sde.models.dit import DiT


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """See Component.options."""
    transformers.check_blocks(config, "ada_norm_zero")
    channels, patch = count(config, "in_channels", 4), count(config, "patch_size", 2)
    heads, side = count(config, "num_attention_heads", 16), count(config, "sample_size", 32)
    out = config.get("out_channels")
    check(config, {"out_channels": (None, channels, 2 * channels)})
    label = fields.label(classes(config))
    return {
        "shape": (side, side, channels),
        "patch": patch,
        "channels": heads * count(config, "attention_head_dim", 72),
        "depth": count(config, "num_layers", 28),
        "heads": heads,
        "layers_eps": config.get("norm_eps", 1e-5),
        "own_embeddings": True,
        "closed": True,
        "learn_variance": out == 2 * channels,
        "conditions": {"label": functools.partial(Label().embedding, label)},
    }


def classes(config: Mapping[str, Any]) -> int:
    """How many classes there are, without that of none."""
    return count(config, "num_embeds_ada_norm", 1000)


def slots(model: DiT) -> Slots:
    """See Component.slots."""
    grid = (model.rows, model.columns, model.positions.shape[1])
    yield computed(model.positions, lambda: tokens.sine_cosine(*grid, jnp.float32))
    yield from affine("pos_embed.proj", model.dense_in, patches(model.patch))
    block = model.blocks.block
    blocks = [f"transformer_blocks.{i}" for i in range(model.blocks.depth)]
    told = within(blocks, "norm1.emb")
    for name, layer in (
        ("timestep_embedder.linear_1", block.told.noise_embedding.dense_0),
        ("timestep_embedder.linear_2", block.told.noise_embedding.dense_1),
    ):
        yield from affine_stack(within(told, name), layer)
    table = label_table(block.told.conditions).table
    yield stack(within(told, "class_embedder.embedding_table.weight"), table)
    yield from affine_stack(within(blocks, "norm1.linear"), block.modulation)
    yield from transformers.attention(within(blocks, "attn1"), block.attention)
    yield from transformers.feed_forward(within(blocks, "ff"), block.feed_forward)
    yield from affine("proj_out_1", model.modulation)
    yield from affine("proj_out_2", model.dense_out)


DIT = Component(DiT, options, slots)
_BY_NORM = {"ada_norm_zero": DIT, "ada_norm_single": pixart.PIXART}


# What that class takes where a file does not say, and none of the others does.
_DEFAULTS = {
    "activation_fn": "geglu",
    "attention_bias": False,
    "attention_head_dim": 88,
    "cross_attention_dim": None,
    "in_channels": None,
    "norm_elementwise_affine": True,
    "norm_eps": 1e-5,
    "norm_type": "layer_norm",
    "num_embeds_ada_norm": None,
    "num_layers": 1,
    "out_channels": None,
    "patch_size": None,
    "sample_size": None,
}


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    config = {**_DEFAULTS, **config}
    check(config, {"norm_type": tuple(_BY_NORM)})
    component = _BY_NORM[config["norm_type"]]
    return {"network": component.make, **component.options(config)}


def _make(network: type[nnx.Module], **options: Any) -> nnx.Module:
    return network(**options)


def _slots(model: nnx.Module) -> Slots:
    return next(one.slots(model) for one in _BY_NORM.values() if one.make is type(model))


TRANSFORMER_2D = Component(_make, _options, _slots)
