"""The folder that an import makes a run of: whole, or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from score_sde import files
from score_sde.errors import UserError
from score_sde.runs import begun, kept
from score_sde.runs.held import LOCK, held

MARK = ".importing"  # in a folder while an import writes to it, also after it was killed
_WRITTEN = (kept.FOLDER, "checkpoints")


def check_free(workdir: Path) -> None:
    """Raise UserError if a folder holds anything but what an import left that was killed."""
    if begun.occupied(workdir) and not _unfinished(workdir):
        raise UserError(f"{workdir} is not an empty folder; give another --workdir")


@contextlib.contextmanager
def importing(workdir: Path) -> Iterator[None]:
    """Hold an empty folder, which is made, and write a run into it.

    What an import that was killed has left there is removed first; and what is written within, if
    that fails.

    Args:
        workdir: the folder. Its config.json, or the file of a control, is written last.

    Raises:
        UserError: it holds something, another program writes to it, or it cannot be written.
    """
    with held(workdir):
        check_free(workdir)
        _clear(workdir)
        with files.writing(workdir):
            (workdir / MARK).touch()
        try:
            yield
        except BaseException:
            _clear(workdir)
            raise
        (workdir / MARK).unlink(missing_ok=True)


def _unfinished(workdir: Path) -> bool:
    """Whether an import was killed there, and nothing else is there than what it wrote."""
    names = {path.name for path in workdir.iterdir()} - {LOCK}
    return MARK in names and names <= {MARK, *_WRITTEN}


def _clear(workdir: Path) -> None:
    """Remove what an import writes, the mark last."""
    with files.writing(workdir):
        for name in _WRITTEN:
            if (workdir / name).exists():
                shutil.rmtree(workdir / name)
        (workdir / MARK).unlink(missing_ok=True)
