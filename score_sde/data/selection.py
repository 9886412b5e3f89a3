"""What can be chosen about the data: the section `data` of a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.data.base import DataError, Info, Source
from score_sde.data.known import describe
from score_sde.data.load import load


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The section `data` of a config; see data.load.

    Attributes:
        name: of the data set.
        dir: where it lies: a TFDS folder, a folder of images, or a file of arrays.
        field: that is modelled; if empty, the only one that the space is for.
        image_size: side in pixels to which images are cropped and resized; 0 for as they are.
        crop: side of the central square that is cropped before; None for the largest.
    """

    name: str = "digits"
    dir: str = ""
    field: str = ""
    image_size: int = 0
    crop: int | None = None

    def __post_init__(self):
        if self.image_size < 0:
            raise DataError(f"config.data.image_size={self.image_size} must be at least 0")

    def open(self, split: str) -> Source:
        """A split of the data set.

        Raises:
            DataError: it cannot be found; SplitError if it has no such split.
        """
        size = self.image_size or None
        return load(self.name, split, data_dir=self.dir or None, image_size=size, crop=self.crop)

    def describe(self) -> Info:
        """What is known of the training split, which need not be there; see known.describe."""
        size = self.image_size or None
        return describe(self.name, data_dir=self.dir or None, image_size=size)


# The fields that say which examples they are; the others, only where they lie.
DETERMINING = tuple(name for name in sections.entries(DataOptions) if name != "dir")


def read(section: Mapping[str, Any]) -> DataOptions:
    """The options that a section `data` of a config holds.

    Raises:
        DataError: a value cannot work.
    """
    return DataOptions(**section)
