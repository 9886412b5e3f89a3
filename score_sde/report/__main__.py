"""The command line of reports: python -m score_sde.report RUN [RUN ...]."""

from __future__ import annotations

import sys

from score_sde import files, report, terminal
from score_sde.errors import UserError

USAGE = "usage: python -m score_sde.report runs/digits_vp [ANOTHER_RUN ...]"


@terminal.program
def main(argv: list[str]) -> int:
    """Write the report of each run; exit code 2 for bad input."""
    if {"-h", "--help"} & set(argv):
        print(USAGE)
        return 0
    try:
        if len(argv) < 2 or argv[1].startswith("-"):
            raise UserError(USAGE)
        for workdir in argv[1:]:
            print(f"wrote {report.write(files.expanded(workdir))}")
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
