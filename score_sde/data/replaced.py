"""A data set of which some examples cannot be read: others stand in their places."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from score_sde.data.base import DataError, Examples, Source

_SHARE = 100  # of so many examples one may be damaged,
_FEW = 10  # or this many: more are no accident, but a folder that is gone


def replaced(source: Source, say: Callable[[str], None]) -> Source:
    """The same number of examples: in the place of one that cannot be read, the next that can be.

    Batches stay what they are but for that, whenever the damage is found. So a run goes on with it
    that began without, and takes the same steps again as long as the same examples are damaged.

    Args:
      source: which raises a DataError where an example cannot be read.
      say: is told of each such example, once, in a line; it is called from several threads.

    Returns:
      The source; its examples raise a DataError where too many are damaged.
    """
    stands: dict[int, int] = {}  # for those that are damaged
    most = min(len(source) - 1, max(_FEW, len(source) // _SHARE))
    lock = threading.Lock()

    def find(index: int) -> None:
        """Look whether an example can be read, and if not, for the one that takes its place."""
        other = index
        try:
            source.gather(np.array([other]))
            return
        except DataError as error:
            first = error
        damaged = {index, *stands}  # each once, in whatever order they are met
        while len(damaged) <= most:
            other = (other + 1) % len(source)
            if other in damaged:
                continue
            try:
                source.gather(np.array([other]))
            except DataError:
                damaged.add(other)
                continue
            stands[index] = other
            say(
                f"warning: {first}. Example {other} is trained on in place of {index}; "
                f"{len(stands)} of {len(source):,} are damaged so far"
            )
            return
        raise DataError(f"{first}; more than {most} of {len(source):,} examples are damaged")

    def gathered(indices: np.ndarray) -> Examples:
        return source.gather(np.array([stands.get(i, i) for i in indices.tolist()], np.int64))

    def read(indices: np.ndarray) -> Examples:
        try:
            return gathered(indices)
        except DataError:
            with lock:
                for index in np.unique(indices).tolist():
                    if index not in stands:
                        find(index)
            return gathered(indices)

    about = {"license": source.license, "note": source.note, "place": source.place}
    return Source(source.info, read, cache_bytes=0, log_density=source.log_density, **about)
