r"""MDLM (arXiv 2406.07524) as a component: its DiT of tokens.

Each block modulates, with c = silu(embedding of the time), its norms and what it adds:

    h <- h + g_1(c) attention((1 + s_1(c)) norm(h) + b_1(c)),    likewise the layers.         (1)

Networks with time_conditioning false are told the time 0 always. Then c is one vector, and (1) is a
block of ours: the norm has the scale (1 + s) of its own and the bias b, and g is a factor of the
last layer of what is added. `prepare` computes these in float64; there is no way back. One that is
told the time has (1) here too, and norms without a bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from score_sde.interop.components.base import VOCABULARY, Component
from score_sde.interop.components.transformers import check, count, within
from score_sde.interop.layouts import affine, affine_stack, computed, one, stack
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slot, Slots
from score_sde.models.layers import Dense
from score_sde.models.token_transformer import TokenTransformer
from score_sde.models.transformer import TokenNorm

_FEATURES = 256  # of the time
_ANGLES = "backbone.rotary_emb.inv_freq"  # computed
_LAST, _TIME, _MODULATION = "backbone.output_layer", "backbone.sigma_map", "adaLN_modulation"


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of TokenTransformer; see Component.options."""
    check(config, {"time_conditioning": (False, True)})
    timed = bool(config.get("time_conditioning", False))
    rows = count(config, "vocab_size", 50258)
    # The mask is the last row: as many tokens are there as the network was trained on.
    check(config, {VOCABULARY: (rows - 1,)})
    return {
        "shape": (count(config, "model_length", 1024),),
        "vocabulary": rows - 1,
        "rows": rows,
        "channels": count(config, "hidden_dim", 768),
        "depth": count(config, "n_blocks", 12),
        "heads": count(config, "n_heads", 12),
        "mlp_ratio": 4.0,
        "feed_forward": "gelu_tanh",
        "norm": "layer",
        "biased": True,
        "norm_eps": 1e-5,
        "rope_base": 1e4,
        "timed": timed,
        "modulated": count(config, "cond_dim", 128) if timed else 0,
    }


def slots(model: TokenTransformer) -> Slots:
    """Every array that `prepare` gives; see Component.slots."""
    blocks = [f"backbone.blocks.{i}" for i in range(model.blocks.depth)]
    block = model.blocks.block
    yield one("backbone.vocab_embed.embedding", model.table)
    for name, layer in (
        ("norm1", block.norm_0),
        ("attn_qkv", block.attention.qkv),
        ("attn_out", block.attention.out),
        ("norm2", block.norm_1),
        ("mlp.0", block.feed_forward.dense_0),
        ("mlp.2", block.feed_forward.dense_1),
    ):
        yield from _stack(within(blocks, name), layer, model)
    yield from affine(f"{_LAST}.linear", model.dense_out)
    if model.modulation is None:
        yield from affine(f"{_LAST}.norm_final", model.norm)
        return
    yield from _scale(one(f"{_LAST}.norm_final.weight", model.norm.scale), model.norm)
    for name, layer in (("mlp.0", "dense_0"), ("mlp.2", "dense_1")):
        yield from affine(f"{_TIME}.{name}", getattr(model.noise_embedding, layer))
    yield from affine_stack(within(blocks, _MODULATION), block.modulation)
    yield from affine(f"{_LAST}.{_MODULATION}", model.modulation)


def _stack(names: list[str], layer: Dense | TokenNorm, model: TokenTransformer) -> Slots:
    """A layer of all blocks; a norm of those that are told the time only scales."""
    if isinstance(layer, TokenNorm) and model.modulation is not None:
        yield from _scale(stack([f"{name}.weight" for name in names], layer.scale), layer)
    else:
        yield from affine_stack(names, layer)


def _scale(slot: Slot, norm: TokenNorm) -> Slots:
    """A norm whose bias is zero."""
    yield slot
    yield computed(norm.bias, lambda: np.zeros(norm.bias.shape, np.float32))


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: (1) of the module without c, if the time is not told.

    Raises:
        ValueError: an array that it takes is missing or of another shape, or one that it gives is
            there already.
    """
    left = {name: array for name, array in arrays.items() if name != _ANGLES}
    if options(config)["timed"]:
        return left
    asked, size = options(config), count(config, "cond_dim", 128)
    width = asked["channels"]
    # The features of the time 0: cosines, all 1, and sines.
    told = np.concatenate([np.ones(_FEATURES // 2), np.zeros(_FEATURES // 2)])
    for name in ("mlp.0", "mlp.2"):
        told = _silu(_made(left, f"{_TIME}.{name}", told, size))
    for i in range(asked["depth"]):
        block = f"backbone.blocks.{i}"
        every = _made(left, f"{block}.{_MODULATION}", told, 6 * width)
        b_1, s_1, g_1, b_2, s_2, g_2 = np.split(every, 6)
        _fold(left, f"{block}.norm1", s_1, b_1)
        _fold(left, f"{block}.norm2", s_2, b_2)
        hidden = round(asked["mlp_ratio"] * width)
        for name, factor, shape in (
            ("attn_out.weight", g_1, (width, width)),
            ("mlp.2.weight", g_2, (width, hidden)),
            ("mlp.2.bias", g_2, (width,)),
        ):
            array = _taken(left, f"{block}.{name}", shape)
            _put(left, f"{block}.{name}", (factor * array.T).T)
    every = _made(left, f"{_LAST}.{_MODULATION}", told, 2 * width)
    shift, scale = np.split(every, 2)
    _fold(left, f"{_LAST}.norm_final", scale, shift)
    return left


def _made(left: Arrays, layer: str, x: np.ndarray, size: int) -> np.ndarray:
    """What a layer, which is taken away, makes of a vector: [size]."""
    weight = _taken(left, f"{layer}.weight", (size, len(x)))
    return weight @ x + _taken(left, f"{layer}.bias", (size,))


def _fold(left: Arrays, norm: str, scale: np.ndarray, shift: np.ndarray) -> None:
    """Put what modulates a norm into it."""
    own = _taken(left, f"{norm}.weight", scale.shape)
    _put(left, f"{norm}.weight", own * (1 + scale))
    _put(left, f"{norm}.bias", shift)


def _taken(left: Arrays, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array, which is no longer there then, in float64."""
    if name not in left or left[name].shape != shape:
        has = left[name].shape if name in left else "no such array"
        raise ValueError(
            f"the config does not fit the checkpoint, first at {name}: the checkpoint has {has}, "
            f"the model {shape}"
        )
    return np.asarray(left.pop(name), np.float64)


def _put(left: Arrays, name: str, array: np.ndarray) -> None:
    if name in left:
        raise ValueError(f"the checkpoint has {name}, for which the model has no place")
    left[name] = array.astype(np.float32)


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


COMPONENT = Component(TokenTransformer, options, slots, prepare)
