"""Emoji in the format of tensorflow-datasets, written without TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from score_sde.data.base import DataError
from score_sde.data.emoji import names, splits
from score_sde.data.emoji.names import Code
from score_sde.data.text_feature import text_feature
from score_sde.errors import first_line

NAME = "emoji"
VERSION = "1.0.0"

_MOST_CAPTION = 96  # bytes; the longest caption has 80
_MOST_CODE = 64


@dataclasses.dataclass(frozen=True)
class Picture:
    """One emoji in one style.

    Attributes:
      style: name of the style.
      drawing: what the style draws; see Style.drawing.
      code: of the emoji, one of names.known().
      image: a PNG file of [size, size, 3].
      sketch: a PNG file of [size, size, 1].
    """

    style: str
    drawing: str
    code: Code
    image: bytes
    sketch: bytes


def write(
    pictures: Sequence[Picture], styles: Sequence[str], size: int, about: str, data_dir: str
) -> Mapping[str, int]:
    """Writes pictures as a set that `score_sde.data.load` reads.

    TFDS writes into a folder with a random name and renames it when all is written.

    Args:
      pictures: at least one of each style.
      styles: their names, in the order of their numbers.
      size: side of the pictures in pixels.
      about: whose art it is.
      data_dir: TFDS folder, made if missing.

    Returns:
      The number of examples of each split.

    Raises:
      DataError: the folder cannot be written to.
    """
    parts = _by_split(pictures)
    tfds.disable_progress_bar()
    try:
        builder = _Emoji(parts, styles, size, about, data_dir=data_dir)
        # TFDS prints, on stdout, about a download that does not happen.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(file_format="array_record")
    except MemoryError:
        raise
    except Exception as error:  # OSError of Python, others of the writer of ArrayRecord
        raise DataError(
            f"cannot write {NAME} to {data_dir} "
            f"({getattr(error, 'strerror', None) or first_line(error)}): give a folder that is "
            "writable and not full with data_dir, or set TFDS_DATA_DIR"
        ) from error
    return {split: len(part) for split, part in parts.items()}


def _by_split(pictures: Iterable[Picture]) -> dict[str, list[Picture]]:
    """The pictures of each split that has any."""
    known = names.known()
    drawings: dict[str, set[str]] = {}
    for picture in pictures:
        drawings.setdefault(known[picture.code].concept, set()).add(picture.drawing)
    parts: dict[str, list[Picture]] = {split: [] for split in splits.SPLITS}
    for picture in pictures:
        emoji = known[picture.code]
        split = splits.of_pair(
            emoji.concept, emoji.family, picture.drawing, drawings[emoji.concept]
        )
        parts[split].append(picture)
    return {split: part for split, part in parts.items() if part}


class _Emoji(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """TFDS builder of pictures that are drawn already."""

    name = NAME
    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self,
        parts: Mapping[str, Sequence[Picture]],
        styles: Sequence[str],
        size: int,
        about: str,
        **options: Any,
    ):
        self._parts, self._styles, self._size, self._about = parts, styles, size, about
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self._size
        return tfds.core.DatasetInfo(
            builder=self,
            description="Emoji, their line drawings and names.",
            license=self._about,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "sketch": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
                    "text": text_feature("caption", _MOST_CAPTION),
                    "code": text_feature("code points", _MOST_CODE),
                    "style": tfds.features.ClassLabel(names=list(self._styles)),
                    "concept": tfds.features.ClassLabel(names=list(names.concepts())),
                }
            ),
            supervised_keys=None,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {split: self._generate_examples(part) for split, part in self._parts.items()}

    def _generate_examples(self, pictures: Sequence[Picture]) -> Iterator[tuple[str, dict]]:
        for picture in pictures:
            emoji, code = names.known()[picture.code], names.write(picture.code)
            example = {
                "image": io.BytesIO(picture.image),
                "sketch": io.BytesIO(picture.sketch),
                "text": emoji.caption,
                "code": code,
                "style": picture.style,
                "concept": emoji.concept,
            }
            yield f"{picture.style} {code}", example
