"""What can be chosen about the data: the section `data` of a config, and flags of commands.

Every command that opens data takes its options from here, so that each has those of data.load.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from score_sde import files, sections
from score_sde.data.base import Info, Source
from score_sde.data.known import describe
from score_sde.data.load import load
from score_sde.data.replaced import replaced
from score_sde.values import Every, Length, Name, Path, between

MOST_PIXELS = 16_384  # of a side


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The section `data` of a config; see data.load.

    Attributes:
        name: of the data set.
        dir: where it lies: a TFDS folder, a folder of images, or a file of arrays.
        field: that is modelled; if empty, the only one that the space is for.
        image_size: side in pixels to which images are cropped and resized; 0 for as they are.
        crop: side of the central square that is cropped before; None for the largest.
        background: behind transparent pixels: white, black or #rrggbb.
        skip_damaged: leave out images that cannot be read; without it, they are errors.
        replace_damaged: in training, and nowhere else, take the next example in place of one that
            cannot be read, and name it; without it, training saves and stops. A run that has begun
            may be given it.
        only: which examples, "FIELD=CLASS" or "FIELD=CLASS|CLASS" each, such as "style=openmoji":
            the names or numbers of classes; all if empty.
        first_frames: of videos, the first so many are a field "first_frames", which a network can
            be told by conditions.fields; 0 for none.
    """

    name: Name = "digits"
    dir: Path = ""
    field: Name = ""
    image_size: Annotated[int, between(0, MOST_PIXELS)] = 0
    crop: Annotated[int, between(1, MOST_PIXELS)] | None = None
    background: Name = "white"
    skip_damaged: bool = False
    replace_damaged: bool = False
    only: Annotated[tuple[Name, ...], Length(0, 100)] = ()
    first_frames: Every = 0

    def __post_init__(self) -> None:
        sections.check(self, "config.data.")

    def open(self, split: str) -> Source:
        """A split of the data set.

        Raises:
            DataError: it cannot be found; SplitError if it has no such split.
        """
        return load(self.name, split, **self._options())

    def open_to_train(self, say: Callable[[str], None]) -> Source:
        """The examples that are trained on, with `replace_damaged`; see replaced.

        Args:
            say: is told of each example that is replaced.

        Raises:
            DataError: as of `open`.
        """
        source = self.open("train")
        return replaced(source, say) if self.replace_damaged else source

    def describe(self) -> Info:
        """What is known of the training split, which need not be there; see known.describe."""
        return describe(self.name, **self._options())

    def _options(self) -> dict[str, Any]:
        """The keyword arguments of data.load."""
        return {
            "data_dir": self.dir or None,
            "image_size": self.image_size or None,
            "crop": self.crop,
            "background": self.background,
            "skip_damaged": self.skip_damaged,
            "only": self.only,
            "first_frames": self.first_frames,
        }


# The fields that say which examples they are; the others, where they lie and what if they cannot
# be read.
_OTHERS = ("dir", "replace_damaged")
DETERMINING = tuple(name for name in sections.entries(DataOptions) if name not in _OTHERS)


def read(section: Mapping[str, Any]) -> DataOptions:
    """The options that a section `data` of a config holds.

    Raises:
        DataError: a value cannot work.
    """
    return DataOptions(**section)


def add_flags(parser: argparse.ArgumentParser, split: str | None = "train") -> None:
    """Give a command the options of data.load: the name of a set and flags.

    Args:
        parser: of the command.
        split: that it takes unless told; None of a command that is of no split.
    """
    default = DataOptions()
    parser.add_argument(
        "name", help="TFDS name, such as cifar10; digits, moons; folder or arrays, with --data_dir"
    )
    if split is not None:
        parser.add_argument("--split", default=split, help=f"[{split}]")
    parser.add_argument(
        "--data_dir",
        type=files.typed,
        help="TFDS folder [$TFDS_DATA_DIR or ~/tensorflow_datasets], or one's own folder or file",
    )
    parser.add_argument("--image_size", type=int, help="crop and resize to this many pixels")
    parser.add_argument("--crop", type=int, help="central square to crop before [the largest]")
    parser.add_argument(
        "--background",
        default=default.background,
        help=f"behind transparent pixels: white, black or #rrggbb [{default.background}]",
    )
    parser.add_argument(
        "--only", action="append", default=[], help="FIELD=CLASS: only these; once for each field"
    )
    parser.add_argument(
        "--skip_damaged", action="store_true", help="leave out images that cannot be read"
    )
    parser.add_argument(
        "--first_frames", type=int, default=0, help="of videos, the first so many as a field too"
    )


def from_flags(args: argparse.Namespace) -> Source:
    """Open what the flags of `add_flags` name.

    Raises:
        DataError: it cannot be found, or a value cannot work.
    """
    names = ("data_dir", "image_size", "crop", "background", "skip_damaged", "only", "first_frames")
    return load(args.name, args.split, **{name: getattr(args, name) for name in names})
