"""A file of finished pieces of work, from which an evaluation that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_sde import records
from score_sde.files import regular, replacing, set_aside


class Journal:
    """Rows of JSON, one a line, below a first line that says what they are pieces of.

    A row is whole and the one that was written, by a checksum of it and the protocol, or it does
    not count: it is measured again. The file is named by what determines the numbers, so that rows
    of another protocol are never mixed in.

    Args:
        folder: where to keep it; made if missing, when the first row is written.
        name: of what is measured.
        protocol: everything that determines the numbers, as JSON values.
        say: told when rows are damaged.
    """

    def __init__(
        self, folder: Path, name: str, protocol: dict[str, Any], say: Callable[[str], None] = print
    ):
        self._first = json.dumps(protocol, sort_keys=True)
        self._digest = hashlib.sha256(self._first.encode()).hexdigest()[:16]
        self._say, self._tidy = say, False
        self.path = folder / f"{name}-{self._digest}.jsonl"

    def rows(self) -> list[dict[str, Any]]:
        """The rows that are whole, in the order in which they were written."""
        lines, damage = self._read()
        if damage:
            self._say(f"warning: {self.path}: {damage}, and what was there is measured again")
        return [self._row(line) for line in lines]

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, and wait until it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._tidy:
            self._put_in_order()
        with self.path.open("ab") as file:
            # What a killed process left of a row goes.
            whole = self._whole()
            file.truncate(len(whole))
            first = b"" if whole else self._first.encode() + b"\n"
            line = json.dumps(records.sealed(row, self._digest))
            file.write(first + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _put_in_order(self) -> None:
        """Begin the file again with its good rows, and keep the damaged one beside it."""
        lines, damage = self._read()
        if damage:
            set_aside(self.path)
            with replacing(self.path) as file:
                file.write(b"\n".join([self._first.encode(), *lines, b""]))
        self._tidy = True

    def _read(self) -> tuple[list[bytes], str]:
        """The lines of good rows, and what is wrong with the file, or ""."""
        try:
            head, *lines = self._whole().split(b"\n")[:-1] or [self._first.encode()]
        except FileNotFoundError:
            return [], ""
        except OSError as error:
            return [], f"it cannot be read ({error.strerror})"
        good = [line for line in lines if self._row(line) is not None]
        bad = len(lines) - len(good) + (head != self._first.encode())
        return good, f"{bad} damaged line(s) are left out" if bad else ""

    def _row(self, line: bytes) -> dict[str, Any] | None:
        """The row that a line holds; None if it is not one that was written here."""
        try:
            values = records.parse(line)
            return records.unsealed(values, self._digest) if records.SEAL in values else None
        except ValueError:
            return None

    def _whole(self) -> bytes:
        with regular(self.path) as file:
            content = file.read()
        return content[: content.rfind(b"\n") + 1]
