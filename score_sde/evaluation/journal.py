"""A file of finished pieces of work, from which an evaluation that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from score_sde.errors import UserError


class Journal:
    """Rows of JSON, one a line, below a first line that says what they are pieces of.

    A row is whole or, where the process was killed while it wrote, is not there. Its file is named
    by what determines the numbers, so that rows of another protocol are never mixed in.

    Args:
        folder: where to keep it; made if missing, when the first row is written.
        name: of what is measured.
        protocol: everything that determines the numbers, as JSON values.
    """

    def __init__(self, folder: Path, name: str, protocol: dict[str, Any]):
        self._first = json.dumps(protocol, sort_keys=True)
        digest = hashlib.sha256(self._first.encode()).hexdigest()[:16]
        self.path = folder / f"{name}-{digest}.jsonl"

    def rows(self) -> list[dict[str, Any]]:
        """The rows that are whole; part of a row at the end of the file is left out.

        Raises:
            UserError: the file is damaged.
        """
        if not self.path.exists():
            return []
        try:
            return [json.loads(line) for line in self._whole().splitlines()[1:]]
        except ValueError as error:
            raise UserError(f"{self.path} is damaged ({error}): remove it") from error

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, and wait until it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            # What a killed process left of a row goes.
            whole = self._whole()
            file.truncate(len(whole))
            first = b"" if whole else self._first.encode() + b"\n"
            file.write(first + json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _whole(self) -> bytes:
        content = self.path.read_bytes()
        return content[: content.rfind(b"\n") + 1]
