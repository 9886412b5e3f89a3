"""What the programs are that say of a row's run what its study asks, as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from score_sde import files, terminal
from score_sde.errors import UserError


def program(
    name: str, about: str, measured: Callable[[Path], dict[str, Any]]
) -> Callable[[Sequence[str]], int]:
    """The program that prints what is measured of the folder that it is given.

    Args:
        name: the path of its file.
        about: its help.
        measured: of a run's folder, JSON values; a LookupError, OSError or ValueError means that it
            is no run of the study, or has not ended.

    Returns:
        What takes the words of the command line, and returns 0, or 2 after one line on stderr.
    """

    @terminal.program
    def main(argv: Sequence[str]) -> int:
        parser = terminal.Parser.of(f"python {name}", about)
        parser.add_argument("run", type=files.typed, help="its folder")
        run = parser.parse_args(argv[1:]).run
        try:
            print(json.dumps(measured(run)))
        except (OSError, LookupError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{run} is no run of this study, or has not ended: {error}") from error
        return 0

    return main
