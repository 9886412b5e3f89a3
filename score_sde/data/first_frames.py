"""The first frames of each video as a field of its own, which a network can be told."""

from __future__ import annotations

import dataclasses

import numpy as np

from score_sde.data.base import DataError, Examples, Info, Source

FIELD = "first_frames"


def described(info: Info, number: int) -> Info:
    """A description with the field FIELD, a video of so many frames.

    Raises:
      DataError: the set has no videos, or they have no more frames, or it has such a field.
    """
    try:
        video = info.of_kinds(("video",))
    except DataError as error:
        raise DataError(f"first_frames={number}: {error}") from error
    if FIELD in info:
        raise DataError(f"first_frames={number}: {info.name} has a field {FIELD} already")
    if not 0 < number < video.shape[0]:
        raise DataError(
            f"first_frames={number}: the videos of {info.name} have {video.shape[0]} frames; give "
            "fewer, and at least 1"
        )
    own = dataclasses.replace(video, name=FIELD, shape=(number, *video.shape[1:]))
    return dataclasses.replace(info, fields=(*info.fields, own))


def with_first_frames(source: Source, number: int) -> Source:
    """The same examples with the field FIELD.

    Args:
      source: of videos.
      number: of frames.

    Returns:
      The source; it does not cache, as that of the videos does.

    Raises:
      DataError: see `described`.
    """
    info = described(source.info, number)
    video = source.info.of_kinds(("video",)).name

    def read(indices: np.ndarray) -> Examples:
        batch = source.gather(indices)
        return {**batch, FIELD: batch[video][:, :number]}

    about = {"log_density": source.log_density, "license": source.license, "note": source.note}
    return Source(info, read, cache_bytes=0, **about)
