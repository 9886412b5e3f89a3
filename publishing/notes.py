"""What CHANGELOG.md says of a version: the notes of its release.

    python -m publishing.notes
    python -m publishing.notes 0.1.0

Without a version, of the one that the code has; "unreleased" stands there until its date does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from score_sde import terminal
from score_sde.errors import UserError
from score_sde.version import __version__

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """The heading of a version and what stands under it.

    Raises:
        UserError: there is no such heading.
    """
    parts = re.split(r"^(?=## )", changelog, flags=re.MULTILINE)[1:]
    found = {part.split()[1]: part for part in parts}
    if version not in found:
        raise UserError(f"CHANGELOG.md has no version {version}; it has {', '.join(found)}")
    return found[version].strip() + "\n"


@terminal.program
def main(argv: list[str]) -> int:
    """Print the notes of a version."""
    parser = terminal.Parser.of("python -m publishing.notes", __doc__)
    parser.add_argument("version", nargs="?", default=__version__)
    print(notes(CHANGELOG.read_text(), parser.parse_args(argv[1:]).version), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
