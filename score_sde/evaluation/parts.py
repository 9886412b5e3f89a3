"""Arrays of finished batches on disk, from which an evaluation that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.errors import UserError
from score_sde.formats import npz


class Parts:
    """A sequence of examples in files, one for each batch, named by its first example's number.

    A file is there whole or not at all. Their folder is named by what determines the examples, so
    that those of another protocol are never mixed in; protocol.json in it says what that is.

    Args:
        folder: where to make that folder, when the first part is written.
        name: of what is kept.
        protocol: everything that determines the examples, as JSON values.
    """

    def __init__(self, folder: Path, name: str, protocol: dict[str, Any]):
        self._protocol = protocol
        text = json.dumps(protocol, sort_keys=True)
        self.folder = folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of each part, [batch, ...] each, in order up to the first that is missing.

        Raises:
            UserError: a file is damaged.
        """
        start, kinds = 0, None
        while (path := self._path(start)).exists():
            try:
                with npz.opened(path, "a part") as file:
                    part = dict(file)
                    found = {name: (array.shape[1:], array.dtype) for name, array in part.items()}
                    kinds = kinds or found
                    length = len(next(iter(part.values()), ()))
                    if found != kinds or length < 1:
                        raise ValueError("its arrays are other ones")
            except UserError as error:
                raise UserError(f"{path} is damaged ({error.__cause__}): remove it") from error
            start += length
            yield part

    def append(self, start: int, part: dict[str, np.ndarray]) -> None:
        """Write a part, and wait until it is on the disk.

        Args:
            start: the number of its first example.
            part: arrays, [batch, ...] each.
        """
        if start == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "protocol.json").write_text(json.dumps(self._protocol, indent=2) + "\n")
        partial = self._path(start).with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, **part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path(start))

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:08d}.npz"
