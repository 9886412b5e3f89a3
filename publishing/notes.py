"""What CHANGELOG.md says of a version: the notes of its release.

    python -m publishing.notes
    python -m publishing.notes 0.1.0

Without a version, of the one that the code has. They are what a release on GitHub is described by,
below a title of its own: without the heading, and with each item on one line, since every end of a
line is one there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from score_sde import terminal
from score_sde.errors import UserError
from score_sde.version import __version__

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
MOST = 125_000  # characters that GitHub takes
_DATED = re.compile(r"\d{4}-\d\d-\d\d")


def notes(changelog: str, version: str) -> str:
    """What stands under the heading of a version.

    Args:
        changelog: the whole file.
        version: for example 0.1.0.

    Returns:
        Markdown whose items and paragraphs have no line ends within; code is as it was.

    Raises:
        UserError: there is no such heading, or nothing under it, or more than a release can hold.
    """
    parts = re.split(r"^(?=## )", changelog, flags=re.MULTILINE)[1:]
    found = {part.split()[1]: part for part in parts}
    if version not in found:
        raise UserError(f"CHANGELOG.md has no version {version}; it has {', '.join(found)}")
    text = _joined(found[version].partition("\n")[2].strip())
    if not 0 < len(text) <= MOST:
        raise UserError(f"CHANGELOG.md has {len(text):,} characters of {version}: 1 to {MOST:,}")
    return text + "\n"


def date(changelog: str, version: str) -> str:
    """The date of a version, as its heading has it; "" if that says "(unreleased)"."""
    heading = re.search(rf"^## {re.escape(version)} \((.*)\)$", changelog, re.MULTILINE)
    said = heading[1] if heading else ""
    return said if _DATED.fullmatch(said) else ""


def _joined(text: str) -> str:
    """A line that goes on where the one before ended is a part of it; not so in code."""
    lines = [""]
    fenced = code = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        if not lines[-1].strip():  # code in an item is six further in, after an empty line
            code = line.startswith(" " * 6)
        begins = not line.strip() or re.match(r"\s*(?:[-*+>#|]|\d+\. )", line)
        if begins or fence or fenced or code or not lines[-1].strip() or "```" in lines[-1]:
            lines.append(line)
        else:
            lines[-1] += " " + line.strip()
        fenced ^= fence
    return "\n".join(lines[1:])


@terminal.program
def main(argv: list[str]) -> int:
    """Print the notes of a version; on the side, that it is not released yet."""
    parser = terminal.Parser.of("python -m publishing.notes", __doc__)
    parser.add_argument("version", nargs="?", default=__version__)
    version = parser.parse_args(argv[1:]).version
    changelog = CHANGELOG.read_text()
    print(notes(changelog, version), end="")
    if not date(changelog, version):
        print(f"warning: CHANGELOG.md gives {version} no date yet", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
