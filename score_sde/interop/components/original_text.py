"""Text encoders in a single file: their configs by their shapes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from score_sde.interop.components import clip, openclip
from score_sde.interop.components.t5 import TABLE
from score_sde.interop.released import Arrays

_HEAD = 64  # features of a head, in all that were released
_CLIP_L = 768  # features of the one that has CLIP's own activation; OpenCLIP's have the usual one


def clip_config(arrays: Arrays, cut: bool = False) -> dict[str, Any]:
    """What the shapes of an encoder of CLIP or OpenCLIP say, as values of a config.json.

    Args:
        arrays: under OpenCLIP's names or those of today.
        cut: whether its last layer and its projection are not used, as Stable Diffusion 2 has it.

    Raises:
        ValueError: they are of no such encoder.
    """
    if openclip.is_openclip(arrays):
        depth = _count(arrays, "transformer.resblocks.{}.ln_1.weight")
        names = ("token_embedding.weight", "positional_embedding")
        hidden = "transformer.resblocks.0.mlp.c_fc.weight"
        projection = "text_projection"
    else:
        arrays = clip.prepare(arrays, {}, projection=True)
        depth = _count(arrays, clip.PREFIX + "encoder.layers.{}.layer_norm1.weight")
        names = (
            f"{clip.PREFIX}embeddings.{kind}_embedding.weight" for kind in ("token", "position")
        )
        hidden = f"{clip.PREFIX}encoder.layers.0.mlp.fc1.weight"
        projection = "text_projection.weight"
    table, positions = (np.shape(arrays.get(name, ())) for name in names)
    if len(table) != 2 or len(positions) != 2 or hidden not in arrays:
        raise ValueError("the file has no text encoder of CLIP")
    width = table[1]
    found = {
        "architectures": ["CLIPTextModel"],
        "vocab_size": table[0],
        "max_position_embeddings": positions[0],
        "hidden_size": width,
        "num_hidden_layers": depth - cut,
        "num_attention_heads": max(width // _HEAD, 1),
        "intermediate_size": np.shape(arrays[hidden])[0],
        "hidden_act": "quick_gelu" if width == _CLIP_L else "gelu",
        "eos_token_id": 2,
    }
    if cut or projection not in arrays:
        return found
    features = np.shape(arrays[projection])[1 if projection == "text_projection" else 0]
    return found | {
        "architectures": ["CLIPTextModelWithProjection"],
        "projection_dim": features,
    }


def t5_config(arrays: Arrays) -> dict[str, Any]:
    """What the shapes of an encoder of T5 1.1 say, as values of a config.json.

    Raises:
        ValueError: they are of no such encoder.
    """
    first = "encoder.block.0.layer.0.SelfAttention"
    names = (
        *(TABLE, f"{first}.q.weight", f"{first}.relative_attention_bias.weight"),
        "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
    )
    shapes = [np.shape(arrays.get(name, ())) for name in names]
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError("the file has no encoder of T5")
    (vocabulary, width), (inner, _), (buckets, heads), (hidden, _) = shapes
    return {
        "architectures": ["T5EncoderModel"],
        "vocab_size": vocabulary,
        "d_model": width,
        "num_layers": _count(arrays, "encoder.block.{}.layer.0.layer_norm.weight"),
        "num_heads": heads,
        "d_kv": inner // heads,
        "d_ff": hidden,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }


def _count(arrays: Arrays, name: str) -> int:
    """How many layers there are, by the name of an array of each."""
    return next(n for n in itertools.count() if name.format(n) not in arrays)
