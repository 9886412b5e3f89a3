"""How the program was started, for the commands that it prints."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path


def command(program: str) -> str:
    """What to type to start it again, to which flags can be added.

    Args:
        program: sys.argv[0].
    """
    path = Path(program)
    if path.name == "__main__.py":
        return "python -m score_sde"
    if path.suffix == ".py":
        return f"python {shlex.quote(program)}"
    found = shutil.which(path.stem)  # the installed command, without .exe
    is_found = found is not None and Path(found).resolve() == path.resolve()
    return path.stem if is_found else shlex.quote(program)
