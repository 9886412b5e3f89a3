"""Stable Audio's transformer, StableAudioDiTModel, with what embeds the seconds that it is told.

These are of two folders, the second a StableAudioProjectionModel: `joined` makes one config.json of
theirs, which COMPONENT reads, and the arrays of the second are named after it. Rotary positions
turn the first quarter of a head's features with the second there, with the third here, so these
two change places in queries and keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from score_sde.interop.components import transformers
from score_sde.interop.components.base import Component
from score_sde.interop.components.config import numbers
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import CONV_1, LINEAR, SAME, affine, affine_stack, one, swapped
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.stable_audio import FEATURES, SecondsEmbedding, StableAudio

CLASS = "StableAudioDiTModel"
PROJECTION = "projection_model"
_PROJECTION_CLASS = "StableAudioProjectionModel"


def joined(transformer: Mapping[str, Any], projection: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one config.json, of those of both.

    Raises:
        ValueError: one of them is of another class.
    """
    for config, name in ((transformer, CLASS), (projection, _PROJECTION_CLASS)):
        if (said := config.get("_class_name")) != name:
            raise ValueError(f"the pipeline has a {said!r:.60}, where sound needs a {name}")
    return {**transformer, PROJECTION: dict(projection)}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of StableAudio, by what `joined` gives; see Component.options."""
    if PROJECTION not in config:
        raise ValueError(f"a {CLASS} alone is told no seconds: the folder {PROJECTION} is missing")
    told = config[PROJECTION]
    features, channels = count(told, "conditioning_dim"), count(config, "in_channels", 64)
    check(told, {"text_encoder_dim": (features,), "min_value": (0,)})
    check(
        config,
        {
            "out_channels": (channels,),
            "time_proj_dim": (FEATURES,),
            "cross_attention_dim": (features,),
            "cross_attention_input_dim": (features,),
            "global_states_input_dim": (2 * features,),
        },
    )
    heads, size = count(config, "num_attention_heads", 24), count(config, "attention_head_dim", 64)
    return {
        "shape": (count(config, "sample_size", 1024), channels),
        "channels": heads * size,
        "depth": count(config, "num_layers", 24),
        "heads": heads,
        "key_value_heads": count(config, "num_key_value_attention_heads", 12),
        "text_features": features,
        "longest": float(numbers(told, {"longest": ("max_value", 512.0)})["longest"]),
    }


def slots(model: StableAudio) -> Slots:
    """See Component.slots."""
    yield one("time_proj.weight", model.frequencies)
    for name, layers in (
        ("timestep_proj", (model.noise_0, model.noise_1)),
        ("global_proj", (model.seconds_0, model.seconds_1)),
        ("cross_attention_proj", (model.told_0, model.told_1)),
    ):
        for i, layer in zip((0, 2), layers, strict=True):
            yield from affine(f"{name}.{i}", layer)
    yield from affine("preprocess_conv", model.before, CONV_1)
    yield from affine("proj_in", model.dense_in)
    block = model.blocks.block
    blocks = [f"transformer_blocks.{i}" for i in range(model.blocks.depth)]
    yield from transformers.attention(within(blocks, "attn1"), block.attention)
    yield from transformers.cross_attention(within(blocks, "attn2"), block.cross_attention)
    for i, norm in enumerate((block.norm_0, block.norm_1, block.norm_2), 1):
        yield from affine_stack(within(blocks, f"norm{i}"), norm)
    # The half that the swish is of comes last there.
    first, last = block.feed_forward.dense_0, block.feed_forward.dense_1
    yield from affine_stack(within(blocks, "ff.net.0.proj"), first, swapped(LINEAR), swapped(SAME))
    yield from affine_stack(within(blocks, "ff.net.2"), last)
    yield from affine("proj_out", model.dense_out)
    yield from affine("postprocess_conv", model.after, CONV_1)
    for name, layer in (("start", model.begins), ("end", model.lasts)):
        yield from _seconds(f"{PROJECTION}.{name}_number_conditioner", layer)


def _seconds(prefix: str, layer: SecondsEmbedding) -> Slots:
    yield one(f"{prefix}.time_positional_embedding.0.weights", layer.frequencies)
    yield from affine(f"{prefix}.time_positional_embedding.1", layer.dense)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: features of a head in our order."""
    asked, found = options(config), dict(arrays)
    width, heads = asked["channels"], asked["heads"]
    for name, array in arrays.items():
        turned = name.endswith((".attn1.to_q.weight", ".attn1.to_k.weight"))
        if turned and array.shape == (width, width):  # others are said by their shape
            quarters = np.asarray(array).reshape(heads, 4, -1, width)
            found[name] = quarters[:, [0, 2, 1, 3]].reshape(width, width)
    return found


COMPONENT = Component(StableAudio, options, slots, prepare)
