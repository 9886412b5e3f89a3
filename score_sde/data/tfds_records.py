"""The records of a set that TFDS prepared: the fields of examples by their position.

A record is a protocol buffer in an ArrayRecord file. Only the fields that are asked for are read
from it, images still encoded: TFDS would decode all that there is, each format in its own way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from score_sde.data import prepared
from score_sde.data.base import DataError
from score_sde.fields import Field, encode_texts


class Records:
    """Random access to the examples of a split.

    Attributes:
      folder: of the set.
      name: what an error calls the split.
    """

    def __init__(
        self, builder: tfds.core.DatasetBuilder, name: str, split: str, kept: Sequence[Field]
    ):
        """Opens a split.

        Args:
          builder: of the set.
          name: of the set.
          split: a split or a slice of one.
          kept: the fields that are read.

        Raises:
          DataError: the files are not those that the metadata describe.
          NotImplementedError: the set is in a format that needs TensorFlow.
          ValueError: there is no such slice.
        """
        self.folder, self.name = Path(builder.data_path), f"split {split!r} of {name}"
        self._fields = kept
        self._features = {field.name: builder.info.features[field.name] for field in kept}
        lengths = builder.info.splits[split.partition("[")[0]].shard_lengths
        if sum(lengths) < 1 or min(lengths) < 0:
            raise prepared.damaged(self.folder, ValueError(f"{self.name} has no examples"))
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        self._records = builder.as_data_source(split, deserialize_method=raw)
        try:
            self._shards = builder.info.splits[split].file_instructions
            _check_shards(self._shards, self.folder)
        except (RuntimeError, ValueError) as error:
            raise prepared.damaged(self.folder, error) from error

    def __len__(self) -> int:
        return len(self._records)

    def read(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The fields of examples; an image is the bytes of a file.

        Raises:
          DataError: a record is damaged; it says which.
        """
        try:
            raw = self._records.__getitems__(list(indices))
            return [self._example(record) for record in raw]
        except (DataError, MemoryError):
            raise
        except Exception as error:  # of the reader and of the protocol buffers
            for index in indices if len(indices) > 1 else ():  # one alone is the damaged one
                self.read([index])
            record = self._record(indices[0]) if len(indices) else ""
            raise prepared.damaged(self.folder, error, record) from error

    def _record(self, index: int) -> str:
        """An example in words, by its file."""
        for shard in self._shards:
            if index < shard.take:
                return f"record {shard.skip + index} of {shard.filename}"
            index -= shard.take
        raise IndexError(f"{self.name} has no example so far on")

    def _example(self, record: bytes) -> dict[str, Any]:
        stored = tf_example_pb2.Example.FromString(record).features.feature
        return {field.name: self._value(field, stored) for field in self._fields}

    def _value(self, field: Field, stored: Mapping[str, Any]) -> Any:
        if field.name not in stored:
            raise ValueError(f"an example has no {field.name}")
        kind = stored[field.name].WhichOneof("kind")
        values = getattr(stored[field.name], kind).value
        if field.kind == "image":
            (value,) = values
            return value
        if field.kind == "text":
            (value,) = values
            return encode_texts([value.decode()], *field.shape)[0]
        if kind == "bytes_list":  # an encoded tensor
            values = self._features[field.name].decode_example_np(values[0])
        value = np.array(values, field.dtype).reshape(field.shape)
        if field.kind == "label" and not 0 <= value < field.values:
            raise ValueError(f"a {field.name} is {value}, not below {field.values}")
        if not np.isfinite(value).all():
            raise ValueError(f"a {field.name} is not finite")
        return value


def _check_shards(shards: Sequence[Any], folder: Path) -> None:
    """Raises a ValueError unless the files of a split hold as many records as the metadata say.

    The reader itself raises a RuntimeError.
    """
    from array_record.python.array_record_module import ArrayRecordReader

    for shard in shards:
        path = Path(shard.filename)
        if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder)):
            raise ValueError(f"{path} lies outside")
        if not path.is_file():
            raise ValueError(f"it lacks {path.name}")
        reader = ArrayRecordReader(str(path))
        records = reader.num_records()
        reader.close()
        if records != shard.examples_in_shard:
            raise ValueError(f"{path.name} has {records} examples, not {shard.examples_in_shard}")
