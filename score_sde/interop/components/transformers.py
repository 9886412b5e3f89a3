"""How released transformers name the arrays of their layers, and a check of their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from score_sde.interop.layouts import LINEAR, SAME, affine, affine_joined, affine_stack, swapped
from score_sde.interop.slots import Slots
from score_sde.models.embeddings import TimestepEmbedding, TwoLayers
from score_sde.models.layers import Dense
from score_sde.models.transformer import CrossAttention, FeedForward, SelfAttention

Blocks = Sequence[str]  # the prefix of each block of a stack


def within(blocks: Blocks, name: str) -> list[str]:
    """The name in each block."""
    return [f"{block}.{name}" for block in blocks]


def attention(
    blocks: Blocks,
    layer: SelfAttention,
    *,
    qkv: tuple[str, str, str] = ("to_q", "to_k", "to_v"),
    norms: tuple[str, str] = ("norm_q", "norm_k"),
    out: str = "to_out.0",
) -> Slots:
    """An attention of stacked blocks, by the prefix of that of each."""
    yield from affine_joined([[f"{block}.{part}" for part in qkv] for block in blocks], layer.qkv)
    if layer.query_norm is not None:
        for name, norm in zip(norms, (layer.query_norm, layer.key_norm), strict=True):
            yield from affine_stack(within(blocks, name), norm)
    if layer.out is not None:
        yield from affine_stack(within(blocks, out), layer.out)


def cross_attention(blocks: Blocks, layer: CrossAttention) -> Slots:
    """The same of an attention to another sequence."""
    yield from affine_stack(within(blocks, "to_q"), layer.query)
    parts = [[f"{block}.{part}" for part in ("to_k", "to_v")] for block in blocks]
    yield from affine_joined(parts, layer.key_value)
    yield from affine_stack(within(blocks, "to_out.0"), layer.out)


def feed_forward(blocks: Blocks, layer: FeedForward) -> Slots:
    """Two layers of stacked blocks, by the prefix of those of each."""
    yield from affine_stack(within(blocks, "net.0.proj"), layer.dense_0)
    yield from affine_stack(within(blocks, "net.2"), layer.dense_1)


def two_layers(prefix: str, layer: TimestepEmbedding | TwoLayers) -> Slots:
    """An embedding."""
    yield from affine(f"{prefix}.linear_1", layer.dense_0)
    yield from affine(f"{prefix}.linear_2", layer.dense_1)


def last_modulation(prefix: str, layer: Dense) -> Slots:
    """That before the last layer, of which the scale comes first there."""
    yield from affine(prefix, layer, swapped(LINEAR), swapped(SAME))


def count(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A value of config.json that counts something.

    Args:
        config: its values.
        name: of the value.
        default: what its class takes where it is not there; None for nothing.

    Raises:
        ValueError: it is no whole number above 0.
    """
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ValueError(f"config.json: {name}={value!r} must be a whole number above 0")
    return value


def check(config: Mapping[str, Any], known: Mapping[str, Sequence[Any]]) -> None:
    """Compare values of config.json with those that networks of ours have.

    Args:
        config: its values; one that is not there is what its class takes then, and is known.
        known: by name, the values that there are.

    Raises:
        ValueError: another value.
    """
    for name, values in known.items():
        if name in config and config[name] not in values:
            choice = " or ".join(map(repr, values))
            raise ValueError(f"config.json: {name}={config[name]!r} is not known here, {choice} is")


def check_blocks(config: Mapping[str, Any], norm: str) -> None:
    """The same for options that DiT and PixArt have in common.

    Args:
        config: the values of config.json.
        norm: how blocks are told the noise level.

    Raises:
        ValueError: another value.
    """
    check(
        config,
        {
            "norm_type": (norm,),
            "activation_fn": ("gelu-approximate",),
            "attention_bias": (True,),
            "attention_type": ("default",),
            "double_self_attention": (False,),
            "only_cross_attention": (False,),
            "norm_elementwise_affine": (False,),
            "num_vector_embeds": (None,),
        },
    )
