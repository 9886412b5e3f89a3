"""What an example of the data is, and what the model sees of it. One space a file."""

from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.checks import check_name
from score_sde.fields import Field
from score_sde.spaces.autoencoded import Autoencoded
from score_sde.spaces.backbones import Backbones
from score_sde.spaces.base import Space
from score_sde.spaces.dequantization import Lattice
from score_sde.spaces.encoded import Encoded, OfData
from score_sde.spaces.encoded_sounds import EncodedSounds
from score_sde.spaces.encoded_videos import EncodedVideos
from score_sde.spaces.latents import Latents
from score_sde.spaces.log_mel import LogMel
from score_sde.spaces.molecules import Molecules
from score_sde.spaces.pixels import Pixels
from score_sde.spaces.points import Points
from score_sde.spaces.score import Score
from score_sde.spaces.sound_latents import SoundLatents
from score_sde.spaces.tokens import Tokens
from score_sde.spaces.vectors import Vectors
from score_sde.spaces.video import Video
from score_sde.spaces.video_latents import VideoLatents
from score_sde.spaces.waveforms import Waveforms

__all__ = [
    "SPACES",
    "Autoencoded",
    "Backbones",
    "Encoded",
    "EncodedSounds",
    "EncodedVideos",
    "Latents",
    "Lattice",
    "LogMel",
    "Molecules",
    "OfData",
    "Pixels",
    "Points",
    "Score",
    "SoundLatents",
    "Space",
    "Tokens",
    "Vectors",
    "Video",
    "VideoLatents",
    "Waveforms",
    "kinds",
    "read",
]

SPACES: dict[str, type[Space]] = {
    "pixels": Pixels,
    "latents": Latents,
    "autoencoded": Autoencoded,
    "encoded": Encoded,
    "vectors": Vectors,
    "waveforms": Waveforms,
    "log_mel": LogMel,
    "sound_latents": SoundLatents,
    "encoded_sounds": EncodedSounds,
    "points": Points,
    "molecules": Molecules,
    "backbones": Backbones,
    "video": Video,
    "video_latents": VideoLatents,
    "encoded_videos": EncodedVideos,
    "tokens": Tokens,
    "score": Score,
}


def kinds(section: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of fields that the space of a section `space` of a config models.

    Raises:
        ValueError: the name is unknown.
    """
    check_name("config.space.name", section["name"], SPACES)
    return SPACES[section["name"]].KINDS


def read(section: Mapping[str, Any], field: Field) -> Space:
    """The space that a section `space` of a config names, of a field of one of its kinds.

    Raises:
        ValueError: the name is unknown, or a value cannot work.
    """
    name = section["name"]
    options = sections.options("config.space.name", SPACES, name, section)
    return SPACES[name].of(field, **options)
