"""Any image set of tensorflow-datasets, read from ArrayRecord files without TensorFlow."""

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from score_sde.data import decoding, digits
from score_sde.data.base import DataError, Info, Source, SplitError


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
    image_key, label_key = _keys(name, builder.info.features)
    records = _records(builder, name, split, data_dir, image_key)

    height, width, channels = builder.info.features[image_key].shape
    channels = 1 if channels == 1 else 3
    if image_size is None and None in (height, width):
        raise DataError(f"the images of {name} differ in size: give image_size")
    same = image_size is None or (height, width) == (image_size, image_size)
    unchanged = same and (crop is None or crop >= height)
    size = None if unchanged else image_size
    label = builder.info.features[label_key] if label_key else None
    info = Info(
        name=name,
        split=split,
        size=len(records),
        shape=(height, width, channels) if unchanged else (image_size, image_size, channels),
        num_classes=label.num_classes if label else 0,
        levels=builder.LEVELS if bundled and unchanged else 256,
        label_names=tuple(label.names) if label else (),
    )

    def read(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        examples = records.__getitems__(indices.tolist())
        pixels = [decoding.decode(example[image_key], channels, size, crop) for example in examples]
        labels = [example[label_key] if label_key else -1 for example in examples]
        return np.stack(pixels), np.array(labels, np.int32)

    return Source(info, read)


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
    builder: tfds.core.DatasetBuilder, name: str, split: str, data_dir: str, image_key: str
) -> Sequence[dict[str, Any]]:
    """The examples of a split, images still encoded: `decode` sizes as it decodes."""
    how = f"python -m score_sde.data prepare {name} --data_dir={data_dir}"
    extra = 'needs pip install "score_sde[prepare]" or pip install -e ".[prepare]"'
    if not builder.data_path.exists():
        raise DataError(f"{name} is not prepared in {data_dir}: run `{how}` ({extra})")
    if split.partition("[")[0] not in builder.info.splits:
        raise SplitError(f"{name} has no split {split!r}: use {', '.join(builder.info.splits)}")
    try:
        return builder.as_data_source(split, decoders={image_key: tfds.decode.SkipDecoding()})
    except NotImplementedError as error:
        raise DataError(
            f"{name} is in {data_dir} in a format that cannot be read without TensorFlow: "
            f"remove {builder.data_path} and run `{how}` ({extra})"
        ) from error
    except (ValueError, AssertionError) as error:
        raise DataError(f"cannot read split {split!r} of {name}: {_first_line(error)}") from error


def _keys(name: str, features: tfds.features.FeaturesDict) -> tuple[str, str | None]:
    """The names of the image and, if there is one, of the label among a set's features."""
    image_key = _choose("image", features, tfds.features.Image)
    if image_key is None or features[image_key].np_dtype != np.uint8:
        raise DataError(f"{name} has no single 8-bit image: it has {', '.join(features)}")
    return image_key, _choose("label", features, tfds.features.ClassLabel)


def _choose(usual: str, features: tfds.features.FeaturesDict, kind: type) -> str | None:
    """The feature of a kind: the one with the usual name, else the only one, else None."""
    keys = [key for key, feature in features.items() if isinstance(feature, kind)]
    return usual if usual in keys else keys[0] if len(keys) == 1 else None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
