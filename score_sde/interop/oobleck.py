"""Stable Audio's autoencoder, AutoencoderOobleck, as a family of released files; see families.

Its options are the shapes of its arrays; the samples a second are "sampling_rate" in the
config.json of its folder, 44,100 where there is none. Weights are released as a direction v and a
size g for each index of their first axis (Salimans and Kingma 2016, arXiv 1602.07868), g v / |v|,
which are put together here. A signal of one channel is one without an axis of channels.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from score_sde.fields import Field, signal
from score_sde.interop import proposal
from score_sde.interop.components import folder
from score_sde.interop.layouts import SAME, Layout, one
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slots
from score_sde.models.sequence_conv import SequenceConv, SequenceSpread
from score_sde.models.sound_autoencoder import ResidualUnit, Snake, SoundAutoencoder

_SIZE, _DIRECTION = ".weight_g", ".weight_v"
_RATE = 44_100
_DILATIONS = (1, 3, 9)  # of the units, which leave no trace
_SECONDS = 1  # about so long are the signals of a config that is proposed
_SNAKE = Layout(lambda s: (1, *s, 1), lambda a: a[0, :, 0], lambda a: a[None, :, None])


def prepare(arrays: Arrays) -> Arrays:
    """Weights in place of their directions and sizes.

    Raises:
        ValueError: one of the two is missing, or of another shape.
    """
    found = {}
    for name, array in arrays.items():
        if name.endswith(_SIZE):
            continue
        if not name.endswith(_DIRECTION):
            found[name] = array
            continue
        stem = name.removesuffix(_DIRECTION)
        size = arrays.get(stem + _SIZE)
        if size is None or array.ndim != 3 or size.shape != (len(array), 1, 1):
            raise ValueError(f"the size of {name} is missing, or not that of its weight")
        v = array.astype(np.float32)
        length = np.sqrt((v**2).sum((1, 2), keepdims=True))
        found[f"{stem}.weight"] = size * v / np.maximum(length, np.finfo(np.float32).tiny)
    return found


def describe(arrays: Arrays) -> dict[str, Any]:
    """The options of our network, by the shapes of the file's arrays.

    Raises:
        KeyError: one is missing; it is named.
    """
    first = arrays[f"encoder.conv1{_DIRECTION}"].shape
    strided = re.compile(rf"encoder\.block\.\d+\.conv1{re.escape(_DIRECTION)}")
    blocks = [
        arrays[f"encoder.block.{i}.conv1{_DIRECTION}"].shape
        for i in range(sum(bool(strided.fullmatch(name)) for name in arrays))
    ]
    return {
        "signal_channels": first[1] if first[1] > 1 else 0,
        "latent_channels": arrays[f"decoder.conv1{_DIRECTION}"].shape[1],
        "widths": (first[0], *(shape[0] for shape in blocks)),
        "factors": tuple(shape[2] // 2 for shape in blocks),
        "dilations": _DILATIONS,
    }


def propose(released: Released) -> ConfigDict:
    """The config of an autoencoder; see families."""
    options = describe(released.arrays)
    del options["signal_channels"]
    values = {
        **{f"model.{name}": value for name, value in options.items()},
        "space.name": "waveforms",
        "space.waveforms.unit": False,
        "objective.name": "autoencoding",
        "objective.autoencoding.learned_scale": False,
        "evaluation.metrics": ("reconstruction",),
        "data.name": "encoded",
    }
    return proposal.config("sound_autoencoder", values)


def fields(released: Released, config: ConfigDict) -> tuple[Field, ...]:
    """A signal of about a second, of whole frames; see families.Family."""
    beside, options = released.path.parent / folder.CONFIG, describe(released.arrays)
    said = folder.config(beside.parent) if beside.is_file() else {}
    rate = said.get("sampling_rate", _RATE)
    if type(rate) is not int or rate < 1:
        raise ValueError(f"config.json beside it: sampling_rate={rate!r:.40} is no number of Hz")
    factor = int(np.prod(options["factors"]))
    samples = max(1, rate * _SECONDS // factor) * factor
    return (signal(samples, rate, options["signal_channels"]),)


def slots(model: SoundAutoencoder, released: Released) -> Slots:
    """Every array; see families."""
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
