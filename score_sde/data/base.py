"""What every data set is here: a frozen description and random access to decoded images."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from score_sde.errors import UserError

# Sets that are at most this large when decoded (CIFAR-10 is 0.15 GB, CelebA at 64x64 is 2.0 GB) are
# kept in memory once decoded.
CACHE_BYTES = 2 * 2**30

Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class DataError(UserError):
    """Data that cannot be found or used; the one-line message says what to do about it."""


class SplitError(DataError):
    """The data set has no such split."""


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of a data set before any image is read.

    Attributes:
      name: the name that it was loaded by.
      split: the part of it, such as "train".
      size: number of examples.
      shape: (height, width, channels) of every image, in pixels.
      num_classes: number of classes; 0 if the set has no labels.
      levels: number of distinct values that a pixel takes: 256, or 17 for the digits.
      label_names: one name a class; empty if the set has no labels.
    """

    name: str
    split: str
    size: int
    shape: tuple[int, int, int]
    num_classes: int = 0
    levels: int = 256
    label_names: tuple[str, ...] = ()


class Source:
    """Random access to the decoded images and labels of one split.

    A set that fits in `cache_bytes` is decoded once: each image goes into one uint8 array when it
    is first asked for, so a run starts at once, decodes during its first epoch (in the threads of
    the pipeline) and only copies after it. A larger set is decoded at every access.

    Attributes:
      info: the description of the set.
    """

    def __init__(self, info: Info, read: Read, *, cache_bytes: int = CACHE_BYTES):
        """Makes a source.

        Args:
          info: the description of the set.
          read: decodes the examples at an int64 index vector [n]: images uint8 [n, H, W, C] and
            labels int32 [n], -1 where the set has none. It is called from several threads.
          cache_bytes: the largest decoded size, in bytes, that is kept in memory.
        """
        self.info = info
        self._read = read
        self._cached = info.size * int(np.prod(info.shape)) <= cache_bytes
        if self._cached:
            # Pages of an empty array take no memory before they are written.
            self._images = np.empty((info.size, *info.shape), np.uint8)
            self._labels = np.empty(info.size, np.int32)
            self._decoded = np.zeros(info.size, bool)

    def __len__(self) -> int:
        return self.info.size

    def __getitem__(self, index: int) -> dict[str, np.ndarray | int]:
        """One example.

        Args:
          index: its position, -size to size - 1.

        Returns:
          {"image": uint8 [H, W, C], "label": int}; the label is -1 if the set has none.

        Raises:
          IndexError: if there is no such example.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        batch = self.gather(np.array([index % len(self)]))
        return {"image": batch["image"][0], "label": int(batch["label"][0])}

    def __iter__(self) -> Iterator[dict[str, np.ndarray | int]]:
        return (self[index] for index in range(len(self)))

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Several examples at once; `gather(np.arange(len(source)))` is the whole set.

        Args:
          indices: positions, integers in [0, size), [n]; repeats are allowed.

        Returns:
          {"image": uint8 [n, H, W, C], "label": int32 [n]}, copies.
        """
        if not self._cached:
            images, labels = self._read(indices)
            return {"image": images, "label": labels}
        missing = np.unique(indices[~self._decoded[indices]])
        if missing.size:
            # Two threads may decode the same image: they write the same bytes, and the mark is set
            # last.
            self._images[missing], self._labels[missing] = self._read(missing)
            self._decoded[missing] = True
        return {"image": self._images[indices], "label": self._labels[indices]}
