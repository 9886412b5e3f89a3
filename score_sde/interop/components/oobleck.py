"""Stable Audio's autoencoder as a component: AutoencoderOobleck.

Weights are released as a direction v and a size g for each index of their first axis (Salimans and
Kingma 2016, arXiv 1602.07868), g v / |v|, which are put together here. A signal of one channel is
one without an axis of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from score_sde.interop.components.base import Component
from score_sde.interop.components.transformers import check, count
from score_sde.interop.layouts import SAME, Layout, one
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.sequence_conv import SequenceConv, SequenceSpread
from score_sde.models.sound_autoencoder import ResidualUnit, Snake, SoundAutoencoder

SIZE, DIRECTION = ".weight_g", ".weight_v"
DILATIONS = (1, 3, 9)  # of the units, which leave no trace
_RATE = 44_100
_SNAKE = Layout(lambda s: (1, *s, 1), lambda a: a[0, :, 0], lambda a: a[None, :, None])


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of SoundAutoencoder; see Component.options."""
    width, sound = count(config, "encoder_hidden_size", 128), count(config, "audio_channels", 2)
    check(config, {"decoder_channels": (width,)})
    multiples, factors = (
        tuple(count({name: n}, name) for n in config.get(name) or usual)
        for name, usual in (
            ("channel_multiples", (1, 2, 4, 8, 16)),
            ("downsampling_ratios", (2, 4, 4, 8, 8)),
        )
    )
    return {
        "signal_channels": sound if sound > 1 else 0,
        "latent_channels": count(config, "decoder_input_channels", 64),
        "widths": (width, *(width * multiple for multiple in multiples)),
        "factors": factors,
        "dilations": DILATIONS,
    }


def rate(config: Mapping[str, Any]) -> int:
    """Samples a second of its signals.

    Raises:
        ValueError: what config.json says is none.
    """
    found = config.get("sampling_rate", _RATE)
    if type(found) is not int or found < 1:
        raise ValueError(f"config.json beside it: sampling_rate={found!r:.40} is no number of Hz")
    return found


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """See Component.prepare: weights in place of their directions and sizes.

    Raises:
        ValueError: one of the two is missing, or of another shape.
    """
    found = {}
    for name, array in arrays.items():
        if name.endswith(SIZE):
            continue
        if not name.endswith(DIRECTION):
            found[name] = array
            continue
        stem = name.removesuffix(DIRECTION)
        size = arrays.get(stem + SIZE)
        if size is None or array.ndim != 3 or size.shape != (len(array), 1, 1):
            raise ValueError(f"the size of {name} is missing, or not that of its weight")
        v = array.astype(np.float32)
        length = np.sqrt((v**2).sum((1, 2), keepdims=True))
        found[f"{stem}.weight"] = size * v / np.maximum(length, np.finfo(np.float32).tiny)
    return found


def slots(model: SoundAutoencoder) -> Slots:
    """See Component.slots."""
    yield from _conv("encoder.conv1", model.conv_in)
    for i, block in enumerate(model.down):
        prefix = f"encoder.block.{i}"
        yield from _units(prefix, block.units)
        yield from _snake(f"{prefix}.snake1", block.snake)
        yield from _conv(f"{prefix}.conv1", block.conv)
    yield from _snake("encoder.snake1", model.down_snake)
    yield from _conv("encoder.conv2", model.moments)
    yield from _conv("decoder.conv1", model.latents)
    for i, block in enumerate(model.up):
        prefix = f"decoder.block.{i}"
        yield from _snake(f"{prefix}.snake1", block.snake)
        yield from _spread(f"{prefix}.conv_t1", block.spread)
        yield from _units(prefix, block.units)
    yield from _snake("decoder.snake1", model.up_snake)
    yield from _conv("decoder.conv2", model.conv_out)


def _units(prefix: str, units: nnx.List[ResidualUnit]) -> Slots:
    for i, unit in enumerate(units, 1):
        yield from _snake(f"{prefix}.res_unit{i}.snake1", unit.snake_0)
        yield from _conv(f"{prefix}.res_unit{i}.conv1", unit.conv_0)
        yield from _snake(f"{prefix}.res_unit{i}.snake2", unit.snake_1)
        yield from _conv(f"{prefix}.res_unit{i}.conv2", unit.conv_1)


def _snake(prefix: str, snake: Snake) -> Slots:
    yield one(f"{prefix}.alpha", snake.alpha, _SNAKE)
    yield one(f"{prefix}.beta", snake.beta, _SNAKE)


def _conv(prefix: str, conv: SequenceConv) -> Slots:
    """Theirs is [out, in, taps], ours [taps in, out]."""
    taps = conv.taps
    layout = Layout(
        lambda s: (s[1], s[0] // taps, taps),
        lambda a: a.transpose(2, 1, 0).reshape(-1, len(a)),
        lambda a: a.reshape(taps, -1, a.shape[1]).transpose(2, 1, 0),
    )
    yield one(f"{prefix}.weight", conv.dense.kernel, layout)
    if conv.dense.bias is not None:
        yield one(f"{prefix}.bias", conv.dense.bias, SAME)


def _spread(prefix: str, spread: SequenceSpread) -> Slots:
    """Theirs is [in, out, taps], ours [in, taps out]."""
    taps = 2 * spread.stride
    layout = Layout(
        lambda s: (s[0], s[1] // taps, taps),
        lambda a: a.transpose(0, 2, 1).reshape(len(a), -1),
        lambda a: a.reshape(len(a), taps, -1).transpose(0, 2, 1),
    )
    yield one(f"{prefix}.weight", spread.dense.kernel, layout)
    yield one(f"{prefix}.bias", spread.bias, SAME)


COMPONENT = Component(SoundAutoencoder, options, slots, prepare)
