"""The sets of tensorflow-datasets, read from ArrayRecord files without TensorFlow.

Of a set's features the images of 8 bits, class labels, floating numbers and vectors are fields,
tensors of 8 bits with four axes, which are videos, and texts that `text_feature` made.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from score_sde import fields
from score_sde.data import decoding, digits, prepared
from score_sde.data.base import (
    MOST_CLASSES,
    DataError,
    Examples,
    Info,
    Source,
    SplitError,
    UnknownSetError,
    digest,
)
from score_sde.data.decoding import ImageOptions
from score_sde.data.emoji import NAME as EMOJI
from score_sde.data.survey import note, survey
from score_sde.data.text_feature import text_field
from score_sde.data.tfds_records import Records
from score_sde.errors import UserError, first_line
from score_sde.fields import Field

_LISTS = (
    "`python -m score_sde.data prepare --help` lists those here, tfds.list_builders() those of TFDS"
)
_NAME = re.compile(r"(?P<base>\w+)(/(?P<variant>[\w+-][\w.+-]*))?(:(?P<version>[\d*.]+))?")


def load(
    name: str, split: str, data_dir: str, options: ImageOptions, also: Sequence[str] = ()
) -> Source:
    """Opens one split of a prepared set; `score_sde.data.load` says the rest.

    Args:
      name: TFDS name, such as "cifar10" or "lsun/church_outdoor", or a key of digits.BUILDERS.
      split: a split, or a slice of one such as "train[:1000]".
      data_dir: TFDS folder.
      options: what is done with the images; without `size` they have the set's own fixed size.
      also: names of sets that are none of TFDS, one of which may have been meant.

    Returns:
      The source.

    Raises:
      DataError: if the set is unknown, not prepared, damaged, or has no such split or usable field.
    """
    builder = _builder(name, data_dir, also)
    bundled = digits.BUILDERS.get(name.partition(":")[0])
    levels = bundled.LEVELS if bundled else 256
    found = {
        key: _field(name, key, feature, levels, options)
        for key, feature in builder.info.features.items()
    }
    # The metadata have no order of their own.
    kept = tuple(
        sorted(
            (field for field in found.values() if field is not None),
            key=lambda field: (fields.KINDS.index(field.kind), field.name),
        )
    )
    if not kept:
        raise DataError(
            f"{name} has no 8-bit image, label, number, vector or text: it has {', '.join(found)}"
        )
    records = _records(builder, name, split, data_dir, kept)
    about, license = _fingerprint(builder, split), _license(builder)

    def decoded(example: dict[str, Any], field: Field, index: int) -> np.ndarray:
        value = example[field.name]
        if field.kind != "image":
            return value
        where = f"{field.name} {index} of {records.name}"
        return decoding.decode(value, field.shape, options, where)

    def read(indices: np.ndarray) -> Examples:
        examples = list(zip(indices.tolist(), records.read(indices.tolist()), strict=True))
        return {
            field.name: np.stack([decoded(one, field, index) for index, one in examples])
            for field in kept
        }

    if not options.skip_damaged:
        return Source(Info(name, split, len(records), kept, about), read, license=license)
    seen = survey(lambda index: read(np.array([index])).keys(), range(len(records)), True)
    whole = np.flatnonzero([not isinstance(one, UserError) for one in seen])
    about = digest([about, whole.tobytes()]) if len(whole) < len(records) else about
    info = Info(name, split, len(whole), kept, about)
    return Source(info, lambda indices: read(whole[indices]), note=note(seen), license=license)


def prepare(name: str, data_dir: str, also: Sequence[str] = ()) -> None:
    """Downloads a set and writes it as ArrayRecord files; does nothing if that is done already.

    Args:
      name: TFDS name, or a key of digits.BUILDERS.
      data_dir: TFDS folder, made if missing.
      also: names of sets that are none of TFDS, one of which may have been meant.

    Raises:
      DataError: if the set is unknown, TensorFlow is missing, or TFDS fails.
    """
    builder = _builder(name, data_dir, also)  # which makes those of digits.BUILDERS
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
        raise DataError(f"could not prepare {name}: {first_line(error)}") from error


def _builder(name: str, data_dir: str, also: Sequence[str]) -> tfds.core.DatasetBuilder:
    """The builder of a set: of its files if it is prepared, else of TFDS's code.

    A name with a namespace is refused: TFDS would ask the network.
    """
    known = tfds.list_builders(with_community_datasets=False)
    given = _NAME.fullmatch(name)
    base = given["base"] if given else ""
    folder = Path(data_dir, base)
    if base == EMOJI and not folder.is_dir():
        raise DataError(
            f"{name} is not prepared in {data_dir}: run `python -m score_sde.data prepare {EMOJI} "
            f"--data_dir={data_dir}`"
        )
    if not base or not (base in known or base in digits.BUILDERS or folder.is_dir()):
        names = dict.fromkeys((*known, *also))
        near = difflib.get_close_matches(name.lower(), list(names), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else _LISTS
        if Path(name).exists():
            kind = "folder" if Path(name).is_dir() else "arrays"
            hint = f"it is a path: the set is {kind!r}, with the path as data_dir (config.data.dir)"
        raise UnknownSetError(f"unknown data set {name!r}: {hint}")
    variant = given["variant"] or ""
    if base in known:
        variant = _variant(base, variant)
    version = given["version"] or ""
    found = prepared.find(folder / variant, version)
    try:
        if found is not None:
            prepared.check(found)
            return tfds.builder_from_directory(found)
        if base in digits.BUILDERS and not version:
            return digits.prepared_builder(base, data_dir)
        if base in known and not version:  # its code says what it would be
            return tfds.builder(f"{base}/{variant}" if variant else base, data_dir=data_dir)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # TFDS fails in many ways on files that are not as it wrote them
        raise prepared.damaged(found or folder, error) from error
    newest = prepared.find(folder / variant)
    others = [f"{name.partition(':')[0]}:{newest.name}"] if newest else []
    others += [f"{base}/{one}" for one in prepared.variants(folder)]
    hint = (
        f"use {', '.join(others)}" if others else "it has no features.json in a folder like 1.0.0"
    )
    raise DataError(f"{name} is not prepared in {folder}: {hint}")


def _variant(base: str, variant: str) -> str:
    """The variant of a set of TFDS's own: the default one where none is given."""
    code = tfds.builder_cls(base)
    names = [one.name for one in code.BUILDER_CONFIGS]
    if names and variant and variant not in names:
        raise DataError(f"{base} has no variant {variant!r}: use {', '.join(names)}")
    return variant or (code.default_builder_config.name if names else "")


def _records(
    builder: tfds.core.DatasetBuilder, name: str, split: str, data_dir: str, kept: tuple[Field, ...]
) -> Records:
    """The examples of a split, images still encoded: `decode` sizes as it decodes."""
    how = f"python -m score_sde.data prepare {name} --data_dir={data_dir}"
    extra = 'needs pip install "score_sde[prepare]" or pip install -e ".[prepare]"'
    if not builder.data_path.exists():
        raise DataError(f"{name} is not prepared in {data_dir}: run `{how}` ({extra})")
    if split.partition("[")[0] not in builder.info.splits:
        raise SplitError(f"{name} has no split {split!r}: use {', '.join(builder.info.splits)}")
    try:
        return Records(builder, name, split, kept)
    except NotImplementedError as error:
        raise DataError(
            f"{name} is in {data_dir} in a format that cannot be read without TensorFlow: "
            f"remove {builder.data_path} and run `{how}` ({extra})"
        ) from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # TFDS fails in many ways on files that are not as it wrote them
        raise DataError(f"cannot read split {split!r} of {name}: {first_line(error)}") from error


def _fingerprint(builder: tfds.core.DatasetBuilder, split: str) -> str:
    """Of the version, the shards and what is taken of each: the same wherever the set was built."""
    shards = builder.info.splits[split].file_instructions
    taken = (f"{Path(s.filename).name} {s.skip} {s.take} {s.examples_in_shard}" for s in shards)
    return digest([str(builder.version), *taken])


def _license(builder: tfds.core.DatasetBuilder) -> str:
    """What the metadata say of it, in one line."""
    return " ".join((builder.info.redistribution_info.license or "").split())


def _field(
    name: str,
    key: str,
    feature: tfds.features.FeatureConnector,
    levels: int,
    options: ImageOptions,
) -> Field | None:
    """The field that a feature is; None of those that are no field here."""
    if isinstance(feature, tfds.features.Image) and feature.np_dtype == np.uint8:
        height, width, channels = feature.shape
        channels = 1 if channels == 1 else 3
        if options.size is None and None in (height, width):
            raise DataError(f"the images of {name} differ in size: {decoding.GIVE_SIZE}")
        if _resized(feature.shape, options):
            return fields.image((options.size, options.size, channels), name=key)
        return fields.image((height, width, channels), levels, key)
    if isinstance(feature, tfds.features.ClassLabel):
        if not 0 < (feature.num_classes or 0) <= MOST_CLASSES:
            raise DataError(
                f"{key} of {name} is a label of {feature.num_classes} classes; there can be "
                f"{MOST_CLASSES:,}"
            )
        return fields.label(feature.num_classes, tuple(feature.names), key)
    if texts := text_field(feature, key):
        return texts
    if type(feature) is tfds.features.Tensor and feature.np_dtype == np.uint8:
        if len(feature.shape) != 4 or None in feature.shape:
            return None
        if options.size or options.crop:
            raise DataError(
                f"the videos of {name} are taken as they are: leave out image_size and crop"
            )
        return fields.video(feature.shape, levels, key)
    if isinstance(feature, tfds.features.Tensor) and np.issubdtype(feature.np_dtype, np.floating):
        if feature.shape == ():
            return fields.number(key)
        if len(feature.shape) == 1 and feature.shape[0] is not None:
            return fields.vector(feature.shape[0], key)
    return None


def _resized(shape: tuple[int | None, ...], options: ImageOptions) -> bool:
    """Whether images of this shape are cropped or resized."""
    height, width = shape[:2]
    same = options.size is None or (height, width) == (options.size, options.size)
    return not (same and (options.crop is None or options.crop >= height))
