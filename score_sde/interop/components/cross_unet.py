"""UNet2DConditionModel: the released U-Nets of Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from score_sde.interop.components import values
from score_sde.interop.components.base import Component
from score_sde.interop.components.residual import residuals
from score_sde.interop.layouts import affine, affine_stack, one
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.adm import Level
from score_sde.models.cross_embedding import CrossEmbedding
from score_sde.models.cross_encoder import CrossEncoder
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.motion import MotionBlock
from score_sde.models.spatial_transformer import SpatialTransformer, TransformerBlock

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UP = {CROSS: "CrossAttnUpBlock2D", PLAIN: "UpBlock2D"}

# Of the encoder and what it is told, which a ControlNet has too.
READ = ("block_out_channels", "layers_per_block", "down_block_types", "norm_num_groups")
READ += ("norm_eps", "dropout", "attention_head_dim", "num_attention_heads", "cross_attention_dim")
READ += ("transformer_layers_per_block", "only_cross_attention", "num_class_embeds")
READ += ("addition_embed_type", "addition_time_embed_dim", "in_channels")
READ += (
    "class_embed_type",
    "projection_class_embeddings_input_dim",
    "mid_block_only_cross_attention",
)
ONLY = {
    "act_fn": ("silu", "swish"),
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "resnet_time_scale_shift": "default",
    "resnet_out_scale_factor": 1,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "attention_type": "default",
}
# The softmax is in float32 in any case; see `prepare`; of another addition_embed_type; of training.
ANY_VALUE = ("upcast_attention", "use_linear_projection")
ANY_VALUE += ("addition_embed_type_num_heads", "sample_size")
_ONLY_UNET = {
    "center_input_sample": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "time_embedding_type": "positional",
}


def encoder_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of CrossUNet, what a config.json says of the encoder and of what it is told.

    Raises:
        ValueError: see Component.options.
    """
    widths = values.present(config, "block_out_channels", (320, 640, 1280, 1280))
    count = len(widths)
    kinds = values.present(config, "down_block_types", (CROSS, CROSS, CROSS, PLAIN))
    if len(kinds) != count or not set(kinds) <= {CROSS, PLAIN}:
        raise ValueError(
            f"config.json says down_block_types={list(kinds)}; the network here has {CROSS!r} or "
            f"{PLAIN!r}, one for each of block_out_channels"
        )
    # The name says features; what is there are numbers of heads.
    given = config.get("num_attention_heads") is not None
    name = "num_attention_heads" if given else "attention_head_dim"
    heads = values.levels(config, name, 8, count)
    depths = values.levels(config, "transformer_layers_per_block", 1, count)
    depth = tuple(d * (kind == CROSS) for d, kind in zip(depths, kinds, strict=True))
    return {
        "widths": widths,
        "num_res_blocks": _same(config, "layers_per_block", 2, count),
        "transformer_depth": depth,
        "middle_depth": depths[-1],
        "heads": heads,
        "cross_only": _cross_only(config, depth),
        "text_features": _same(config, "cross_attention_dim", 1280, count),
        "groups": values.present(config, "norm_num_groups", 32),
        "eps": values.present(config, "norm_eps", 1e-5),
        "dropout": float(values.present(config, "dropout", 0.0)),
        "labels": values.present(config, "num_class_embeds", 0),
        **_added(config),
    }


def _same(config: Mapping[str, Any], name: str, default: int, count: int) -> Any:
    """A value that is the same on all levels."""
    found = values.levels(config, name, default, count)
    if len(set(found)) > 1:
        raise ValueError(f"config.json says {name}={list(found)}; here it is one for all levels")
    return found[0]


def _cross_only(config: Mapping[str, Any], depth: Sequence[int]) -> tuple[int, ...]:
    """Of the levels that have transformers."""
    told = config.get("only_cross_attention") is True
    middle = values.present(config, "mid_block_only_cross_attention", told)
    if middle:
        raise ValueError(
            "config.json says that the middle has only cross-attention, which is not known here"
        )
    found = values.levels(config, "only_cross_attention", False, len(depth))
    return tuple(i for i, only in enumerate(found) if only and depth[i])


def _added(config: Mapping[str, Any]) -> dict[str, int]:
    """Of the pooled text and sizes, or of an image; both have the one value for their features."""
    found = {"added_features": 0, "image_features": 0}
    for name, ours, option in (
        ("addition_embed_type", "text_time", "added_features"),
        ("class_embed_type", "projection", "image_features"),
    ):
        if config.get(name) not in (None, ours):
            raise ValueError(
                f"config.json says {name}={config[name]!r}; the network here has {ours!r} or none"
            )
        if config.get(name) is not None:
            features = values.present(config, "projection_class_embeddings_input_dim", 0)
            if not features:
                raise ValueError(
                    f"config.json has {name}={ours!r} and no projection_class_embeddings_input_dim"
                )
            found[option] = features
    if all(found.values()):
        raise ValueError("config.json says both text_time and projection, of as many features")
    return {**found, "size_features": values.present(config, "addition_time_embed_dim", 256)}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of CrossUNet, by the values of config.json; see Component."""
    read = (*READ, "up_block_types", "out_channels", "time_cond_proj_dim")
    values.check(config, read, {**ONLY, **_ONLY_UNET}, ANY_VALUE)
    found = encoder_options(config)
    kinds = [CROSS if depth else PLAIN for depth in reversed(found["transformer_depth"])]
    mirrored = tuple(UP[kind] for kind in kinds)
    up = values.present(config, "up_block_types", mirrored)
    if up != mirrored:
        raise ValueError(
            f"config.json says up_block_types={list(up)}; the network here has the levels of its "
            f"encoder, {list(mirrored)}"
        )
    n_in, n_out = (values.present(config, f"{side}_channels", 4) for side in ("in", "out"))
    if n_in < n_out:
        raise ValueError(f"config.json says in_channels={n_in}, fewer than out_channels={n_out}")
    height, width = values.levels(config, "sample_size", 64, 2)
    return found | {
        "shape": (height, width, n_out),
        "extra_channels": n_in - n_out,
        "guidance_features": values.present(config, "time_cond_proj_dim", 0),
    }


def slots(model: CrossUNet) -> Slots:
    """Every array of the U-Net after `prepare`; see slots."""
    yield from told_slots(model.told)
    yield from encoder_slots(model.encoder)
    for i, level in enumerate(model.up):
        yield from _level(f"up_blocks.{i}", level)
    yield from affine("conv_norm_out", model.head.norm)
    yield from affine("conv_out", model.head.conv)


def told_slots(told: CrossEmbedding) -> Slots:
    """Every array of what the blocks are told."""
    yield from affine("time_embedding.linear_1", told.noise.dense_0)
    yield from affine("time_embedding.linear_2", told.noise.dense_1)
    if told.guidance is not None:
        yield from affine("time_embedding.cond_proj", told.guidance)
    if told.added_0 is not None:
        yield from affine("add_embedding.linear_1", told.added_0)
        yield from affine("add_embedding.linear_2", told.added_1)
    if told.image_0 is not None:
        yield from affine("class_embedding.linear_1", told.image_0)
        yield from affine("class_embedding.linear_2", told.image_1)
    if told.table is not None:
        yield one("class_embedding.weight", told.table)


def encoder_slots(encoder: CrossEncoder) -> Slots:
    """Every array of the first half."""
    yield from affine("conv_in", encoder.conv_in)
    for i, level in enumerate(encoder.down):
        yield from _level(f"down_blocks.{i}", level)
    yield from _level("mid_block", encoder.middle)


def _level(prefix: str, level: Level) -> Slots:
    yield from residuals(prefix, level)
    for i, transformer in enumerate(level.attentions):
        yield from _transformer(f"{prefix}.attentions.{i}", transformer)


def _transformer(prefix: str, transformer: SpatialTransformer) -> Slots:
    yield from affine(f"{prefix}.norm", transformer.norm)
    yield from affine(f"{prefix}.proj_in", transformer.dense_in)
    blocks = [f"{prefix}.transformer_blocks.{i}" for i in range(transformer.blocks.depth)]
    yield from block_slots(blocks, transformer.blocks.block)
    yield from affine(f"{prefix}.proj_out", transformer.dense_out)


def block_slots(prefixes: Sequence[str], block: TransformerBlock | MotionBlock) -> Slots:
    """Every array of stacked blocks of two attentions and a hidden layer, by the prefix of each."""
    layers = {"norm1": block.norm_0, "norm2": block.norm_1, "norm3": block.norm_2}
    for name, attention in (("attn1", block.attention_0), ("attn2", block.attention_1)):
        layers[f"{name}.to_q"], layers[f"{name}.to_k"] = attention.query, attention.key
        layers[f"{name}.to_v"], layers[f"{name}.to_out.0"] = attention.value, attention.out
    layers["ff.net.0.proj"] = block.feed_forward.dense_0
    layers["ff.net.2"] = block.feed_forward.dense_1
    for name, layer in layers.items():
        yield from affine_stack([f"{prefix}.{name}" for prefix in prefixes], layer)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """The layers around transformers as linear ones; older networks have 1x1 convolutions there."""
    return {
        name: array.reshape(array.shape[:2])
        if np.ndim(array) == 4 and name.endswith((".proj_in.weight", ".proj_out.weight"))
        else array
        for name, array in arrays.items()
    }


COMPONENT = Component(CrossUNet, options, slots, prepare)
