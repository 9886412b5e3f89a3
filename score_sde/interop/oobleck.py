"""Stable Audio's autoencoder, AutoencoderOobleck, as a family of released files; see families.

Its options are the shapes of its arrays; the samples a second are "sampling_rate" in the
config.json of its folder, 44,100 where there is none.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from score_sde.fields import Field, signal
from score_sde.interop import proposal
from score_sde.interop.components import folder, oobleck
from score_sde.interop.components.oobleck import DIRECTION
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slots
from score_sde.models.sound_autoencoder import SoundAutoencoder

_SECONDS = 1  # about so long are the signals of a config that is proposed


def prepare(arrays: Arrays) -> Arrays:
    """See components.oobleck.prepare."""
    return oobleck.prepare(arrays, {})


def slots(model: SoundAutoencoder, released: Released) -> Slots:
    """Every array; see families."""
    return oobleck.slots(model)


def describe(arrays: Arrays) -> dict[str, Any]:
    """The options of our network, by the shapes of the file's arrays.

    Raises:
        KeyError: one is missing; it is named.
    """
    first = arrays[f"encoder.conv1{DIRECTION}"].shape
    strided = re.compile(rf"encoder\.block\.\d+\.conv1{re.escape(DIRECTION)}")
    blocks = [
        arrays[f"encoder.block.{i}.conv1{DIRECTION}"].shape
        for i in range(sum(bool(strided.fullmatch(name)) for name in arrays))
    ]
    return {
        "signal_channels": first[1] if first[1] > 1 else 0,
        "latent_channels": arrays[f"decoder.conv1{DIRECTION}"].shape[1],
        "widths": (first[0], *(shape[0] for shape in blocks)),
        "factors": tuple(shape[2] // 2 for shape in blocks),
        "dilations": oobleck.DILATIONS,
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
    rate = oobleck.rate(said)
    factor = int(np.prod(options["factors"]))
    samples = max(1, rate * _SECONDS // factor) * factor
    return (signal(samples, rate, options["signal_channels"]),)
