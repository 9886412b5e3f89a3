"""What released pipelines draw: the space of their latents, and the data that they are of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from score_sde import fields as of_data
from score_sde.fields import Field
from score_sde.interop.components import autoencoder, dit, oobleck

VAE = "vae"


class Found(Protocol):
    """What of a pipeline is asked; see pipelines.Pipeline."""

    index: Mapping[str, Any]
    network: str

    def config(self, name: str) -> dict[str, Any]:
        """The values of the config.json of a component."""

    @property
    def made(self) -> tuple[str, dict[str, Any]]:
        """The name of its network, and the options of that."""


class Drawn(NamedTuple):
    """What pipelines draw.

    Attributes:
        values: fields of a config by dotted path, of the space, the data and their conditions.
        fields: of an example of the data that the network was trained on, but for texts.
        asked: how the command line asks for one of a text, to be shown; "TEXT" stands for that.
    """

    values: Callable[[Found], dict[str, Any]]
    fields: Callable[[Found], tuple[Field, ...]]
    asked: str


def _images(found: Found) -> dict[str, Any]:
    config = found.config(VAE)
    options, scaling = autoencoder.options(config), autoencoder.scaling(config)
    shift, scale = (tuple(map(float, _once(a))) for a in scaling)
    labels = {"conditions.fields": ("label",), "conditions.label.dropout": 0.1}
    return {
        "space.name": "autoencoded",
        "space.autoencoded.factor": 2 ** (len(options["widths"]) - 1),
        "space.autoencoded.channels": options["latent_channels"],
        "space.autoencoded.scale": scale,
        "space.autoencoded.shift": shift,
        "data.name": "folder",
        "data.image_size": _image(found).shape[0],
        **(labels if "conditions" in found.made[1] else {}),
    }


def _of_images(found: Found) -> tuple[Field, ...]:
    if "conditions" not in found.made[1]:
        return (_image(found),)
    classes = dit.classes(found.config(found.network))
    said = {str(n): name for n, name in (found.index.get("id2label") or {}).items()}
    names = tuple(str(said.get(str(i), i)) for i in range(classes)) if said else ()
    return (_image(found), of_data.label(classes, names))


def _image(found: Found) -> Field:
    """The images that its network was trained on."""
    options = autoencoder.options(found.config(VAE))
    size = found.config(found.network).get("sample_size", 64)
    side = size * 2 ** (len(options["widths"]) - 1)
    return of_data.image((side, side, options["image_channels"]))


def _once(numbers: Any) -> Any:
    """One number where all channels have the same."""
    return numbers[:1] if (numbers == numbers[0]).all() else numbers


def _sounds(found: Found) -> dict[str, Any]:
    options = oobleck.options(found.config(VAE))
    return {
        "space.name": "sound_latents",
        "space.sound_latents.factor": math.prod(options["factors"]),
        "space.sound_latents.channels": options["latent_channels"],
        "space.sound_latents.scale": (1.0,),
        "space.sound_latents.shift": (0.0,),
        "data.name": "encoded",
        "conditions.fields": _SECONDS,
        "guidance.keeps": _SECONDS,
    }


def _of_sounds(found: Found) -> tuple[Field, ...]:
    config = found.config(VAE)
    options, frames = oobleck.options(config), found.made[1]["shape"][0]
    samples = frames * math.prod(options["factors"])
    sound = of_data.signal(samples, oobleck.rate(config), options["signal_channels"])
    return (sound, *map(of_data.number, _SECONDS))


_SECONDS = ("start", "seconds")  # where in a sound an example begins, and how long that is

IMAGES = Drawn(_images, _of_images, "--prompt=TEXT")
SOUNDS = Drawn(
    _sounds, _of_sounds, "--condition=text=TEXT --condition=start=0 --condition=seconds=10"
)
