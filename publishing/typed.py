"""What a type checker says of the public API: mypy, strictly, of every file that has a public name.

    python -m publishing.typed

It prints what is wrong and ends with 1 if anything is. A test does the same, and has
tests/publishing/typed_use.py checked, which uses the API as a user does.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from publishing import api
from score_sde import terminal
from score_sde.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def files() -> list[Path]:
    """Those of the public modules, and those where what is public in them is written."""
    found = set()
    for path in api.MODULES:
        module = importlib.import_module(path)
        values = [getattr(module, name) for name in api.names(module)]
        origins = {getattr(value, "__module__", None) for value in values} | {path}
        # A public module, such as score_sde.samplers, has an entry of its own.
        ours = {name for name in origins if name and name.partition(".")[0] == "score_sde"}
        found |= {Path(inspect.getfile(sys.modules[name])) for name in ours}
    return sorted(found)


def errors(paths: Iterable[Path], *options: str) -> list[str]:
    """What mypy says of files, by the settings in pyproject.toml.

    Args:
        paths: the files.
        options: more of mypy's.

    Returns:
        A line for each error: FILE:LINE: error: MESSAGE  [CODE].

    Raises:
        UserError: mypy is not installed, or cannot check.
    """
    if importlib.util.find_spec("mypy") is None:
        raise UserError('there is no mypy: pip install -e ".[test]"')
    plain = ("--no-error-summary", "--no-pretty", "--no-color-output", "--hide-error-context")
    command = [sys.executable, "-m", "mypy", *plain, *options, *map(str, paths)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise UserError(f"mypy cannot check: {(done.stderr or done.stdout).strip()}")
    return [line for line in done.stdout.splitlines() if ": note: " not in line]


@terminal.program
def main(argv: list[str]) -> int:
    """Print what is wrong."""
    terminal.Parser.of("python -m publishing.typed", __doc__).parse_args(argv[1:])
    found = errors(files())
    print("".join(f"{line}\n" for line in found), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
