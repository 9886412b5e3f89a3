"""The sets of tensorflow-datasets, read from ArrayRecord files without TensorFlow.

Of a set's features the images of 8 bits, class labels, floating numbers and vectors are fields.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from score_sde import fields
from score_sde.data import decoding, digits
from score_sde.data.base import DataError, Examples, Info, Source, SplitError
from score_sde.fields import Field


def load(
    name: str, split: str, data_dir: str, image_size: int | None, crop: int | None = None
) -> Source:
    """Opens one split of a prepared set; `score_sde.data.load` says the rest.

    Args:
      name: TFDS name, such as "cifar10" or "lsun/church_outdoor", or a key of digits.BUILDERS.
      split: a split, or a slice of one such as "train[:1000]".
      data_dir: TFDS folder.
      image_size: side in pixels; None keeps the set's own fixed size.
      crop: side of the square that is resized to it; None for the largest.

    Returns:
      The source.

    Raises:
      DataError: if the set is unknown, not prepared, has no such split or no usable image.
    """
    bundled = name in digits.BUILDERS
    builder = (digits.prepared_builder if bundled else _builder)(name, data_dir)
    levels = builder.LEVELS if bundled else 256
    found = {
        key: _field(name, key, feature, levels, image_size, crop)
        for key, feature in builder.info.features.items()
    }
    kept = tuple(field for field in found.values() if field is not None)
    if not kept:
        raise DataError(
            f"{name} has no 8-bit image, label, number or vector: it has {', '.join(found)}"
        )
    images = {field.name: field for field in kept if field.kind == "image"}
    records = _records(builder, name, split, data_dir, tuple(images))

    def decode(field: Field, encoded: bytes) -> np.ndarray:
        resized = _resized(builder.info.features[field.name].shape, image_size, crop)
        return decoding.decode(encoded, field.shape[2], image_size if resized else None, crop)

    def read(indices: np.ndarray) -> Examples:
        examples = records.__getitems__(indices.tolist())
        return {
            field.name: np.stack([decode(field, example[field.name]) for example in examples])
            if field.name in images
            else np.array([example[field.name] for example in examples], field.dtype)
            for field in kept
        }

    return Source(Info(name, split, len(records), kept), read)


def prepare(name: str, data_dir: str) -> None:
    """Downloads a set and writes it as ArrayRecord files; does nothing if that is done already.

    Args:
      name: TFDS name, or a key of digits.BUILDERS.
      data_dir: TFDS folder, made if missing.

    Raises:
      DataError: if the set is unknown, TensorFlow is missing, or TFDS fails.
    """
    if name in digits.BUILDERS:
        digits.prepared_builder(name, data_dir)
        return
    builder = _builder(name, data_dir)
    if builder.data_path.exists():
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise DataError(
            f"preparing {name} needs TensorFlow (reading it does not): "
            'pip install "score_sde[prepare]", or pip install -e ".[prepare]" in a checkout'
        )
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # TFDS fails in many ways: network, checksum, disk, manual download.
        raise DataError(f"could not prepare {name}: {_first_line(error)}") from error


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    """The builder of a set. A name with a namespace is refused: TFDS would ask the network."""
    base, _, config = name.partition("/")
    if base in (known := tfds.list_builders(with_community_datasets=False)):
        variants = [variant.name for variant in tfds.builder_cls(base).BUILDER_CONFIGS]
        if variants and config and config.partition(":")[0] not in variants:
            raise DataError(f"{base} has no variant {config!r}: use {', '.join(variants)}")
    elif ":" in base or not Path(data_dir, base).is_dir():  # A folder: a set of the user's own.
        near = difflib.get_close_matches(name.lower(), [*known, *digits.BUILDERS, "folder"], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "see tfds.list_builders()"
        raise DataError(f"unknown data set {name!r}: {hint}")
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (ValueError, AssertionError, ImportError, OSError) as error:
        raise DataError(f"cannot open {name} in {data_dir}: {_first_line(error)}") from error


def _records(
    builder: tfds.core.DatasetBuilder, name: str, split: str, data_dir: str, images: Sequence[str]
) -> Sequence[dict[str, Any]]:
    """The examples of a split, images still encoded: `decode` sizes as it decodes."""
    how = f"python -m score_sde.data prepare {name} --data_dir={data_dir}"
    extra = 'needs pip install "score_sde[prepare]" or pip install -e ".[prepare]"'
    if not builder.data_path.exists():
        raise DataError(f"{name} is not prepared in {data_dir}: run `{how}` ({extra})")
    if split.partition("[")[0] not in builder.info.splits:
        raise SplitError(f"{name} has no split {split!r}: use {', '.join(builder.info.splits)}")
    try:
        skipped = tfds.decode.SkipDecoding()
        return builder.as_data_source(split, decoders=dict.fromkeys(images, skipped))
    except NotImplementedError as error:
        raise DataError(
            f"{name} is in {data_dir} in a format that cannot be read without TensorFlow: "
            f"remove {builder.data_path} and run `{how}` ({extra})"
        ) from error
    except (ValueError, AssertionError) as error:
        raise DataError(f"cannot read split {split!r} of {name}: {_first_line(error)}") from error


def _field(
    name: str,
    key: str,
    feature: tfds.features.FeatureConnector,
    levels: int,
    image_size: int | None,
    crop: int | None,
) -> Field | None:
    """The field that a feature is; None of those that are no field here."""
    if isinstance(feature, tfds.features.Image) and feature.np_dtype == np.uint8:
        height, width, channels = feature.shape
        channels = 1 if channels == 1 else 3
        if image_size is None and None in (height, width):
            raise DataError(f"the images of {name} differ in size: give image_size")
        if _resized(feature.shape, image_size, crop):
            return fields.image((image_size, image_size, channels), name=key)
        return fields.image((height, width, channels), levels, key)
    if isinstance(feature, tfds.features.ClassLabel):
        return fields.label(feature.num_classes, tuple(feature.names), key)
    if isinstance(feature, tfds.features.Tensor) and np.issubdtype(feature.np_dtype, np.floating):
        if feature.shape == ():
            return fields.number(key)
        if len(feature.shape) == 1 and feature.shape[0] is not None:
            return fields.vector(feature.shape[0], key)
    return None


def _resized(shape: tuple[int | None, ...], image_size: int | None, crop: int | None) -> bool:
    """Whether images of this shape are cropped or resized."""
    height, width = shape[:2]
    same = image_size is None or (height, width) == (image_size, image_size)
    return not (same and (crop is None or crop >= height))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
