"""The files under a folder, each once, however symbolic links lead to it."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from score_sde.data.base import DataError


def find_files(base: Path, suffixes: Container[str]) -> dict[Path, str]:
    """Finds the files under a folder by the ends of their names.

    Links are followed after all that lies in the folder itself has been seen, and no folder or file
    twice. So a link to the folder itself, or to another part of it, adds nothing. Names that begin
    with a dot are passed over.

    Args:
      base: the folder.
      suffixes: such as ".png", in lower case.

    Returns:
      The real path of each file by its path relative to the folder, in the order of the latter. A
      broken link and a pipe are among them if their names end so.

    Raises:
      DataError: a folder cannot be read.
    """
    top = os.path.realpath(base)
    folders, links = [(top, Path())], []
    seen, found = {top}, {}  # real paths of folders; paths of files by their real ones

    def meet(real: str, path: Path, is_folder: bool) -> None:
        if is_folder and real not in seen:
            seen.add(real)
            folders.append((real, path))
        elif not is_folder and path.suffix.lower() in suffixes:
            found.setdefault(real, path)

    while folders or links:
        if not folders:
            path = links.pop(0)
            real = os.path.realpath(base / path)
            meet(real, path, os.path.isdir(real))
            continue
        folder, relative = folders.pop()
        for name, kind in _entries(folder):
            if kind == "link":
                links.append(relative / name)
            else:
                meet(os.path.join(folder, name), relative / name, kind == "folder")
    return dict(sorted((path, real) for real, path in found.items()))


def _entries(folder: str) -> list[tuple[str, str]]:
    """Names in a folder, sorted, and of each whether it is a link, a folder or a file."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (
                    entry.name,
                    "link" if entry.is_symlink() else "folder" if entry.is_dir() else "file",
                )
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError as error:
        raise DataError(
            f"cannot read the folder {folder} ({error.strerror}): give yourself the right to"
        ) from error
