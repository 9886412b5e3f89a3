"""Folders that tensorflow-datasets has prepared: which one a name means, and whether to trust it.

TFDS imports the module of whatever class a folder's metadata name. So they are read here first, and
a folder is given to TFDS only if the metadata name features of TFDS itself, and files inside it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from score_sde.data.base import DataError
from score_sde.errors import first_line

_METADATA = ("features.json", "dataset_info.json")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_MOST_BYTES = 2**26  # of a file of metadata
# Of what files of a split are called: TFDS formats it, so nothing else may stand in braces.
_TEMPLATE = re.compile(
    r"([\w.-]|/(?!/)|\{(DATASET|SPLIT|FILEFORMAT|SHARD_INDEX|NUM_SHARDS|SHARD_X_OF_Y)\})*"
)
# Keys, in either spelling of protocol buffers, whose value TFDS takes for a class; "type" is older.
_CLASS = ("pythonClassName", "python_class_name", "type")
_PATH = ("filepathTemplate", "filepath_template")


def find(folder: Path, version: str = "") -> Path | None:
    """The folder of the newest version of a set.

    Args:
      folder: of the set, or of one of its variants.
      version: such as "1.0.0" or "1.*.*"; any if empty.

    Returns:
      The sub-folder, or None if there is none.
    """
    wanted = re.compile(version.replace(".", r"\.").replace("*", r"\d+") or _VERSION.pattern)
    try:
        found = [
            path
            for path in folder.iterdir()
            if _VERSION.fullmatch(path.name)
            and wanted.fullmatch(path.name)
            and any((path / name).exists() for name in _METADATA)
        ]
    except OSError:
        return None
    return max(found, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def variants(folder: Path) -> list[str]:
    """Names of the variants of a set that are prepared, from the folder of the set."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in inside if find(path))


def check(folder: Path) -> None:
    """Raises a DataError unless the metadata of a folder may be given to TFDS."""
    for path in folder.iterdir():
        if not (path.is_file() or path.is_dir()):
            raise DataError(f"{path} is no regular file: remove {folder} and prepare it again")
    for name in _METADATA:
        path = folder / name
        for key, value in _strings(_json(path), path):
            if key in _CLASS and "." in value and value not in _classes():
                raise DataError(
                    f"{path} names the class {value}, which is no feature of tensorflow-datasets; "
                    "it is not imported: take this set from where you trust it"
                )
            if key in _PATH and (not _TEMPLATE.fullmatch(value) or ".." in value):
                raise DataError(f"{path} names files {value!r}, which can be none of this set")


def damaged(folder: Path, error: Exception, part: str = "") -> DataError:
    """What to say of a folder with which TFDS failed, and of the part of it that it is."""
    what, all_of_it = (part, str(folder)) if part else (str(folder), "it")
    return DataError(
        f"{what} is damaged ({first_line(error)}): remove {all_of_it} and prepare it again"
    )


def _json(path: Path) -> Any:
    """What a file of metadata holds."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES:,} bytes")
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"cannot read {path} ({getattr(error, 'strerror', None) or error}): remove "
            f"{path.parent} and prepare it again"
        ) from error
    return found


def _strings(values: Any, path: Path) -> Iterator[tuple[str, str]]:
    """The strings in a value of JSON, each with the key that it is of, however deep.

    TFDS reads JSON in a string as well, so those are looked into too.
    """
    left = [("", values)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left.extend(value.items())
        elif isinstance(value, list):
            left.extend((key, one) for one in value)
        elif isinstance(value, str):
            yield key, value
            if value.lstrip().startswith(("{", "[")):
                try:
                    left.append((key, json.loads(value)))
                except (ValueError, RecursionError):  # a description that begins so
                    if key in ("json", "content"):
                        raise DataError(f"{path} holds {key} that is no JSON") from None


@functools.cache
def _classes() -> frozenset[str]:
    """The features of TFDS itself, under their names and those that they had before."""
    own = [
        feature
        for feature in vars(tfds.features).values()
        if isinstance(feature, type)
        and issubclass(feature, tfds.features.FeatureConnector)
        and feature.__module__.startswith("tensorflow_datasets.core.features.")
    ]
    names = {f"{feature.__module__}.{feature.__name__}" for feature in own}
    return frozenset(names.union(*(feature.ALIASES for feature in own)))
