"""LLaDA (arXiv 2502.09992) as a component: LLaDAModelLM, in the layout of OLMo's LLaMA blocks.

Rotary positions turn the first half of each head's features with the second, as here. The table of
tokens and the last layer have a row for the mask where its number is; here it is the row after the
tokens, so these two rows change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from score_sde.interop.components.base import VOCABULARY, Component
from score_sde.interop.components.config import numbers
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import affine, affine_joined, affine_stack, one
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.token_transformer import TokenTransformer

_IN, _OUT = "model.transformer.wte.weight", "model.transformer.ff_out.weight"
_ONLY = {
    "block_type": ("llama",),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "activation_type": ("silu",),
    "rope": (True,),
    "alibi": (False,),
    "block_group_size": (1,),
    "include_bias": (False,),
    "include_qkv_bias": (False, None),
    "bias_for_layer_norm": (False, None),
    "attention_layer_norm": (False,),
    "input_emb_norm": (False,),
    "scale_logits": (False,),
    "multi_query_attention": (False, None),
    "weight_tying": (False, True),
}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of TokenTransformer; see Component.options."""
    check(config, _ONLY)
    heads, channels = count(config, "n_heads"), count(config, "d_model")
    check(config, {"n_kv_heads": (heads, None)})
    rows = count(config, "embedding_size", count(config, "vocab_size"))
    found = numbers(config, {"norm_eps": ("rms_norm_eps", 1e-5), "rope_base": ("rope_theta", 1e4)})
    return {
        "shape": (count(config, "max_sequence_length"),),
        "vocabulary": count(config, VOCABULARY, rows - 1),
        "rows": rows,
        "channels": channels,
        "depth": count(config, "n_layers"),
        "heads": heads,
        "mlp_ratio": 1.5 * count(config, "mlp_hidden_size") / channels,
        **{name: float(value) for name, value in found.items()},
    }


def slots(model: TokenTransformer) -> Slots:
    """See Component.slots."""
    blocks = [f"model.transformer.blocks.{i}" for i in range(model.blocks.depth)]
    block = model.blocks.block
    yield one(_IN, model.table)
    for names, layer in (
        ("q_proj k_proj v_proj", block.attention.qkv),
        ("ff_proj up_proj", block.feed_forward.dense_0),
    ):
        parts = [[f"{prefix}.{name}" for name in names.split()] for prefix in blocks]
        yield from affine_joined(parts, layer)
    for name, layer in (
        ("attn_norm", block.norm_0),
        ("attn_out", block.attention.out),
        ("ff_norm", block.norm_1),
        ("ff_out", block.feed_forward.dense_1),
    ):
        yield from affine_stack(within(blocks, name), layer)
    yield from affine("model.transformer.ln_f", model.norm)
    yield from affine(_OUT.removesuffix(".weight"), model.dense_out)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: the mask after the tokens; tied, the table is the last layer too."""
    found = dict(arrays)
    if config.get("weight_tying") and _IN in found:
        found.setdefault(_OUT, found[_IN])
    asked = options(config)
    mask, after = count(config, "mask_token_id", asked["vocabulary"]), asked["vocabulary"]
    if not max(mask, after) < asked["rows"]:
        raise ValueError(f"config.json: {asked['rows']} rows have no {mask} or {after}, the mask")
    for name in (_IN, _OUT):
        if name in found and len(found[name]) == asked["rows"]:  # others are said by their shape
            found[name] = _exchanged(found[name], mask, after)
    return found


def _exchanged(table: np.ndarray, first: int, second: int) -> np.ndarray:
    """Rows, [n, ...], of which two have changed places."""
    if first == second:
        return table
    found = np.array(table)
    found[[first, second]] = table[[second, first]]
    return found


COMPONENT = Component(TokenTransformer, options, slots, prepare)
