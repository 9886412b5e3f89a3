"""Some examples of a data set: those of given classes, such as one style of drawing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from score_sde.data.base import DataError, Examples, Info, Source

_CHUNK = 4096  # examples whose labels are read together


def chosen(source: Source, only: Sequence[str]) -> Source:
    """The examples whose labels are what each of some texts says, in their order.

    Labels are in the examples, so all are decoded here once.

    Args:
      source: of the whole set.
      only: "FIELD=CLASS" each, or "FIELD=CLASS|CLASS|..." for any of several: names of classes, or
        their numbers.

    Returns:
      The source; it does not cache, as the whole one does.

    Raises:
      DataError: there is no such label or class, or no example of it.
    """
    wanted = [_wanted(source.info, text) for text in only]
    kept = []
    for start in range(0, len(source), _CHUNK):
        found = source.gather(np.arange(start, min(start + _CHUNK, len(source))))
        fits = [np.isin(found[name], classes) for name, classes in wanted]
        kept.append(start + np.flatnonzero(np.all(fits, axis=0)))
    indices = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    if not len(indices):
        raise DataError(
            f"{source.info.name} has no example of {' and '.join(only)} in its split "
            f"{source.info.split}"
        )

    def read(positions: np.ndarray) -> Examples:
        return source.gather(indices[positions])

    print_of = hashlib.sha256(source.info.fingerprint.encode() + indices.tobytes()).hexdigest()
    info = dataclasses.replace(
        source.info, size=len(indices), fingerprint=print_of if source.info.fingerprint else ""
    )
    about = {"license": source.license, "place": source.place}
    note = f"{len(indices):,} of {len(source):,}: {' and '.join(only)}"
    note = f"{source.note}; {note}" if source.note else note
    density = source.log_density
    return Source(info, read, cache_bytes=0, log_density=density, note=note, **about)


def _wanted(info: Info, text: str) -> tuple[str, list[int]]:
    """A field, and the classes that are wanted of it."""
    name, says, classes = text.partition("=")
    if not says or not classes:
        raise DataError(f"only {text!r}: give FIELD=CLASS, such as label=3, or FIELD=CLASS|CLASS")
    field = info[name]
    if field.kind != "label":
        raise DataError(f"only {text!r}: {name} is of kind {field.kind}, and must be a label")
    try:
        return name, [field.class_of(one) for one in classes.split("|")]
    except ValueError as error:
        raise DataError(f"only {text!r:.80}: {error}") from error
