"""A reader of PyTorch's .pth files that knows tensors and nothing else. It needs no PyTorch.

Such a file is a zip archive of one pickle, `data.pkl`, and one raw little-endian array for each
storage; from before PyTorch 1.6 it is what torch_legacy reads. Nothing in it is executed, see
restricted.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.formats import torch_legacy
from score_sde.formats.mapped import mapped
from score_sde.formats.restricted import (
    LARGEST_PROGRAM,
    Program,
    Unpickler,
    Unreadable,
    line,
    reading,
)
from score_sde.formats.tensors import NAMES, Storage, Stored


def load(path: str | Path) -> Any:
    """Everything in a file, with NumPy arrays in place of tensors.

    Arrays are mapped from the file: what is not used is not read. However many there are, they
    share one mapping, and so one file descriptor.

    Args:
        path: a file that `torch.save` wrote.

    Returns:
        The saved object: dictionaries (also in place of an argparse.Namespace), lists, numbers,
        strings and read-only arrays.

    Raises:
        ValueError: the file is damaged, or not of this format.
        pickle.UnpicklingError: the file holds something other than tensors and plain containers;
            the message names it. Nothing of it has been executed.
    """
    path = Path(path)
    with reading(path):
        with path.open("rb") as file:
            legacy = file.read(len(torch_legacy.START)) == torch_legacy.START
        if legacy:
            return torch_legacy.load(mapped(path))
        try:
            with zipfile.ZipFile(path) as archive:
                return _Archive(path, archive).load()
        except zipfile.BadZipFile as error:
            raise Unreadable(f"is not a PyTorch file: {error}") from error


class _Archive:
    """An open file: where its storages lie, and the arrays that were read from them."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.archive = archive
        for member in archive.infolist():
            # torch.save compresses nothing; a small compressed file can fill any memory.
            if member.compress_type != zipfile.ZIP_STORED:
                raise Unreadable(
                    f"is not a PyTorch file: its {line(member.filename)} is compressed"
                )
        pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise Unreadable("is not a PyTorch file: it holds no data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        # Each mapping costs a file descriptor; full-size checkpoints hold thousands of storages.
        self.bytes = np.frombuffer(mapped(path), np.uint8)

    def load(self) -> Any:
        order = f"{self.folder}byteorder"
        if order in self.archive.namelist() and self._start(order) != b"little":
            raise Unreadable("holds big-endian arrays, which are not supported")
        program = self.archive.getinfo(f"{self.folder}data.pkl")
        if program.file_size > LARGEST_PROGRAM:
            raise Unreadable(f"is refused: its data.pkl has {program.file_size} bytes")
        with self.archive.open(program) as file:
            return Unpickler(Program(file.read()), NAMES, self.storage).load()

    def _start(self, name: str) -> bytes:
        """The first bytes of a member of the archive, which may have any size."""
        with self.archive.open(name) as file:
            return file.read(16)

    def storage(self, pid: Any) -> Storage:
        """The storage of a persistent id."""
        stored = Stored.of(pid)
        if stored.part is not None:
            raise Unreadable("is damaged: a part of a storage is no storage of an archive")
        raw = self._raw(f"{self.folder}data/{stored.key}")
        size = stored.size * stored.dtype.itemsize
        if size > raw.size:
            raise Unreadable(f"is damaged: storage {line(stored.key)} is too short")
        return Storage(raw[:size].view(stored.dtype))

    def _raw(self, name: str) -> np.ndarray:
        """The bytes of a member of the archive."""
        try:
            info = self.archive.getinfo(name)
        except KeyError as error:
            raise Unreadable(f"is damaged: {line(name)} is missing") from error
        # Only the header in front of the data knows where the data begin.
        header = self.bytes[info.header_offset : info.header_offset + 30].tobytes()
        start = info.header_offset + 30 + sum(np.frombuffer(header[26:30], "<u2").tolist())
        if header[:4] != b"PK\x03\x04" or start + info.file_size > self.bytes.size:
            raise Unreadable(f"is damaged at {line(name)}")
        return self.bytes[start : start + info.file_size]
