"""Arrays of finished batches on disk, from which an evaluation that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.errors import UserError
from score_sde.files import replacing, set_aside
from score_sde.formats import npz
from score_sde.models.functional import fingerprint

_SEAL = "sha256"  # among the arrays of a part


class Parts:
    """A sequence of examples in files, one for each batch, named by its first example's number.

    A file is there whole or not at all, and counts if it is the one that was written there, by a
    checksum of its arrays, its place and the protocol. Their folder is named by what determines the
    examples, so that those of another protocol are never mixed in; protocol.json in it says what
    that is.

    Args:
        folder: where to make that folder, when the first part is written.
        name: of what is kept.
        protocol: everything that determines the examples, as JSON values.
        say: told when a file is damaged.
    """

    def __init__(
        self, folder: Path, name: str, protocol: dict[str, Any], say: Callable[[str], None] = print
    ):
        self._protocol, self._say = protocol, say
        self._damaged: set[Path] = set()
        text = json.dumps(protocol, sort_keys=True)
        self.folder = folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of each part, [batch, ...] each, up to one that is missing or damaged.

        A damaged one is to be made again, and stays beside that as NAME.damaged.
        """
        start = 0
        while (path := self._path(start)).exists():
            try:
                with npz.opened(path, "a part") as file:
                    part = dict(file)
                    if str(part.pop(_SEAL, "")) != self._seal(start, part):
                        raise ValueError("its arrays are other ones")
            except UserError as error:
                self._damaged.add(path)
                self._say(
                    f"warning: {path} is damaged ({error.__cause__}): what it held, and what "
                    "follows it, is made again"
                )
                return
            start += len(next(iter(part.values())))
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
        path = self._path(start)
        with replacing(path) as file:
            np.savez(file, **part, **{_SEAL: np.array(self._seal(start, part))})
            file.flush()
            os.fsync(file.fileno())
            if path in self._damaged:
                self._damaged.remove(path)
                set_aside(path)

    def _seal(self, start: int, part: Mapping[str, np.ndarray]) -> str:
        text = f"{self.folder.name} {start} {fingerprint(part)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:08d}.npz"
